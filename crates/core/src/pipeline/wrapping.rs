//! Response wrapping in the pipeline: which replies are wrapped, and the check that comes before
//! everything else on the paths that take a wrapping token.

use std::time::{Duration, SystemTime};

use boltwork_logical::{Data, Error, Failure, Operation, Reply, SecretText};

use super::{Inbound, authorize::Authorized};
use crate::{
    active::Active,
    wrapping::{NO_ADDRESS, ToWrap, is_jwt, is_wrapping_token, seconds},
};

/// Paths whose caller acts on a wrapping token: the one in the body, or else the caller's own.
const TAKES_WRAPPING_TOKEN: [&str; 3] =
    ["sys/wrapping/lookup", "sys/wrapping/rewrap", "sys/wrapping/unwrap"];

/// What the check found.
pub enum About {
    /// An ordinary request.
    Ordinary,
    /// A wrapping token in the body.
    InBody,
    /// The caller's token is the wrapping token.
    Caller,
}

impl About {
    pub fn caller_is_wrapping_token(&self) -> bool {
        matches!(self, Self::Caller)
    }
}

/// The one answer for a wrapping token that was used up, ended, or never was one.
pub fn invalid() -> Error {
    Error::invalid("wrapping token is not valid or does not exist")
}

/// The same for one that says, signed, what it was.
fn invalid_because(why: &str) -> Error {
    Error::invalid(format!("{}: {why}", invalid()))
}

/// Whether a request that takes a wrapping token has a good one. Spends nothing. In place of a
/// token in JWT format the request has, from here on, the token that is inside.
pub async fn check(active: &Active, inbound: &mut Inbound) -> Result<About, Error> {
    let path = inbound.path.trim_end_matches('/');
    let reads = inbound.operation == Operation::Read && path == "sys/wrapping/lookup";
    if !(inbound.operation == Operation::Update || reads) || !TAKES_WRAPPING_TOKEN.contains(&path) {
        return Ok(About::Ordinary);
    }
    #[derive(serde::Deserialize, Default)]
    #[serde(default)]
    struct Body {
        token: Option<zeroize::Zeroizing<String>>,
    }
    let body: Body = inbound
        .data
        .decode()
        .map_err(|_| Error::invalid("could not decode token in request body"))?;
    let (token, about) = match &body.token {
        Some(token) if token.is_empty() => {
            return Err(Error::Coded {
                status: 403,
                message: "error validating wrapping token: empty token in request body".to_owned(),
            });
        }
        Some(token) => (token.as_str(), About::InBody),
        None => (inbound.token.expose(), About::Caller),
    };
    if is_jwt(token) {
        let claims = active.jwt_key.verify(token, seconds(SystemTime::now()))?;
        let found = active.tokens.lookup(&active.tokens.digest(claims.token.expose())).await?;
        let good = found.is_some_and(|entry| is_wrapping_token(&entry));
        put_in(inbound, &about, claims.token)?;
        return match (claims.expired, good) {
            (true, _) => Err(invalid_because("it has expired")),
            (false, false) => Err(invalid_because("it was unwrapped already, or revoked")),
            (false, true) => Ok(about),
        };
    }
    match active.tokens.lookup(&active.tokens.digest(token)).await? {
        Some(entry) if is_wrapping_token(&entry) => Ok(about),
        _ => Err(invalid()),
    }
}

/// Puts the token that was inside a JWT in its place.
fn put_in(inbound: &mut Inbound, about: &About, token: SecretText) -> Result<(), Error> {
    match about {
        About::InBody => {
            let mut fields = inbound.data.fields()?;
            fields.insert("token".to_owned(), token.expose().into());
            inbound.data = Data::of(&fields)?;
        }
        About::Caller | About::Ordinary => inbound.token = token,
    }
    Ok(())
}

/// How long the reply is to be wrapped for: the shorter of what the caller and the backend want.
fn wanted(request: &Authorized, reply: &Reply) -> Option<Duration> {
    let by_backend = reply.wrap.as_ref().map(|wrap| wrap.ttl).filter(|ttl| !ttl.is_zero());
    let by_caller = request.inbound.wrap.as_ref().map(|wrap| wrap.ttl);
    match (by_backend, by_caller) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Puts the reply into a wrapping token, if that is wanted. An error is never wrapped.
pub async fn wrap(
    active: &Active,
    request: &Authorized,
    mut reply: Reply,
) -> Result<Reply, Failure> {
    let path = request.inbound.path.trim_end_matches('/');
    // These hand a wrapped reply out, or have wrapped theirs already.
    if TAKES_WRAPPING_TOKEN.contains(&path) {
        return Ok(reply);
    }
    let Some(ttl) = wanted(request, &reply) else {
        reply.wrap = None;
        return Ok(reply);
    };
    let listing = matches!(request.operation, Operation::List | Operation::Scan);
    if reply.error_text().is_some()
        || !reply.redirect.is_empty()
        || request.operation == Operation::Help
        || (listing && !reply.data.mentions("\"keys\"") && reply.warnings.is_empty())
    {
        reply.wrap = None;
        return Ok(reply);
    }
    reply.wrap = None;
    let jwt = request.inbound.wrap.as_ref().is_some_and(|wrap| wrap.format == "jwt");
    if jwt && !active.jwt_key.has_address() {
        reply.warnings.push(NO_ADDRESS.to_owned());
    }
    let to_wrap = ToWrap {
        ttl,
        jwt,
        creation_path: &request.inbound.path,
        display_name: request.session.as_ref().map_or("", |s| &s.entry.display_name),
        entity_id: request.session.as_ref().map_or("", |s| &s.entry.entity_id),
        request_id: &request.inbound.id,
    };
    let info = active.wrap(&to_wrap, &reply).await;
    match info {
        Ok(info) => Ok(Reply { wrap: Some(Box::new(info)), ..Reply::default() }),
        Err(error) => {
            tracing::error!(request = %request.inbound.id, %error, "a reply could not be wrapped");
            // What nobody will be handed must not live on.
            if let Some(auth) = &reply.auth {
                let digest = active.tokens.digest(auth.client_token.expose());
                active.tokens.revoke_soon(digest);
            }
            Err(Error::internal("internal error: the reply could not be wrapped").into())
        }
    }
}
