//! Finding one entry where this server, or another one before it, may have put it (wire spec 5.1, 5.2).
//!
//! Left out: built-in plugins, and which of several entries counts.

use boltwork_logical::{Error, PluginEntry, PluginId, Storage};

use super::{
    Catalog,
    entry::{StoredEntry, key},
};

impl Catalog {
    /// The registered one under exactly this id.
    pub async fn external(&self, id: &PluginId) -> Result<Option<PluginEntry>, Error> {
        Ok(self.stored(id).await?.map(|stored| stored.with_kind(id.kind)))
    }

    async fn stored(&self, id: &PluginId) -> Result<Option<StoredEntry>, Error> {
        let storage = self.storage()?;
        if let Some(stored) = load(storage.as_ref(), &key(id)).await? {
            // `a/v1` without a version and `a` in version 1 would share a key: the content decides.
            let fits = stored.kind.may_be(id.kind)
                && stored.name == id.name
                && stored.version == id.version;
            return Ok(Some(stored).filter(|_| fits));
        }
        match id.version.is_empty() {
            true => untyped(storage.as_ref(), id).await,
            false => Ok(None),
        }
    }

    /// What is registered under this id may be in a container image, by another server: then there
    /// is nothing here to run, and what the file of its command holds is something else.
    pub(super) async fn refuse_image(&self, id: &PluginId) -> Result<(), Error> {
        match self.stored(id).await? {
            Some(stored) if !stored.oci_image.is_empty() => Err(Error::invalid(format!(
                "{} plugin {:?} was registered in a container image, by another server, and this \
                 one runs no containers: put the binary into the plugin directory and register it \
                 again with command and sha256",
                id.kind, id.name
            ))),
            _ => Ok(()),
        }
    }
}

/// An entry from before there were kinds in keys. Its own kind must fit, if it tells one; if not,
/// the plugin itself will.
pub(super) async fn untyped(
    storage: &dyn Storage,
    id: &PluginId,
) -> Result<Option<StoredEntry>, Error> {
    let stored = load(storage, &id.name).await?;
    Ok(stored.filter(|e| e.kind.may_be(id.kind) && e.name == id.name && e.version.is_empty()))
}

/// An entry that cannot be read does not hide the others; the log says which it is.
pub(super) async fn load(storage: &dyn Storage, key: &str) -> Result<Option<StoredEntry>, Error> {
    let Some(stored) = storage.get(key).await? else { return Ok(None) };
    match serde_json::from_slice(&stored.value) {
        Ok(entry) => Ok(Some(entry)),
        Err(error) => {
            tracing::warn!(key, %error, "a stored catalog entry cannot be read and is passed over");
            Ok(None)
        }
    }
}
