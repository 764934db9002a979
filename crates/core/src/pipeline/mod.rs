//! One request, from the door to the backend and back.
//!
//! Each stage consumes the typed result of the one before, whose fields are private to its module:
//! `Routed` → `Called` → `Verdict` → `Audited` → [`Outcome`]. A request that was not authorised or
//! not audited cannot be dispatched, because there is no value to dispatch.

mod audit;
mod authenticate;
mod authorize;
mod dispatch;
mod finish;
mod inbound;
mod lease;
mod login;
mod route;
mod wrapping;

use std::{sync::Arc, time::Instant};

pub use inbound::{Inbound, Outcome};

use crate::{active::Active, mounts::broken, tokens::Digest};

impl Active {
    /// Answers a request. Never fails: refusals and failures are outcomes.
    pub async fn handle(self: &Arc<Self>, inbound: Inbound) -> Outcome {
        let (begun, _in_flight) = (Instant::now(), self.metrics.begin());
        let outcome = self.answer(inbound).await;
        self.metrics.requests.took(begun.elapsed());
        outcome
    }

    async fn answer(self: &Arc<Self>, inbound: Inbound) -> Outcome {
        let routed = route::route(self, inbound).await;
        let called = authenticate::authenticate(self, routed).await;
        let verdict = authorize::authorize(called).await;
        let spent = spent_by(&verdict);
        if matches!(verdict, authorize::Verdict::Denied(_)) {
            self.metrics.refused.add();
        }
        let outcome = match audit::audit_request(self, verdict).await {
            Ok(audited) if self.audit.broker.is_idle() => {
                carry_out(self, audited, std::future::pending()).await
            }
            Ok(audited) => self.carry_out_recorded(audited).await,
            Err(refused) => *refused,
        };
        if let Some(digest) = spent {
            self.tokens.revoke_soon(digest);
        }
        outcome
    }

    /// Carries a request out whose answer is to be recorded even if the client does not wait for it.
    /// A client that goes away drops the future that waits here, and with it the sender: the rest is
    /// told, gives up what the backend does, and writes its line.
    async fn carry_out_recorded(self: &Arc<Self>, audited: audit::Audited) -> Outcome {
        let (waiting, gone) = tokio::sync::oneshot::channel::<()>();
        let (id, operation) = audited.names();
        let active = Arc::clone(self);
        let rest = tokio::spawn(async move {
            let gone = async move {
                // An error is what there is to hear: the sender was dropped.
                let _ = gone.await;
            };
            carry_out(&active, audited, gone).await
        });
        let outcome = rest.await;
        drop(waiting);
        outcome.unwrap_or_else(|_| Outcome {
            id,
            operation,
            mount_type: String::new(),
            result: Err(broken()),
        })
    }
}

async fn carry_out(
    active: &Active,
    audited: audit::Audited,
    gone: impl Future<Output = ()>,
) -> Outcome {
    let answered = dispatch::dispatch(audited, gone).await;
    let finished = finish::finish(active, answered).await;
    audit::audit_response(active, finished).await
}

/// The token whose last use this request was, refused or not.
fn spent_by(verdict: &authorize::Verdict) -> Option<Digest> {
    let session = match verdict {
        authorize::Verdict::Authorized(request) => request.session.as_ref(),
        authorize::Verdict::Denied(denied) => denied.session.as_ref(),
    };
    session.filter(|s| s.last_use).map(|s| s.digest)
}
