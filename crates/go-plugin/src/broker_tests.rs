//! Two brokers whose streams are tied together by hand, over plain sockets and mutual TLS.

use super::*;
use crate::proto::grpc::health::v1::HealthCheckRequest;
use crate::proto::grpc::health::v1::health_client::HealthClient;
use crate::services::{Output, Standard};
use crate::tls::Identity;

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("gp-broker-{:016x}", rand::random::<u64>()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn sockets(&self) -> usize {
        std::fs::read_dir(&self.0).unwrap().count()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Something to serve: the standard services of a plugin nobody else talks to.
fn routes() -> Routes {
    let (broker, announcements) = Broker::new(None, PathBuf::new());
    let (_, output) = Output::new();
    let stop = watch::Sender::new(false);
    Standard { broker, announcements, output, stop }.add_to(Routes::default())
}

async fn alive(channel: Channel) -> Result<(), tonic::Status> {
    let request = HealthCheckRequest { service: "plugin".into() };
    HealthClient::new(channel).check(request).await.map(drop)
}

/// Yields to the tasks at work until something is so; panics if that does not happen.
async fn until(mut so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !so().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("must come true");
}

fn announcement(id: u32, address: &str) -> ConnInfo {
    ConnInfo { service_id: id, network: "unix".into(), address: address.into(), knock: None }
}

#[tokio::test]
async fn either_order_of_announcement_and_dialling_connects() {
    let folder = Folder::new();
    let (host, mut sent) = Broker::new(None, folder.0.clone());
    let (plugin, _) = Broker::new(None, folder.0.clone());

    let first = host.accept(|_| routes()).await.unwrap();
    plugin.deliver(sent.recv().await.unwrap());
    alive(plugin.dial(first.id).await.unwrap()).await.unwrap();

    let second = host.accept(|_| routes()).await.unwrap();
    assert_eq!((first.id, second.id), (1, 2));
    let (channel, ()) = tokio::join!(plugin.dial(second.id), async {
        tokio::task::yield_now().await;
        plugin.deliver(sent.recv().await.unwrap());
    });
    alive(channel.unwrap()).await.unwrap();
}

#[tokio::test]
async fn brokered_connections_prove_the_certificates_in_both_directions() {
    let folder = Folder::new();
    let [host, plugin, other] = [(); 3].map(|()| Identity::generate().unwrap());
    let pin = |identity: &Identity| vec![identity.certificate().unwrap().clone()];
    let (near, mut sent) =
        Broker::new(Some(host.with_peer(pin(&plugin)).unwrap()), folder.0.clone());
    let (far, _) = Broker::new(Some(plugin.with_peer(pin(&host)).unwrap()), folder.0.clone());
    let (stranger, _) = Broker::new(Some(other.with_peer(pin(&host)).unwrap()), folder.0.clone());

    let accepted = near.accept(|_| routes()).await.unwrap();
    let announced = sent.recv().await.unwrap();
    // A handshake that never starts must not keep others out.
    let silent = tokio::net::UnixStream::connect(&announced.address).await.unwrap();
    far.deliver(announced.clone());
    stranger.deliver(announced);
    alive(far.dial(accepted.id).await.unwrap()).await.unwrap();
    if let Ok(channel) = stranger.dial(accepted.id).await {
        assert_eq!(alive(channel).await.unwrap_err().code(), tonic::Code::Unavailable);
    }
    drop(silent);
}

#[tokio::test]
async fn dropping_what_was_accepted_ends_its_connections_and_socket() {
    let folder = Folder::new();
    let (host, mut sent) = Broker::new(None, folder.0.clone());
    let (plugin, _) = Broker::new(None, folder.0.clone());
    let accepted = host.accept(|_| routes()).await.unwrap();
    plugin.deliver(sent.recv().await.unwrap());
    let channel = plugin.dial(accepted.id).await.unwrap();
    alive(channel.clone()).await.unwrap();

    drop(accepted);
    until(async || alive(channel.clone()).await.is_err()).await;
    assert!(channel.is_closed());
    assert_eq!(folder.sockets(), 0);
}

/// Never answers; its clones of the token show how many calls are still being worked on.
#[derive(Clone)]
struct Hangs(Arc<()>);

impl tonic::server::NamedService for Hangs {
    const NAME: &'static str = "grpc.health.v1.Health";
}

impl tower::Service<http::Request<tonic::body::Body>> for Hangs {
    type Response = http::Response<tonic::body::Body>;
    type Error = std::convert::Infallible;
    type Future = futures_util::future::BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<tonic::body::Body>) -> Self::Future {
        let token = self.0.clone();
        Box::pin(async move {
            std::future::pending::<()>().await;
            drop(token);
            unreachable!()
        })
    }
}

#[tokio::test]
async fn a_call_in_progress_is_dropped_when_its_caller_or_its_server_goes() {
    let folder = Folder::new();
    let (host, mut sent) = Broker::new(None, folder.0.clone());
    let (plugin, _) = Broker::new(None, folder.0.clone());
    let token = Arc::new(());
    let hangs = Hangs(token.clone());
    let accepted = host.accept(|_| Routes::default().add_service(hangs)).await.unwrap();
    plugin.deliver(sent.recv().await.unwrap());
    let channel = plugin.dial(accepted.id).await.unwrap();
    let calls = || Arc::strong_count(&token);

    let idle = calls();
    let call = tokio::spawn(alive(channel.clone()));
    until(async || calls() > idle).await;
    let busy = calls();
    call.abort();
    until(async || calls() < busy).await;

    let call = tokio::spawn(alive(channel));
    until(async || calls() >= busy).await;
    drop(accepted);
    assert_eq!(call.await.unwrap().unwrap_err().code(), tonic::Code::Unavailable);
    until(async || calls() == 1).await;
}

#[tokio::test]
async fn closing_ends_waits_and_everything_accepted() {
    let folder = Folder::new();
    let (broker, _sent) = Broker::new(None, folder.0.clone());
    let _accepted = broker.accept(|_| routes()).await.unwrap();
    let (dialled, ()) = tokio::join!(broker.dial(7), async { broker.close() });
    assert!(matches!(dialled, Err(Error::BrokerClosed)));
    assert!(matches!(broker.dial(7).await, Err(Error::BrokerClosed)));
    assert!(matches!(broker.accept(|_| routes()).await, Err(Error::BrokerClosed)));
    until(async || folder.sockets() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn an_id_that_is_never_announced_times_out_after_five_seconds() {
    let (broker, _sent) = Broker::new(None, PathBuf::new());
    let before = tokio::time::Instant::now();
    let error = broker.dial(3).await.unwrap_err();
    assert_eq!(error.to_string(), "timeout waiting for connection info (broker id 3)");
    assert_eq!(before.elapsed(), PATIENCE);
}

#[tokio::test]
async fn an_id_is_good_for_one_dialler_and_the_first_announcement_counts() {
    let (broker, _sent) = Broker::new(None, PathBuf::new());
    let waiting = broker.claim(1).unwrap();
    assert!(matches!(broker.claim(1), Err(Error::BrokerBusy(1))));
    drop(waiting);
    assert!(matches!(broker.claim(1), Ok(Claim::Wait(_))), "the first gave up");

    broker.deliver(announcement(2, "first"));
    broker.deliver(announcement(2, "second"));
    let Ok(Claim::Here(claimed)) = broker.claim(2) else { panic!("announced") };
    assert_eq!(claimed.address, "first");
    assert!(matches!(broker.claim(2), Ok(Claim::Wait(_))), "taken");
}

#[tokio::test]
async fn a_flood_of_announcements_is_bounded() {
    let (broker, _sent) = Broker::new(None, PathBuf::new());
    for id in 1..=3 * WAITING as u32 {
        broker.deliver(announcement(id, "/nowhere"));
    }
    assert_eq!(broker.slots().len(), WAITING);
}

#[tokio::test]
async fn addresses_that_lead_elsewhere_are_refused() {
    let (broker, _sent) = Broker::new(None, PathBuf::new());
    for (id, network, address) in [(1, "tcp", "192.0.2.1:80"), (2, "udp", "x"), (3, "tcp", "h")] {
        let (network, address) = (network.to_owned(), address.to_owned());
        broker.deliver(ConnInfo { service_id: id, network, address, knock: None });
        let error = broker.dial(id).await.unwrap_err();
        assert!(error.to_string().starts_with("unknown address type: "), "{error}");
    }
}
