//! Answers that a backend makes itself, status, type and body (wire spec 2.8).

use base64::{Engine as _, prelude::BASE64_STANDARD};
use boltwork_logical::Reply;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::Value;

use crate::encode::{Answer, empty};

/// The response of a raw reply; `None` if it turns out not to be one.
pub fn answer(reply: &Reply) -> Option<Answer> {
    let fields = reply.data.fields().ok()?;
    let code = fields.get("http_status_code")?;
    Some(build(reply, &fields, code).unwrap_or_else(failed))
}

fn build(
    reply: &Reply,
    fields: &serde_json::Map<String, Value>,
    code: &Value,
) -> Result<Answer, &'static str> {
    if reply.secret.is_some() || reply.auth.is_some() {
        return Err("raw responses cannot contain secrets or auth");
    }
    let code = status(code).ok_or("cannot decode status code")?;
    let mut response = Response::new(Full::default());
    *response.status_mut() = code;
    match fields.get("http_content_type") {
        None if code == StatusCode::NO_CONTENT => {}
        None => return Err("no content type given"),
        Some(kind) => {
            let kind = kind.as_str().and_then(|k| HeaderValue::from_str(k).ok());
            let kind = kind.ok_or("cannot decode content type")?;
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
    }
    if code != StatusCode::NO_CONTENT
        && let Some(body) = fields.get("http_raw_body")
    {
        let text = body.as_str().ok_or("cannot decode body")?;
        let body = BASE64_STANDARD.decode(text).unwrap_or_else(|_| text.as_bytes().to_vec());
        *response.body_mut() = Full::new(Bytes::from(body));
    }
    for (field, name) in [
        ("http_raw_cache_control", header::CACHE_CONTROL),
        ("http_raw_pragma", header::PRAGMA),
        ("http_www_authenticate", header::WWW_AUTHENTICATE),
    ] {
        if let Some(value) =
            fields.get(field).and_then(Value::as_str).and_then(|v| HeaderValue::from_str(v).ok())
        {
            response.headers_mut().insert(name, value);
        }
    }
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    Ok(response)
}

/// A status as an integer or a float, as Go reads both.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn status(code: &Value) -> Option<StatusCode> {
    let number = code.as_f64().filter(|n| (100.0..1000.0).contains(n))?;
    StatusCode::from_u16(number as u16).ok()
}

fn failed(why: &'static str) -> Answer {
    let mut response = empty(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(HeaderName::from_static("x-vault-raw-error"), HeaderValue::from_static(why));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use boltwork_logical::Data;

    fn raw(json: &str) -> Answer {
        answer(&Reply::data(Data::parse(json.into()).unwrap())).unwrap()
    }

    #[test]
    fn a_raw_reply_makes_the_whole_response() {
        let made = raw(
            r#"{"http_status_code":202.0,"http_content_type":"text/plain","http_raw_body":"UmVzcG9uc2U="}"#,
        );
        assert_eq!(made.status(), 202);
        assert_eq!(made.headers()["content-type"], "text/plain");
    }

    #[test]
    fn a_broken_raw_reply_says_why_in_a_header() {
        for (json, why) in [
            (r#"{"http_status_code":200}"#, "no content type given"),
            (r#"{"http_status_code":"x"}"#, "cannot decode status code"),
            (r#"{"http_status_code":200,"http_content_type":1}"#, "cannot decode content type"),
            (
                r#"{"http_status_code":200,"http_content_type":"a/b","http_raw_body":1}"#,
                "cannot decode body",
            ),
        ] {
            let made = raw(json);
            assert_eq!(made.status(), 500);
            assert_eq!(made.headers()["x-vault-raw-error"], why);
        }
    }
}
