//! `~/.vault-token`: where `login` keeps the token, readable by its owner alone.
//!
//! External token helpers (`~/.vault`) are left out.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::environment::Environment;

fn place(environment: &Environment) -> io::Result<PathBuf> {
    let home = environment.var("HOME").filter(|h| !h.is_empty());
    let home = home.ok_or_else(|| io::Error::other("the variable HOME is not set"))?;
    Ok(PathBuf::from(home).join(".vault-token"))
}

/// The stored token, `None` if there is none.
pub(crate) fn read(environment: &Environment) -> io::Result<Option<Zeroizing<String>>> {
    let Ok(path) = place(environment) else { return Ok(None) };
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let text = Zeroizing::new(text);
            let token = text.trim();
            Ok((!token.is_empty()).then(|| Zeroizing::new(token.to_owned())))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Stores a token. A new file takes the old one's place in one step, so that its mode is ours even
/// where the old one's was not.
pub(crate) fn write(environment: &Environment, token: &str) -> io::Result<()> {
    let path = place(environment)?;
    let new = path.with_file_name(format!(".vault-token.{}.new", std::process::id()));
    let result = (|| {
        let mut file =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(token.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, &path)
    })();
    if result.is_err() {
        // Best effort: the first error is the one worth reporting.
        let _ = std::fs::remove_file(&new);
    }
    result
}
