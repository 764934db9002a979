//! Groups as operators write and delete them. A group is never in itself, by whatever way, and
//! groups in groups end at a depth.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use boltwork_logical::Error;

use super::{
    Change, IdentityStore,
    checks::{self, MAX_MEMBERS, fault},
    entry::{Group, GroupKind, Metadata, new_id, timestamp},
    state::State,
};

/// How deep groups may be nested.
const MAX_DEPTH: usize = 32;

/// What an operator wants of a group. What is absent stays.
#[derive(Default)]
pub struct GroupWish {
    /// The group; `None` to find or make it by its name.
    pub id: Option<String>,
    /// Its name, or new name.
    pub name: Option<String>,
    /// `internal` or `external`.
    pub kind: Option<String>,
    /// Facts.
    pub metadata: Option<Metadata>,
    /// Policies.
    pub policies: Option<Vec<String>>,
    /// Entities in it.
    pub member_entity_ids: Option<Vec<String>>,
    /// Groups in it.
    pub member_group_ids: Option<Vec<String>>,
}

impl State {
    /// A name that no group has.
    pub fn free_group_name(&self) -> String {
        loop {
            let name = format!("group_{:08x}.root", rand::random::<u32>());
            if self.group_named(&name).is_none() {
                return name;
            }
        }
    }

    fn group_wished_for(&self, wish: &GroupWish) -> Result<Group, Error> {
        let found = match (&wish.id, &wish.name) {
            (Some(id), _) if id.is_empty() => return Err(Error::invalid("empty group ID")),
            (Some(id), _) => {
                let group = self.group(id);
                Some(group.ok_or_else(|| Error::invalid("invalid group ID"))?)
            }
            (None, Some(name)) if name.is_empty() => {
                return Err(Error::invalid("empty group name"));
            }
            (None, Some(name)) => self.group_named(name),
            (None, None) => None,
        };
        Ok(found.map(|group| Group::clone(group)).unwrap_or_default())
    }

    /// How many groups stand above a group, itself included, on the longest way.
    fn height(&self, id: &str, known: &mut HashMap<String, usize>) -> usize {
        if let Some(height) = known.get(id) {
            return *height;
        }
        // What is stored has no circles; should it have one, this ends it.
        known.insert(id.to_owned(), 1);
        let parents = self.group(id).map(|g| g.parent_group_ids.clone()).unwrap_or_default();
        let above = parents.iter().map(|parent| self.height(parent, known)).max().unwrap_or(0);
        known.insert(id.to_owned(), above + 1);
        above + 1
    }

    /// The same for those below.
    fn depth(&self, id: &str, known: &mut HashMap<String, usize>) -> usize {
        if let Some(depth) = known.get(id) {
            return *depth;
        }
        known.insert(id.to_owned(), 1);
        let below = self.children(id).iter().map(|c| self.depth(c, known)).max().unwrap_or(0);
        known.insert(id.to_owned(), below + 1);
        below + 1
    }

    /// The groups that a group is in, by whatever way.
    fn all_above(&self, id: &str) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut todo = vec![id.to_owned()];
        while let Some(id) = todo.pop() {
            for parent in self.group(&id).into_iter().flat_map(|group| &group.parent_group_ids) {
                if seen.insert(parent.clone()) {
                    todo.push(parent.clone());
                }
            }
        }
        seen
    }
}

impl IdentityStore {
    /// Makes or changes a group. The group, if it was made.
    pub async fn write_group(self: &Arc<Self>, wish: GroupWish) -> Result<Option<Group>, Error> {
        checks::name("the name", wish.name.as_deref().unwrap_or_default())?;
        let turn = self.turn().await;
        let (made, change) = plan(&self.state(), wish)?;
        self.commit(turn, change).await?;
        Ok(made)
    }

    /// Deletes a group, if there is one with this id.
    pub async fn delete_group(self: &Arc<Self>, id: &str) -> Result<(), Error> {
        let turn = self.turn().await;
        let change = {
            let state = self.state();
            if state.group(id).is_none() {
                return Ok(());
            }
            Change {
                groups: with_parent(&state, &state.children(id), id, false),
                gone_groups: vec![id.to_owned()],
                ..Change::default()
            }
        };
        self.commit(turn, change).await
    }

    /// Deletes the group of this name, if there is one.
    pub async fn delete_group_named(self: &Arc<Self>, name: &str) -> Result<(), Error> {
        let id = self.state().group_named(name).map(|group| group.id.clone());
        match id {
            Some(id) => self.delete_group(&id).await,
            None => Ok(()),
        }
    }
}

