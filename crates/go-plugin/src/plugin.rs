//! The plugin's side: be started by a host, say where we listen, serve until told to stop.
//!
//! [`main`] is what a plugin binary calls; [`serve`] is the same inside a runtime of the
//! author's. Left out: logging (a host reads hclog's JSON on stderr, see [`crate::log`]) and
//! everything that the author's services mean.

use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tonic::service::Routes;

use crate::broker::Broker;
use crate::handshake::{self, Cookie, Handshake, Network};
use crate::pidfd::ProcessEnd;
use crate::server::{Serving, Socket};
use crate::services::{Output, Standard};
use crate::tls::{Identity, PeerTls, certificates_from_pem};
use crate::transport::answering::Pace;
use crate::{Error, handshake::Negotiated};

/// How long what is still running may take once serving has ended. Hosts wait two seconds.
const LAST_WORK: Duration = Duration::from_millis(500);

/// What a service of the author's is made with.
#[derive(Clone, Debug)]
pub struct Context {
    /// Reaches the services that the host offers to this plugin.
    pub broker: Broker,
    /// Sends text to the host as this plugin's output.
    pub output: Output,
    /// The protocol version that was agreed upon.
    pub version: u32,
}

type MakeRoutes = Box<dyn FnOnce(&Context) -> Routes + Send>;

/// One application protocol version that a plugin speaks.
pub struct Version {
    number: u32,
    routes: MakeRoutes,
}

impl Version {
    /// A version and the services it consists of. Raise their message limits to
    /// [`MAX_MESSAGE`](crate::MAX_MESSAGE).
    pub fn new(number: u32, routes: impl FnOnce(&Context) -> Routes + Send + 'static) -> Self {
        Self { number, routes: Box::new(routes) }
    }
}

type ProvideTls =
    Box<dyn FnOnce() -> Result<Option<PeerTls>, Box<dyn std::error::Error + Send + Sync>> + Send>;

/// A plugin to be served.
pub struct ServeConfig {
    cookie: Cookie,
    versions: Vec<Version>,
    tls: Option<ProvideTls>,
}

impl ServeConfig {
    /// A plugin that is started with this cookie and speaks these versions.
    pub fn new(cookie: Cookie, versions: Vec<Version>) -> Self {
        Self { cookie, versions, tls: None }
    }

    /// TLS that host and plugin agreed upon elsewhere. Asked first; if it gives nothing, AutoMTLS
    /// is used where the host wants it. Runs on a thread where it may block.
    pub fn with_tls(
        mut self,
        provide: impl FnOnce() -> Result<Option<PeerTls>, Box<dyn std::error::Error + Send + Sync>>
        + Send
        + 'static,
    ) -> Self {
        self.tls = Some(Box::new(provide));
        self
    }
}

/// Serves until the host says stop or dies, in a runtime made for it. What a plugin's `main`
/// returns: 0 after a stop, 1 if it was not started by its host or could not serve.
pub fn main(config: ServeConfig) -> ExitCode {
    if !config.cookie.present() {
        not_under_host();
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => {
            eprintln!("cannot start the runtime: {why}");
            return ExitCode::FAILURE;
        }
    };
    let served = runtime.block_on(serve(config));
    runtime.shutdown_timeout(LAST_WORK);
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn not_under_host() {
    eprintln!(
        "This binary is a plugin. These are not meant to be executed directly.\n\
         A host program starts it, with an environment of its own making.\n\
         Register it with the host instead."
    );
}

/// Serves until the host says stop or dies. Exits through its result, never by itself; the caller
/// should end the process soon after, for hosts wait two seconds.
pub async fn serve(config: ServeConfig) -> Result<(), Error> {
    let ServeConfig { cookie, versions, tls } = config;
    if !cookie.present() {
        return Err(Error::NotUnderHost(cookie.key));
    }
    let host = Host::find();
    let (version, routes) = choose(versions)?;
    let (tls, certificate) = secure(tls).await?;

    let folder = folder();
    let (broker, announcements) = Broker::new(tls.clone(), folder.clone());
    let (output, pieces) = Output::new();
    let context = Context { broker, output, version };
    let stop = watch::Sender::new(false);
    let mut stopped = stop.subscribe();
    let standard = Standard { broker: context.broker.clone(), announcements, output: pieces, stop };
    let routes = standard.add_to(routes(&context));

    let socket = Socket::bind(&folder, &format!("plugin{:010}", rand::random::<u32>()))?;
    let handshake = Handshake {
        version,
        network: Network::Unix,
        address: socket.path().to_string_lossy().into_owned(),
        certificate,
    };
    let _serving: Serving = socket.serve(tls.as_ref(), routes, Pace::Apart);
    // Ctrl-C in a terminal reaches the whole group; when to stop is the host's decision.
    let mut interrupts =
        signal(SignalKind::interrupt()).map_err(Error::io("ignoring interrupts"))?;
    announce(&handshake).map_err(Error::io("writing the handshake on stdout"))?;

    loop {
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => break,
            () = host.gone() => break,
            _ = interrupts.recv() => {}
        }
    }
    context.broker.close();
    Ok(())
}

