//! What a [`PluginHost`](crate::PluginHost) is made with.

use std::path::PathBuf;
use std::time::Duration;

use crate::{Builtin, FilePermissions};

/// Settings. Make one with [`PluginHostConfig::new`] and change what is to differ.
pub struct PluginHostConfig {
    /// `plugin_directory`; made absolute, not resolved (wire spec 5.10). Without it there are no
    /// external plugins.
    pub plugin_directory: Option<PathBuf>,
    /// An existing or new folder for the private folder of this server, in which plugins get
    /// theirs. Sockets go there, so its path must not be longer than some forty bytes.
    pub runtime_parent: PathBuf,
    /// Owner and mode that the plugin folder and programs must have, where that is to be checked.
    pub file_permissions: Option<FilePermissions>,
    /// The server's version as plugins are told it: `1.18.3`. Not empty.
    pub version: String,
    /// The plugins that are compiled in.
    pub builtins: Vec<Builtin>,
    /// How long a plugin may take from its start until it is set up.
    pub start_timeout: Duration,
    /// Names of plugins that are never to share a process.
    pub multiplexing_opt_out: Vec<String>,
}

/// The environment says something that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to parse environment variable {variable}: {value:?} is neither true nor false")]
pub struct ConfigError {
    /// Which variable.
    pub variable: &'static str,
    /// What it holds.
    pub value: String,
}

impl PluginHostConfig {
    /// No plugin folder, no built-in plugins, no checks of permissions, sixty seconds.
    pub fn new(version: impl Into<String>) -> Self {
        Self {
            plugin_directory: None,
            runtime_parent: std::env::temp_dir(),
            file_permissions: None,
            version: version.into(),
            builtins: Vec::new(),
            start_timeout: go_plugin::host::START_TIMEOUT,
            multiplexing_opt_out: Vec::new(),
        }
    }

    /// Reads what Vault and OpenBao take from their environment: the switch for the check of
    /// permissions (to be done with these `permissions`), and the names of plugins that are not to
    /// share a process. `BAO_` names come before `VAULT_` names.
    pub fn with_environment(mut self, permissions: FilePermissions) -> Result<Self, ConfigError> {
        const CHECK: [&str; 2] =
            ["BAO_ENABLE_FILE_PERMISSIONS_CHECK", "VAULT_ENABLE_FILE_PERMISSIONS_CHECK"];
        const OPT_OUT: [&str; 2] =
            ["BAO_PLUGIN_MULTIPLEXING_OPT_OUT", "VAULT_PLUGIN_MULTIPLEXING_OPT_OUT"];
        if let Some((variable, value)) = first(CHECK) {
            self.file_permissions = parse_bool(variable, &value)?.then_some(permissions);
        }
        if let Some((_, names)) = first(OPT_OUT) {
            self.multiplexing_opt_out = names.split(',').map(str::to_owned).collect();
        }
        Ok(self)
    }
}

fn first(names: [&'static str; 2]) -> Option<(&'static str, String)> {
    names.into_iter().find_map(|name| Some((name, std::env::var(name).ok()?)))
}

/// Booleans as Go reads them.
fn parse_bool(variable: &'static str, value: &str) -> Result<bool, ConfigError> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(ConfigError { variable, value: value.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_read_as_go_reads_them() {
        assert_eq!(parse_bool("X", "True"), Ok(true));
        assert_eq!(parse_bool("X", "0"), Ok(false));
        let error = parse_bool("X", "maybe").unwrap_err();
        assert!(error.to_string().contains("failed to parse environment variable X"));
    }
}
