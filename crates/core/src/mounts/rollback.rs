//! Once a minute every backend is asked to undo what was left half-done and to do its periodic
//! work: the operation `rollback` with an empty path (wire spec 2.12).
//!
//! A backend that hangs delays the next round by a bounded time, and no request.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use boltwork_logical::{Error, Operation, Request};
use futures_util::StreamExt;

use super::{mount::Mount, table::Mounts};

/// Between two rounds.
const PERIOD: Duration = Duration::from_secs(60);

/// Longest rollback of one backend.
const LIMIT: Duration = Duration::from_secs(60);

/// Backends asked at the same time.
const PARALLEL: usize = 16;

impl Mounts {
    /// Asks every running backend, round after round, until the mounts are gone.
    pub async fn run_rollbacks(mounts: Weak<Self>) {
        loop {
            tokio::time::sleep(PERIOD).await;
            let Some(this) = mounts.upgrade() else { return };
            let all: Vec<_> =
                this.router.load().all().filter(|mount| !mount.core_own).cloned().collect();
            drop(this);
            futures_util::stream::iter(all).for_each_concurrent(PARALLEL, roll_back).await;
        }
    }
}

async fn roll_back(mount: Arc<Mount>) {
    // One that is starting or unavailable has nothing to undo yet.
    if mount.live().is_none() {
        return;
    }
    let Ok(inside) = mount.enter().await else { return };
    let mut request = Request::new(Operation::Rollback, "", Arc::clone(&mount.storage));
    request.mount = mount.facts.load_full();
    match tokio::time::timeout(LIMIT, inside.handle(request)).await {
        Ok(Ok(_)) => {}
        Ok(Err(failure))
            if matches!(failure.error, Error::UnsupportedOperation | Error::UnsupportedPath) => {}
        Ok(Err(failure)) => tracing::error!(
            mount = mount.point(),
            error = %failure.error,
            "the backend's periodic work failed; it is tried again in a minute"
        ),
        Err(_) => tracing::warn!(
            mount = mount.point(),
            "the backend's periodic work took longer than a minute and was abandoned"
        ),
    }
}
