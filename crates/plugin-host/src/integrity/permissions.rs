//! Owner and mode of the plugin folder and its programs (wire spec 5.11), where the operator asked
//! for that check.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::HostError;
use crate::error::reason;

/// What owner and mode a file must have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FilePermissions {
    /// Owner; 0 for the user that the server runs as.
    pub uid: u32,
    /// Mode bits; 0 for "no write permission for group and others".
    pub mode: u32,
}

/// Checks one path. The texts are Vault's.
pub(crate) fn check(path: &Path, wanted: FilePermissions) -> Result<(), HostError> {
    let refused = |text| Err(HostError::Permissions(text));
    let name = path.display().to_string();
    if name.is_empty() {
        return refused("could not verify permissions for path. No path provided ".to_owned());
    }
    let found = match std::fs::metadata(path) {
        Ok(found) => found,
        Err(why) => return refused(format!("error stating {name:?}: {}", reason(&why))),
    };
    let own = rustix::process::geteuid().as_raw();
    if wanted.uid == 0 && found.uid() != own {
        return refused(format!("path {name:?} is not owned by my uid {own}"));
    }
    if wanted.uid != 0 && found.uid() != wanted.uid {
        return refused(format!("path {name:?} is not owned by uid {}", wanted.uid));
    }
    let mode = found.mode() & 0o777;
    if wanted.mode != 0 && mode != wanted.mode {
        return refused(format!("path {name:?} does not have permissions {:o}", wanted.mode));
    }
    if wanted.mode == 0 && mode & 0o022 != 0 {
        return refused(format!(
            "path {name:?} has insecure permissions {mode:o}. Vault expects no write permissions \
             for group or others"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn owner_and_mode_are_checked() {
        let path = std::env::temp_dir().join(format!("permissions-{}", std::process::id()));
        std::fs::write(&path, "x").unwrap();
        let own = rustix::process::geteuid().as_raw();
        let set = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let said = |uid, mode| {
            check(&path, FilePermissions { uid, mode }).map_err(|error| error.to_string())
        };
        set(0o755);
        assert!(said(0, 0).is_ok() && said(0, 0o755).is_ok());
        assert!(said(own + 1, 0).unwrap_err().contains("is not owned by uid"));
        assert!(said(0, 0o700).unwrap_err().contains("does not have permissions 700"));
        set(0o775);
        assert!(said(0, 0).unwrap_err().contains("has insecure permissions 775. Vault expects"));
        assert!(said(0, 0o775).is_ok());
        std::fs::remove_file(&path).unwrap();
        assert!(said(0, 0).unwrap_err().contains("error stating"));
        let nothing = check(Path::new(""), FilePermissions::default()).unwrap_err();
        assert!(nothing.to_string().contains("No path provided"));
    }
}
