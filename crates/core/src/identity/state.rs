//! All entities and groups in memory, with every way to find them. It is made of what is stored,
//! and changed only after that was.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::entry::{Alias, Entity, Group, GroupKind, folded};

/// Ids.
type Ids = BTreeSet<String>;

/// Entities and groups.
#[derive(Default)]
pub struct State {
    entities: BTreeMap<String, Arc<Entity>>,
    entity_names: HashMap<String, String>,
    /// By the id of what became part of it.
    merged: HashMap<String, String>,
    entity_aliases: Aliases,
    groups: BTreeMap<String, Arc<Group>>,
    group_names: HashMap<String, String>,
    group_aliases: Aliases,
    /// Internal groups by entity.
    internal: HashMap<String, Ids>,
    /// Entities by external group.
    external: HashMap<String, Ids>,
    /// Groups by the group that they are in.
    children: HashMap<String, Ids>,
}

/// Aliases by id and by what makes them unique; to the id of whose they are.
#[derive(Default)]
struct Aliases {
    by_id: BTreeMap<String, String>,
    by_name: HashMap<(String, String), String>,
}

impl Aliases {
    fn add(&mut self, alias: &Alias) {
        self.by_id.insert(alias.id.clone(), alias.canonical_id.clone());
        let key = (alias.mount_accessor.clone(), folded(&alias.name));
        self.by_name.insert(key, alias.canonical_id.clone());
    }

    fn remove(&mut self, alias: &Alias) {
        self.by_id.remove(&alias.id);
        self.by_name.remove(&(alias.mount_accessor.clone(), folded(&alias.name)));
    }

    fn owner_of(&self, accessor: &str, name: &str) -> Option<&String> {
        self.by_name.get(&(accessor.to_owned(), folded(name)))
    }
}

fn link(index: &mut HashMap<String, Ids>, key: &str, id: &str) {
    index.entry(key.to_owned()).or_default().insert(id.to_owned());
}

