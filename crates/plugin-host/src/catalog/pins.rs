//! Pins: for one plugin, the version that runs at every mount from its next start on (wire spec
//! 5.4).
//!
//! Left out: reloading what runs already; an operator does that when it suits.

use boltwork_logical::{Entry, Error, PluginId, PluginKind, Storage, Version};
use serde::{Deserialize, Serialize};

use super::entry::StoredKind;
use super::{Catalog, Found};

/// Where pins are, below the catalog's prefix.
pub(super) const FOLDER: &str = "pinned/";

/// A pin's JSON.
#[derive(Debug, Serialize, Deserialize)]
struct StoredPin {
    name: String,
    #[serde(rename = "type")]
    kind: StoredKind,
    version: String,
}

fn key(kind: PluginKind, name: &str) -> String {
    format!("{FOLDER}{kind}/{name}")
}

/// A pin that cannot be read is an error: another version than the pinned one must not run.
async fn load(storage: &dyn Storage, key: &str) -> Result<Option<PluginId>, Error> {
    let Some(stored) = storage.get(key).await? else { return Ok(None) };
    let pin = serde_json::from_slice::<StoredPin>(&stored.value).ok();
    let pin = pin.and_then(|pin| {
        Some(PluginId { kind: pin.kind.known()?, name: pin.name, version: pin.version })
    });
    pin.map(Some).ok_or_else(|| {
        Error::internal(format!(
            "the pin stored at {key:?} cannot be read, so it is not known which version is to run: \
             set or delete it anew under sys/plugins/pins"
        ))
    })
}

impl Catalog {
    /// The pinned version of a plugin.
    pub async fn pinned(&self, kind: PluginKind, name: &str) -> Result<Option<PluginId>, Error> {
        load(self.storage()?.as_ref(), &key(kind, name)).await
    }

    /// Every pin, sorted by kind and name. One that cannot be read does not hide the others; the
    /// log says which it is.
    pub async fn pins(&self) -> Result<Vec<PluginId>, Error> {
        let storage = self.storage()?;
        let (mut found, mut folders) = (Vec::new(), vec![FOLDER.to_owned()]);
        while let Some(folder) = folders.pop() {
            for child in storage.list(&folder).await? {
                let path = format!("{folder}{child}");
                if path.ends_with('/') {
                    folders.push(path);
                    continue;
                }
                match load(storage.as_ref(), &path).await {
                    Ok(pin) => found.extend(pin),
                    Err(error @ Error::Internal(_)) => tracing::warn!("{error}"),
                    Err(error) => return Err(error),
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Pins a registered version.
    pub async fn pin(&self, id: &PluginId) -> Result<(), Error> {
        if Version::parse_strict(&id.version).is_ok_and(|version| version.is_builtin()) {
            return Err(Error::invalid(format!(
                "version {:?} is not allowed because 'builtin' is a reserved metadata identifier",
                id.version
            )));
        }
        if id.version.is_empty() {
            return Err(Error::invalid("missing plugin version"));
        }
        let _turn = self.changing.lock().await;
        let Some(Found::External(_)) = self.find(id).await? else {
            let PluginId { kind, name, version } = id;
            return Err(Error::invalid(format!(
                "{kind} plugin {name:?} version {version} does not exist"
            )));
        };
        let pin = StoredPin {
            name: id.name.clone(),
            kind: StoredKind::Is(id.kind),
            version: id.version.clone(),
        };
        let value = serde_json::to_vec(&pin).map_err(|e| Error::internal(e.to_string()))?;
        self.storage()?.put(Entry::new(key(id.kind, &id.name), value)).await?;
        Ok(())
    }

    /// Removes a pin; no error if there is none.
    pub async fn unpin(&self, kind: PluginKind, name: &str) -> Result<(), Error> {
        let _turn = self.changing.lock().await;
        Ok(self.storage()?.delete(&key(kind, name)).await?)
    }
}
