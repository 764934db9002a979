//! The functions of a template: Vault's own, and those of Go's that a name can need.

use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use time::OffsetDateTime;
use uuid::Uuid;

use super::value::Value;
use super::{MAX_TEXT, format, moment};

/// Random characters at a time, at most.
const MAX_RANDOM: i64 = 4096;
/// Characters of a hash that end a text which was cut.
const HASH_TAIL: usize = 8;

/// A function by its name.
#[derive(Debug)]
pub(super) struct Function {
    pub name: &'static str,
    body: Body,
}

type Pure = fn(&[Value]) -> Result<Value, String>;

#[derive(Debug)]
enum Body {
    /// One text into another.
    Text(fn(&str) -> Result<String, String>),
    /// A number and a text into a text.
    Cut(fn(i64, &str) -> Result<String, String>),
    /// Whatever the arguments say.
    Free(Pure),
    /// The moment, perhaps in some layout.
    Clock(fn(OffsetDateTime, &[Value]) -> Result<Value, String>),
}

const FUNCTIONS: &[Function] = &[
    Function { name: "random", body: Body::Free(random) },
    Function { name: "truncate", body: Body::Cut(truncate) },
    Function { name: "truncate_sha256", body: Body::Cut(truncate_sha256) },
    Function { name: "uppercase", body: Body::Text(|text| Ok(text.to_uppercase())) },
    Function { name: "lowercase", body: Body::Text(|text| Ok(text.to_lowercase())) },
    Function { name: "replace", body: Body::Free(replace) },
    Function { name: "sha256", body: Body::Text(|text| Ok(sha256(text.as_bytes()))) },
    Function { name: "base64", body: Body::Text(|text| Ok(BASE64_STANDARD.encode(text))) },
    Function { name: "decode_base64", body: Body::Text(decode_base64) },
    Function { name: "hex", body: Body::Text(|text| Ok(hex(text.as_bytes()))) },
    Function { name: "decode_hex", body: Body::Text(decode_hex) },
    Function { name: "unix_time", body: Body::Clock(unix_time) },
    Function { name: "unix_time_millis", body: Body::Clock(unix_time_millis) },
    Function { name: "timestamp", body: Body::Clock(timestamp) },
    Function { name: "uuid", body: Body::Free(uuid) },
    Function { name: "glob", body: Body::Free(glob) },
    Function { name: "printf", body: Body::Free(printf) },
    Function { name: "print", body: Body::Free(print) },
    Function { name: "len", body: Body::Free(length) },
    Function { name: "slice", body: Body::Free(slice) },
    Function { name: "not", body: Body::Free(not) },
    Function { name: "and", body: Body::Free(|arguments| choose(arguments, false)) },
    Function { name: "or", body: Body::Free(|arguments| choose(arguments, true)) },
    Function { name: "eq", body: Body::Free(equal) },
    Function {
        name: "ne",
        body: Body::Free(|arguments| compare(arguments, |order| order.is_ne())),
    },
    Function {
        name: "lt",
        body: Body::Free(|arguments| compare(arguments, |order| order.is_lt())),
    },
    Function {
        name: "le",
        body: Body::Free(|arguments| compare(arguments, |order| order.is_le())),
    },
    Function {
        name: "gt",
        body: Body::Free(|arguments| compare(arguments, |order| order.is_gt())),
    },
    Function {
        name: "ge",
        body: Body::Free(|arguments| compare(arguments, |order| order.is_ge())),
    },
];

/// The function of this name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

impl Function {
    /// Calls it. The error names no value.
    pub fn call(&self, arguments: &[Value], now: OffsetDateTime) -> Result<Value, String> {
        match self.body {
            Body::Text(body) => {
                let [text] = exactly(arguments)?;
                body(as_text(text)?).map(Value::Text)
            }
            Body::Cut(body) => {
                let [length, text] = exactly(arguments)?;
                body(as_int(length)?, as_text(text)?).map(Value::Text)
            }
            Body::Free(body) => body(arguments),
            Body::Clock(body) => body(now, arguments),
        }
    }
}

