//! Entities, aliases and groups as clients see them.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::{
    active::Active,
    identity::{Alias, Entity, Group, Metadata, State},
    mounts::Table,
};

/// The one namespace that there is.
const ROOT: &str = "root";

/// Path and type of every mount, by accessor: looked up once for a whole answer.
pub struct MountNames(HashMap<String, (String, String)>);

impl MountNames {
    pub fn of(active: &Active) -> Self {
        let mounts = [Table::Secret, Table::Auth].into_iter().flat_map(|t| active.mounts.all(t));
        let named = mounts.map(|mount| {
            let facts = mount.facts.load();
            (facts.accessor.clone(), (facts.point.clone(), facts.kind.clone()))
        });
        Self(named.collect())
    }

    /// Where an alias is from; nothing where the mount is gone.
    fn add(&self, fields: &mut Map<String, Value>, accessor: &str) {
        if let Some((point, kind)) = self.0.get(accessor) {
            fields.insert("mount_path".into(), json!(point));
            fields.insert("mount_type".into(), json!(kind));
        }
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Go shows an empty list or map that was never made as null.
fn facts(given: &Metadata) -> Option<&Metadata> {
    (!given.is_empty()).then_some(given)
}

fn list(given: &[String]) -> Option<&[String]> {
    (!given.is_empty()).then_some(given)
}

/// An entity.
pub fn entity(entity: &Entity, state: &State, mounts: &MountNames) -> Value {
    let (direct, inherited) = state.groups_of(entity);
    let ids = |groups: &[std::sync::Arc<Group>]| -> Vec<String> {
        groups.iter().map(|group| group.id.clone()).collect()
    };
    let (direct, inherited) = (ids(&direct), ids(&inherited));
    let all: Vec<&String> = direct.iter().chain(&inherited).collect();
    let aliases = entity.aliases.iter().map(|alias| {
        let mut fields = alias_fields(alias, mounts);
        fields.remove("namespace_id");
        Value::Object(fields)
    });
    json!({
        "id": entity.id,
        "name": entity.name,
        "metadata": facts(&entity.metadata),
        "merged_entity_ids": list(&entity.merged_entity_ids),
        "policies": entity.policies,
        "disabled": entity.disabled,
        "namespace_id": ROOT,
        "creation_time": entity.creation_time,
        "last_update_time": entity.last_update_time,
        "aliases": aliases.collect::<Vec<_>>(),
        "group_ids": all,
        "direct_group_ids": direct,
        "inherited_group_ids": inherited,
    })
}

/// An entity in a list.
pub fn entity_in_list(entity: &Entity, mounts: &MountNames) -> Value {
    let mut fields = object(json!({ "name": entity.name }));
    if !entity.aliases.is_empty() {
        let aliases: Vec<_> = entity.aliases.iter().map(|a| alias_in_owner(a, mounts)).collect();
        fields.insert("aliases".into(), json!(aliases));
    }
    Value::Object(fields)
}

fn alias_in_owner(alias: &Alias, mounts: &MountNames) -> Value {
    let mut fields = object(json!({
        "id": alias.id,
        "name": alias.name,
        "mount_accessor": alias.mount_accessor,
    }));
    mounts.add(&mut fields, &alias.mount_accessor);
    Value::Object(fields)
}

/// An alias.
pub fn alias(alias: &Alias, mounts: &MountNames) -> Value {
    Value::Object(alias_fields(alias, mounts))
}

fn alias_fields(alias: &Alias, mounts: &MountNames) -> Map<String, Value> {
    let mut fields = object(json!({
        "id": alias.id,
        "canonical_id": alias.canonical_id,
        "mount_accessor": alias.mount_accessor,
        "metadata": alias.metadata,
        "custom_metadata": alias.custom_metadata,
        "name": alias.name,
        "merged_from_canonical_ids": list(&alias.merged_from_canonical_ids),
        "namespace_id": ROOT,
        "local": alias.local,
        "creation_time": alias.creation_time,
        "last_update_time": alias.last_update_time,
    }));
    mounts.add(&mut fields, &alias.mount_accessor);
    fields
}

/// An alias in a list.
pub fn alias_in_list(alias: &Alias, mounts: &MountNames) -> Value {
    let mut fields = object(json!({
        "name": alias.name,
        "canonical_id": alias.canonical_id,
        "mount_accessor": alias.mount_accessor,
        "custom_metadata": alias.custom_metadata,
        "metadata": alias.metadata,
        "local": alias.local,
    }));
    mounts.add(&mut fields, &alias.mount_accessor);
    Value::Object(fields)
}

/// A group.
pub fn group(group: &Group, state: &State, mounts: &MountNames) -> Value {
    let alias = group.alias.as_ref().map(|alias| {
        let mut fields = alias_fields(alias, mounts);
        for extra in ["namespace_id", "local", "custom_metadata"] {
            fields.remove(extra);
        }
        fields
    });
    json!({
        "id": group.id,
        "name": group.name,
        "policies": list(&group.policies),
        "member_entity_ids": list(&state.members(group)),
        "member_group_ids": list(&state.children(&group.id)),
        "parent_group_ids": list(&group.parent_group_ids),
        "metadata": facts(&group.metadata),
        "creation_time": group.creation_time,
        "last_update_time": group.last_update_time,
        "modify_index": group.modify_index,
        "type": group.kind.as_str(),
        "namespace_id": ROOT,
        "alias": alias.unwrap_or_default(),
    })
}

/// A group in a list.
pub fn group_in_list(group: &Group, state: &State, mounts: &MountNames) -> Value {
    let mut fields = object(json!({
        "name": group.name,
        "num_member_entities": state.members(group).len(),
        "num_parent_groups": group.parent_group_ids.len(),
    }));
    if let Some(alias) = &group.alias {
        fields.insert("alias".into(), alias_in_owner(alias, mounts));
    }
    Value::Object(fields)
}
