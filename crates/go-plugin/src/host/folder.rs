//! The private folder of one plugin process: its sockets, ours for it, and its temporary files.
//!
//! Left out: choosing the parent, which is the caller's.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::{Error, server};

/// Longest socket name expected in it: Go makes `plugin` and up to ten digits.
const SOCKET_NAME: usize = 20;

/// A folder that only this user can enter, removed with all its content when dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes one below `parent`, which must exist.
    pub fn create(parent: &Path) -> Result<Self, Error> {
        let parent = std::path::absolute(parent)
            .map_err(Error::io(format!("finding the folder {}", parent.display())))?;
        let path = parent.join(format!("p{:016x}", rand::random::<u64>()));
        server::check_length(&path, SOCKET_NAME)?;
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(Error::io(format!("making the plugin's socket folder {}", path.display())))?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(why) = std::fs::remove_dir_all(&self.0) {
            if why.kind() != std::io::ErrorKind::NotFound {
                tracing::warn!(folder = %self.0.display(), error = %why, "cannot remove a plugin's folder");
            }
        }
    }
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
    fn a_parent_too_deep_for_sockets_is_refused_before_anything_is_made() {
        let parent = std::env::temp_dir().join("x".repeat(90));
        let error = Folder::create(&parent).unwrap_err();
        assert!(matches!(error, Error::SocketPath { limit: 107, .. }), "{error}");
    }
}
