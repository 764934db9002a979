//! Who a caller is to the identity store, and what server a plugin runs under. Field by field;
//! nothing here can fail.

use std::collections::{BTreeMap, HashMap};

use boltwork_logical::{Alias, Entity, Group, PluginEnvironment};

use crate::logical;

pub(crate) fn map_to_wire(map: &BTreeMap<String, String>) -> HashMap<String, String> {
    map.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// An alias for the wire.
pub fn alias_to_wire(alias: &Alias) -> logical::Alias {
    logical::Alias {
        mount_type: alias.mount_type.clone(),
        mount_accessor: alias.mount_accessor.clone(),
        name: alias.name.clone(),
        metadata: map_to_wire(&alias.metadata),
        id: alias.id.clone(),
        namespace_id: alias.namespace_id.clone(),
        custom_metadata: map_to_wire(&alias.custom_metadata),
        local: alias.local,
    }
}

/// An alias from the wire.
pub fn alias_from_wire(alias: logical::Alias) -> Alias {
    Alias {
        mount_type: alias.mount_type,
        mount_accessor: alias.mount_accessor,
        name: alias.name,
        metadata: alias.metadata.into_iter().collect(),
        id: alias.id,
        namespace_id: alias.namespace_id,
        custom_metadata: alias.custom_metadata.into_iter().collect(),
        local: alias.local,
    }
}

/// An entity for the wire.
pub fn entity_to_wire(entity: &Entity) -> logical::Entity {
    logical::Entity {
        id: entity.id.clone(),
        name: entity.name.clone(),
        aliases: entity.aliases.iter().map(alias_to_wire).collect(),
        metadata: map_to_wire(&entity.metadata),
        disabled: entity.disabled,
        namespace_id: entity.namespace_id.clone(),
    }
}

/// An entity from the wire.
pub fn entity_from_wire(entity: logical::Entity) -> Entity {
    Entity {
        id: entity.id,
        name: entity.name,
        aliases: entity.aliases.into_iter().map(alias_from_wire).collect(),
        metadata: entity.metadata.into_iter().collect(),
        disabled: entity.disabled,
        namespace_id: entity.namespace_id,
    }
}

/// A group for the wire.
pub fn group_to_wire(group: &Group) -> logical::Group {
    logical::Group {
        id: group.id.clone(),
        name: group.name.clone(),
        metadata: map_to_wire(&group.metadata),
        namespace_id: group.namespace_id.clone(),
    }
}

/// A group from the wire.
pub fn group_from_wire(group: logical::Group) -> Group {
    Group {
        id: group.id,
        name: group.name,
        metadata: group.metadata.into_iter().collect(),
        namespace_id: group.namespace_id,
    }
}

/// Version facts for the wire.
pub fn environment_to_wire(environment: &PluginEnvironment) -> logical::PluginEnvironment {
    logical::PluginEnvironment {
        vault_version: environment.version.clone(),
        vault_version_prerelease: environment.prerelease.clone(),
        vault_version_metadata: environment.metadata.clone(),
    }
}

/// Version facts from the wire.
pub fn environment_from_wire(environment: logical::PluginEnvironment) -> PluginEnvironment {
    PluginEnvironment {
        version: environment.vault_version,
        prerelease: environment.vault_version_prerelease,
        metadata: environment.vault_version_metadata,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(key: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(key.to_owned(), format!("{key}'s value"))])
    }

    #[test]
    fn nothing_of_an_identity_is_lost() {
        let alias = Alias {
            mount_type: "a".into(),
            mount_accessor: "b".into(),
            name: "c".into(),
            metadata: map("d"),
            id: "e".into(),
            namespace_id: "f".into(),
            custom_metadata: map("g"),
            local: true,
        };
        let entity = Entity {
            id: "1".into(),
            name: "2".into(),
            aliases: vec![alias],
            metadata: map("3"),
            disabled: true,
            namespace_id: "4".into(),
        };
        assert_eq!(entity_from_wire(entity_to_wire(&entity)), entity);
        let group = Group {
            id: "1".into(),
            name: "2".into(),
            metadata: map("3"),
            namespace_id: "4".into(),
        };
        assert_eq!(group_from_wire(group_to_wire(&group)), group);
        let environment = PluginEnvironment {
            version: "1.18.3".into(),
            prerelease: "beta1".into(),
            metadata: "x".into(),
        };
        assert_eq!(environment_from_wire(environment_to_wire(&environment)), environment);
    }
}
