//! What is asked, of whom and as whom; and what is answered.
//!
//! Left out: sending it (`client`).

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use zeroize::Zeroizing;

use crate::address::Address;
use crate::error::Error;
use crate::json::Json;
use crate::tls::Tls;

/// How to reach a server and as whom.
#[derive(Clone)]
pub struct Config {
    /// Where the server is.
    pub address: Address,
    /// TLS settings, used if the address is `https`.
    pub tls: Tls,
    /// The token to show; may be absent for calls that need none.
    pub token: Option<Zeroizing<String>>,
    /// Namespace, empty for none.
    pub namespace: String,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// Longest time a call may take, its retries included.
    pub timeout: Duration,
    /// How often a failed call is repeated.
    pub max_retries: u32,
    /// Life of the wrapping token that answers are to be wrapped in.
    pub wrap_ttl: Option<String>,
    /// Whether a redirect is followed (once).
    pub follow_redirect: bool,
    /// Longest answer that is read, in bytes.
    pub max_response: usize,
}

impl Config {
    /// Vault's defaults for an address: 60 seconds, two retries, no token.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            tls: Tls::default(),
            token: None,
            namespace: String::new(),
            headers: Vec::new(),
            timeout: Duration::from_secs(60),
            max_retries: 2,
            wrap_ttl: None,
            follow_redirect: true,
            max_response: 64 << 20,
        }
    }
}

/// One call.
#[derive(Clone)]
pub struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, Vec<String>>,
    pub(crate) body: Option<Zeroizing<Vec<u8>>>,
    pub(crate) content_type: &'static str,
    pub(crate) wrap: Wrap,
    pub(crate) token: Option<Zeroizing<String>>,
}

#[derive(Clone)]
pub(crate) enum Wrap {
    AsConfigured,
    Never,
}

impl Call {
    /// A call of `path` (without `/v1/`).
    pub fn new(method: Method, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            query: BTreeMap::new(),
            body: None,
            content_type: "application/json",
            wrap: Wrap::AsConfigured,
            token: None,
        }
    }

    /// Adds a query parameter.
    #[must_use]
    pub fn query(mut self, key: &str, value: &str) -> Self {
        self.query.entry(key.to_owned()).or_default().push(value.to_owned());
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: &Json) -> Self {
        self.body = Some(Zeroizing::new(body.compact().into_bytes()));
        self
    }

    /// Makes the body a JSON merge patch (RFC 7396).
    #[must_use]
    pub fn merge_patch(mut self) -> Self {
        self.content_type = "application/merge-patch+json";
        self
    }

    /// Asks for an answer that is not wrapped, whatever the configuration says.
    #[must_use]
    pub fn unwrapped(mut self) -> Self {
        self.wrap = Wrap::Never;
        self
    }

    /// Shows another token than the configured one.
    #[must_use]
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(Zeroizing::new(token.to_owned()));
        self
    }
}

/// A successful answer, and a 404's too where the caller asked for it.
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// The body, wiped on drop.
    pub body: Zeroizing<Vec<u8>>,
}

impl Response {
    /// The body as JSON, `null` if empty.
    ///
    /// # Errors
    /// It is not JSON.
    pub fn json(&self) -> Result<Json, Error> {
        if self.body.is_empty() {
            return Ok(Json::Null);
        }
        Json::parse(&self.body).map_err(Error::Decode)
    }
}
