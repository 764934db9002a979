//! A login finds its entity, or makes it.

use std::{collections::BTreeSet, sync::Arc};

use boltwork_logical::{Alias as LoginAlias, Error};

use super::{
    Change, IdentityStore, Standing,
    checks::{self, fault},
    entry::{Alias, Entity, new_id, timestamp},
    state::State,
};
use crate::mounts::Mount;

/// The mount that an alias belongs to.
#[derive(Clone, Debug)]
pub struct AliasMount {
    /// Its accessor.
    pub accessor: String,
    /// Whether it is local.
    pub local: bool,
}

impl AliasMount {
    /// What an alias needs to know of its mount.
    pub fn of(mount: &Mount) -> Self {
        let accessor = mount.facts.load().accessor.clone();
        Self { accessor, local: mount.entry.load().flags.local }
    }
}

impl IdentityStore {
    /// The entity of whoever logged in at a mount under a name, made if there is none; and whether
    /// it was. Its external groups of this mount are those that the login named.
    ///
    /// A login that brings nothing new touches no storage.
    ///
    /// # Errors
    /// [`Error::Denied`] where the entity is disabled.
    pub async fn log_in(
        self: &Arc<Self>,
        mount: &AliasMount,
        alias: &LoginAlias,
        groups: &[LoginAlias],
    ) -> Result<(Arc<Standing>, bool), Error> {
        if alias.name.is_empty() {
            return Err(fault("missing name in alias"));
        }
        checks::name("the name in the login's alias", &alias.name)?;
        checks::metadata("alias", &alias.metadata)?;
        let known = |state: &State| {
            let entity = state.entity_known_as(&mount.accessor, &alias.name)?;
            Some((Arc::clone(entity), updated(state, entity, mount, alias, groups)))
        };
        let found = known(&self.state());
        if let Some((entity, None)) = found {
            return Ok((self.admitted(&entity)?, false));
        }
        let turn = self.turn().await;
        // Somebody else may have been faster.
        let found = known(&self.state());
        let (entity, is_new) = match found {
            Some((entity, None)) => return Ok((self.admitted(&entity)?, false)),
            Some((entity, _)) if entity.disabled => return Err(Error::Denied),
            Some((_, Some(changed))) => (changed, false),
            None => (newcomer(&self.state(), mount, alias, groups), true),
        };
        let id = entity.id.clone();
        self.commit(turn, Change::entity(entity)).await?;
        // It may have been deleted since.
        Ok((self.standing(&id).ok_or(Error::Denied)?, is_new))
    }

    /// Gives an entity the external groups of a mount that a renewed login names.
    pub async fn refresh_groups(
        self: &Arc<Self>,
        entity_id: &str,
        mount: &AliasMount,
        groups: &[LoginAlias],
    ) -> Result<(), Error> {
        let changed = |state: &State| {
            let entity = state.living(entity_id)?;
            let external = external_groups(state, entity, &mount.accessor, groups);
            (external != entity.external_group_ids)
                .then(|| Entity { external_group_ids: external, ..Entity::clone(entity) })
        };
        if changed(&self.state()).is_none() {
            return Ok(());
        }
        let turn = self.turn().await;
        let entity = changed(&self.state());
        match entity {
            Some(entity) => self.commit(turn, Change::entity(entity)).await,
            None => Ok(()),
        }
    }

    fn admitted(&self, entity: &Entity) -> Result<Arc<Standing>, Error> {
        let standing = self.standing(&entity.id).ok_or(Error::Denied)?;
        if standing.entity.disabled { Err(Error::Denied) } else { Ok(standing) }
    }
}

/// The entity as this login leaves it; `None` if that is as it was.
fn updated(
    state: &State,
    entity: &Entity,
    mount: &AliasMount,
    login: &LoginAlias,
    groups: &[LoginAlias],
) -> Option<Entity> {
    let external = external_groups(state, entity, &mount.accessor, groups);
    let at = entity.aliases.iter().position(|alias| alias.mount_accessor == mount.accessor)?;
    let same_facts = match &entity.aliases[at].metadata {
        Some(facts) => *facts == login.metadata,
        None => login.metadata.is_empty(),
    };
    if same_facts && external == entity.external_group_ids {
        return None;
    }
    let mut entity = Entity { external_group_ids: external, ..entity.clone() };
    if !same_facts {
        let alias = &mut entity.aliases[at];
        alias.metadata = (!login.metadata.is_empty()).then(|| login.metadata.clone());
        alias.last_update_time = timestamp();
    }
    Some(entity)
}

fn newcomer(
    state: &State,
    mount: &AliasMount,
    login: &LoginAlias,
    groups: &[LoginAlias],
) -> Entity {
    let now = timestamp();
    let id = new_id();
    let alias = Alias {
        metadata: (!login.metadata.is_empty()).then(|| login.metadata.clone()),
        local: mount.local,
        ..Alias::new(&id, &mount.accessor, &login.name)
    };
    let mut entity = Entity {
        id,
        name: state.free_entity_name(),
        aliases: vec![alias],
        creation_time: now.clone(),
        last_update_time: now,
        ..Entity::default()
    };
    entity.external_group_ids = external_groups(state, &entity, &mount.accessor, groups);
    entity
}

/// The external groups of an entity after it logged in at a mount: those that the login names, and
/// what other mounts say stays.
fn external_groups(
    state: &State,
    entity: &Entity,
    accessor: &str,
    named: &[LoginAlias],
) -> BTreeSet<String> {
    let of_other_mounts = |id: &&String| {
        let alias = state.group(id).and_then(|group| group.alias.as_ref());
        alias.is_some_and(|alias| alias.mount_accessor != accessor)
    };
    let kept = entity.external_group_ids.iter().filter(of_other_mounts).cloned();
    let named = named.iter().filter_map(|alias| state.group_known_as(accessor, &alias.name));
    kept.chain(named.map(|group| group.id.clone())).collect()
}
