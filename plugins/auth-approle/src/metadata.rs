//! The `metadata` of a secret id: JSON, or `key=value,…`, either of them perhaps in base64.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use boltwork_sdk::{Result, logical::Error};

/// Reads it. Pairs come out in lower case, as in Vault; JSON stays as it is.
pub fn parse(text: &str) -> Result<BTreeMap<String, String>> {
    let text = text.trim();
    let decoded = BASE64_STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let text = decoded.as_deref().unwrap_or(text);
    let wrong = |why: String| Error::invalid(format!("failed to parse metadata: {why}"));
    let found = match serde_json::from_str::<Option<BTreeMap<String, String>>>(text) {
        Ok(found) => found.unwrap_or_default(),
        Err(_) => pairs(text).map_err(|why| wrong(format!("failed to parse the input: {why}")))?,
    };
    match found.iter().find(|(key, value)| !key.is_empty() && value.is_empty()) {
        Some((key, _)) => Err(wrong(format!("invalid value for key {key:?}"))),
        None => Ok(found),
    }
}

fn pairs(text: &str) -> std::result::Result<BTreeMap<String, String>, String> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair_of(&pair.to_lowercase())).collect()
}

fn pair_of(text: &str) -> std::result::Result<(String, String), String> {
    let mut halves = text.split('=').map(str::trim);
    match (halves.next(), halves.next(), halves.next()) {
        (Some(key), Some(value), None) if !key.is_empty() && !value.is_empty() => {
            Ok((key.to_owned(), value.to_owned()))
        }
        (Some(key), Some(value), None) => {
            Err(format!("invalid <key,value> pair: key: {key:?} value: {value:?}"))
        }
        _ => Err("invalid <key,value> format".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_read_as_vault_reads_it() {
        for (text, wanted) in [
            ("", Ok("")),
            (r#"{"a":"B"}"#, Ok("a=B")),
            ("null", Ok("")),
            ("a=b, C=D,", Ok("a=b c=d")),
            ("eyJhIjoiYiJ9", Ok("a=b")),
            ("junk", Err("failed to parse the input: invalid <key,value> format")),
            (r#"{"a":1}"#, Err("failed to parse the input: invalid <key,value> format")),
            (r#"{"a":""}"#, Err("invalid value for key \"a\"")),
            (
                "a=",
                Err("failed to parse the input: invalid <key,value> pair: key: \"a\" value: \"\""),
            ),
        ] {
            let parsed = parse(text).map_err(|error| error.to_string()).map(|found| {
                found.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ")
            });
            let wanted = wanted.map(str::to_owned);
            let wanted = wanted.map_err(|why| format!("failed to parse metadata: {why}"));
            assert_eq!(parsed, wanted, "{text:?}");
        }
    }
}
