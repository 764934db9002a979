//! Turns: who changes the same thing waits for each other, in this process.
//!
//! Transactions make changes exact; turns keep them from being tried in vain, and make them exact too
//! under servers without transactions, where one process serves a mount.

use std::hash::{BuildHasher, RandomState};

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Locks that all names share: two names on one lock only wait for each other.
const STRIPES: usize = 256;

/// Turns by name.
pub struct Turns {
    stripes: Box<[RwLock<()>]>,
    hasher: RandomState,
}

impl Default for Turns {
    fn default() -> Self {
        let stripes = (0..STRIPES).map(|_| RwLock::new(())).collect();
        Self { stripes, hasher: RandomState::new() }
    }
}

impl Turns {
    /// Waits until nobody changes it, and keeps it so.
    pub async fn shared(&self, name: &str) -> RwLockReadGuard<'_, ()> {
        self.stripe(name).read().await
    }

    /// Waits until nobody else has to do with it, and keeps it so.
    pub async fn alone(&self, name: &str) -> RwLockWriteGuard<'_, ()> {
        self.stripe(name).write().await
    }

    fn stripe(&self, name: &str) -> &RwLock<()> {
        let stripe = self.hasher.hash_one(name) % STRIPES as u64;
        // Below the number of stripes, which fits any integer.
        &self.stripes[usize::try_from(stripe).unwrap_or_default()]
    }
}