fn plan(state: &State, wish: GroupWish) -> Result<(Option<Group>, Change), Error> {
    let mut group = state.group_wished_for(&wish)?;
    let is_new = group.id.is_empty();
    if let Some(names) = &wish.policies {
        group.policies = checks::policies(names)?;
    }
    if let Some(kind) = &wish.kind {
        group.kind = kind_of(&group, kind)?;
    }
    if let Some(name) = wish.name.filter(|name| !name.is_empty()) {
        if state.group_named(&name).is_some_and(|other| other.id != group.id) {
            return Err(Error::invalid("group name is already in use"));
        }
        group.name = name;
    }
    if let Some(facts) = wish.metadata {
        checks::metadata("group", &facts)?;
        group.metadata = facts;
    }
    group.touch(state);
    if let Some(ids) = wish.member_entity_ids {
        group.member_entity_ids = members(state, &group, ids)?;
    }
    let mut groups = Vec::new();
    if let Some(ids) = wish.member_group_ids {
        groups = regrouped(state, &group, ids)?;
    }
    let made = is_new.then(|| group.clone());
    groups.push(group);
    Ok((made, Change { groups, ..Change::default() }))
}

impl Group {
    /// What is set anew with every write, and what a fresh group lacks.
    pub(super) fn touch(&mut self, state: &State) {
        self.modify_index += 1;
        self.last_update_time = timestamp();
        if self.id.is_empty() {
            self.id = new_id();
            self.creation_time.clone_from(&self.last_update_time);
        }
        if self.name.is_empty() {
            self.name = state.free_group_name();
        }
    }
}

fn kind_of(group: &Group, kind: &str) -> Result<GroupKind, Error> {
    if !group.id.is_empty() && kind != group.kind.as_str() {
        return Err(Error::invalid("group type cannot be changed"));
    }
    if kind.is_empty() {
        return Ok(GroupKind::Internal);
    }
    GroupKind::parse(kind).ok_or_else(|| Error::invalid(format!("invalid group type {kind:?}")))
}

fn members(state: &State, group: &Group, ids: Vec<String>) -> Result<Vec<String>, Error> {
    if group.kind == GroupKind::External {
        return Err(Error::invalid("member entities can't be set manually for external groups"));
    }
    let ids: BTreeSet<String> = ids.into_iter().filter(|id| !id.is_empty()).collect();
    if ids.len() > MAX_MEMBERS {
        return Err(Error::invalid(format!("a group has at most {MAX_MEMBERS} members")));
    }
    if let Some(unknown) = ids.iter().find(|id| state.entity(id).is_none()) {
        return Err(fault(&format!("invalid entity ID {unknown:?}")));
    }
    Ok(ids.into_iter().collect())
}

/// The groups that are in a group from now on, and those that are no more, as they are then.
fn regrouped(state: &State, group: &Group, ids: Vec<String>) -> Result<Vec<Group>, Error> {
    if group.kind == GroupKind::External {
        return Err(Error::invalid("member groups can't be set for external groups"));
    }
    let wanted: BTreeSet<String> = ids.into_iter().filter(|id| !id.is_empty()).collect();
    if wanted.len() > MAX_MEMBERS {
        return Err(Error::invalid(format!("a group has at most {MAX_MEMBERS} members")));
    }
    // Sets, because there may be many of each.
    let current: BTreeSet<String> = state.children(&group.id).into_iter().collect();
    let ancestors = state.all_above(&group.id);
    let (mut heights, mut depths) = (HashMap::new(), HashMap::new());
    let above = state.height(&group.id, &mut heights);
    let mut joining = Vec::new();
    for id in &wanted {
        if state.group(id).is_none() && *id != group.id {
            return Err(fault(&format!("invalid member group ID {id:?}")));
        }
        if current.contains(id) {
            continue;
        }
        if *id == group.id {
            return Err(fault(&format!("member group ID {id:?} is same as the ID of the group")));
        }
        if ancestors.contains(id) {
            return Err(Error::invalid(format!(
                "cyclic relationship detected for member group ID {id:?}"
            )));
        }
        if above + state.depth(id, &mut depths) > MAX_DEPTH {
            return Err(Error::invalid(format!(
                "with member group ID {id:?}, groups would be nested deeper than {MAX_DEPTH} levels"
            )));
        }
        joining.push(id.clone());
    }
    let leaving: Vec<String> = current.into_iter().filter(|id| !wanted.contains(id)).collect();
    let mut changed = with_parent(state, &joining, &group.id, true);
    changed.extend(with_parent(state, &leaving, &group.id, false));
    Ok(changed)
}

/// Groups, put into a group or taken out of it.
fn with_parent(state: &State, ids: &[String], parent: &str, is_in: bool) -> Vec<Group> {
    let changed = |id: &String| {
        let mut group = Group::clone(state.group(id)?);
        group.parent_group_ids.retain(|id| id != parent);
        if is_in {
            group.parent_group_ids.push(parent.to_owned());
        }
        group.modify_index += 1;
        Some(group)
    };
    ids.iter().filter_map(changed).collect()
}
