//! Transactions that a plugin has open, by the id that it was given (wire spec 2.9).
//!
//! Their number is bounded, for each holds memory and a snapshot; all are forgotten with the
//! backend. An id that is not known is an error everywhere: taking it for "outside of any
//! transaction", as OpenBao does, would turn all-or-nothing into some.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use boltwork_logical::Transaction;
use uuid::Uuid;

/// Transactions that one backend may have open at the same time.
const MOST: usize = 256;

/// One transaction. Its calls are made one after the other, as they come.
pub(super) type Open = Arc<tokio::sync::Mutex<Option<Box<dyn Transaction>>>>;

#[derive(Default)]
pub(super) struct Transactions(Mutex<State>);

#[derive(Default)]
struct State {
    open: HashMap<String, Open>,
    ended: bool,
}

impl Transactions {
    /// Whether one more may be opened.
    pub fn has_room(&self) -> bool {
        let state = self.state();
        !state.ended && state.open.len() < MOST
    }

    /// Keeps a transaction under a new id; nothing if there is no room any more.
    pub fn keep(&self, transaction: Box<dyn Transaction>) -> Option<String> {
        let mut state = self.state();
        if state.ended || state.open.len() >= MOST {
            return None;
        }
        let id = Uuid::new_v4().to_string();
        state.open.insert(id.clone(), Arc::new(tokio::sync::Mutex::new(Some(transaction))));
        Some(id)
    }

    /// The transaction of an id.
    pub fn find(&self, id: &str) -> Option<Open> {
        self.state().open.get(id).cloned()
    }

    /// The transaction of an id, which is forgotten.
    pub fn take(&self, id: &str) -> Option<Open> {
        self.state().open.remove(id)
    }

    /// Forgets all, and keeps none from now on.
    pub fn end(&self) {
        let open = {
            let mut state = self.state();
            state.ended = true;
            std::mem::take(&mut state.open)
        };
        // Not under the lock: a transaction may have work to do when it is dropped.
        drop(open);
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
