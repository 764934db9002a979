//! The service `peer.Peer`, the same as in `tests/go/goplugin-peer`, written by hand on tonic.

use std::convert::Infallible;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use go_plugin::{Channel, MAX_MESSAGE, plugin};
use http::uri::PathAndQuery;
use prost::Message;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

/// Calls a method of the service. `String` and `u32` are google.protobuf's wrapper messages.
pub async fn call<Q: Message + Default + Send + Sync + 'static>(
    channel: Channel,
    method: &'static str,
    request: Q,
) -> Result<String, Status> {
    let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(MAX_MESSAGE);
    client.ready().await?;
    let codec = ProstCodec::<Q, String>::default();
    let path = PathAndQuery::from_static(method);
    client.unary(Request::new(request), path, codec).await.map(Response::into_inner)
}

pub async fn echo(channel: Channel, text: &str) -> Result<String, Status> {
    call(channel, "/peer.Peer/Echo", text.to_owned()).await
}

pub async fn call_back(channel: Channel, id: u32) -> Result<String, Status> {
    call(channel, "/peer.Peer/CallBack", id).await
}

pub async fn print(channel: Channel, text: &str) -> Result<String, Status> {
    call(channel, "/peer.Peer/Print", text.to_owned()).await
}

/// Only ours: looks into the plugin process or makes it misbehave.
pub async fn inspect(channel: Channel, what: &str) -> Result<String, Status> {
    call(channel, "/peer.Peer/Inspect", what.to_owned()).await
}

/// Serves the service; without a context (in the host) it can only echo.
#[derive(Clone)]
pub struct PeerService(pub Option<Arc<plugin::Context>>);

impl NamedService for PeerService {
    const NAME: &'static str = "peer.Peer";
}

impl tower::Service<http::Request<Body>> for PeerService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let context = self.0.clone();
        Box::pin(async move {
            let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
            if method == "CallBack" {
                let answer = tower::service_fn(move |request: Request<u32>| {
                    let context = context.clone();
                    async move { answer_call_back(context, request.into_inner()).await }
                });
                let mut grpc = tonic::server::Grpc::new(ProstCodec::<String, u32>::default());
                return Ok(grpc.unary(answer, request).await);
            }
            let answer = tower::service_fn(move |request: Request<String>| {
                let (context, method) = (context.clone(), method.clone());
                async move { answer(context, &method, request.into_inner()).await }
            });
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<String, String>::default())
                .apply_max_message_size_config(Some(MAX_MESSAGE), Some(MAX_MESSAGE));
            Ok(grpc.unary(answer, request).await)
        })
    }
}

type Answer = Result<Response<String>, Status>;

async fn answer_call_back(context: Option<Arc<plugin::Context>>, id: u32) -> Answer {
    let context = context.ok_or_else(|| Status::unimplemented("hosts do not call back"))?;
    let dialled = context.broker.dial(id).await;
    let channel = dialled.map_err(|why| Status::unknown(why.to_string()))?;
    echo(channel, "called back").await.map(Response::new)
}

async fn answer(context: Option<Arc<plugin::Context>>, method: &str, text: String) -> Answer {
    match (method, context) {
        ("Echo", _) => {
            eprintln!(r#"{{"@level":"info","@message":"echo","length":{}}}"#, text.len());
            Ok(Response::new(text))
        }
        ("Print", Some(context)) => {
            context.output.stdout(text.clone()).await;
            Ok(Response::new(text))
        }
        ("Inspect", Some(_)) => inspected(&text).await.map(Response::new),
        _ => Err(Status::unimplemented("no such method")),
    }
}

async fn inspected(what: &str) -> Result<String, Status> {
    match what {
        "environment" => {
            let mut names: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
            names.sort();
            Ok(names.join(","))
        }
        "status" => std::fs::read_to_string("/proc/self/status").map_err(io),
        "limits" => std::fs::read_to_string("/proc/self/limits").map_err(io),
        "pid" => Ok(std::process::id().to_string()),
        "files" => {
            let links = std::fs::read_dir("/proc/self/fd").map_err(io)?;
            let targets = links.flatten().flat_map(|link| std::fs::read_link(link.path()));
            Ok(targets.map(|target| format!("{}\n", target.display())).collect())
        }
        // A grandchild that would live on and keeps our stderr open.
        "fork" => {
            let child = std::process::Command::new("sleep").arg("1000").spawn().map_err(io)?;
            Ok(child.id().to_string())
        }
        "crash" => {
            eprintln!("panic: as I was told to");
            std::process::abort()
        }
        _ => std::future::pending().await,
    }
}

fn io(why: std::io::Error) -> Status {
    Status::unknown(why.to_string())
}
