//! The process of a database plugin: started by a server, serving until told to stop.

use std::{process::ExitCode, sync::Arc};

use boltwork_logical::DatabaseFactory;
use go_plugin::{
    Cookie,
    plugin::{ServeConfig, Version},
};

use super::calls::{DatabasePlugin, database_routes};
use crate::{
    database::DatabaseSource,
    env::Environment,
    serve::{Options, prepare},
    unwrap,
};

/// The variable and the value by which servers start database plugins (wire spec 1.1).
const COOKIE: (&str, &str) = ("VAULT_DATABASE_PLUGIN", "926a0820-aea2-be28-51d6-83cdf00e8edb");
/// One connection in a process.
const PLAIN: u32 = 5;
/// Several.
const MULTIPLEXED: u32 = 6;

/// Serves a database plugin: the last line of its `main`. Given a function that makes databases
/// (`serve_database(|| Users::new())`, `serve_database(Users::default)`), one process serves every
/// connection of the plugin; given a database (`serve_database(Users)`), it serves one.
///
/// Nothing may be printed on stdout before: the first line there is the handshake.
pub fn serve_database<How>(source: impl DatabaseSource<How>) -> ExitCode {
    ServeDatabase::new(source).run()
}

/// Serving a database plugin, with settings.
pub struct ServeDatabase {
    factory: Arc<dyn DatabaseFactory>,
    version: String,
    multiplexed: bool,
    options: Options,
}

impl ServeDatabase {
    /// Serves a database, or what makes databases: see [`serve_database`].
    pub fn new<How, S: DatabaseSource<How>>(source: S) -> Self {
        Self { multiplexed: S::MULTIPLEXED, ..Self::factory(source.factory()) }
    }

    /// Serves whatever makes databases: for plugins in which that can fail.
    pub fn factory(factory: Arc<dyn DatabaseFactory>) -> Self {
        let options = Options::default();
        Self { factory, version: String::new(), multiplexed: true, options }
    }

    /// The version that the plugin reports, with its `v`; none unless it is set.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// What is logged: as [`Serve::log_filter`](crate::Serve::log_filter).
    pub fn log_filter(mut self, filter: impl Into<String>) -> Self {
        self.options.log_filter = Some(filter.into());
        self
    }

    /// Leaves the process's arguments to the author: as
    /// [`Serve::own_arguments`](crate::Serve::own_arguments).
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
        let plugin = DatabasePlugin {
            factory: self.factory,
            version: self.version,
            multiplexed: false,
            metadata_only: environment.metadata_only,
        };
        let several = DatabasePlugin { multiplexed: true, ..plugin.clone() };
        let mut versions = vec![Version::new(PLAIN, |_| database_routes(plugin))];
        if self.multiplexed {
            versions.push(Version::new(MULTIPLEXED, |_| database_routes(several)));
        }
        let config = ServeConfig::new(cookie, versions);
        go_plugin::plugin::main(config.with_tls(move || unwrap::provide(environment, &arguments)))
    }
}
