//! `identity/lookup/…`: finding an entity or a group by one of its names.

use boltwork_framework::{Reply, Request, Result};
use boltwork_logical::Error;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Identity;

/// By what to look.
#[derive(Deserialize, JsonSchema)]
pub(super) struct LookupFields {
    /// ID of the entity or group.
    #[serde(default)]
    id: Option<String>,
    /// Name of the entity or group.
    #[serde(default)]
    name: Option<String>,
    /// ID of the alias.
    #[serde(default)]
    alias_id: Option<String>,
    /// Name of the alias. This should be supplied in conjunction with 'alias_mount_accessor'.
    #[serde(default)]
    alias_name: Option<String>,
    /// Accessor of the mount to which the alias belongs to. This should be supplied in conjunction
    /// with 'alias_name'.
    #[serde(default)]
    alias_mount_accessor: Option<String>,
}

/// The one thing to look by.
enum By {
    Id(String),
    Name(String),
    AliasId(String),
    Alias { accessor: String, name: String },
    Nothing,
}

impl LookupFields {
    fn by(self) -> Result<By> {
        let Self { id, name, alias_id, alias_name, alias_mount_accessor } = self;
        let given = [&id, &name, &alias_id, &alias_name, &alias_mount_accessor];
        let count = given.into_iter().filter(|field| field.is_some()).count();
        let filled = |field: Option<String>| field.filter(|text| !text.is_empty());
        let (alias_name, accessor) = (filled(alias_name), filled(alias_mount_accessor));
        match (count, alias_name, accessor) {
            (0, ..) => Err(Error::invalid("query parameter not supplied")),
            (2, Some(name), Some(accessor)) => Ok(By::Alias { accessor, name }),
            (1, None, None) => Ok(match (filled(id), filled(name), filled(alias_id)) {
                (Some(id), ..) => By::Id(id),
                (_, Some(name), _) => By::Name(name),
                (.., Some(id)) => By::AliasId(id),
                _ => By::Nothing,
            }),
            (1, ..) => {
                Err(Error::invalid("both 'alias_name' and 'alias_mount_accessor' needs to be set"))
            }
            _ => Err(Error::invalid(
                "query parameter conflict; please supply distinct set of query parameters",
            )),
        }
    }
}

impl Identity {
    pub(super) async fn look_up_entity(&self, req: Request<LookupFields>) -> Result<Reply> {
        let by = req.fields.by()?;
        self.show_entity(|state| {
            match &by {
                By::Id(id) => state.entity(id),
                By::Name(name) => state.entity_named(name),
                By::AliasId(id) => state.entity_of_alias(id),
                By::Alias { accessor, name } => state.entity_known_as(accessor, name),
                By::Nothing => None,
            }
            .cloned()
        })
    }

    pub(super) async fn look_up_group(&self, req: Request<LookupFields>) -> Result<Reply> {
        let by = req.fields.by()?;
        self.show_group(|state| {
            match &by {
                By::Id(id) => state.group(id),
                By::Name(name) => state.group_named(name),
                By::AliasId(id) => state.group_of_alias(id),
                By::Alias { accessor, name } => state.group_known_as(accessor, name),
                By::Nothing => None,
            }
            .cloned()
        })
    }
}
