//! What an entity comes to at this moment: its groups, its policies, and what templates in policies
//! stand for. Made anew when any of it changes.

use std::{collections::HashSet, sync::Arc};

use boltwork_policy::{Acl, Substitute};
use parking_lot::Mutex;

use super::{
    entry::{Alias, Entity, Group, Metadata},
    state::State,
};

/// Most compiled lists kept for one entity: its tokens have few different sets of policies.
const MAX_COMPILED: usize = 4;

/// An entity with all that follows from it.
pub struct Standing {
    /// The entity.
    pub entity: Arc<Entity>,
    /// Its groups, those that it is in by way of others included.
    pub groups: Vec<Arc<Group>>,
    /// Policies by way of the identity: the entity's, then its groups', each once.
    pub policies: Vec<String>,
    /// Lists in which templates were filled in for this entity.
    compiled: Mutex<Vec<Compiled>>,
}

/// A compiled list of a set of policies, as of a generation of policies.
struct Compiled {
    generation: u64,
    names: Vec<String>,
    acl: Arc<Acl>,
}

impl Standing {
    pub fn new(state: &State, entity: &Arc<Entity>) -> Self {
        let (mut groups, inherited) = state.groups_of(entity);
        groups.extend(inherited);
        let mut seen = HashSet::new();
        let names = entity.policies.iter().chain(groups.iter().flat_map(|group| &group.policies));
        let policies = names.filter(|name| seen.insert(*name)).cloned().collect();
        Self { entity: Arc::clone(entity), groups, policies, compiled: Mutex::default() }
    }

    /// The list compiled for this entity from a set of policies of a generation.
    pub fn compiled(&self, generation: u64, names: &[String]) -> Option<Arc<Acl>> {
        let compiled = self.compiled.lock();
        let found = compiled.iter().find(|c| c.generation == generation && c.names == names);
        found.map(|c| Arc::clone(&c.acl))
    }

    /// Keeps a compiled list.
    pub fn keep(&self, generation: u64, names: &[String], acl: &Arc<Acl>) {
        let mut compiled = self.compiled.lock();
        compiled.retain(|c| c.generation == generation && c.names != names);
        if compiled.len() >= MAX_COMPILED {
            compiled.remove(0);
        }
        compiled.push(Compiled { generation, names: names.to_vec(), acl: Arc::clone(acl) });
    }

    fn of_entity(&self, what: &str) -> Option<String> {
        match what {
            "id" => return Some(self.entity.id.clone()),
            "name" => return Some(self.entity.name.clone()),
            _ => {}
        }
        if let Some(key) = what.strip_prefix("metadata.") {
            return self.entity.metadata.get(key).cloned();
        }
        let (accessor, what) = what.strip_prefix("aliases.")?.split_once('.')?;
        let alias = self.entity.aliases.iter().find(|a| a.mount_accessor == accessor)?;
        of_alias(alias, what)
    }

    fn of_group(&self, what: &str) -> Option<String> {
        let (by, rest) = what.split_once('.')?;
        let (wanted, what) = rest.split_once('.')?;
        let is_it = |group: &&Arc<Group>| match by {
            "ids" => group.id == wanted,
            "names" => group.name == wanted,
            _ => false,
        };
        let group = self.groups.iter().find(is_it)?;
        match what {
            "id" => Some(group.id.clone()),
            "name" => Some(group.name.clone()),
            _ => group.metadata.get(what.strip_prefix("metadata.")?).cloned(),
        }
    }
}

fn of_alias(alias: &Alias, what: &str) -> Option<String> {
    let fact = |facts: &Option<Metadata>, key: &str| facts.as_ref()?.get(key).cloned();
    match what {
        "id" => Some(alias.id.clone()),
        "name" => Some(alias.name.clone()),
        _ => match what.strip_prefix("metadata.") {
            Some(key) => fact(&alias.metadata, key),
            None => fact(&alias.custom_metadata, what.strip_prefix("custom_metadata.")?),
        },
    }
}

impl Substitute for Standing {
    fn value(&self, directive: &str) -> Option<String> {
        let directive = directive.strip_prefix("identity.")?;
        match directive.strip_prefix("entity.") {
            Some(what) => self.of_entity(what),
            None => self.of_group(directive.strip_prefix("groups.")?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing() -> Standing {
        let fact = |key: &str, value: &str| Metadata::from([(key.to_owned(), value.to_owned())]);
        let alias = Alias {
            id: "alias-id".into(),
            name: "al".into(),
            mount_accessor: "auth_x_1".into(),
            metadata: Some(fact("org", "acme")),
            custom_metadata: Some(fact("team", "blue")),
            ..Alias::default()
        };
        let mut state = State::default();
        state.put_entity(Entity {
            id: "e".into(),
            name: "alice".into(),
            metadata: fact("a.b", "dotted"),
            policies: vec!["p".into()],
            aliases: vec![alias],
            ..Entity::default()
        });
        let group = |id: &str, name: &str, members: &[&str], parents: &[&str]| Group {
            id: id.into(),
            name: name.into(),
            metadata: fact("floor", "3"),
            policies: vec!["p".into(), format!("of-{id}")],
            member_entity_ids: members.iter().map(|m| (*m).into()).collect(),
            parent_group_ids: parents.iter().map(|p| (*p).into()).collect(),
            ..Group::default()
        };
        state.put_group(group("g1", "devs", &["e"], &["g2", "gone"]));
        state.put_group(group("g2", "all", &[], &["g1"]));
        state.put_group(group("g3", "others", &["x"], &[]));
        let entity = state.entity("e").unwrap().clone();
        Standing::new(&state, &entity)
    }

    #[test]
    fn policies_come_from_the_entity_and_from_groups_in_groups() {
        assert_eq!(standing().policies, ["p", "of-g1", "of-g2"]);
    }

    #[test]
    fn templates_stand_for_what_the_caller_is_and_for_nothing_else() {
        let standing = standing();
        for (directive, value) in [
            ("identity.entity.id", Some("e")),
            ("identity.entity.name", Some("alice")),
            ("identity.entity.metadata.a.b", Some("dotted")),
            ("identity.entity.aliases.auth_x_1.id", Some("alias-id")),
            ("identity.entity.aliases.auth_x_1.name", Some("al")),
            ("identity.entity.aliases.auth_x_1.metadata.org", Some("acme")),
            ("identity.entity.aliases.auth_x_1.custom_metadata.team", Some("blue")),
            ("identity.groups.ids.g1.name", Some("devs")),
            ("identity.groups.names.all.id", Some("g2")),
            ("identity.groups.names.devs.metadata.floor", Some("3")),
            ("identity.groups.names.others.id", None),
            ("identity.groups.ids.g3.name", None),
            ("identity.groups.devs.id", None),
            ("identity.entity.aliases.auth_x_2.name", None),
            ("identity.entity.aliases.auth_x_1", None),
            ("identity.entity.metadata", None),
            ("identity.entity.metadata.nothing", None),
            ("identity.entity.policies", None),
            ("identity.entity.", None),
            ("identity.entity", None),
            ("entity.id", None),
            ("", None),
        ] {
            assert_eq!(standing.value(directive).as_deref(), value, "{directive}");
        }
    }
}
