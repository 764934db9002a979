//! Removes users of which nobody knows whether they were made: the connection broke while the
//! database was at it. The engine got an error, so it has no lease that would remove them.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::pool::Pool;
use crate::users;

/// Pauses between attempts double up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Attempts for one user: about a day.
const ATTEMPTS: u32 = 1440;
/// Users that are being removed at a time. Beyond that, their own end (`VALID UNTIL`) has to do.
const MAX_SWEEPS: usize = 256;

/// What runs in the background for one connection's users.
pub struct Sweeper(Arc<Semaphore>);

impl Default for Sweeper {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_SWEEPS)))
    }
}

impl Sweeper {
    /// Removes a user as soon as the database can be asked; ends with the pool.
    pub fn remove(&self, pool: &Arc<Pool>, username: String) {
        let Ok(permit) = Arc::clone(&self.0).try_acquire_owned() else {
            tracing::error!(user = username, "a user may be left over, and too many others are");
            return;
        };
        let pool = Arc::downgrade(pool);
        tokio::spawn(async move {
            sweep(pool, &username).await;
            drop(permit);
        });
    }
}

async fn sweep(pool: Weak<Pool>, username: &str) {
    let mut pause = Duration::ZERO;
    for _ in 0..ATTEMPTS {
        tokio::time::sleep(pause).await;
        let Some(pool) = pool.upgrade().filter(|pool| !pool.is_closed()) else { return };
        match users::remove(&pool, username, &[], pool.deadline()).await {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(user = username, %error, "a user that may be left over is not removed yet");
            }
        }
        pause = (pause * 2).clamp(Duration::from_secs(1), LONGEST_PAUSE);
    }
    tracing::error!(user = username, "a user may be left over: remove it by hand");
}
