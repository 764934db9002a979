//! Aliases of entities as operators write and delete them.

use std::sync::Arc;

use boltwork_logical::Error;

use super::{
    Change, IdentityStore, checks,
    entry::{Alias, Entity, Metadata, new_id, timestamp},
    login::AliasMount,
    state::State,
};

/// What an operator wants of an alias.
#[derive(Default)]
pub struct AliasWish {
    /// The alias; empty to find or make it by mount and name.
    pub id: String,
    /// Its name; empty for the one that it has.
    pub name: String,
    /// The accessor as it was given; empty for the one that it has.
    pub mount_accessor: String,
    /// The entity; empty for the one that it has, or one that is made.
    pub canonical_id: String,
    /// Facts.
    pub custom_metadata: Option<Metadata>,
}

/// Finds the mount with an accessor.
pub type FindMount<'a> = &'a (dyn Fn(&str) -> Option<AliasMount> + Send + Sync);

fn no_mount(accessor: &str) -> Error {
    Error::invalid(format!("invalid mount accessor {accessor:?}"))
}

/// What a write comes to: the entities to be stored, and the ids to be answered with.
struct Planned {
    entities: Vec<Entity>,
    ids: (String, String),
}

impl IdentityStore {
    /// Makes or changes an alias. Its id and its entity's, unless nothing was to be done.
    pub async fn write_alias(
        self: &Arc<Self>,
        wish: AliasWish,
        mounts: FindMount<'_>,
    ) -> Result<Option<(String, String)>, Error> {
        checks::name("the name", &wish.name)?;
        if let Some(facts) = &wish.custom_metadata {
            checks::custom_metadata(facts)?;
        }
        let turn = self.turn().await;
        let planned = plan(&self.state(), wish, mounts)?;
        let Some(Planned { entities, ids }) = planned else { return Ok(None) };
        self.commit(turn, Change { entities, ..Change::default() }).await?;
        Ok(Some(ids))
    }

    /// Deletes an alias, if there is one with this id. Its entity stays.
    pub async fn delete_alias(self: &Arc<Self>, id: &str) -> Result<(), Error> {
        let turn = self.turn().await;
        let entity = self.state().entity_of_alias(id).cloned();
        let Some(entity) = entity else { return Ok(()) };
        let mut entity = Entity::clone(&entity);
        entity.aliases.retain(|alias| alias.id != id);
        self.commit(turn, Change::entity(entity)).await
    }
}

fn plan(
    state: &State,
    mut wish: AliasWish,
    mounts: FindMount<'_>,
) -> Result<Option<Planned>, Error> {
    if !wish.id.is_empty() {
        let entity = state.entity_of_alias(&wish.id);
        let entity = entity.ok_or_else(|| Error::invalid("invalid alias ID provided"))?;
        let alias = alias_of(entity, |alias| alias.id == wish.id)?;
        if wish.name.is_empty() {
            wish.name.clone_from(&alias.name);
        }
        if wish.mount_accessor.is_empty() {
            wish.mount_accessor.clone_from(&alias.mount_accessor);
        }
        if wish.custom_metadata.is_none() {
            wish.custom_metadata.clone_from(&alias.custom_metadata);
        }
        return change(state, entity, alias, &wish, mounts);
    }
    if wish.mount_accessor.is_empty() || wish.name.is_empty() {
        return Err(Error::invalid("'id' or 'mount_accessor' and 'name' must be provided"));
    }
    let mount = mounts(&wish.mount_accessor).ok_or_else(|| no_mount(&wish.mount_accessor))?;
    // As in Vault: whoever names no facts here wants none.
    wish.custom_metadata.get_or_insert_default();
    match state.entity_known_as(&mount.accessor, &wish.name) {
        Some(entity) => {
            let alias = alias_of(entity, |alias| alias.mount_accessor == mount.accessor)?;
            change(state, entity, alias, &wish, mounts)
        }
        None => make(state, &wish, &mount).map(Some),
    }
}

