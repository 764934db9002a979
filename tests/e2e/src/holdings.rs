//! What a server holds: children, descriptors, threads, files. Counted before and after many cycles
//! of something, it shows what leaks.
//!
//! Left out on purpose: memory, which allocators keep, and tasks, which show as what they hold.

use crate::server::Server;
use crate::{PATIENCE, process};
use std::time::{Duration, Instant};

/// Descriptors and threads that may be more than before: a connection that is just closing, a
/// thread of a pool that was not needed until now.
const SLACK: usize = 6;

/// What a server holds at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holdings {
    /// Everything that descends from it, zombies too.
    pub processes: Vec<String>,
    /// Open descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
    /// Files, folders and sockets in its runtime folder.
    pub files: usize,
}

impl Holdings {
    /// What the server holds now.
    pub fn of(server: &Server) -> Self {
        let pid = server.pid();
        let named = |it: process::Process| format!("{} {} ({})", it.pid, it.name, it.state);
        Self {
            processes: process::descendants(pid).into_iter().map(named).collect(),
            descriptors: process::descriptors(pid),
            threads: process::threads(pid),
            files: process::files(&server.temporary()).len(),
        }
    }

    fn no_more_than(&self, before: &Self) -> bool {
        let zombies = self.processes.iter().any(|process| process.ends_with("(Z)"));
        !zombies
            && self.processes.len() <= before.processes.len()
            && self.files <= before.files
            && self.descriptors <= before.descriptors + SLACK
            && self.threads <= before.threads + SLACK
    }

    /// Wants the server to hold no more than this again, soon.
    #[track_caller]
    pub fn are_back(&self, server: &Server) {
        let start = Instant::now();
        loop {
            let now = Self::of(server);
            if now.no_more_than(self) {
                return;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "it leaks.\nbefore: {self:?}\nnow: {now:?}\nfiles: {:?}",
                process::files(&server.temporary())
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
