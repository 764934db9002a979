//! A certificate authority: its certificate and its key, and certificates for clients signed by it.
//!
//! The certificate is put together here, not by a library, because the issuer's name must be the
//! authority's name byte for byte: a name with two `DC` or `OU` parts, which is usual, has to
//! survive, or nobody can verify what was signed.
//!
//! Left out: everything that a client does not need, such as alternative names, revocation lists
//! and chains; who verifies the client has the authority's certificate already.

use aws_lc_rs::{
    digest,
    rand::SystemRandom,
    rsa,
    signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use rand::RngCore as _;
use rustls_pki_types::pem::{PemObject as _, SectionKind};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer as _, ParsedExtension, X509Certificate};
use yasna::{
    DERWriter, Tag,
    models::{GeneralizedTime, ObjectIdentifier, UTCTime},
};
use zeroize::Zeroizing;

use crate::keys::{Fresh, curve};

const COMMON_NAME: &[u64] = &[2, 5, 4, 3];
const SUBJECT_KEY: &[u64] = &[2, 5, 29, 14];
const KEY_USAGE: &[u64] = &[2, 5, 29, 15];
const AUTHORITY_KEY: &[u64] = &[2, 5, 29, 35];
const EXTENDED_USAGE: &[u64] = &[2, 5, 29, 37];
const CLIENT_AUTH: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 3, 2];

/// An authority that can sign.
pub struct Authority {
    /// Its name, DER.
    name: Vec<u8>,
    /// The identifier of its key, if its certificate has one.
    key_id: Option<Vec<u8>>,
    key: Key,
}

enum Key {
    Rsa(rsa::KeyPair),
    /// With the bits of its curve.
    Ec(EcdsaKeyPair, u32),
    Ed25519(Ed25519KeyPair),
}

/// What was found in PEM, DER.
#[derive(Default)]
struct Bundle {
    certificates: Vec<Vec<u8>>,
    keys: Vec<Zeroizing<Vec<u8>>>,
}

/// What is to be certified.
pub struct Order<'a> {
    pub common_name: &'a str,
    pub key: &'a Fresh,
    pub not_before: OffsetDateTime,
    pub not_after: OffsetDateTime,
    /// Of the hash, where the authority's key leaves a choice.
    pub signature_bits: u32,
}

impl Authority {
    /// Reads the two texts in PEM. What is wrong with them is said in the words of Vault's engine;
    /// nothing of the key is ever repeated.
    pub fn read(certificate: &str, key: &str) -> Result<Self, String> {
        if is_encrypted(key) {
            let text =
                "Encrypted private key given; provide only decrypted private key in the bundle";
            return Err(text.to_owned());
        }
        let mut bundle = Bundle::default();
        bundle.take(certificate)?;
        bundle.take(key)?;
        let key = match bundle.keys.as_slice() {
            [key] => Key::read(key).ok_or("unknown private key found in the PEM bundle")?,
            [] => return Err("private key not found in the PEM bundle".to_owned()),
            _ => {
                let text = "more than one private key given; provide only one private key in the \
                            bundle";
                return Err(text.to_owned());
            }
        };
        let first = bundle.certificates.first();
        Self::of(first.ok_or("certificate not found in the PEM bundle")?, key)
    }

