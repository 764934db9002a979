//! From an [`Outcome`] to an HTTP response.
//!
//! The body is the core's envelope; what it leaves to the door is the status and the odd paths.

use boltwork_core::{Outcome, envelope};
use boltwork_logical::{Data, Failure, Operation, Reply};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::json;

use crate::{raw, status};

/// What the door answers.
pub type Answer = Response<Full<Bytes>>;

/// `sys/` paths whose payload stands beside the envelope's keys too, for old clients. With a slash:
/// everything below.
const FLATTENED: [&str; 14] = [
    "sys/audit",
    "sys/audit/",
    "sys/audit-hash/",
    "sys/auth",
    "sys/auth/",
    "sys/capabilities",
    "sys/capabilities-accessor",
    "sys/capabilities-self",
    "sys/key-status",
    "sys/mounts",
    "sys/mounts/",
    "sys/policy",
    "sys/policy/",
    "sys/wrapping/wrap",
];

/// The response to a request for `path`.
pub fn outcome(outcome: Outcome, path: &str) -> Answer {
    let Outcome { id, operation, result, .. } = outcome;
    match result {
        Ok(None) if is_lookup(operation) => errors(StatusCode::NOT_FOUND, &[]),
        Ok(None) => empty(StatusCode::NO_CONTENT),
        Ok(Some(reply)) => answer(&id, operation, reply, path, StatusCode::OK, None),
        Err(Failure { error, reply }) => {
            let (code, texts) = status::of(&error);
            match reply {
                None => errors(code, &texts),
                // Beside a reply even a plain error counts as the caller's fault.
                Some(reply) => {
                    let code = match code {
                        StatusCode::INTERNAL_SERVER_ERROR => StatusCode::BAD_REQUEST,
                        other => other,
                    };
                    answer(&id, operation, *reply, path, code, Some(texts))
                }
            }
        }
    }
}

const fn is_lookup(operation: Operation) -> bool {
    matches!(operation, Operation::Read | Operation::List | Operation::Scan | Operation::Header)
}

fn answer(
    id: &str,
    operation: Operation,
    reply: Reply,
    path: &str,
    code: StatusCode,
    failed: Option<Vec<String>>,
) -> Answer {
    if let Some(text) = reply.error_text() {
        let code = if failed.is_some() { code } else { StatusCode::BAD_REQUEST };
        return errors_and_data(code, &text, &reply.data);
    }
    if let Some(texts) = failed {
        return errors(code, &texts);
    }
    if !reply.redirect.is_empty() {
        return redirect(&reply.redirect);
    }
    if reply.data.mentions("\"http_status_code\"")
        && let Some(raw) = raw::answer(&reply)
    {
        return raw;
    }
    if operation == Operation::Help {
        return with_headers(ok_json(StatusCode::OK, reply.data.as_bytes().to_vec()), &reply);
    }
    if matches!(operation, Operation::List | Operation::Scan) && is_empty_list(&reply) {
        return errors(StatusCode::NOT_FOUND, &[]);
    }
    with_headers(ok_json(StatusCode::OK, body(id, &reply, path)), &reply)
}

/// An answer to a list without keys is "not found", unless it says something else.
fn is_empty_list(reply: &Reply) -> bool {
    match reply.data.as_bytes() {
        b"null" | b"{}" => reply.warnings.is_empty(),
        b"{\"keys\":[]}" | b"{\"keys\":null}" => true,
        _ if reply.data.as_bytes().len() > 64 => false,
        _ => {
            let Ok(fields) = reply.data.fields() else { return false };
            fields.get("keys").is_some_and(|k| k.as_array().is_some_and(Vec::is_empty))
        }
    }
}

/// The whole body: Vault's envelope, with the payload's keys beside it on old paths.
fn body(id: &str, reply: &Reply, path: &str) -> Vec<u8> {
    let data = reply.data.as_bytes();
    let mut out = Vec::with_capacity(data.len() + 256);
    out.push(b'{');
    if is_flattened(path) && !reply.data.is_null() {
        flatten(&mut out, data);
    }
    envelope::write(&mut out, id, reply);
    out.extend_from_slice(b"}\n");
    out
}

