//! `metadata/…`: what is known of a key, and the key's own settings.

use std::collections::BTreeMap;

use boltwork_sdk::{Json, Patch, Reply, Request, Result, Ttl, logical::Error};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    At, Versioned,
    config::{Settings, limit, sent},
    custom::{self, Members},
    missing::{self, names_key},
    record::{OwnSettings, Record},
};
use crate::{
    clock::{Span, Stamp},
    store::{Change, Key, Saved, Store, parse},
};

/// Fields of a write or a patch. A value of `null` resets a setting.
#[derive(Deserialize, JsonSchema)]
pub(super) struct MetadataFields {
    /// Location of the secret.
    path: String,
    /// How many versions are kept; the mount's setting if that is more, or if this is 0.
    #[serde(default)]
    max_versions: Patch<i64>,
    /// If true, every write to this key has to send the option cas.
    #[serde(default)]
    cas_required: Patch<bool>,
    /// If true, every change of this metadata has to send metadata_cas.
    #[serde(default)]
    metadata_cas_required: Patch<bool>,
    /// How long after its creation a version counts as deleted; the mount's setting if that is
    /// shorter, or if this is 0.
    #[serde(default)]
    delete_version_after: Patch<Ttl>,
    /// Names and texts of yours, at most 64. A write replaces them all, a patch those that it names.
    #[serde(default)]
    custom_metadata: Patch<Json>,
    /// The current_metadata_version that is expected; 0 if the key must not exist.
    #[serde(default)]
    metadata_cas: Option<i64>,
}

/// A key's metadata as a read shows it.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    cas_required: bool,
    created_time: Stamp,
    current_metadata_version: u64,
    current_version: u64,
    custom_metadata: Option<&'a BTreeMap<String, String>>,
    delete_version_after: Span,
    max_versions: u32,
    metadata_cas_required: bool,
    oldest_version: u64,
    updated_time: Stamp,
    versions: BTreeMap<u64, ShownVersion>,
}

#[derive(Serialize)]
struct ShownVersion {
    created_time: Stamp,
    deletion_time: Stamp,
    destroyed: bool,
}

/// A record as a read of its metadata shows it.
pub(super) fn shown(record: &Record) -> Shown<'_> {
    let own = &record.own;
    let versions = record.versions.iter().map(|version| {
        let shown = ShownVersion {
            created_time: version.created.stamp(),
            deletion_time: Stamp(version.deleted),
            destroyed: version.destroyed,
        };
        (version.number, shown)
    });
    Shown {
        cas_required: own.cas_required,
        created_time: record.created.stamp(),
        current_metadata_version: own.revision,
        current_version: record.current,
        custom_metadata: Some(&own.custom).filter(|custom| !custom.is_empty()),
        delete_version_after: Span(own.delete_version_after),
        max_versions: own.max_versions,
        metadata_cas_required: own.metadata_cas_required,
        oldest_version: record.oldest,
        updated_time: record.updated.stamp(),
        versions: versions.collect(),
    }
}

/// Changes to a key's settings, checked.
struct Wanted {
    max_versions: Option<u32>,
    cas_required: Option<bool>,
    metadata_cas_required: Option<bool>,
    delete_version_after: Option<i64>,
    custom: Option<Custom>,
    expected: Option<i64>,
}

/// Changes to the custom metadata.
enum Custom {
    /// These instead of what was there.
    Replace(Members),
    /// These beside what was there.
    Merge(Members),
}

