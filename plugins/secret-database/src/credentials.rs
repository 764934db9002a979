//! What users log in with: made here, by the settings of a role.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::KeyPair as _;
use boltwork_sdk::{
    Result,
    logical::{Credential, Error, SecretText, SystemView},
};
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::{
    certificate::{self, ClientCertificate, Holder},
    instance::Instance,
    keys::{pem, rsa_size},
    role::CredentialKind,
    settings::{Sent, Settings},
};

/// Length of a password that no policy decides.
const LENGTH: usize = 20;

/// What such a password is made of; of each at least one, as Vault does it.
const CHARSETS: [&[u8]; 4] =
    [b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"0123456789", b"-"];

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
    Certificate(ClientCertificate),
}

impl Made {
    /// What the database is given.
    pub fn credential(&self) -> Credential {
        match self {
            Self::Password(password) => Credential::Password(password.clone()),
            Self::RsaKey { public, .. } => Credential::PublicKey(public.clone()),
            Self::Certificate(made) => Credential::Subject(made.subject.clone()),
        }
    }

    /// What the caller is given.
    pub fn shown(&self) -> Map<String, Value> {
        let pairs = match self {
            Self::Password(password) => vec![("password", password.expose())],
            Self::RsaKey { private, .. } => vec![("rsa_private_key", private.expose())],
            Self::Certificate(made) => vec![
                ("client_certificate", made.certificate.as_str()),
                ("private_key", made.private_key.expose()),
                ("private_key_type", made.key_type),
            ],
        };
        pairs.into_iter().map(|(key, text)| (key.to_owned(), json!(text))).collect()
    }
}

/// Checks the settings of a kind of credential, and fills in what was not given. None if there is
/// nothing to keep.
pub fn checked(kind: CredentialKind, sent: &Sent) -> Result<Option<Settings>> {
    let failed =
        |why: String| Error::invalid(format!("credential_config validation failed: {why}"));
    match kind {
        CredentialKind::Password => Ok(sent
            .given("password_policy")
            .map(|policy| Settings::from_iter([("password_policy", json!(policy))]))),
        CredentialKind::RsaPrivateKey => {
            let format = sent.given("format");
            if let Some(format) = format.filter(|f| !f.eq_ignore_ascii_case("pkcs8")) {
                return Err(failed(format!("invalid format: {format}")));
            }
            let bits = sent.given("key_bits").unwrap_or("2048");
            let number: u32 = bits.parse().unwrap_or_default();
            rsa_size(number).ok_or_else(|| failed(format!("invalid key_bits: {bits}")))?;
            Ok(Some(Settings::from_iter([("format", json!("pkcs8")), ("key_bits", json!(number))])))
        }
        CredentialKind::ClientCertificate => certificate::checked(sent).map(Some).map_err(failed),
    }
}

/// What a credential is made by.
pub struct Recipe<'a> {
    pub kind: CredentialKind,
    /// The role's settings.
    pub settings: Option<&'a Settings>,
    /// The connection's policy for passwords, where the role has none.
    pub connection_policy: &'a str,
    /// Whom it is for; none for a user that exists already, which gets no certificates.
    pub holder: Option<&'a Holder>,
}

impl Recipe<'_> {
    /// Makes one.
    pub async fn make(&self, instance: &Instance, system: &dyn SystemView) -> Result<Made> {
        match self.kind {
            CredentialKind::Password => self.password(instance, system).await.map(Made::Password),
            CredentialKind::RsaPrivateKey => {
                let bits = self.settings.and_then(|settings| settings.number("key_bits"));
                let bits = bits.unwrap_or(2048);
                // Hundreds of milliseconds of arithmetic: not on a thread that serves others.
                let made = tokio::task::spawn_blocking(move || rsa_key(bits)).await;
                made.map_err(|_| Error::internal("making an RSA key was interrupted"))?
            }
            CredentialKind::ClientCertificate => self.certificate().await.map(Made::Certificate),
        }
    }

    async fn certificate(&self) -> Result<ClientCertificate> {
        let holder = self
            .holder
            .cloned()
            .ok_or_else(|| Error::invalid("unsupported credential_type: \"client_certificate\""))?;
        let settings = self.settings.cloned().unwrap_or_default();
        let made = tokio::task::spawn_blocking(move || certificate::make(&settings, &holder)).await;
        let made = made.map_err(|_| Error::internal("making a certificate was interrupted"))?;
        made.map_err(Error::internal)
    }

    /// A password: the plugin's own, if it makes them itself; by the role's policy; by the connection's; or of
    /// the default form.
    pub async fn password(
        &self,
        instance: &Instance,
        system: &dyn SystemView,
    ) -> Result<SecretText> {
        if instance.makes_passwords() {
            return instance.make_password().await;
        }
        let of_role = self.settings.and_then(|settings| settings.text("password_policy"));
        let policy = of_role.unwrap_or(self.connection_policy);
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
    let pair = KeyPair::generate(rsa_size(bits).ok_or_else(failed)?).map_err(|_| failed())?;
    let private: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| failed())?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| failed())?;
    Ok(Made::RsaKey {
        public: pem("PUBLIC KEY", public.as_ref()).as_bytes().to_vec(),
        private: SecretText::new(pem("PRIVATE KEY", private.as_ref()).as_str()),
    })
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
    use base64::{Engine as _, prelude::BASE64_STANDARD};

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
        let rsa = CredentialKind::RsaPrivateKey;
        let kept = checked(rsa, &Sent::default()).unwrap().unwrap();
        assert_eq!(
            Value::Object(kept.shown().unwrap()),
            json!({"format": "pkcs8", "key_bits": 2048})
        );
        let kept = checked(rsa, &Sent::from([("key_bits", "4096")])).unwrap().unwrap();
        assert_eq!(kept.number("key_bits"), Some(4096));
        for pairs in [[("key_bits", "1024")], [("key_bits", "x")], [("format", "pkcs1")]] {
            let refused = checked(rsa, &Sent::from(pairs)).err().unwrap().to_string();
            assert!(
                refused.starts_with("credential_config validation failed: invalid"),
                "{refused}"
            );
        }
        assert!(checked(CredentialKind::Password, &Sent::default()).unwrap().is_none());
    }
}
