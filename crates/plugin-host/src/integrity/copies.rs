//! Sealed copies of programs that run: another process of the same file runs the same copy, which
//! saves reading and hashing it, and its memory.
//!
//! A copy is found again by what the kernel says of the file, which changes with every write to it
//! and with every other file in its place. Even if that could be deceived, what is executed is the
//! copy, whose hash is known and has to be the registered one. Nothing is kept for a program of
//! which no process runs.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A file that changed more recently may change once more without its times showing it: they
/// advance with the kernel's clock tick only.
const SETTLED: Duration = Duration::from_secs(1);

/// What the kernel says of a file, as far as it tells one content from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct State {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl State {
    /// Of an open file, unless it changed a moment ago.
    pub fn of(file: &File) -> Option<Self> {
        Self::settled(&file.metadata().ok()?, SystemTime::now())
    }

    pub(super) fn settled(facts: &Metadata, now: SystemTime) -> Option<Self> {
        let seconds = u64::try_from(facts.ctime()).ok()?;
        let changed = UNIX_EPOCH + Duration::from_secs(seconds + 1);
        if now.duration_since(changed).ok()? < SETTLED {
            return None;
        }
        Some(Self {
            device: facts.dev(),
            inode: facts.ino(),
            size: facts.size(),
            modified: (facts.mtime(), facts.mtime_nsec()),
            changed: (facts.ctime(), facts.ctime_nsec()),
        })
    }
}

/// A sealed copy of a program.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(super) file: OwnedFd,
    pub(super) sha256: [u8; 32],
}

/// The copies that are in use.
#[derive(Debug, Default)]
pub(super) struct Copies(Mutex<HashMap<State, Weak<Sealed>>>);

impl Copies {
    /// The copy of a file in this state, if a process still runs it.
    pub fn find(&self, state: &State) -> Option<Arc<Sealed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(state)?.upgrade()
    }

    /// Remembers a copy for as long as somebody holds it.
    pub fn remember(&self, state: State, sealed: &Arc<Sealed>) {
        let mut copies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        copies.retain(|_, copy| copy.strong_count() > 0);
        copies.insert(state, Arc::downgrade(sealed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changed_a_moment_ago_has_no_state_to_be_found_by() {
        let facts = std::env::current_exe().unwrap().metadata().unwrap();
        let changed = UNIX_EPOCH + Duration::from_secs(facts.ctime().unsigned_abs());
        assert_eq!(State::settled(&facts, changed), None);
        assert_eq!(State::settled(&facts, changed + SETTLED), None);
        assert!(State::settled(&facts, changed + SETTLED * 3).is_some());
        // A clock that was set back says nothing.
        assert_eq!(State::settled(&facts, UNIX_EPOCH), None);
    }
}
