//! Where a plugin's binary lies: only directly inside the plugin directory (wire spec 5.3, rules 10
//! to 13).

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use boltwork_logical::Error;
use rustix::fs::StatVfsMountFlags;

/// The binary of a command in the plugin directory, which must be absolute. The texts are Vault's.
///
/// # Errors
/// There is no directory or no such file, or the file lies elsewhere. A plugin directory that is
/// itself a symbolic link is refused, as in Vault: whoever may change the link could change what is
/// inside.
pub fn locate(directory: Option<&Path>, command: &str) -> Result<PathBuf, Error> {
    let directory = directory.ok_or_else(|| {
        Error::internal("could not set plugin, plugin directory is not configured")
    })?;
    if command.contains("..") {
        return Err(Error::internal("path cannot contain parent references"));
    }
    let path = directory.join(command.trim_start_matches('/'));
    let resolved = std::fs::canonicalize(&path).map_err(|e| {
        let why = match e.kind() {
            std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            _ => e.to_string(),
        };
        Error::internal(format!(
            "error while validating the command path: lstat {}: {why}",
            path.display()
        ))
    })?;
    if resolved.parent() != Some(directory) {
        return Err(Error::internal("cannot execute files outside of configured plugin directory"));
    }
    Ok(resolved)
}

/// Whether the file's file system does not allow execution. Unknown counts as allowed.
pub fn is_noexec(file: &File) -> bool {
    // Not named by the library: Linux's ST_NOEXEC.
    const NOEXEC: u64 = 8;
    rustix::fs::fstatvfs(file)
        .is_ok_and(|facts| facts.f_flag.contains(StatVfsMountFlags::from_bits_retain(NOEXEC)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_directly_inside_the_directory_are_found() {
        let base = std::env::temp_dir().join(format!("boltwork-place-{:x}", rand::random::<u64>()));
        let (inside, outside) = (base.join("plugins"), base.join("elsewhere"));
        std::fs::create_dir_all(inside.join("sub")).unwrap();
        std::fs::create_dir_all(&outside).unwrap();
        std::fs::write(inside.join("good"), "").unwrap();
        std::fs::write(inside.join("sub/deep"), "").unwrap();
        std::fs::write(outside.join("bad"), "").unwrap();
        std::os::unix::fs::symlink(outside.join("bad"), inside.join("link")).unwrap();
        std::os::unix::fs::symlink(&inside, base.join("alias")).unwrap();
        let text = |dir: &Path, command: &str| locate(Some(dir), command).unwrap_err().to_string();
        assert_eq!(locate(Some(&inside), "good").unwrap(), inside.join("good"));
        assert!(text(&inside, "none").contains("no such file or directory"));
        assert!(text(&inside, "../elsewhere/bad").contains("parent references"));
        for (dir, command) in
            [(&inside, "link"), (&inside, "sub/deep"), (&base.join("alias"), "good")]
        {
            assert!(
                text(dir, command).contains("outside of configured plugin directory"),
                "{command}"
            );
        }
        assert!(locate(None, "good").is_err());
        std::fs::remove_dir_all(base).unwrap();
    }
}
