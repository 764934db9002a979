//! A JSON value that keeps what a server said: numbers as they were written, and texts exact.
//!
//! `serde_json::Value` would turn large or decimal numbers into floats. Objects are sorted by key
//! when parsed, as Vault's own tools show them; a record built here keeps the order it was given.
//! Output escapes `<`, `>` and `&` as Go's encoder does, so that both print the same bytes.
//! It is no general parser: `serde_json` checks the syntax first, and this only walks what it passed.

use serde_json::value::RawValue;
use zeroize::Zeroize;

/// Deeper nesting than this is refused: no answer of this API comes near it.
const MAX_DEPTH: usize = 256;

/// A JSON value.
#[derive(Clone, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, in the digits it was written with.
    Number(String),
    /// A text.
    String(String),
    /// A list.
    Array(Vec<Json>),
    /// An object: sorted by key if parsed, in the given order if built.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Parses a document. Duplicate keys: the last one counts.
    ///
    /// # Errors
    /// A text that says where the syntax is wrong, without quoting the document.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(text).map_err(|e| e.to_string())?;
        let raw: &RawValue = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let mut reader = Reader { text: raw.get(), at: 0 };
        reader.value(0)
    }

    /// A number.
    pub fn number(n: impl Into<i64>) -> Self {
        Self::Number(n.into().to_string())
    }

    /// A list of texts.
    pub fn strings<S: Into<String>>(items: impl IntoIterator<Item = S>) -> Self {
        Self::Array(items.into_iter().map(|s| Self::String(s.into())).collect())
    }

    /// An object with its keys in the given order.
    pub fn record<K: Into<String>>(fields: impl IntoIterator<Item = (K, Json)>) -> Self {
        Self::Object(fields.into_iter().map(|(k, v)| (k.into(), v)).collect())
    }

    /// The member of an object, `None` if absent or if this is no object.
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.as_object()?.iter().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(s) => Some(s),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Number(n) => n.parse().ok(),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub fn as_array(&self) -> Option<&[Json]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The members, if it is an object.
    pub fn as_object(&self) -> Option<&[(String, Json)]> {
        match self {
            Self::Object(fields) => Some(fields),
            _ => None,
        }
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text of a member, empty if absent.
    pub fn text(&self, key: &str) -> &str {
        self.get(key).and_then(Json::as_str).unwrap_or_default()
    }

    /// The number of a member, zero if absent.
    pub fn int(&self, key: &str) -> i64 {
        self.get(key).and_then(Json::as_i64).unwrap_or_default()
    }

    /// The truth of a member, false if absent.
    pub fn flag(&self, key: &str) -> bool {
        self.get(key).and_then(Json::as_bool).unwrap_or_default()
    }

    /// One line, no spaces.
    pub fn compact(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, None);
        out
    }

    /// Indented by two spaces, as Go's `MarshalIndent` does it.
    pub fn pretty(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, Some(0));
        out
    }

    fn write(&self, out: &mut String, indent: Option<usize>) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Self::Number(n) => out.push_str(n),
            Self::String(s) => write_text(out, s),
            Self::Array(items) => {
                bracket(out, indent, ('[', ']'), items, |item, out, inner| item.write(out, inner));
            }
            Self::Object(fields) => {
                bracket(out, indent, ('{', '}'), fields, |(key, value), out, inner| {
                    write_text(out, key);
                    out.push_str(if inner.is_some() { ": " } else { ":" });
                    value.write(out, inner);
                });
            }
        }
    }
}

/// Shows the kind only: what it holds may be secret.
impl std::fmt::Debug for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        })
    }
}

impl From<&str> for Json {
    fn from(s: &str) -> Self {
        Self::String(s.to_owned())
    }
}

impl From<String> for Json {
    fn from(s: String) -> Self {
        Self::String(s)
    }
}

impl From<bool> for Json {
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}

impl Zeroize for Json {
    fn zeroize(&mut self) {
        match self {
            Self::Null | Self::Bool(_) => {}
            Self::Number(s) | Self::String(s) => s.zeroize(),
            Self::Array(items) => items.iter_mut().for_each(Zeroize::zeroize),
            Self::Object(fields) => fields.iter_mut().for_each(|(_, v)| v.zeroize()),
        }
    }
}

