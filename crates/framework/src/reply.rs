//! What a handler answers, built step by step.

use std::time::Duration;

use boltwork_logical as logical;
use boltwork_logical::{Auth, Data, Error, Lease, Secret};
use serde::Serialize;

use crate::{Request, Result, Ttl};

/// An answer under construction. A value that cannot be written as a JSON object turns the whole
/// reply into an internal error when the handler returns.
#[derive(Debug, Default)]
pub struct Reply {
    inner: Option<logical::Reply>,
    lease: Option<LeaseWish>,
    failed: bool,
}

/// What `leased` asked for.
#[derive(Debug)]
pub(crate) struct LeaseWish {
    /// Kind of the lease; must stand in the table.
    pub kind: String,
    /// What the engine said about renewing; the table decides otherwise.
    pub renewable: Option<bool>,
}

impl Reply {
    /// Nothing to say: 204 for a write, 404 for a read or a list.
    pub fn empty() -> Self {
        Self::default()
    }

    /// There is nothing here: the same as [`empty`](Self::empty), in the words of a read.
    pub fn not_found() -> Self {
        Self::default()
    }

    /// A payload: `json!({..})`, a struct, a map; anything that serialises as an object.
    pub fn data(value: impl Serialize) -> Self {
        let data = Data::of(&value);
        let failed = data.is_err();
        let inner = Some(logical::Reply::data(data.unwrap_or_default()));
        Self { inner, lease: None, failed }
    }

    /// A payload that is already text.
    pub fn text_of(data: Data) -> Self {
        Self { inner: Some(logical::Reply::data(data)), lease: None, failed: false }
    }

    /// A list of keys; without any, the server answers 404.
    pub fn keys<K: AsRef<str>>(keys: &[K]) -> Self {
        let keys: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
        if keys.is_empty() { Self::data(Nothing {}) } else { Self::data(Keys { keys }) }
    }

    /// A list of keys with facts about each: `keys` and `key_info`.
    pub fn keys_with_info<I: Serialize>(entries: impl IntoIterator<Item = (String, I)>) -> Self {
        let (mut keys, mut key_info) = (Vec::new(), Vec::new());
        for (key, info) in entries {
            keys.push(key.clone());
            key_info.push((key, info));
        }
        if keys.is_empty() {
            return Self::data(Nothing {});
        }
        Self::data(KeysWithInfo { keys, key_info: Pairs(key_info) })
    }

    /// A login that succeeded. What the core sets may be left at its default.
    pub fn auth(auth: Auth) -> Self {
        Self::from(logical::Reply { auth: Some(Box::new(auth)), ..logical::Reply::default() })
    }

    /// Bytes instead of JSON: the client gets exactly this status, content type and body.
    pub fn raw(status: u16, content_type: &str, body: impl AsRef<[u8]>) -> Self {
        use base64::{Engine as _, prelude::BASE64_STANDARD};
        // Always base64: the other side tries to decode it first, so a body that merely looks like
        // base64 would be changed (wire spec 2.8).
        Self::data(serde_json::json!({
            "http_status_code": status,
            "http_content_type": content_type,
            "http_raw_body": BASE64_STANDARD.encode(body.as_ref()),
        }))
    }

    /// Sends the client elsewhere.
    pub fn redirect(to: impl Into<String>) -> Self {
        Self::from(logical::Reply { redirect: to.into(), ..logical::Reply::default() })
    }

    /// A lease handed back at renewal, with what it came with: set the new [`ttl`](Self::ttl).
    pub fn renewed<F>(request: &Request<F>) -> Self {
        let inner = request.logical();
        Self::from(logical::Reply {
            secret: inner.secret.clone(),
            auth: inner.auth.clone(),
            ..logical::Reply::default()
        })
    }

    /// Puts the payload on a lease. `kind` stands in the table ([`Routes::revoke`](crate::Routes));
    /// `ttl` of `None` is the mount's default; `internal` is what the handlers of renewal and
    /// revocation get as their fields, and no client ever sees.
    pub fn leased(
        mut self,
        kind: impl Into<String>,
        ttl: impl Into<Option<Ttl>>,
        internal: impl Serialize,
    ) -> Self {
        let kind = kind.into();
        let internal = crate::lease::internal(&kind, &internal);
        self.failed |= internal.is_none();
        let ttl = ttl.into().unwrap_or_default().0;
        let secret = Secret {
            lease: Lease { ttl, ..Lease::default() },
            internal: internal.unwrap_or_default(),
            lease_id: String::new(),
        };
        self.make().secret = Some(Box::new(secret));
        self.lease = Some(LeaseWish { kind, renewable: None });
        self
    }

    /// Time to live of the lease or the login.
    pub fn ttl(self, ttl: impl Into<Duration>) -> Self {
        let ttl = ttl.into();
        self.lease(|lease| lease.ttl = ttl)
    }

    /// Longest life with renewals.
    pub fn max_ttl(self, max_ttl: impl Into<Duration>) -> Self {
        let max_ttl = max_ttl.into();
        self.lease(|lease| lease.max_ttl = max_ttl)
    }

    /// Whether it may be renewed. A secret is renewable if the table has a handler for it, unless
    /// said otherwise here.
    pub fn renewable(mut self, renewable: bool) -> Self {
        if let Some(wish) = &mut self.lease {
            wish.renewable = Some(renewable);
        }
        self.lease(|lease| lease.renewable = renewable)
    }

    fn lease(mut self, change: impl Fn(&mut Lease)) -> Self {
        if let Some(reply) = &mut self.inner {
            if let Some(secret) = &mut reply.secret {
                change(&mut secret.lease);
            }
            if let Some(auth) = &mut reply.auth {
                change(&mut auth.lease);
            }
        }
        self
    }

    /// Something the caller should know.
    pub fn warning(mut self, text: impl Into<String>) -> Self {
        self.make().warnings.push(text.into());
        self
    }

    /// A header for the client, if the mount lets it through.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.make().headers.entry(name.into()).or_default().push(value.into());
        self
    }

    /// A refusal in Vault's shape: `data` with the one key `error`.
    pub(crate) fn refusal(text: &str) -> logical::Reply {
        logical::Reply::data(Data::json(&serde_json::json!({ "error": text })))
    }

    /// Whether there is anything in it.
    pub fn is_empty(&self) -> bool {
        self.inner.is_none()
    }

    fn make(&mut self) -> &mut logical::Reply {
        self.inner.get_or_insert_default()
    }

    /// What crosses the joint.
    pub(crate) fn finish(self) -> Result<(Option<logical::Reply>, Option<LeaseWish>)> {
        if self.failed {
            let text = "the engine answered with a value that cannot be written as a JSON object";
            return Err(Error::internal(text));
        }
        Ok((self.inner, self.lease))
    }
}

impl From<logical::Reply> for Reply {
    fn from(reply: logical::Reply) -> Self {
        Self { inner: Some(reply), lease: None, failed: false }
    }
}

impl From<Option<logical::Reply>> for Reply {
    fn from(reply: Option<logical::Reply>) -> Self {
        Self { inner: reply, lease: None, failed: false }
    }
}

#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct Keys<'a> {
    keys: Vec<&'a str>,
}

#[derive(Serialize)]
struct KeysWithInfo<I> {
    keys: Vec<String>,
    #[serde(bound = "I: Serialize")]
    key_info: Pairs<I>,
}

/// Pairs written as a JSON object in their order.
struct Pairs<I>(Vec<(String, I)>);

impl<I: Serialize> Serialize for Pairs<I> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, info)| (key, info)))
    }
}
