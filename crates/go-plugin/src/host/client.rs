//! A started plugin: its connection, its broker, its end.

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::poll;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::ChildStdout;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use super::pace::Pace;
use super::process::{Exit, Handle, Tail};
use super::{Observer, OutputStream, StartFailure};
use crate::broker::Broker;
use crate::channel::Channel;
use crate::proto::grpc::health::v1::HealthCheckRequest;
use crate::proto::grpc::health::v1::health_client::HealthClient;
use crate::proto::plugin::grpc_broker_client::GrpcBrokerClient;
use crate::proto::plugin::grpc_controller_client::GrpcControllerClient;
use crate::proto::plugin::grpc_stdio_client::GrpcStdioClient;
use crate::proto::plugin::{ConnInfo, Empty, stdio_data};
use crate::services::{HEALTH_NAME, listen};
use crate::tls::PeerTls;

/// How long a plugin may take to end after it was asked to.
pub const GRACE: Duration = Duration::from_secs(2);

/// Largest announcement of a service: a number and the path of a socket.
const ANNOUNCEMENT: usize = 16 << 10;

/// A running plugin. Dropping it kills the process; [`Client::stop`] asks first.
#[derive(Debug)]
pub struct Client {
    plugin: String,
    pid: u32,
    version: u32,
    channel: Channel,
    broker: Broker,
    kill: Mutex<Option<oneshot::Sender<()>>>,
    exit: watch::Receiver<Option<Arc<Exit>>>,
    tail: Tail,
}

impl Client {
    pub(super) fn new(plugin: String, version: u32, streams: Streams, handle: Handle) -> Self {
        let Streams { channel, broker } = streams;
        let Handle { pid, kill, exit, stdout, tail } = handle;
        tokio::spawn(drain(stdout, exit.clone()));
        Self { plugin, pid, version, channel, broker, kill: Mutex::new(Some(kill)), exit, tail }
    }

    /// The connection, for the generated clients of the plugin's services.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// The broker, for what the plugin is to call back.
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// The application protocol version that was agreed upon.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How the process ended, if it has.
    pub fn exit(&self) -> Option<Arc<Exit>> {
        self.exit.borrow().clone()
    }

    /// The last lines that the plugin wrote on stderr so far.
    pub fn stderr(&self) -> Vec<String> {
        self.tail.lines()
    }

    /// Waits for the end of the process. It does not keep the process, or this value, alive.
    /// By then the process is reaped, its group is killed and its folder is gone.
    pub fn exited(&self) -> impl Future<Output = Arc<Exit>> + Send + use<> {
        let (exit, tail) = (self.exit.clone(), self.tail.clone());
        async move { wait(exit, &tail).await }
    }

    /// Ends the plugin: the broker first, then a request to end, then after [`GRACE`] a signal
    /// that cannot be ignored. May be called again, also while it is at work.
    pub async fn stop(&self) -> Arc<Exit> {
        self.broker.close();
        let asked = async {
            let mut controller = GrpcControllerClient::new(self.channel());
            // A plugin that obeys often does so before it answers.
            let _ = controller.shutdown(Empty {}).await;
            self.exited().await
        };
        if let Ok(exit) = tokio::time::timeout(GRACE, asked).await {
            tracing::debug!(plugin = self.plugin, pid = self.pid, "plugin exited");
            return exit;
        }
        tracing::warn!(plugin = self.plugin, pid = self.pid, "plugin failed to exit gracefully");
        self.kill();
        self.exited().await
    }

