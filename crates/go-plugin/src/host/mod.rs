//! The host's side: start a plugin process, talk to it, see it end, leave nothing behind.
//!
//! [`start`] takes a [`Command`] and gives a [`Client`]. Left out, because they are the caller's:
//! which executable may run (hashes, permissions), when to restart it, what its services mean.

mod client;
mod folder;
mod process;
mod spawn;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::BufReader;
use tokio::process::ChildStdout;
use tokio::time::Instant;

pub use client::{Client, GRACE};
pub use folder::remove_abandoned;
pub use process::Exit;
pub use rustix::process::Resource;
pub use spawn::{Executable, Limit};

use crate::Error;
use crate::channel::Channel;
use crate::handshake::{self, Cookie, Handshake, HandshakeError};
use crate::log::LogLine;
use crate::tls::{Identity, PeerTls};
use folder::Folder;

/// How long a plugin may take from its start to its first answer, if the caller does not say.
pub const START_TIMEOUT: Duration = Duration::from_secs(60);

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
    /// Limit for everything that [`start`] does.
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

/// Why a plugin could not be started, and what it left for diagnosis.
#[derive(Debug, thiserror::Error)]
pub struct StartError {
    /// Name of the executable.
    pub plugin: String,
    /// What went wrong.
    #[source]
    pub failure: StartFailure,
    /// How the process ended: by itself before we gave up, or because we killed it.
    pub status: Option<ExitStatus>,
    /// The last lines that it wrote on stderr.
    pub stderr: Vec<String>,
}

/// Lines of stderr that are part of the error's text.
const SHOWN_LINES: usize = 5;

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plugin {:?} did not start: {}", self.plugin, self.failure)?;
        if let (StartFailure::Exited, Some(status)) = (&self.failure, self.status) {
            write!(f, " ({status})")?;
        }
        let from = self.stderr.len().saturating_sub(SHOWN_LINES);
        let lines = self.stderr.get(from..).unwrap_or_default();
        if !lines.is_empty() {
            write!(f, "; last on its stderr: {}", lines.join(" / "))?;
        }
        Ok(())
    }
}

/// What can go wrong between starting a process and its first answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartFailure {
    /// Our own preparations failed: folder, certificate.
    #[error("preparing it: {0}")]
    Prepare(#[source] Box<Error>),

    /// The kernel did not run it.
    #[error("{hint}: {0}", hint = spawn_hint(.0))]
    Spawn(#[source] io::Error),

    /// The time ran out.
    #[error("timeout while waiting for plugin to start: nothing usable within {0:?}")]
    Timeout(Duration),

    /// It ended, or closed its stdout, without a line.
    #[error(
        "plugin exited before we could connect: Failed to read any lines from plugin's stdout. \
         This usually means that it was built for another kind of host or machine, misses a \
         library, or refused its arguments or environment"
    )]
    Exited,

    /// Its first line is no handshake that we accept.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),

    /// It ignored the request for mutual TLS.
    #[error("the plugin sent no certificate although mutual TLS was asked for: refused")]
    NoCertificate,

    /// The handshake was good, the connection was not.
    #[error("reattachment to what it announced failed: {0}")]
    Connect(#[source] Box<Error>),

    /// It does not answer as a plugin does.
    #[error(
        "it accepted a connection but did not answer on it: {0}. With mutual TLS this usually \
         means that it refused our certificate"
    )]
    Silent(#[source] Box<tonic::Status>),
}

fn spawn_hint(why: &io::Error) -> &'static str {
    match why.raw_os_error() {
        Some(libc::ENOEXEC) => "it is not a program for this machine",
        Some(libc::ENOENT) => "the file, or the loader or interpreter it names, does not exist",
        Some(libc::EACCES) => "not executable, or on a file system mounted noexec",
        _ => "the system did not run it",
    }
}

/// Starts a plugin and connects to it. On any failure, and if the returned future is dropped,
/// the process is killed and its folder removed.
pub async fn start(command: Command) -> Result<Client, Error> {
    let plugin = command.executable.name();
    let early = |failure: StartFailure| -> Error {
        let (status, stderr) = (None, Vec::new());
        Box::new(StartError { plugin: plugin.clone(), failure, status, stderr }).into()
    };
    let deadline = Instant::now() + command.start_timeout;
    let limit = command.start_timeout;
    let prepared = |why| early(StartFailure::Prepare(Box::new(why)));

    let folder = Folder::create(&command.socket_parent).map_err(prepared)?;
    let identity = match &command.tls {
        Tls::Auto => Some(Identity::generate().map_err(prepared)?),
        Tls::Plain | Tls::Given(_) => None,
    };
    let env = command.environment(&folder, identity.as_ref());
    let sockets = folder.path().to_owned();
    let Command { executable, args, tls, versions, limits, observer, .. } = command;

    let order = spawn::Order { executable, args, env, limits };
    let child = spawn::spawn(order).await.map_err(|why| early(StartFailure::Spawn(why)))?;
    let handle = process::watch(child, folder, observer.clone());
    let process::Handle { pid, kill, exit, mut stdout, tail } =
        handle.map_err(|why| early(StartFailure::Spawn(why)))?;

    let peer = Expected { versions, tls, identity };
    let connecting = async {
        let (handshake, tls, channel) = peer.meet(&mut stdout).await?;
        let channel = client::Streams::open(channel, tls, sockets, observer).await?;
        Ok((handshake.version, channel))
    };
    let failure = match tokio::time::timeout_at(deadline, connecting).await {
        Ok(Ok((version, streams))) => {
            // Whatever else it prints there must not block it.
            tokio::spawn(
                async move { tokio::io::copy_buf(&mut stdout, &mut tokio::io::sink()).await },
            );
            return Ok(Client::new(plugin, pid, version, streams, kill, exit, tail));
        }
        Ok(Err(failure)) => failure,
        Err(_) => StartFailure::Timeout(limit),
    };
    if matches!(failure, StartFailure::Exited) {
        // Its own status is worth more than that of our signal.
        let _ = tokio::time::timeout_at(deadline, client::wait(exit.clone(), &tail)).await;
    }
    drop(kill);
    let exit = client::wait(exit, &tail).await;
    let stderr = exit.stderr.clone();
    Err(Box::new(StartError { plugin, failure, status: exit.status, stderr }).into())
}

/// What we know of the plugin before it speaks.
struct Expected {
    versions: Vec<u32>,
    tls: Tls,
    identity: Option<Identity>,
}

impl Expected {
    /// Reads the handshake and connects.
    async fn meet(
        self,
        stdout: &mut BufReader<ChildStdout>,
    ) -> Result<(Handshake, Option<PeerTls>, Channel), StartFailure> {
        let mut line = Vec::new();
        match process::read_line(stdout, &mut line).await {
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return Err(StartFailure::Exited),
        }
        let line = String::from_utf8_lossy(&line);
        let handshake = Handshake::parse(&line, &self.versions)?;
        let connect = |why| StartFailure::Connect(Box::new(why));
        let tls = match (self.tls, self.identity) {
            (Tls::Given(tls), _) => Some(tls),
            (Tls::Auto, Some(identity)) => {
                let certificate = handshake.certificate.clone();
                let certificate = certificate.ok_or(StartFailure::NoCertificate)?;
                Some(identity.with_peer(vec![certificate]).map_err(connect)?)
            }
            (Tls::Auto, None) | (Tls::Plain, _) => None,
        };
        let channel = Channel::connect(handshake.network, &handshake.address, tls.as_ref());
        let channel = channel.await.map_err(connect)?;
        Ok((handshake, tls, channel))
    }
}
