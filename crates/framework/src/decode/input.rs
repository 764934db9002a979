//! One value on its way into a type: its JSON text, or a plain text from a path or a list; and what
//! it means to whoever wants a number, a text, a list or a map.

use std::{borrow::Cow, fmt};

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Borrowed, FieldError, text};

/// A value that is still text. No `Debug`: it may be a secret.
#[derive(Clone)]
pub(crate) enum Input<'de> {
    /// JSON, known to be well-formed. Owned where it came inside a string.
    Json(Cow<'de, str>),
    /// A plain text.
    Plain(Cow<'de, str>),
}

/// A field's name and value.
pub(crate) type Item<'de> = (Cow<'de, str>, Input<'de>);

/// What a JSON text is, by its first byte.
enum Kind<'de> {
    Null,
    Bool(bool),
    Number(Cow<'de, str>),
    Text(Cow<'de, str>),
    Array(Cow<'de, str>),
    Object(Cow<'de, str>),
}

/// The entries of a JSON object, each value as its text.
pub(crate) fn entries(json: &str) -> Result<Vec<(Cow<'_, str>, &RawValue)>, FieldError> {
    struct Collect;
    impl<'de> Visitor<'de> for Collect {
        type Value = Vec<(Cow<'de, str>, &'de RawValue)>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries = Vec::new();
            while let Some((Borrowed(key), value)) = map.next_entry()? {
                entries.push((key, value));
            }
            Ok(entries)
        }
    }
    let mut parser = serde_json::Deserializer::from_str(json);
    parser.deserialize_map(Collect).map_err(|_| FieldError::expected("an object"))
}

fn items(json: Cow<'_, str>) -> Result<Vec<Item<'_>>, FieldError> {
    match json {
        Cow::Borrowed(json) => {
            Ok(entries(json)?.into_iter().map(|(key, raw)| (key, Input::json(raw.get()))).collect())
        }
        Cow::Owned(json) => {
            let item = |(key, raw): (Cow<'_, str>, &RawValue)| {
                (Cow::Owned(key.into_owned()), Input::Json(Cow::Owned(raw.get().to_owned())))
            };
            Ok(entries(&json)?.into_iter().map(item).collect())
        }
    }
}

fn elements(json: Cow<'_, str>) -> Result<Vec<Input<'_>>, FieldError> {
    fn parsed(json: &str) -> Result<Vec<&RawValue>, FieldError> {
        serde_json::from_str(json).map_err(|_| FieldError::expected("a list"))
    }
    Ok(match json {
        Cow::Borrowed(json) => {
            parsed(json)?.into_iter().map(|raw| Input::json(raw.get())).collect()
        }
        Cow::Owned(json) => {
            let owned = |raw: &RawValue| Input::Json(Cow::Owned(raw.get().to_owned()));
            parsed(&json)?.into_iter().map(owned).collect()
        }
    })
}

impl<'de> Input<'de> {
    /// A borrowed JSON text.
    pub fn json(text: &'de str) -> Self {
        Self::Json(Cow::Borrowed(text))
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Json(json) if json == "null")
    }

    fn kind(self) -> Result<Kind<'de>, FieldError> {
        let json = match self {
            Self::Plain(text) => return Ok(Kind::Text(text)),
            Self::Json(json) => json,
        };
        Ok(match json.as_bytes().first() {
            Some(b'n') | None => Kind::Null,
            Some(b't') => Kind::Bool(true),
            Some(b'f') => Kind::Bool(false),
            Some(b'[') => Kind::Array(json),
            Some(b'{') => Kind::Object(json),
            Some(b'"') => Kind::Text(unquoted(json)?),
            Some(_) => Kind::Number(json),
        })
    }

    /// A whole number, if it is one; which range is wanted, the caller knows.
    pub fn integer(self) -> Result<Option<i128>, FieldError> {
        Ok(match self.kind()? {
            Kind::Null => Some(0),
            Kind::Bool(value) => Some(value.into()),
            Kind::Number(number) => text::whole(&number),
            Kind::Text(text) => text::integer(&text),
            Kind::Array(_) | Kind::Object(_) => None,
        })
    }

    /// A number.
    pub fn float(self) -> Result<f64, FieldError> {
        let value = match self.kind()? {
            Kind::Null => Some(0.0),
            Kind::Bool(value) => Some(f64::from(u8::from(value))),
            Kind::Number(number) => number.parse().ok(),
            Kind::Text(text) if text.is_empty() => Some(0.0),
            Kind::Text(text) => text.parse().ok().filter(|f: &f64| f.is_finite()),
            Kind::Array(_) | Kind::Object(_) => None,
        };
        value.ok_or_else(|| FieldError::expected("a number"))
    }

    /// True or false.
    pub fn boolean(self) -> Result<bool, FieldError> {
        let value = match self.kind()? {
            Kind::Null => Some(false),
            Kind::Bool(value) => Some(value),
            Kind::Number(number) => number.parse().ok().map(|f: f64| f != 0.0),
            Kind::Text(text) => text::boolean(&text),
            Kind::Array(_) | Kind::Object(_) => None,
        };
        value.ok_or_else(|| FieldError::expected("true or false"))
    }

    /// A text.
    pub fn text(self) -> Result<Cow<'de, str>, FieldError> {
        match self.kind()? {
            Kind::Null => Ok(Cow::Borrowed("")),
            // Weak decoding in Go makes digits of booleans.
            Kind::Bool(value) => Ok(Cow::Borrowed(if value { "1" } else { "0" })),
            Kind::Number(number) => Ok(plain_number(number)),
            Kind::Text(text) => Ok(text),
            Kind::Array(_) | Kind::Object(_) => Err(FieldError::expected("text")),
        }
    }

    /// A list: as such, or as JSON in a string, or values separated by commas, or one value.
    pub fn list(self) -> Result<Vec<Self>, FieldError> {
        Ok(match self.clone().kind()? {
            Kind::Null => Vec::new(),
            Kind::Array(json) => elements(json)?,
            Kind::Text(text) if text.trim().is_empty() => Vec::new(),
            Kind::Text(text) if text.starts_with('[') && is_json(&text) => elements(text)?,
            Kind::Text(text) => {
                let piece = |piece: &str| Self::Plain(Cow::Owned(piece.trim().to_owned()));
                text.split(',').map(piece).collect()
            }
            Kind::Object(json) if json == "{}" => Vec::new(),
            Kind::Bool(_) | Kind::Number(_) | Kind::Object(_) => vec![self],
        })
    }

    /// A map: as such, or as JSON in a string, or `key=value` texts.
    pub fn map(self) -> Result<Vec<Item<'de>>, FieldError> {
        match self.clone().kind()? {
            Kind::Null => Ok(Vec::new()),
            Kind::Object(json) => items(json),
            Kind::Text(text) if text.is_empty() => Ok(Vec::new()),
            Kind::Text(text) if text.starts_with('{') && is_json(&text) => items(text),
            Kind::Text(_) => pairs(vec![self]),
            Kind::Array(json) => pairs(elements(json)?),
            Kind::Bool(_) | Kind::Number(_) => Err(FieldError::expected("a map")),
        }
    }

    /// A duration in whole seconds.
    pub fn seconds(self) -> Result<u64, FieldError> {
        let wanted = || FieldError::expected("a duration: seconds, or a text such as 1h30m");
        let text = match self.kind()? {
            Kind::Null => return Ok(0),
            Kind::Number(number) => plain_number(number),
            Kind::Text(text) => text,
            Kind::Bool(_) | Kind::Array(_) | Kind::Object(_) => return Err(wanted()),
        };
        text::seconds(&text).map_err(|fault| match fault {
            text::NoDuration::Unreadable => wanted(),
            text::NoDuration::Negative => FieldError::expected("a duration that is not negative"),
        })
    }

    /// The text of a JSON object, or `null`.
    pub fn object(self) -> Result<Cow<'de, str>, FieldError> {
        match self.kind()? {
            Kind::Object(json) => Ok(json),
            Kind::Null => Ok(Cow::Borrowed("null")),
            Kind::Text(text) if text.starts_with('{') && is_json(&text) => Ok(text),
            _ => Err(FieldError::expected("a JSON object")),
        }
    }
}

