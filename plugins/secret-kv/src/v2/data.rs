//! `data/…`: reading, writing, patching and deleting secrets.

use boltwork_sdk::{
    Json, Patch, Reply, Request, Result,
    logical::{Data, Error, SecretText},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    At, Versioned,
    cas::Cas,
    config::Settings,
    merge::merge,
    missing::{self, names_key},
    record::VersionFacts,
};
use crate::{
    clock::Time,
    store::{Change, Done, Key, Saved, parse, raw},
};

/// Fields of a read.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ReadFields {
    /// Location of the secret.
    pub path: String,
    /// Number of the version to read; the current one if absent or 0.
    #[serde(default)]
    pub version: Option<i64>,
}

/// Fields of a write or a patch.
#[derive(Deserialize, JsonSchema)]
pub(super) struct WriteFields {
    /// Location of the secret.
    path: String,
    /// The secret: an object that is stored as it comes, or the changes to make to it.
    #[serde(default)]
    data: Patch<Json>,
    /// Options of the write. `cas` is the number of the version that is expected to be the current
    /// one; 0 if the key must not exist.
    #[serde(default)]
    options: Option<Json>,
}

/// A version with its data, as a read shows it.
#[derive(Serialize)]
struct Shown<'a> {
    data: Option<&'a RawValue>,
    metadata: VersionFacts<'a>,
}

impl Versioned {
    pub(super) async fn read_data(&self, req: Request<ReadFields>) -> Result<Reply> {
        self.read_version(&req, req.fields.version, |data, metadata| {
            let found = data.is_some();
            let shown = Shown { data, metadata };
            if found { Ok(Reply::data(shown)) } else { missing::with_data(&req, shown) }
        })
        .await
    }

    /// Finds a version and shows it: with its data, or without if that may not be seen any more.
    pub(super) async fn read_version(
        &self,
        req: &Request<ReadFields>,
        number: Option<i64>,
        show: impl for<'a> Fn(Option<&'a RawValue>, VersionFacts<'a>) -> Result<Reply> + Send,
    ) -> Result<Reply> {
        let store = self.open().await?;
        let path = req.fields.path.as_str();
        if !names_key(path) {
            return missing::no_such_path(req);
        }
        let number = number.and_then(|number| u64::try_from(number).ok()).filter(|&n| n > 0);
        // A second look where the version went away between the two reads.
        for _ in 0..2 {
            let Some(entry) = req.storage.get_ahead(&store.meta_key(path)).await? else {
                return Ok(Reply::not_found());
            };
            let stored = parse(&entry)?;
            let record = &stored.record;
            let number = number.unwrap_or(record.current);
            let Some(version) = record.version(number) else { return Ok(Reply::not_found()) };
            let facts = record.facts(version);
            if !version.is_readable(store.now()) {
                return show(None, facts);
            }
            if number == record.current {
                return show(Some(stored.data.ok_or_else(lost)?), facts);
            }
            if let Some(old) = store.old_data(&*req.storage, path, number).await? {
                let text = std::str::from_utf8(&old.value).map_err(|_| lost())?;
                return show(Some(raw(text)?), facts);
            }
        }
        Err(lost())
    }

    pub(super) async fn write_data(&self, req: Request<WriteFields>) -> Result<Reply> {
        let store = self.open().await?;
        let WriteFields { path, data, options } = &req.fields;
        if !names_key(path) {
            return missing::no_such_path(&req);
        }
        let text = match data {
            Patch::Keep => return Err(Error::invalid("no data provided")),
            Patch::Remove => "null",
            Patch::Set(Json(data)) => data.as_str(),
        };
        let cas = Cas::from_options(options.as_ref())?;
        let settings = store.settings(&*req.storage).await?;
        let now = store.now();
        let done = store.change(&*req.storage, path, |key| {
            let key = key.unwrap_or_else(|| Key::new(now));
            cas.check(&settings, &key.record)?;
            add_version(key, text.into(), now, &settings)
        });
        Ok(written(done.await?))
    }

    pub(super) async fn patch_data(&self, req: Request<WriteFields>) -> Result<Reply> {
        let store = self.open().await?;
        let WriteFields { path, data, options } = &req.fields;
        if !names_key(path) {
            return missing::no_such_path(&req);
        }
        let Patch::Set(Json(patch)) = data else { return Err(Error::invalid("no data provided")) };
        let patch = raw(patch.as_str())?;
        let cas = Cas::from_options(options.as_ref())?;
        let settings = store.settings(&*req.storage).await?;
        let now = store.now();
        let done = store.change(&*req.storage, path, |key| {
            let Some(key) = key else { return Ok((Change::Keep, Patched::NoKey)) };
            cas.check(&settings, &key.record)?;
            let Some(version) = key.record.version(key.record.current) else {
                return Ok((Change::Keep, Patched::NoKey));
            };
            if !version.is_readable(now) {
                return Ok((Change::Keep, Patched::Gone(Data::of(&key.record.facts(version))?)));
            }
            let text = merge(key.data.as_ref().ok_or_else(lost)?.expose(), patch);
            let (change, facts) = add_version(key, text, now, &settings)?;
            Ok((change, Patched::Stored(facts)))
        });
        let Done { answer, leftover } = done.await?;
        match answer {
            Patched::Stored(answer) => Ok(written(Done { answer, leftover })),
            Patched::Gone(facts) => missing::with_data(&req, raw(facts.as_str())?),
            Patched::NoKey => Ok(missing::silent()),
        }
    }

    pub(super) async fn delete_data(&self, req: Request<At>) -> Result<Reply> {
        let store = self.open().await?;
        if !names_key(&req.fields.path) {
            return missing::no_such_path(&req);
        }
        let now = store.now();
        let done = store.change(&*req.storage, &req.fields.path, |key| {
            let Some(mut key) = key else { return Ok((Change::Keep, ())) };
            match key.record.version_mut(key.record.current) {
                Some(version) if version.is_readable(now) => version.deleted = Some(now),
                _ => return Ok((Change::Keep, ())),
            }
            Ok((Change::Save(Saved::only(key)), ()))
        });
        done.await?;
        Ok(Reply::empty())
    }
}

/// What a patch came to.
enum Patched {
    /// A new version, of which this is known.
    Stored(Data),
    /// The current version may not be seen any more; this is known of it.
    Gone(Data),
    /// There is nothing to patch.
    NoKey,
}

/// Makes `text` the current version; the second is what is known of it.
fn add_version(
    key: Key,
    text: SecretText,
    now: Time,
    settings: &Settings,
) -> Result<(Change, Data)> {
    let saved = key.with_version(text, now, settings);
    let record = &saved.key.record;
    let version = record.version(record.current).ok_or_else(lost)?;
    let facts = Data::of(&record.facts(version))?;
    Ok((Change::Save(saved), facts))
}

fn written(done: Done<Data>) -> Reply {
    let reply = Reply::text_of(done.answer);
    match done.leftover {
        Some(warning) => reply.warning(warning),
        None => reply,
    }
}

/// The record speaks of data that is not there.
pub(super) fn lost() -> Error {
    Error::internal("could not find version data")
}
