//! Where PostgreSQL's programs are, and as whom they run: its server refuses to run as root.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Scratch;

/// PostgreSQL's programs of one version.
pub struct Programs {
    folder: PathBuf,
    /// User and group to run as; `None` if we are nobody special ourselves.
    run_as: Option<(u32, u32)>,
}

impl Programs {
    /// Looks where packages put them; `BOLTWORK_POSTGRES` names another folder.
    pub fn find() -> Option<Self> {
        let complete = |folder: &PathBuf| {
            ["postgres", "initdb", "psql"].iter().all(|name| folder.join(name).is_file())
        };
        let folder = candidates().into_iter().find(complete)?;
        Some(Self { folder, run_as: ordinary_user() })
    }

    /// The path of one.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// One of them, to be run as an ordinary user.
    pub fn command(&self, name: &str) -> Command {
        self.ordinary(self.path(name))
    }

    /// Some other program, to be run as the same user.
    pub fn ordinary(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        if let Some((user, group)) = self.run_as {
            command.uid(user).gid(group);
        }
        command
    }

    /// A folder that belongs to that user.
    pub fn folder(&self, scratch: &Scratch, name: &str) -> PathBuf {
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(scratch.path(), open).expect("our own folder");
        let path = scratch.folder(name);
        self.own(&path);
        path
    }

    /// Gives a file to that user, who alone may read it.
    pub fn own(&self, path: &Path) {
        let mode = if path.is_dir() { 0o700 } else { 0o600 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own file");
        if let Some((user, group)) = self.run_as {
            chown(path, Some(user), Some(group)).expect("root may give files away");
        }
    }
}

fn candidates() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        std::env::var_os("BOLTWORK_POSTGRES").map(PathBuf::from).into_iter().collect();
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .collect();
    versions.sort();
    found.extend(versions.into_iter().rev().map(|(_, folder)| folder.join("bin")));
    found.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    found
}

/// The user that PostgreSQL's package made, or nobody; `None` if we are not root.
fn ordinary_user() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").expect("/proc is there").uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("/etc/passwd is readable");
    let of = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    of("postgres").or_else(|| of("nobody")).or(Some((65534, 65534)))
}
