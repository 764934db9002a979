//! `boltwork server`: from the command line to the last goodbye.

mod address;
mod assembly;
mod banner;
mod dev;
mod flags;
mod log;
mod memory;

use std::{io::Write as _, sync::Arc};

use boltwork_core::Core;
use boltwork_http::Listener;
use boltwork_plugin_host::PluginHost;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::config::{self, Config, Loaded, LogFormat, LogLevel};
use flags::{Flags, Stop};

/// Runs the server; returns the exit code.
pub fn run(args: &[String]) -> i32 {
    let flags = match flags::parse(args, environment) {
        Ok(flags) => flags,
        Err(Stop::Help) => {
            print!("{}", flags::HELP);
            return 0;
        }
        Err(Stop::Wrong(text)) => return complain(&text),
    };
    let loaded = match load(&flags) {
        Ok(loaded) => loaded,
        Err(text) => return complain(&text),
    };
    match start(loaded, &flags) {
        Ok(()) => 0,
        Err(text) => complain(&text),
    }
}

fn complain(text: &str) -> i32 {
    eprintln!("{text}");
    1
}

/// `BAO_X` if it is there, else `VAULT_X`.
fn environment(name: &str) -> Option<String> {
    ["BAO_", "VAULT_"].iter().find_map(|prefix| std::env::var(format!("{prefix}{name}")).ok())
}

fn load(flags: &Flags) -> Result<Loaded, String> {
    let variables = |name: &str| std::env::var(name).ok();
    let loaded = match &flags.dev {
        Some(dev) => config::load_development(&dev.address, &flags.config, &variables),
        None => config::load(&flags.config, &variables),
    };
    let mut loaded = loaded.map_err(|e| e.to_string())?;
    if let Some(name) = &flags.log_level {
        loaded.config.log.level = LogLevel::from_name(&name.to_lowercase())
            .ok_or_else(|| format!("unknown log level: {name}"))?;
    }
    if let Some(name) = &flags.log_format {
        loaded.config.log.format = LogFormat::from_name(&name.to_lowercase())
            .ok_or_else(|| format!("unknown log format: {name}"))?;
    }
    if let Some(directory) = flags.dev.as_ref().and_then(|dev| dev.plugin_dir.clone()) {
        loaded.config.plugins.directory = Some(directory);
    }
    Ok(loaded)
}

fn start(loaded: Loaded, flags: &Flags) -> Result<(), String> {
    let Loaded { config, warnings } = loaded;
    log::start(&config.log).map_err(|e| format!("the log file cannot be opened: {e}"))?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    memory::forbid_core_dumps();
    if !config.process.disable_mlock && flags.dev.is_none() {
        memory::lock()?;
    }
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("no threads to run on: {e}"))?
        .block_on(serve(config, flags))
}

async fn serve(config: Config, flags: &Flags) -> Result<(), String> {
    let dev = flags.dev.as_ref();
    // Before anything runs that would have to be stopped.
    let mut signals = Signals::new().map_err(|e| format!("signals cannot be received: {e}"))?;
    let api_addr = address::api_addr(&config);
    let (core, host) = assembly::core(&config, api_addr.clone(), dev.is_some())?;
    let (stop, stopping) = watch::channel(false);
    let mut listeners = Vec::new();
    for listener in &config.listeners {
        let opened =
            Listener::open(assembly::listener(listener, &config.process), Arc::clone(&core));
        listeners.push(opened.await.map_err(|e| e.to_string())?);
    }
    let addresses: Vec<String> =
        listeners.iter().filter_map(|l| l.address().ok().map(|a| a.to_string())).collect();
    let tasks: Vec<_> =
        listeners.into_iter().map(|l| tokio::spawn(l.serve(stopping.clone()))).collect();
    let pid_file = PidFile::write(&config)?;
    say(&banner::configuration(&config, &api_addr, &addresses, dev.is_some()));
    if let Some(dev) = dev {
        let ready = dev::prepare(&core, dev).await?;
        say(&banner::development(&ready, &api_addr));
    }
    signals.wait(&core, || read_again(flags, &host)).await;
    say("==> Boltwork shutdown triggered\n");
    stop.send_replace(true);
    for task in tasks {
        let _ = task.await;
    }
    Core::shut_down(&core).await;
    drop(pid_file);
    Ok(())
}

/// SIGHUP: of the configuration, what it declares as plugins is taken over. If it cannot be read,
/// everything stays as it is.
fn read_again(flags: &Flags, host: &PluginHost) {
    match load(flags) {
        Ok(Loaded { config, warnings }) => {
            for warning in warnings {
                tracing::warn!("{warning}");
            }
            host.redeclare(assembly::declared_plugins(&config));
        }
        Err(why) => tracing::error!(
            "SIGHUP received, but the configuration cannot be read and stays as it was: {why}"
        ),
    }
}

/// Standard output may be closed: that is no reason to stop.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// What tells the server to stop, or to read its files again.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Returns when the server should stop.
    async fn wait(&mut self, core: &Core, read_again: impl Fn()) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    core.reopen_audit().await;
                    read_again();
                    tracing::info!(
                        "SIGHUP received: audit files were opened anew, declared plugins are looked \
                         at again; for other changes restart"
                    );
                }
            }
        }
    }
}

/// A file with our process id, removed when we stop.
struct PidFile(Option<std::path::PathBuf>);

impl PidFile {
    fn write(config: &Config) -> Result<Self, String> {
        if let Some(path) = &config.process.pid_file {
            std::fs::write(path, std::process::id().to_string())
                .map_err(|e| format!("pid_file {} cannot be written: {e}", path.display()))?;
        }
        Ok(Self(config.process.pid_file.clone()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}
