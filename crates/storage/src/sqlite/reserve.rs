//! A file of nothing beside the database, which is given up for a moment when the disk is full: a deletion is a write,
//! and needs space in the log before it gives any back.
//!
//! Leaves out when it is given up, and what is written in its place.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Its size in bytes. A deletion changes a few pages of 4 KiB, and then the log is folded into the database, which may
/// grow by what is in the log.
const SIZE: usize = 2 << 20;

/// With less space than this, in bytes, the disk counts as nearly full: several logs of usual length.
const NEARLY_FULL: u64 = 128 << 20;

pub(super) struct Reserve {
    path: PathBuf,
    there: bool,
}

impl Reserve {
    /// The reserve of a database, made if there is space for it.
    pub(super) fn beside(database: &Path) -> Self {
        let mut name = database.as_os_str().to_owned();
        name.push("-reserve");
        let path = PathBuf::from(name);
        let whole = |found: fs::Metadata| found.is_file() && found.len() == SIZE as u64;
        let there = fs::metadata(&path).is_ok_and(whole);
        let mut reserve = Self { path, there };
        reserve.restore();
        reserve
    }

    /// Whether little space is left beside it.
    pub(super) fn is_nearly_needed(&self) -> bool {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        // A file system that does not say is taken for a large one.
        rustix::fs::statvfs(folder)
            .is_ok_and(|space| space.f_bavail.saturating_mul(space.f_frsize) < NEARLY_FULL)
    }

    /// Gives its space up; whether there was any.
    pub(super) fn release(&mut self) -> bool {
        if !self.there {
            return false;
        }
        self.there = false;
        match fs::remove_file(&self.path) {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(path = %self.path.display(), %error, "cannot give up the reserve for a full disk");
                false
            }
        }
    }

    /// Takes its space again, if it has none and there is some.
    pub(super) fn restore(&mut self) {
        if self.there {
            return;
        }
        match self.fill() {
            Ok(()) => self.there = true,
            // What was written of it would only be in the way. If it cannot be removed it is as small as it is.
            Err(_) => drop(fs::remove_file(&self.path)),
        }
    }

    fn fill(&self) -> io::Result<()> {
        // Written, not only made long: a file with holes has no space of its own.
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&self.path)?;
        file.write_all(&vec![0; SIZE])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_is_given_up_once_and_taken_again() {
        let folder = std::env::temp_dir().join(format!("reserve-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join("data.db-reserve");
        let mut reserve = Reserve::beside(&folder.join("data.db"));
        assert_eq!(fs::metadata(&file).expect("it is there").len(), SIZE as u64);
        assert!(reserve.release() && !file.exists());
        assert!(!reserve.release(), "there is none to give up");
        reserve.restore();
        assert!(file.exists());
        // One that was cut short is made whole.
        fs::write(&file, b"x").expect("write");
        assert!(Reserve::beside(&folder.join("data.db")).release());
        fs::remove_dir_all(&folder).expect("clear up");
    }
}
