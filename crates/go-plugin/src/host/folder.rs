//! The private folder of one plugin process: its sockets, ours for it, and its temporary files.
//!
//! A folder is removed with its process. Only a host that is killed outright cannot do that, so
//! each folder is locked while its host lives, and [`remove_abandoned`] takes those that are not.
//! Left out: choosing the parent, which is the caller's.

use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::{Error, server};

/// Longest socket name expected in it: Go makes `plugin` and up to ten digits.
const SOCKET_NAME: usize = 20;
/// What our folders' names start with; sixteen hexadecimal digits follow.
const PREFIX: &str = "gp-";
const DIGITS: usize = 16;
/// Attempts to make a folder while somebody sweeps.
const TRIES: usize = 10;

/// A folder that only this user can enter, removed with all its content when dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Keeps the lock.
    _lock: File,
}

impl Folder {
    /// Makes one below `parent`, which must exist.
    pub fn create(parent: &Path) -> Result<Self, Error> {
        let parent = std::path::absolute(parent)
            .map_err(Error::io(format!("finding the folder {}", parent.display())))?;
        server::check_length(&parent, 1 + PREFIX.len() + DIGITS + SOCKET_NAME)?;
        let what = format!("making a socket folder for the plugin in {}", parent.display());
        for _ in 0..TRIES {
            let path = parent.join(format!("{PREFIX}{:016x}", rand::random::<u64>()));
            let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
            made.map_err(Error::io(what.as_str()))?;
            // Between making and locking, another host's sweep may have taken it for abandoned.
            if let Some(lock) = lock(&path) {
                return Ok(Self { path, _lock: lock });
            }
            remove(&path);
        }
        Err(Error::io(what)(io::Error::other("it cannot be locked")))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Locks a folder, unless someone else has or it is gone.
fn lock(path: &Path) -> Option<File> {
    let folder = File::open(path).ok()?;
    flock(&folder, FlockOperation::NonBlockingLockExclusive).ok()?;
    // What was opened may have been removed since.
    let (opened, named) = (folder.metadata().ok()?, std::fs::symlink_metadata(path).ok()?);
    (opened.ino() == named.ino() && opened.dev() == named.dev()).then_some(folder)
}

fn remove(path: &Path) {
    match std::fs::remove_dir_all(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(folder = %path.display(), error = %why, "cannot remove a plugin's folder");
        }
        _ => {}
    }
}

/// Removes what hosts of this user that were killed outright have left below `parent`. Meant to
/// be called once, when a host starts; folders in use, and everything else, are left alone.
pub fn remove_abandoned(parent: &Path) -> Result<(), Error> {
    let entries = std::fs::read_dir(parent)
        .map_err(Error::io(format!("looking for abandoned folders in {}", parent.display())))?;
    let user = rustix::process::geteuid().as_raw();
    for entry in entries.flatten() {
        let path = entry.path();
        let ours = entry.file_name().to_str().is_some_and(is_ours)
            && entry.metadata().is_ok_and(|it| it.is_dir() && it.uid() == user);
        if ours && let Some(_lock) = lock(&path) {
            remove(&path);
        }
    }
    Ok(())
}

fn is_ours(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|digits| {
        digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_the_owner_may_enter_and_nothing_is_left() {
        let folder = Folder::create(&std::env::temp_dir()).unwrap();
        let path = folder.path().to_owned();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::write(path.join("left-over"), "x").unwrap();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_sweep_takes_only_what_is_ours_and_unlocked() {
        let parent = Folder::create(&std::env::temp_dir()).unwrap();
        let used = Folder::create(parent.path()).unwrap();
        let abandoned = parent.path().join("gp-0123456789abcdef");
        let others = ["gp-0123456789abcdeg", "gp-1", "other"].map(|it| parent.path().join(it));
        for path in others.iter().chain([&abandoned]) {
            std::fs::create_dir(path).unwrap();
            std::fs::write(path.join("socket"), "").unwrap();
        }
        remove_abandoned(parent.path()).unwrap();
        assert!(!abandoned.exists());
        assert!(others.iter().all(|path| path.join("socket").exists()));
        assert!(used.path().exists());
    }

    #[test]
    fn a_parent_too_deep_for_sockets_is_refused_before_anything_is_made() {
        let parent = std::env::temp_dir().join("x".repeat(90));
        let error = Folder::create(&parent).unwrap_err();
        assert!(matches!(error, Error::SocketPath { limit: 107, .. }), "{error}");
    }
}
