//! Version 1: a secret is what was written last.
//!
//! The payload of a write is the secret, stored as it came under the path itself; that is the
//! layout of HashiCorp's and OpenBao's engines too, so mounts can change hands. Not here: leases in
//! earnest. A lease duration is shown with every read, as a hint when to read again; only with the
//! mount's option `leased_passthrough=true` can it be renewed.

use boltwork_sdk::{
    Engine, Reply, Request, Result, Routes, Ttl,
    logical::{Data, Entry, Error},
    path,
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::{
    VERSION, seconds,
    store::unreadable,
    v2::lists::{folder, scan},
};

/// The kind of lease that reads come with.
const LEASE: &str = "kv";

/// The engine of one mount of version 1.
pub struct Plain {
    /// Reads of secrets that say a duration come with leases that can be renewed.
    pub leased: bool,
}

/// Fields of all paths: whatever else is sent is the secret.
#[derive(Deserialize, JsonSchema)]
struct At {
    /// Location of the secret.
    path: String,
}

impl Engine for Plain {
    fn routes() -> Routes<Self> {
        Routes::new([path("{path...}")
            .help("Write, read, list and delete secrets.")
            .details(PATH)
            .any_input()
            .read(Self::read)
            .write(Self::write)
            .delete(Self::delete)
            .list(Self::list)
            .scan(Self::scan)
            .exists(Self::exists)])
        .help(HELP)
        .version(VERSION)
        .seal_wrap(["*"])
        .renew(LEASE, Self::renew)
        .revoke(LEASE, Self::revoke)
    }
}

impl Plain {
    async fn read(&self, req: Request<At>) -> Result<Reply> {
        let path = req.fields.path.clone();
        self.answer(req.map(|_| ()), &path).await
    }

    /// A renewal reads the secret again: its duration may have changed.
    async fn renew(&self, req: Request) -> Result<Reply> {
        let path = req.path().to_owned();
        self.answer(req, &path).await
    }

    async fn answer(&self, req: Request, path: &str) -> Result<Reply> {
        let Some(mut entry) = req.storage.get(path).await? else { return Ok(Reply::not_found()) };
        let secret = Data::parse(std::mem::take(&mut entry.value)).map_err(|_| unreadable(path))?;
        let said = duration(&secret);
        let ttl = match said.and_then(|seconds| seconds) {
            Some(seconds) => Ttl::seconds(u64::try_from(seconds).unwrap_or(0)),
            None => req.system.default_lease_ttl().await.into(),
        };
        let renewable = self.leased && said.is_some();
        Ok(Reply::text_of(secret).leased(LEASE, ttl, json!({})).renewable(renewable))
    }

    /// There is nothing to take back.
    async fn revoke(&self, _: Request) -> Result<Reply> {
        Ok(Reply::empty())
    }

    async fn write(&self, req: Request<At>) -> Result<Reply> {
        let path = &req.fields.path;
        if path.is_empty() {
            return Err(Error::invalid("missing path"));
        }
        if path.ends_with('/') {
            return Err(Error::invalid("cannot write to a path ending in '/'"));
        }
        if is_empty(req.data()) {
            return Err(Error::invalid("missing data fields"));
        }
        req.storage.put(Entry::new(path.as_str(), req.data().as_bytes())).await?;
        Ok(Reply::empty())
    }

    async fn delete(&self, req: Request<At>) -> Result<Reply> {
        req.storage.delete(&req.fields.path).await?;
        Ok(Reply::empty())
    }

    async fn list(&self, req: Request<At>) -> Result<Reply> {
        Ok(Reply::keys(&req.storage.list(&folder(&req.fields.path)).await?))
    }

    async fn scan(&self, req: Request<At>) -> Result<Reply> {
        Ok(Reply::keys(&scan(&*req.storage, &folder(&req.fields.path)).await?))
    }

    async fn exists(&self, req: Request<At>) -> Result<bool> {
        Ok(req.storage.get(&req.fields.path).await?.is_some())
    }
}

/// Whether a payload has no fields. It is known to be an object or nothing.
fn is_empty(data: &Data) -> bool {
    let text = data.as_str().trim();
    let inside = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    inside.is_none_or(|inside| inside.trim().is_empty())
}

/// The duration that a secret says of itself, in its `ttl` or, failing that, its `lease`: `None`
/// without either, and `Some(None)` if what stands there is no duration.
fn duration(secret: &Data) -> Option<Option<i64>> {
    #[derive(Deserialize)]
    struct Said {
        #[serde(default, deserialize_with = "present")]
        ttl: Option<Value>,
        #[serde(default, deserialize_with = "present")]
        lease: Option<Value>,
    }
    fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
        Value::deserialize(deserializer).map(Some)
    }
    // Most secrets say nothing of the kind, which is seen without a parse.
    if !secret.mentions("\"ttl\"") && !secret.mentions("\"lease\"") {
        return None;
    }
    let said: Said = secret.decode().ok()?;
    said.ttl.or(said.lease).map(|value| seconds::of(&value))
}

const HELP: &str = "\
Keeps secrets under paths of your choice. A write replaces what was there. Secrets are encrypted by
the server before they reach storage.";

const PATH: &str = "\
A secret is an object with members of any name and kind. If it has a member `ttl` (or `lease`) with a
duration, a read says so in lease_duration: a hint when to read the secret again. Nothing happens to
the secret when that time is over.";

#[cfg(test)]
mod tests {
    use super::*;

    fn data(text: &str) -> Data {
        Data::parse(text.into()).unwrap()
    }

    #[test]
    fn only_an_object_without_members_is_empty() {
        for text in ["{}", " { \n} ", "null"] {
            assert!(is_empty(&data(text)), "{text}");
        }
        for text in [r#"{"a":{}}"#, r#" {"a":1} "#] {
            assert!(!is_empty(&data(text)), "{text}");
        }
    }

    #[test]
    fn the_member_ttl_goes_before_the_member_lease() {
        for (text, said) in [
            (r#"{"a":"ttl"}"#, None),
            (r#"{"a":{"ttl":5}}"#, None),
            (r#"{"ttl":"90s"}"#, Some(Some(90))),
            (r#"{"lease":"2h"}"#, Some(Some(7200))),
            (r#"{"lease":"2h","ttl":3}"#, Some(Some(3))),
            (r#"{"ttl":"junk"}"#, Some(None)),
            (r#"{"ttl":null,"lease":5}"#, Some(Some(0))),
            (r#"{"ttl":true}"#, Some(None)),
        ] {
            assert_eq!(duration(&data(text)), said, "{text}");
        }
    }
}
