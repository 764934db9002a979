//! The host's side: start a plugin process, talk to it, see it end, leave nothing behind.
//!
//! [`start`] takes a [`Command`] and gives a [`Client`]. Left out, because they are the caller's:
//! which executable may run (hashes, permissions), when to restart it, what its services mean.

mod client;
mod folder;
mod loopback;
mod orphans;
mod pace;
mod process;
mod spawn;
mod start;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use client::{Client, GRACE};
pub use folder::remove_abandoned;
pub use loopback::Loopback;
pub use orphans::{adopt_orphans, end_strays};
pub use process::Exit;
pub use rustix::process::Resource;
pub use spawn::{Executable, Limit};
pub use start::{StartError, StartFailure, start};

use crate::handshake::{self, Cookie};
use crate::log::LogLine;
use crate::tls::{Identity, PeerTls};
use folder::Folder;

/// How long a plugin may take from its start to its first answer, if the caller does not say.
pub const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Longest message that a host should take from a plugin, as an answer or as something to store.
/// Other hosts take two gigabytes, and have that much memory taken by whoever sends it. A message
/// is refused by its announced length, before it is read.
pub const LONGEST_FROM_PLUGIN: usize = 64 << 20;

/// How the connection is secured.
pub enum Tls {
    /// Throw-away certificates on both sides. A plugin that does not take part is refused.
    Auto,
    /// Not at all: whoever can reach the socket can speak. The socket's folder is private.
    Plain,
    /// With what the caller and the plugin agreed upon elsewhere.
    Given(PeerTls),
}

/// Which of its outputs a plugin wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputStream {
    /// What its author printed on stdout.
    Stdout,
    /// What its author printed on stderr, where the library replaced it. Logs come as
    /// [`Observer::log`].
    Stderr,
}

/// Receives what a plugin says. Called from the task that reads, which waits meanwhile: be quick.
pub trait Observer: Send + Sync + 'static {
    /// A line of its log.
    fn log(&self, line: LogLine);

    /// A piece of its output, by default discarded as in other hosts. At most as long as one
    /// message.
    fn output(&self, stream: OutputStream, data: &[u8]) {
        let _ = (stream, data);
    }

    /// So many lines or pieces of output were not passed on in the last second, because there were
    /// too many.
    fn dropped(&self, count: u64) {
        let _ = count;
    }
}

/// Discards everything; the last lines on stderr are still kept for diagnosis.
impl Observer for () {
    fn log(&self, _line: LogLine) {}
}

/// A plugin to be started.
pub struct Command {
    /// What to execute.
    pub executable: Executable,
    /// Its arguments, without the program's name.
    pub args: Vec<OsString>,
    /// Its whole environment; nothing of ours is inherited. Of equal names the last counts. The
    /// protocol's own variables and `TMPDIR` are added and override these.
    pub env: Vec<(OsString, OsString)>,
    /// Shows the plugin that this is its host.
    pub cookie: Cookie,
    /// The application protocol versions on offer.
    pub versions: Vec<u32>,
    /// How the connection is secured.
    pub tls: Tls,
    /// How long the process may take from its start to its first answer.
    pub start_timeout: Duration,
    /// An existing folder below which the process gets a private one, for sockets and temporary
    /// files. Some sixty bytes long at most.
    pub socket_parent: PathBuf,
    /// Resource limits.
    pub limits: Vec<Limit>,
    /// Who hears what the plugin says.
    pub observer: Arc<dyn Observer>,
}

impl Command {
    /// A command without arguments, environment and limits, with AutoMTLS, the usual timeout and
    /// nobody who listens; sockets go below the system's temporary folder.
    pub fn new(executable: Executable, cookie: Cookie, versions: Vec<u32>) -> Self {
        Self {
            executable,
            args: Vec::new(),
            env: Vec::new(),
            cookie,
            versions,
            tls: Tls::Auto,
            start_timeout: START_TIMEOUT,
            socket_parent: std::env::temp_dir(),
            limits: Vec::new(),
            observer: Arc::new(()),
        }
    }

    /// The caller's variables, then the protocol's (wire spec 1.2).
    fn environment(
        &self,
        folder: &Folder,
        identity: Option<&Identity>,
    ) -> Vec<(OsString, OsString)> {
        let versions: Vec<String> = self.versions.iter().map(u32::to_string).collect();
        let mut env = self.env.clone();
        let mut set = |key: &str, value: &OsStr| env.push((key.into(), value.into()));
        set(&self.cookie.key, self.cookie.value.as_ref());
        set(handshake::ENV_MIN_PORT, "10000".as_ref());
        set(handshake::ENV_MAX_PORT, "25000".as_ref());
        set(handshake::ENV_VERSIONS, versions.join(",").as_ref());
        set(handshake::ENV_SOCKET_DIR, folder.path().as_os_str());
        set("TMPDIR", folder.path().as_os_str());
        if let Some(identity) = identity {
            set(handshake::ENV_CLIENT_CERT, identity.pem().as_ref());
        } else {
            // Were it inherited through the caller's list, the plugin would insist on TLS.
            env.retain(|(key, _)| key != handshake::ENV_CLIENT_CERT);
        }
        env
    }
}
