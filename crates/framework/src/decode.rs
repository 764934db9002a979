//! From what callers send to the types that engines want: one lenient deserializer.
//!
//! Vault's clients send `length=12` as the text `"12"`. The type that a field wants decides how its
//! text is read, by the rules of Vault's own framework (weak decoding); see the table in the tests.
//! Errors name the field and the wanted type, never the value: it may be a secret.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use boltwork_logical::Data;
use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, MapAccess, Visitor},
    forward_to_deserialize_any,
};
use serde_json::value::RawValue;

use crate::{
    Fields,
    request::{Call, Notes, Source},
};

mod input;
mod text;

pub(crate) use text::seconds;
mod wanted;

use input::{Input, Item};

/// Why a field could not be read. Its text is for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    field: Option<String>,
    reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reason {
    /// It is not there.
    Missing,
    /// It is there, and is not what is wanted.
    Expected(Cow<'static, str>),
}

impl FieldError {
    /// Something else was wanted.
    pub(crate) fn expected(what: impl Into<Cow<'static, str>>) -> Self {
        Self { field: None, reason: Reason::Expected(what.into()) }
    }

    /// The same error, about this field. The outermost name counts: inner ones may be keys of a
    /// map, which are the caller's data.
    fn of(mut self, field: &str) -> Self {
        if !matches!(self.reason, Reason::Missing) {
            self.field = Some(field.to_owned());
        }
        self
    }
}

impl std::error::Error for FieldError {}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = self.field.as_deref().unwrap_or_default();
        match &self.reason {
            Reason::Missing => write!(f, "missing required field {field:?}"),
            Reason::Expected(what) if self.field.is_none() => write!(f, "expected {what}"),
            Reason::Expected(what) => {
                write!(f, "error converting input for field {field:?}: expected {what}")
            }
        }
    }
}

/// serde's own constructors put the offending value into the text; these do not.
impl serde::de::Error for FieldError {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::expected("another kind of value")
    }
    fn invalid_type(_: serde::de::Unexpected<'_>, wanted: &dyn serde::de::Expected) -> Self {
        Self::expected(wanted.to_string())
    }
    fn invalid_value(_: serde::de::Unexpected<'_>, wanted: &dyn serde::de::Expected) -> Self {
        Self::expected(wanted.to_string())
    }
    fn invalid_length(_: usize, wanted: &dyn serde::de::Expected) -> Self {
        Self::expected(wanted.to_string())
    }
    fn unknown_variant(_: &str, wanted: &'static [&'static str]) -> Self {
        Self::expected(format!("one of: {}", wanted.join(", ")))
    }
    fn unknown_field(_: &str, wanted: &'static [&'static str]) -> Self {
        Self::expected(format!("no other fields than: {}", wanted.join(", ")))
    }
    fn missing_field(field: &'static str) -> Self {
        Self { field: Some(field.to_owned()), reason: Reason::Missing }
    }
    fn duplicate_field(field: &'static str) -> Self {
        Self::expected("the field only once").of(field)
    }
}

/// Decodes a call's fields, and notes what was in the payload for nothing.
pub(crate) fn fields<F: Fields>(call: &Call, notes: &mut Notes) -> Result<F, FieldError> {
    match &call.source {
        Source::Remembered(data) => {
            let body = body(data)?;
            F::deserialize(Top { items: body.into_iter().map(from_body).collect() })
        }
        Source::Request { captures, known } => {
            let mut body = body(&call.request.data)?;
            let mut items = Vec::with_capacity(captures.len() + body.len());
            for (name, place) in captures {
                if let Some(sent) = body.remove(&**name)
                    && sent.get() != "null"
                {
                    notes.replaced.push(name.to_string());
                }
                let value = &call.request.path[place.clone()];
                items.push((Cow::Borrowed(&**name), Input::Plain(Cow::Borrowed(value))));
            }
            if let Some(known) = known {
                let unknown = body.keys().filter(|key| known.iter().all(|k| **k != ***key));
                notes.ignored.extend(unknown.map(|key| key.to_string()));
            }
            items.extend(body.into_iter().map(from_body));
            F::deserialize(Top { items })
        }
    }
}

type Body<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

fn from_body<'a>((key, raw): (Cow<'a, str>, &'a RawValue)) -> Item<'a> {
    (key, Input::json(raw.get()))
}

/// The payload's keys with the text of their values. Of a key sent twice the last counts, as in Go.
fn body(data: &Data) -> Result<Body<'_>, FieldError> {
    if data.is_null() {
        return Ok(Body::new());
    }
    input::entries(data.as_str()).map(|entries| entries.into_iter().collect())
}

/// The fields of a request, as one map.
struct Top<'de> {
    items: Vec<Item<'de>>,
}

impl<'de> Deserializer<'de> for Top<'de> {
    type Error = FieldError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_map(Entries { items: self.items.into_iter(), value: None })
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Names and values, one after the other; an error in a value gets the name.
pub(crate) struct Entries<'de, I: Iterator<Item = Item<'de>>> {
    items: I,
    value: Option<Item<'de>>,
}

impl<'de, I: Iterator<Item = Item<'de>>> Entries<'de, I> {
    /// Over these.
    pub fn new(items: I) -> Self {
        Self { items, value: None }
    }
}

impl<'de, I: Iterator<Item = Item<'de>>> MapAccess<'de> for Entries<'de, I> {
    type Error = FieldError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, FieldError> {
        let Some((key, value)) = self.items.next() else { return Ok(None) };
        self.value = Some((key.clone(), value));
        seed.deserialize(Input::Plain(key)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, FieldError> {
        let Some((key, value)) = self.value.take() else {
            return Err(FieldError::expected("a key before its value"));
        };
        seed.deserialize(value).map_err(|error| error.of(&key))
    }

    fn size_hint(&self) -> Option<usize> {
        self.items.size_hint().1
    }
}

/// A JSON string, borrowed where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Borrowed<'a>(#[serde(borrow)] pub Cow<'a, str>);
