//! Turns: who changes the same thing waits for each other, in this process.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

/// Turns by name; a name costs something only while somebody has its turn or waits for it.
#[derive(Default)]
pub struct Turns(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Runs `work` while nobody else works under this name.
    pub async fn alone<T>(&self, name: &str, work: impl Future<Output = T>) -> T {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(name.to_owned()).or_default())
        };
        let guard = turn.lock().await;
        let done = work.await;
        drop(guard);
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Ours and the map's own: nobody waits.
        if Arc::strong_count(&turn) == 2 {
            turns.remove(name);
        }
        done
    }
}
