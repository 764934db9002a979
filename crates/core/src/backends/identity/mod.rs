//! `identity/`: entities, their aliases, and groups, for operators.
//!
//! Here are the paths, what they take and what they show; what an operator may want, and what
//! follows from it, is in the room `identity`. Left out: OIDC, identity tokens, MFA.

mod alias;
mod entity;
mod group;
mod group_alias;
mod lookup;
mod show;

use std::sync::{Arc, Weak};

use boltwork_framework::{Engine, Path, Result, Routes, path};
use serde_json::json;

use super::alive;
use crate::{active::Active, identity::AliasMount};

/// The engine.
pub struct Identity {
    active: Weak<Active>,
}

impl Identity {
    pub fn new(active: Weak<Active>) -> Self {
        Self { active }
    }

    fn active(&self) -> Result<Arc<Active>> {
        alive(&self.active)
    }
}

/// The mount that an accessor belongs to, as aliases need to know it.
fn alias_mount(active: &Active, accessor: &str) -> Option<AliasMount> {
    active.mounts.with_accessor(accessor).map(|mount| AliasMount::of(&mount))
}

/// The reply that names an alias and whose it is.
fn alias_ids((id, canonical_id): (String, String)) -> serde_json::Value {
    json!({ "id": id, "canonical_id": canonical_id })
}

impl Engine for Identity {
    fn routes() -> Routes<Self> {
        Routes::new(entity_paths())
            .with(alias_paths())
            .with(group_paths())
            .help("Who callers are: entities, their aliases at auth methods, and groups.")
    }
}

fn entity_paths() -> Vec<Path<Identity>> {
    vec![
        path("entity").help("Makes an entity.").write(Identity::write_entity),
        path("entity/id").help("All entities, by id.").list(Identity::list_entities),
        path("entity/id/{id}")
            .help("One entity, by id.")
            .read(Identity::read_entity)
            .write(Identity::write_entity)
            .delete(Identity::delete_entity),
        path("entity/name").help("All entities, by name.").list(Identity::list_entity_names),
        path("entity/name/{name...}")
            .help("One entity, by name.")
            .read(Identity::read_entity_named)
            .write(Identity::write_entity)
            .delete(Identity::delete_entity_named),
        path("entity/merge").help("Makes one entity of several.").write(Identity::merge_entities),
        path("entity/batch-delete")
            .help("Deletes several entities.")
            .write(Identity::delete_entities),
        path("lookup/entity")
            .help("Finds an entity by id, name or alias.")
            .write(Identity::look_up_entity),
        path("lookup/group")
            .help("Finds a group by id, name or alias.")
            .write(Identity::look_up_group),
    ]
}

fn alias_paths() -> Vec<Path<Identity>> {
    let mut paths = Vec::new();
    // Under its name, and under two that it had before.
    for under in ["entity-alias", "alias", "persona"] {
        let named = |rest: &str| path(format!("{under}{rest}"));
        paths.extend([
            named("").help("Makes or changes an alias of an entity.").write(Identity::write_alias),
            named("/id").help("All aliases of entities.").list(Identity::list_aliases),
            named("/id/{id}")
                .help("One alias of an entity.")
                .read(Identity::read_alias)
                .write(Identity::write_alias)
                .delete(Identity::delete_alias),
        ]);
    }
    paths
}

fn group_paths() -> Vec<Path<Identity>> {
    vec![
        path("group").help("Makes or changes a group.").write(Identity::write_group),
        path("group/id").help("All groups, by id.").list(Identity::list_groups),
        path("group/id/{id}")
            .help("One group, by id.")
            .read(Identity::read_group)
            .write(Identity::write_group_by_id)
            .delete(Identity::delete_group),
        path("group/name").help("All groups, by name.").list(Identity::list_group_names),
        path("group/name/{name...}")
            .help("One group, by name.")
            .read(Identity::read_group_named)
            .write(Identity::write_group_by_name)
            .delete(Identity::delete_group_named),
        path("group-alias")
            .help("Makes or changes the alias of a group.")
            .write(Identity::write_group_alias),
        path("group-alias/id").help("All aliases of groups.").list(Identity::list_group_aliases),
        path("group-alias/id/{id}")
            .help("One alias of a group.")
            .read(Identity::read_group_alias)
            .write(Identity::write_group_alias)
            .delete(Identity::delete_group_alias),
    ]
}
