//! One question, one answer.
//!
//! Leaves out the limits that no policy expresses (quotas, token state), and changing the request:
//! a page limit is handed back for the caller to apply.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::acl::is_listing;
use crate::rule::{Parameters, Permissions};
use crate::{Acl, Capabilities};

/// What a caller wants to do.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The full path, mount included.
    pub path: &'a str,
    /// The one capability that the operation needs.
    pub capability: Capabilities,
    /// The request's fields (body, or query of a read or list). `None` means that nobody has
    /// looked, which is refused where [`Acl::looks_inside`] is true; a request without fields is
    /// an empty map.
    pub fields: Option<&'a Map<String, Value>>,
    /// How long the wrapping token shall live, where the caller asked for a wrapped response.
    pub wrap_ttl: Option<Duration>,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whether the operation may go on.
    pub allowed: bool,
    /// Whether the caller has sudo on the path, or is root. Paths that only root may use want this
    /// and `allowed`.
    pub sudo: bool,
    /// Whether the caller is root.
    pub root: bool,
    /// Why. For logs and `explain`, not for the caller, who only learns that it was denied.
    pub reason: Reason,
    /// A list's page size that the caller of this function must set in the request's `limit`.
    pub page_limit: Option<u64>,
}

/// Why a decision fell as it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The caller is root.
    Root,
    /// The governing rule grants it.
    Granted,
    /// No rule speaks of the path.
    NoRule,
    /// The governing rule denies everything.
    Denied,
    /// The governing rule grants other capabilities only.
    NotGranted,
    /// The response must be wrapped, and for a time within the rule's limits.
    WrapTtl,
    /// A parameter that the rule requires is missing.
    ParameterMissing,
    /// A parameter or value is denied.
    ParameterDenied,
    /// A parameter or value is not among the allowed ones.
    ParameterNotAllowed,
    /// A list's page is too large, or its size is missing where required.
    PageLimit,
    /// The rule speaks of fields, and the asker had not read them.
    FieldsUnread,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Root => "the caller is root",
            Self::Granted => "granted",
            Self::NoRule => "no rule speaks of this path",
            Self::Denied => "the rule for this path denies everything",
            Self::NotGranted => "the rule for this path does not grant this capability",
            Self::WrapTtl => "the response must be wrapped for a time within the rule's limits",
            Self::ParameterMissing => "a required parameter is missing",
            Self::ParameterDenied => "a parameter or its value is denied",
            Self::ParameterNotAllowed => "a parameter or its value is not among the allowed ones",
            Self::PageLimit => "the page limit is missing, malformed or too large",
            Self::FieldsUnread => "the rule speaks of fields that were not read",
        })
    }
}

impl Acl {
    /// Decides. Does not allocate, except to compare parameters whose names are not lower case.
    pub fn decide(&self, ask: &Ask<'_>) -> Decision {
        let answer = |sudo, reason| Decision {
            allowed: matches!(reason, Reason::Granted | Reason::Root),
            sudo,
            root: reason == Reason::Root,
            reason,
            page_limit: None,
        };
        if self.root {
            return answer(true, Reason::Root);
        }
        let Some(rule) = self.find(ask.path, is_listing(ask.capability)) else {
            return answer(false, Reason::NoRule);
        };
        let sudo = rule.capabilities.contains(Capabilities::SUDO);
        match check(rule, ask) {
            Ok(page_limit) => Decision { page_limit, ..answer(sudo, Reason::Granted) },
            Err(reason) => answer(sudo, reason),
        }
    }
}

