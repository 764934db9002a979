//! Stage 7: what an answer brings with it. A login becomes a token; a lease without anybody to
//! revoke it becomes plain data; headers that the mount does not allow are dropped.

use boltwork_logical::{Auth, Error, Failure, Operation, Reply, Secret};

use super::{authorize::Authorized, dispatch::Answered};
use crate::{
    active::Active,
    mounts::effective_ttls,
    tokens::{NewToken, cap_ttl},
};

/// A request that is done, but for the audit of its answer.
pub struct Finished {
    pub(super) request: Authorized,
    pub(super) result: Result<Option<Reply>, Failure>,
}

pub async fn finish(active: &Active, answered: Answered) -> Finished {
    let Answered { request, result } = answered;
    let result = match result {
        // An error that comes with a login gives no token (CVE-2026-46405 in OpenBao).
        Err(mut failure) => {
            if let Some(reply) = &mut failure.reply {
                reply.auth = None;
                reply.secret = None;
            }
            Err(failure)
        }
        Ok(None) => Ok(None),
        Ok(Some(reply)) => settle(active, &request, reply).await.map(Some),
    };
    Finished { request, result }
}

async fn settle(active: &Active, request: &Authorized, mut reply: Reply) -> Result<Reply, Failure> {
    let mount = &request.target.mount;
    if !mount.core_own {
        let entry = mount.entry.load();
        match &entry.config.allowed_response_headers {
            Some(allowed) => {
                reply.headers.retain(|name, _| allowed.iter().any(|a| a.eq_ignore_ascii_case(name)))
            }
            None => reply.headers.clear(),
        }
        if let Some(secret) = reply.secret.take() {
            reply.secret = Some(lease(active, request, secret).await?);
        }
        if let Some(auth) = reply.auth.take() {
            reply.auth = Some(login(active, request, auth, &mut reply.warnings).await?);
        }
    }
    Ok(reply)
}

/// A lease that its backend can revoke always remembers how (`secret_type`, set by every SDK).
/// Without that it is only a hint how long the data is good for, and needs no keeping.
async fn lease(
    active: &Active,
    request: &Authorized,
    mut secret: Box<Secret>,
) -> Result<Box<Secret>, Failure> {
    if secret.internal.mentions("\"secret_type\"") {
        revoke_at_once(request, secret).await;
        return Err(Error::Unavailable(
            "this server does not keep leases yet, so the secret that the plugin issued was \
             revoked at once"
                .to_owned(),
        )
        .into());
    }
    let (default, max) = effective_ttls(active.mounts.facts(), &request.target.mount);
    if secret.lease.ttl.is_zero() {
        secret.lease.ttl = default;
    }
    secret.lease.ttl = secret.lease.ttl.min(max);
    secret.lease.renewable = false;
    secret.lease_id.clear();
    Ok(secret)
}

/// Gives back what nobody could give back later.
async fn revoke_at_once(request: &Authorized, secret: Box<Secret>) {
    let Ok(inside) = &request.target.inside else { return };
    let mount = &request.target.mount;
    let mut revoke = boltwork_logical::Request::new(
        Operation::Revoke,
        request.target.relative.clone(),
        std::sync::Arc::clone(&mount.storage),
    );
    revoke.mount = mount.facts.load_full();
    revoke.secret = Some(secret);
    if let Err(failure) = inside.backend().handle(revoke).await {
        tracing::error!(
            mount = mount.point(),
            error = %failure.error,
            "a secret that cannot be kept as a lease could not be revoked either"
        );
    }
}

/// Makes the token that a login deserves.
async fn login(
    active: &Active,
    request: &Authorized,
    mut auth: Box<Auth>,
    warnings: &mut Vec<String>,
) -> Result<Box<Auth>, Failure> {
    if request.session.is_some() {
        return Err(Error::internal(
            "the backend answered with a login on a path that is not declared unauthenticated",
        )
        .into());
    }
    let mount = &request.target.mount;
    let (default, max) = effective_ttls(active.mounts.facts(), mount);
    if auth.policies.iter().any(|p| p == "root") {
        return Err(Error::invalid("auth methods cannot create root tokens").into());
    }
    if !auth.token.no_default_policy {
        auth.policies.push("default".to_owned());
    }
    auth.policies.sort();
    auth.policies.dedup();
    let period = auth.token.period.as_secs();
    let asked = if period > 0 { period } else { auth.lease.ttl.as_secs() };
    let (ttl, warning) = cap_ttl(asked, default, max, auth.token.explicit_max_ttl.as_secs());
    warnings.extend(warning);
    let facts = mount.facts.load();
    let display = facts.point.trim_start_matches("auth/").trim_end_matches('/').replace('/', "-");
    let display_name = match auth.display_name.is_empty() {
        true => display,
        false => format!("{display}-{}", auth.display_name),
    };
    let (token, entry) = active
        .tokens
        .create(NewToken {
            policies: auth.policies.clone(),
            path: request.inbound.path.clone(),
            meta: Some(auth.metadata.clone()),
            display_name,
            num_uses: auth.token.num_uses,
            ttl,
            explicit_max_ttl: auth.token.explicit_max_ttl.as_secs(),
            period,
            renewable: auth.lease.renewable,
            bound_cidrs: auth.token.bound_cidrs.clone(),
            ..NewToken::default()
        })
        .await?;
    auth.client_token = token;
    auth.accessor.clone_from(&entry.accessor);
    auth.lease.ttl = std::time::Duration::from_secs(ttl);
    auth.token.token_policies.clone_from(&auth.policies);
    auth.token.token_type = boltwork_logical::TokenType::Service;
    Ok(auth)
}
