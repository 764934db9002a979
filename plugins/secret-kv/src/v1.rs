//! Version 1: a secret is what was written last.
//!
//! The payload of a write is the secret, stored as it came under the path itself; that is the
//! layout of HashiCorp's and OpenBao's engines too, so mounts can change hands. Not here: leases in
//! earnest. A duration is shown with every read, as a hint when to read again; only with the mount's
//! option `leased_passthrough=true` is it a lease, which can be renewed.

use std::{sync::Arc, time::Duration};

use boltwork_sdk::{
    Engine, Reply, Request, Result, Routes, Ttl,
    logical::{
        self, Backend, BackendKind, BoxFuture, Data, Entry, Error, Existence, Failure, Lease,
        Operation, Secret, SpecialPaths,
    },
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
        .read_ahead("", "")
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
        if !names_secret(path) {
            return Ok(Reply::not_found());
        }
        // Both at once: for an external plugin each is a call to the server.
        let (found, default) =
            tokio::join!(req.storage.get_ahead(path), req.system.default_lease_ttl());
        let Some(mut entry) = found? else { return Ok(Reply::not_found()) };
        let secret = Data::parse(std::mem::take(&mut entry.value)).map_err(|_| unreadable(path))?;
        let said = duration(&secret);
        let ttl = match said.flatten() {
            Some(seconds) => Duration::from_secs(u64::try_from(seconds).unwrap_or(0)),
            None => default,
        };
        if self.leased {
            let reply = Reply::text_of(secret).leased(LEASE, Ttl::from(ttl), json!({}));
            return Ok(reply.renewable(said.is_some()));
        }
        // A secret that remembers nothing is only a hint; servers keep no lease for it.
        let hint = Secret { lease: Lease { ttl, ..Lease::default() }, ..Secret::default() };
        let reply = logical::Reply { secret: Some(Box::new(hint)), ..logical::Reply::data(secret) };
        Ok(reply.into())
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
        if names_secret(&req.fields.path) {
            req.storage.delete(&req.fields.path).await?;
        }
        Ok(Reply::empty())
    }

    async fn list(&self, req: Request<At>) -> Result<Reply> {
        Ok(Reply::keys(&req.storage.list(&folder(&req.fields.path)).await?))
    }

    async fn scan(&self, req: Request<At>) -> Result<Reply> {
        Ok(Reply::keys(&scan(&*req.storage, &folder(&req.fields.path)).await?))
    }

    async fn exists(&self, req: Request<At>) -> Result<bool> {
        let path = &req.fields.path;
        Ok(names_secret(path) && req.storage.get(path).await?.is_some())
    }
}

/// Whether a path is that of a secret, and not the root or a folder.
fn names_secret(path: &str) -> bool {
    !path.is_empty() && !path.ends_with('/')
}

/// A mount of version 1 that takes its hints back.
///
/// Vault and OpenBao keep leases for hints all the same, of every plugin that is not called kv, and
/// ask to revoke them. As the hints remember nothing, not even whose they are, they have no place in
/// the table of routes.
pub struct Hinting(pub Arc<dyn Backend>);

impl Backend for Hinting {
    fn kind(&self) -> BackendKind {
        self.0.kind()
    }

    fn special_paths(&self) -> Arc<SpecialPaths> {
        self.0.special_paths()
    }

    fn initialize(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.0.initialize()
    }

    fn handle(
        &self,
        request: logical::Request,
    ) -> BoxFuture<'_, Result<Option<logical::Reply>, Failure>> {
        let is_hint = |secret: &Secret| !secret.internal.mentions("\"secret_type\"");
        if request.operation == Operation::Revoke && request.secret.as_deref().is_some_and(is_hint)
        {
            return Box::pin(async { Ok(None) });
        }
        self.0.handle(request)
    }

    fn exists<'a>(
        &'a self,
        request: &'a logical::Request,
    ) -> BoxFuture<'a, Result<Existence, Error>> {
        self.0.exists(request)
    }

    fn invalidate<'a>(&'a self, key: &'a str) -> BoxFuture<'a, ()> {
        self.0.invalidate(key)
    }

    fn cleanup(&self) -> BoxFuture<'_, ()> {
        self.0.cleanup()
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