    fn of(certificate: &[u8], key: Key) -> Result<Self, String> {
        let (_, read) = X509Certificate::from_der(certificate)
            .map_err(|_| "certificate not found in the PEM bundle")?;
        if read.public_key().subject_public_key.data.as_ref() != key.public() {
            return Err(
                "verification of parsed bundle failed: public key of certificate does not \
                        match private key"
                    .to_owned(),
            );
        }
        let constraints = read.basic_constraints().map_err(|_| {
            "the given certificate does not meet basic constraints for CA use".to_owned()
        })?;
        if !constraints.is_some_and(|constraints| constraints.value.ca) {
            return Err("the given certificate is not marked for CA use".to_owned());
        }
        let key_id = read.extensions().iter().find_map(|one| match one.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        });
        Ok(Self { name: read.subject().as_raw().to_vec(), key_id, key })
    }

    /// Signs a certificate for a client. DER.
    pub fn certify(&self, order: &Order<'_>) -> Result<Vec<u8>, String> {
        let (not_before, not_after) = (moment(order.not_before)?, moment(order.not_after)?);
        let mut serial = [0; 20];
        rand::rng().fill_bytes(&mut serial);
        // A positive number of always the same length.
        serial[0] = serial[0] & 0x7f | 0x40;
        let body = yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_tagged(Tag::context(0), |writer| writer.write_u8(2));
                writer.next().write_bigint_bytes(&serial, true);
                self.key.write_algorithm(writer.next(), order.signature_bits);
                writer.next().write_der(&self.name);
                writer.next().write_sequence(|writer| {
                    writer.next().write_der(&not_before);
                    writer.next().write_der(&not_after);
                });
                write_name(writer.next(), order.common_name);
                writer.next().write_der(&order.key.public);
                writer.next().write_tagged(Tag::context(3), |writer| {
                    self.write_extensions(writer, &order.key.bare);
                });
            });
        });
        let signature = self.key.sign(&body, order.signature_bits)?;
        Ok(yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_der(&body);
                self.key.write_algorithm(writer.next(), order.signature_bits);
                writer.next().write_bitvec_bytes(&signature, signature.len() * 8);
            });
        }))
    }

    fn write_extensions(&self, writer: DERWriter<'_>, public: &[u8]) {
        let own_id = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, public);
        writer.write_sequence(|writer| {
            // Digital signatures only: the first of the bits.
            write_extension(writer.next(), KEY_USAGE, true, |writer| {
                writer.write_bitvec_bytes(&[0x80], 1);
            });
            write_extension(writer.next(), EXTENDED_USAGE, false, |writer| {
                writer.write_sequence(|writer| write_oid(writer.next(), CLIENT_AUTH));
            });
            write_extension(writer.next(), SUBJECT_KEY, false, |writer| {
                writer.write_bytes(own_id.as_ref());
            });
            if let Some(id) = &self.key_id {
                write_extension(writer.next(), AUTHORITY_KEY, false, |writer| {
                    writer.write_sequence(|writer| {
                        let tag = Tag::context(0);
                        writer.next().write_tagged_implicit(tag, |writer| writer.write_bytes(id));
                    });
                });
            }
        });
    }
}

impl Bundle {
    fn take(&mut self, text: &str) -> Result<(), String> {
        let mut found = false;
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()) {
            let (kind, der) = section.map_err(|_| "no data found in PEM block")?;
            found = true;
            match kind {
                SectionKind::Certificate => self.certificates.push(der),
                SectionKind::PrivateKey
                | SectionKind::RsaPrivateKey
                | SectionKind::EcPrivateKey => self.keys.push(Zeroizing::new(der)),
                _ => {}
            }
        }
        if found { Ok(()) } else { Err("no data found in PEM block".to_owned()) }
    }
}

/// Whether a passphrase is needed, in the old form (a header of the section) or the new one.
fn is_encrypted(key: &str) -> bool {
    key.contains("-----BEGIN ENCRYPTED") || key.contains("Proc-Type: 4,ENCRYPTED")
}

impl Key {
    /// None if it is no key, or none of a kind that can sign here.
    fn read(der: &[u8]) -> Option<Self> {
        let rsa = rsa::KeyPair::from_pkcs8(der).or_else(|_| rsa::KeyPair::from_der(der));
        if let Ok(pair) = rsa {
            return Some(Self::Rsa(pair));
        }
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8(der) {
            return Some(Self::Ed25519(pair));
        }
        [256, 384, 521].into_iter().find_map(|bits| {
            let pair = EcdsaKeyPair::from_private_key_der(curve(bits)?, der).ok()?;
            Some(Self::Ec(pair, bits))
        })
    }

