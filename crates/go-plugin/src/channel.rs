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
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use http::uri::{Authority, Scheme, Uri};
use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tonic::Status;
use tonic::body::Body;

use crate::Error;
use crate::handshake::Network;
use crate::tls::PeerTls;
use crate::transport::frames::PREFACE;
use crate::transport::incoming::Incoming;
use crate::transport::outgoing::Outgoing;
use crate::transport::pipe::Pipe;
use crate::transport::socket::Socket;
use crate::transport::turn::Turn;
use crate::transport::{self, lost};

/// A connection to one peer process. Cheap to clone; all clones share the connection.
///
/// Pass it to a generated client's `new`, and raise the client's limits to
/// [`MAX_MESSAGE`](crate::MAX_MESSAGE).
#[derive(Clone)]
pub struct Channel {
    sender: SendRequest<Bytes>,
    authority: Arc<Authority>,
    /// Whether the connection's task has ended.
    ended: Arc<AtomicBool>,
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
                let socket = Socket::new(stream).map_err(|why| failed(&why))?;
                secure(socket, tls).await.map_err(|why| failed(&why))
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
        self.ended.load(Ordering::Acquire)
    }
}

type Boxed = Box<dyn std::error::Error + Send + Sync>;

async fn secure<S>(stream: S, tls: Option<&PeerTls>) -> Result<Channel, Boxed>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(tls) = tls else {
        return open(stream, "unused".to_owned()).await;
    };
    let connector = TlsConnector::from(tls.client.clone());
    let stream = connector.connect(tls.name.clone(), stream).await?;
    open(stream, tls.name.to_str().into_owned()).await
}

/// Over what is connected already.
pub(crate) async fn open<S>(io: S, authority: String) -> Result<Channel, Boxed>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let authority = Arc::new(Authority::try_from(authority)?);
    let pipe = Pipe::new(io, PREFACE);
    let (sender, connection) = Builder::new()
        .initial_window_size(transport::STREAM_WINDOW)
        .initial_connection_window_size(transport::CONNECTION_WINDOW)
        .max_frame_size(transport::FRAME)
        .max_header_list_size(transport::HEADERS)
        .enable_push(false)
        .handshake(pipe.clone())
        .await?;
    let ended = Arc::new(AtomicBool::new(false));
    let turn = Turn::new();
    let driving = Driving { connection, pipe, turn, _ended: Ended(ended.clone()) };
    tokio::spawn(async move {
        if let Err(why) = driving.await {
            tracing::debug!(error = %why, "connection to a plugin process ended");
        }
    });
    Ok(Channel { sender, authority, ended })
}

/// Says that a connection has ended, also when its task is dropped.
struct Ended(Arc<AtomicBool>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// What moves a connection's frames.
struct Driving<S: AsyncRead + AsyncWrite + Unpin> {
    connection: Connection<Pipe<S>, Bytes>,
    pipe: Pipe<S>,
    turn: Turn,
    _ended: Ended,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Driving<S> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { connection, pipe, turn, .. } = &mut *self;
        let polled = turn.poll(cx, |cx| Pin::new(&mut *connection).poll(cx));
        match pipe.settle(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => polled.map_err(io::Error::other),
        }
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Incoming>, Status>> + Send>>;

impl tower::Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = Status;
    type Future = Answer;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        // A lost connection is said by the call: the generated clients make an unknown error of what
        // stands here.
        self.sender.poll_ready(context).map(|_| Ok(()))
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
        let (head, body) = request.into_parts();
        let sent = self.sender.send_request(Request::from_parts(head, ()), false);
        Box::pin(async move {
            let (answer, stream) = sent.map_err(lost)?;
            let mut sending = Outgoing::new(body, stream);
            // A single message is gone after this; a stream goes on beside its answer.
            if futures_util::poll!(&mut sending).is_pending() {
                tokio::spawn(sending);
            }
            Ok(answer.await.map_err(lost)?.map(Incoming::new))
        })
    }
}
