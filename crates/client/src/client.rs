//! Sending a call with retries and one redirect, and judging the answer.
//!
//! Retries follow Vault's client: 412, 429 and 5xx except 501. Where the connection broke after the
//! request left, only a read is repeated: a write may have happened.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use crate::address::Address;
use crate::call::{Call, Config, Response, Wrap};
use crate::connection::{self, BodyError, Connection};
use crate::error::{ApiError, Error};
use crate::json::Json;
use crate::secret::Secret;

/// What Go's URL type leaves alone in a path, so that errors show the same URL.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b',')
    .remove(b'/')
    .remove(b':')
    .remove(b';')
    .remove(b'=')
    .remove(b'@');
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A client of one server.
pub struct Client {
    config: Config,
    tls: Arc<rustls::ClientConfig>,
    idle: Mutex<Option<Connection>>,
}

impl Client {
    /// Makes a client; nothing is sent yet.
    ///
    /// # Errors
    /// A certificate file cannot be read, or the token cannot stand in a header.
    pub fn new(config: Config) -> Result<Self, Error> {
        let tls = config.tls.build()?;
        if config.token.as_ref().is_some_and(|token| HeaderValue::from_str(token).is_err()) {
            return Err(Error::Config(
                "configured Vault token contains non-printable characters and cannot be used"
                    .into(),
            ));
        }
        Ok(Self { config, tls, idle: Mutex::new(None) })
    }

    /// The configuration in use.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Reads `path`. `None` if there is nothing.
    ///
    /// # Errors
    /// See [`Error`]; a 404 without content is not one.
    pub async fn read(&self, path: &str) -> Result<Option<Secret>, Error> {
        self.secret(Call::new(Method::GET, path)).await
    }

