//! `sys/remount`: moving mounts. The move itself is one write; it is done when the reply is sent,
//! but is answered in Vault's form, with an id whose status can be asked for.

use std::collections::VecDeque;

use boltwork_framework::{Reply, Request, Result};
use boltwork_logical::Error;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::System;
use crate::mounts::Table;

/// Most moves remembered.
const REMEMBERED: usize = 100;

/// The last moves: id, from, to.
#[derive(Default)]
pub struct Moves(Mutex<VecDeque<(String, String, String)>>);

/// From where to where.
#[derive(Deserialize, JsonSchema)]
pub(super) struct MoveFields {
    /// The previous mount point.
    #[serde(default)]
    from: String,
    /// The new mount point.
    #[serde(default)]
    to: String,
}

/// Which move.
#[derive(Deserialize, JsonSchema)]
pub(super) struct MoveId {
    /// The ID of the migration operation.
    migration_id: String,
}

impl System {
    pub(super) async fn remount(&self, req: Request<MoveFields>) -> Result<Reply> {
        let MoveFields { from, to } = &req.fields;
        if from.is_empty() || to.is_empty() {
            return Err(Error::invalid("both 'from' and 'to' path must be specified as a string"));
        }
        for (name, path) in [("from", from), ("to", to)] {
            if path.trim() != path {
                return Err(Error::invalid(format!(
                    "'{name}' path cannot contain trailing whitespace"
                )));
            }
        }
        let mounts = &self.active()?.mounts;
        match (from.strip_prefix("auth/"), to.strip_prefix("auth/")) {
            (Some(from), Some(to)) => mounts.remount(Table::Auth, from, to).await?,
            (Some(_), None) => {
                return Err(Error::invalid(format!(
                    "cannot remount auth mount to non-auth mount {to:?}"
                )));
            }
            (None, Some(_)) => {
                return Err(Error::invalid(format!("cannot remount to destination {to:?}")));
            }
            (None, None) => mounts.remount(Table::Secret, from, to).await?,
        }
        let id = uuid::Uuid::new_v4().to_string();
        let mut moves = self.moves.0.lock();
        if moves.len() >= REMEMBERED {
            moves.pop_front();
        }
        let folder = |path: &str| format!("{}/", path.trim_matches('/'));
        moves.push_back((id.clone(), folder(from), folder(to)));
        Ok(Reply::data(json!({ "migration_id": id })))
    }

    pub(super) async fn remount_status(&self, req: Request<MoveId>) -> Result<Reply> {
        let moves = self.moves.0.lock();
        let Some((id, from, to)) = moves.iter().find(|(id, ..)| *id == req.fields.migration_id)
        else {
            return Ok(Reply::not_found());
        };
        Ok(Reply::data(json!({
            "migration_id": id,
            "migration_info": {
                "source_mount": from,
                "target_mount": to,
                "status": "success",
            },
        })))
    }
}
