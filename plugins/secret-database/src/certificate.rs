//! Client certificates: the settings of a role that makes them, and the making.
//!
//! What a database learns is the subject only; the certificate and its key go to the caller. The
//! settings, their defaults and the texts of refusals are those of Vault's engine.
//!
//! Left out: how a certificate looks and is signed (`authority`), and how keys are made (`keys`).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use boltwork_sdk::{UsernameData, UsernameTemplate, logical::SecretText};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::{
    authority::{Authority, Order},
    keys::{KeyKind, curve, pem, rsa_size},
    settings::{Sent, Settings},
};

/// Certificates begin this long before they are made: clocks of databases may be late.
const EARLIER: Duration = Duration::from_secs(30);

/// A certificate that was made, and its key.
#[derive(Clone)]
pub struct ClientCertificate {
    /// What the database is told: `CN=...`.
    pub subject: String,
    /// PEM.
    pub certificate: String,
    /// PEM.
    pub private_key: SecretText,
    /// `rsa`, `ec` or `ed25519`.
    pub key_type: &'static str,
}

/// Whom it is for.
#[derive(Clone)]
pub struct Holder {
    /// The caller's name.
    pub display_name: String,
    /// The role's name.
    pub role_name: String,
    /// When the user ends, and the certificate with it.
    pub end: SystemTime,
}

/// The settings, whether they were sent or stored. Without `Debug`: a key is among them.
struct Fields<'a> {
    key_type: &'a str,
    key_bits: Option<u32>,
    signature_bits: Option<u32>,
    common_name_template: &'a str,
    ca_cert: &'a str,
    ca_private_key: &'a str,
}

/// The settings, understood.
struct Plan {
    kind: KeyKind,
    key_bits: Option<u32>,
    signature_bits: u32,
    template: UsernameTemplate,
    authority: Authority,
}

/// Checks what was sent and fills in what was not.
pub fn checked(sent: &Sent) -> Result<Settings, String> {
    let text = |key| sent.given(key).unwrap_or_default();
    let number = |key: &str| match sent.given(key) {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| format!("invalid {key}")),
    };
    let fields = Fields {
        key_type: text("key_type"),
        key_bits: number("key_bits")?,
        signature_bits: number("signature_bits")?,
        common_name_template: text("common_name_template"),
        ca_cert: text("ca_cert"),
        ca_private_key: text("ca_private_key"),
    };
    let plan = Plan::new(&fields)?;
    let pairs = [
        ("ca_cert", json!(fields.ca_cert)),
        ("ca_private_key", json!(fields.ca_private_key)),
        ("common_name_template", json!(fields.common_name_template)),
        ("key_type", json!(fields.key_type)),
        ("key_bits", json!(plan.key_bits)),
        ("signature_bits", json!(plan.signature_bits)),
    ];
    Ok(pairs.into_iter().filter(|(_, value)| *value != Value::Null).collect())
}

/// Makes a certificate by a role's settings. A key may take hundreds of milliseconds of arithmetic.
pub fn make(settings: &Settings, holder: &Holder) -> Result<ClientCertificate, String> {
    let text = |key| settings.text(key).unwrap_or_default();
    let plan = Plan::new(&Fields {
        key_type: text("key_type"),
        key_bits: settings.number("key_bits"),
        signature_bits: settings.number("signature_bits"),
        common_name_template: text("common_name_template"),
        ca_cert: text("ca_cert"),
        ca_private_key: text("ca_private_key"),
    });
    let plan = plan.map_err(|why| format!("failed to construct credential generator: {why}"))?;
    plan.make(holder).map_err(|why| format!("failed to generate client certificate: {why}"))
}

impl Plan {
    fn new(fields: &Fields<'_>) -> Result<Self, String> {
        let (kind, key_bits) = key_kind(fields.key_type, fields.key_bits.unwrap_or_default())?;
        let signature_bits = match fields.signature_bits.unwrap_or_default() {
            0 => 256,
            bits @ (256 | 384 | 512) => bits,
            _ => return Err("invalid signature_bits".to_owned()),
        };
        for (key, text) in [
            ("common_name_template", fields.common_name_template),
            ("ca_cert", fields.ca_cert),
            ("ca_private_key", fields.ca_private_key),
        ] {
            if text.is_empty() {
                return Err(format!("missing required {key}"));
            }
        }
        let template = UsernameTemplate::parse(fields.common_name_template)
            .map_err(|error| format!("failed to create template: {error}"))?;
        template
            .generate(UsernameData::default())
            .map_err(|error| format!("invalid common_name_template: {error}"))?;
        let authority = Authority::read(fields.ca_cert, fields.ca_private_key)?;
        Ok(Self { kind, key_bits, signature_bits, template, authority })
    }

    fn make(&self, holder: &Holder) -> Result<ClientCertificate, String> {
        let data =
            UsernameData { display_name: &holder.display_name, role_name: &holder.role_name };
        let name = self.template.generate(data).map_err(|error| error.to_string())?;
        if name.is_empty() {
            // A database could take such a subject for anybody's.
            return Err("common_name_template made an empty name: let it name something that is \
                        never empty, such as {{random 20}}"
                .to_owned());
        }
        let key = self
            .kind
            .generate()
            .map_err(|_| format!("a key of type {} could not be made", self.kind.word()))?;
        let now = SystemTime::now();
        let der = self.authority.certify(&Order {
            common_name: &name,
            key: &key,
            not_before: second(now.checked_sub(EARLIER).unwrap_or(now))?,
            not_after: second(holder.end)?,
            signature_bits: self.signature_bits,
        })?;
        Ok(ClientCertificate {
            subject: format!("CN={}", escaped(&name)),
            certificate: pem("CERTIFICATE", &der).trim_end().to_owned(),
            private_key: key.private,
            key_type: self.kind.word(),
        })
    }
}

/// The kind of key, and its bits as they are to be kept.
fn key_kind(word: &str, bits: u32) -> Result<(KeyKind, Option<u32>), String> {
    let invalid = || "invalid key_bits".to_owned();
    match (word, bits) {
        ("rsa", bits) => {
            let bits = if bits == 0 { 2048 } else { bits };
            Ok((KeyKind::Rsa(rsa_size(bits).ok_or_else(invalid)?), Some(bits)))
        }
        ("ec", 224) => {
            Err("invalid key_bits: this server makes no keys of 224 bits; use 256, 384 \
                            or 521"
                .to_owned())
        }
        ("ec", bits) => {
            let bits = if bits == 0 { 256 } else { bits };
            Ok((KeyKind::Ec(curve(bits).ok_or_else(invalid)?), Some(bits)))
        }
        // Their length is fixed; what was given is kept, and is of no effect.
        ("ed25519", bits) => Ok((KeyKind::Ed25519, Some(bits).filter(|bits| *bits != 0))),
        _ => Err("invalid key_type".to_owned()),
    }
}

/// Certificates know whole seconds only.
fn second(at: SystemTime) -> Result<OffsetDateTime, String> {
    let failed = || "the time of its end is out of range: shorten the role's ttl".to_owned();
    let since = at.duration_since(UNIX_EPOCH).map_err(|_| failed())?.as_secs();
    let since = i64::try_from(since).map_err(|_| failed())?;
    OffsetDateTime::from_unix_timestamp(since).map_err(|_| failed())
}

/// A value within a subject, as RFC 2253 writes it.
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut text = String::with_capacity(value.len());
    for (place, c) in value.chars().enumerate() {
        let special = match c {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => true,
            ' ' => place == 0 || place == last,
            '#' => place == 0,
            _ => false,
        };
        if special {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
#[path = "certificate_tests.rs"]
mod tests;
