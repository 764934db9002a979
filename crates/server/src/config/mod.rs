//! The server's configuration: Vault's HCL or JSON files and environment, as one typed value.
//!
//! Knows only the configuration language. Deliberately absent: command line flags, opening what
//! the configuration names, reloading. An unknown key is a warning, a wrong type an error with its
//! line; a block that promises a protection which this server lacks is refused, not ignored.

mod environment;
mod error;
mod listener;
mod merge;
mod plugin;
mod section;
mod storage;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use environment::Environment;
pub use error::{Error, Place, Problem, Warning};
pub use listener::{ClientCerts, Limits, Listener, Tls, TlsVersion};
pub use plugin::{Plugin, Program};
pub use storage::Storage;

use merge::Merge;

/// Everything that files and environment decide.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where data is kept.
    pub storage: Storage,
    /// Where the API is served; at least one.
    pub listeners: Vec<Listener>,
    /// How others reach this server.
    pub addresses: Addresses,
    /// External plugins.
    pub plugins: Plugins,
    /// Lease times that hold where a mount says nothing.
    pub leases: Leases,
    /// Logs.
    pub log: Log,
    /// The storage cache.
    pub cache: Cache,
    /// The process and its switches.
    pub process: Process,
}

/// How others reach this server.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    /// `api_addr`: the URL that clients are told.
    pub api: Option<String>,
    /// `cluster_addr`: the URL that other nodes would be told.
    pub cluster: Option<String>,
    /// `cluster_name`; one is made up at initialisation where absent.
    pub cluster_name: Option<String>,
}

/// External plugins.
#[derive(Debug, Clone, Default)]
pub struct Plugins {
    /// `plugin_directory`: the only place where executables are run from. Without it none is.
    pub directory: Option<PathBuf>,
    /// `plugin_tmpdir`: where sockets are made; the system's temporary directory where absent.
    pub tmpdir: Option<PathBuf>,
    /// `plugin_file_uid`: who may own executables besides this process's user.
    pub file_uid: Option<u32>,
    /// `plugin_file_permissions`: permission bits executables may have.
    pub file_permissions: Option<u32>,
    /// `plugin_max_memory`: bytes that a plugin process may write to.
    pub max_memory: Option<u64>,
    /// `plugin_max_open_files`: descriptors that a plugin process may have open.
    pub max_open_files: Option<u64>,
    /// `plugin_max_processes`: processes and threads of the server's user.
    pub max_processes: Option<u64>,
    /// `plugin_start_timeout`: how long a plugin may take until it is set up. Default 60 s.
    pub start_timeout: Option<Duration>,
    /// `plugin_auto_register`: register what is declared, and nothing else that was declared once.
    pub auto_register: bool,
    /// The `plugin` stanzas of all files.
    pub declared: Vec<Plugin>,
}

/// Lease times that hold where a mount says nothing.
#[derive(Debug, Clone, Copy)]
pub struct Leases {
    /// `default_lease_ttl`. Default 768 h, or the maximum where that is lower.
    pub default_ttl: Duration,
    /// `max_lease_ttl`. Default 768 h.
    pub max_ttl: Duration,
}

/// Logs.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// `log_level`. Default info.
    pub level: LogLevel,
    /// `log_format`. Default standard.
    pub format: LogFormat,
    /// `log_file`; standard error where absent.
    pub file: Option<PathBuf>,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// What developers want.
    Debug,
    /// What operators want.
    #[default]
    Info,
    /// What may be wrong.
    Warn,
    /// What is wrong.
    Error,
}

impl LogLevel {
    pub(crate) const WANTED: &str = "one of trace, debug, info, warn, error";

    /// Reads Vault's names, in lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name.trim() {
            "trace" => Self::Trace,
            "debug" => Self::Debug,
            "info" | "notice" => Self::Info,
            "warn" | "warning" => Self::Warn,
            "err" | "error" => Self::Error,
            _ => return None,
        })
    }
}

/// What a log line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Text for people.
    #[default]
    Standard,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    pub(crate) const WANTED: &str = "standard or json";

    /// Reads Vault's names, in lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name.trim() {
            "" | "standard" => Self::Standard,
            "json" => Self::Json,
            _ => return None,
        })
    }
}

/// The storage cache.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cache {
    /// `disable_cache`.
    pub disabled: bool,
    /// `cache_size`, in entries; the cache's own default where absent.
    pub entries: Option<usize>,
}

/// The process and its switches.
#[derive(Debug, Clone)]
pub struct Process {
    /// `pid_file`.
    pub pid_file: Option<PathBuf>,
    /// `disable_mlock`: do not lock memory.
    pub disable_mlock: bool,
    /// `ui`: serve the web interface.
    pub ui: bool,
    /// `raw_storage_endpoint`: serve `sys/raw`.
    pub raw_storage_endpoint: bool,
    /// `default_max_request_duration`. Default 90 s.
    pub max_request_duration: Duration,
}

impl Default for Config {
    /// No listener, and storage in memory: what files start from.
    fn default() -> Self {
        let ttl = Duration::from_secs(768 * 3600);
        Self {
            storage: Storage::Memory,
            listeners: Vec::new(),
            addresses: Addresses::default(),
            plugins: Plugins::default(),
            leases: Leases { default_ttl: ttl, max_ttl: ttl },
            log: Log::default(),
            cache: Cache::default(),
            process: Process {
                pid_file: None,
                disable_mlock: false,
                ui: false,
                raw_storage_endpoint: false,
                max_request_duration: Duration::from_secs(90),
            },
        }
    }
}

/// A configuration, and what is doubtful about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// To be logged, in the order of the files.
    pub warnings: Vec<Warning>,
}

/// Reads `-config` paths, each a file or a directory, in order, then the environment.
///
/// # Errors
/// [`Error`] where a file cannot be read or is wrong, or no storage or listener is configured.
pub fn load<P: AsRef<Path>>(paths: &[P], environment: &Environment<'_>) -> Result<Loaded, Error> {
    finish(Merge::default(), paths, environment)
}

/// Like [`load`], on top of what a development server has: storage in memory and a listener
/// without TLS at `address`.
///
/// # Errors
/// [`Error`] where a file cannot be read or is wrong.
pub fn load_development<P: AsRef<Path>>(
    address: &str,
    paths: &[P],
    environment: &Environment<'_>,
) -> Result<Loaded, Error> {
    let mut merge = Merge::default();
    merge.storage = Some(Storage::Memory);
    merge.config.listeners.push(Listener::plain(address));
    merge.config.process.ui = true;
    merge.config.process.raw_storage_endpoint = true;
    finish(merge, paths, environment)
}

fn finish<P: AsRef<Path>>(
    mut merge: Merge,
    paths: &[P],
    environment: &Environment<'_>,
) -> Result<Loaded, Error> {
    for path in paths {
        merge.path(path.as_ref())?;
    }
    let (mut config, warnings) = merge.finish()?;
    environment::apply(&mut config, environment)?;
    Ok(Loaded { config, warnings })
}