impl Wanted {
    /// Checks what was sent; `None` if that changes nothing.
    fn read(fields: MetadataFields, is_patch: bool) -> Result<Option<Self>> {
        let custom = match fields.custom_metadata {
            Patch::Keep => None,
            Patch::Remove => Some(Custom::Replace(Members::new())),
            Patch::Set(sent) => {
                let members = custom::read(Some(&sent), is_patch)?;
                Some(if is_patch { Custom::Merge(members) } else { Custom::Replace(members) })
            }
        };
        let after = sent(fields.delete_version_after);
        let wanted = Self {
            max_versions: sent(fields.max_versions).map(limit),
            cas_required: sent(fields.cas_required),
            metadata_cas_required: sent(fields.metadata_cas_required),
            delete_version_after: after.map(|ttl| i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX)),
            custom,
            expected: fields.metadata_cas,
        };
        let something = wanted.max_versions.is_some()
            || wanted.cas_required.is_some()
            || wanted.metadata_cas_required.is_some()
            || wanted.delete_version_after.is_some()
            || wanted.custom.is_some();
        Ok(something.then_some(wanted))
    }

    /// Whether the settings may be changed now: of a key that has been written so often, or of none.
    fn check(&self, settings: &Settings, own: Option<&OwnSettings>) -> Result<()> {
        let required =
            settings.metadata_cas_required || own.is_some_and(|own| own.metadata_cas_required);
        match (self.expected, own) {
            (None, _) if required => {
                Err(Error::invalid("metadata check-and-set parameter required for this call"))
            }
            (Some(expected), None) if expected != 0 => {
                Err(Error::invalid("metadata_cas must be 0 when creating new metadata"))
            }
            (Some(expected), Some(own)) if u64::try_from(expected) != Ok(own.revision) => {
                Err(Error::invalid(
                    "metadata check-and-set parameter does not match the current version",
                ))
            }
            _ => Ok(()),
        }
    }

    fn apply(&self, own: &mut OwnSettings) {
        own.revision += 1;
        own.max_versions = self.max_versions.unwrap_or(own.max_versions);
        own.cas_required = self.cas_required.unwrap_or(own.cas_required);
        own.metadata_cas_required = self.metadata_cas_required.unwrap_or(own.metadata_cas_required);
        own.delete_version_after = self.delete_version_after.unwrap_or(own.delete_version_after);
        let members = match &self.custom {
            None => return,
            Some(Custom::Replace(members)) => {
                own.custom.clear();
                members
            }
            Some(Custom::Merge(members)) => members,
        };
        for (name, value) in members {
            match value {
                Some(value) => own.custom.insert(name.clone(), value.clone()),
                None => own.custom.remove(name),
            };
        }
    }

    /// What the caller should know: a setting that the mount overrules.
    fn warnings(&self, settings: &Settings) -> impl Iterator<Item = String> {
        let overruled = [
            ("cas_required", settings.cas_required && self.cas_required == Some(false)),
            (
                "metadata_cas_required",
                settings.metadata_cas_required && self.metadata_cas_required == Some(false),
            ),
        ];
        overruled.into_iter().filter(|(_, overruled)| *overruled).map(|(name, _)| {
            format!(
                "\"{name}\" set to false, but is mandated by backend config. This value will be \
                 ignored."
            )
        })
    }
}

impl Versioned {
    pub(super) async fn read_metadata(&self, req: Request<At>) -> Result<Reply> {
        let store = self.open().await?;
        if !names_key(&req.fields.path) {
            return missing::no_such_path(&req);
        }
        match req.storage.get_ahead(&store.meta_key(&req.fields.path)).await? {
            Some(entry) => Ok(Reply::data(shown(&parse(&entry)?.record))),
            None => Ok(Reply::not_found()),
        }
    }

    pub(super) async fn write_metadata(&self, req: Request<MetadataFields>) -> Result<Reply> {
        let store = self.open().await?;
        if req.fields.path.is_empty() {
            return Err(Error::invalid("missing path"));
        }
        if !names_key(&req.fields.path) {
            return missing::no_such_path(&req);
        }
        let (storage, path) = (req.storage, req.fields.path.clone());
        let Some(wanted) = Wanted::read(req.fields, false)? else { return Ok(Reply::empty()) };
        let settings = store.settings(&*storage).await?;
        let now = store.now();
        let done = store.change(&*storage, &path, |key| {
            wanted.check(&settings, key.as_ref().map(|key| &key.record.own))?;
            let mut key = key.unwrap_or_else(|| Key::new(now));
            key.record.updated = now;
            wanted.apply(&mut key.record.own);
            Ok((Change::Save(Saved::only(key)), ()))
        });
        done.await?;
        Ok(with_warnings(wanted.warnings(&settings)))
    }

    pub(super) async fn patch_metadata(&self, req: Request<MetadataFields>) -> Result<Reply> {
        let store = self.open().await?;
        if req.fields.path.is_empty() {
            return Err(Error::invalid("missing path"));
        }
        if !names_key(&req.fields.path) {
            return missing::no_such_path(&req);
        }
        let (storage, path) = (req.storage, req.fields.path.clone());
        let Some(wanted) = Wanted::read(req.fields, true)? else { return Ok(Reply::empty()) };
        let settings = store.settings(&*storage).await?;
        let now = store.now();
        let done = store.change(&*storage, &path, |key| {
            let Some(mut key) = key else { return Ok((Change::Keep, false)) };
            wanted.check(&settings, Some(&key.record.own))?;
            key.record.updated = now;
            wanted.apply(&mut key.record.own);
            Ok((Change::Save(Saved::only(key)), true))
        });
        match done.await?.answer {
            true => Ok(with_warnings(wanted.warnings(&settings))),
            false => Ok(missing::silent()),
        }
    }

    pub(super) async fn delete_metadata(&self, req: Request<At>) -> Result<Reply> {
        let store: &Store = self.open().await?;
        if !names_key(&req.fields.path) {
            return missing::no_such_path(&req);
        }
        let remove =
            |key: Option<Key>| Ok((if key.is_some() { Change::Remove } else { Change::Keep }, ()));
        store.change(&*req.storage, &req.fields.path, remove).await?;
        Ok(Reply::empty())
    }
}

fn with_warnings(warnings: impl Iterator<Item = String>) -> Reply {
    warnings.fold(Reply::empty(), Reply::warning)
}