    /// Kills the process and everything in its group, without asking or waiting.
    pub fn kill(&self) {
        self.broker.close();
        self.kill.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads on after the handshake: whatever else the plugin prints must not block it.
async fn drain(mut stdout: BufReader<ChildStdout>, mut exit: watch::Receiver<Option<Arc<Exit>>>) {
    let mut pace = Pace::new();
    let emptied = async {
        while let Ok(piece @ [_, ..]) = stdout.fill_buf().await {
            let length = piece.len();
            stdout.consume(length);
            pace.hear(length);
            pace.rest().await;
            tokio::task::consume_budget().await;
        }
    };
    tokio::select! {
        () = emptied => {}
        // A process that left the group may keep the pipe open for ever.
        _ = exit.wait_for(Option::is_some) => {}
    }
}

/// Waits until the watching task has cleaned up.
pub(super) async fn wait(mut exit: watch::Receiver<Option<Arc<Exit>>>, tail: &Tail) -> Arc<Exit> {
    match exit.wait_for(Option::is_some).await.map(|exit| exit.clone()) {
        Ok(Some(exit)) => exit,
        // The runtime of the watching task was torn down, which killed the process too.
        Ok(None) | Err(_) => Arc::new(Exit { status: None, stderr: tail.lines() }),
    }
}

/// The connection and what must be open on it before the first call of a service.
pub(super) struct Streams {
    channel: Channel,
    broker: Broker,
}

impl Streams {
    /// Opens the broker's stream and the output stream, then asks for a sign of life: with TLS
    /// 1.3 only the first answer shows that our certificate was accepted.
    pub async fn open(
        channel: Channel,
        tls: Option<PeerTls>,
        sockets: PathBuf,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, StartFailure> {
        let (broker, announcements) = Broker::new(tls, sockets);
        send_and_leave(run_broker(channel.clone(), broker.clone(), announcements)).await;
        send_and_leave(run_stdio(channel.clone(), observer)).await;

        let request = HealthCheckRequest { service: HEALTH_NAME.into() };
        match HealthClient::new(channel.clone()).check(request).await {
            Ok(_) => {}
            // Alive, though without the service.
            Err(status) if matches!(status.code(), Code::Unimplemented | Code::NotFound) => {}
            Err(status) => {
                broker.close();
                return Err(StartFailure::Silent(Box::new(status)));
            }
        }
        Ok(Self { channel, broker })
    }
}

/// Lets a call get as far as sending its request, and runs the rest on its own. A Go server
/// answers a stream's headers with its first message only, so waiting is not possible.
async fn send_and_leave(call: impl Future<Output = ()> + Send + 'static) {
    let mut call = Box::pin(call);
    if poll!(&mut call).is_pending() {
        tokio::spawn(call);
    }
}

async fn run_broker(channel: Channel, broker: Broker, announcements: mpsc::Receiver<ConnInfo>) {
    let mut client = GrpcBrokerClient::new(channel).max_decoding_message_size(ANNOUNCEMENT);
    let opened = tokio::select! {
        opened = client.start_stream(ReceiverStream::new(announcements)) => opened,
        () = broker.closed() => return,
    };
    match opened {
        Ok(stream) => listen(broker, stream.into_inner()).await,
        Err(status) => {
            tracing::warn!(error = %status, "the plugin has no broker; it cannot call back");
            broker.close();
        }
    }
}

async fn run_stdio(channel: Channel, observer: Arc<dyn Observer>) {
    let opened = GrpcStdioClient::new(channel).stream_stdio(()).await;
    let mut stream = match opened {
        Ok(stream) => stream.into_inner(),
        Err(status) => {
            tracing::debug!(error = %status, "the plugin does not offer its output");
            return;
        }
    };
    let mut pace = Pace::new();
    while let Ok(Some(piece)) = stream.message().await {
        let heard = pace.hear(piece.data.len());
        if heard.dropped > 0 {
            observer.dropped(heard.dropped);
        }
        pace.rest().await;
        if !heard.pass {
            continue;
        }
        match piece.channel() {
            stdio_data::Channel::Stdout => observer.output(OutputStream::Stdout, &piece.data),
            stdio_data::Channel::Stderr => observer.output(OutputStream::Stderr, &piece.data),
            stdio_data::Channel::Invalid => {}
        }
    }
}
