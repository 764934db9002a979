//! `identity/entity-alias…`.

use std::collections::BTreeMap;

use boltwork_framework::{Reply, Request, Result};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Identity, alias_ids, alias_mount,
    show::{self, MountNames},
};
use crate::identity::{Alias, AliasWish};

/// An alias of an entity.
#[derive(Deserialize, JsonSchema)]
pub(super) struct AliasFields {
    /// ID of the entity alias. If set, updates the corresponding entity alias.
    #[serde(default)]
    id: String,
    /// Entity ID to which this alias belongs. This field is deprecated, use canonical_id.
    #[serde(default)]
    entity_id: String,
    /// Entity ID to which this alias belongs.
    #[serde(default)]
    canonical_id: String,
    /// Mount accessor to which this alias belongs to.
    #[serde(default)]
    mount_accessor: String,
    /// Name of the alias.
    #[serde(default)]
    name: String,
    /// User provided key-value pairs.
    #[serde(default)]
    custom_metadata: Option<BTreeMap<String, String>>,
}

impl Identity {
    pub(super) async fn write_alias(&self, req: Request<AliasFields>) -> Result<Reply> {
        let fields = req.fields;
        let wish = AliasWish {
            id: fields.id,
            name: fields.name,
            mount_accessor: fields.mount_accessor,
            canonical_id: match fields.canonical_id.is_empty() {
                true => fields.entity_id,
                false => fields.canonical_id,
            },
            custom_metadata: fields.custom_metadata,
        };
        let active = self.active()?;
        let find = |accessor: &str| alias_mount(&active, accessor);
        let ids = active.identity.write_alias(wish, &find).await?;
        Ok(ids.map_or_else(Reply::empty, |ids| Reply::data(alias_ids(ids))))
    }

    pub(super) async fn read_alias(&self, req: Request<AliasFields>) -> Result<Reply> {
        let active = self.active()?;
        let mounts = MountNames::of(&active);
        let state = active.identity.state();
        let id = &req.fields.id;
        let entity = state.entity_of_alias(id);
        let alias = entity.and_then(|e| e.aliases.iter().find(|alias| alias.id == *id));
        Ok(alias.map_or_else(Reply::not_found, |a| Reply::data(show::alias(a, &mounts))))
    }

    pub(super) async fn delete_alias(&self, req: Request<AliasFields>) -> Result<Reply> {
        self.active()?.identity.delete_alias(&req.fields.id).await?;
        Ok(Reply::empty())
    }

    pub(super) async fn list_aliases(&self, _: Request) -> Result<Reply> {
        let active = self.active()?;
        let mounts = MountNames::of(&active);
        let state = active.identity.state();
        let info = |alias: &Alias| (alias.id.clone(), show::alias_in_list(alias, &mounts));
        Ok(Reply::keys_with_info(state.entity_aliases().map(info)))
    }
}
