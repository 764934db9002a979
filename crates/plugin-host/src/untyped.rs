//! Catalog entries from before plugins had types (Vault before 0.11, wire spec 5.1): each is run to
//! find out what it is, and stored again under its type.
//!
//! An entry whose plugin cannot be run stays as it is, and the log says why: nothing here stops the
//! server.

use boltwork_logical::{Error, PluginEntry, PluginKind};

use crate::catalog::Checked;
use crate::{PluginHost, preflight};

impl PluginHost {
    /// Gives every entry without a type its type.
    pub(crate) async fn upgrade_untyped(&self) {
        let entries = match self.catalog.untyped().await {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(%error, "old catalog entries could not be looked for");
                return;
            }
        };
        for (key, entry) in entries {
            let name = entry.id.name.clone();
            match self.upgrade(&key, entry).await {
                Ok(kind) => tracing::info!(plugin = name, %kind, "an old catalog entry got a type"),
                Err(error) => tracing::warn!(
                    plugin = name,
                    %error,
                    "an old catalog entry without a type stays so, because its plugin does not run; \
                     register it again, or deregister it"
                ),
            }
        }
    }

    async fn upgrade(&self, key: &str, mut entry: PluginEntry) -> Result<PluginKind, Error> {
        let tried = preflight::find_kind(&self.starter, &mut entry).await;
        let tried = tried.map_err(|error| Error::internal(error.to_string()))?;
        let kind = tried.kind.unwrap_or(entry.id.kind);
        let wrong = || Error::internal("its stored SHA-256 is not 32 bytes long");
        let checked = Checked {
            kind: Some(kind),
            name: entry.id.name,
            // As Vault does it: the entry stays without a version, whatever the plugin reports.
            version: String::new(),
            sha256: entry.sha256.try_into().map_err(|_| wrong())?,
            command: entry.command,
            args: entry.args,
            env: entry.env,
            declarative: false,
        };
        self.catalog.replace_untyped(key, checked, kind).await?;
        Ok(kind)
    }
}
