//! A request's or reply's payload: one JSON object, kept as the text it came as.
//!
//! Most requests cross the server without anybody looking inside, so the text is checked once
//! (well-formed, UTF-8, an object, not nested too deep) and then only copied. Whoever needs the
//! fields decodes them straight into a type of its own. No JSON values are built here on the way.

use std::{fmt, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// How deep arrays and objects may be nested in a payload: below the depth at which any of our
/// parsers (or a Go plugin's) would give up.
pub const MAX_JSON_DEPTH: usize = 100;

/// A JSON object, or nothing at all (Go's nil map, JSON's `null`): the difference between a reply
/// whose `data` is `null` and one with an empty object is visible to clients and is kept.
///
/// Cheap to clone; wiped when the last clone goes; `Debug` shows only the length.
#[derive(Clone, Default)]
pub struct Data(Option<Arc<Zeroizing<Vec<u8>>>>);

/// Why a payload was refused. Never quotes the payload: it may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// Not JSON: where the parser stopped.
    #[error("malformed JSON at line {line}, column {column}")]
    Malformed {
        /// Line of the first offending byte, from 1.
        line: usize,
        /// Column of the first offending byte, from 1.
        column: usize,
    },
    /// Not UTF-8.
    #[error("the JSON text is not valid UTF-8")]
    NotUtf8,
    /// JSON, but an array, string, number or boolean.
    #[error("the JSON text must be an object")]
    NotAnObject,
    /// Nested deeper than [`MAX_JSON_DEPTH`].
    #[error("the JSON text is nested deeper than {MAX_JSON_DEPTH} levels")]
    TooDeep,
    /// A value could not be read as the wanted type, or written as JSON.
    #[error("the JSON object does not have the expected shape")]
    Shape,
}

impl Data {
    /// No payload: JSON `null`.
    pub const fn null() -> Self {
        Self(None)
    }

    /// Checks a text that came from outside: UTF-8, well-formed, an object or `null`, not too deep.
    pub fn parse(text: Vec<u8>) -> Result<Self, DataError> {
        let text = Zeroizing::new(text);
        if depth_exceeds(&text, MAX_JSON_DEPTH) {
            return Err(DataError::TooDeep);
        }
        let utf8 = std::str::from_utf8(&text).map_err(|_| DataError::NotUtf8)?;
        let raw: &RawValue = serde_json::from_str(utf8)
            .map_err(|e| DataError::Malformed { line: e.line(), column: e.column() })?;
        match raw.get().as_bytes().first() {
            Some(b'{') => Ok(Self(Some(Arc::new(text)))),
            Some(b'n') => Ok(Self::null()),
            _ => Err(DataError::NotAnObject),
        }
    }

    /// Writes a value of ours as JSON. It must serialise as an object (or `null`).
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, DataError> {
        let text = Zeroizing::new(serde_json::to_vec(value).map_err(|_| DataError::Shape)?);
        match text.first() {
            Some(b'{') => Ok(Self(Some(Arc::new(text)))),
            Some(b'n') => Ok(Self::null()),
            _ => Err(DataError::NotAnObject),
        }
    }

    /// Builds the payload from a `serde_json` value made by ours (`json!`), which cannot fail to be
    /// written; anything but an object becomes `null`.
    pub fn json(value: &serde_json::Value) -> Self {
        match value {
            serde_json::Value::Object(_) => {
                Self(Some(Arc::new(Zeroizing::new(value.to_string().into_bytes()))))
            }
            _ => Self::null(),
        }
    }

    /// Whether there is no payload (JSON `null`).
    pub fn is_null(&self) -> bool {
        self.0.is_none()
    }

    /// The JSON text: an object, or `null`.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_ref().map_or(b"null", |text| text.as_slice())
    }

    /// The JSON text as a string.
    pub fn as_str(&self) -> &str {
        // Checked when the payload was made: every constructor refuses other bytes.
        std::str::from_utf8(self.as_bytes()).unwrap_or("null")
    }

    /// Decodes into a type of the caller's; `null` reads as an empty object. The error names no
    /// value.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, DataError> {
        let text = if self.is_null() { b"{}" } else { self.as_bytes() };
        serde_json::from_slice(text).map_err(|_| DataError::Shape)
    }

    /// The fields as a map; empty for `null`.
    pub fn fields(&self) -> Result<serde_json::Map<String, serde_json::Value>, DataError> {
        self.decode()
    }

    /// Whether the text contains these bytes anywhere: a cheap first look before a parse, for keys
    /// with a special meaning. A hit may be a coincidence, a miss is certain only for keys that
    /// need no escapes in JSON.
    pub fn mentions(&self, needle: &str) -> bool {
        let needle = needle.as_bytes();
        self.0.as_ref().is_some_and(|text| text.windows(needle.len()).any(|w| w == needle))
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data({} bytes)", self.as_bytes().len())
    }
}

/// Whether brackets nest deeper than `limit`. Strings are skipped; the text need not be valid JSON.
fn depth_exceeds(text: &[u8], limit: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for &byte in text {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_kept_as_it_came() {
        let data = Data::parse(br#" {"b": 1.50, "a": [ ] }"#.to_vec()).unwrap();
        assert_eq!(data.as_str(), r#" {"b": 1.50, "a": [ ] }"#);
    }

    #[test]
    fn null_is_no_payload_and_decodes_as_empty() {
        let data = Data::parse(b"null".to_vec()).unwrap();
        assert!(data.is_null());
        assert!(data.fields().unwrap().is_empty());
    }

    #[test]
    fn anything_but_an_object_is_refused() {
        for text in ["[]", "1", "\"x\"", "true"] {
            assert_eq!(Data::parse(text.into()).unwrap_err(), DataError::NotAnObject, "{text}");
        }
        assert!(matches!(Data::parse(b"{".to_vec()), Err(DataError::Malformed { .. })));
        assert!(matches!(Data::parse(b"".to_vec()), Err(DataError::Malformed { .. })));
        assert!(matches!(Data::parse(b"{} {}".to_vec()), Err(DataError::Malformed { .. })));
        assert_eq!(Data::parse(b"{\"\xff\":1}".to_vec()).unwrap_err(), DataError::NotUtf8);
    }

    #[test]
    fn deep_nesting_is_refused_without_recursion() {
        let mut text = b"{\"a\":".to_vec();
        text.extend(std::iter::repeat_n(b'[', 1_000_000));
        assert_eq!(Data::parse(text).unwrap_err(), DataError::TooDeep);
        assert!(Data::parse(br#"{"a":"[[[[[[\"[[["}"#.to_vec()).is_ok());
    }

    #[test]
    fn debug_shows_no_content() {
        let data = Data::parse(br#"{"password":"hunter2"}"#.to_vec()).unwrap();
        assert!(!format!("{data:?}").contains("hunter2"));
    }
}
