//! Waiting for the end of any process without polling and without reaping it (Linux's pidfd).
//!
//! Left out: signals and exit statuses.

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags};
use tokio::io::unix::AsyncFd;

/// A process that can be waited for, child or not. It cannot be mistaken for a later process of
/// the same number.
#[derive(Debug)]
pub(crate) struct ProcessEnd(AsyncFd<OwnedFd>);

impl ProcessEnd {
    /// Of the process that has this number now.
    pub fn of(pid: Pid) -> io::Result<Self> {
        let descriptor = rustix::process::pidfd_open(pid, PidfdFlags::NONBLOCK)?;
        Ok(Self(register(descriptor)?))
    }

    /// Returns once the process has ended. A child is then a zombie, to be reaped by its parent.
    pub async fn wait(&self) {
        // It fails only when the runtime ends, which ends whoever waits here as well.
        let _ = self.0.readable().await;
    }
}

// Deprecated because a type may close or swap the descriptor under the runtime's feet. `OwnedFd`
// cannot, and the successor is `unsafe`, which would be worse here than an old name.
#[allow(deprecated)]
fn register(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(descriptor)
}