fn bracket<T>(
    out: &mut String,
    indent: Option<usize>,
    (open, close): (char, char),
    items: &[T],
    mut item: impl FnMut(&T, &mut String, Option<usize>),
) {
    out.push(open);
    let inner = indent.map(|n| n + 1);
    for (i, value) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        new_line(out, inner);
        item(value, out, inner);
    }
    if !items.is_empty() {
        new_line(out, indent);
    }
    out.push(close);
}

fn new_line(out: &mut String, indent: Option<usize>) {
    if let Some(depth) = indent {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    }
}

fn write_text(out: &mut String, text: &str) {
    use std::fmt::Write;
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' || matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}') => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Walks a document whose syntax is known to be right.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied().unwrap_or_default()
    }

    fn value(&mut self, depth: usize) -> Result<Json, String> {
        if depth > MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        match self.peek() {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string().map(Json::String),
            _ => Ok(self.word()),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, String> {
        let mut fields: Vec<(String, Json)> = Vec::new();
        self.at += 1;
        while self.peek() != b'}' {
            let key = self.string()?;
            self.peek();
            self.at += 1; // the colon
            fields.push((key, self.value(depth + 1)?));
            if self.peek() == b',' {
                self.at += 1;
                self.peek();
            }
        }
        self.at += 1;
        // Stable, so that of equal keys the last written is the last here too.
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        fields.reverse();
        fields.dedup_by(|a, b| a.0 == b.0);
        fields.reverse();
        Ok(Json::Object(fields))
    }

    fn array(&mut self, depth: usize) -> Result<Json, String> {
        let mut items = Vec::new();
        self.at += 1;
        while self.peek() != b']' {
            items.push(self.value(depth + 1)?);
            if self.peek() == b',' {
                self.at += 1;
            }
        }
        self.at += 1;
        Ok(Json::Array(items))
    }

    fn string(&mut self) -> Result<String, String> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        self.at += 1;
        while bytes[self.at] != b'"' {
            self.at += if bytes[self.at] == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
        serde_json::from_str(&self.text[start..self.at]).map_err(|e| e.to_string())
    }

    fn word(&mut self) -> Json {
        let rest = &self.text[self.at..];
        let end = rest
            .find(|c: char| c.is_ascii_whitespace() || matches!(c, ',' | ']' | '}'))
            .unwrap_or(rest.len());
        self.at += end;
        match &rest[..end] {
            "null" => Json::Null,
            "true" => Json::Bool(true),
            "false" => Json::Bool(false),
            number => Json::Number(number.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits_and_keys_are_sorted() {
        let text = br#"{"b": 123456789012345678901234567890, "a": [1.10, -2e5, {}], "c":""}"#;
        let parsed = Json::parse(text).expect("valid");
        assert_eq!(
            parsed.compact(),
            r#"{"a":[1.10,-2e5,{}],"b":123456789012345678901234567890,"c":""}"#
        );
    }

    #[test]
    fn the_last_of_equal_keys_counts() {
        assert_eq!(Json::parse(br#"{"a":1,"a":2}"#).expect("valid").compact(), r#"{"a":2}"#);
    }

    #[test]
    fn texts_are_escaped_as_go_escapes_them() {
        let text = Json::from("a<b>&\"\\\n\u{1}\u{2028}é");
        assert_eq!(text.compact(), "\"a\\u003cb\\u003e\\u0026\\\"\\\\\\n\\u0001\\u2028é\"");
    }

    #[test]
    fn pretty_output_indents_by_two_and_keeps_empty_brackets_together() {
        let value = Json::parse(br#"{"a":[],"b":{},"c":[1,"x"]}"#).expect("valid");
        assert_eq!(
            value.pretty(),
            "{\n  \"a\": [],\n  \"b\": {},\n  \"c\": [\n    1,\n    \"x\"\n  ]\n}"
        );
    }

    #[test]
    fn bad_syntax_and_bottomless_nesting_are_refused() {
        assert!(Json::parse(b"{\"a\":}").is_err());
        assert!(Json::parse(b"\xff").is_err());
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        assert!(Json::parse(deep.as_bytes()).is_err());
    }
}