fn exactly<const N: usize>(arguments: &[Value]) -> Result<&[Value; N], String> {
    arguments
        .try_into()
        .map_err(|_| format!("wrong number of args: want {N} got {}", arguments.len()))
}

fn as_text(value: &Value) -> Result<&str, String> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(format!("wrong type for value; expected string; got {}", other.kind())),
    }
}

fn as_int(value: &Value) -> Result<i64, String> {
    match value {
        Value::Int(number) => Ok(*number),
        other => Err(format!("wrong type for value; expected int; got {}", other.kind())),
    }
}

/// Letters and digits, each equally likely.
fn random(arguments: &[Value]) -> Result<Value, String> {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let [length] = exactly(arguments)?;
    let length = as_int(length)?;
    if !(0..=MAX_RANDOM).contains(&length) {
        return Err(format!("the length must be between 0 and {MAX_RANDOM}"));
    }
    let length = usize::try_from(length).unwrap_or(0);
    let mut text = String::with_capacity(length);
    let mut bytes = [0; 64];
    while text.len() < length {
        rand::fill(&mut bytes).map_err(|_| "no random bytes".to_owned())?;
        // 248 is the largest multiple of 62 in a byte: what lies above would favour some letters.
        let fair = bytes.iter().filter(|byte| **byte < 248);
        let letters = fair.map(|byte| char::from(LETTERS[usize::from(*byte % 62)]));
        text.extend(letters.take(length - text.len()));
    }
    Ok(Value::Text(text))
}

/// The longest start of `text` with at most so many bytes. (Go cuts characters in two.)
fn start(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or_default()]
}

fn truncate(length: i64, text: &str) -> Result<String, String> {
    match usize::try_from(length) {
        Ok(length) if length > 0 => Ok(start(text, length).to_owned()),
        _ => Err(format!("max length must be > 0 but was {length}")),
    }
}

fn truncate_sha256(length: i64, text: &str) -> Result<String, String> {
    let wanted = usize::try_from(length).unwrap_or(0);
    if wanted <= HASH_TAIL {
        return Err(format!("max length must be > 8 but was {length}"));
    }
    if text.len() <= wanted {
        return Ok(text.to_owned());
    }
    let kept = start(text, wanted - HASH_TAIL);
    let hash = sha256(&text.as_bytes()[kept.len()..]);
    Ok(format!("{kept}{}", &hash[..HASH_TAIL]))
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn utf8(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|_| "what was decoded is no text".to_owned())
}

fn decode_base64(text: &str) -> Result<String, String> {
    utf8(BASE64_STANDARD.decode(text).map_err(|_| "illegal base64 data".to_owned())?)
}

fn decode_hex(text: &str) -> Result<String, String> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? * 16 + digit(*low)?),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(pair).collect();
    utf8(bytes.ok_or_else(|| "not hexadecimal".to_owned())?)
}

fn replace(arguments: &[Value]) -> Result<Value, String> {
    let [find, by, text] = exactly(arguments)?;
    let (find, by, text) = (as_text(find)?, as_text(by)?, as_text(text)?);
    // Found before it is made, so that it is never made: each byte may become a whole text.
    let places = if find.is_empty() { text.len() + 1 } else { text.matches(find).count() };
    if places.saturating_mul(by.len()).saturating_add(text.len()) > MAX_TEXT * 2 {
        return Err("the text would grow too long".to_owned());
    }
    Ok(Value::Text(text.replace(find, by)))
}

fn unix_time(now: OffsetDateTime, arguments: &[Value]) -> Result<Value, String> {
    let [] = exactly(arguments)?;
    Ok(Value::Text(now.unix_timestamp().to_string()))
}

fn unix_time_millis(now: OffsetDateTime, arguments: &[Value]) -> Result<Value, String> {
    let [] = exactly(arguments)?;
    Ok(Value::Text((now.unix_timestamp_nanos() / 1_000_000).to_string()))
}

