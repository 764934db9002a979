//! Response wrapping: a reply is put into the cubbyhole of a token that can be used once, to take
//! it out again.
//!
//! Leaves out when that happens: the pipeline decides.

mod decimal;
mod jwt;

use std::time::{Duration, SystemTime};

use boltwork_logical::{Data, Entry, Error, Reply, WrapInfo};
use boltwork_policy::RESPONSE_WRAPPING;
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use zeroize::Zeroizing;

pub use jwt::{CURVE, JwtKey, is_jwt};

use crate::{
    active::Active,
    envelope,
    tokens::{Digest, NewToken, TokenEntry},
};

/// Keys in a wrapping token's cubbyhole; Vault's.
const RESPONSE: &str = "response";
const WRAPINFO: &str = "wrapinfo";

/// Circumstances of a reply that is to be wrapped.
#[derive(Default)]
pub struct ToWrap<'a> {
    /// Life of the wrapping token.
    pub ttl: Duration,
    /// Path whose reply is wrapped.
    pub creation_path: &'a str,
    /// Name of the caller, for humans.
    pub display_name: &'a str,
    /// The caller's entity.
    pub entity_id: &'a str,
    /// Id of the request.
    pub request_id: &'a str,
    /// The token is wanted in JWT format.
    pub jwt: bool,
}

/// Vault's words inside a reply whose token says nothing of an address.
pub const NO_ADDRESS: &str = "No redirect address set in Vault so none could be encoded in the \
     token. You may need to supply Vault's API address when unwrapping the token.";

/// What a wrapping token holds, as JSON in its cubbyhole.
#[derive(Serialize, Deserialize)]
struct Held {
    /// The HTTP response, as JSON in a string.
    response: Zeroizing<String>,
}

/// What may be known of a wrapping token without using it.
#[derive(Serialize, Deserialize)]
pub struct Described {
    /// Path whose reply is inside.
    pub creation_path: String,
    /// When it was wrapped, RFC 3339.
    pub creation_time: String,
    /// Life of the token, in seconds.
    pub creation_ttl: u64,
}

/// Whether a token is one that holds a wrapped reply.
pub fn is_wrapping_token(entry: &TokenEntry) -> bool {
    matches!(entry.policies.as_slice(), [only] if only == RESPONSE_WRAPPING.0)
}

/// A reply as the body of the response that it would have been.
fn as_response(request_id: &str, reply: &Reply) -> Result<Zeroizing<String>, Error> {
    let mut body = Zeroizing::new(vec![b'{']);
    envelope::write(&mut body, request_id, reply);
    body.push(b'}');
    std::str::from_utf8(&body)
        .map(|text| Zeroizing::new(text.to_owned()))
        .map_err(|_| Error::internal("a reply could not be written as JSON to be wrapped"))
}

/// Seconds since 1970, as they stand in a token.
pub fn seconds(at: SystemTime) -> i64 {
    OffsetDateTime::from(at).unix_timestamp()
}

impl Active {
    /// Puts a reply into a new wrapping token.
    pub async fn wrap(&self, to_wrap: &ToWrap<'_>, reply: &Reply) -> Result<WrapInfo, Error> {
        let text = as_response(to_wrap.request_id, reply)?;
        let accessor = reply.auth.as_ref().map_or("", |auth| &auth.accessor);
        self.hold(to_wrap, text, accessor).await
    }

    /// Makes the token and fills its cubbyhole. A token that cannot be filled is taken back.
    async fn hold(
        &self,
        to_wrap: &ToWrap<'_>,
        response: Zeroizing<String>,
        wrapped_accessor: &str,
    ) -> Result<WrapInfo, Error> {
        // Shorter than a second would mean no end at all.
        let ttl = to_wrap.ttl.as_secs().max(1);
        let new = NewToken {
            policies: vec![RESPONSE_WRAPPING.0.to_owned()],
            path: to_wrap.creation_path.to_owned(),
            display_name: to_wrap.display_name.to_owned(),
            num_uses: 1,
            ttl,
            explicit_max_ttl: ttl,
            ..NewToken::default()
        };
        let (token, entry) = self.tokens.create(new).await?;
        let created = SystemTime::now();
        let described = Described {
            creation_path: to_wrap.creation_path.to_owned(),
            creation_time: OffsetDateTime::from(created).format(&Rfc3339).unwrap_or_default(),
            creation_ttl: ttl,
        };
        let digest = self.tokens.digest(token.expose());
        let filled = self.fill(&digest, &Held { response }, &described).await;
        let shown = filled.and_then(|()| match to_wrap.jwt {
            true => self.jwt_key.sign(&token, seconds(created), ttl, wrapped_accessor),
            false => Ok(token),
        });
        let shown = shown.inspect_err(|_| self.tokens.revoke_soon(digest))?;
        Ok(WrapInfo {
            ttl: Duration::from_secs(ttl),
            token: shown,
            accessor: entry.accessor.clone(),
            created: Some(created),
            creation_path: to_wrap.creation_path.to_owned(),
            wrapped_accessor: wrapped_accessor.to_owned(),
            wrapped_entity_id: to_wrap.entity_id.to_owned(),
            ..WrapInfo::default()
        })
    }

    async fn fill(&self, token: &Digest, held: &Held, about: &Described) -> Result<(), Error> {
        let entry = |key, json: Result<Vec<u8>, serde_json::Error>| {
            json.map(|text| Entry::new(format!("{token}/{key}"), text))
                .map_err(|_| Error::internal("a wrapped reply could not be written as JSON"))
        };
        let cubbyholes = self.tokens.cubbyholes();
        cubbyholes.put(entry(WRAPINFO, serde_json::to_vec(about))?).await?;
        cubbyholes.put(entry(RESPONSE, serde_json::to_vec(held))?).await?;
        Ok(())
    }

    /// The wrapped response of a token, whose one use the caller has spent.
    pub async fn held(&self, token: &Digest) -> Result<Zeroizing<String>, Error> {
        let held: Option<Held> = self.in_cubbyhole(token, RESPONSE).await?;
        let missing = || {
            Error::internal("no information found; the wrapping token holds no wrapped response")
        };
        held.map(|held| held.response).ok_or_else(missing)
    }

    /// What is written on a wrapping token.
    pub async fn described(&self, token: &Digest) -> Result<Option<Described>, Error> {
        self.in_cubbyhole(token, WRAPINFO).await
    }

    /// Moves a wrapped response into a fresh token with the same life; the old one is used up.
    pub async fn rewrap(&self, token: &Digest, display_name: &str) -> Result<WrapInfo, Error> {
        let about = self.described(token).await?;
        let about = about.ok_or_else(|| Error::internal("the wrapping token says nothing"))?;
        let response = self.held(token).await?;
        let to_wrap = ToWrap {
            ttl: Duration::from_secs(about.creation_ttl),
            creation_path: &about.creation_path,
            display_name,
            ..ToWrap::default()
        };
        self.hold(&to_wrap, response, "").await
    }

    async fn in_cubbyhole<T: serde::de::DeserializeOwned>(
        &self,
        token: &Digest,
        key: &str,
    ) -> Result<Option<T>, Error> {
        let Some(entry) = self.tokens.cubbyholes().get(&format!("{token}/{key}")).await? else {
            return Ok(None);
        };
        let data = Data::parse(entry.value.to_vec())?;
        Ok(Some(data.decode()?))
    }
}