fn unlink(index: &mut HashMap<String, Ids>, key: &str, id: &str) {
    if let Some(ids) = index.get_mut(key) {
        ids.remove(id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}

impl State {
    /// Adds an entity, or replaces the one with its id.
    pub fn put_entity(&mut self, entity: Entity) {
        self.remove_entity(&entity.id.clone());
        self.entity_names.insert(folded(&entity.name), entity.id.clone());
        for merged in &entity.merged_entity_ids {
            self.merged.insert(merged.clone(), entity.id.clone());
        }
        for alias in &entity.aliases {
            self.entity_aliases.add(alias);
        }
        for group in &entity.external_group_ids {
            link(&mut self.external, group, &entity.id);
        }
        self.entities.insert(entity.id.clone(), Arc::new(entity));
    }

    /// Forgets an entity. Groups still name it until they are replaced.
    pub fn remove_entity(&mut self, id: &str) {
        let Some(entity) = self.entities.remove(id) else { return };
        self.entity_names.remove(&folded(&entity.name));
        for merged in &entity.merged_entity_ids {
            self.merged.remove(merged);
        }
        for alias in &entity.aliases {
            self.entity_aliases.remove(alias);
        }
        for group in &entity.external_group_ids {
            unlink(&mut self.external, group, id);
        }
    }

    /// Adds a group, or replaces the one with its id.
    pub fn put_group(&mut self, group: Group) {
        self.remove_group(&group.id.clone());
        self.group_names.insert(folded(&group.name), group.id.clone());
        for entity in &group.member_entity_ids {
            link(&mut self.internal, entity, &group.id);
        }
        for parent in &group.parent_group_ids {
            link(&mut self.children, parent, &group.id);
        }
        if let Some(alias) = &group.alias {
            self.group_aliases.add(alias);
        }
        self.groups.insert(group.id.clone(), Arc::new(group));
    }

    /// Forgets a group. Its members still name it until they are replaced.
    pub fn remove_group(&mut self, id: &str) {
        let Some(group) = self.groups.remove(id) else { return };
        self.group_names.remove(&folded(&group.name));
        for entity in &group.member_entity_ids {
            unlink(&mut self.internal, entity, id);
        }
        for parent in &group.parent_group_ids {
            unlink(&mut self.children, parent, id);
        }
        if let Some(alias) = &group.alias {
            self.group_aliases.remove(alias);
        }
    }

    /// Every entity, by id.
    pub fn entities(&self) -> impl Iterator<Item = &Arc<Entity>> {
        self.entities.values()
    }

    /// The entity with this id.
    pub fn entity(&self, id: &str) -> Option<&Arc<Entity>> {
        self.entities.get(id)
    }

    /// The entity with this id, or the one that it became part of.
    pub fn living(&self, id: &str) -> Option<&Arc<Entity>> {
        self.entity(id).or_else(|| self.entity(self.merged.get(id)?))
    }

    /// The entity of this name.
    pub fn entity_named(&self, name: &str) -> Option<&Arc<Entity>> {
        self.entity(self.entity_names.get(&folded(name))?)
    }

    /// The entity whose alias has this id.
    pub fn entity_of_alias(&self, id: &str) -> Option<&Arc<Entity>> {
        self.entity(self.entity_aliases.by_id.get(id)?)
    }

    /// The entity that a mount knows by this name.
    pub fn entity_known_as(&self, accessor: &str, name: &str) -> Option<&Arc<Entity>> {
        self.entity(self.entity_aliases.owner_of(accessor, name)?)
    }

    /// Every alias of an entity, by id.
    pub fn entity_aliases(&self) -> impl Iterator<Item = &Alias> {
        self.entity_aliases.by_id.iter().filter_map(|(id, owner)| {
            self.entity(owner)?.aliases.iter().find(|alias| alias.id == *id)
        })
    }

    /// Every group, by id.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.groups.values()
    }

    /// The group with this id.
    pub fn group(&self, id: &str) -> Option<&Arc<Group>> {
        self.groups.get(id)
    }

    /// The group of this name.
    pub fn group_named(&self, name: &str) -> Option<&Arc<Group>> {
        self.group(self.group_names.get(&folded(name))?)
    }

    /// The group whose alias has this id.
    pub fn group_of_alias(&self, id: &str) -> Option<&Arc<Group>> {
        self.group(self.group_aliases.by_id.get(id)?)
    }

    /// The group that a mount knows by this name.
    pub fn group_known_as(&self, accessor: &str, name: &str) -> Option<&Arc<Group>> {
        self.group(self.group_aliases.owner_of(accessor, name)?)
    }

    /// Every alias of a group, by id.
    pub fn group_aliases(&self) -> impl Iterator<Item = &Alias> {
        self.group_aliases.by_id.values().filter_map(|owner| self.group(owner)?.alias.as_ref())
    }

    /// Entities in a group, sorted.
    pub fn members(&self, group: &Group) -> Vec<String> {
        match group.kind {
            GroupKind::Internal => group.member_entity_ids.clone(),
            GroupKind::External => self
                .external
                .get(&group.id)
                .map(|ids| ids.iter().cloned().collect())
                .unwrap_or_default(),
        }
    }

    /// Ids of the groups in a group, sorted.
    pub fn children(&self, group: &str) -> Vec<String> {
        self.children.get(group).map(|ids| ids.iter().cloned().collect()).unwrap_or_default()
    }

    /// Ids of the internal groups that an entity is in.
    pub fn internal_groups_of(&self, entity: &str) -> Vec<String> {
        self.internal.get(entity).map(|ids| ids.iter().cloned().collect()).unwrap_or_default()
    }

    /// The groups that an entity is in, and those that it is in by way of them; each sorted by id.
    pub fn groups_of(&self, entity: &Entity) -> (Vec<Arc<Group>>, Vec<Arc<Group>>) {
        let mut direct = self.internal.get(&entity.id).cloned().unwrap_or_default();
        direct.extend(entity.external_group_ids.iter().cloned());
        direct.retain(|id| self.groups.contains_key(id));
        let (mut seen, mut todo) = (direct.clone(), Vec::from_iter(direct.iter().cloned()));
        let mut inherited = Ids::new();
        while let Some(id) = todo.pop() {
            let Some(group) = self.group(&id) else { continue };
            for parent in &group.parent_group_ids {
                if self.groups.contains_key(parent) && seen.insert(parent.clone()) {
                    inherited.insert(parent.clone());
                    todo.push(parent.clone());
                }
            }
        }
        let all = |ids: &Ids| ids.iter().filter_map(|id| self.group(id).cloned()).collect();
        (all(&direct), all(&inherited))
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    /// Everything that can be found, by every way.
    fn found(state: &State) -> Vec<String> {
        let mut found = Vec::new();
        let id = |entity: Option<&Arc<Entity>>| entity.map(|e| e.id.clone());
        let group_id = |group: Option<&Arc<Group>>| group.map(|g| g.id.clone());
        for n in 0..8 {
            let (e, g, a) = (format!("e{n}"), format!("g{n}"), format!("a{n}"));
            found.push(format!("{:?} {:?}", state.entity(&e), id(state.living(&e))));
            found.push(format!(
                "{:?} {:?}",
                id(state.entity_named(&e)),
                group_id(state.group_named(&g))
            ));
            found.push(format!(
                "{:?} {:?}",
                id(state.entity_of_alias(&a)),
                group_id(state.group_of_alias(&a))
            ));
            for mount in ["m0", "m1"] {
                found.push(format!("{:?}", id(state.entity_known_as(mount, &a))));
                found.push(format!("{:?}", group_id(state.group_known_as(mount, &a))));
            }
            let groups = state.entity(&e).map(|entity| state.groups_of(entity));
            let members = state.group(&g).map(|group| state.members(group));
            found.push(format!("{groups:?} {members:?} {:?}", state.children(&g)));
            found.push(format!("{:?}", state.internal_groups_of(&e)));
        }
        found.push(format!("{:?}", state.entity_aliases().map(|a| &a.id).collect::<Vec<_>>()));
        found.push(format!("{:?}", state.group_aliases().map(|a| &a.id).collect::<Vec<_>>()));
        found
    }

    fn some(random: &mut StdRng, prefix: &str) -> Vec<String> {
        (0..8).filter(|_| random.random_bool(0.3)).map(|n| format!("{prefix}{n}")).collect()
    }

    /// Aliases of one owner; two owners never have the same one at the same time.
    fn aliases(owner: &str, at: usize) -> Vec<Alias> {
        let alias = |mount: &str| Alias {
            id: format!("a{at}"),
            canonical_id: owner.to_owned(),
            name: format!("A{at}"),
            mount_accessor: mount.to_owned(),
            ..Alias::default()
        };
        vec![alias(["m0", "m1"][at % 2])]
    }

    #[test]
    fn what_was_changed_in_any_order_is_what_is_loaded_at_once() {
        let mut random = StdRng::seed_from_u64(7);
        let mut changed = State::default();
        for step in 0..2000 {
            let at: usize = random.random_range(0..8);
            let (entity, group) = (format!("e{at}"), format!("g{at}"));
            match random.random_range(0..4) {
                0 => changed.put_entity(Entity {
                    id: entity.clone(),
                    name: entity.to_uppercase(),
                    aliases: if random.random() { aliases(&entity, at) } else { Vec::new() },
                    merged_entity_ids: (at > 5)
                        .then(|| format!("e{}", at - 6))
                        .into_iter()
                        .collect(),
                    external_group_ids: some(&mut random, "g").into_iter().collect(),
                    ..Entity::default()
                }),
                1 => changed.put_group(Group {
                    id: group.clone(),
                    name: group.to_uppercase(),
                    kind: if at.is_multiple_of(2) {
                        GroupKind::Internal
                    } else {
                        GroupKind::External
                    },
                    member_entity_ids: if at.is_multiple_of(2) {
                        some(&mut random, "e")
                    } else {
                        Vec::new()
                    },
                    parent_group_ids: some(&mut random, "g"),
                    alias: aliases(&group, at).pop().filter(|_| random.random()),
                    ..Group::default()
                }),
                2 => changed.remove_entity(&entity),
                _ => changed.remove_group(&group),
            }
            let mut loaded = State::default();
            changed.entities().for_each(|entity| loaded.put_entity(Entity::clone(entity)));
            changed.groups().for_each(|group| loaded.put_group(Group::clone(group)));
            assert_eq!(found(&changed), found(&loaded), "after step {step}");
        }
    }
}