fn choose(versions: Vec<Version>) -> Result<(u32, MakeRoutes), Error> {
    let own: Vec<u32> = versions.iter().map(|version| version.number).collect();
    let offer = std::env::var(handshake::ENV_VERSIONS).unwrap_or_default();
    let Negotiated { version, unreadable } =
        handshake::negotiate(&own, &offer).ok_or_else(|| Error::Io {
            what: "choosing a protocol version".into(),
            source: io::Error::other("the plugin declares none"),
        })?;
    for entry in unreadable {
        eprintln!("{}: {entry:?} is not a version; ignored", handshake::ENV_VERSIONS);
    }
    let chosen = versions.into_iter().find(|candidate| candidate.number == version);
    let chosen = chosen.expect("negotiation chooses among the versions it was given");
    Ok((version, chosen.routes))
}

type Secured = (Option<PeerTls>, Option<CertificateDer<'static>>);

async fn secure(provide: Option<ProvideTls>) -> Result<Secured, Error> {
    let what = "the TLS that the plugin provides itself";
    if let Some(provide) = provide {
        let provided = tokio::task::spawn_blocking(provide)
            .await
            .map_err(|why| Error::certificate(what, why))?
            .map_err(|why| Error::certificate(what, why))?;
        if provided.is_some() {
            return Ok((provided, None));
        }
    }
    let host = std::env::var(handshake::ENV_CLIENT_CERT).unwrap_or_default();
    if host.is_empty() {
        return Ok((None, None));
    }
    let identity = Identity::generate()?;
    let tls = identity.with_peer(certificates_from_pem(&host)?)?;
    Ok((Some(tls), identity.certificate().cloned()))
}

fn folder() -> PathBuf {
    match std::env::var_os(handshake::ENV_SOCKET_DIR) {
        Some(folder) if !folder.is_empty() => folder.into(),
        _ => std::env::temp_dir(),
    }
}

/// One write, so that no reader sees half a line, past the buffers of the standard library.
fn announce(handshake: &Handshake) -> io::Result<()> {
    let line = handshake.to_line();
    let stdout = io::stdout().lock();
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(stdout.as_fd(), rest))?;
        rest = &rest[written..];
    }
    Ok(())
}

/// The process that started us. Go hosts ask the kernel for no signal at their own death, and a
/// plugin without its host is of no use to anyone.
struct Host(Option<ProcessEnd>);

impl Host {
    /// To be called first of all: once the host is gone, its successor would be taken for it.
    fn find() -> Self {
        // Without a parent we are the first process of a container; without a descriptor for it
        // (seccomp), its end cannot be seen.
        let parent = rustix::process::getppid();
        Self(parent.and_then(|pid| ProcessEnd::of(pid).ok()))
    }

    /// Ends when the host does, however it ends. Never ends where that cannot be known.
    async fn gone(&self) {
        match &self.0 {
            Some(end) => end.wait().await,
            None => std::future::pending().await,
        }
    }
}
