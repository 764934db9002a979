//! Both ends of a connection in memory: what a call can do to the others on it.

use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt};
use tonic::{Request, Response, Status};

use crate::channel::{self, Channel};
use crate::proto::grpc::health::v1::health_client::HealthClient;
use crate::proto::grpc::health::v1::health_server::{Health, HealthServer};
use crate::proto::grpc::health::v1::{HealthCheckRequest, HealthCheckResponse};
use crate::proto::plugin::StdioData;
use crate::proto::plugin::grpc_stdio_client::GrpcStdioClient;
use crate::proto::plugin::grpc_stdio_server::{GrpcStdio, GrpcStdioServer};

/// Pieces of this size are what the endless stream is made of.
const PIECE: usize = 64 << 10;

#[derive(Clone, Default)]
struct Peer {
    /// Calls that are being worked on.
    at_work: Arc<AtomicUsize>,
    /// Pieces that were asked of the endless stream.
    pieces: Arc<AtomicUsize>,
}

struct AtWork(Arc<AtomicUsize>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tonic::async_trait]
impl Health for Peer {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        self.at_work.fetch_add(1, Ordering::SeqCst);
        let _at_work = AtWork(self.at_work.clone());
        let service = request.into_inner().service;
        match service.as_str() {
            "panics" => panic!("as it was told to"),
            "hangs" => std::future::pending().await,
            "fails" => Err(Status::not_found("no such service")),
            _ => {
                let status = i32::try_from(service.len()).unwrap();
                Ok(Response::new(HealthCheckResponse { status }))
            }
        }
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

#[tonic::async_trait]
impl GrpcStdio for Peer {
    type StreamStdioStream = BoxStream<'static, Result<StdioData, Status>>;

    async fn stream_stdio(
        &self,
        _: Request<()>,
    ) -> Result<Response<Self::StreamStdioStream>, Status> {
        let pieces = self.pieces.clone();
        let endless = stream::repeat_with(move || {
            let number = pieces.fetch_add(1, Ordering::SeqCst);
            Ok(StdioData { channel: number as i32, data: vec![b'x'; PIECE].into() })
        });
        Ok(Response::new(endless.boxed()))
    }
}

async fn connected(pace: Pace) -> (Peer, Channel) {
    let peer = Peer::default();
    let routes = Routes::new(HealthServer::new(peer.clone()).max_decoding_message_size(64 << 20))
        .add_service(GrpcStdioServer::new(peer.clone()));
    let (near, far) = tokio::io::duplex(64 << 10);
    tokio::spawn(serve(far, routes.prepare(), pace));
    (peer, channel::open(near, "unused".into()).await.unwrap())
}

async fn check(channel: &Channel, service: impl Into<String>) -> Result<i32, Status> {
    let request = HealthCheckRequest { service: service.into() };
    let reply = HealthClient::new(channel.clone()).check(request).await?;
    Ok(reply.into_inner().status)
}

const PACES: [Pace; 2] = [Pace::Apart, Pace::AtOnce];

#[tokio::test]
async fn a_handler_that_panics_or_fails_ends_its_call_and_no_other() {
    for pace in PACES {
        let (_, channel) = connected(pace).await;
        let other = tokio::spawn({
            let channel = channel.clone();
            async move { check(&channel, "hangs").await }
        });
        assert!(check(&channel, "panics").await.is_err());
        let refused = check(&channel, "fails").await.unwrap_err();
        assert_eq!((refused.code(), refused.message()), (tonic::Code::NotFound, "no such service"));
        assert_eq!(check(&channel, "seven..").await.unwrap(), 7);
        assert!(!channel.is_closed() && !other.is_finished(), "{pace:?}");
        other.abort();
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_is_no_longer_worked_on() {
    for pace in PACES {
        let (peer, channel) = connected(pace).await;
        let call = tokio::spawn({
            let channel = channel.clone();
            async move { check(&channel, "hangs").await }
        });
        until(|| peer.at_work.load(Ordering::SeqCst) == 1).await;
        call.abort();
        until(|| peer.at_work.load(Ordering::SeqCst) == 0).await;
        assert_eq!(check(&channel, "well").await.unwrap(), 4);
    }
}

#[tokio::test]
async fn calls_fail_when_the_connection_ends_and_the_handlers_are_dropped() {
    let peer = Peer::default();
    let (near, far) = tokio::io::duplex(4 << 10);
    let routes = Routes::new(HealthServer::new(peer.clone())).prepare();
    let serving = tokio::spawn(serve(far, routes, Pace::Apart));
    let channel = channel::open(near, "unused".into()).await.unwrap();
    let call = tokio::spawn({
        let channel = channel.clone();
        async move { check(&channel, "hangs").await }
    });
    until(|| peer.at_work.load(Ordering::SeqCst) == 1).await;
    serving.abort();
    let lost = call.await.unwrap().unwrap_err();
    assert_eq!(lost.code(), tonic::Code::Unavailable, "{lost:?}");
    until(|| peer.at_work.load(Ordering::SeqCst) == 0 && channel.is_closed()).await;
    assert_eq!(check(&channel, "late").await.unwrap_err().code(), tonic::Code::Unavailable);
}

#[tokio::test]
async fn large_messages_and_many_calls_pass_whole() {
    for pace in PACES {
        let (_, channel) = connected(pace).await;
        let sizes = (0..300).map(|call| if call % 50 == 0 { 9 << 20 } else { call });
        let calls = sizes.map(|size| {
            let channel = &channel;
            async move { (size, check(channel, "x".repeat(size)).await.unwrap()) }
        });
        for (size, counted) in futures_util::future::join_all(calls).await {
            assert_eq!(counted, i32::try_from(size).unwrap());
        }
    }
}

#[tokio::test]
async fn a_stream_that_nobody_reads_stops_and_one_that_is_read_goes_on() {
    let (peer, channel) = connected(Pace::Apart).await;
    let mut client = GrpcStdioClient::new(channel.clone());
    let mut stream = client.stream_stdio(()).await.unwrap().into_inner();
    // Other calls pass meanwhile; after so many turns the stream has gone as far as it goes.
    for _ in 0..200 {
        check(&channel, "meanwhile").await.unwrap();
    }
    let most = super::super::STREAM_WINDOW as usize / PIECE + 4;
    let unread = peer.pieces.load(Ordering::SeqCst);
    assert!(unread <= most, "{unread} pieces are in memory, of {most} at most");
    for number in 0..3 * most {
        let piece = stream.next().await.unwrap().unwrap();
        assert_eq!((piece.channel, piece.data.len()), (number as i32, PIECE));
    }
}

async fn until(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("it comes about");
}