    fn public(&self) -> &[u8] {
        match self {
            Self::Rsa(pair) => pair.public_key().as_ref(),
            Self::Ec(pair, _) => pair.public_key().as_ref(),
            Self::Ed25519(pair) => pair.public_key().as_ref(),
        }
    }

    /// Only RSA leaves a choice of the hash; a curve has the one that fits it.
    fn write_algorithm(&self, writer: DERWriter<'_>, bits: u32) {
        let oid: &[u64] = match (self, bits) {
            (Self::Rsa(_), 384) => &[1, 2, 840, 113_549, 1, 1, 12],
            (Self::Rsa(_), 512) => &[1, 2, 840, 113_549, 1, 1, 13],
            (Self::Rsa(_), _) => &[1, 2, 840, 113_549, 1, 1, 11],
            (Self::Ec(_, 384), _) => &[1, 2, 840, 10045, 4, 3, 3],
            (Self::Ec(_, 521), _) => &[1, 2, 840, 10045, 4, 3, 4],
            (Self::Ec(..), _) => &[1, 2, 840, 10045, 4, 3, 2],
            (Self::Ed25519(_), _) => &[1, 3, 101, 112],
        };
        writer.write_sequence(|writer| {
            write_oid(writer.next(), oid);
            if matches!(self, Self::Rsa(_)) {
                writer.next().write_null();
            }
        });
    }

    fn sign(&self, message: &[u8], bits: u32) -> Result<Vec<u8>, String> {
        let random = SystemRandom::new();
        let signed = match self {
            Self::Rsa(pair) => {
                let hash = match bits {
                    384 => &signature::RSA_PKCS1_SHA384,
                    512 => &signature::RSA_PKCS1_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(hash, &random, message, &mut signature).map(|()| signature)
            }
            Self::Ec(pair, _) => pair.sign(&random, message).map(|made| made.as_ref().to_vec()),
            Self::Ed25519(pair) => pair.try_sign(message).map(|made| made.as_ref().to_vec()),
        };
        signed.map_err(|_| "the key of the authority cannot sign".to_owned())
    }
}

/// RFC 5280, 4.1.2.5: two digits for the year as long as they do.
fn moment(at: OffsetDateTime) -> Result<Vec<u8>, String> {
    let long = || GeneralizedTime::from_datetime_opt(at);
    match UTCTime::from_datetime_opt(at) {
        Some(short) => Ok(yasna::construct_der(|writer| writer.write_utctime(&short))),
        None => long()
            .map(|long| yasna::construct_der(|writer| writer.write_generalized_time(&long)))
            .ok_or_else(|| format!("a certificate cannot end in the year {}", at.year())),
    }
}

/// A name of one part.
fn write_name(writer: DERWriter<'_>, common_name: &str) {
    let plain = |c: char| c.is_ascii_alphanumeric() || " '()+,-./:=?".contains(c);
    writer.write_sequence(|writer| {
        writer.next().write_set(|writer| {
            writer.next().write_sequence(|writer| {
                write_oid(writer.next(), COMMON_NAME);
                if common_name.chars().all(plain) {
                    writer.next().write_printable_string(common_name);
                } else {
                    writer.next().write_utf8_string(common_name);
                }
            });
        });
    });
}

fn write_extension(
    writer: DERWriter<'_>,
    oid: &[u64],
    critical: bool,
    value: impl FnOnce(DERWriter<'_>),
) {
    writer.write_sequence(|writer| {
        write_oid(writer.next(), oid);
        if critical {
            writer.next().write_bool(true);
        }
        writer.next().write_bytes(&yasna::construct_der(value));
    });
}

fn write_oid(writer: DERWriter<'_>, oid: &[u64]) {
    writer.write_oid(&ObjectIdentifier::from_slice(oid));
}
