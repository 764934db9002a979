//! Plugins as the server speaks of them: the catalog's entries, and [`Plugins`], the trait through
//! which the core reaches whoever keeps the catalog and runs plugins, without knowing how.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use crate::{Backend, BoxFuture, Data, Error, OpenedDatabase, SecretText, Setup, Storage};

/// Kind of a plugin. The numbers are those of the stored catalog (wire spec 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum PluginKind {
    /// Auth method.
    Auth = 1,
    /// Database.
    Database = 2,
    /// Secrets engine.
    Secret = 3,
}

/// A word that names no plugin kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a supported plugin type")]
pub struct UnknownKind(pub String);

impl PluginKind {
    /// Every kind, in the order of lists.
    pub const ALL: [Self; 3] = [Self::Auth, Self::Database, Self::Secret];

    /// The word in paths and replies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Database => "database",
            Self::Secret => "secret",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Result<Self, UnknownKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or_else(|| UnknownKind(word.to_owned()))
    }

    /// Reads the catalog's number.
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u64 == number)
    }
}

impl fmt::Display for PluginKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which plugin: kind, name, and version (`""`: the unversioned one, or the built-in one).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PluginId {
    /// Kind.
    pub kind: PluginKind,
    /// Name; may contain `/`.
    pub name: String,
    /// Canonical version with `v`, or empty.
    pub version: String,
}

/// A plugin that can be mounted, as lists and `info` show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginEntry {
    /// Which.
    pub id: PluginId,
    /// Command relative to the plugin directory; empty if built in.
    pub command: String,
    /// Arguments.
    pub args: Vec<String>,
    /// `KEY=value` settings. Never shown.
    pub env: Vec<String>,
    /// SHA-256 of the binary; empty if built in.
    pub sha256: Vec<u8>,
    /// Compiled in.
    pub builtin: bool,
    /// Registered by the server's configuration.
    pub declarative: bool,
    /// `supported`, `deprecated`, … for built-in ones.
    pub deprecation: Option<&'static str>,
}

/// A request to register a plugin, as it came (wire spec 5.3): unchecked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Registration {
    /// Kind; empty to find out by running it.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Version; empty for the one that the plugin reports itself.
    pub version: String,
    /// SHA-256 in hex.
    pub sha256: String,
    /// Command in the plugin directory, possibly with arguments.
    pub command: String,
    /// Arguments.
    pub args: Vec<String>,
    /// `KEY=value` settings.
    pub env: Vec<String>,
    /// Container image: refused with a clear text.
    pub oci_image: String,
    /// Container runtime: refused with a clear text.
    pub runtime: String,
}

/// A backend that was brought up, and what it turned out to be.
#[derive(Clone)]
pub struct Running {
    /// The backend.
    pub backend: Arc<dyn Backend>,
    /// Version that runs: `running_plugin_version`.
    pub version: String,
    /// SHA-256 of what runs in hex; empty if built in.
    pub sha256: String,
    /// Compiled in.
    pub builtin: bool,
    /// `supported`, `deprecated`, … for built-in ones.
    pub deprecation: Option<&'static str>,
}

/// How one running plugin process is, for operators.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PluginStatus {
    /// `auth`, `database`, `secret`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name.
    pub name: String,
    /// Version that runs.
    pub version: String,
    /// SHA-256 that runs, hex.
    pub sha256: String,
    /// Mount paths served by this process.
    pub mounts: Vec<String>,
    /// `starting`, `running`, `restarting`, `unavailable`; `idle` until the first request, which
    /// starts the process of a plugin of protocol 3 or 4.
    pub state: String,
    /// Process id, 0 if none.
    pub pid: u32,
    /// When it started.
    #[serde(skip)]
    pub started: Option<SystemTime>,
    /// Restarts since it was first brought up.
    pub restarts: u64,
    /// Why it last exited, with the end of its stderr.
    pub last_exit: String,
    /// Resident memory in bytes.
    pub resident_bytes: u64,
    /// Requests so far.
    pub requests: u64,
    /// Requests that ended in a transport failure.
    pub failures: u64,
}

/// The server, as whoever runs plugins may use it while it is unsealed. What it is used for is not
/// the server's business.
pub trait PluginServer: Send + Sync {
    /// The address at which plugins reach the server's API; empty if it has none to tell.
    fn api_addr(&self) -> &str;

