//! Types for fields, where a plain Rust type does not say enough, and what a field struct tells of
//! itself for help and OpenAPI.

use std::{borrow::Cow, collections::BTreeSet, fmt, time::Duration};

use boltwork_logical::Data;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use zeroize::Zeroizing;

/// A struct that a request's fields are decoded into: derive `Deserialize` and `JsonSchema`. The
/// comment on a field is its help text; `Option` and `#[serde(default)]` make it optional.
///
/// Do not use `#[serde(flatten)]` or `#[serde(untagged)]`: serde then forgets which type is wanted,
/// and lenient reading with it. Do not store these structs: what callers send and what is stored
/// change for different reasons.
pub trait Fields: DeserializeOwned + JsonSchema + Send + 'static {}

impl<T: DeserializeOwned + JsonSchema + Send + 'static> Fields for T {}

/// The fields of a path whose only field is `{name}`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
pub struct Named {
    /// The name.
    pub name: String,
}

/// What an [invalidation](crate::Routes::invalidate) is about.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
pub struct Changed {
    /// The storage key, relative to the mount.
    pub key: String,
}

/// A duration in whole seconds, as Vault's clients write it: `3600`, `"3600"`, `"1h30m"`, `"2d"`.
/// Fractions of a second are cut off. Stored and answered as a number of seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl(pub Duration);

impl Ttl {
    /// From seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Whole seconds.
    pub const fn as_secs(self) -> u64 {
        self.0.as_secs()
    }

    /// Whether it is zero, which mostly means "the mount's default".
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl From<Duration> for Ttl {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

/// Reads what a field would accept as text.
impl std::str::FromStr for Ttl {
    type Err = NotADuration;

    fn from_str(text: &str) -> Result<Self, NotADuration> {
        crate::decode::seconds(text).map(Self::seconds).map_err(|_| NotADuration)
    }
}

/// A text that is no duration. Does not quote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a duration: give seconds, or numbers with units such as 1h30m")]
pub struct NotADuration;

impl From<Ttl> for Duration {
    fn from(ttl: Ttl) -> Self {
        ttl.0
    }
}

impl Serialize for Ttl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.as_secs())
    }
}

/// The name under which [`Ttl`] makes itself known to the lenient decoder.
pub(crate) const TTL: &str = "$boltwork::Ttl";
/// The same for [`Base64`].
pub(crate) const BASE64: &str = "$boltwork::Base64";
/// The same for [`Json`].
pub(crate) const JSON: &str = "$boltwork::Json";

impl<'de> Deserialize<'de> for Ttl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seconds;
        impl<'de> serde::de::Visitor<'de> for Seconds {
            type Value = Ttl;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of seconds")
            }
            fn visit_u64<E>(self, seconds: u64) -> Result<Ttl, E> {
                Ok(Ttl::seconds(seconds))
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, d: D) -> Result<Ttl, D::Error> {
                u64::deserialize(d).map(Ttl::seconds)
            }
        }
        deserializer.deserialize_newtype_struct(TTL, Seconds)
    }
}

impl JsonSchema for Ttl {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Ttl".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "format": "duration" })
    }
}

/// Bytes that the caller sends in base64 (standard alphabet, padded). Wiped when dropped; not shown
/// by `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Base64(pub Zeroizing<Vec<u8>>);

impl std::ops::Deref for Base64 {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Base64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Base64({} bytes)", self.0.len())
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use base64::{Engine as _, prelude::BASE64_STANDARD};
        serializer.serialize_str(&Zeroizing::new(BASE64_STANDARD.encode(&*self.0)))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> serde::de::Visitor<'de> for Text {
            type Value = Base64;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("base64 text")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Base64, E> {
                use base64::{Engine as _, prelude::BASE64_STANDARD};
                let bytes = BASE64_STANDARD.decode(text);
                let bytes = bytes.map_err(|_| E::custom("expected base64 text"))?;
                Ok(Base64(Zeroizing::new(bytes)))
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, d: D) -> Result<Base64, D::Error> {
                d.deserialize_str(self)
            }
        }
        deserializer.deserialize_newtype_struct(BASE64, Text)
    }
}

impl JsonSchema for Base64 {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Base64".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "format": "byte" })
    }
}

/// A JSON object that is kept as the text it came as: for payloads that the engine stores or hands
/// on without looking inside. A string that holds a JSON object is read as that object.
#[derive(Debug, Clone, Default)]
pub struct Json(pub Data);

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &serde_json::value::RawValue = serde_json::from_str(self.0.as_str())
            .map_err(|_| serde::ser::Error::custom("not a JSON text"))?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> serde::de::Visitor<'de> for Object {
            type Value = Json;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, d: D) -> Result<Json, D::Error> {
                let raw = Box::<serde_json::value::RawValue>::deserialize(d)?;
                let text = String::from(Box::<str>::from(raw)).into_bytes();
                let data = Data::parse(text);
                data.map(Json).map_err(|_| serde::de::Error::custom("expected a JSON object"))
            }
        }
        deserializer.deserialize_newtype_struct(JSON, Object)
    }
}

impl JsonSchema for Json {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Json".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "object" })
    }
}

/// A field of a PATCH: not sent, sent as `null`, or sent with a value. Needs `#[serde(default)]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// Not sent: leave as it is.
    #[default]
    Keep,
    /// Sent as `null`: remove.
    Remove,
    /// Sent: set.
    Set(T),
}

impl<T> Patch<T> {
    /// Changes what is stored accordingly.
    pub fn apply(self, stored: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Remove => *stored = None,
            Self::Set(value) => *stored = Some(value),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<T>::deserialize(deserializer).map(|value| value.map_or(Self::Remove, Self::Set))
    }
}

impl<T: JsonSchema> JsonSchema for Patch<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Patch_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Option::<T>::json_schema(generator)
    }
}

/// What is known of a field struct: JSON Schema, read once when the table is made.
#[derive(Debug, Clone, Default)]
pub(crate) struct FieldDocs {
    /// Name, then schema of the field.
    pub properties: std::collections::BTreeMap<String, serde_json::Value>,
    /// Names of the fields without which a request is refused.
    pub required: BTreeSet<String>,
    /// Fields of any name are taken (a map).
    pub open: bool,
    /// Definitions that the properties refer to.
    pub definitions: serde_json::Map<String, serde_json::Value>,
}

impl FieldDocs {
    /// Reads the docs off a type.
    pub fn of<F: JsonSchema>() -> Self {
        let schema = schemars::generate::SchemaSettings::openapi3()
            .with(|settings| settings.meta_schema = None)
            .into_generator()
            .into_root_schema_for::<F>();
        let list = |key: &str| schema.get(key).and_then(serde_json::Value::as_object).cloned();
        let required = schema.get("required").and_then(serde_json::Value::as_array);
        let others = schema.get("additionalProperties");
        Self {
            open: others.is_some_and(|others| others.as_bool() != Some(false)),
            properties: list("properties").unwrap_or_default().into_iter().collect(),
            required: required
                .map(|names| names.iter().filter_map(|n| n.as_str().map(str::to_owned)).collect())
                .unwrap_or_default(),
            definitions: list("components")
                .and_then(|c| c.get("schemas").and_then(|s| s.as_object().cloned()))
                .unwrap_or_default(),
        }
    }
}
