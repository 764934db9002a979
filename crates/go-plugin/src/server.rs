//! Accepting a peer process's connections on a unix socket and serving gRPC on them.
//!
//! Each connection has its own task from the first byte on, so a slow, failing or silent TLS
//! handshake delays nobody. Stopping is hard: every connection is dropped, for the broker and
//! stdio streams of this protocol never end by themselves.
//!
//! Left out: graceful stops, and listening anywhere but on unix sockets.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tonic::service::Routes;

use crate::transport::answering::{self, Pace};
use crate::transport::socket::Socket as Stream;
use crate::{Error, tls::PeerTls};

/// Connections to one socket at the same time. A peer needs one.
const CONNECTIONS: usize = 32;
/// How long a peer may take for its TLS handshake.
const TLS_TIME: Duration = Duration::from_secs(10);
/// Pause after a failed accept (out of descriptors), so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What `sockaddr_un` holds, less the closing zero byte.
const LONGEST_PATH: usize = 107;

/// A bound socket whose file goes away with it.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: UnixListener,
    file: SocketFile,
}

#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Gone already if the folder was removed first.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Socket {
    /// Binds `folder/name`.
    pub fn bind(folder: &Path, name: &str) -> Result<Self, Error> {
        check_length(folder, name.len())?;
        let path = folder.join(name);
        let listener = UnixListener::bind(&path)
            .map_err(Error::io(format!("opening the socket {}", path.display())))?;
        Ok(Self { listener, file: SocketFile(path) })
    }

    pub fn path(&self) -> &Path {
        &self.file.0
    }

    /// Serves `routes` until the returned value is dropped.
    pub fn serve(self, tls: Option<&PeerTls>, routes: Routes, pace: Pace) -> Serving {
        let tls = tls.map(|tls| TlsAcceptor::from(tls.server.clone()));
        let task = tokio::spawn(accept(self.listener, tls, routes.prepare(), pace));
        Serving { task: task.abort_handle(), _file: self.file }
    }
}

/// Refuses a folder in which a socket with a name of `name` bytes could not be bound.
pub(crate) fn check_length(folder: &Path, name: usize) -> Result<(), Error> {
    let length = folder.as_os_str().len() + 1 + name;
    if length > LONGEST_PATH {
        return Err(Error::SocketPath { folder: folder.to_owned(), length, limit: LONGEST_PATH });
    }
    Ok(())
}

/// A running server; dropping it drops its connections and removes its socket.
#[derive(Debug)]
pub(crate) struct Serving {
    task: AbortHandle,
    _file: SocketFile,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: UnixListener, tls: Option<TlsAcceptor>, routes: Routes, pace: Pace) {
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= CONNECTIONS {
            connections.join_next().await;
        }
        tokio::select! {
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, tls.clone(), routes.clone(), pace));
                }
                Err(why) => {
                    tracing::warn!(error = %why, "cannot accept a connection on a plugin socket");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn connection(stream: UnixStream, tls: Option<TlsAcceptor>, routes: Routes, pace: Pace) {
    let stream = match Stream::new(stream) {
        Ok(stream) => stream,
        Err(why) => {
            tracing::warn!(error = %why, "cannot watch a connection on a plugin socket");
            return;
        }
    };
    let served = match tls {
        None => answering::serve(stream, routes, pace).await,
        Some(acceptor) => match tokio::time::timeout(TLS_TIME, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => answering::serve(stream, routes, pace).await,
            // A process that was ended as it connected, such as one that was only tried.
            Ok(Err(why)) if why.kind() == io::ErrorKind::UnexpectedEof => {
                tracing::debug!(error = %why, "a connection on a plugin socket was given up");
                return;
            }
            Ok(Err(why)) => {
                tracing::warn!(error = %why, "refused a connection on a plugin socket");
                return;
            }
            Err(_) => {
                tracing::warn!("no TLS handshake in time on a plugin socket");
                return;
            }
        },
    };
    if let Err(why) = served {
        tracing::debug!(error = %why, "connection from a plugin process ended");
    }
}
