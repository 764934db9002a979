//! Replies, and what a backend's three questions are answered with (wire spec 2.6, 2.8, 2.11).

use boltwork_logical::{Data, Error, Existence, Failure, Reply, Secret};

use crate::auth::{lease_from_wire, lease_to_wire};
use crate::headers::{headers_from_wire, headers_to_wire};
use crate::{
    WireError, auth_from_wire, auth_to_wire, error_from_wire, error_to_wire, pb,
    wrap_info_from_wire, wrap_info_to_wire,
};

/// A leased secret for the wire.
pub fn secret_to_wire(secret: &Secret) -> pb::Secret {
    pb::Secret {
        lease_options: Some(lease_to_wire(&secret.lease)),
        internal_data: secret.internal.as_str().to_owned(),
        lease_id: secret.lease_id.clone(),
    }
}

/// A leased secret from the wire.
pub fn secret_from_wire(secret: pb::Secret) -> Result<Secret, WireError> {
    let internal = Data::parse(secret.internal_data.into_bytes())
        .map_err(WireError::data("Secret.internal_data"))?;
    let lease = lease_from_wire(secret.lease_options)?;
    Ok(Secret { lease, internal, lease_id: secret.lease_id })
}

/// A reply for the wire.
pub fn reply_to_wire(reply: &Reply) -> pb::Response {
    pb::Response {
        secret: reply.secret.as_deref().map(secret_to_wire),
        auth: reply.auth.as_deref().map(auth_to_wire),
        data: reply.data.as_str().to_owned(),
        redirect: reply.redirect.clone(),
        warnings: reply.warnings.clone(),
        wrap_info: reply.wrap.as_deref().map(wrap_info_to_wire),
        headers: headers_to_wire(&reply.headers),
        mount_type: String::new(),
    }
}

/// A reply from the wire. The payload's text is checked once and kept.
pub fn reply_from_wire(reply: pb::Response) -> Result<Reply, WireError> {
    Ok(Reply {
        data: Data::parse(reply.data.into_bytes()).map_err(WireError::data("Response.data"))?,
        secret: reply.secret.map(secret_from_wire).transpose()?.map(Box::new),
        auth: reply.auth.map(auth_from_wire).transpose()?.map(Box::new),
        warnings: reply.warnings,
        redirect: reply.redirect,
        headers: headers_from_wire(reply.headers),
        wrap: reply.wrap_info.map(wrap_info_from_wire).transpose()?.map(Box::new),
    })
}

/// What Vault calls an error response: a reply whose payload is an error's text. Clients get it
/// with status 400.
pub fn error_reply(text: &str) -> Reply {
    Reply::data(Data::json(&[("error", text)].into_iter().collect()))
}

/// A backend's answer for the wire. Bad input becomes an error response, as Go plugins send it;
/// of everything else both the error and the reply beside it are sent.
pub fn answer_to_wire(answer: &Result<Option<Reply>, Failure>) -> pb::HandleRequestReply {
    match answer {
        Ok(reply) => {
            pb::HandleRequestReply { response: reply.as_ref().map(reply_to_wire), err: None }
        }
        Err(Failure { error: Error::Invalid(text), reply: None }) => {
            pb::HandleRequestReply { response: Some(reply_to_wire(&error_reply(text))), err: None }
        }
        Err(Failure { error, reply }) => pb::HandleRequestReply {
            response: reply.as_deref().map(reply_to_wire),
            err: Some(error_to_wire(error)),
        },
    }
}

/// A plugin's answer. What cannot be read is an error of the plugin's.
pub fn answer_from_wire(answer: pb::HandleRequestReply) -> Result<Option<Reply>, Failure> {
    let pb::HandleRequestReply { response, err } = answer;
    let reply = response.map(reply_from_wire).transpose();
    match (reply, err) {
        (Ok(reply), None) => Ok(reply),
        (Ok(reply), Some(error)) => {
            Err(Failure { error: error_from_wire(error), reply: reply.map(Box::new) })
        }
        // The plugin's own error says more than that its reply is unreadable.
        (Err(_), Some(error)) => Err(error_from_wire(error).into()),
        (Err(unreadable), None) => {
            Err(Error::Internal(format!("the plugin's answer: {unreadable}")).into())
        }
    }
}

/// An existence check's answer for the wire.
pub fn existence_to_wire(answer: &Result<Existence, Error>) -> pb::HandleExistenceCheckReply {
    let (check_found, exists, err) = match answer {
        Ok(Existence::Unchecked) => (false, false, None),
        Ok(Existence::Exists) => (true, true, None),
        Ok(Existence::Absent) => (true, false, None),
        Err(error) => (false, false, Some(error_to_wire(error))),
    };
    pb::HandleExistenceCheckReply { check_found, exists, err }
}

/// An existence check's answer from the wire. Without a check nothing is ever a creation.
pub fn existence_from_wire(answer: pb::HandleExistenceCheckReply) -> Result<Existence, Error> {
    match answer {
        pb::HandleExistenceCheckReply { err: Some(error), .. } => Err(error_from_wire(error)),
        pb::HandleExistenceCheckReply { check_found: false, .. } => Ok(Existence::Unchecked),
        pb::HandleExistenceCheckReply { exists: true, .. } => Ok(Existence::Exists),
        pb::HandleExistenceCheckReply { exists: false, .. } => Ok(Existence::Absent),
    }
}

/// The outcome of `Initialize` for the wire.
pub fn initialized_to_wire(outcome: &Result<(), Error>) -> pb::InitializeReply {
    pb::InitializeReply { err: outcome.as_ref().err().map(error_to_wire) }
}

/// The outcome of `Initialize` from the wire.
pub fn initialized_from_wire(reply: pb::InitializeReply) -> Result<(), Error> {
    reply.err.map_or(Ok(()), |error| Err(error_from_wire(error)))
}
