//! From a record to a line: what is digested, what is left out, how times are written. Leaves out where lines go.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use boltwork_logical::{Data, Operation, TokenType, WrapInfo};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::digest::{Salt, rewrite};
use crate::entry::{
    AuthEntry, GrantEntry, Line, Namespace, PolicyEntry, ReplyEntry, RequestEntry, SecretEntry,
    WrapEntry,
};
use crate::{AuthView, Error, PolicyResults, Record, ReplyView, RequestView};

const ROOT_NAMESPACE: &str = "root";

/// How a device writes its lines.
#[derive(Clone)]
pub struct Format {
    /// The key for digests.
    pub salt: Salt,
    /// Write everything in the clear.
    pub raw: bool,
    /// Digest accessors too.
    pub hmac_accessor: bool,
    /// Of a list's answer, write only how many keys there were.
    pub elide_list_responses: bool,
    /// Put before every line.
    pub prefix: String,
}

impl Format {
    /// The defaults: digests everywhere, accessors too.
    #[must_use]
    pub fn new(salt: Salt) -> Self {
        Self {
            salt,
            raw: false,
            hmac_accessor: true,
            elide_list_responses: false,
            prefix: String::new(),
        }
    }

    /// The line of a request, with its line feed.
    ///
    /// # Errors
    /// [`Error::Encoding`].
    pub fn request(&self, record: &Record<'_>) -> Result<Vec<u8>, Error> {
        self.line("request", record, None)
    }

    /// The line of an answer, with its line feed.
    ///
    /// # Errors
    /// [`Error::Encoding`].
    pub fn response(&self, record: &Record<'_>) -> Result<Vec<u8>, Error> {
        self.line("response", record, Some(self.reply(record)?))
    }

    fn line(
        &self,
        kind: &'static str,
        record: &Record<'_>,
        response: Option<ReplyEntry<'_>>,
    ) -> Result<Vec<u8>, Error> {
        let line = Line {
            time: OffsetDateTime::now_utc().format(&Rfc3339).map_err(|_| Error::Encoding)?,
            kind,
            auth: record.auth.as_ref().map_or_else(AuthEntry::default, |auth| self.auth(auth)),
            request: self.request_entry(&record.request, record.plain_request_keys)?,
            response,
            error: record.error.unwrap_or(""),
        };
        let mut out = Vec::with_capacity(2048);
        out.extend_from_slice(self.prefix.as_bytes());
        serde_json::to_writer(&mut out, &line).map_err(|_| Error::Encoding)?;
        out.push(b'\n');
        Ok(out)
    }

