//! Private folders: one for the whole server, with everything below it that plugins need.
//!
//! A server that was killed cannot clean up after itself, so the next one does: each holds a lock
//! in its folder as long as it lives, and folders that nobody locks are removed.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

/// How the server's folders are called. Short: paths of sockets have 107 bytes.
const PREFIX: &str = "boltwork-";
const LOCK: &str = "lock";

/// A folder that only this user can enter, removed with its content when dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes one with a random name below `parent`.
    pub fn create(parent: &Path, prefix: &str) -> io::Result<Self> {
        let path = parent.join(format!("{prefix}{:08x}", rand::random::<u32>()));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(why) = std::fs::remove_dir_all(&self.0)
            && why.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(folder = %self.0.display(), error = %why, "cannot remove a folder");
        }
    }
}

/// The server's folder.
#[derive(Debug)]
pub(crate) struct RuntimeFolder {
    folder: Folder,
    _lock: File,
}

impl RuntimeFolder {
    /// Makes it below `parent`, which is made too if need be, and removes what servers left there
    /// that are no more.
    pub fn create(parent: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        remove_abandoned(parent);
        let folder = Folder::create(parent, PREFIX)?;
        let lock = File::create_new(folder.path().join(LOCK))?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { folder, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn remove_abandoned(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && is_abandoned(&path) {
            tracing::info!(folder = %path.display(), "removing what a killed server left");
            go_plugin::host::end_strays(&path);
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}

/// Ours, and nobody holds its lock. A folder without a lock may be about to get one.
fn is_abandoned(path: &Path) -> bool {
    let ours = std::fs::symlink_metadata(path)
        .is_ok_and(|facts| facts.is_dir() && facts.uid() == rustix::process::geteuid().as_raw());
    ours && File::open(path.join(LOCK)).is_ok_and(|lock| {
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_server_left_is_removed_and_what_a_living_one_has_is_not() {
        let parent = Folder::create(&std::env::temp_dir(), "runtime-").unwrap();
        let living = RuntimeFolder::create(parent.path()).unwrap();
        let killed = RuntimeFolder::create(parent.path()).unwrap();
        let left = killed.path().to_owned();
        std::fs::write(left.join("socket"), "").unwrap();
        let RuntimeFolder { folder, _lock } = killed;
        drop(_lock);
        std::mem::forget(folder);
        let other = parent.path().join("boltwork-unlocked");
        std::fs::create_dir(&other).unwrap();
        let next = RuntimeFolder::create(parent.path()).unwrap();
        assert!(!left.exists());
        assert!(living.path().exists() && next.path().exists() && other.exists());
        let path = living.path().to_owned();
        drop(living);
        assert!(!path.exists());
    }
}
