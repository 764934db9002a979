//! Names of external groups at auth mounts, as operators write and delete them.

use std::sync::Arc;

use boltwork_logical::Error;

use super::{
    Change, IdentityStore,
    aliases::FindMount,
    checks,
    entry::{Alias, Group, GroupKind, timestamp},
    state::State,
};

/// What an operator wants of a group's alias.
#[derive(Default)]
pub struct GroupAliasWish {
    /// The alias; `None` to make one.
    pub id: Option<String>,
    /// Its name at the mount.
    pub name: String,
    /// Accessor of the mount.
    pub mount_accessor: String,
    /// The group; empty for the one that it has, or one that is made.
    pub canonical_id: String,
}

impl IdentityStore {
    /// Makes or changes the alias of a group. Its id and the group's, unless nothing was to be done.
    pub async fn write_group_alias(
        self: &Arc<Self>,
        wish: GroupAliasWish,
        mounts: FindMount<'_>,
    ) -> Result<Option<(String, String)>, Error> {
        checks::name("the name", &wish.name)?;
        let turn = self.turn().await;
        let planned = plan(&self.state(), &wish, mounts)?;
        let Some((groups, ids)) = planned else { return Ok(None) };
        self.commit(turn, Change { groups, ..Change::default() }).await?;
        Ok(Some(ids))
    }

    /// Deletes the alias of a group, if there is one with this id. The group stays, and those who
    /// are in it until they log in again.
    pub async fn delete_group_alias(self: &Arc<Self>, id: &str) -> Result<(), Error> {
        let turn = self.turn().await;
        let group = {
            let state = self.state();
            let Some(group) = state.group_of_alias(id) else { return Ok(()) };
            let mut group = Group::clone(group);
            group.alias = None;
            group.touch(&state);
            group
        };
        self.commit(turn, Change { groups: vec![group], ..Change::default() }).await
    }
}

type Planned = (Vec<Group>, (String, String));

fn plan(
    state: &State,
    wish: &GroupAliasWish,
    mounts: FindMount<'_>,
) -> Result<Option<Planned>, Error> {
    let invalid = |text: String| Err(Error::invalid(text));
    let previous = match wish.id.as_deref() {
        Some("") => return invalid("empty group alias ID".to_owned()),
        Some(id) => match state.group_of_alias(id) {
            Some(group) => Some(group),
            None => return invalid("invalid group alias ID".to_owned()),
        },
        None => None,
    };
    let old = previous.and_then(|group| group.alias.as_ref());
    if wish.name.is_empty() {
        return invalid("missing alias name".to_owned());
    }
    let accessor = &wish.mount_accessor;
    if accessor.is_empty() {
        return invalid("missing mount_accessor".to_owned());
    }
    let stays = |alias: &Alias| {
        alias.name == wish.name
            && alias.mount_accessor == *accessor
            && (wish.canonical_id.is_empty() || alias.canonical_id == wish.canonical_id)
    };
    if old.is_some_and(stays) {
        return Ok(None);
    }
    let target = match wish.canonical_id.as_str() {
        "" => previous,
        id => match state.group(id) {
            None => return invalid("invalid group ID given in 'canonical_id'".to_owned()),
            Some(group) if group.kind != GroupKind::External => {
                return invalid("alias can't be set on an internal group".to_owned());
            }
            Some(group) => Some(group),
        },
    };
    let Some(mount) = mounts(accessor) else {
        return invalid(format!("invalid mount accessor {accessor:?}"));
    };
    if mount.local {
        return invalid(format!("mount accessor {accessor:?} is a local mount"));
    }
    let holder = state.group_known_as(&mount.accessor, &wish.name).and_then(|g| g.alias.as_ref());
    if holder.is_some_and(|alias| old.is_none_or(|old| old.id != alias.id)) {
        return invalid("combination of mount and group alias name is already in use".to_owned());
    }
    let target = match target {
        Some(group) => Group::clone(group),
        None => Group { kind: GroupKind::External, ..Group::default() },
    };
    Ok(Some(placed(state, wish, previous, target)))
}

/// The group with its alias, and the one that loses it.
fn placed(
    state: &State,
    wish: &GroupAliasWish,
    previous: Option<&Arc<Group>>,
    mut target: Group,
) -> Planned {
    target.touch(state);
    let old = previous.and_then(|group| group.alias.clone());
    let alias = Alias {
        name: wish.name.clone(),
        mount_accessor: wish.mount_accessor.clone(),
        canonical_id: target.id.clone(),
        last_update_time: timestamp(),
        ..old.unwrap_or_else(|| Alias::new(&target.id, &wish.mount_accessor, &wish.name))
    };
    let ids = (alias.id.clone(), target.id.clone());
    target.alias = Some(alias);
    let mut groups = Vec::new();
    // The one that loses it first: both are indexed by it.
    if let Some(loser) = previous.filter(|group| group.id != target.id) {
        let mut loser = Group::clone(loser);
        loser.alias = None;
        loser.touch(state);
        groups.push(loser);
    }
    groups.push(target);
    (groups, ids)
}
