//! `custom_metadata`: free text that users keep with a key, and its limits.

use std::{collections::BTreeMap, fmt::Write as _};

use boltwork_sdk::{Json, Result, logical::Error};
use serde_json::value::RawValue;

/// Members at most.
const MAX_KEYS: usize = 64;
/// Bytes of a name at most.
const MAX_KEY_BYTES: usize = 128;
/// Bytes of a value at most.
const MAX_VALUE_BYTES: usize = 512;

const FAILED: &str = "custom_metadata validation failed";

/// Members to set, and, in a patch, to remove (`None`).
pub(super) type Members = BTreeMap<String, Option<String>>;

/// Reads what was sent. Numbers and booleans become text, as in Vault; `null` is the empty text in
/// a write (and refused as such), and a removal in a patch.
pub(super) fn read(sent: Option<&Json>, is_patch: bool) -> Result<Members> {
    let Some(Json(sent)) = sent else { return Ok(Members::new()) };
    let sent: BTreeMap<String, Box<RawValue>> = sent.decode()?;
    let mut members = Members::new();
    for (name, value) in sent {
        let value = match value.get() {
            "null" if is_patch => None,
            text => Some(as_text(text).ok_or_else(|| {
                Error::invalid(format!("{FAILED}: the value for key {} is no text", quoted(&name)))
            })?),
        };
        members.insert(name, value);
    }
    check(&members)?;
    Ok(members)
}

/// The text that a JSON value stands for; none for lists and objects.
fn as_text(json: &str) -> Option<String> {
    match json {
        "null" => Some(String::new()),
        "true" => Some("1".to_owned()),
        "false" => Some("0".to_owned()),
        _ => match json.as_bytes().first()? {
            b'"' => serde_json::from_str(json).ok(),
            b'[' | b'{' => None,
            _ => Some(json.to_owned()),
        },
    }
}

/// Applies the limits; all faults are told at once.
fn check(members: &Members) -> Result<()> {
    let set = || members.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let count = set().count();
    if count > MAX_KEYS {
        let fault =
            format!("{FAILED}: payload must contain at most {MAX_KEYS} keys, provided {count}");
        return Err(listed(&[fault]));
    }
    let faults: Vec<String> = set().flat_map(|(name, value)| faults(name, value)).collect();
    if faults.is_empty() { Ok(()) } else { Err(listed(&faults)) }
}

fn faults(name: &str, value: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let shown = quoted(name);
    if name.is_empty() || name.len() > MAX_KEY_BYTES {
        faults.push(format!(
            "{FAILED}: length of key {shown} is {} but must be 0 < len(key) <= {MAX_KEY_BYTES}",
            name.len()
        ));
    }
    if value.is_empty() || value.len() > MAX_VALUE_BYTES {
        faults.push(format!(
            "{FAILED}: length of value for key {shown} is {} but must be 0 < len(value) <= \
             {MAX_VALUE_BYTES}",
            value.len()
        ));
    }
    if !name.chars().all(is_printable) {
        faults.push(format!("{FAILED}: key {shown} ({name}) contains unprintable characters"));
    }
    if !value.chars().all(is_printable) {
        faults.push(format!("{FAILED}: value for key {shown} contains unprintable characters"));
    }
    faults
}

/// Several faults in one text, in the form that Vault's users know.
fn listed(faults: &[String]) -> Error {
    let mut text = match faults.len() {
        1 => "1 error occurred:".to_owned(),
        count => format!("{count} errors occurred:"),
    };
    for fault in faults {
        text.push_str("\n\t* ");
        text.push_str(fault);
    }
    text.push_str("\n\n");
    Error::invalid(text)
}

/// Letters, marks, digits, punctuation, symbols and the plain space: what Unicode counts as
/// graphic. The standard library knows it, but tells only by escaping all else; a letter goes
/// before, because a combining mark at the start would be escaped too.
fn is_printable(c: char) -> bool {
    let text: String = ['a', c].into_iter().collect();
    matches!(c, '"' | '\'' | '\\') || text.escape_debug().eq(text.chars())
}

/// A name in quotes, with what cannot be printed written as Go writes it.
fn quoted(name: &str) -> String {
    let mut text = String::from("\"");
    for c in name.chars() {
        let escape = match c {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\u{7}' => "\\a",
            '\u{8}' => "\\b",
            '\t' => "\\t",
            '\n' => "\\n",
            '\u{b}' => "\\v",
            '\u{c}' => "\\f",
            '\r' => "\\r",
            _ => "",
        };
        // Writing to a string cannot fail.
        let _ = match u32::from(c) {
            _ if !escape.is_empty() => text.write_str(escape),
            _ if is_printable(c) => text.write_char(c),
            code @ ..0x80 => write!(text, "\\x{code:02x}"),
            code @ ..0x1_0000 => write!(text, "\\u{code:04x}"),
            code => write!(text, "\\U{code:08x}"),
        };
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use boltwork_sdk::logical::Data;
    use serde_json::json;

    use super::*;

    fn sent(value: serde_json::Value, is_patch: bool) -> Result<Members> {
        read(Some(&Json(Data::json(&value))), is_patch)
    }

    #[test]
    fn values_become_text() {
        let members = sent(json!({"b": true, "z": false, "f": 1.5, "h": 123, "s": "x é"}), false);
        let wanted = [("b", "1"), ("f", "1.5"), ("h", "123"), ("s", "x é"), ("z", "0")];
        let wanted = wanted.map(|(name, text)| (name.to_owned(), Some(text.to_owned())));
        assert_eq!(members.unwrap(), wanted.into());
    }

    #[test]
    fn null_is_a_removal_in_a_patch_and_refused_in_a_write() {
        assert_eq!(sent(json!({"a": null}), true).unwrap(), [("a".to_owned(), None)].into());
        assert!(sent(json!({"a": null}), false).is_err());
    }

    #[test]
    fn every_fault_is_told() {
        let text = |value| sent(value, false).unwrap_err().to_string();
        assert_eq!(
            text(json!({"": ""})),
            "2 errors occurred:\n\t* custom_metadata validation failed: length of key \"\" is 0 but \
             must be 0 < len(key) <= 128\n\t* custom_metadata validation failed: length of value \
             for key \"\" is 0 but must be 0 < len(value) <= 512\n\n"
        );
        assert_eq!(
            text(json!({"k\t": "x"})),
            "1 error occurred:\n\t* custom_metadata validation failed: key \"k\\t\" (k\t) contains \
             unprintable characters\n\n"
        );
        assert!(text(json!({"k": "x".repeat(513)})).contains("is 513 but must be"));
        assert!(text(json!({"k".repeat(129): "x"})).contains("is 129 but must be"));
        assert!(text(json!({"k": ["x"]})).starts_with(FAILED));
        let many: serde_json::Map<_, _> = (0..65).map(|n| (n.to_string(), json!("x"))).collect();
        assert!(text(many.into()).contains("at most 64 keys, provided 65"));
    }

    #[test]
    fn printable_is_what_unicode_calls_graphic() {
        for c in ['a', 'é', '\u{301}', '1', '!', '"', '\\', '\'', ' ', '漢', '€', '😀'] {
            assert!(is_printable(c), "{c:?}");
        }
        for c in ['\n', '\0', '\u{7f}', '\u{a0}', '\u{200b}', '\u{2028}', '\u{e000}', '\u{feff}'] {
            assert!(!is_printable(c), "{c:?}");
        }
        assert_eq!(quoted("a\u{1}\u{200b}\u{e0001}\"é"), r#""a\x01\u200b\U000e0001\"é""#);
    }
}
