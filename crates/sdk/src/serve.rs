//! The process: started by a server, serving until told to stop.

use std::{process::ExitCode, sync::Arc};

use boltwork_framework::Engine;
use boltwork_logical::{Error, Factory, Setup};
use go_plugin::{
    Cookie,
    plugin::{ServeConfig, Version},
};

use crate::{Source, calls, env::Environment, log};

/// The variable and the value by which Vault, OpenBao and Boltwork start backends (wire spec 1.1).
const COOKIE: (&str, &str) = ("VAULT_BACKEND_PLUGIN", "6669da05-b1c8-4f49-97d9-c8e5bed98e20");
/// The plugin protocol with AutoMTLS.
const PROTOCOL: u32 = 5;

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
    log_filter: Option<String>,
}

impl Serve {
    /// Serves an engine, or what makes engines: see [`serve`].
    pub fn new<How, S: Source<How>>(source: S) -> Self {
        Self {
            version: source.version(),
            factory: source.factory(),
            multiplexed: S::MULTIPLEXED,
            log_filter: None,
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
            log_filter: None,
        }
    }

    /// Serves whatever makes backends: for plugins whose mounts are not all of one engine. Set the
    /// [version](Self::version).
    pub fn factory(factory: Arc<dyn Factory>) -> Self {
        Self { factory, version: String::new(), multiplexed: true, log_filter: None }
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
        self.log_filter = Some(filter.into());
        self
    }

    /// Serves until the server says stop or is gone.
    pub fn run(self) -> ExitCode {
        let cookie = Cookie::new(COOKIE.0, COOKIE.1);
        let environment = Environment::read();
        if !prepare(&cookie, environment, self.log_filter.as_deref()) {
            return ExitCode::FAILURE;
        }
        let plugin = calls::Plugin {
            factory: self.factory,
            version: self.version,
            multiplexed: self.multiplexed,
            metadata_only: environment.metadata_only,
        };
        let version =
            Version::new(PROTOCOL, move |context| calls::routes(plugin, context.broker.clone()));
        go_plugin::plugin::main(ServeConfig::new(cookie, vec![version]))
    }
}

/// Gets the process ready, if a host has started it: logs go to the host, and memory is locked if
/// it says so. Whether it may go on.
pub(crate) fn prepare(cookie: &Cookie, environment: Environment, filter: Option<&str>) -> bool {
    if !cookie.present() {
        return true;
    }
    log::install(filter);
    if environment.lock_memory
        && let Err(error) = lock_memory()
    {
        tracing::error!(
            %error,
            "the server wants this plugin's memory locked, which failed: allow IPC_LOCK for \
             this binary, or turn mlock off in the server's configuration"
        );
        return false;
    }
    true
}

fn lock_memory() -> rustix::io::Result<()> {
    use rustix::mm::{MlockAllFlags, mlockall};
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE)
}
