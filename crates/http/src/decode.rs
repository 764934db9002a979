//! From an HTTP request to an [`Inbound`].

use std::sync::Arc;

use boltwork_core::Inbound;
use boltwork_logical::{Connection, Data, Headers, Operation, SecretText, WrapRequest};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, StatusCode, request::Parts};
use percent_encoding::percent_decode_str;

use crate::query;

/// A request that the door refuses: status and text.
#[derive(Debug)]
pub struct Refusal(pub StatusCode, pub String);

impl Refusal {
    pub fn bad(text: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, text.into())
    }
}

/// The path below `/v1/`, decoded. `None` for other paths and for those with nothing decodable.
pub fn api_path(parts: &Parts) -> Option<String> {
    let rest = parts.uri.path().strip_prefix("/v1/")?;
    if !rest.contains('%') {
        return Some(rest.to_owned());
    }
    percent_decode_str(rest).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// Makes the core's request.
pub fn inbound(
    parts: &Parts,
    path: String,
    body: &Bytes,
    connection: Arc<Connection>,
) -> Result<Inbound, Refusal> {
    check_path(&path)?;
    check_namespace(&parts.headers)?;
    let mut pairs = query::pairs(parts.uri.query());
    let operation = operation(parts, &pairs)?;
    if parts.method == Method::GET {
        // What asks for an operation is no field of it.
        match operation {
            Operation::List => pairs.retain(|(name, _)| name != "list"),
            Operation::Scan => pairs.retain(|(name, _)| name != "scan"),
            _ => {}
        }
    }
    let data = match operation {
        Operation::Update | Operation::Patch => payload(&parts.headers, body)?,
        Operation::Help => Data::null(),
        _ => query::data(pairs),
    };
    let mut path = path;
    if matches!(operation, Operation::List | Operation::Scan) && !path.ends_with('/') {
        path.push('/');
    }
    Ok(Inbound {
        id: uuid::Uuid::new_v4().to_string().into(),
        operation,
        path,
        token: token(&parts.headers),
        data,
        headers: headers(&parts.headers),
        connection: Some(connection),
        wrap: wrap(&parts.headers)?,
        policy_override: header(&parts.headers, "x-vault-policy-override")
            .is_some_and(|v| v == "true"),
    })
}

fn operation(parts: &Parts, pairs: &[(String, String)]) -> Result<Operation, Refusal> {
    let flag = |name| query::flag(pairs, name).map_err(Refusal::bad);
    Ok(match parts.method {
        Method::GET if pairs.is_empty() => Operation::Read,
        Method::GET if flag("help")? => Operation::Help,
        Method::GET if flag("list")? => Operation::List,
        Method::GET if flag("scan")? => Operation::Scan,
        Method::GET => Operation::Read,
        Method::POST | Method::PUT => Operation::Update,
        Method::DELETE => Operation::Delete,
        Method::HEAD => Operation::Header,
        Method::PATCH => {
            check_patch(&parts.headers)?;
            Operation::Patch
        }
        Method::OPTIONS => {
            return Err(Refusal::bad("cannot handle internal-only request operation"));
        }
        ref other => match other.as_str() {
            "LIST" => Operation::List,
            "SCAN" => Operation::Scan,
            _ => return Err(Refusal(StatusCode::METHOD_NOT_ALLOWED, String::new())),
        },
    })
}

fn check_patch(headers: &HeaderMap) -> Result<(), Refusal> {
    let kind = header(headers, "content-type").unwrap_or_default();
    if kind.is_empty() {
        return Err(Refusal::bad("mime: no media type"));
    }
    match kind.split(';').next().map(str::trim) {
        Some("application/merge-patch+json") => Ok(()),
        _ => Err(Refusal(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("PATCH requires Content-Type of application/merge-patch+json, provided {kind}"),
        )),
    }
}

/// Paths that could mean something else than they say.
fn check_path(path: &str) -> Result<(), Refusal> {
    if path.split('/').any(|segment| matches!(segment, ".." | ".")) {
        return Err(Refusal::bad("relative paths not supported"));
    }
    if path.contains('\0') {
        return Err(Refusal::bad("the path must not contain a NUL character"));
    }
    Ok(())
}

/// There is one namespace, the root. A request for another must not act on this one.
fn check_namespace(headers: &HeaderMap) -> Result<(), Refusal> {
    match header(headers, "x-vault-namespace").map(|n| n.trim_matches('/')) {
        None | Some("" | "root") => Ok(()),
        Some(_) => Err(Refusal::bad(
            "this server has no namespaces; remove the X-Vault-Namespace header or VAULT_NAMESPACE",
        )),
    }
}

/// The body: JSON, or a form.
fn payload(headers: &HeaderMap, body: &Bytes) -> Result<Data, Refusal> {
    if body.is_empty() {
        return Ok(Data::null());
    }
    let form = header(headers, "content-type")
        .is_some_and(|kind| kind.trim_start().starts_with("application/x-www-form-urlencoded"));
    // curl says that every -d is a form; what begins like JSON is JSON, as in Vault.
    let first = body.iter().find(|b| !b.is_ascii_whitespace());
    if form && first != Some(&b'{') {
        let text =
            std::str::from_utf8(body).map_err(|_| Refusal::bad("the form is not valid UTF-8"))?;
        return Ok(query::data(query::pairs(Some(text))));
    }
    Data::parse(body.to_vec())
        .map_err(|e| Refusal::bad(format!("failed to decode JSON input: {e}")))
}

fn token(headers: &HeaderMap) -> SecretText {
    if let Some(token) = header(headers, "x-vault-token") {
        return SecretText::new(token);
    }
    let bearer = header(headers, "authorization").and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    SecretText::new(bearer.unwrap_or_default())
}

fn wrap(headers: &HeaderMap) -> Result<Option<WrapRequest>, Refusal> {
    let Some(text) = header(headers, "x-vault-wrap-ttl").filter(|t| !t.is_empty()) else {
        return Ok(None);
    };
    let format = header(headers, "x-vault-wrap-format").unwrap_or_default();
    Inbound::wrap_request(text, format).map_err(|e| Refusal::bad(e.to_string()))
}

fn header<'a>(headers: &'a HeaderMap, name: &'static str) -> Option<&'a str> {
    headers.get(HeaderName::from_static(name)).and_then(|value| value.to_str().ok())
}

/// Headers under their Go-canonical names, without those that carry the token.
fn headers(from: &HeaderMap) -> Headers {
    let mut made = Headers::new();
    for (name, value) in from {
        if matches!(name.as_str(), "x-vault-token" | "authorization" | "cookie") {
            continue;
        }
        if let Ok(value) = value.to_str() {
            made.entry(canonical(name.as_str())).or_default().push(value.to_owned());
        }
    }
    made
}

/// `x-my-header` as Go writes it: `X-My-Header`.
fn canonical(name: &str) -> String {
    let mut upper = true;
    name.chars()
        .map(|c| {
            let made = if upper { c.to_ascii_uppercase() } else { c };
            upper = c == '-';
            made
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut builder = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap().into_parts().0
    }

    fn decode(
        method: &str,
        uri: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Inbound, Refusal> {
        let parts = parts(method, uri, headers);
        let path = api_path(&parts).unwrap();
        inbound(&parts, path, &Bytes::copy_from_slice(body.as_bytes()), Arc::default())
    }

    #[test]
    fn a_list_may_be_asked_for_in_two_ways() {
        for (method, uri) in [("LIST", "/v1/secret/a"), ("GET", "/v1/secret/a?list=true")] {
            let made = decode(method, uri, &[], "").unwrap();
            assert_eq!((made.operation, made.path.as_str()), (Operation::List, "secret/a/"));
            assert!(made.data.is_null(), "{}", made.data.as_str());
        }
        let made = decode("GET", "/v1/secret/a?list=true&after=b", &[], "").unwrap();
        assert_eq!(made.data.as_str(), r#"{"after":"b"}"#);
    }

    #[test]
    fn relative_paths_are_refused_however_they_are_written() {
        for uri in ["/v1/secret/../sys/raw", "/v1/secret/%2e%2e/sys", "/v1/./sys"] {
            assert!(decode("GET", uri, &[], "").is_err(), "{uri}");
        }
    }

    #[test]
    fn a_token_never_travels_with_the_headers() {
        let made =
            decode("GET", "/v1/a", &[("X-Vault-Token", "t"), ("x-my-header", "v")], "").unwrap();
        assert_eq!(made.token.expose(), "t");
        assert_eq!(made.headers.keys().collect::<Vec<_>>(), ["X-My-Header"]);
        let made = decode("GET", "/v1/a", &[("Authorization", "Bearer t2")], "").unwrap();
        assert_eq!(made.token.expose(), "t2");
    }

    #[test]
    fn another_namespace_is_refused_and_not_served_from_this_one() {
        assert!(decode("GET", "/v1/a", &[("X-Vault-Namespace", "team/")], "").is_err());
        assert!(decode("GET", "/v1/a", &[("X-Vault-Namespace", "root")], "").is_ok());
    }

    #[test]
    fn bad_json_is_refused_with_its_place() {
        let refused = decode("POST", "/v1/a", &[], "{\"a\"").err().unwrap();
        assert!(refused.1.starts_with("failed to decode JSON input: "), "{}", refused.1);
    }

    #[test]
    fn a_form_and_json_called_a_form_are_both_read() {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        assert_eq!(
            decode("POST", "/v1/a", &form, "x=1&y=2").unwrap().data.as_str(),
            r#"{"x":"1","y":"2"}"#
        );
        assert_eq!(
            decode("POST", "/v1/a", &form, r#"{"x":1}"#).unwrap().data.as_str(),
            r#"{"x":1}"#
        );
    }
}
