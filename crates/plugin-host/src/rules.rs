//! What the operator configured about running plugins.

use std::path::{Path, PathBuf};
use std::time::Duration;

use boltwork_logical::Error;

use crate::integrity::{FilePermissions, check_permissions};
use crate::{HostError, PluginLimits};

/// Settings that every start obeys.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Where programs may lie; absolute.
    pub directory: Option<PathBuf>,
    /// Owner and mode to insist on, if any.
    pub permissions: Option<FilePermissions>,
    /// The server's version, told to plugins.
    pub version: String,
    /// Whether plugins are to lock their memory.
    pub mlock: bool,
    /// What each process may have.
    pub limits: PluginLimits,
    /// Limit for everything up to a plugin's first answers.
    pub start_timeout: Duration,
    /// Plugins that are never to share a process.
    pub multiplexing_opt_out: Vec<String>,
}

impl Rules {
    /// Checks them for a command that is being registered, as it was written.
    pub fn check_command(&self, command: &str) -> Result<(), Error> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let checked = self.check_permissions(&directory.join(command));
        checked.map_err(|why| Error::Internal(why.to_string()))
    }

    /// Checks owner and mode of the plugin folder and of a program in it (wire spec 5.11).
    pub fn check_permissions(&self, program: &Path) -> Result<(), HostError> {
        let Some(wanted) = self.permissions else { return Ok(()) };
        if let Some(directory) = &self.directory {
            check_permissions(directory, wanted)?;
        }
        check_permissions(program, wanted)
    }
}
