//! One HTTP/2 connection to a peer process, as something that generated gRPC clients take.
//!
//! Why not tonic's own channel: that one connects again when its connection is lost, while here
//! the connection lives and dies with one process, and a call to a dead process must fail at
//! once. Being only a connection, ours also saves a task switch on every call.
//!
//! Left out: retries, balancing, and a timer for each call. Who wants a limit drops the future,
//! which resets the stream.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::uri::{Authority, Scheme, Uri};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::{Read, Write};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tonic::Status;
use tonic::body::Body;

use crate::Error;
use crate::handshake::Network;
use crate::http2;
use crate::tls::PeerTls;

/// A connection to one peer process. Cheap to clone; all clones share the connection.
///
/// Pass it to a generated client's `new`, and raise the client's limits to
/// [`MAX_MESSAGE`](crate::MAX_MESSAGE).
#[derive(Clone)]
pub struct Channel {
    sender: SendRequest<Body>,
    authority: Arc<Authority>,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("closed", &self.is_closed()).finish()
    }
}

impl Channel {
    /// Connects to an address that a peer process gave. TCP only on loopback: a plugin has no
    /// business to send its host elsewhere.
    pub(crate) async fn connect(
        network: Network,
        address: &str,
        tls: Option<&PeerTls>,
    ) -> Result<Self, Error> {
        let failed = |why: &dyn fmt::Display| Error::Connect {
            address: address.to_owned(),
            why: why.to_string(),
        };
        match network {
            Network::Unix => {
                let stream = UnixStream::connect(address).await.map_err(|why| failed(&why))?;
                secure(stream, tls).await.map_err(|why| failed(&why))
            }
            Network::Tcp => {
                let loopback = address.parse::<std::net::SocketAddr>().ok();
                let Some(socket) = loopback.filter(|it| it.ip().is_loopback()) else {
                    let network = network.as_str().to_owned();
                    return Err(Error::Address { network, address: address.to_owned() });
                };
                let stream = TcpStream::connect(socket).await.map_err(|why| failed(&why))?;
                stream.set_nodelay(true).map_err(|why| failed(&why))?;
                secure(stream, tls).await.map_err(|why| failed(&why))
            }
        }
    }

    /// Whether the connection has ended; every further call fails at once.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

type Boxed = Box<dyn std::error::Error + Send + Sync>;

async fn secure<S>(stream: S, tls: Option<&PeerTls>) -> Result<Channel, Boxed>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let Some(tls) = tls else {
        return open(TokioIo::new(stream), "unused".to_owned()).await;
    };
    let connector = TlsConnector::from(tls.client.clone());
    let stream = connector.connect(tls.name.clone(), stream).await?;
    open(TokioIo::new(stream), tls.name.to_str().into_owned()).await
}

async fn open<I>(io: I, authority: String) -> Result<Channel, Boxed>
where
    I: Read + Write + Unpin + Send + 'static,
{
    let authority = Arc::new(Authority::try_from(authority)?);
    let (sender, connection) = Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(http2::STREAM_WINDOW)
        .initial_connection_window_size(http2::CONNECTION_WINDOW)
        .max_frame_size(http2::FRAME)
        .max_header_list_size(http2::HEADERS)
        .handshake(io)
        .await?;
    tokio::spawn(async move {
        if let Err(why) = connection.await {
            tracing::debug!(error = %why, "connection to a plugin process ended");
        }
    });
    Ok(Channel { sender, authority })
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Incoming>, Status>> + Send>>;

impl tower::Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = Status;
    type Future = Answer;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.sender.poll_ready(context).map_err(lost)
    }

    fn call(&mut self, mut request: Request<Body>) -> Answer {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(Authority::clone(&self.authority));
        match Uri::from_parts(parts) {
            Ok(uri) => *request.uri_mut() = uri,
            Err(why) => {
                let status = Status::internal(format!("the request has no path: {why}"));
                return Box::pin(std::future::ready(Err(status)));
            }
        }
        let answer = self.sender.send_request(request);
        Box::pin(async move { answer.await.map_err(lost) })
    }
}

/// A lost connection is `Unavailable`, as in other gRPC libraries; a stream that the peer reset
/// keeps the code that the reset stands for.
fn lost(error: hyper::Error) -> Status {
    let reset = std::error::Error::source(&error)
        .and_then(|source| source.downcast_ref::<h2::Error>())
        .is_some_and(|h2| h2.is_reset());
    if reset {
        return Status::from_error(Box::new(error));
    }
    let mut status = Status::unavailable(format!("the connection to the process is lost: {error}"));
    status.set_source(Arc::new(error));
    status
}
