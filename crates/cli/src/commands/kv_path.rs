//! Which mount a key lies in, which version that is, and what its API path is.

use boltwork_client::{Call, Json, Secret};
use http::Method;

use crate::api::Api;
use crate::command::Failure;
use crate::context::{Context, sanitized};
use crate::flags::Flag;
use crate::golang::join;

pub(super) const MOUNT: Flag = Flag::text(
    "mount",
    "Path of the mount. The argument is then the key within it; without this flag the argument is mount and key together.",
);

/// A key of a key-value mount.
pub(super) struct KvPath {
    /// Mount and key together; for version 1 also the API path.
    key: String,
    mount: String,
    pub(super) v2: bool,
}

impl KvPath {
    /// Asks the server where `key` lies.
    pub(super) fn find(cx: &Context<'_>, api: &Api, key: &str) -> Result<Self, Failure> {
        let flag = cx.flags.text("mount");
        let asked = if flag.is_empty() { key } else { sanitized(flag) };
        let (mount, v2) = preflight(api, asked).map_err(|e| Failure::server(e.to_string()))?;
        let key = if flag.is_empty() {
            key.to_owned()
        } else {
            join(&[if mount.is_empty() { asked } else { &mount }, key])
        };
        Ok(Self { key, mount, v2 })
    }

    /// The API path under one of version 2's prefixes (`data`, `metadata`, …); version 1 has none.
    pub(super) fn under(&self, prefix: &str) -> String {
        if self.v2 { with_prefix(&self.key, &self.mount, prefix) } else { self.key.clone() }
    }
}

/// Mount path and whether it is version 2. A server that does not know the question is old: version 1.
fn preflight(api: &Api, path: &str) -> Result<(String, bool), boltwork_client::Error> {
    let call = Call::new(Method::GET, &format!("sys/internal/ui/mounts/{path}")).unwrapped();
    let response = match api.send(call) {
        Err(e) if e.status() == Some(404) => return Ok((String::new(), false)),
        other => other?,
    };
    let secret = Secret::parse(&response.body)?.ok_or_else(|| {
        boltwork_client::Error::Decode("nil response from pre-flight request".into())
    })?;
    let mount = secret.field("path").and_then(Json::as_str).unwrap_or_default();
    let v2 = secret.field("options").is_some_and(|o| o.text("version") == "2");
    Ok((mount.to_owned(), v2))
}

/// Puts `prefix` between mount and key. The mount may begin with a namespace that the key leaves out.
fn with_prefix(key: &str, mount: &str, prefix: &str) -> String {
    if key == mount || key == mount.trim_end_matches('/') {
        return join(&[mount, prefix]);
    }
    let mut mount = mount;
    let mut rest = key.strip_prefix(mount);
    while rest.is_none() {
        match mount.split_once('/') {
            Some((_, shorter)) if !shorter.is_empty() => {
                mount = shorter.trim_end_matches('/');
                rest = key.strip_prefix(mount);
            }
            _ => break,
        }
    }
    join(&[mount, prefix, rest.unwrap_or(key)])
}

/// Reads; a 404 that carries data (a deleted version's metadata) is an answer.
pub(super) fn read(
    api: &Api,
    path: &str,
    version: i64,
) -> Result<Option<Secret>, boltwork_client::Error> {
    let mut call = Call::new(Method::GET, path);
    if version > 0 {
        call = call.query("version", &version.to_string());
    }
    api.secret(call)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_goes_between_mount_and_key() {
        for (key, mount, expected) in [
            ("secret/foo", "secret/", "secret/data/foo"),
            ("secret", "secret/", "secret/data"),
            ("secret/", "secret/", "secret/data"),
            ("a/b/c/d", "a/b/", "a/b/data/c/d"),
            ("secret/foo/", "secret/", "secret/data/foo"),
            ("secret/data/foo", "secret/", "secret/data/data/foo"),
            ("team/foo", "ns1/team/", "team/data/foo"),
        ] {
            assert_eq!(with_prefix(key, mount, "data"), expected, "{key} in {mount}");
        }
    }
}
