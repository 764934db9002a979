//! Stages 5 and 8: request and answer are recorded, refusals too; what cannot be recorded does not
//! happen. Where there is no audit device nothing is even built.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use boltwork_audit::{
    AuditedHeader, AuthView, GrantingPolicy, MountView, PolicyResults, Record, ReplyView,
    RequestView,
};
use boltwork_logical::{Error, Failure, MountFacts, Operation, Reply, TokenType};

use super::{
    Inbound, Outcome,
    authorize::{Authorized, Denied, Verdict, capability},
    finish::Finished,
    route::Target,
};
use crate::{active::Active, mounts::MountEntry, session::Session, tokens::sanitized_policies};

/// A request that was recorded and may be dispatched.
pub struct Audited(Authorized);

impl Audited {
    /// Id and operation, for an outcome that nothing else is known of.
    pub(super) fn names(&self) -> (Arc<str>, Operation) {
        (Arc::clone(&self.0.inbound.id), self.0.operation)
    }

    pub(super) fn into_authorized(self) -> Authorized {
        self.0
    }
}

/// What a client reads when nothing could be recorded. What failed is in the server's log, and is
/// not the client's to know.
fn unrecorded() -> Failure {
    Error::internal("1 error occurred:\n\t* internal error\n\n").into()
}

/// Records what was decided. A refusal ends here, as an outcome.
pub async fn audit_request(active: &Active, verdict: Verdict) -> Result<Audited, Box<Outcome>> {
    match verdict {
        Verdict::Authorized(request) => {
            let recorded = match active.audit.broker.is_idle() {
                true => true,
                false => {
                    let Authorized { inbound, target, session, operation } = &request;
                    let about =
                        About::new(active, inbound, Some(target), session.as_ref(), *operation);
                    about.log_request(active, None).await
                }
            };
            if recorded {
                return Ok(Audited(request));
            }
            active.metrics.unrecorded.add();
            let Authorized { inbound, operation, .. } = request;
            Err(Box::new(outcome(inbound, operation, String::new(), Err(unrecorded()))))
        }
        Verdict::Denied(denied) => Err(Box::new(refused(active, denied).await)),
    }
}

async fn refused(active: &Active, denied: Denied) -> Outcome {
    let Denied { inbound, target, session, mut failure } = denied;
    if !active.audit.broker.is_idle() {
        let operation = inbound.operation;
        let about = About::new(active, &inbound, target.as_ref(), session.as_ref(), operation);
        let text = failure.error.to_string();
        if !about.log_request(active, Some(&text)).await
            || !about.log_response(active, Some(&text), None).await
        {
            active.metrics.unrecorded.add();
            failure = unrecorded();
        }
    }
    let operation = inbound.operation;
    outcome(inbound, operation, String::new(), Err(failure))
}

/// Records the answer.
pub async fn audit_response(active: &Active, finished: Finished) -> Outcome {
    let Finished { request, mut result } = finished;
    let Authorized { inbound, target, session, operation } = &request;
    if !active.audit.broker.is_idle() {
        let about = About::new(active, inbound, Some(target), session.as_ref(), *operation);
        let (error, reply) = match &result {
            Ok(reply) => (None, reply.as_ref()),
            Err(failure) => (Some(failure.error.to_string()), failure.reply.as_deref()),
        };
        if !about.log_response(active, error.as_deref(), reply).await {
            active.metrics.unrecorded_answers.add();
            result = Err(unrecorded());
        }
    }
    let mount_type = request.target.mount.facts.load().kind.clone();
    outcome(request.inbound, request.operation, mount_type, result)
}

fn outcome(
    inbound: Inbound,
    operation: Operation,
    mount_type: String,
    result: Result<Option<Reply>, Failure>,
) -> Outcome {
    Outcome { id: inbound.id, operation, mount_type, result }
}

/// Everything that both entries of a request are made of.
struct About<'a> {
    inbound: &'a Inbound,
    target: Option<&'a Target>,
    facts: Option<Arc<MountFacts>>,
    entry: Option<Arc<MountEntry>>,
    session: Option<&'a Arc<Session>>,
    operation: Operation,
    headers: Vec<AuditedHeader<'a>>,
}

impl<'a> About<'a> {
    fn new(
        active: &Active,
        inbound: &'a Inbound,
        target: Option<&'a Target>,
        session: Option<&'a Arc<Session>>,
        operation: Operation,
    ) -> Self {
        let facts = target.map(|target| target.mount.facts.load_full());
        let entry = target.map(|target| target.mount.entry.load_full());
        let headers = active.audit.headers.of(&inbound.headers);
        Self { inbound, target, facts, entry, session, operation, headers }
    }

