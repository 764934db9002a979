//! The services that every plugin process serves besides its author's: broker, controller, stdio
//! and health (wire spec 1.3, 1.7).
//!
//! Left out: reflection, which Go plugins serve too and no host asks for.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use crate::broker::Broker;
use crate::proto::grpc::health::v1::health_check_response::ServingStatus;
use crate::proto::grpc::health::v1::health_server::{Health, HealthServer};
use crate::proto::grpc::health::v1::{HealthCheckRequest, HealthCheckResponse};
use crate::proto::plugin::grpc_broker_server::{GrpcBroker, GrpcBrokerServer};
use crate::proto::plugin::grpc_controller_server::{GrpcController, GrpcControllerServer};
use crate::proto::plugin::grpc_stdio_server::{GrpcStdio, GrpcStdioServer};
use crate::proto::plugin::stdio_data::Channel;
use crate::proto::plugin::{ConnInfo, Empty, StdioData};

/// The name under which go-plugin asks for health.
pub const HEALTH_NAME: &str = "plugin";
/// Size of the pieces in which output is sent.
const PIECE: usize = 1024;
/// Pieces that wait for the host to read them.
const PIECES: usize = 64;

/// Everything a plugin process serves of its own accord.
pub(crate) struct Standard {
    pub broker: Broker,
    pub announcements: mpsc::Receiver<ConnInfo>,
    pub output: mpsc::Receiver<StdioData>,
    pub stop: watch::Sender<bool>,
}

impl Standard {
    pub fn add_to(self, routes: Routes) -> Routes {
        let broker = BrokerService { broker: self.broker, outgoing: Once::new(self.announcements) };
        routes
            .add_service(HealthServer::new(Alive))
            .add_service(GrpcBrokerServer::new(broker))
            .add_service(GrpcControllerServer::new(Controller(self.stop)))
            .add_service(GrpcStdioServer::new(StdioService(Once::new(self.output))))
    }
}

/// Something that the first caller takes away.
struct Once<T>(Mutex<Option<T>>);

impl<T> Once<T> {
    fn new(value: T) -> Self {
        Self(Mutex::new(Some(value)))
    }

    fn take(&self, what: &str) -> Result<T, Status> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.ok_or_else(|| Status::already_exists(format!("{what} is open already")))
    }
}

struct Alive;

fn status(service: &str) -> Result<HealthCheckResponse, Status> {
    if service.is_empty() || service == HEALTH_NAME {
        return Ok(HealthCheckResponse { status: ServingStatus::Serving.into() });
    }
    Err(Status::not_found("unknown service"))
}

#[tonic::async_trait]
impl Health for Alive {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        status(&request.get_ref().service).map(Response::new)
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let unknown = HealthCheckResponse { status: ServingStatus::ServiceUnknown.into() };
        let now = status(&request.get_ref().service).unwrap_or(unknown);
        // The state never changes while there is a connection to ask on.
        Ok(Response::new(stream::iter([Ok(now)]).chain(stream::pending()).boxed()))
    }
}

struct BrokerService {
    broker: Broker,
    outgoing: Once<mpsc::Receiver<ConnInfo>>,
}

#[tonic::async_trait]
impl GrpcBroker for BrokerService {
    type StartStreamStream = BoxStream<'static, Result<ConnInfo, Status>>;

    async fn start_stream(
        &self,
        request: Request<Streaming<ConnInfo>>,
    ) -> Result<Response<Self::StartStreamStream>, Status> {
        let outgoing = self.outgoing.take("the broker's stream")?;
        tokio::spawn(listen(self.broker.clone(), request.into_inner()));
        Ok(Response::new(ReceiverStream::new(outgoing).map(Ok).boxed()))
    }
}

/// Takes the peer's announcements until its stream ends, which closes the broker.
pub(crate) async fn listen(broker: Broker, mut incoming: Streaming<ConnInfo>) {
    loop {
        tokio::select! {
            message = incoming.message() => match message {
                Ok(Some(announcement)) => broker.deliver(announcement),
                Ok(None) | Err(_) => break,
            },
            () = broker.closed() => break,
        }
    }
    broker.close();
}

struct Controller(watch::Sender<bool>);

#[tonic::async_trait]
impl GrpcController for Controller {
    async fn shutdown(&self, _request: Request<Empty>) -> Result<Response<Empty>, Status> {
        // Hard, as in Go: the host does not wait for this answer.
        self.0.send_replace(true);
        Ok(Response::new(Empty {}))
    }
}

/// Sends text to the host, where it appears as the plugin's output. Logs belong on stderr.
#[derive(Clone, Debug)]
pub struct Output(Arc<mpsc::Sender<StdioData>>);

impl Output {
    pub(crate) fn new() -> (Self, mpsc::Receiver<StdioData>) {
        let (sender, receiver) = mpsc::channel(PIECES);
        (Self(Arc::new(sender)), receiver)
    }

    /// Sends what would be printed on stdout. Waits while the host does not read; lost once the
    /// host has gone.
    pub async fn stdout(&self, text: impl Into<Bytes>) {
        self.send(Channel::Stdout, text.into()).await;
    }

    /// Sends what would be printed on stderr; otherwise like [`Output::stdout`].
    pub async fn stderr(&self, text: impl Into<Bytes>) {
        self.send(Channel::Stderr, text.into()).await;
    }

    async fn send(&self, channel: Channel, mut text: Bytes) {
        while !text.is_empty() {
            let data = text.split_to(text.len().min(PIECE));
            if self.0.send(StdioData { channel: channel.into(), data }).await.is_err() {
                return;
            }
        }
    }
}

struct StdioService(Once<mpsc::Receiver<StdioData>>);

#[tonic::async_trait]
impl GrpcStdio for StdioService {
    type StreamStdioStream = BoxStream<'static, Result<StdioData, Status>>;

    async fn stream_stdio(
        &self,
        _request: Request<()>,
    ) -> Result<Response<Self::StreamStdioStream>, Status> {
        let output = self.0.take("the output stream")?;
        Ok(Response::new(ReceiverStream::new(output).map(Ok).boxed()))
    }
}
