//! One value on its way into a type: its JSON text, or a plain text from a path or a list.

use std::borrow::Cow;

use serde::{
    de::{DeserializeSeed, Deserializer, SeqAccess, Visitor, value::StringDeserializer},
    forward_to_deserialize_any,
};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{Borrowed, Entries, FieldError, text};
use crate::fields::{BASE64, JSON, TTL};

/// A value that is still text.
#[derive(Debug, Clone)]
pub(crate) enum Input<'de> {
    /// JSON, known to be well-formed.
    Json(&'de str),
    /// A plain text.
    Plain(Cow<'de, str>),
}

/// What a JSON text is, by its first byte.
enum Kind<'de> {
    Null,
    Bool(bool),
    Number(&'de str),
    Text(Cow<'de, str>),
    Array(&'de str),
    Object(&'de str),
}

/// The entries of a JSON object, each value as its text.
pub(crate) fn entries(json: &str) -> Result<Vec<(Cow<'_, str>, &RawValue)>, FieldError> {
    struct Collect;
    impl<'de> Visitor<'de> for Collect {
        type Value = Vec<(Cow<'de, str>, &'de RawValue)>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(
            self,
            mut map: A,
        ) -> Result<Self::Value, A::Error> {
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

fn elements(json: &str) -> Result<Vec<&RawValue>, FieldError> {
    serde_json::from_str(json).map_err(|_| FieldError::expected("a list"))
}

impl<'de> Input<'de> {
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
            Some(b'"') => {
                let text = serde_json::from_str::<Borrowed<'de>>(json);
                Kind::Text(text.map_err(|_| FieldError::expected("text"))?.0)
            }
            Some(_) => Kind::Number(json),
        })
    }

    fn integer(self) -> Result<Option<i128>, FieldError> {
        Ok(match self.kind()? {
            Kind::Null => Some(0),
            Kind::Bool(value) => Some(value.into()),
            Kind::Number(number) => text::whole(number),
            Kind::Text(text) => text::integer(&text),
            Kind::Array(_) | Kind::Object(_) => None,
        })
    }

    fn float(self) -> Result<f64, FieldError> {
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

    fn boolean(self) -> Result<bool, FieldError> {
        let value = match self.kind()? {
            Kind::Null => Some(false),
            Kind::Bool(value) => Some(value),
            Kind::Number(number) => number.parse().ok().map(|f: f64| f != 0.0),
            Kind::Text(text) => text::boolean(&text),
            Kind::Array(_) | Kind::Object(_) => None,
        };
        value.ok_or_else(|| FieldError::expected("true or false"))
    }

    fn text(self) -> Result<Cow<'de, str>, FieldError> {
        match self.kind()? {
            Kind::Null => Ok(Cow::Borrowed("")),
            // Weak decoding in Go makes digits of booleans.
            Kind::Bool(value) => Ok(Cow::Borrowed(if value { "1" } else { "0" })),
            Kind::Number(number) => Ok(plain_number(number)),
            Kind::Text(text) => Ok(text),
            Kind::Array(_) | Kind::Object(_) => Err(FieldError::expected("text")),
        }
    }

    /// A list: as such, or one value, or values separated by commas.
    fn list(self) -> Result<Vec<Self>, FieldError> {
        Ok(match self.clone().kind()? {
            Kind::Null => Vec::new(),
            Kind::Array(json) => {
                elements(json)?.into_iter().map(|raw| Self::Json(raw.get())).collect()
            }
            Kind::Text(text) if text.trim().is_empty() => Vec::new(),
            Kind::Text(text) if text.starts_with('[') && is_json(&text) => {
                return Self::parsed_list(&text);
            }
            Kind::Text(text) => text
                .split(',')
                .map(|piece| Self::Plain(Cow::Owned(piece.trim().to_owned())))
                .collect(),
            Kind::Object("{}") => Vec::new(),
            Kind::Bool(_) | Kind::Number(_) | Kind::Object(_) => vec![self],
        })
    }

    /// The elements of a list that came as JSON inside a string. Only texts and numbers: anything
    /// deeper would have to outlive the string.
    fn parsed_list(json: &str) -> Result<Vec<Self>, FieldError> {
        let plain = |raw: &RawValue| {
            Ok(Self::Plain(Cow::Owned(Input::Json(raw.get()).text()?.into_owned())))
        };
        elements(json)?.into_iter().map(plain).collect()
    }
}

/// Whether a text is JSON.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

/// A number as Go prints it in weak decoding: no exponent, no trailing zeros.
fn plain_number(number: &str) -> Cow<'_, str> {
    if !number.contains(['.', 'e', 'E']) {
        return Cow::Borrowed(number);
    }
    match text::whole(number) {
        Some(whole) => Cow::Owned(whole.to_string()),
        None => number.parse::<f64>().map_or(Cow::Borrowed(number), |f| Cow::Owned(f.to_string())),
    }
}

/// `key=value` texts as entries.
fn pairs<'de>(list: Vec<Input<'de>>) -> Result<Vec<(Cow<'de, str>, Input<'de>)>, FieldError> {
    let wanted = || FieldError::expected("a map, or a list of key=value pairs");
    let pair = |item: Input<'de>| {
        let text = item.text().map_err(|_| wanted())?;
        let (key, value) =
            text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or_else(wanted)?;
        let value = Input::Plain(Cow::Owned(value.to_owned()));
        Ok((Cow::Owned(key.to_owned()), value))
    };
    list.into_iter().map(pair).collect()
}

/// Reads an owned JSON text that came inside a string: strictly, it is JSON already.
fn nested<'de, V: Visitor<'de>>(json: &str, visitor: V) -> Result<V::Value, FieldError> {
    let value: serde_json::Value =
        serde_json::from_str(json).map_err(|_| FieldError::expected("a JSON text"))?;
    value.deserialize_any(visitor).map_err(|_| FieldError::expected("another kind of value"))
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
            let wanted = || FieldError::expected(concat!("a whole number that fits ", stringify!($type)));
            let value = self.integer()?.ok_or_else(wanted)?;
            visitor.$visit(<$type>::try_from(value).map_err(|_| wanted())?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Input<'de> {
    type Error = FieldError;

    integers! {
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_i128 visit_i128 i128;
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
        deserialize_u128 visit_u128 u128;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        match self {
            Self::Plain(Cow::Borrowed(text)) => visitor.visit_borrowed_str(text),
            Self::Plain(Cow::Owned(text)) => visitor.visit_string(text),
            Self::Json(json) => {
                let mut parser = serde_json::Deserializer::from_str(json);
                parser
                    .deserialize_any(visitor)
                    .map_err(|_| FieldError::expected("another kind of value"))
            }
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_bool(self.boolean()?)
    }

    #[expect(clippy::cast_possible_truncation, reason = "an f32 was asked for")]
    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_f32(self.float()? as f32)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_f64(self.float()?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        match self.text()? {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_byte_buf(self.text()?.into_owned().into_bytes())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        match self {
            Self::Json("null") => visitor.visit_none(),
            value => visitor.visit_some(value),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        match name {
            TTL => {
                visitor.visit_newtype_struct(Input::Plain(Cow::Owned(self.seconds()?.to_string())))
            }
            BASE64 => {
                let text = Zeroizing::new(self.text()?.into_owned());
                visitor
                    .visit_str(&text)
                    .map_err(|_: FieldError| FieldError::expected("base64 text"))
            }
            JSON => self.object(visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_seq(Elements(self.list()?.into_iter()))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        let found = match self.clone().kind()? {
            Kind::Null => Vec::new(),
            Kind::Object(json) => {
                let entries = entries(json)?.into_iter();
                entries.map(|(key, raw)| (key, Self::Json(raw.get()))).collect()
            }
            Kind::Text(text) if text.is_empty() => Vec::new(),
            Kind::Text(text) if text.starts_with('{') => return nested(&text, visitor),
            Kind::Text(_) => pairs(vec![self])?,
            Kind::Array(json) => {
                pairs(elements(json)?.into_iter().map(|r| Self::Json(r.get())).collect())?
            }
            Kind::Bool(_) | Kind::Number(_) => return Err(FieldError::expected("a map")),
        };
        visitor.visit_map(Entries::new(found.into_iter()))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        if let Self::Json(json) = self
            && json.starts_with('{')
        {
            let mut parser = serde_json::Deserializer::from_str(json);
            let outcome = parser.deserialize_enum(name, variants, visitor);
            return outcome
                .map_err(|_| FieldError::expected(format!("one of: {}", variants.join(", "))));
        }
        visitor.visit_enum(StringDeserializer::new(self.text()?.into_owned()))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        // serde_json hands raw text out under a name of its own; let it.
        if fields == ["$serde_json::private::RawValue"] {
            return match self {
                Self::Json(json) => {
                    let mut parser = serde_json::Deserializer::from_str(json);
                    let outcome = parser.deserialize_newtype_struct(name, visitor);
                    outcome.map_err(|_| FieldError::expected("a JSON text"))
                }
                Self::Plain(text) => {
                    nested(&serde_json::Value::from(text.as_ref()).to_string(), visitor)
                }
            };
        }
        self.deserialize_map(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_unit()
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        self.deserialize_str(visitor)
    }

    forward_to_deserialize_any! { unit unit_struct }
}

struct Elements<'de>(std::vec::IntoIter<Input<'de>>);

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = FieldError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, FieldError> {
        self.0.next().map(|item| seed.deserialize(item)).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

impl<'de> Input<'de> {
    fn seconds(self) -> Result<u64, FieldError> {
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

    /// The text of a JSON object, for those who keep it as it is.
    fn object<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        let wanted = || FieldError::expected("a JSON object");
        let text = match self.kind()? {
            Kind::Object(json) => Cow::Borrowed(json),
            Kind::Null => Cow::Borrowed("null"),
            Kind::Text(text) if text.starts_with('{') && is_json(&text) => text,
            _ => return Err(wanted()),
        };
        let outcome = match &text {
            Cow::Borrowed(json) => {
                visitor.visit_newtype_struct(&mut serde_json::Deserializer::from_str(json))
            }
            // From a reader, because the visitor may not borrow what ends with this call.
            Cow::Owned(json) => visitor
                .visit_newtype_struct(&mut serde_json::Deserializer::from_reader(json.as_bytes())),
        };
        outcome.map_err(|_| wanted())
    }
}
