//! Two servers' answers to the same request, held against each other.
//!
//! What must differ between two servers (an id, a time, a token) is masked by where it stands or by
//! what it looks like, never by leaving the member out: that it is there, and of which type, is
//! compared.

use serde_json::Value;

/// One place where two answers are not the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Path into the body, or `status`.
    pub place: String,
    /// What the first server said there.
    pub first: String,
    /// What the second server said there.
    pub second: String,
}

/// Members whose value is a server's own affair.
const OWN: &[&str] = &[
    "request_id",
    "accessor",
    "mount_accessor",
    "id",
    "client_token",
    "uuid",
    "cluster_id",
    "cluster_name",
    "version",
    "build_date",
    "nonce",
    "server_time_utc",
    "reload_id",
    "creation_time",
    "expire_time",
    "issue_time",
    "last_renewal",
    "last_renewal_time",
    "created_time",
    "updated_time",
    "deletion_time",
    "ttl",
    "lease_duration_left",
    "entity_id",
    "root_token",
    "running_plugin_version",
    "echo_duration_ms",
    "clock_skew_ms",
    "replication_primary_canary_age_ms",
    "token",
    "wrapped_accessor",
    "lease_id",
    "encryptions",
];

/// The value with everything that must differ between two servers replaced by its type.
pub fn masked(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, inner)| {
                let hidden = hides(name, inner);
                (name.clone(), if hidden { kind(inner) } else { masked(inner) })
            })
            .collect(),
        Value::Array(items) => items.iter().map(masked).collect(),
        Value::String(text) if is_own(text) => Value::String("<own>".to_owned()),
        other => other.clone(),
    }
}

/// Whether this member's value is replaced. A `version` is hidden only where it is the server's, a
/// text: that of a kv secret is a number, and both servers must count alike.
fn hides(name: &str, value: &Value) -> bool {
    let counted = name == "version" && value.is_number();
    OWN.contains(&name) && !(value.is_object() || value.is_array() || counted)
}

fn kind(value: &Value) -> Value {
    let name = match value {
        Value::Null => "<null>",
        Value::Bool(_) => "<bool>",
        Value::Number(_) => "<number>",
        Value::String(text) if text.is_empty() => "<empty>",
        _ => "<text>",
    };
    Value::String(name.to_owned())
}

/// Times, UUIDs and tokens, wherever they stand.
fn is_own(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let dash = |at: usize| bytes.get(at) == Some(&b'-');
    let time = bytes.len() >= 20 && (0..4).all(digit) && dash(4) && dash(7) && bytes[10] == b'T';
    let uuid = bytes.len() == 36 && [8, 13, 18, 23].into_iter().all(dash);
    let token = ["hvs.", "hvb.", "s.", "b."].iter().any(|prefix| {
        text.strip_prefix(prefix).is_some_and(|rest| {
            rest.len() >= 20
                && rest
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        })
    });
    time || uuid || token
}

/// All places where two bodies differ, masked first.
pub fn compare(first: &Value, second: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk("", &masked(first), &masked(second), &mut found);
    found
}

fn walk(place: &str, first: &Value, second: &Value, found: &mut Vec<Difference>) {
    match (first, second) {
        (Value::Object(one), Value::Object(two)) => {
            for (name, inner) in one {
                let below = format!("{place}/{name}");
                match two.get(name) {
                    Some(other) => walk(&below, inner, other, found),
                    None => note(&below, Some(inner), None, found),
                }
            }
            for (name, inner) in two.iter().filter(|(name, _)| !one.contains_key(*name)) {
                note(&format!("{place}/{name}"), None, Some(inner), found);
            }
        }
        (Value::Array(one), Value::Array(two)) if one.len() == two.len() => {
            for (index, (left, right)) in one.iter().zip(two).enumerate() {
                walk(&format!("{place}/{index}"), left, right, found);
            }
        }
        _ if first == second => {}
        _ => note(place, Some(first), Some(second), found),
    }
}

fn note(place: &str, first: Option<&Value>, second: Option<&Value>, found: &mut Vec<Difference>) {
    let text = |value: Option<&Value>| value.map_or_else(|| "absent".to_owned(), Value::to_string);
    found.push(Difference { place: place.to_owned(), first: text(first), second: text(second) });
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_and_times_are_no_difference_but_their_types_are() {
        let one =
            json!({"request_id": "a", "data": {"created_time": "x", "at": "2026-01-01T00:00:00Z"}});
        let two = json!({"request_id": "b", "data": {"created_time": "y", "at": "2027-01-01T00:00:00.5Z"}});
        assert_eq!(compare(&one, &two), Vec::new());
        let three =
            json!({"request_id": 7, "data": {"created_time": "y", "at": "2027-01-01T00:00:00.5Z"}});
        assert_eq!(compare(&one, &three).len(), 1);
    }

    #[test]
    fn an_absent_member_is_a_difference() {
        let found = compare(&json!({"data": null}), &json!({}));
        assert_eq!(found[0].place, "/data");
        assert_eq!(found[0].second, "absent");
    }
}
