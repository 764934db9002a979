//! Version 2: every write makes a new version, and old ones can be read, deleted, brought back and
//! destroyed.
//!
//! This file holds the engine and its table; the handlers are in one file per family of paths.

mod cas;
pub mod config;
mod custom;
mod data;
pub mod lists;
mod merge;
mod metadata;
mod missing;
pub mod record;
mod subkeys;
mod versions;

use std::sync::{Arc, Mutex, PoisonError};

use boltwork_sdk::{
    Changed, Engine, Path, Reply, Request, Result, Routes, logical::Operation, path,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    VERSION,
    store::Store,
    upgrade::{self, Gate},
};

/// The engine of one mount of version 2.
pub struct Versioned {
    store: Arc<Store>,
    gate: Arc<Gate>,
    /// The upgrade that is under way.
    upgrade: Mutex<Option<tokio::task::AbortHandle>>,
}

/// Fields of paths that only need to know the key.
#[derive(Deserialize, JsonSchema)]
struct At {
    /// Location of the secret.
    path: String,
}

/// Where [`Store::meta_key`] puts a key.
const KEYS: &str = "{mount_uuid}/meta/";

impl Versioned {
    /// The engine over a store; the gate says whether data of version 1 waits to be upgraded.
    pub fn new(store: Arc<Store>, gate: Arc<Gate>) -> Self {
        Self { store, gate, upgrade: Mutex::new(None) }
    }

    /// The store, once no upgrade is under way.
    async fn open(&self) -> Result<&Store> {
        self.gate.pass().await?;
        Ok(&self.store)
    }

    async fn initialize(&self, req: Request) -> Result<Reply> {
        if self.gate.is_closed() {
            let (store, gate) = (Arc::clone(&self.store), Arc::clone(&self.gate));
            let task = tokio::spawn(upgrade::run(store, gate, Arc::clone(&req.storage)));
            *self.running() = Some(task.abort_handle());
        }
        Ok(Reply::empty())
    }

    async fn cleanup(&self, _: Request) -> Result<Reply> {
        if let Some(task) = self.running().take() {
            task.abort();
        }
        Ok(Reply::empty())
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Option<tokio::task::AbortHandle>> {
        self.upgrade.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn invalidate(&self, req: Request<Changed>) -> Result<Reply> {
        if req.fields.key == self.store.settings_key() {
            self.store.settings.forget();
        }
        Ok(Reply::empty())
    }

    /// Whether there is a key: decides between create and update.
    async fn key_exists(&self, req: Request<At>) -> Result<bool> {
        Ok(self.store.entry(&*req.storage, &req.fields.path).await?.is_some())
    }
}

impl Engine for Versioned {
    fn routes() -> Routes<Self> {
        Routes::new([
            path("config")
                .help("Settings of the mount, which apply to every key.")
                .details(CONFIG)
                .read(Self::read_config)
                .write(Self::write_config),
            path("data/{path...}")
                .help("Write, patch, read and delete secrets.")
                .details(DATA)
                .read(Self::read_data)
                .write(Self::write_data)
                .patch(Self::patch_data)
                .delete(Self::delete_data)
                .exists(Self::key_exists),
            path("delete/{path...}")
                .help("Mark versions of a secret as deleted.")
                .details(DELETE)
                .write(Self::delete_versions),
            path("undelete/{path...}")
                .help("Bring deleted versions of a secret back.")
                .details(UNDELETE)
                .write(Self::undelete_versions),
            path("destroy/{path...}")
                .help("Remove the data of versions for good.")
                .details(DESTROY)
                .write(Self::destroy_versions),
            path("subkeys/{path...}")
                .help("The structure of a secret, without its values.")
                .details(SUBKEYS)
                .read(Self::read_subkeys),
        ])
        .with(Self::metadata_routes())
        .with([path("{path...}")
            .help("Anything else: an answer that says which paths there are.")
            .details(ELSEWHERE)
            .any_input()
            .on(&EVERYTHING, Self::elsewhere)])
        .help(HELP)
        .version(VERSION)
        .seal_wrap(["*"])
        .read_ahead("data/", KEYS)
        .read_ahead("subkeys/", KEYS)
        .read_ahead("metadata/", KEYS)
        .initialize(Self::initialize)
        .invalidate(Self::invalidate)
        .cleanup(Self::cleanup)
    }
}

impl Versioned {
    fn metadata_routes() -> [Path<Self>; 2] {
        [
            path("metadata/{path...}")
                .help("List keys, read and write what is known of a key, remove it altogether.")
                .details(METADATA)
                .read(Self::read_metadata)
                .write(Self::write_metadata)
                .patch(Self::patch_metadata)
                .delete(Self::delete_metadata)
                .list(Self::list_keys)
                .scan(Self::scan_keys)
                .exists(Self::key_exists),
            path("detailed-metadata/{path...}")
                .help("List keys together with what is known of each.")
                .details(DETAILED)
                .list(Self::list_details)
                .scan(Self::scan_details),
        ]
    }
}

/// What a client may try on a path that does not exist.
const EVERYTHING: [Operation; 7] = [
    Operation::Create,
    Operation::Read,
    Operation::Update,
    Operation::Patch,
    Operation::Delete,
    Operation::List,
    Operation::Scan,
];

const HELP: &str = "\
Keeps secrets, and their history: every write makes a new version of a secret, and a number of old
versions is kept. A version can be read by its number, deleted in such a way that it can be brought
back, and destroyed for good. Secrets are encrypted by the server before they reach storage.";

const CONFIG: &str = "\
Reads and writes the settings that apply to every key of this mount. A key may ask for more versions
(metadata/<path>), for a shorter life of its versions, and to be written with check-and-set only.
Settings that are not sent stay as they are.";

const DATA: &str = "\
A write stores the object `data` as a new version. With the option `cas` it is only accepted if the
current version has this number; 0 stands for a key that does not exist.

A patch changes the current version by a JSON merge patch (RFC 7396): members that are null are
removed, objects are merged, everything else is replaced. The result is stored as a new version. The
current version must be neither deleted nor destroyed.

A read answers with the current version, or with the one of the number `version`.

A delete marks the current version as deleted; undelete/<path> brings it back.";

const DELETE: &str = "\
Marks the given versions as deleted: they are not read any more, but their data is kept, and
undelete/<path> brings them back.";

const UNDELETE: &str = "\
Brings deleted versions back. Where versions are deleted after some time, that time starts anew.
Destroyed versions stay destroyed.";

const DESTROY: &str = "\
Removes the data of the given versions. It cannot be brought back; that there were such versions
stays known.";

const SUBKEYS: &str = "\
Answers with the keys of the secret and of the objects in it, with null in the place of every value
and of every empty object. Beyond `depth`, objects count as values too; 0 is no limit. Without
`version` it is the current one.";

const METADATA: &str = "\
A read shows the versions of a key, their times, and the key's settings. A write changes settings,
and makes the key if there is none: how many versions are kept, whether a write must name the version
that it expects, after which time versions count as deleted, and custom_metadata, free text of yours.
A patch does the same to an existing key and, in custom_metadata, only to the members it names.

A delete removes the key with all its versions. It cannot be brought back.

A list shows the keys and folders directly below a path; a scan shows all keys below it.";

const DETAILED: &str = "\
The same lists as on metadata/<path>, with the metadata of every key beside it in key_info.";

const ELSEWHERE: &str = "\
Secrets of this engine are not at the root of the mount: the secret `app/db` is read and written at
data/app/db, and listed at metadata/app. Command line tools put these words in for you.";
