//! The details of a connection: whatever the plugin wants to know, secrets among them.

use boltwork_sdk::{Result, logical::Data};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

/// Keys whose values are secrets, by the plugins that are known. All are kept from readers; in error
/// texts their values are replaced.
const SECRET: [&str; 6] = [
    "password",
    "private_key",
    "tls_key",
    "tls_certificate_key",
    "pem_bundle",
    "service_account_json",
];

/// What a plugin said about kinds of credentials, among the details.
const SUPPORTED: &str = "supported_credential_types";

/// What to show in place of a password.
const REDACTED: &str = "xxxxx";

/// Details by key. Wiped when dropped; not shown by `Debug`.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Details(Map<String, Value>);

impl Details {
    /// From a reply of a plugin.
    pub fn of(data: &Data) -> Result<Self> {
        Ok(Self(data.fields()?))
    }

    /// As a plugin takes them.
    pub fn data(&self) -> Result<Data> {
        Ok(Data::of(&self.0)?)
    }

    /// Takes over what was sent, without the fields that are the engine's own.
    pub fn overlay(&mut self, sent: &Data, own: &[&str]) -> Result<()> {
        for (key, value) in sent.fields()? {
            if !own.contains(&key.as_str()) {
                self.0.insert(key, value);
            }
        }
        Ok(())
    }

    /// A text; none if it is missing, empty, or no text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.as_str().filter(|text| !text.is_empty())
    }

    /// Sets a text.
    pub fn set(&mut self, key: &str, text: &str) {
        self.0.insert(key.to_owned(), Value::String(text.to_owned()));
    }

    /// Whether the plugin takes credentials of this kind; passwords only, if it did not say.
    pub fn supports(&self, kind: &str) -> bool {
        match self.0.get(SUPPORTED).and_then(Value::as_array) {
            Some(kinds) => kinds.iter().any(|one| one == kind),
            None => kind == "password",
        }
    }

    /// What may be shown: without secrets, and with no password in the address.
    pub fn shown(&self) -> Map<String, Value> {
        let mut shown = self.0.clone();
        for key in SECRET {
            shown.remove(key);
        }
        if let Some(Value::String(url)) = shown.get_mut("connection_url")
            && let Some(place) = password_in(url)
        {
            url.replace_range(place, REDACTED);
        }
        shown
    }

    /// Whether the address holds a password, and not a place for one.
    pub fn has_password_in_url(&self) -> bool {
        self.text("connection_url").is_some_and(|url| password_in(url).is_some())
    }

    /// Every secret text, the longest first, so that one inside another does not spoil it.
    pub fn secrets(&self) -> Vec<Zeroizing<String>> {
        let mut found: Vec<_> = SECRET.iter().filter_map(|key| self.text(key)).collect();
        if let Some(url) = self.text("connection_url")
            && let Some(place) = password_in(url)
        {
            found.push(&url[place]);
        }
        found.sort_by_key(|text| std::cmp::Reverse(text.len()));
        found.dedup();
        found.into_iter().map(|text| Zeroizing::new(text.to_owned())).collect()
    }
}

impl Drop for Details {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Where in an address the password stands: `scheme://user:PASSWORD@host`. A `{{password}}` is a
/// place for one and does not count.
fn password_in(url: &str) -> Option<std::ops::Range<usize>> {
    let start = url.find("://")? + 3;
    let authority = &url[start..];
    let authority = &authority[..authority.find(['/', '?', '#']).unwrap_or(authority.len())];
    let user = &authority[..authority.rfind('@')?];
    let colon = user.find(':')?;
    let password = start + colon + 1..start + user.len();
    let text = &url[password.clone()];
    (!text.is_empty() && text != "{{password}}").then_some(password)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn details(value: &Value) -> Details {
        serde_json::from_value(value.clone()).unwrap()
    }

    #[test]
    fn secrets_are_not_shown_and_known_to_be_secrets() {
        let details = details(&json!({
            "connection_url": "postgresql://admin:s3cret@db:5432/app?x=:@",
            "username": "admin", "password": "hunter2", "private_key": "KEY",
        }));
        let shown = serde_json::to_string(&details.shown()).unwrap();
        for secret in ["s3cret", "hunter2", "KEY"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains("postgresql://admin:xxxxx@db:5432/app?x=:@"), "{shown}");
        let secrets: Vec<String> = details.secrets().iter().map(|s| s.to_string()).collect();
        assert_eq!(secrets, ["hunter2", "s3cret", "KEY"]);
        assert!(details.has_password_in_url());
    }

    #[test]
    fn a_place_for_a_password_is_no_password() {
        for url in [
            "postgresql://{{username}}:{{password}}@db/app",
            "postgresql://admin@db/app",
            "host=db user=a",
            "postgresql://db/a:b@c",
        ] {
            assert!(!details(&json!({"connection_url": url})).has_password_in_url(), "{url}");
        }
    }

    #[test]
    fn passwords_are_what_a_silent_plugin_takes() {
        assert!(details(&json!({})).supports("password"));
        assert!(!details(&json!({})).supports("rsa_private_key"));
        let keys = details(&json!({"supported_credential_types": ["rsa_private_key"]}));
        assert!(keys.supports("rsa_private_key") && !keys.supports("password"));
    }
}
