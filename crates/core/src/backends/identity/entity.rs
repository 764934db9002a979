//! `identity/entity…`.

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
use crate::identity::{Entity, EntityWish, Merge, Merged, State};

/// An entity.
#[derive(Deserialize, JsonSchema)]
pub(super) struct EntityFields {
    /// ID of the entity. If set, updates the corresponding existing entity.
    #[serde(default)]
    id: String,
    /// Name of the entity.
    #[serde(default)]
    name: String,
    /// Metadata to be associated with the entity.
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
    /// Policies to be tied to the entity.
    #[serde(default)]
    policies: Option<Vec<String>>,
    /// If set true, tokens tied to this identity will not be able to be used (but will not be
    /// revoked).
    #[serde(default)]
    disabled: Option<bool>,
}

/// Entities to be deleted.
#[derive(Deserialize, JsonSchema)]
pub(super) struct EntityIds {
    /// Entity IDs to delete.
    #[serde(default)]
    entity_ids: Vec<String>,
}

/// Entities to be merged.
#[derive(Deserialize, JsonSchema)]
pub(super) struct MergeFields {
    /// Entity IDs which need to get merged.
    #[serde(default)]
    from_entity_ids: Vec<String>,
    /// Entity ID into which all the other entities need to get merged.
    #[serde(default)]
    to_entity_id: String,
    /// Alias IDs to keep in case of conflicting aliases.
    #[serde(default)]
    conflicting_alias_ids_to_keep: Vec<String>,
}

impl Identity {
    pub(super) async fn write_entity(&self, req: Request<EntityFields>) -> Result<Reply> {
        let EntityFields { id, name, metadata, policies, disabled } = req.fields;
        let wish = EntityWish { id, name, metadata, policies, disabled };
        Ok(match self.active()?.identity.write_entity(wish).await? {
            Some(made) => {
                let none: Option<Vec<String>> = None;
                Reply::data(json!({ "id": made.id, "name": made.name, "aliases": none }))
            }
            None => Reply::empty(),
        })
    }

    pub(super) async fn read_entity(&self, req: Request<EntityFields>) -> Result<Reply> {
        self.show_entity(|state| state.entity(&req.fields.id).cloned())
    }

    pub(super) async fn read_entity_named(&self, req: Request<EntityFields>) -> Result<Reply> {
        if req.fields.name.is_empty() {
            return Err(Error::UnsupportedOperation);
        }
        self.show_entity(|state| state.entity_named(&req.fields.name).cloned())
    }

    pub(super) fn show_entity(
        &self,
        find: impl FnOnce(&State) -> Option<Arc<Entity>>,
    ) -> Result<Reply> {
        let active = self.active()?;
        let mounts = MountNames::of(&active);
        let state = active.identity.state();
        Ok(match find(&state) {
            Some(entity) => Reply::data(show::entity(&entity, &state, &mounts)),
            None => Reply::not_found(),
        })
    }

    pub(super) async fn delete_entity(&self, req: Request<EntityFields>) -> Result<Reply> {
        self.active()?.identity.delete_entities(&[req.fields.id]).await?;
        Ok(Reply::empty())
    }

    pub(super) async fn delete_entity_named(&self, req: Request<EntityFields>) -> Result<Reply> {
        if req.fields.name.is_empty() {
            return Err(Error::UnsupportedOperation);
        }
        self.active()?.identity.delete_entity_named(&req.fields.name).await?;
        Ok(Reply::empty())
    }

    pub(super) async fn delete_entities(&self, req: Request<EntityIds>) -> Result<Reply> {
        if req.fields.entity_ids.is_empty() {
            return Err(Error::invalid("missing entity ids to delete"));
        }
        self.active()?.identity.delete_entities(&req.fields.entity_ids).await?;
        Ok(Reply::empty())
    }

    pub(super) async fn list_entities(&self, _: Request) -> Result<Reply> {
        let active = self.active()?;
        let mounts = MountNames::of(&active);
        let state = active.identity.state();
        let info = |e: &Arc<Entity>| (e.id.clone(), show::entity_in_list(e, &mounts));
        Ok(Reply::keys_with_info(state.entities().map(info)))
    }

    pub(super) async fn list_entity_names(&self, _: Request) -> Result<Reply> {
        let active = self.active()?;
        let state = active.identity.state();
        let names: Vec<&str> = state.entities().map(|entity| entity.name.as_str()).collect();
        Ok(Reply::keys(&names))
    }

    pub(super) async fn merge_entities(&self, req: Request<MergeFields>) -> Result<Reply> {
        let fields = req.fields;
        if fields.to_entity_id.is_empty() {
            return Err(Error::invalid("missing entity id to merge to"));
        }
        if fields.from_entity_ids.is_empty() {
            return Err(Error::invalid("missing entity ids to merge from"));
        }
        let active = self.active()?;
        let merge = Merge {
            into: fields.to_entity_id,
            from: fields.from_entity_ids,
            aliases_to_keep: fields.conflicting_alias_ids_to_keep,
        };
        let (text, clashes) = match active.identity.merge_entities(merge).await? {
            Merged::Done => return Ok(Reply::empty()),
            Merged::Clashes(text, clashes) => (text, clashes),
        };
        let shown = clashes.into_iter().map(|clash| {
            let mount = active.mounts.with_accessor(&clash.mount_accessor);
            let facts = mount.map(|mount| mount.facts.load_full()).unwrap_or_default();
            json!({
                "alias": clash.alias,
                "entity": clash.entity.0,
                "entity_id": clash.entity.1,
                "mount": facts.kind,
                "mount_path": facts.point,
            })
        });
        Ok(Reply::data(json!({ "error": text, "data": shown.collect::<Vec<_>>() })))
    }
}