/// The payload's own keys, before those of the envelope.
fn flatten(out: &mut Vec<u8>, data: &[u8]) {
    let inner = data.trim_ascii();
    let inner = inner[1..inner.len() - 1].trim_ascii();
    if !inner.is_empty() {
        out.extend_from_slice(inner);
        out.push(b',');
    }
}

fn is_flattened(path: &str) -> bool {
    path.starts_with("sys/")
        && (matches!(path, "sys/remount" | "sys/rotate")
            || FLATTENED.iter().any(|flat| match flat.ends_with('/') {
                true => path.starts_with(flat),
                false => path == *flat,
            }))
}

fn value<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Writing to a vector cannot fail, and these are all plain values.
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.extend_from_slice(b"null");
    }
}

/// A JSON response.
pub fn ok_json(code: StatusCode, body: Vec<u8>) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Vault's error body.
pub fn errors(code: StatusCode, texts: &[String]) -> Answer {
    let texts: Vec<_> = texts.iter().filter(|t| !t.is_empty()).collect();
    let mut body = Vec::new();
    value(&mut body, &json!({ "errors": texts }));
    body.push(b'\n');
    ok_json(code, body)
}

fn errors_and_data(code: StatusCode, error: &str, data: &Data) -> Answer {
    let beside = data.fields().ok().and_then(|mut fields| fields.remove("data"));
    let body = match beside {
        Some(data) => json!({ "errors": [error], "data": data }),
        None => json!({ "errors": [error] }),
    };
    let mut text = Vec::new();
    value(&mut text, &body);
    text.push(b'\n');
    ok_json(code, text)
}

/// A response without a body.
pub fn empty(code: StatusCode) -> Answer {
    let mut response = Response::new(Full::default());
    *response.status_mut() = code;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn redirect(to: &str) -> Answer {
    let mut response = empty(StatusCode::TEMPORARY_REDIRECT);
    match HeaderValue::from_str(to) {
        Ok(location) => {
            response.headers_mut().insert(header::LOCATION, location);
            response
        }
        Err(_) => errors(
            StatusCode::INTERNAL_SERVER_ERROR,
            &["the backend answered with a redirect that is no valid address".to_owned()],
        ),
    }
}

/// Headers that the mount lets through.
fn with_headers(mut response: Answer, reply: &Reply) -> Answer {
    for (name, values) in &reply.headers {
        let Ok(name) = http::HeaderName::from_bytes(name.as_bytes()) else { continue };
        for value in values {
            if let Ok(value) = HeaderValue::from_str(value) {
                response.headers_mut().append(name.clone(), value);
            }
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_goes_into_the_envelope_as_it_is() {
        let reply = Reply::data(Data::parse(br#"{"b": 1.0, "a":2}"#.to_vec()).unwrap());
        let made = String::from_utf8(body("id", &reply, "secret/x")).unwrap();
        assert_eq!(
            made,
            "{\"request_id\":\"id\",\"lease_id\":\"\",\"renewable\":false,\"lease_duration\":0,\
             \"data\":{\"b\": 1.0, \"a\":2},\"wrap_info\":null,\"warnings\":null,\"auth\":null}\n"
        );
    }

    #[test]
    fn some_system_replies_stand_beside_the_envelope_too() {
        let reply = Reply::data(Data::parse(br#"{"a":2}"#.to_vec()).unwrap());
        let made = String::from_utf8(body("id", &reply, "sys/mounts")).unwrap();
        assert!(made.starts_with("{\"a\":2,\"request_id\""), "{made}");
        assert!(is_flattened("sys/mounts/secret/tune") && is_flattened("sys/capabilities-self"));
        assert!(!is_flattened("sys/policies/acl") && !is_flattened("sys/internal/ui/mounts"));
    }

    #[test]
    fn a_list_without_keys_is_not_found() {
        let empty = Reply::data(Data::parse(br#"{"keys":[]}"#.to_vec()).unwrap());
        assert!(is_empty_list(&empty));
        let full = Reply::data(Data::parse(br#"{"keys":["a"]}"#.to_vec()).unwrap());
        assert!(!is_empty_list(&full));
    }
}
