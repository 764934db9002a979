//! Lists of statements as clients send them: one text is one statement, whatever commas it holds.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};

/// A list whose elements are never split at commas, as lists of names are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statements(pub Vec<String>);

impl<'de> Deserialize<'de> for Statements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = Statements;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a statement or a list of statements")
            }
            fn visit_str<E>(self, text: &str) -> Result<Statements, E> {
                let one = (!text.is_empty()).then(|| text.to_owned());
                Ok(Statements(one.into_iter().collect()))
            }
            fn visit_unit<E>(self) -> Result<Statements, E> {
                Ok(Statements::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Statements, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element::<String>()? {
                    texts.push(text);
                }
                Ok(Statements(texts))
            }
        }
        deserializer.deserialize_any(Texts)
    }
}

impl JsonSchema for Statements {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Statements".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Vec::<String>::json_schema(generator)
    }
}
