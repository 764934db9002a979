//! What users log in with: made here, by the settings of a role.

use std::collections::BTreeMap;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use boltwork_sdk::{
    Result,
    logical::{Credential, Error, SecretText, SystemView},
};
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::{instance::Instance, role::CredentialKind};

/// Length of a password that no policy decides.
const LENGTH: usize = 20;

/// What such a password is made of; of each at least one, as Vault does it.
const CHARSETS: [&[u8]; 4] =
    [b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"0123456789", b"-"];

/// Settings of a kind of credential, as they are stored with a role.
pub type Settings = Map<String, Value>;

/// A credential that was made.
#[derive(Clone)]
pub enum Made {
    Password(SecretText),
    RsaKey {
        /// PEM.
        public: Vec<u8>,
        /// PEM.
        private: SecretText,
    },
}

impl Made {
    /// What the database is given.
    pub fn credential(&self) -> Credential {
        match self {
            Self::Password(password) => Credential::Password(password.clone()),
            Self::RsaKey { public, .. } => Credential::PublicKey(public.clone()),
        }
    }

    /// What the caller is given, and under which key.
    pub fn shown(&self) -> (&'static str, &SecretText) {
        match self {
            Self::Password(password) => ("password", password),
            Self::RsaKey { private, .. } => ("rsa_private_key", private),
        }
    }
}

/// Checks the settings of a kind of credential, and fills in what was not given. None if there is
/// nothing to keep.
pub fn checked(kind: CredentialKind, sent: &BTreeMap<String, String>) -> Result<Option<Settings>> {
    let failed =
        |why: String| Error::invalid(format!("credential_config validation failed: {why}"));
    let given = |key: &str| sent.get(key).filter(|value| !value.is_empty());
    match kind {
        CredentialKind::Password => Ok(given("password_policy").map(|policy| {
            Map::from_iter([("password_policy".to_owned(), Value::String(policy.clone()))])
        })),
        CredentialKind::RsaPrivateKey => {
            if let Some(format) = given("format").filter(|f| !f.eq_ignore_ascii_case("pkcs8")) {
                return Err(failed(format!("invalid format: {format}")));
            }
            let bits = given("key_bits").map_or("2048", String::as_str);
            let number: u32 = bits.parse().unwrap_or_default();
            key_size(number).ok_or_else(|| failed(format!("invalid key_bits: {bits}")))?;
            Ok(Some(Map::from_iter([
                ("format".to_owned(), json!("pkcs8")),
                ("key_bits".to_owned(), json!(number)),
            ])))
        }
        CredentialKind::ClientCertificate => Err(failed(
            "this server makes no credentials of type client_certificate: use password or \
             rsa_private_key"
                .to_owned(),
        )),
    }
}

fn key_size(bits: u32) -> Option<KeySize> {
    match bits {
        2048 => Some(KeySize::Rsa2048),
        3072 => Some(KeySize::Rsa3072),
        4096 => Some(KeySize::Rsa4096),
        _ => None,
    }
}

/// What a credential is made by.
pub struct Recipe<'a> {
    pub kind: CredentialKind,
    /// The role's settings.
    pub settings: Option<&'a Settings>,
    /// The connection's policy for passwords, where the role has none.
    pub connection_policy: &'a str,
}

impl Recipe<'_> {
    /// Makes one.
    pub async fn make(&self, instance: &Instance, system: &dyn SystemView) -> Result<Made> {
        match self.kind {
            CredentialKind::Password => self.password(instance, system).await.map(Made::Password),
            CredentialKind::RsaPrivateKey => {
                let bits = self.settings.and_then(|settings| settings.get("key_bits")?.as_u64());
                let bits = bits.and_then(|bits| u32::try_from(bits).ok()).unwrap_or(2048);
                // Hundreds of milliseconds of arithmetic: not on a thread that serves others.
                let made = tokio::task::spawn_blocking(move || rsa_key(bits)).await;
                made.map_err(|_| Error::internal("making an RSA key was interrupted"))?
            }
            CredentialKind::ClientCertificate => {
                Err(Error::invalid("unsupported credential_type: \"client_certificate\""))
            }
        }
    }

    /// The plugin's own, if it makes them itself; by the role's policy; by the connection's; or of
    /// the default form.
    async fn password(&self, instance: &Instance, system: &dyn SystemView) -> Result<SecretText> {
        if instance.makes_passwords() {
            return instance.make_password().await;
        }
        let of_role = self.settings.and_then(|settings| settings.get("password_policy")?.as_str());
        let policy = of_role.filter(|policy| !policy.is_empty()).unwrap_or(self.connection_policy);
        if policy.is_empty() {
            return Ok(default_password());
        }
        let made = system.generate_password(policy).await;
        made.map(SecretText::from).map_err(|error| match error {
            Error::Sealed => Error::Sealed,
            error => Error::internal(format!("failed to generate password: {error}")),
        })
    }
}

fn rsa_key(bits: u32) -> Result<Made> {
    let failed = || Error::internal(format!("an RSA key of {bits} bits could not be made"));
    let pair = KeyPair::generate(key_size(bits).ok_or_else(failed)?).map_err(|_| failed())?;
    let private: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| failed())?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| failed())?;
    Ok(Made::RsaKey {
        public: pem("PUBLIC KEY", public.as_ref()).as_bytes().to_vec(),
        private: SecretText::new(pem("PRIVATE KEY", private.as_ref()).as_str()),
    })
}

/// RFC 7468: 64 characters a line.
fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(BASE64_STANDARD.encode(der));
    let mut text = Zeroizing::new(format!("-----BEGIN {label}-----\n"));
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// Twenty characters, of each sort at least one.
fn default_password() -> SecretText {
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

    #[test]
    fn an_rsa_key_is_a_pair_in_pem() {
        let Made::RsaKey { public, private } = rsa_key(2048).unwrap() else { panic!("a key") };
        let public = String::from_utf8(public).unwrap();
        assert!(public.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{public}");
        assert!(public.lines().all(|line| line.len() <= 64));
        let text = private.expose();
        let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        let der = BASE64_STANDARD.decode(body).unwrap();
        let again = KeyPair::from_pkcs8(&der).unwrap();
        let same: PublicKeyX509Der<'_> = again.public_key().as_der().unwrap();
        assert_eq!(public, pem("PUBLIC KEY", same.as_ref()).as_str());
    }

    #[test]
    fn settings_are_checked_and_filled_in() {
        let sent = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let rsa = CredentialKind::RsaPrivateKey;
        let kept = checked(rsa, &sent(&[])).unwrap().unwrap();
        assert_eq!(Value::Object(kept), json!({"format": "pkcs8", "key_bits": 2048}));
        let kept = checked(rsa, &sent(&[("key_bits", "4096")])).unwrap().unwrap();
        assert_eq!(kept["key_bits"], 4096);
        for pairs in [[("key_bits", "1024")], [("key_bits", "x")], [("format", "pkcs1")]] {
            let refused = checked(rsa, &sent(&pairs)).unwrap_err().to_string();
            assert!(
                refused.starts_with("credential_config validation failed: invalid"),
                "{refused}"
            );
        }
        assert!(checked(CredentialKind::Password, &sent(&[])).unwrap().is_none());
        assert!(checked(CredentialKind::ClientCertificate, &sent(&[])).is_err());
    }
}
