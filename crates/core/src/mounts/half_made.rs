//! Notes of mounts that are being made, in storage, so that nothing stays of one that was not
//! finished: below `core/half-made/`, one entry for the storage of each.
//!
//! A note goes away in the step that writes the mount into its table. One that is found at unseal
//! tells that the server ended in between, or could not clear up; then that is done.
//!
//! Left out: mounts that are being removed; their entries in the table say so.

use std::sync::{Arc, Weak};

use boltwork_logical::{Entry, Error, Storage};

use super::{Table, mount::Mount, table::Mounts};
use crate::tokens::clear;

/// Where the notes are, below `core/`.
const FOLDER: &str = "half-made/";

/// The key of a mount's note.
pub(super) fn note_of(mount: &Mount) -> String {
    format!("{FOLDER}{}/{}", mount.table.folder(), mount.entry.load().uuid)
}

/// The storage, as a prefix, of every mount that was not finished.
pub(super) async fn find(core: &dyn Storage) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for table in [Table::Secret, Table::Auth] {
        let folder = table.folder();
        for uuid in core.list(&format!("{FOLDER}{folder}/")).await? {
            found.push(format!("{folder}/{uuid}/"));
        }
    }
    Ok(found)
}

impl Mounts {
    /// Notes that a mount is being made. From now on it may store something.
    pub(super) async fn note(&self, mount: &Mount) -> Result<(), Error> {
        self.core.put(Entry::new(note_of(mount), "{}")).await.map_err(|error| {
            Error::unavailable(format!(
                "the new {} could not be written down, nothing was changed: {error}",
                mount.table.noun()
            ))
        })
    }

    /// Removes all that a mount has stored which will not be finished, then its note. What fails
    /// here is done after the next unseal.
    pub(super) async fn clear_up(&self, mount: &Mount) {
        let cleared = async {
            clear(mount.storage.as_ref(), "").await?;
            self.core.delete(&note_of(mount)).await.map_err(Error::from)
        };
        if let Err(error) = cleared.await {
            tracing::error!(
                mount = mount.point(),
                %error,
                "what a failed mount stored could not be removed; that is tried again after the \
                 next unseal"
            );
        }
    }

    /// Does the same, in the background, for what an earlier life of the server left.
    pub(super) fn clear_up_leftovers(self: &Arc<Self>) {
        let leftovers = std::mem::take(&mut *self.leftovers.lock());
        if leftovers.is_empty() {
            return;
        }
        let mounts = Arc::downgrade(self);
        tokio::spawn(async move {
            for prefix in leftovers {
                if let Err(error) = clear_leftover(&mounts, &prefix).await {
                    tracing::error!(
                        storage = prefix,
                        %error,
                        "what a mount stored that was never finished could not be removed; that is \
                         tried again after the next unseal"
                    );
                }
            }
        });
    }
}

async fn clear_leftover(mounts: &Weak<Mounts>, prefix: &str) -> Result<(), Error> {
    let mounts = mounts.upgrade().ok_or(Error::Sealed)?;
    clear((mounts.views)(prefix).as_ref(), "").await?;
    Ok(mounts.core.delete(&format!("{FOLDER}{}", prefix.trim_end_matches('/'))).await?)
}