    fn auth<'a>(&self, auth: &AuthView<'a>) -> AuthEntry<'a> {
        AuthEntry {
            client_token: self.secret(auth.client_token),
            accessor: self.accessor(auth.accessor),
            display_name: auth.display_name,
            policies: auth.policies,
            token_policies: auth.token_policies,
            identity_policies: auth.identity_policies,
            no_default_policy: auth.no_default_policy,
            policy_results: auth.policy_results.map(policy_results),
            metadata: auth.metadata.filter(|metadata| !metadata.is_empty()),
            num_uses: auth.num_uses,
            remaining_uses: auth.remaining_uses,
            entity_id: auth.entity_id,
            entity_created: auth.entity_created,
            token_type: token_type(auth.token_type),
            token_ttl: seconds(auth.token_ttl),
            token_issue_time: auth.token_issued.map_or_else(String::new, whole_seconds),
        }
    }

    fn request_entry<'a>(
        &self,
        request: &RequestView<'a>,
        plain: &[String],
    ) -> Result<RequestEntry<'a>, Error> {
        let mut headers = BTreeMap::new();
        for header in request.headers {
            let digest = header.digested && !self.raw;
            let write = |value: &'a String| match digest {
                true => Cow::Owned(self.salt.digest(value)),
                false => Cow::Borrowed(value.as_str()),
            };
            headers.insert(header.name.to_lowercase(), header.values.iter().map(write).collect());
        }
        let mount = request.mount;
        Ok(RequestEntry {
            id: request.id,
            operation: request.operation.map_or("", Operation::as_str),
            mount_point: mount.point,
            mount_type: mount.kind,
            mount_accessor: mount.accessor,
            mount_running_version: mount.running_version,
            mount_running_sha256: mount.running_sha256,
            mount_class: mount.class,
            mount_is_external_plugin: mount.external,
            client_token: self.secret(request.client_token),
            client_token_accessor: self.accessor(request.client_token_accessor),
            namespace: Namespace { id: ROOT_NAMESPACE },
            path: request.path,
            data: self.data(request.data, plain)?,
            policy_override: request.policy_override,
            remote_address: request.remote_addr,
            remote_port: i64::from(request.remote_port),
            wrap_ttl: request.wrap_ttl.map_or(0, seconds),
            headers,
            client_certificate_serial_number: request.client_certificate_serial,
        })
    }

    fn reply<'a>(&self, record: &Record<'a>) -> Result<ReplyEntry<'a>, Error> {
        let (reply, mount): (ReplyView<'a>, _) = (record.reply, record.request.mount);
        let list = record.request.operation == Some(Operation::List);
        let counted = match reply.data {
            Some(data) if list && self.elide_list_responses => Some(count_keys(data)?),
            _ => None,
        };
        Ok(ReplyEntry {
            auth: reply.auth.as_ref().map(|auth| self.auth(auth)),
            mount_point: mount.point,
            mount_type: mount.kind,
            mount_accessor: mount.accessor,
            mount_running_plugin_version: mount.running_version,
            mount_running_sha256: mount.running_sha256,
            mount_class: mount.class,
            mount_is_external_plugin: mount.external,
            secret: (!reply.lease_id.is_empty())
                .then_some(SecretEntry { lease_id: reply.lease_id }),
            data: self.data(counted.as_ref().or(reply.data), record.plain_reply_keys)?,
            warnings: reply.warnings,
            redirect: reply.redirect,
            wrap_info: reply.wrap.map(|wrap| self.wrap(wrap)),
            headers: reply.headers.filter(|headers| !headers.is_empty()),
        })
    }

    fn wrap<'a>(&self, wrap: &'a WrapInfo) -> WrapEntry<'a> {
        WrapEntry {
            ttl: seconds(wrap.ttl),
            token: self.secret(wrap.token.expose()),
            accessor: self.accessor(&wrap.accessor),
            creation_time: wrap.created.map_or_else(String::new, full_precision),
            creation_path: &wrap.creation_path,
            wrapped_accessor: self.accessor(&wrap.wrapped_accessor),
        }
    }

    fn data(&self, data: Option<&Data>, plain: &[String]) -> Result<Option<Box<RawValue>>, Error> {
        let Some(data) = data.filter(|data| !data.is_null()) else { return Ok(None) };
        let salt = (!self.raw).then_some(&self.salt);
        let text = rewrite(data.as_str(), salt, plain)?;
        if text == "{}" {
            return Ok(None);
        }
        RawValue::from_string(text).map(Some).map_err(|_| Error::Encoding)
    }

    fn secret<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.raw || text.is_empty() {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(self.salt.digest(text))
        }
    }

    fn accessor<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.hmac_accessor { self.secret(text) } else { Cow::Borrowed(text) }
    }
}

fn policy_results(results: PolicyResults<'_>) -> PolicyEntry<'_> {
    let grant = |name, kind| {
        // A policy belongs to a namespace; the bare allowance of open paths to none.
        let namespace_id = if str::is_empty(name) { "" } else { ROOT_NAMESPACE };
        GrantEntry { name, namespace_id, kind }
    };
    PolicyEntry {
        allowed: results.allowed,
        granting_policies: results.granting.iter().map(|p| grant(p.name, p.kind)).collect(),
    }
}

/// The answer of a list with its keys replaced by their number.
fn count_keys(data: &Data) -> Result<Data, Error> {
    let mut fields = data.fields().map_err(|_| Error::Encoding)?;
    for (name, value) in &mut fields {
        let count = match (name.as_str(), &*value) {
            ("keys", serde_json::Value::Array(keys)) => keys.len(),
            ("key_info", serde_json::Value::Object(info)) => info.len(),
            _ => continue,
        };
        *value = count.into();
    }
    Ok(Data::json(&serde_json::Value::Object(fields)))
}

const fn token_type(kind: TokenType) -> &'static str {
    match kind {
        TokenType::Default => "default",
        TokenType::Service => "service",
        TokenType::Batch => "batch",
        TokenType::DefaultService => "default-service",
        TokenType::DefaultBatch => "default-batch",
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

fn whole_seconds(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    // A time without its fraction always exists.
    full_precision(time.replace_nanosecond(0).unwrap_or(time).into())
}

fn full_precision(time: SystemTime) -> String {
    // Only years beyond 9999 cannot be written.
    OffsetDateTime::from(time).format(&Rfc3339).unwrap_or_default()
}