fn check(rule: &Permissions, ask: &Ask<'_>) -> Result<Option<u64>, Reason> {
    use Capabilities as C;
    if rule.capabilities.contains(C::DENY) {
        return Err(Reason::Denied);
    }
    if ask.capability.is_empty() || !rule.capabilities.contains(ask.capability) {
        return Err(Reason::NotGranted);
    }
    let too_long = rule.max_wrap.is_some_and(|max| ask.wrap_ttl.is_none_or(|ttl| ttl > max));
    let too_short = rule.min_wrap.is_some_and(|min| ask.wrap_ttl.is_none_or(|ttl| ttl < min));
    if too_long || too_short {
        return Err(Reason::WrapTtl);
    }
    if !rule.looks_inside() {
        return Ok(None);
    }
    if ask.capability.intersects(C::READ | C::UPDATE | C::CREATE | C::PATCH) {
        parameters(rule, ask.fields.ok_or(Reason::FieldsUnread)?)?;
    } else if is_listing(ask.capability)
        && let Some(most) = rule.page_limit
    {
        return page(rule, most, ask.fields.ok_or(Reason::FieldsUnread)?);
    }
    Ok(None)
}

fn parameters(rule: &Permissions, fields: &Map<String, Value>) -> Result<(), Reason> {
    if !rule.required.iter().all(|name| fields.contains_key(name)) {
        return Err(Reason::ParameterMissing);
    }
    if fields.is_empty() {
        return Ok(());
    }
    if rule.denied.contains_key("*") {
        return Err(Reason::ParameterDenied);
    }
    let denied = |(name, value): (&String, &Value)| {
        lookup(&rule.denied, name).is_some_and(|values| listed(value, values))
    };
    if !rule.denied.is_empty() && fields.iter().any(denied) {
        return Err(Reason::ParameterDenied);
    }
    if rule.allowed.is_empty() {
        return Ok(());
    }
    let others = rule.allowed.contains_key("*");
    let allowed = |(name, value): (&String, &Value)| match lookup(&rule.allowed, name) {
        Some(values) => listed(value, values),
        None => others,
    };
    // A lone `"*"` allows everything, whatever values are written beside it.
    if (others && rule.allowed.len() == 1) || fields.iter().all(allowed) {
        Ok(())
    } else {
        Err(Reason::ParameterNotAllowed)
    }
}

fn lookup<'a>(known: &'a Parameters, name: &str) -> Option<&'a Vec<Value>> {
    let plain = name.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase());
    let name = if plain { Cow::Borrowed(name) } else { Cow::Owned(name.to_lowercase()) };
    known.get(&*name)
}

fn listed(value: &Value, values: &[Value]) -> bool {
    values.is_empty() || values.iter().any(|known| same(known, value))
}

fn same(known: &Value, value: &Value) -> bool {
    match (known, value) {
        (Value::String(known), Value::String(value)) => glob(known, value),
        // 1 and 1.0 are one number to whoever writes a rule.
        (Value::Number(a), Value::Number(b)) => {
            a == b || ((a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64())
        }
        _ => known == value,
    }
}

/// An asterisk at either end, or both, stands for anything.
fn glob(pattern: &str, text: &str) -> bool {
    if pattern.len() < 2 {
        return pattern == text;
    }
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(tail), Some(_)) => text.contains(tail.strip_suffix('*').unwrap_or(tail)),
        (Some(tail), None) => text.ends_with(tail),
        (None, Some(head)) => text.starts_with(head),
        (None, None) => pattern == text,
    }
}

/// What page size to set; nothing where the request names a fitting one itself.
fn page(rule: &Permissions, most: u64, fields: &Map<String, Value>) -> Result<Option<u64>, Reason> {
    let asked = match fields.get("limit") {
        None if rule.required.iter().any(|name| name == "limit") => return Err(Reason::PageLimit),
        None => return Ok(Some(most)),
        Some(Value::String(text)) if text == "max" => return Ok(Some(most)),
        Some(Value::String(text)) => text.trim().parse::<u64>().ok(),
        Some(value) => value.as_u64(),
    };
    match asked {
        Some(0) => Ok(Some(most)),
        Some(n) if n <= most => Ok(None),
        _ => Err(Reason::PageLimit),
    }
}
