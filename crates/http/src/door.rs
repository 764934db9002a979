//! One HTTP request: limits, the paths that need no core state, then the core.

use std::{sync::Arc, time::Duration};

use boltwork_core::Core;
use boltwork_logical::Connection;
use bytes::Bytes;
use http::{Method, Request, StatusCode, request::Parts};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Incoming};

use crate::{
    Limits,
    decode::{self, Refusal},
    encode::{self, Answer, errors},
    metrics, sys,
};

/// What every connection of a listener shares.
pub struct Door {
    pub core: Arc<Core>,
    pub limits: Limits,
    /// Show `sys/metrics` to whoever asks.
    pub open_metrics: bool,
}

impl Door {
    /// Answers a request. Dropping the future (the client went away) abandons it.
    pub async fn answer(&self, request: Request<Incoming>, connection: Arc<Connection>) -> Answer {
        let (parts, body) = request.into_parts();
        let head = parts.method == Method::HEAD;
        let work = self.work(parts, body, connection);
        let mut answer = match self.limits.request {
            Duration::ZERO => work.await,
            limit => tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
                errors(
                    StatusCode::SERVICE_UNAVAILABLE,
                    &["the request took longer than max_request_duration".to_owned()],
                )
            }),
        };
        if head {
            *answer.body_mut() = http_body_util::Full::default();
        }
        answer
    }

    async fn work(&self, parts: Parts, body: Incoming, connection: Arc<Connection>) -> Answer {
        let Some(path) = decode::api_path(&parts) else {
            return errors(StatusCode::NOT_FOUND, &[]);
        };
        let body = match tokio::time::timeout(self.limits.read, self.read(body)).await {
            Ok(Ok(body)) => body,
            Ok(Err(refusal)) => return refused(refusal),
            Err(_) => {
                let text = "the request body did not arrive in time (http_read_timeout)";
                return errors(StatusCode::REQUEST_TIMEOUT, &[text.to_owned()]);
            }
        };
        if self.open_metrics && path == "sys/metrics" && parts.method == Method::GET {
            return metrics::answer(&self.core, &parts).await;
        }
        if path.starts_with("sys/")
            && let Some(answer) = sys::answer(&self.core, &parts, &path, &body).await
        {
            return answer;
        }
        match decode::inbound(&parts, path.clone(), &body, connection) {
            Ok(inbound) => encode::outcome(self.core.handle(inbound).await, &path),
            Err(refusal) => refused(refusal),
        }
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, Refusal> {
        if body.is_end_stream() {
            return Ok(Bytes::new());
        }
        let limit = self.limits.body;
        match Limited::new(body, limit).collect().await {
            Ok(read) => Ok(read.to_bytes()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Refusal(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!(
                    "http: request body too large: this listener takes at most {limit} bytes (max_request_size)"
                ),
            )),
            Err(_) => Err(Refusal::bad("the request body could not be read")),
        }
    }
}

fn refused(Refusal(code, text): Refusal) -> Answer {
    errors(code, &[text])
}
