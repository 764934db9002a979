//! `identity/group-alias…`.

use boltwork_framework::{Reply, Request, Result};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Identity, alias_ids, alias_mount,
    show::{self, MountNames},
};
use crate::identity::{Alias, GroupAliasWish};

/// The alias of a group.
#[derive(Deserialize, JsonSchema)]
pub(super) struct GroupAliasFields {
    /// ID of the group alias.
    #[serde(default)]
    id: Option<String>,
    /// Alias of the group.
    #[serde(default)]
    name: String,
    /// Mount accessor to which this alias belongs to.
    #[serde(default)]
    mount_accessor: String,
    /// ID of the group to which this is an alias.
    #[serde(default)]
    canonical_id: String,
}

impl Identity {
    pub(super) async fn write_group_alias(&self, req: Request<GroupAliasFields>) -> Result<Reply> {
        let GroupAliasFields { id, name, mount_accessor, canonical_id } = req.fields;
        let wish = GroupAliasWish { id, name, mount_accessor, canonical_id };
        let active = self.active()?;
        let find = |accessor: &str| alias_mount(&active, accessor);
        let ids = active.identity.write_group_alias(wish, &find).await?;
        Ok(ids.map_or_else(Reply::empty, |ids| Reply::data(alias_ids(ids))))
    }

    pub(super) async fn read_group_alias(&self, req: Request<GroupAliasFields>) -> Result<Reply> {
        let active = self.active()?;
        let mounts = MountNames::of(&active);
        let state = active.identity.state();
        let group = state.group_of_alias(req.fields.id.as_deref().unwrap_or_default());
        let alias = group.and_then(|group| group.alias.as_ref());
        Ok(alias.map_or_else(Reply::not_found, |a| Reply::data(show::alias(a, &mounts))))
    }

    pub(super) async fn delete_group_alias(&self, req: Request<GroupAliasFields>) -> Result<Reply> {
        let id = req.fields.id.unwrap_or_default();
        self.active()?.identity.delete_group_alias(&id).await?;
        Ok(Reply::empty())
    }

    pub(super) async fn list_group_aliases(&self, _: Request) -> Result<Reply> {
        let active = self.active()?;
        let mounts = MountNames::of(&active);
        let state = active.identity.state();
        let info = |alias: &Alias| (alias.id.clone(), show::alias_in_list(alias, &mounts));
        Ok(Reply::keys_with_info(state.group_aliases().map(info)))
    }
}
