//! Stage 7: what an answer brings with it. A login becomes a token; a secret that must be taken back
//! becomes a lease; headers that the mount does not allow are dropped; the whole is wrapped where
//! that was asked for.

use boltwork_logical::{Failure, Reply};

use super::{authorize::Authorized, dispatch::Answered, lease, login, wrapping};
use crate::active::Active;

/// A request that is done, but for the audit of its answer.
pub struct Finished {
    pub(super) request: Authorized,
    pub(super) result: Result<Option<Reply>, Failure>,
}

pub async fn finish(active: &Active, answered: Answered) -> Finished {
    let Answered { request, result } = answered;
    let result = match result {
        Err(mut failure) => {
            if let Some(reply) = &mut failure.reply {
                give_nothing(reply);
            }
            Err(failure)
        }
        Ok(None) => Ok(None),
        Ok(Some(mut reply)) if reply.error_text().is_some() => {
            give_nothing(&mut reply);
            Ok(Some(reply))
        }
        Ok(Some(reply)) => settle(active, &request, reply).await.map(Some),
    };
    Finished { request, result }
}

/// An error that comes with a login gives no token (CVE-2026-46405 in OpenBao), and none that
/// comes with a lease a secret.
fn give_nothing(reply: &mut Reply) {
    reply.auth = None;
    reply.secret = None;
    reply.wrap = None;
    reply.headers.clear();
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
            reply.secret = Some(lease::settle(active, request, &mut reply, secret).await?);
        }
        if let Some(auth) = reply.auth.take() {
            reply.auth = Some(login::login(active, request, auth, &mut reply.warnings).await?);
        }
    }
    wrapping::wrap(active, request, reply).await
}
