//! Settings of a kind of credential: as they are sent, and as they are stored with a role.
//!
//! The private key of a certificate authority may be among them. So both are wiped when dropped and
//! have no `Debug`, and whoever reads a role is shown its settings without that key.
//!
//! Left out: what the settings mean; that is told in `credentials` and `certificate`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroize as _;

/// The setting that is a secret.
const SECRET: &str = "ca_private_key";

/// As they are sent.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Sent(BTreeMap<String, String>);

/// As they are stored, in the form of Vault's engine.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Settings(Map<String, Value>);

impl Sent {
    /// What was given; none if it is missing or empty.
    pub fn given(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|text| !text.is_empty())
    }
}

impl Settings {
    /// A text; none if it is missing, empty, or no text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.as_str().filter(|text| !text.is_empty())
    }

    /// A number.
    pub fn number(&self, key: &str) -> Option<u32> {
        u32::try_from(self.0.get(key)?.as_u64()?).ok()
    }

    /// What a reader may see; none if there is nothing.
    pub fn shown(&self) -> Option<Map<String, Value>> {
        let visible = self.0.iter().filter(|(key, _)| *key != SECRET);
        let shown: Map<_, _> = visible.map(|(key, value)| (key.clone(), value.clone())).collect();
        (!shown.is_empty()).then_some(shown)
    }
}

impl FromIterator<(&'static str, Value)> for Settings {
    fn from_iter<I: IntoIterator<Item = (&'static str, Value)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Sent {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.0.values_mut().for_each(|text| text.zeroize());
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        for value in self.0.values_mut() {
            if let Value::String(text) = value {
                text.zeroize();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_reader_is_not_shown_the_key_of_an_authority() {
        let text = r#"{"ca_cert":"c","ca_private_key":"hunter2","key_bits":256}"#;
        let settings: Settings = serde_json::from_str(text).unwrap();
        let shown = Value::Object(settings.shown().unwrap());
        assert_eq!(shown, json!({"ca_cert": "c", "key_bits": 256}));
        assert_eq!(settings.text("ca_private_key"), Some("hunter2"), "it is kept all the same");
        assert!(Settings::from_iter([("ca_private_key", json!("k"))]).shown().is_none());
    }
}
