//! One HTTP/1.1 connection to a server, and the reading of a bounded answer over it.
//!
//! Leaves out HTTP/2 and a pool: a client keeps one idle connection and opens more when calls overlap.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use crate::address::{Address, Place};

/// An open connection.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// How it ends.
    end: JoinHandle<hyper::Result<()>>,
}

/// A request that was not answered.
pub(crate) struct Unanswered {
    pub reason: String,
    /// Nothing of it went out.
    pub unsent: bool,
}

impl Connection {
    /// Whether another request can be sent.
    pub async fn is_ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Sends a request and waits for the answer's head. After a failure the connection is of no use.
    pub async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Unanswered> {
        let error = match self.sender.send_request(request).await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        let unsent = error.is_canceled();
        // A server that wants a client certificate says so after our side of TLS is done. That ends
        // the connection, and only the connection knows why.
        let ended = if unsent { (&mut self.end).await.ok().and_then(Result::err) } else { None };
        Err(Unanswered { reason: innermost(&ended.unwrap_or(error)), unsent })
    }
}

/// What is at the bottom of an error: hyper's own words say little.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Opens a connection; the text of a failure reads like Go's, which scripts look for.
pub(crate) async fn open(
    address: &Address,
    tls: &Arc<ClientConfig>,
    server_name: Option<&str>,
) -> Result<Connection, String> {
    match &address.place {
        Place::Unix(path) => {
            let stream = UnixStream::connect(path)
                .await
                .map_err(|e| format!("dial unix {path}: connect: {}", reason(&e)))?;
            start(stream).await
        }
        Place::Tcp { host, port, tls: false } => start(dial(host, *port).await?).await,
        Place::Tcp { host, port, tls: true } => {
            let name = ServerName::try_from(server_name.unwrap_or(host).to_owned())
                .map_err(|e| format!("tls: bad server name: {e}"))?;
            let stream = dial(host, *port).await?;
            let connector = tokio_rustls::TlsConnector::from(tls.clone());
            let stream = connector.connect(name, stream).await.map_err(|e| format!("tls: {e}"))?;
            start(stream).await
        }
    }
}

async fn dial(host: &str, port: u16) -> Result<TcpStream, String> {
    let stream = TcpStream::connect((host, port)).await.map_err(|e| {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        format!("dial tcp {host}:{port}: connect: {}", reason(&e))
    })?;
    // A failure here only costs latency.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".into(),
        std::io::ErrorKind::NotFound => "no such file or directory".into(),
        std::io::ErrorKind::TimedOut => "connection timed out".into(),
        _ => error.to_string(),
    }
}

async fn start<S>(stream: S) -> Result<Connection, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    Ok(Connection { sender, end: tokio::spawn(connection) })
}

/// Why a body could not be read.
pub(crate) enum BodyError {
    TooLarge,
    Broken(String),
}

pub(crate) async fn collect(
    mut body: Incoming,
    limit: usize,
) -> Result<Zeroizing<Vec<u8>>, BodyError> {
    let mut out = Zeroizing::new(Vec::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| BodyError::Broken(e.to_string()))?;
        if let Some(data) = frame.data_ref() {
            if out.len() + data.len() > limit {
                return Err(BodyError::TooLarge);
            }
            out.extend_from_slice(data);
        }
    }
    Ok(out)
}
