//! `config`: the mount's settings, and their copy in memory.

use std::sync::{Arc, Mutex, PoisonError};

use boltwork_sdk::{
    Patch, Reply, Request, Result,
    logical::{Data, Entry, Error, Storage},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Versioned;
use crate::{
    clock::Span,
    seconds,
    store::{MAX_ATTEMPTS, Store, Unit, unreadable},
};

/// The settings of a mount. Zero and `false` mean "not set".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Versions to keep of each key.
    pub max_versions: u32,
    /// Every write must name the version it expects.
    pub cas_required: bool,
    /// Every change of a key's settings must name the revision it expects.
    pub metadata_cas_required: bool,
    /// Seconds after which a version counts as deleted; negative switches that off for all keys.
    pub delete_version_after: i64,
}

/// The settings in memory.
#[derive(Default)]
pub struct SettingsCache(Mutex<Cached>);

#[derive(Default)]
struct Cached {
    /// Raised whenever what was read before may be outdated.
    generation: u64,
    settings: Option<Arc<Settings>>,
}

impl SettingsCache {
    fn look(&self) -> (u64, Option<Arc<Settings>>) {
        let cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (cached.generation, cached.settings.clone())
    }

    /// Remembers what was read, unless it may have changed since `generation`.
    fn fill(&self, generation: u64, settings: &Arc<Settings>) {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cached.generation == generation {
            cached.settings = Some(Arc::clone(settings));
        }
    }

    /// Forgets: storage has changed, or is about to.
    pub fn forget(&self) {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cached.generation += 1;
        cached.settings = None;
    }
}

impl Store {
    /// The mount's settings.
    pub async fn settings(&self, storage: &dyn Storage) -> Result<Arc<Settings>> {
        let (generation, cached) = self.settings.look();
        if let Some(settings) = cached {
            return Ok(settings);
        }
        let settings = Arc::new(self.stored_settings(storage).await?);
        self.settings.fill(generation, &settings);
        Ok(settings)
    }

    async fn stored_settings(&self, storage: &dyn Storage) -> Result<Settings> {
        match storage.get(&self.settings_key()).await? {
            Some(entry) => serde_json::from_slice(&entry.value).map_err(|_| unreadable(&entry.key)),
            None => Ok(Settings::default()),
        }
    }

    async fn change_settings(
        &self,
        storage: &dyn Storage,
        change: impl Fn(&mut Settings) + Send + Sync,
    ) -> Result<()> {
        let key = self.settings_key();
        let _turn = self.turn(&key).await;
        let mut attempt = 1;
        loop {
            let outcome = self.try_change_settings(storage, &key, &change).await;
            self.settings.forget();
            match outcome {
                Err(Error::Conflict(_)) if attempt < MAX_ATTEMPTS => self.step_back(attempt).await,
                outcome => return outcome,
            }
            attempt += 1;
        }
    }

    async fn try_change_settings(
        &self,
        storage: &dyn Storage,
        key: &str,
        change: &(impl Fn(&mut Settings) + Send + Sync),
    ) -> Result<()> {
        let unit = Unit::begin(storage).await?;
        let mut settings = self.stored_settings(unit.storage()).await?;
        change(&mut settings);
        let value = Data::of(&settings)?;
        unit.storage().put(Entry::new(key, value.as_bytes())).await?;
        unit.commit().await
    }
}

/// Fields of `config`. A value of `null` resets a setting.
#[derive(Deserialize, JsonSchema)]
pub(super) struct SettingsFields {
    /// How many versions of each key are kept. 10 if not set.
    #[serde(default)]
    max_versions: Patch<i64>,
    /// If true, every write has to send the option cas with the version it expects.
    #[serde(default)]
    cas_required: Patch<bool>,
    /// If true, every change of a key's metadata has to send metadata_cas with the revision that
    /// it expects.
    #[serde(default)]
    metadata_cas_required: Patch<bool>,
    /// How long after its creation a version counts as deleted: seconds, or a text like 30d or
    /// 1h30m. Zero takes the setting away; a negative duration switches automatic deletion off for
    /// all keys.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    delete_version_after: Patch<serde_json::Value>,
}

/// A limit of versions as clients send it: zero is "not set", and what is below zero or beyond the
/// largest number is no limit at all.
pub(super) fn limit(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The value that was sent, `null` being the type's zero; `None` if nothing was sent.
pub(super) fn sent<T: Default>(field: Patch<T>) -> Option<T> {
    match field {
        Patch::Keep => None,
        Patch::Remove => Some(T::default()),
        Patch::Set(value) => Some(value),
    }
}

impl Versioned {
    pub(super) async fn read_config(&self, req: Request) -> Result<Reply> {
        #[derive(Serialize)]
        struct Shown {
            cas_required: bool,
            delete_version_after: Span,
            max_versions: u32,
            metadata_cas_required: bool,
        }
        let settings = self.open().await?.settings(&*req.storage).await?;
        Ok(Reply::data(Shown {
            cas_required: settings.cas_required,
            delete_version_after: Span(settings.delete_version_after),
            max_versions: settings.max_versions,
            metadata_cas_required: settings.metadata_cas_required,
        }))
    }

    pub(super) async fn write_config(&self, req: Request<SettingsFields>) -> Result<Reply> {
        let store = self.open().await?;
        let fields = req.fields;
        let max_versions = sent(fields.max_versions).map(limit);
        let cas_required = sent(fields.cas_required);
        let metadata_cas_required = sent(fields.metadata_cas_required);
        let delete_version_after = match sent(fields.delete_version_after) {
            Some(value) => Some(seconds::field("delete_version_after", &value)?.max(-1)),
            None => None,
        };
        let nothing = max_versions.is_none()
            && cas_required.is_none()
            && metadata_cas_required.is_none()
            && delete_version_after.is_none();
        if nothing {
            return Ok(Reply::empty());
        }
        let change = |settings: &mut Settings| {
            settings.max_versions = max_versions.unwrap_or(settings.max_versions);
            settings.cas_required = cas_required.unwrap_or(settings.cas_required);
            settings.metadata_cas_required =
                metadata_cas_required.unwrap_or(settings.metadata_cas_required);
            settings.delete_version_after =
                delete_version_after.unwrap_or(settings.delete_version_after);
        };
        store.change_settings(&*req.storage, change).await?;
        Ok(Reply::empty())
    }
}