/// The text that a JSON string stands for.
fn unquoted(json: Cow<'_, str>) -> Result<Cow<'_, str>, FieldError> {
    let unreadable = |_| FieldError::expected("text");
    match json {
        Cow::Borrowed(json) => {
            serde_json::from_str::<Borrowed<'_>>(json).map(|text| text.0).map_err(unreadable)
        }
        Cow::Owned(json) => serde_json::from_str(&json).map(Cow::Owned).map_err(unreadable),
    }
}

/// Whether a text is JSON.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

/// A number as Go prints it in weak decoding: no exponent, no trailing zeros.
fn plain_number(number: Cow<'_, str>) -> Cow<'_, str> {
    if !number.contains(['.', 'e', 'E']) {
        return number;
    }
    match (text::whole(&number), number.parse::<f64>()) {
        (Some(whole), _) => Cow::Owned(whole.to_string()),
        (None, Ok(float)) => Cow::Owned(float.to_string()),
        (None, Err(_)) => number,
    }
}

/// `key=value` texts as entries.
fn pairs(list: Vec<Input<'_>>) -> Result<Vec<Item<'_>>, FieldError> {
    let wanted = || FieldError::expected("a map, or a list of key=value pairs");
    let pair = |item: Input<'_>| {
        let text = item.text().map_err(|_| wanted())?;
        let found = text.split_once('=').filter(|(key, _)| !key.is_empty());
        let (key, value) = found.ok_or_else(wanted)?;
        let value = Input::Plain(Cow::Owned(value.to_owned()));
        Ok((Cow::Owned(key.to_owned()), value))
    };
    list.into_iter().map(pair).collect()
}