fn alias_of(entity: &Entity, is_it: impl Fn(&Alias) -> bool) -> Result<&Alias, Error> {
    let found = entity.aliases.iter().find(|alias| is_it(alias));
    found.ok_or_else(|| Error::internal("given alias is not associated with an entity"))
}

fn make(state: &State, wish: &AliasWish, mount: &AliasMount) -> Result<Planned, Error> {
    let mut entity = match wish.canonical_id.as_str() {
        "" => {
            let now = timestamp();
            Entity {
                id: new_id(),
                name: state.free_entity_name(),
                creation_time: now.clone(),
                last_update_time: now,
                ..Entity::default()
            }
        }
        id => {
            let entity = state.entity(id).ok_or_else(|| Error::invalid("invalid canonical ID"))?;
            Entity::clone(entity)
        }
    };
    if entity.aliases.iter().any(|alias| alias.mount_accessor == mount.accessor) {
        return Err(Error::invalid("Alias already exists for requested entity and mount accessor"));
    }
    let alias = Alias {
        custom_metadata: wish.custom_metadata.clone(),
        local: mount.local,
        ..Alias::new(&entity.id, &mount.accessor, &wish.name)
    };
    let ids = (alias.id.clone(), entity.id.clone());
    entity.aliases.push(alias);
    Ok(Planned { entities: vec![entity], ids })
}

/// A change of an alias: its name, its mount, its facts, or whose it is.
fn change(
    state: &State,
    current: &Entity,
    alias: &Alias,
    wish: &AliasWish,
    mounts: FindMount<'_>,
) -> Result<Option<Planned>, Error> {
    let moves = !wish.canonical_id.is_empty() && wish.canonical_id != current.id;
    let same_facts = facts(&wish.custom_metadata) == facts(&alias.custom_metadata);
    let remounts = wish.mount_accessor != alias.mount_accessor;
    if wish.name == alias.name && !remounts && same_facts && !moves {
        return Ok(None);
    }
    let has = |entity: &Entity| {
        entity.aliases.iter().any(|other| other.mount_accessor == wish.mount_accessor)
    };
    if remounts && !moves && has(current) {
        return Err(Error::invalid(
            "Alias cannot be updated as the entity already has an alias for the given \
             'mount_accessor' ",
        ));
    }
    let mount = mounts(&wish.mount_accessor).ok_or_else(|| no_mount(&wish.mount_accessor))?;
    let holder = state.entity_known_as(&mount.accessor, &wish.name);
    if holder.is_some_and(|e| {
        e.aliases.iter().any(|a| a.mount_accessor == mount.accessor && a.id != alias.id)
    }) {
        return Err(Error::invalid(
            "alias with combination of mount accessor and name already exists",
        ));
    }
    let mut changed = Alias {
        name: wish.name.clone(),
        mount_accessor: mount.accessor.clone(),
        custom_metadata: wish.custom_metadata.clone(),
        last_update_time: timestamp(),
        ..alias.clone()
    };
    let mut current = current.clone();
    if !moves {
        let ids = (changed.id.clone(), current.id.clone());
        current
            .aliases
            .iter_mut()
            .filter(|a| a.id == changed.id)
            .for_each(|a| *a = changed.clone());
        return Ok(Some(Planned { entities: vec![current], ids }));
    }
    if mount.local {
        return Err(Error::invalid("local aliases can't be moved between entities"));
    }
    let target = state
        .entity(&wish.canonical_id)
        .ok_or_else(|| Error::invalid("given 'canonical_id' is not associated with an entity"))?;
    if has(target) {
        return Err(Error::invalid(
            "Alias cannot be updated as the given entity already has an alias for this mount ",
        ));
    }
    let mut target = Entity::clone(target);
    changed.canonical_id.clone_from(&target.id);
    let ids = (changed.id.clone(), target.id.clone());
    current.aliases.retain(|a| a.id != changed.id);
    target.aliases.push(changed);
    // The one that loses it first: both are indexed by it.
    Ok(Some(Planned { entities: vec![current, target], ids }))
}

fn facts(given: &Option<Metadata>) -> Option<&Metadata> {
    given.as_ref().filter(|facts| !facts.is_empty())
}
