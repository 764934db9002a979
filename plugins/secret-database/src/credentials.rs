//! What users log in with: made here, by the settings of a role.

use std::collections::BTreeMap;

use boltwork_sdk::{
    Result,
    logical::{Error, SecretText, SystemView},
};
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{instance::Instance, role::CredentialKind};

/// Length of a password that no policy decides.
const LENGTH: usize = 20;

/// What such a password is made of; of each at least one, as Vault does it.
const CHARSETS: [&[u8]; 4] =
    [b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"0123456789", b"-"];

/// Checks the settings of a kind of credential, and fills in what was not given. None if there is
/// nothing to keep.
pub fn checked(
    kind: CredentialKind,
    sent: &BTreeMap<String, String>,
) -> Result<Option<Map<String, Value>>> {
    let failed =
        |why: String| Error::invalid(format!("credential_config validation failed: {why}"));
    match kind {
        CredentialKind::Password => {
            let policy = sent.get("password_policy").filter(|policy| !policy.is_empty());
            Ok(policy.map(|policy| {
                Map::from_iter([("password_policy".to_owned(), Value::String(policy.clone()))])
            }))
        }
        other => Err(failed(format!(
            "credentials of type {} are not made by this server",
            other.as_str()
        ))),
    }
}

/// A password: the plugin's own, if it makes them itself; by the role's policy; by the connection's;
/// or of the default form.
pub async fn password(
    instance: &Instance,
    system: &dyn SystemView,
    role: Option<&Map<String, Value>>,
    connection_policy: &str,
) -> Result<SecretText> {
    if instance.makes_passwords() {
        return instance.make_password().await;
    }
    let of_role = role.and_then(|config| config.get("password_policy")?.as_str());
    let policy = of_role.filter(|policy| !policy.is_empty()).unwrap_or(connection_policy);
    if policy.is_empty() {
        return Ok(default_password());
    }
    let made = system.generate_password(policy).await;
    made.map(SecretText::from).map_err(|error| match error {
        Error::Sealed => Error::Sealed,
        error => Error::internal(format!("failed to generate password: {error}")),
    })
}

/// Twenty characters, of each sort at least one.
pub fn default_password() -> SecretText {
    let mut random = rand::rng();
    let all = CHARSETS.concat();
    let mut text = Zeroizing::new(Vec::with_capacity(LENGTH));
    for charset in CHARSETS {
        text.extend(charset.choose(&mut random));
    }
    while text.len() < LENGTH {
        text.extend(all.choose(&mut random));
    }
    text.shuffle(&mut random);
    // Only ASCII went in.
    SecretText::new(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_password_has_of_every_sort() {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..200 {
            let password = default_password();
            let text = password.expose();
            assert_eq!(text.len(), LENGTH);
            for charset in CHARSETS {
                assert!(text.bytes().any(|byte| charset.contains(&byte)), "{text}");
            }
            assert!(seen.insert(text.to_owned()), "no password comes twice");
        }
    }
}
