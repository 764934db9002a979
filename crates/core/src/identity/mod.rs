//! Who callers are, beyond their tokens: entities, their aliases at auth mounts, and groups.
//!
//! Everything is stored below the mount `identity/`, one entry for an entity or group, and read into
//! memory at unseal: no request touches storage for it. A change is stored as a whole, then applied
//! in memory as a whole, then acknowledged. Existing tokens feel it with their next request.
//!
//! Left out: what the API looks like (`backends/identity`), identity tokens and OIDC, MFA.

mod aliases;
mod checks;
mod entities;
mod entry;
mod group_aliases;
mod groups;
mod login;
mod merge;
mod standing;
mod state;

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use boltwork_logical::{Entry, Error, Storage};
use futures_util::stream::{self, StreamExt as _};
use parking_lot::{RwLock, RwLockReadGuard};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::OwnedMutexGuard;

pub use aliases::AliasWish;
pub use entities::EntityWish;
pub use entry::{Alias, Entity, Group, Metadata};
pub use group_aliases::GroupAliasWish;
pub use groups::GroupWish;
pub use login::AliasMount;
pub use merge::{Merge, Merged};
pub use standing::Standing;
pub use state::State;

/// Most entities whose standing is kept; beyond it they are made anew.
const MAX_STANDINGS: usize = 16_384;

/// How many entries are read at the same time at unseal.
const READS_AT_ONCE: usize = 32;

/// The identity store of an unsealed server.
#[derive(Default)]
pub struct IdentityStore {
    /// Below `identity/`; none before the server has mounts.
    storage: OnceLock<Arc<dyn Storage>>,
    state: RwLock<State>,
    /// By the entity's id that a token names. Taken after `state`, never before.
    standings: RwLock<HashMap<String, Arc<Standing>>>,
    /// One change at a time.
    writing: Arc<tokio::sync::Mutex<()>>,
}

/// The right to change something; held until the change is stored and applied.
pub struct Turn(OwnedMutexGuard<()>);

/// What is to be stored, all at once.
#[derive(Default)]
struct Change {
    entities: Vec<Entity>,
    gone_entities: Vec<String>,
    groups: Vec<Group>,
    gone_groups: Vec<String>,
}

impl Change {
    fn entity(entity: Entity) -> Self {
        Self { entities: vec![entity], ..Self::default() }
    }

    fn touches_groups(&self) -> bool {
        !self.groups.is_empty() || !self.gone_groups.is_empty()
    }
}

impl IdentityStore {
    /// Reads everything that is stored.
    pub async fn load(storage: Arc<dyn Storage>) -> Result<Arc<Self>, Error> {
        let mut state = State::default();
        read_all(&*storage, "entity/", |entity| state.put_entity(entity)).await?;
        read_all(&*storage, "group/", |group| state.put_group(group)).await?;
        let this = Self { state: RwLock::new(state), ..Self::default() };
        // Nobody else has it yet.
        let _ = this.storage.set(storage);
        Ok(Arc::new(this))
    }

    /// Everything there is, at this moment. Not to be held across an await.
    pub fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read()
    }

    /// What the entity that a token names comes to; `None` if it is gone.
    pub fn standing(&self, entity_id: &str) -> Option<Arc<Standing>> {
        if let Some(known) = self.standings.read().get(entity_id) {
            return Some(Arc::clone(known));
        }
        // Kept while the state cannot change, so that no change is missed.
        let state = self.state.read();
        let standing = Arc::new(Standing::new(&state, state.living(entity_id)?));
        let mut known = self.standings.write();
        if known.len() >= MAX_STANDINGS {
            known.clear();
        }
        Some(Arc::clone(known.entry(entity_id.to_owned()).or_insert(standing)))
    }

    /// Policies that a token has by way of its entity.
    pub fn policies_of(&self, entity_id: &str) -> Vec<String> {
        match entity_id {
            "" => Vec::new(),
            id => self.standing(id).map(|who| who.policies.clone()).unwrap_or_default(),
        }
    }

    /// Waits for its turn to change something.
    async fn turn(&self) -> Turn {
        Turn(Arc::clone(&self.writing).lock_owned().await)
    }

    /// Stores a change and applies it, even if the caller goes away meanwhile: what is stored and
    /// what is in memory must not part.
    async fn commit(self: &Arc<Self>, turn: Turn, change: Change) -> Result<(), Error> {
        let this = Arc::clone(self);
        let work = tokio::spawn(async move {
            this.store(&change).await?;
            this.apply(change);
            drop(turn.0);
            Ok(())
        });
        work.await.unwrap_or_else(|_| Err(Error::internal("changing an identity failed")))
    }

    async fn store(&self, change: &Change) -> Result<(), Error> {
        let storage = self.storage.get().ok_or(Error::Sealed)?;
        let tx = storage.begin(false).await?;
        for entity in &change.entities {
            tx.put(entry("entity", &entity.id, entity)?).await?;
        }
        for id in &change.gone_entities {
            tx.delete(&format!("entity/{id}")).await?;
        }
        for group in &change.groups {
            tx.put(entry("group", &group.id, group)?).await?;
        }
        for id in &change.gone_groups {
            tx.delete(&format!("group/{id}")).await?;
        }
        Ok(tx.commit().await?)
    }

    fn apply(&self, change: Change) {
        let mut state = self.state.write();
        let mut standings = self.standings.write();
        if change.touches_groups() || !change.gone_entities.is_empty() {
            standings.clear();
        }
        for id in &change.gone_entities {
            state.remove_entity(id);
        }
        for id in &change.gone_groups {
            state.remove_group(id);
        }
        for entity in change.entities {
            standings.remove(&entity.id);
            for merged in &entity.merged_entity_ids {
                standings.remove(merged);
            }
            state.put_entity(entity);
        }
        for group in change.groups {
            state.put_group(group);
        }
    }
}

/// Reads everything in a folder, some of it at the same time.
async fn read_all<T: DeserializeOwned>(
    storage: &dyn Storage,
    folder: &str,
    mut take: impl FnMut(T),
) -> Result<(), Error> {
    let keys = storage.list(folder).await?;
    let read = |id: String| async move {
        let key = format!("{folder}{id}");
        let Some(entry) = storage.get(&key).await? else { return Ok(None) };
        let read = serde_json::from_slice(&entry.value);
        let broken = |_| Error::internal(format!("stored identity/{key} is not valid JSON"));
        read.map(Some).map_err(broken)
    };
    let mut entries = stream::iter(keys).map(read).buffered(READS_AT_ONCE);
    while let Some(entry) = entries.next().await {
        if let Some(entry) = entry? {
            take(entry);
        }
    }
    Ok(())
}

fn entry(folder: &str, id: &str, value: &impl Serialize) -> Result<Entry, Error> {
    let json = serde_json::to_vec(value).map_err(|e| Error::internal(e.to_string()))?;
    Ok(Entry::new(format!("{folder}/{id}"), json))
}
