//! The plugins that are compiled in. A new one is a line here.

use boltwork_logical::PluginKind;
use boltwork_plugin_host::{Builtin, Compiled};

use crate::version;

/// All of them.
pub fn all() -> Vec<Builtin> {
    use PluginKind::{Auth, Database, Secret};
    vec![
        supported(Secret, "kv", boltwork_secret_kv::factory()),
        supported(Secret, "database", boltwork_secret_database::factory()),
        supported(
            Database,
            boltwork_database_postgresql::NAME,
            boltwork_database_postgresql::factory(),
        ),
        supported(Auth, "approle", boltwork_auth_approle::factory()),
        supported(Auth, "userpass", boltwork_auth_userpass::factory()),
    ]
}

fn supported(kind: PluginKind, name: &str, factory: impl Into<Compiled>) -> Builtin {
    Builtin {
        kind,
        name: name.to_owned(),
        version: version::builtin(),
        factory: factory.into(),
        deprecation: "supported",
    }
}
