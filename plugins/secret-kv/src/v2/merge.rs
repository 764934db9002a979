//! JSON merge patch (RFC 7396) on JSON text: what is not changed keeps its spelling, numbers that
//! no machine type can hold included.
//!
//! Not here: limits of size and depth, which every payload has passed before it comes this far.

use std::collections::BTreeMap;

use boltwork_sdk::logical::SecretText;
use serde_json::value::RawValue;

/// An object whose members are still text.
type Members<'a> = BTreeMap<String, &'a RawValue>;

/// The text of `target` after `patch`: members that are `null` in the patch are removed, objects
/// are merged, everything else replaces what was there.
pub fn merge(target: &str, patch: &RawValue) -> SecretText {
    let mut text = String::with_capacity(target.len() + patch.get().len());
    write_merged(Some(target), patch, &mut text);
    SecretText::new(text)
}

fn write_merged(target: Option<&str>, patch: &RawValue, out: &mut String) {
    let Some(changes) = members(patch.get()) else {
        out.push_str(patch.get());
        return;
    };
    let mut kept = target.and_then(members).unwrap_or_default();
    kept.retain(|name, _| changes.get(name).is_none_or(|change| change.get() != "null"));
    let names: Vec<&String> = {
        let added = changes.iter().filter(|(_, change)| change.get() != "null").map(|(n, _)| n);
        let mut names: Vec<&String> = kept.keys().chain(added).collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    out.push('{');
    for (position, name) in names.into_iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        out.push_str(&serde_json::Value::from(name.as_str()).to_string());
        out.push(':');
        let before = kept.get(name).map(|value| value.get());
        match changes.get(name) {
            Some(change) => write_merged(before, change, out),
            None => out.push_str(before.unwrap_or("null")),
        }
    }
    out.push('}');
}

/// The members of an object; `None` for anything else.
fn members(text: &str) -> Option<Members<'_>> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(target: &str, patch: &str) -> String {
        let patch: &RawValue = serde_json::from_str(patch).unwrap();
        merge(target, patch).expose().to_owned()
    }

    #[test]
    fn the_examples_of_the_rfc_hold() {
        // RFC 7396, appendix A; those whose patch or target is an object.
        for (target, patch, result) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, r#"{}"#),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"{"a":"foo"}"#, "null", "null"),
            (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#),
            ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
            ("null", r#"{"a":1}"#, r#"{"a":1}"#),
        ] {
            assert_eq!(merged(target, patch), result, "{target} + {patch}");
        }
    }

    #[test]
    fn numbers_and_strings_keep_their_spelling() {
        let before = r#"{"big":12345678901234567890123,"f":1.50,"é\n\"":1}"#;
        assert_eq!(
            merged(before, r#"{"x":2.0}"#),
            r#"{"big":12345678901234567890123,"f":1.50,"x":2.0,"é\n\"":1}"#
        );
    }
}
