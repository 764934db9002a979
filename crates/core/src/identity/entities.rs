//! Entities as operators write and delete them.

use std::{collections::BTreeSet, sync::Arc};

use boltwork_logical::Error;

use super::{
    Change, IdentityStore, checks,
    entry::{Entity, Group, Metadata, new_id, timestamp},
    state::State,
};

/// What an operator wants of an entity. What is absent stays.
#[derive(Default)]
pub struct EntityWish {
    /// The entity; empty to find or make it by its name.
    pub id: String,
    /// Its name, or new name; empty for the one that it has, or one that is made.
    pub name: String,
    /// Facts.
    pub metadata: Option<Metadata>,
    /// Policies.
    pub policies: Option<Vec<String>>,
    /// Whether it may do nothing.
    pub disabled: Option<bool>,
}

impl State {
    /// A name that no entity has.
    pub fn free_entity_name(&self) -> String {
        loop {
            let name = format!("entity_{:08x}.root", rand::random::<u32>());
            if self.entity_named(&name).is_none() {
                return name;
            }
        }
    }

    fn entity_wished_for(&self, wish: &EntityWish) -> Result<Entity, Error> {
        let by_id = match wish.id.as_str() {
            "" => None,
            id => {
                let found = self.entity(id);
                Some(found.ok_or_else(|| Error::invalid("entity not found from id"))?)
            }
        };
        let by_name = self.entity_named(&wish.name);
        match (by_id, by_name) {
            (Some(one), Some(other)) if one.id != other.id => {
                Err(Error::invalid("entity name is already in use"))
            }
            (Some(found), _) | (None, Some(found)) => Ok(Entity::clone(found)),
            (None, None) => Ok(Entity::default()),
        }
    }

    /// The internal groups that an entity is in, without it.
    pub(super) fn groups_without(&self, entities: &BTreeSet<&str>) -> Vec<Group> {
        let ids: BTreeSet<String> =
            entities.iter().flat_map(|id| self.internal_groups_of(id)).collect();
        let without = |id: &String| {
            let mut group = Group::clone(self.group(id)?);
            group.member_entity_ids.retain(|member| !entities.contains(member.as_str()));
            group.modify_index += 1;
            Some(group)
        };
        ids.iter().filter_map(without).collect()
    }
}

impl IdentityStore {
    /// Makes or changes an entity. The entity, if it was made.
    pub async fn write_entity(self: &Arc<Self>, wish: EntityWish) -> Result<Option<Entity>, Error> {
        checks::name("the name", &wish.name)?;
        let turn = self.turn().await;
        let mut entity = self.state().entity_wished_for(&wish)?;
        let is_new = entity.id.is_empty();
        if !wish.name.is_empty() {
            entity.name = wish.name;
        }
        if let Some(names) = &wish.policies {
            entity.policies = checks::policies(names)?;
        }
        entity.disabled = wish.disabled.unwrap_or(entity.disabled);
        if let Some(facts) = wish.metadata {
            checks::metadata("entity", &facts)?;
            entity.metadata = facts;
        }
        entity.last_update_time = timestamp();
        if is_new {
            entity.id = new_id();
            entity.creation_time.clone_from(&entity.last_update_time);
        }
        if entity.name.is_empty() {
            entity.name = self.state().free_entity_name();
        }
        let made = is_new.then(|| entity.clone());
        self.commit(turn, Change::entity(entity)).await?;
        Ok(made)
    }

    /// Deletes entities; those that are not there are gone already. Their tokens are worth nothing
    /// from then on.
    pub async fn delete_entities(self: &Arc<Self>, ids: &[String]) -> Result<(), Error> {
        let turn = self.turn().await;
        let change = {
            let state = self.state();
            let there: BTreeSet<&str> =
                ids.iter().map(String::as_str).filter(|id| state.entity(id).is_some()).collect();
            if there.is_empty() {
                return Ok(());
            }
            Change {
                groups: state.groups_without(&there),
                gone_entities: there.into_iter().map(str::to_owned).collect(),
                ..Change::default()
            }
        };
        self.commit(turn, change).await
    }

    /// Deletes the entity of this name, if there is one.
    pub async fn delete_entity_named(self: &Arc<Self>, name: &str) -> Result<(), Error> {
        let id = self.state().entity_named(name).map(|entity| entity.id.clone());
        match id {
            Some(id) => self.delete_entities(&[id]).await,
            None => Ok(()),
        }
    }
}
