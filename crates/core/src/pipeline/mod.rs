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

use std::sync::Arc;

pub use inbound::{Inbound, Outcome};

use crate::{active::Active, tokens::Digest};

impl Active {
    /// Answers a request. Never fails: refusals and failures are outcomes.
    pub async fn handle(self: &Arc<Self>, inbound: Inbound) -> Outcome {
        let routed = route::route(self, inbound).await;
        let called = authenticate::authenticate(self, routed).await;
        let verdict = authorize::authorize(called).await;
        let spent = spent_by(&verdict);
        let outcome = match audit::audit_request(self, verdict).await {
            Ok(audited) => {
                let answered = dispatch::dispatch(audited).await;
                let finished = finish::finish(self, answered).await;
                audit::audit_response(self, finished).await
            }
            Err(refused) => *refused,
        };
        if let Some(digest) = spent {
            self.tokens.revoke_soon(digest);
        }
        outcome
    }
}

/// The token whose last use this request was, refused or not.
fn spent_by(verdict: &authorize::Verdict) -> Option<Digest> {
    let session = match verdict {
        authorize::Verdict::Authorized(request) => request.session.as_ref(),
        authorize::Verdict::Denied(denied) => denied.session.as_ref(),
    };
    session.filter(|s| s.last_use).map(|s| s.digest)
}
