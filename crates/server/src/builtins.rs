//! The plugins that are compiled in. A new one is a line here.

use boltwork_logical::PluginKind;
use boltwork_plugin_host::Builtin;

use crate::version;

/// All of them.
pub fn all() -> Vec<Builtin> {
    vec![Builtin {
        kind: PluginKind::Secret,
        name: "kv".to_owned(),
        version: version::builtin(),
        factory: boltwork_secret_kv::factory(),
        deprecation: "supported",
    }]
}
