//! The line as it is written: Vault's audit JSON, field for field. Leaves out where the values come from.
//!
//! Empty fields are left out, as there.

use std::borrow::Cow;
use std::collections::BTreeMap;

use boltwork_logical::Headers;
use serde::Serialize;
use serde_json::value::RawValue;

type Text<'a> = Cow<'a, str>;

#[derive(Serialize)]
pub(crate) struct Line<'a> {
    pub time: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub auth: AuthEntry<'a>,
    pub request: RequestEntry<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<ReplyEntry<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub error: &'a str,
}

#[derive(Serialize, Default)]
pub(crate) struct AuthEntry<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub client_token: Text<'a>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub accessor: Text<'a>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub display_name: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    pub policies: &'a [String],
    #[serde(skip_serializing_if = "is_empty")]
    pub token_policies: &'a [String],
    #[serde(skip_serializing_if = "is_empty")]
    pub identity_policies: &'a [String],
    #[serde(skip_serializing_if = "is_false")]
    pub no_default_policy: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_results: Option<PolicyEntry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<&'a BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "is_zero")]
    pub num_uses: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub remaining_uses: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub entity_id: &'a str,
    #[serde(skip_serializing_if = "is_false")]
    pub entity_created: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub token_type: &'static str,
    #[serde(skip_serializing_if = "is_zero")]
    pub token_ttl: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub token_issue_time: String,
}

#[derive(Serialize)]
pub(crate) struct PolicyEntry<'a> {
    pub allowed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub granting_policies: Vec<GrantEntry<'a>>,
}

#[derive(Serialize)]
pub(crate) struct GrantEntry<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub namespace_id: &'static str,
    #[serde(rename = "type")]
    pub kind: &'a str,
}

#[derive(Serialize)]
pub(crate) struct RequestEntry<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub operation: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub mount_point: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub mount_type: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub mount_accessor: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub mount_running_version: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub mount_running_sha256: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub mount_class: &'a str,
    #[serde(skip_serializing_if = "is_false")]
    pub mount_is_external_plugin: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub client_token: Text<'a>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub client_token_accessor: Text<'a>,
    pub namespace: Namespace,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "is_false")]
    pub policy_override: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub remote_address: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    pub remote_port: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub wrap_ttl: i64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Vec<Text<'a>>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub client_certificate_serial_number: &'a str,
}

/// There is one namespace.
#[derive(Serialize)]
pub(crate) struct Namespace {
    pub id: &'static str,
}

#[derive(Serialize)]
pub(crate) struct ReplyEntry<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthEntry<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub mount_point: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub mount_type: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub mount_accessor: &'a str,
    /// Named otherwise than in the request; so it is in Vault (wire spec 5.7).
    #[serde(skip_serializing_if = "str::is_empty")]
    pub mount_running_plugin_version: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub mount_running_sha256: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub mount_class: &'a str,
    #[serde(skip_serializing_if = "is_false")]
    pub mount_is_external_plugin: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretEntry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "is_empty")]
    pub warnings: &'a [String],
    #[serde(skip_serializing_if = "str::is_empty")]
    pub redirect: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrap_info: Option<WrapEntry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<&'a Headers>,
}

#[derive(Serialize)]
pub(crate) struct SecretEntry<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub lease_id: &'a str,
}

#[derive(Serialize)]
pub(crate) struct WrapEntry<'a> {
    #[serde(skip_serializing_if = "is_zero")]
    pub ttl: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub token: Text<'a>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub accessor: Text<'a>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub creation_time: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub creation_path: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub wrapped_accessor: Text<'a>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_false(value: &bool) -> bool {
    !*value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

fn is_empty(list: &&[String]) -> bool {
    list.is_empty()
}
