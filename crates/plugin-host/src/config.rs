//! What a [`PluginHost`](crate::PluginHost) is made with.

use std::path::PathBuf;
use std::time::Duration;

use go_plugin::host::{Limit, Resource};

use crate::integrity::FilePermissions;
use crate::{Builtin, Declared};

/// Settings. Make one with [`PluginHostConfig::new`] and change what is to differ.
pub struct PluginHostConfig {
    /// `plugin_directory`; made absolute, not resolved (wire spec 5.10). Without it there are no
    /// external plugins.
    pub plugin_directory: Option<PathBuf>,
    /// An existing or new folder for the private folder of this server, in which plugins get
    /// theirs. Sockets go there, so its path must not be longer than some forty bytes.
    pub runtime_parent: PathBuf,
    /// Owner that the plugin folder and programs must have where permissions are checked; none, or
    /// 0, for the user that the server runs as (`plugin_file_uid`).
    pub file_uid: Option<u32>,
    /// Mode that they must have; none, or 0, for "not writable for others" (`plugin_file_permissions`).
    pub file_permissions: Option<u32>,
    /// Whether permissions are checked; if nothing is said, the environment decides
    /// (`VAULT_ENABLE_FILE_PERMISSIONS_CHECK` and its `BAO_` form).
    pub check_permissions: Option<bool>,
    /// The server's version as plugins are told it: `1.18.3`. Not empty.
    pub version: String,
    /// The plugins that are compiled in.
    pub builtins: Vec<Builtin>,
    /// The plugins that the configuration declares, registered whenever the server is unsealed;
    /// those that were declared once and are no more are removed. None: nothing of the kind is done.
    pub declared: Option<Vec<Declared>>,
    /// Whether plugins are to lock their memory, as the server does.
    pub mlock: bool,
    /// What each plugin process may have at most.
    pub limits: PluginLimits,
    /// Whether this process has no children but plugins, so that whatever plugins leave behind can
    /// be ended: **any other child is killed**.
    pub adopt_orphans: bool,
    /// How long a plugin may take from its start until it is set up.
    pub start_timeout: Duration,
    /// Names of plugins that are never to share a process; if nothing is said, the environment's
    /// (`VAULT_PLUGIN_MULTIPLEXING_OPT_OUT` and its `BAO_` form).
    pub multiplexing_opt_out: Option<Vec<String>>,
    /// Whether built-in plugins may be mounted that are about to be removed; if nothing is said, the
    /// environment decides (`VAULT_ALLOW_PENDING_REMOVAL_MOUNTS` and its `BAO_` form).
    pub allow_pending_removal: Option<bool>,
}

/// What a plugin process may have at most; nothing said is no limit but the server's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PluginLimits {
    /// Memory that it writes to, in bytes (`RLIMIT_DATA`): what it only reserves, as Go's runtime
    /// does, does not count.
    pub memory: Option<u64>,
    /// Open descriptors.
    pub open_files: Option<u64>,
    /// Processes and threads of the user that the server runs as, all plugins and the server
    /// together: the kernel counts no other way. It does not count for root.
    pub processes: Option<u64>,
}

impl PluginLimits {
    /// As the kernel takes them. Memory of plugins holds secrets, so none of them dumps it.
    pub(crate) fn all(&self) -> Vec<Limit> {
        let limit = |resource, most: Option<u64>| most.map(|most| Limit { resource, most });
        let all = [
            limit(Resource::Core, Some(0)),
            limit(Resource::Data, self.memory),
            limit(Resource::Nofile, self.open_files),
            limit(Resource::Nproc, self.processes),
        ];
        all.into_iter().flatten().collect()
    }
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
    /// No plugin folder, no built-in plugins, sixty seconds; the rest as the environment says.
    pub fn new(version: impl Into<String>, runtime_parent: impl Into<PathBuf>) -> Self {
        Self {
            plugin_directory: None,
            runtime_parent: runtime_parent.into(),
            file_uid: None,
            file_permissions: None,
            check_permissions: None,
            version: version.into(),
            builtins: Vec::new(),
            declared: None,
            mlock: false,
            limits: PluginLimits::default(),
            adopt_orphans: false,
            start_timeout: go_plugin::host::START_TIMEOUT,
            multiplexing_opt_out: None,
            allow_pending_removal: None,
        }
    }

    /// What is to be checked, if anything is.
    pub(crate) fn permissions(&self) -> Result<Option<FilePermissions>, ConfigError> {
        const CHECK: [&str; 2] =
            ["BAO_ENABLE_FILE_PERMISSIONS_CHECK", "VAULT_ENABLE_FILE_PERMISSIONS_CHECK"];
        let check = match (self.check_permissions, first(CHECK)) {
            (Some(check), _) => check,
            (None, Some((variable, value))) => parse_bool(variable, &value)?,
            (None, None) => false,
        };
        let wanted = FilePermissions {
            uid: self.file_uid.unwrap_or(0),
            mode: self.file_permissions.unwrap_or(0),
        };
        Ok(check.then_some(wanted))
    }

    /// Whether what is about to be removed may be mounted.
    pub(crate) fn pending_removal_allowed(&self) -> Result<bool, ConfigError> {
        const ALLOW: [&str; 2] =
            ["BAO_ALLOW_PENDING_REMOVAL_MOUNTS", "VAULT_ALLOW_PENDING_REMOVAL_MOUNTS"];
        match (self.allow_pending_removal, first(ALLOW)) {
            (Some(allow), _) => Ok(allow),
            (None, Some((variable, value))) => parse_bool(variable, &value),
            (None, None) => Ok(false),
        }
    }

    /// Who never shares a process. Names are compared as they stand there, blanks and all.
    pub(crate) fn opt_out(&self) -> Vec<String> {
        const OPT_OUT: [&str; 2] =
            ["BAO_PLUGIN_MULTIPLEXING_OPT_OUT", "VAULT_PLUGIN_MULTIPLEXING_OPT_OUT"];
        let named = || {
            let (_, names) = first(OPT_OUT)?;
            Some(names.split(',').map(str::to_owned).collect())
        };
        self.multiplexing_opt_out.clone().or_else(named).unwrap_or_default()
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
