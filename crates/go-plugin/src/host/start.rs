//! From a [`Command`] to a [`Client`]: spawn, handshake, connection, first answer.
//!
//! Left out: what the parts do (`folder`, `spawn`, `process`, `client`), and trying again.

use std::fmt;
use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::io::BufReader;
use tokio::process::ChildStdout;
use tokio::time::timeout;

use super::client::{Client, Streams};
use super::folder::Folder;
use super::process::Handle;
use super::{Command, Tls, client, process, spawn};
use crate::Error;
use crate::channel::Channel;
use crate::handshake::{Handshake, HandshakeError};
use crate::tls::{Identity, PeerTls};

/// After a failure the process may be about to end by itself; its own status then says more than
/// that of our signal, and its last lines are complete.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// Starts a plugin and connects to it. On any failure, and if the returned future is dropped,
/// the process is killed and its folder removed.
pub async fn start(command: Command) -> Result<Client, Error> {
    let plugin = command.executable.name();
    let early = |failure| StartError::before_it_ran(plugin.clone(), failure);
    let prepared = |why| early(StartFailure::Prepare(Box::new(why)));

    let folder = Folder::create(&command.socket_parent).map_err(prepared)?;
    let identity = match &command.tls {
        Tls::Auto => Some(Identity::generate().map_err(prepared)?),
        Tls::Plain | Tls::Given(_) => None,
    };
    let env = command.environment(&folder, identity.as_ref());
    let sockets = folder.path().to_owned();
    let limit = command.start_timeout;
    let Command { executable, args, tls, versions, limits, observer, .. } = command;

    let order = spawn::Order { executable, args, env, limits };
    let spawned = |why| early(StartFailure::Spawn(why));
    let child = spawn::spawn(order).await.map_err(spawned)?;
    let mut handle = process::watch(child, folder, observer.clone()).map_err(spawned)?;

    let peer = Expected { versions, tls, identity };
    let connecting = async {
        let (handshake, tls, channel) = peer.meet(&mut handle.stdout).await?;
        let streams = Streams::open(channel, tls, sockets, observer).await?;
        Ok((handshake.version, streams))
    };
    match timeout(limit, connecting).await {
        Ok(Ok((version, streams))) => Ok(Client::new(plugin, version, streams, handle)),
        Ok(Err(failure)) => Err(give_up(plugin, failure, handle).await),
        Err(_) => Err(give_up(plugin, StartFailure::Timeout(limit), handle).await),
    }
}

/// Ends a process that did not become a plugin, and says why.
async fn give_up(plugin: String, failure: StartFailure, handle: Handle) -> Error {
    let Handle { kill, exit, tail, .. } = handle;
    let ended = timeout(LAST_WORDS, client::wait(exit.clone(), &tail)).await;
    let status = ended.ok().and_then(|exit| exit.status);
    drop(kill);
    let stderr = client::wait(exit, &tail).await.stderr.clone();
    let failure = match failure {
        StartFailure::Exited if status.is_none() => StartFailure::Mute,
        other => other,
    };
    Box::new(StartError { plugin, failure, status, stderr }).into()
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

/// Why a plugin could not be started, and what it left for diagnosis.
#[derive(Debug, thiserror::Error)]
pub struct StartError {
    /// Name of the executable.
    pub plugin: String,
    /// What went wrong.
    #[source]
    pub failure: StartFailure,
    /// How the process ended, if it did so by itself; else we killed it.
    pub status: Option<ExitStatus>,
    /// The last lines that it wrote on stderr.
    pub stderr: Vec<String>,
}

impl StartError {
    /// What went wrong, without what the plugin wrote.
    pub fn summary(&self) -> String {
        let Self { plugin, failure, status, .. } = self;
        let status = status.map(|status| format!(" (the process ended: {status})"));
        format!("plugin {plugin:?} did not start: {failure}{}", status.unwrap_or_default())
    }

    fn before_it_ran(plugin: String, failure: StartFailure) -> Error {
        Box::new(Self { plugin, failure, status: None, stderr: Vec::new() }).into()
    }
}

/// Lines of stderr that are part of the error's text.
const SHOWN_LINES: usize = 5;

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())?;
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

    /// It ended without a line.
    #[error(
        "plugin exited before we could connect: Failed to read any lines from plugin's stdout. \
         This usually means that it was built for another kind of host or machine, misses a \
         library, or refused its arguments or environment"
    )]
    Exited,

    /// It lives, but closed its stdout without a line.
    #[error(
        "Failed to read any lines from plugin's stdout: the program closed it, and runs on. It is \
         not a go-plugin program, or detaches itself"
    )]
    Mute,

    /// Its first line is no handshake that we accept.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),

    /// It ignored the request for mutual TLS.
    #[error("the plugin sent no certificate although mutual TLS was asked for: refused")]
    NoCertificate,

    /// The handshake was good, the connection was not.
    #[error("connecting to what it announced failed: {0}")]
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
