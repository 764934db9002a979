//! `sys/internal/ui/mounts`: what a caller may know of mounts. The CLI asks it before every `kv`
//! command to learn the version of the engine.

use boltwork_framework::{Reply, Request, Result};
use boltwork_logical::Error;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{System, mount_info};
use crate::{
    mounts::{Mount, Table},
    session::Session,
};

/// A path somewhere below a mount.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Somewhere {
    /// The path of the mount.
    #[serde(default)]
    path: String,
}

impl System {
    pub(super) async fn visible_mounts(&self, req: Request) -> Result<Reply> {
        let session = Session::of(req.caller().session.as_ref()).ok();
        let active = self.active()?;
        let shown = |table| -> Map<String, Value> {
            let mounts = active.mounts.all(table);
            mounts
                .iter()
                .filter(|mount| may_see(session.as_deref(), mount))
                .map(|mount| {
                    let info = match session {
                        Some(_) => mount_info::full(mount),
                        None => mount_info::brief(mount),
                    };
                    (mount.entry.load().path.clone(), info)
                })
                .collect()
        };
        Ok(Reply::data(json!({ "secret": shown(Table::Secret), "auth": shown(Table::Auth) })))
    }

    pub(super) async fn visible_mount(&self, req: Request<Somewhere>) -> Result<Reply> {
        let session = Session::of(req.caller().session.as_ref())?;
        let path = &req.fields.path;
        // The same answer for what is not there and what may not be seen.
        let refused = || Error::Coded {
            status: 403,
            message: format!(
                "preflight capability check returned 403, please ensure client's policies grant \
                 access to path \"{}/\"",
                path.trim_matches('/')
            ),
        };
        let active = self.active()?;
        let (mount, _) = active.mounts.route(path).ok_or_else(refused)?;
        if !may_see(Some(&session), &mount) {
            return Err(refused());
        }
        let mut info = mount_info::full(&mount);
        info["path"] = json!(mount.entry.load().path);
        Ok(Reply::data(info))
    }
}

fn may_see(session: Option<&Session>, mount: &Mount) -> bool {
    mount.entry.load().config.listing_visibility == "unauth"
        || session.is_some_and(|s| s.is_root() || s.acl.mount_visible(&mount.point()))
}