    /// Whether a device took it. The broker logs the failures.
    async fn log_request(&self, active: &Active, error: Option<&str>) -> bool {
        let granting = self.granting(error.is_none());
        let policies = self.policies();
        let record = self.record(&granting, &policies, error, ReplyView::default());
        active.audit.broker.log_request(&record).await.is_ok()
    }

    async fn log_response(
        &self,
        active: &Active,
        error: Option<&str>,
        reply: Option<&Reply>,
    ) -> bool {
        let granting = self.granting(error.is_none());
        let view = reply.map(ReplyView::of).unwrap_or_default();
        let policies = self.policies();
        let mut record = self.record(&granting, &policies, error, view);
        if record.auth.is_none() {
            record.auth = view.auth;
        }
        active.audit.broker.log_response(&record).await.is_ok()
    }

    /// All policies that apply to the caller.
    fn policies(&self) -> Cow<'_, [String]> {
        let Some(session) = self.session else { return Cow::Borrowed(&[]) };
        let own = &session.entry.policies;
        match session.identity_policies() {
            [] => Cow::Borrowed(own),
            more => Cow::Owned(sanitized_policies(own.iter().chain(more), false)),
        }
    }

    fn record(
        &'a self,
        granting: &'a [GrantingPolicy<'a>],
        policies: &'a [String],
        error: Option<&'a str>,
        reply: ReplyView<'a>,
    ) -> Record<'a> {
        let config = self.entry.as_ref().map(|entry| &entry.config);
        let plain = |keys: Option<&'a Option<Vec<String>>>| -> &'a [String] {
            keys.and_then(Option::as_deref).unwrap_or_default()
        };
        Record {
            auth: self.session.map(|session| auth(session, granting, policies)),
            request: self.request(),
            reply,
            error,
            plain_request_keys: plain(config.map(|c| &c.audit_non_hmac_request_keys)),
            plain_reply_keys: plain(config.map(|c| &c.audit_non_hmac_response_keys)),
        }
    }

    fn request(&self) -> RequestView<'_> {
        let inbound = self.inbound;
        let connection = inbound.connection.as_deref();
        RequestView {
            id: &inbound.id,
            operation: Some(self.operation),
            mount: self.mount(),
            client_token: inbound.token.expose(),
            client_token_accessor: self.session.map_or("", |s| &s.entry.accessor),
            path: &inbound.path,
            data: (!inbound.data.is_null()).then_some(&inbound.data),
            policy_override: inbound.policy_override,
            remote_addr: connection.map_or("", |c| &c.remote_addr),
            remote_port: connection.map_or(0, |c| c.remote_port),
            wrap_ttl: inbound.wrap.as_ref().map(|wrap| wrap.ttl),
            headers: &self.headers,
            ..RequestView::default()
        }
    }

    fn mount(&self) -> MountView<'_> {
        let (Some(target), Some(facts)) = (self.target, &self.facts) else {
            return MountView::default();
        };
        let running = target.inside.as_ref().ok().map(|inside| inside.running());
        MountView {
            point: &facts.point,
            kind: &facts.kind,
            accessor: &facts.accessor,
            class: target.mount.table.plugin_kind().as_str(),
            running_version: running.map_or("", |r| &r.version),
            running_sha256: running.map_or("", |r| &r.sha256),
            external: running.is_some_and(|r| !r.builtin),
        }
    }

    /// The policies that allowed it.
    fn granting(&self, allowed: bool) -> Vec<GrantingPolicy<'_>> {
        let Some(session) = self.session.filter(|_| allowed) else { return Vec::new() };
        if session.is_root() {
            return vec![GrantingPolicy { name: "root", kind: "acl" }];
        }
        let names = session.acl.granting_policies(&self.inbound.path, capability(self.operation));
        names.into_iter().map(|name| GrantingPolicy { name, kind: "acl" }).collect()
    }
}

fn auth<'a>(
    session: &'a Session,
    granting: &'a [GrantingPolicy<'a>],
    policies: &'a [String],
) -> AuthView<'a> {
    let entry = &session.entry;
    let left = match entry.num_uses {
        limited if limited > 0 => limited - 1,
        _ => 0,
    };
    AuthView {
        client_token: session.token.expose(),
        accessor: &entry.accessor,
        display_name: &entry.display_name,
        policies,
        token_policies: &entry.policies,
        identity_policies: session.identity_policies(),
        policy_results: Some(PolicyResults { allowed: !granting.is_empty(), granting }),
        metadata: entry.meta.as_ref(),
        entity_id: &entry.entity_id,
        remaining_uses: left,
        token_type: match entry.is_batch() {
            true => TokenType::Batch,
            false => TokenType::Service,
        },
        token_ttl: Duration::from_secs(entry.life.ttl),
        token_issued: u64::try_from(entry.creation_time)
            .ok()
            .map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds)),
        ..AuthView::default()
    }
}
