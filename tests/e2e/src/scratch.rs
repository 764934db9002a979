//! A folder that is removed with the value that stands for it.
//!
//! Left out on purpose: names that tell what is inside. They are short, because a Unix socket's
//! path holds 107 bytes and plugins put theirs below.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A fresh folder of our own; gone when this is dropped, kept when a test fails.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes the folder.
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("bwt-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder for the test");
        Self(path.canonicalize().expect("the folder that was just made"))
    }

    /// Where it is; absolute and free of symbolic links.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A folder inside it, made if need be.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(&path).expect("a folder for the test");
        path
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the test's files are kept in {}", self.0.display());
            return;
        }
        // What cannot be removed is only litter, and the test has said what it had to say.
        let _ = fs::remove_dir_all(&self.0);
    }
}
