//! `identity/group…`.

use std::{collections::BTreeMap, sync::Arc};

use boltwork_framework::{Reply, Request, Result};
use boltwork_logical::Error;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{
    Identity,
    show::{self, MountNames},
};
use crate::identity::{Group, GroupWish, State};

/// A group.
#[derive(Deserialize, JsonSchema)]
pub(super) struct GroupFields {
    /// ID of the group. If set, updates the corresponding existing group.
    #[serde(default)]
    id: Option<String>,
    /// Name of the group.
    #[serde(default)]
    name: Option<String>,
    /// Type of the group, 'internal' or 'external'. Defaults to 'internal'.
    #[serde(default, rename = "type")]
    kind: Option<String>,
    /// Metadata to be associated with the group.
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
    /// Policies to be tied to the group.
    #[serde(default)]
    policies: Option<Vec<String>>,
    /// Entity IDs to be assigned as group members.
    #[serde(default)]
    member_entity_ids: Option<Vec<String>>,
    /// Group IDs to be assigned as group members.
    #[serde(default)]
    member_group_ids: Option<Vec<String>>,
}

impl From<GroupFields> for GroupWish {
    fn from(fields: GroupFields) -> Self {
        Self {
            id: fields.id,
            name: fields.name,
            kind: fields.kind,
            metadata: fields.metadata,
            policies: fields.policies,
            member_entity_ids: fields.member_entity_ids,
            member_group_ids: fields.member_group_ids,
        }
    }
}

impl Identity {
    pub(super) async fn write_group(&self, req: Request<GroupFields>) -> Result<Reply> {
        self.wish_group(req.fields.into()).await
    }

    pub(super) async fn write_group_by_id(&self, req: Request<GroupFields>) -> Result<Reply> {
        self.wish_group(req.fields.into()).await
    }

    pub(super) async fn write_group_by_name(&self, req: Request<GroupFields>) -> Result<Reply> {
        // The name in the path decides; an id in the body would be another group's.
        self.wish_group(GroupWish { id: None, ..req.fields.into() }).await
    }

    async fn wish_group(&self, wish: GroupWish) -> Result<Reply> {
        Ok(match self.active()?.identity.write_group(wish).await? {
            Some(made) => Reply::data(json!({ "id": made.id, "name": made.name })),
            None => Reply::empty(),
        })
    }

    pub(super) async fn read_group(&self, req: Request<GroupFields>) -> Result<Reply> {
        let id = req.fields.id.unwrap_or_default();
        self.show_group(|state| state.group(&id).cloned())
    }

    pub(super) async fn read_group_named(&self, req: Request<GroupFields>) -> Result<Reply> {
        let name = named(req.fields)?;
        self.show_group(|state| state.group_named(&name).cloned())
    }

    pub(super) fn show_group(
        &self,
        find: impl FnOnce(&State) -> Option<Arc<Group>>,
    ) -> Result<Reply> {
        let active = self.active()?;
        let mounts = MountNames::of(&active);
        let state = active.identity.state();
        Ok(match find(&state) {
            Some(group) => Reply::data(show::group(&group, &state, &mounts)),
            None => Reply::not_found(),
        })
    }

    pub(super) async fn delete_group(&self, req: Request<GroupFields>) -> Result<Reply> {
        self.active()?.identity.delete_group(&req.fields.id.unwrap_or_default()).await?;
        Ok(Reply::empty())
    }

    pub(super) async fn delete_group_named(&self, req: Request<GroupFields>) -> Result<Reply> {
        let name = named(req.fields)?;
        self.active()?.identity.delete_group_named(&name).await?;
        Ok(Reply::empty())
    }

    pub(super) async fn list_groups(&self, _: Request) -> Result<Reply> {
        let active = self.active()?;
        let mounts = MountNames::of(&active);
        let state = active.identity.state();
        let info = |g: &Arc<Group>| (g.id.clone(), show::group_in_list(g, &state, &mounts));
        Ok(Reply::keys_with_info(state.groups().map(info)))
    }

    pub(super) async fn list_group_names(&self, _: Request) -> Result<Reply> {
        let active = self.active()?;
        let state = active.identity.state();
        let names: Vec<&str> = state.groups().map(|group| group.name.as_str()).collect();
        Ok(Reply::keys(&names))
    }
}

fn named(fields: GroupFields) -> Result<String> {
    fields.name.filter(|name| !name.is_empty()).ok_or(Error::UnsupportedOperation)
}
