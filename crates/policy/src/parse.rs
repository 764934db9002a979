//! A policy's text into rules.
//!
//! Leaves out merging and deciding. Keys whose promise this server cannot keep (control groups,
//! MFA, list filters) are refused rather than read past: a rule must never grant more than its
//! author wrote.

use std::time::{Duration, SystemTime};

use boltwork_hcl::{Block, Kind, Object, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::UnknownKeys;
use crate::pattern::Pattern;
use crate::rule::{Parameters, Permissions, Rule};
use crate::{Capabilities, ParseError, template};

const RULE_KEYS: [&str; 11] = [
    "comment",
    "policy",
    "capabilities",
    "allowed_parameters",
    "denied_parameters",
    "required_parameters",
    "min_wrapping_ttl",
    "max_wrapping_ttl",
    "pagination_limit",
    "expiration",
    "subscribe_event_types",
];

/// Known elsewhere, and restricting; not enforced here.
const UNKEPT_KEYS: [&str; 3] =
    ["control_group", "mfa_methods", "list_scan_response_keys_filter_path"];

pub(crate) fn parse(text: &str) -> Result<Vec<Rule>, ParseError> {
    let root = boltwork_hcl::parse(text)?;
    let unknown = unknown_keys(&root, &["name", "path"], "");
    if !unknown.is_empty() {
        return Err(ParseError::UnknownKeys(UnknownKeys(unknown)));
    }
    if let Some(name) = root.get("name") {
        name.as_str().ok_or_else(|| name.mismatch("a string"))?;
    }
    root.blocks("path")?.into_iter().map(rule).collect()
}

fn unknown_keys(object: &Object, known: &[&str], prefix: &str) -> Vec<String> {
    let strange = object.items.iter().map(|item| &item.name);
    let strange = strange.filter(|key| !known.contains(&key.text.as_str()));
    strange
        .map(|key| format!("{prefix}invalid key {:?} on line {}", key.text, key.position.line))
        .collect()
}

fn rule(block: Block<'_>) -> Result<Rule, ParseError> {
    let path = block.label.text.clone();
    let templated = template::is_templated(&path).map_err(ParseError::Template)?;
    let body = block.body;
    let wrong = |why: String| ParseError::Rule { path: path.clone(), why };
    if let Some(item) = body.items.iter().find(|i| UNKEPT_KEYS.contains(&i.name.text.as_str())) {
        let (key, line) = (&item.name.text, item.name.position.line);
        return Err(wrong(format!(
            "{key} on line {line} is not supported by this server, and ignoring it would grant \
             more than the rule says; remove it or deny the path"
        )));
    }
    let unknown = unknown_keys(body, &RULE_KEYS, &format!("path {path:?}: "));
    if !unknown.is_empty() {
        return Err(ParseError::UnknownKeys(UnknownKeys(unknown)));
    }
    if Pattern::new(&path).is_none() {
        return Err(wrong("invalid use of wildcards ('+*' is forbidden)".into()));
    }
    let expires = body.get("expiration").map(expiration).transpose().map_err(wrong)?;
    let permissions = permissions(&path, body)?;
    Ok(Rule { templated, expires, permissions, path })
}

fn permissions(path: &str, body: &Object) -> Result<Permissions, ParseError> {
    let wrong = |why: String| ParseError::Rule { path: path.to_owned(), why };
    let capabilities = capabilities(body).map_err(wrong)?;
    if capabilities.contains(Capabilities::DENY) {
        return Ok(Permissions { capabilities: Capabilities::DENY, ..Permissions::default() });
    }
    let (min_wrap, max_wrap) = (wrapping(body, "min")?, wrapping(body, "max")?);
    if let (Some(min), Some(max)) = (min_wrap, max_wrap)
        && max < min
    {
        let why = "max_wrapping_ttl cannot be less than min_wrapping_ttl";
        return Err(ParseError::Wrapping(why.into()));
    }
    Ok(Permissions {
        capabilities,
        allowed: parameters(body, "allowed_parameters").map_err(wrong)?,
        denied: parameters(body, "denied_parameters").map_err(wrong)?,
        required: strings(body, "required_parameters")
            .map_err(|error| wrong(error.to_string()))?
            .into_iter()
            .map(str::to_lowercase)
            .collect(),
        min_wrap,
        max_wrap,
        page_limit: page_limit(body).map_err(wrong)?,
        granting: Vec::new(),
    })
}

fn capabilities(body: &Object) -> Result<Capabilities, String> {
    use Capabilities as C;
    let mut set = C::NONE;
    if let Some(value) = body.get("policy") {
        let name = value.as_str().ok_or_else(|| value.mismatch("a string").to_string())?;
        let read = C::READ | C::LIST;
        let write = read | C::CREATE | C::UPDATE | C::DELETE;
        set |= match name {
            "" => C::NONE,
            "deny" => C::DENY,
            "read" => read,
            "write" => write,
            "sudo" => write | C::SUDO,
            other => return Err(format!("invalid policy {other:?}")),
        };
    }
    for name in strings(body, "capabilities").map_err(|error| error.to_string())? {
        set |= C::from_name(name).ok_or_else(|| format!("invalid capability {name:?}"))?;
    }
    Ok(set)
}

/// The strings of every list of this name: a repeated list adds to the earlier one.
fn strings<'a>(body: &'a Object, name: &'a str) -> Result<Vec<&'a str>, boltwork_hcl::Error> {
    let mut found = Vec::new();
    for item in body.all(name) {
        let list = item.value.as_list().ok_or_else(|| item.value.mismatch("a list of strings"))?;
        for value in list {
            found.push(value.as_str().ok_or_else(|| value.mismatch("a string"))?);
        }
    }
    Ok(found)
}

fn parameters(body: &Object, name: &str) -> Result<Parameters, String> {
    let mut all = Parameters::new();
    for item in body.all(name) {
        for object in item.value.objects().map_err(|error| error.to_string())? {
            for entry in &object.items {
                let list = match (&entry.labels[..], entry.value.as_list()) {
                    ([], Some(list)) => list,
                    _ => return Err(entry.value.mismatch("a list of values").to_string()),
                };
                let values = list.iter().map(Value::to_json);
                all.entry(entry.name.text.to_lowercase()).or_default().extend(values);
            }
        }
    }
    Ok(all)
}

/// A zero limit is none.
fn wrapping(body: &Object, end: &str) -> Result<Option<Duration>, ParseError> {
    let name = format!("{end}_wrapping_ttl");
    let Some(value) = body.get(&name) else { return Ok(None) };
    match value.as_duration() {
        Some(limit) => Ok(Some(limit).filter(|limit| !limit.is_zero())),
        None => {
            let why = value.mismatch("a duration, such as \"90s\" or 90");
            Err(ParseError::Wrapping(format!("error parsing {name}: {why}")))
        }
    }
}

fn page_limit(body: &Object) -> Result<Option<u64>, String> {
    let Some(value) = body.get("pagination_limit") else { return Ok(None) };
    let limit = match &value.kind {
        Kind::Integer(n, _) => u64::try_from(*n).ok(),
        Kind::String(text) => text.parse().ok(),
        _ => None,
    };
    let wanted = "a whole number, not negative";
    limit.map(|n| Some(n).filter(|n| *n > 0)).ok_or_else(|| value.mismatch(wanted).to_string())
}

/// RFC 3339, or seconds since 1970.
fn expiration(value: &Value) -> Result<SystemTime, String> {
    let text = match &value.kind {
        Kind::String(text) | Kind::Integer(_, text) => text,
        _ => return Err(format!("invalid expiration time: {}", value.mismatch("a string"))),
    };
    let at = match text.parse::<i64>() {
        Ok(seconds) => OffsetDateTime::from_unix_timestamp(seconds).ok(),
        Err(_) => OffsetDateTime::parse(text, &Rfc3339).ok(),
    };
    at.map(SystemTime::from).ok_or_else(|| {
        "invalid expiration time: wanted RFC 3339, such as 2030-01-02T15:04:05Z, or seconds since 1970"
            .into()
    })
}
