//! Stage 1: the mount with the longest prefix, and its backend.

use std::sync::Arc;

use boltwork_logical::Error;

use super::Inbound;
use crate::{
    active::Active,
    mounts::{Inside, Mount},
};

/// A request whose mount is known, if there is one.
pub struct Routed {
    pub(super) inbound: Inbound,
    pub(super) target: Option<Target>,
}

/// Where a request goes.
pub struct Target {
    pub(super) mount: Arc<Mount>,
    /// Path below the mount.
    pub(super) relative: String,
    /// The backend, or why there is none.
    pub(super) inside: Result<Inside, Error>,
}

pub async fn route(active: &Active, inbound: Inbound) -> Routed {
    let found =
        active.mounts.route(&inbound.path).map(|(mount, relative)| (mount, relative.to_owned()));
    let target = match found {
        None => None,
        Some((mount, relative)) => {
            let inside = mount.enter().await;
            Some(Target { mount, relative, inside })
        }
    };
    Routed { inbound, target }
}