fn timestamp(now: OffsetDateTime, arguments: &[Value]) -> Result<Value, String> {
    let [layout] = exactly(arguments)?;
    Ok(Value::Text(moment::format(now, as_text(layout)?)))
}

fn uuid(arguments: &[Value]) -> Result<Value, String> {
    let [] = exactly(arguments)?;
    Ok(Value::Text(Uuid::new_v4().to_string()))
}

/// Whether a text matches a pattern in which `*` stands for any characters.
fn glob(arguments: &[Value]) -> Result<Value, String> {
    let [pattern, text] = exactly(arguments)?;
    let (pattern, mut text) = (as_text(pattern)?, as_text(text)?);
    let Some((first, rest)) = pattern.split_once('*') else {
        return Ok(Value::Bool(pattern == text));
    };
    let Some(after) = text.strip_prefix(first) else { return Ok(Value::Bool(false)) };
    text = after;
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*').filter(|part| !part.is_empty()) {
        let Some(at) = text.find(part) else { return Ok(Value::Bool(false)) };
        text = &text[at + part.len()..];
    }
    Ok(Value::Bool(text.ends_with(last)))
}

fn printf(arguments: &[Value]) -> Result<Value, String> {
    let (layout, arguments) = arguments.split_first().ok_or("missing its format")?;
    format::printf(as_text(layout)?, arguments).map(Value::Text)
}

/// As Go's `Sprint`: a space between two neighbours of which none is a text.
fn print(arguments: &[Value]) -> Result<Value, String> {
    let mut text = String::new();
    for (index, value) in arguments.iter().enumerate() {
        let is_text = |value: &Value| matches!(value, Value::Text(_));
        if index > 0 && !is_text(value) && !is_text(&arguments[index - 1]) {
            text.push(' ');
        }
        text.push_str(&value.printed());
    }
    Ok(Value::Text(text))
}

fn length(arguments: &[Value]) -> Result<Value, String> {
    let [text] = exactly(arguments)?;
    i64::try_from(as_text(text)?.len()).map(Value::Int).map_err(|_| "too long".to_owned())
}

/// `slice text from to`, in bytes.
fn slice(arguments: &[Value]) -> Result<Value, String> {
    let (text, bounds) = arguments.split_first().ok_or("missing its text")?;
    let text = as_text(text)?;
    let bound = |at: usize, default: usize| match bounds.get(at) {
        None => Ok(default),
        Some(value) => usize::try_from(as_int(value)?).map_err(|_| "index out of range".to_owned()),
    };
    if bounds.len() > 2 {
        return Err("cannot 3-index slice a string".to_owned());
    }
    let part = text.get(bound(0, 0)?..bound(1, text.len())?);
    part.map(|part| Value::Text(part.to_owned())).ok_or_else(|| "index out of range".to_owned())
}

fn not(arguments: &[Value]) -> Result<Value, String> {
    let [value] = exactly(arguments)?;
    Ok(Value::Bool(!value.is_true()))
}

/// The first argument that is as true as `wanted`, else the last.
fn choose(arguments: &[Value], wanted: bool) -> Result<Value, String> {
    let found = arguments.iter().find(|value| value.is_true() == wanted);
    found.or(arguments.last()).cloned().ok_or_else(|| "missing argument".to_owned())
}

fn equal(arguments: &[Value]) -> Result<Value, String> {
    let (first, others) = arguments.split_first().ok_or("missing argument for comparison")?;
    if others.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    if others.iter().any(|other| other.kind() != first.kind()) {
        return Err("incompatible types for comparison".to_owned());
    }
    Ok(Value::Bool(others.contains(first)))
}

fn compare(arguments: &[Value], holds: fn(std::cmp::Ordering) -> bool) -> Result<Value, String> {
    let [left, right] = exactly(arguments)?;
    let order = match (left, right) {
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        (Value::Int(left), Value::Int(right)) => left.cmp(right),
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        _ => return Err("incompatible types for comparison".to_owned()),
    };
    Ok(Value::Bool(holds(order)))
}
