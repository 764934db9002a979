//! Key pairs for clients, and their forms in PEM: those that Vault answers with, because that is
//! what the clients of databases are set up to read.
//!
//! Left out: keys on the curve P-224, which Go still makes; the cryptographic library has no such
//! curve.

use aws_lc_rs::{
    encoding::{AsDer, EcPrivateKeyRfc5915Der, Pkcs8V1Der, PublicKeyX509Der},
    error::Unspecified,
    rsa::{self, KeySize},
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING,
        ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair,
        KeyPair,
    },
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use boltwork_sdk::logical::SecretText;
use zeroize::Zeroizing;

/// A kind of key.
#[derive(Clone, Copy)]
pub enum KeyKind {
    Rsa(KeySize),
    Ec(&'static EcdsaSigningAlgorithm),
    Ed25519,
}

/// A key pair that was just made.
pub struct Fresh {
    /// The public key with its algorithm, DER.
    pub public: Vec<u8>,
    /// The public key alone: what key identifiers are made of.
    pub bare: Vec<u8>,
    /// PEM, in the form that is usual for its kind.
    pub private: SecretText,
}

impl KeyKind {
    /// The word in settings and replies.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rsa(_) => "rsa",
            Self::Ec(_) => "ec",
            Self::Ed25519 => "ed25519",
        }
    }

    /// Makes one. For RSA that takes hundreds of milliseconds of arithmetic.
    pub fn generate(self) -> Result<Fresh, Unspecified> {
        match self {
            Self::Rsa(size) => {
                let pair = rsa::KeyPair::generate(size)?;
                let whole: Pkcs8V1Der<'_> = pair.as_der()?;
                let inner = inside_pkcs8(whole.as_ref())?;
                fresh(&pair, "RSA PRIVATE KEY", &inner)
            }
            Self::Ec(curve) => {
                let pair = EcdsaKeyPair::generate(curve)?;
                let der: EcPrivateKeyRfc5915Der<'_> = pair.private_key().as_der()?;
                fresh(&pair, "EC PRIVATE KEY", der.as_ref())
            }
            Self::Ed25519 => {
                let pair = Ed25519KeyPair::generate()?;
                let der: Pkcs8V1Der<'_> = pair.as_der()?;
                fresh(&pair, "PRIVATE KEY", der.as_ref())
            }
        }
    }
}

fn fresh<K>(pair: &K, label: &str, private: &[u8]) -> Result<Fresh, Unspecified>
where
    K: KeyPair,
    K::PublicKey: AsDer<PublicKeyX509Der<'static>>,
{
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der()?;
    Ok(Fresh {
        public: public.as_ref().to_vec(),
        bare: pair.public_key().as_ref().to_vec(),
        private: SecretText::new(pem(label, private).trim_end()),
    })
}

/// The size of an RSA key; none if keys of this size are not made.
pub fn rsa_size(bits: u32) -> Option<KeySize> {
    match bits {
        2048 => Some(KeySize::Rsa2048),
        3072 => Some(KeySize::Rsa3072),
        4096 => Some(KeySize::Rsa4096),
        _ => None,
    }
}

/// The curve of this many bits, with the hash that fits it; none if there is none here.
pub fn curve(bits: u32) -> Option<&'static EcdsaSigningAlgorithm> {
    match bits {
        256 => Some(&ECDSA_P256_SHA256_ASN1_SIGNING),
        384 => Some(&ECDSA_P384_SHA384_ASN1_SIGNING),
        521 => Some(&ECDSA_P521_SHA512_ASN1_SIGNING),
        _ => None,
    }
}

/// The key in the form of its own kind, without the envelope that PKCS #8 puts around it.
fn inside_pkcs8(der: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
    let inner = yasna::parse_der(der, |reader| {
        reader.read_sequence(|reader| {
            reader.next().read_u8()?;
            reader.next().read_der()?;
            reader.next().read_bytes()
        })
    });
    inner.map(Zeroizing::new).map_err(|_| Unspecified)
}

/// RFC 7468: 64 characters a line.
pub fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(BASE64_STANDARD.encode(der));
    // In one piece from the start: a text that grows leaves its former self behind in memory.
    let room = body.len() + body.len() / 64 + 2 * label.len() + 64;
    let mut text = Zeroizing::new(String::with_capacity(room));
    text.extend(["-----BEGIN ", label, "-----\n"]);
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        text.extend([line, "\n"]);
        rest = more;
    }
    text.extend(["-----END ", label, "-----\n"]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_is_made_in_one_piece_of_short_lines() {
        for length in [0, 1, 47, 48, 49, 2000] {
            let text = pem("EC PRIVATE KEY", &vec![7; length]);
            let room = text.capacity();
            assert!(text.len() <= room && text.lines().all(|line| line.len() <= 64));
            let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
            assert_eq!(BASE64_STANDARD.decode(body).unwrap(), vec![7; length]);
            let estimate = (length.div_ceil(3) * 4) * 65 / 64 + 28 + 65;
            assert!(room <= estimate, "it was never moved: {room} of {estimate}");
        }
    }

    #[test]
    fn each_kind_of_key_comes_in_the_form_that_is_usual_for_it() {
        let kinds = [
            (KeyKind::Rsa(KeySize::Rsa2048), "RSA PRIVATE KEY"),
            (KeyKind::Ec(curve(256).unwrap()), "EC PRIVATE KEY"),
            (KeyKind::Ec(curve(521).unwrap()), "EC PRIVATE KEY"),
            (KeyKind::Ed25519, "PRIVATE KEY"),
        ];
        for (kind, label) in kinds {
            let made = kind.generate().unwrap();
            let text = made.private.expose();
            assert!(text.starts_with(&format!("-----BEGIN {label}-----\n")), "{label}");
            assert!(text.ends_with(&format!("-----END {label}-----")), "no line end after it");
            let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
            let der = BASE64_STANDARD.decode(body).unwrap();
            let again = match kind {
                KeyKind::Rsa(_) => {
                    rsa::KeyPair::from_der(&der).unwrap().public_key().as_ref().to_vec()
                }
                KeyKind::Ec(curve) => {
                    let pair = EcdsaKeyPair::from_private_key_der(curve, &der).unwrap();
                    pair.public_key().as_ref().to_vec()
                }
                KeyKind::Ed25519 => {
                    Ed25519KeyPair::from_pkcs8(&der).unwrap().public_key().as_ref().to_vec()
                }
            };
            assert_eq!(again, made.bare);
            assert!(made.public.ends_with(&made.bare), "the same key with its algorithm");
        }
    }
}
