//! Listening: accepting connections, TLS, and stopping without cutting requests off.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use boltwork_core::Core;
use boltwork_logical::{Connection, TlsState};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::{GracefulConnection, GracefulShutdown},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};
use tokio_rustls::TlsAcceptor;

use crate::{ListenerError, door::Door, tls};

/// Longest TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long, and to how much, we listen to a client that was refused.
const PARTING: Duration = Duration::from_secs(1);
const PARTING_BYTES: u64 = 64 << 10;

/// Longest wait for requests to end when stopping.
const GRACE: Duration = Duration::from_secs(10);

/// Connections at once, per listener; more wait to be accepted.
const MAX_CONNECTIONS: usize = 8192;

/// Bounds on what a client may do.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest body, in bytes.
    pub body: usize,
    /// Longest request; zero is no limit.
    pub request: Duration,
    /// Longest time for a request's header to arrive.
    pub header: Duration,
    /// Longest time for a request's body to arrive.
    pub read: Duration,
}

impl Default for Limits {
    /// Vault's: 32 MiB, 90 s, 10 s, 30 s.
    fn default() -> Self {
        Self {
            body: 32 << 20,
            request: Duration::from_secs(90),
            header: Duration::from_secs(10),
            read: Duration::from_secs(30),
        }
    }
}

/// Where and how to listen.
#[derive(Clone, Debug, Default)]
pub struct ListenerConfig {
    /// `host:port`.
    pub address: String,
    /// TLS, or plain text.
    pub tls: Option<TlsFiles>,
    /// Bounds.
    pub limits: Limits,
    /// Show `sys/metrics` to whoever asks.
    pub open_metrics: bool,
}

/// Files and settings of a TLS listener.
#[derive(Clone, Debug, Default)]
pub struct TlsFiles {
    /// PEM certificate chain, leaf first.
    pub certificate: PathBuf,
    /// PEM private key.
    pub key: PathBuf,
    /// PEM CA certificates for client certificates; none are asked for without it.
    pub client_ca: Option<PathBuf>,
    /// Refuse clients without a certificate.
    pub require_client_certificate: bool,
    /// `tls12` or `tls13`; empty is `tls12`.
    pub min_version: String,
    /// `tls12` or `tls13`; empty is `tls13`.
    pub max_version: String,
}

/// An open listener.
pub struct Listener {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    door: Arc<Door>,
}

impl Listener {
    /// Binds the address and reads the certificates.
    ///
    /// # Errors
    /// The address is taken, or a file cannot be used.
    pub async fn open(config: ListenerConfig, core: Arc<Core>) -> Result<Self, ListenerError> {
        let tls = config.tls.as_ref().map(tls::load).transpose()?.map(TlsAcceptor::from);
        let socket = TcpListener::bind(&config.address)
            .await
            .map_err(|source| ListenerError::Bind { address: config.address.clone(), source })?;
        Ok(Self {
            socket,
            tls,
            door: Arc::new(Door { core, limits: config.limits, open_metrics: config.open_metrics }),
        })
    }

    /// The address that was bound.
    ///
    /// # Errors
    /// The socket is gone.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until told to stop, then lets requests end, for a bounded time.
    pub async fn serve(self, mut stop: watch::Receiver<bool>) {
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let place = match Arc::clone(&places).acquire_owned().await {
                Ok(place) => place,
                Err(_) => break,
            };
            let (stream, peer) = tokio::select! {
                accepted = self.socket.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Out of descriptors, mostly: wait for some to be closed.
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
                () = stopped(&mut stop) => break,
            };
            let watcher = graceful.watcher();
            let (door, tls) = (Arc::clone(&self.door), self.tls.clone());
            tokio::spawn(async move {
                converse(stream, peer, tls, door, watcher).await;
                drop(place);
            });
        }
        drop(self.socket);
        if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
            tracing::warn!("requests were still running when the listener stopped");
        }
    }
}

/// Returns when the server stops, or when nobody is left who could say so.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

type Watcher = hyper_util::server::graceful::Watcher;

/// One connection, from first byte to last.
async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    door: Arc<Door>,
    watcher: Watcher,
) {
    let _ = stream.set_nodelay(true);
    let mut connection =
        Connection { remote_addr: peer.ip().to_string(), remote_port: peer.port(), tls: None };
    let Some(tls) = tls else {
        return serve_http1(TokioIo::new(stream), connection, door, watcher).await;
    };
    let accepted = tls.accept(stream).into_fallible();
    let stream = match tokio::time::timeout(HANDSHAKE, accepted).await {
        Ok(Ok(stream)) => stream,
        Ok(Err((error, stream))) => {
            tracing::debug!(%peer, %error, "a TLS handshake failed");
            return part(stream).await;
        }
        Err(_) => {
            tracing::debug!(%peer, "a TLS handshake took too long");
            return;
        }
    };
    let session = stream.get_ref().1;
    connection.tls = Some(tls_state(session));
    match session.alpn_protocol() {
        Some(b"h2") => serve_http2(TokioIo::new(stream), connection, door, watcher).await,
        _ => serve_http1(TokioIo::new(stream), connection, door, watcher).await,
    }
}

/// Lets a client that was refused read why. A client that has no certificate takes the handshake for
/// done and sends its request; were the connection closed with that unread, its system might throw
/// away what we said.
async fn part(mut stream: TcpStream) {
    let read = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(PARTING_BYTES), &mut tokio::io::sink()).await
    };
    let _ = tokio::time::timeout(PARTING, read).await;
}

fn tls_state(session: &rustls::ServerConnection) -> TlsState {
    let peers: Vec<Vec<u8>> = session
        .peer_certificates()
        .unwrap_or_default()
        .iter()
        .map(|certificate| certificate.to_vec())
        .collect();
    TlsState {
        version: session.protocol_version().map_or(0, u16::from),
        cipher_suite: session.negotiated_cipher_suite().map_or(0, |s| u16::from(s.suite())),
        negotiated_protocol: session
            .alpn_protocol()
            .map(|p| String::from_utf8_lossy(p).into_owned())
            .unwrap_or_default(),
        server_name: session.server_name().unwrap_or_default().to_owned(),
        // The listener verified the chain that it was given, or there is none.
        verified_chains: if peers.is_empty() { Vec::new() } else { vec![peers.clone()] },
        peer_certificates: peers,
    }
}

async fn serve_http1<I>(io: I, connection: Connection, door: Arc<Door>, watcher: Watcher)
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let connection = Arc::new(connection);
    let header = door.limits.header;
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (door, connection) = (Arc::clone(&door), Arc::clone(&connection));
        async move { Ok::<_, std::convert::Infallible>(door.answer(request, connection).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header)
        .max_buf_size(64 << 10)
        .serve_connection(io, service);
    watch(watcher, served).await;
}

async fn serve_http2<I>(io: I, connection: Connection, door: Arc<Door>, watcher: Watcher)
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let connection = Arc::new(connection);
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (door, connection) = (Arc::clone(&door), Arc::clone(&connection));
        async move { Ok::<_, std::convert::Infallible>(door.answer(request, connection).await) }
    });
    let served = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(250)
        .max_header_list_size(64 << 10)
        .keep_alive_interval(Some(Duration::from_secs(60)))
        .serve_connection(io, service);
    watch(watcher, served).await;
}

async fn watch<C: GracefulConnection>(watcher: Watcher, connection: C)
where
    C::Error: std::fmt::Debug,
{
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(?error, "a connection ended early");
    }
}