    /// Lists `path`. `None` if there is nothing.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list(&self, path: &str) -> Result<Option<Secret>, Error> {
        self.secret(Call::new(Method::GET, path).query("list", "true")).await
    }

    /// Writes `body` to `path`. `None` if the server answered without content.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn write(&self, path: &str, body: &Json) -> Result<Option<Secret>, Error> {
        self.secret(Call::new(Method::PUT, path).body(body)).await
    }

    /// Applies a JSON merge patch to `path`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn patch(&self, path: &str, body: &Json) -> Result<Option<Secret>, Error> {
        // Unlike the others: a patch of what is not there has failed.
        let response = self.send(Call::new(Method::PATCH, path).body(body).merge_patch()).await?;
        Secret::parse(&response.body)
    }

    /// Deletes `path`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn delete(&self, path: &str) -> Result<Option<Secret>, Error> {
        self.secret(Call::new(Method::DELETE, path)).await
    }

    /// Sends a call whose answer is an envelope. A 404 is the secret it carries, or, to a read or
    /// list, `None`: nothing is there. To a write it is an error, for nothing was written.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn secret(&self, call: Call) -> Result<Option<Secret>, Error> {
        let (response, error) = self.exchange(&call).await?;
        match error {
            None => Secret::parse(&response.body),
            Some(error) if response.status == 404 => {
                let carried = Secret::parse(&response.body)?.filter(Secret::has_content);
                match carried.is_none() && call.method != Method::GET {
                    true => Err(error.into()),
                    false => Ok(carried),
                }
            }
            Some(error) => Err(error.into()),
        }
    }

    /// Sends a call; every status from 400 on is an error.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn send(&self, call: Call) -> Result<Response, Error> {
        match self.exchange(&call).await? {
            (response, None) => Ok(response),
            (_, Some(error)) => Err(error.into()),
        }
    }

    async fn exchange(&self, call: &Call) -> Result<(Response, Option<ApiError>), Error> {
        let target = target(&self.config.address, call);
        let outcome =
            tokio::time::timeout(self.config.timeout, self.with_redirect(call, &target)).await;
        match outcome {
            Ok(result) => result,
            Err(_) => Err(broken(
                call,
                &format!("{}{target}", self.config.address.origin),
                "context deadline exceeded",
                false,
            )),
        }
    }

    async fn with_redirect(
        &self,
        call: &Call,
        target: &str,
    ) -> Result<(Response, Option<ApiError>), Error> {
        let address = &self.config.address;
        let (parts, body) = self.with_retries(address, call, target).await?;
        let moved = matches!(parts.status.as_u16(), 301 | 302 | 307);
        if !moved || !self.config.follow_redirect {
            return Ok(judge(call, &format!("{}{target}", address.origin), &parts, body));
        }
        let location = parts.headers.get(http::header::LOCATION).and_then(|l| l.to_str().ok());
        let location = location
            .ok_or_else(|| Error::Decode("a redirect without a usable Location header".into()))?;
        let (address, target) = redirected(address, location)?;
        if self.config.address.is_tls() && !address.is_tls() {
            return Err(Error::Decode("redirect would cause protocol downgrade".into()));
        }
        let (parts, body) = self.with_retries(&address, call, &target).await?;
        Ok(judge(call, &format!("{}{target}", address.origin), &parts, body))
    }

    async fn with_retries(
        &self,
        address: &Address,
        call: &Call,
        target: &str,
    ) -> Result<(http::response::Parts, Zeroizing<Vec<u8>>), Error> {
        let mut attempt = 0;
        loop {
            let result = self.once(address, call, target).await;
            let again = match &result {
                Ok((parts, _)) => worth_retrying(parts.status),
                Err(Error::Transport { unsent, .. }) => *unsent || call.method == Method::GET,
                Err(_) => false,
            };
            if !again || attempt >= self.config.max_retries {
                return result;
            }
            attempt += 1;
            tokio::time::sleep(pause(attempt)).await;
        }
    }

    async fn once(
        &self,
        address: &Address,
        call: &Call,
        target: &str,
    ) -> Result<(http::response::Parts, Zeroizing<Vec<u8>>), Error> {
        let url = format!("{}{target}", address.origin);
        let own = *address == self.config.address;
        let mut connection = match self.take_idle(own).await {
            Some(connection) => connection,
            None => connection::open(address, &self.tls, self.config.tls.server_name.as_deref())
                .await
                .map_err(|reason| broken(call, &url, &reason, true))?,
        };
        let request = self.request(address, call, target)?;
        let response = connection.send(request).await;
        let response = response.map_err(|e| broken(call, &url, &e.reason, e.unsent))?;
        let (parts, body) = response.into_parts();
        let limit = self.config.max_response;
        let body = connection::collect(body, limit).await.map_err(|e| match e {
            BodyError::TooLarge => Error::TooLarge { limit },
            BodyError::Broken(reason) => broken(call, &url, &reason, false),
        })?;
        if own {
            *self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(connection);
        }
        Ok((parts, body))
    }

    async fn take_idle(&self, own: bool) -> Option<Connection> {
        if !own {
            return None;
        }
        let mut connection =
            self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()?;
        connection.is_ready().await.then_some(connection)
    }

    fn request(
        &self,
        address: &Address,
        call: &Call,
        target: &str,
    ) -> Result<Request<Full<Bytes>>, Error> {
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(target)
            .header(http::header::HOST, address.authority())
            .header("X-Vault-Request", "true");
        let token = call.token.as_ref().or(self.config.token.as_ref());
        if let Some(token) = token.filter(|t| !t.is_empty()) {
            let mut value = HeaderValue::from_str(token).map_err(|_| {
                Error::Config("the token contains characters that no token has".into())
            })?;
            value.set_sensitive(true);
            request = request.header("X-Vault-Token", value);
        }
        if !self.config.namespace.is_empty() {
            request = request.header("X-Vault-Namespace", self.config.namespace.as_str());
        }
        if let (Wrap::AsConfigured, Some(ttl)) = (&call.wrap, &self.config.wrap_ttl) {
            request = request.header("X-Vault-Wrap-TTL", ttl.as_str());
        }
        if call.body.is_some() {
            request = request.header(http::header::CONTENT_TYPE, call.content_type);
        }
        for (name, value) in &self.config.headers {
            let name = HeaderName::from_bytes(name.as_bytes());
            let name = name.map_err(|e| Error::Config(format!("header name: {e}")))?;
            request = request.header(name, value.as_str());
        }
        let body = call.body.as_ref().map(|b| Bytes::copy_from_slice(b)).unwrap_or_default();
        request.body(Full::new(body)).map_err(|e| Error::Config(format!("request: {e}")))
    }
}

