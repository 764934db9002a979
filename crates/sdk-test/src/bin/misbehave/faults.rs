//! Faults in a call: the services are those of a good plugin, and one call of them is not answered.
//!
//! Left out: what is wrong with an answer (`engine`).

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use go_plugin::plugin::Context as Served;
use http::Request;
use tonic::service::Routes;
use tower::{Layer, Service};

use crate::floods::{self, Stream};

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing by itself.
    None,
    /// This call is never answered.
    Hang(String),
    /// The process exits in this call.
    Exit(String),
    /// The process does not end when it is told to.
    NeverEnds,
    /// Output without end.
    Flood(Stream),
}

impl Fault {
    /// The fault of a mode; nothing for those that are not about a plugin that serves.
    pub fn parse(mode: &str) -> Option<Self> {
        Some(match mode.split_once(':') {
            None if mode == "serve" => Self::None,
            None => Self::Flood(Stream::parse(mode.strip_prefix("flood-")?)?),
            Some(("hang", "Shutdown")) => Self::NeverEnds,
            Some(("hang", call)) => Self::Hang(call.to_owned()),
            Some(("exit", call)) => Self::Exit(call.to_owned()),
            Some(_) => return None,
        })
    }
}

/// A fault and when it is there.
#[derive(Clone, Debug)]
pub struct Faults {
    fault: Fault,
    switch: Option<PathBuf>,
}

impl Faults {
    pub fn new(fault: Option<Fault>, switch: Option<PathBuf>) -> Self {
        Self { fault: fault.unwrap_or(Fault::None), switch }
    }

    /// Begins what goes on by itself while the plugin serves.
    pub fn begin(&self, served: &Served) {
        if let Fault::Flood(stream) = &self.fault
            && self.is_on()
        {
            floods::begin(*stream, served.output.clone());
        }
    }

    /// The same services with the fault in them.
    pub fn around(self, routes: Routes) -> Routes {
        routes.prepare().into_axum_router().layer(self).into()
    }

    fn is_on(&self) -> bool {
        self.switch.as_ref().is_none_or(|file| file.exists())
    }

    /// What is to happen in a call of this path, `/pb.Backend/Setup`.
    fn in_call(&self, path: &str) -> Option<&Fault> {
        let call = path.rsplit('/').next()?;
        let hit = match &self.fault {
            Fault::Hang(name) | Fault::Exit(name) => name == call,
            Fault::None | Fault::NeverEnds | Fault::Flood(_) => false,
        };
        (hit && self.is_on()).then_some(&self.fault)
    }
}

impl<S> Layer<S> for Faults {
    type Service = Faulty<S>;

    fn layer(&self, inner: S) -> Faulty<S> {
        Faulty { inner, faults: self.clone() }
    }
}

/// A service with a fault.
#[derive(Clone)]
pub struct Faulty<S> {
    inner: S,
    faults: Faults,
}

impl<S, B> Service<Request<B>> for Faulty<S>
where
    S: Service<Request<B>>,
    S::Future: Send + 'static,
    S::Response: 'static,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.faults.in_call(request.uri().path()) {
            Some(Fault::Hang(_)) => Box::pin(std::future::pending()),
            Some(Fault::Exit(call)) => {
                eprintln!("misbehave: exiting in {call}");
                std::process::exit(9);
            }
            _ => Box::pin(self.inner.call(request)),
        }
    }
}
