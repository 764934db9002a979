//! The process: started by a server, serving until told to stop.

use std::{process::ExitCode, sync::Arc};

use boltwork_framework::Engine;
use boltwork_logical::{Error, Factory, Setup};
use go_plugin::{
    Cookie,
    plugin::{ServeConfig, Version},
};

use crate::{Source, arguments::Arguments, calls, env::Environment, log, unwrap};

/// The variable and the value by which Vault, OpenBao and Boltwork start backends (wire spec 1.1).
const COOKIE: (&str, &str) = ("VAULT_BACKEND_PLUGIN", "6669da05-b1c8-4f49-97d9-c8e5bed98e20");
/// The plugin protocol with AutoMTLS; a process can serve several mounts.
const PROTOCOL: u32 = 5;
/// Those of before: a certificate out of a wrapping token, one mount in a process.
const OLDER: [u32; 2] = [3, 4];

/// Serves an engine: the last line of a plugin's `main`. Given a function that makes engines
/// (`serve(|| Passwords)`, `serve(Passwords::default)`), one process serves every mount of the plugin;
/// given an engine (`serve(Passwords)`), it serves one.
///
/// Nothing may be printed on stdout before: the first line there is the handshake.
pub fn serve<How>(source: impl Source<How>) -> ExitCode {
    Serve::new(source).run()
}

/// Serving, with settings.
pub struct Serve {
    factory: Arc<dyn Factory>,
    version: String,
    multiplexed: bool,
    options: Options,
}

/// What authors decide about the process, whatever it serves.
#[derive(Default)]
pub(crate) struct Options {
    pub log_filter: Option<String>,
    pub own_arguments: bool,
}

impl Serve {
    /// Serves an engine, or what makes engines: see [`serve`].
    pub fn new<How, S: Source<How>>(source: S) -> Self {
        Self {
            version: source.version(),
            factory: source.factory(),
            multiplexed: S::MULTIPLEXED,
            options: Options::default(),
        }
    }

    /// Serves engines that depend on their mount: its options, its UUID.
    pub fn with<E: Engine>(
        make: impl Fn(&Setup) -> Result<E, Error> + Send + Sync + 'static,
    ) -> Self {
        Self {
            version: E::routes().reported_version().to_owned(),
            factory: boltwork_framework::factory_with(make),
            multiplexed: true,
            options: Options::default(),
        }
    }

    /// Serves whatever makes backends: for plugins whose mounts are not all of one engine. Set the
    /// [version](Self::version).
    pub fn factory(factory: Arc<dyn Factory>) -> Self {
        let options = Options::default();
        Self { factory, version: String::new(), multiplexed: true, options }
    }

    /// The version that the plugin reports, with its `v`; instead of the table's.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// What is logged, in the words of `tracing`'s filters (`info,my_engine=trace`); instead of the
    /// variable `RUST_LOG`, and of everything down to debug if that is not set. The server filters
    /// once more by its own level.
    pub fn log_filter(mut self, filter: impl Into<String>) -> Self {
        self.options.log_filter = Some(filter.into());
        self
    }

    /// Leaves the process's arguments to the author. Without this, they are those by which every
    /// plugin of Vault's is told how to trust the server's API (`-ca-cert -ca-path -client-cert
    /// -client-key -tls-server-name -tls-skip-verify`), and any other ends the process. With it,
    /// that is told by variables alone (`VAULT_CACERT` and so on), and matters only to servers that
    /// speak no newer protocol than 3 and 4.
    pub fn own_arguments(mut self) -> Self {
        self.options.own_arguments = true;
        self
    }

    /// Serves until the server says stop or is gone.
    pub fn run(self) -> ExitCode {
        let cookie = Cookie::new(COOKIE.0, COOKIE.1);
        let environment = Environment::read();
        let Some(arguments) = prepare(&cookie, environment, &self.options) else {
            return ExitCode::FAILURE;
        };
        let newest = calls::Plugin {
            factory: self.factory,
            version: self.version,
            multiplexed: self.multiplexed,
            metadata_only: environment.metadata_only,
        };
        let older = calls::Plugin { multiplexed: false, ..newest.clone() };
        let version = |number, plugin: calls::Plugin| {
            Version::new(number, move |context| calls::routes(plugin, context.broker.clone()))
        };
        let mut versions = vec![version(PROTOCOL, newest)];
        versions.extend(OLDER.map(|number| version(number, older.clone())));
        let config = ServeConfig::new(cookie, versions);
        go_plugin::plugin::main(config.with_tls(move || unwrap::provide(environment, &arguments)))
    }
}

/// Gets the process ready, if a host has started it: logs go to the host, and memory is locked if
/// it says so. What its arguments say; nothing if it may not go on.
pub(crate) fn prepare(
    cookie: &Cookie,
    environment: Environment,
    options: &Options,
) -> Option<Arguments> {
    if !cookie.present() {
        return Some(Arguments::default());
    }
    log::install(options.log_filter.as_deref());
    if environment.lock_memory
        && let Err(error) = lock_memory()
    {
        tracing::error!(
            %error,
            "the server wants this plugin's memory locked, which failed: run `setcap \
             cap_ipc_lock=+ep` on the plugin's file, or set LimitMEMLOCK=infinity in the systemd \
             unit of the server, or do without: `disable_mlock = true` in the server's configuration"
        );
        return None;
    }
    if options.own_arguments {
        return Some(Arguments::default());
    }
    let read = Arguments::parse(std::env::args_os().skip(1));
    read.inspect_err(|error| tracing::error!(%error, "the plugin's arguments cannot be used")).ok()
}

fn lock_memory() -> rustix::io::Result<()> {
    use rustix::mm::{MlockAllFlags, mlockall};
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE)
}