/// Path and query of a call on the wire. Dot segments and doubled slashes are resolved here, as
/// Vault's client does, so that what is asked for is what the error shows.
fn target(address: &Address, call: &Call) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in call.path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    let joined = segments.join("/");
    let mut out = format!("{}/v1/{}", address.base, utf8_percent_encode(&joined, PATH));
    let mut separator = '?';
    for (key, values) in &call.query {
        for value in values {
            out.push(separator);
            separator = '&';
            // A form encodes a space as a plus sign.
            let encode = |s: &str| utf8_percent_encode(s, QUERY).to_string().replace("%20", "+");
            out.push_str(&encode(key));
            out.push('=');
            out.push_str(&encode(value));
        }
    }
    out
}

fn redirected(from: &Address, location: &str) -> Result<(Address, String), Error> {
    if location.starts_with('/') {
        return Ok((from.clone(), location.to_owned()));
    }
    let uri: http::Uri = location
        .parse()
        .map_err(|e| Error::Decode(format!("a redirect to an unusable address: {e}")))?;
    let origin = format!(
        "{}://{}",
        uri.scheme_str().unwrap_or_default(),
        uri.authority().map(http::uri::Authority::as_str).unwrap_or_default()
    );
    let target = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
    Ok((Address::parse(&origin)?, target))
}

fn worth_retrying(status: StatusCode) -> bool {
    matches!(status.as_u16(), 412 | 429)
        || (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
}

/// Between 1 and 1.5 seconds per attempt so far, spread so that clients do not march in step.
fn pause(attempt: u32) -> Duration {
    let nanos = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.subsec_nanos());
    Duration::from_millis(u64::from(1000 + nanos % 500)) * attempt
}

fn broken(call: &Call, url: &str, reason: &str, unsent: bool) -> Error {
    let method = call.method.as_str();
    let verb = format!("{}{}", &method[..1], method[1..].to_ascii_lowercase());
    Error::Transport { verb, url: url.to_owned(), reason: reason.to_owned(), unsent }
}

fn judge(
    call: &Call,
    url: &str,
    parts: &http::response::Parts,
    body: Zeroizing<Vec<u8>>,
) -> (Response, Option<ApiError>) {
    let status = parts.status.as_u16();
    let healthy = status == 429 && call.path.trim_matches('/') == "sys/health";
    let error = (!(200..400).contains(&status) && !healthy).then(|| {
        let (messages, raw) = messages(&body);
        let namespace = parts.headers.get("X-Vault-Namespace").and_then(|n| n.to_str().ok());
        ApiError {
            method: call.method.to_string(),
            url: url.to_owned(),
            status,
            messages,
            raw,
            namespace: namespace.unwrap_or_default().to_owned(),
        }
    });
    (Response { status, body }, error)
}

fn messages(body: &[u8]) -> (Vec<String>, bool) {
    match Json::parse(body) {
        Ok(answer) if answer.as_object().is_some() => {
            let errors = answer.get("errors").and_then(Json::as_array).unwrap_or_default();
            (errors.iter().filter_map(Json::as_str).map(str::to_owned).collect(), false)
        }
        _ => (vec![String::from_utf8_lossy(body).into_owned()], true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(path: &str) -> String {
        let address = Address::parse("http://h:1/base").expect("valid");
        target(&address, &Call::new(Method::GET, path))
    }

    #[test]
    fn a_path_is_cleaned_and_escaped() {
        assert_eq!(to("secret//a/./b/../c d?e"), "/base/v1/secret/a/c%20d%3Fe");
        assert_eq!(to("sys/policies/acl/a+b@c"), "/base/v1/sys/policies/acl/a+b@c");
    }

    #[test]
    fn query_parameters_are_sorted_and_encoded() {
        let address = Address::parse("http://h:1").expect("valid");
        let call = Call::new(Method::GET, "x").query("v", "a b&").query("list", "true");
        assert_eq!(target(&address, &call), "/v1/x?list=true&v=a+b%26");
    }

    #[test]
    fn an_answer_that_is_no_json_is_shown_as_it_came() {
        assert_eq!(messages(b"busy"), (vec!["busy".to_owned()], true));
        assert_eq!(messages(br#"{"errors":["a"]}"#), (vec!["a".to_owned()], false));
    }

    #[test]
    fn server_faults_are_retried_but_not_unimplemented_ones() {
        assert!(worth_retrying(StatusCode::BAD_GATEWAY));
        assert!(worth_retrying(StatusCode::PRECONDITION_FAILED));
        assert!(!worth_retrying(StatusCode::NOT_IMPLEMENTED));
        assert!(!worth_retrying(StatusCode::FORBIDDEN));
    }
}
