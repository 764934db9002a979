//! The query part of a URL, decoded.

use boltwork_logical::Data;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// Names and values in order, percent-decoded. Pairs that are not UTF-8 are left out.
pub fn pairs(query: Option<&str>) -> Vec<(String, String)> {
    // As Go does it: a pair with a broken escape is no pair.
    let whole = |text: &str| {
        text.split('%').skip(1).all(|rest| {
            rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit())
        })
    };
    let decode = |text: &str| {
        if !whole(text) {
            return None;
        }
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
    };
    query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)?))
        })
        .collect()
}

/// The value of a name, if it was given.
pub fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
}

/// Whether a flag was given and says yes, as Go reads booleans. An empty value is a yes.
pub fn flag(pairs: &[(String, String)], name: &str) -> Result<bool, String> {
    match value(pairs, name) {
        None => Ok(false),
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("" | "0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some(_) => Err(format!("the query parameter {name:?} must be true or false")),
    }
}

/// The pairs as a payload: strings, and lists of strings for names given several times. The name
/// `help` is the server's own.
pub fn data(pairs: Vec<(String, String)>) -> Data {
    let mut fields: Map<String, Value> = Map::new();
    for (name, value) in pairs.into_iter().filter(|(name, _)| name != "help") {
        match fields.get_mut(&name) {
            None => {
                fields.insert(name, Value::String(value));
            }
            Some(Value::Array(list)) => list.push(Value::String(value)),
            Some(first) => *first = Value::Array(vec![first.take(), Value::String(value)]),
        }
    }
    match fields.is_empty() {
        true => Data::null(),
        false => Data::json(&Value::Object(fields)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_becomes_strings_and_lists() {
        let made = data(pairs(Some("a=1&b=x%20y+z&a=2&help=1&c")));
        assert_eq!(made.as_str(), r#"{"a":["1","2"],"b":"x y z","c":""}"#);
        assert!(data(pairs(None)).is_null());
    }

    #[test]
    fn a_broken_escape_is_left_out() {
        assert_eq!(data(pairs(Some("%zz&a=%4&b=1&c=%"))).as_str(), r#"{"b":"1"}"#);
    }

    #[test]
    fn a_flag_is_read_as_go_reads_it() {
        assert_eq!(flag(&pairs(Some("list=true")), "list"), Ok(true));
        assert_eq!(flag(&pairs(Some("list=0")), "list"), Ok(false));
        assert_eq!(flag(&pairs(None), "list"), Ok(false));
        assert!(flag(&pairs(Some("list=maybe")), "list").is_err());
    }
}
