//! serde's questions to a value: the type that is wanted decides how it is read.

use std::borrow::Cow;

use serde::{
    de::{DeserializeSeed, Deserializer, SeqAccess, Visitor, value::StringDeserializer},
    forward_to_deserialize_any,
};
use zeroize::Zeroizing;

use super::{Entries, FieldError, input::Input};
use crate::fields::{BASE64, JSON, TTL};

/// What is said where no type of ours is wanted.
const ANOTHER: &str = "another kind of value";

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
            let wanted =
                || FieldError::expected(concat!("a whole number that fits ", stringify!($type)));
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
            Self::Json(json) => strictly(json, Parser::Any, visitor, ANOTHER),
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
        if self.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        match name {
            TTL => visitor.visit_u64(self.seconds()?),
            BASE64 => {
                let text = Zeroizing::new(self.text()?.into_owned());
                let read: Result<_, FieldError> = visitor.visit_str(&text);
                read.map_err(|_| FieldError::expected("base64 text"))
            }
            JSON => strictly(self.object()?, Parser::Newtype, visitor, "a JSON object"),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_seq(Elements(self.list()?.into_iter()))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_map(Entries::new(self.map()?.into_iter()))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        if let Self::Json(Cow::Borrowed(json)) = self
            && json.starts_with('{')
        {
            let mut parser = serde_json::Deserializer::from_str(json);
            let outcome = parser.deserialize_enum(name, variants, visitor);
            let wanted = |_| FieldError::expected(format!("one of: {}", variants.join(", ")));
            return outcome.map_err(wanted);
        }
        visitor.visit_enum(StringDeserializer::new(self.text()?.into_owned()))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
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

/// How a JSON text is handed to a visitor that takes JSON as it is.
enum Parser {
    Any,
    Newtype,
}

/// Has serde_json read a text, without leniency. Its own errors quote values and are dropped.
fn strictly<'de, V: Visitor<'de>>(
    json: Cow<'de, str>,
    how: Parser,
    visitor: V,
    wanted: &'static str,
) -> Result<V::Value, FieldError> {
    fn read<'de, D: Deserializer<'de>, V: Visitor<'de>>(
        parser: D,
        how: Parser,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        match how {
            Parser::Any => parser.deserialize_any(visitor),
            Parser::Newtype => visitor.visit_newtype_struct(parser),
        }
    }
    let outcome = match &json {
        Cow::Borrowed(json) => read(&mut serde_json::Deserializer::from_str(json), how, visitor),
        // From a reader, because the visitor may not borrow what ends with this call.
        Cow::Owned(json) => {
            let mut parser = serde_json::Deserializer::from_reader(json.as_bytes());
            read(&mut parser, how, visitor)
        }
    };
    outcome.map_err(|_| FieldError::expected(wanted))
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