    /// Puts data into a wrapping token in JWT format (wire spec 3): good for one use within the
    /// time, and for nothing else. Waits until the server answers requests.
    fn wrap(&self, data: Data, ttl: Duration) -> BoxFuture<'_, Result<SecretText, Error>>;
}

/// Whoever keeps the catalog and brings plugins up. One per server.
///
/// All versions given and returned are canonical (`v1.2.3`) or empty.
pub trait Plugins: Send + Sync {
    /// The server is unsealed: the catalog's entries are under this storage
    /// (`core/plugin-catalog/`), and this is the server that plugins are run for.
    fn open(
        &self,
        catalog: Arc<dyn Storage>,
        server: Arc<dyn PluginServer>,
    ) -> BoxFuture<'_, Result<(), Error>>;

    /// The server is sealed or stops: every process ends, the catalog is forgotten.
    fn close(&self) -> BoxFuture<'_, ()>;

    /// Checks, runs (preflight) and stores a registration. Returns warnings.
    fn register(&self, registration: Registration) -> BoxFuture<'_, Result<Vec<String>, Error>>;

    /// Forgets an entry; no error if there is none. A built-in version and a pinned one are refused.
    fn deregister<'a>(&'a self, id: &'a PluginId) -> BoxFuture<'a, Result<(), Error>>;

    /// Looks an entry up by the rules of wire spec 5.2; `None` if there is none.
    fn get<'a>(&'a self, id: &'a PluginId) -> BoxFuture<'a, Result<Option<PluginEntry>, Error>>;

    /// Every entry, external and built in, sorted by kind, name and version; a built-in one that an
    /// unversioned external one hides is left out.
    fn list(&self) -> BoxFuture<'_, Result<Vec<PluginEntry>, Error>>;

    /// The versions that are pinned, sorted by kind and name.
    fn pins(&self) -> BoxFuture<'_, Result<Vec<PluginId>, Error>>;

    /// The pinned version of a plugin, if there is one. It is what [`Plugins::create`] brings up,
    /// whatever version it is asked for (wire spec 5.4).
    fn pinned<'a>(
        &'a self,
        kind: PluginKind,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<PluginId>, Error>>;

    /// Pins a registered version in place of the one pinned before. Only versioned external plugins
    /// can be pinned. What runs goes on until its next start or reload.
    fn pin<'a>(&'a self, id: &'a PluginId) -> BoxFuture<'a, Result<(), Error>>;

    /// Removes a pin; no error if there is none.
    fn unpin<'a>(&'a self, kind: PluginKind, name: &'a str) -> BoxFuture<'a, Result<(), Error>>;

    /// The version to store for a new mount, or a new connection to a database, by the rules of wire
    /// spec 5.5: the given one checked (loose form allowed), or, if empty, the one that is chosen.
    fn select_version<'a>(
        &'a self,
        kind: PluginKind,
        name: &'a str,
        wanted: &'a str,
    ) -> BoxFuture<'a, Result<String, Error>>;

    /// Brings a backend up for a mount: built in, or a process started or shared. A pin counts more
    /// than the version in `id`.
    fn create<'a>(
        &'a self,
        id: &'a PluginId,
        setup: Setup,
    ) -> BoxFuture<'a, Result<Running, Error>>;

    /// Brings a database plugin up, not configured yet. A pin counts more than the version in `id`.
    /// Operators see it with the mount that uses it.
    fn open_database<'a>(
        &'a self,
        id: &'a PluginId,
        mount_point: &'a str,
    ) -> BoxFuture<'a, Result<OpenedDatabase, Error>>;

    /// Takes every open connection of the database plugins of this name out of use: none of them is
    /// current any more, and whoever keeps one opens another, in a fresh process. How many there
    /// were.
    fn reload_databases<'a>(&'a self, name: &'a str) -> BoxFuture<'a, usize>;

    /// The next backend of this plugin gets a fresh process: whatever runs for it now takes no new
    /// instances and ends with its last one. The first half of a reload; no error if nothing runs.
    fn retire<'a>(&'a self, id: &'a PluginId) -> BoxFuture<'a, ()>;

    /// How the running processes are.
    fn status(&self) -> BoxFuture<'_, Vec<PluginStatus>>;
}
