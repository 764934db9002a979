//! Certificates are checked by others: by the verifier of a TLS server, and by a reader of X.509.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519, PKCS_RSA_SHA256,
    SignatureAlgorithm,
};
use rustls::{RootCertStore, crypto::aws_lc_rs::default_provider, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, UnixTime, pem::PemObject as _};
use x509_parser::prelude::{FromDer as _, ParsedExtension, X509Certificate};

use super::*;

const TEMPLATE: &str = "{{.RoleName}}-{{.DisplayName | uppercase}}";

/// An authority with its certificate and key in PEM.
fn authority(algorithm: &'static SignatureAlgorithm, is_ca: IsCa) -> (String, String) {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = is_ca;
    params.distinguished_name.push(DnType::OrganizationName, "Boltwork");
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn ca() -> (String, String) {
    authority(&PKCS_ECDSA_P256_SHA256, IsCa::Ca(BasicConstraints::Unconstrained))
}

fn holder() -> Holder {
    let end = SystemTime::now() + Duration::from_secs(3600);
    Holder { display_name: "alice".into(), role_name: "app".into(), end }
}

fn sent(ca: &(String, String), more: &[(&str, &str)]) -> Sent {
    let mut pairs = serde_json::Map::from_iter([
        ("ca_cert".to_owned(), json!(ca.0)),
        ("ca_private_key".to_owned(), json!(ca.1)),
        ("common_name_template".to_owned(), json!(TEMPLATE)),
        ("key_type".to_owned(), json!("ec")),
    ]);
    pairs.extend(more.iter().map(|(key, value)| ((*key).to_owned(), json!(value))));
    serde_json::from_value(Value::Object(pairs)).unwrap()
}

fn made(ca: &(String, String), more: &[(&str, &str)]) -> ClientCertificate {
    make(&checked(&sent(ca, more)).unwrap(), &holder()).unwrap()
}

fn der(certificate: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()
}

/// As a TLS server decides about a client.
fn verified(ca: &str, certificate: &str, at: SystemTime) -> bool {
    let provider = Arc::new(default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(der(ca)).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let now = UnixTime::since_unix_epoch(at.duration_since(UNIX_EPOCH).unwrap());
    verifier.build().unwrap().verify_client_cert(&der(certificate), &[], now).is_ok()
}

#[test]
fn a_server_that_trusts_the_authority_trusts_the_client_as_long_as_its_lease() {
    let ca = ca();
    let made = made(&ca, &[]);
    let (now, second) = (SystemTime::now(), Duration::from_secs(1));
    assert!(verified(&ca.0, &made.certificate, now));
    assert!(verified(&ca.0, &made.certificate, now + 3590 * second));
    assert!(!verified(&ca.0, &made.certificate, now + 3602 * second), "the lease is over");
    assert!(verified(&ca.0, &made.certificate, now - 20 * second), "a clock that is late");
    assert!(!verified(&ca.0, &made.certificate, now - 60 * second));
    assert!(!verified(&self::ca().0, &made.certificate, now), "another authority");
}

#[test]
fn authorities_of_every_kind_of_key_sign() {
    let algorithms = [
        &PKCS_RSA_SHA256,
        &PKCS_ECDSA_P256_SHA256,
        &PKCS_ECDSA_P384_SHA384,
        &PKCS_ECDSA_P521_SHA512,
        &PKCS_ED25519,
    ];
    for algorithm in algorithms {
        let ca = authority(algorithm, IsCa::Ca(BasicConstraints::Unconstrained));
        for bits in ["256", "384", "512"] {
            let made = made(&ca, &[("signature_bits", bits)]);
            assert!(verified(&ca.0, &made.certificate, SystemTime::now()), "{algorithm:?} {bits}");
        }
    }
}

#[test]
fn the_certificate_says_who_may_do_what_and_nothing_more() {
    let ca = authority(&PKCS_RSA_SHA256, IsCa::Ca(BasicConstraints::Unconstrained));
    let made = made(&ca, &[("signature_bits", "384")]);
    assert_eq!(made.subject, "CN=app-ALICE");
    let (client, issuer) = (der(&made.certificate), der(&ca.0));
    let (_, client) = X509Certificate::from_der(&client).unwrap();
    let (_, issuer) = X509Certificate::from_der(&issuer).unwrap();
    assert_eq!(client.subject().to_string(), "CN=app-ALICE");
    assert_eq!(client.issuer().as_raw(), issuer.subject().as_raw());
    assert!(!client.is_ca() && client.extensions().len() == 4);
    assert_eq!(client.key_usage().unwrap().unwrap().value.flags, 1, "digital signatures");
    let usage = client.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth && !usage.any);
    let sha384_with_rsa = "1.2.840.113549.1.1.12";
    assert_eq!(client.signature_algorithm.algorithm.to_id_string(), sha384_with_rsa);
    let id = |certificate: &X509Certificate<'_>, own| {
        certificate.extensions().iter().find_map(|one| match one.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) if own => Some(id.0.to_vec()),
            ParsedExtension::AuthorityKeyIdentifier(id) if !own => {
                Some(id.key_identifier.as_ref()?.0.to_vec())
            }
            _ => None,
        })
    };
    assert!(id(&issuer, true).is_some() && id(&client, false) == id(&issuer, true));
    assert_eq!(id(&client, true).unwrap().len(), 20);
    let serial = client.tbs_certificate.raw_serial();
    assert!(serial.len() == 20 && serial[0] < 0x80);
    let lifetime = client.validity.not_after.timestamp() - client.validity.not_before.timestamp();
    assert!((3629..=3631).contains(&lifetime), "{lifetime}");
}

/// Two parts of one kind, as directories have them: `DC=example, DC=com`.
#[test]
fn the_name_of_the_authority_survives_byte_for_byte() {
    let domain = [0, 9, 2342, 19_200_300, 100, 1, 25];
    let name = yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            for part in ["com", "example"] {
                writer.next().write_set(|writer| {
                    writer.next().write_sequence(|writer| {
                        let oid = yasna::models::ObjectIdentifier::from_slice(&domain);
                        writer.next().write_oid(&oid);
                        writer.next().write_ia5_string(part);
                    });
                });
            }
        });
    });
    // A certificate with that name: the one of an authority, with the name put in and not signed
    // again. An anchor's own signature is nobody's concern.
    let (certificate, key) = ca();
    let old = der(&certificate);
    let (_, read) = X509Certificate::from_der(&old).unwrap();
    let tbs = read.tbs_certificate.as_ref();
    let tbs = yasna::parse_der(tbs, |reader| reader.collect_sequence_of(|part| part.read_der()));
    let mut parts = tbs.unwrap();
    (parts[3], parts[5]) = (name.clone(), name.clone());
    let certificate = yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_sequence(|writer| {
                parts.iter().for_each(|part| writer.next().write_der(part));
            });
            writer.next().write_der(&yasna::construct_der(|writer| {
                writer.write_sequence(|writer| {
                    let oid = [1, 2, 840, 10045, 4, 3, 2];
                    let oid = yasna::models::ObjectIdentifier::from_slice(&oid);
                    writer.next().write_oid(&oid);
                });
            }));
            let signature = read.signature_value.data.as_ref();
            writer.next().write_bitvec_bytes(signature, signature.len() * 8);
        });
    });
    let ca = (pem("CERTIFICATE", &certificate).to_string(), key);
    let made = made(&ca, &[]);
    assert!(verified(&ca.0, &made.certificate, SystemTime::now()));
    let client = der(&made.certificate);
    let (_, client) = X509Certificate::from_der(&client).unwrap();
    assert_eq!(client.issuer().as_raw(), name);
}

#[test]
fn keys_are_of_the_type_and_size_that_was_asked_for() {
    let ca = ca();
    for (word, given, kept, size) in [
        ("rsa", "", json!(2048), 2048),
        ("rsa", "3072", json!(3072), 3072),
        ("ec", "0", json!(256), 256),
        ("ec", "384", json!(384), 384),
        ("ec", "521", json!(521), 521),
        ("ed25519", "", Value::Null, 0),
        ("ed25519", "7", json!(7), 0),
    ] {
        let settings = checked(&sent(&ca, &[("key_type", word), ("key_bits", given)])).unwrap();
        let shown = settings.shown().unwrap();
        assert_eq!(shown.get("key_bits").cloned().unwrap_or_default(), kept, "{word}");
        assert_eq!((&shown["signature_bits"], &shown["key_type"]), (&json!(256), &json!(word)));
        let made = make(&settings, &holder()).unwrap();
        assert_eq!(made.key_type, word);
        assert!(verified(&ca.0, &made.certificate, SystemTime::now()), "{word} {given}");
        let client = der(&made.certificate);
        let (_, client) = X509Certificate::from_der(&client).unwrap();
        let key = client.public_key().parsed().unwrap();
        // The curve of 521 bits is counted in whole bytes, as is the one of 25519.
        let counted = if word == "ed25519" { key.key_size() } else { size };
        assert_eq!(key.key_size().div_ceil(8), counted.div_ceil(8), "{word} {given}");
    }
}

#[test]
fn the_key_belongs_to_the_certificate() {
    let ca = ca();
    for word in ["rsa", "ec", "ed25519"] {
        let made = made(&ca, &[("key_type", word)]);
        // As a client of a database sets up its side of TLS.
        let key =
            rustls_pki_types::PrivateKeyDer::from_pem_slice(made.private_key.expose().as_bytes());
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_client_auth_cert(vec![der(&made.certificate)], key.unwrap());
        assert!(config.is_ok(), "{word}: {:?}", config.err());
    }
}

#[test]
fn settings_that_cannot_work_are_refused_in_the_words_of_vault_and_without_the_key() {
    let (ca, other) = (ca(), ca());
    let plain = authority(&PKCS_ECDSA_P256_SHA256, IsCa::NoCa);
    let explicit = authority(&PKCS_ECDSA_P256_SHA256, IsCa::ExplicitNoCa);
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----";
    let new = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----";
    let both = format!("{}\n{}", ca.1, other.1);
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("key_type", "")], "invalid key_type"),
        (&[("key_type", "RSA")], "invalid key_type"),
        (&[("key_bits", "2048")], "invalid key_bits"),
        (&[("key_bits", "x")], "invalid key_bits"),
        (&[("key_bits", "224")], "invalid key_bits: this server makes no keys of 224 bits"),
        (&[("key_type", "rsa"), ("key_bits", "1024")], "invalid key_bits"),
        (&[("signature_bits", "1")], "invalid signature_bits"),
        (&[("common_name_template", "")], "missing required common_name_template"),
        (&[("common_name_template", "{{x")], "failed to create template: unable to parse"),
        (&[("common_name_template", "{{.No}}")], "failed to create template: unable to parse"),
        (
            &[("common_name_template", "{{truncate 0 .RoleName}}")],
            "invalid common_name_template: unable to apply",
        ),
        (&[("ca_cert", "")], "missing required ca_cert"),
        (&[("ca_private_key", "")], "missing required ca_private_key"),
        (&[("ca_cert", "hello")], "no data found in PEM block"),
        (&[("ca_private_key", "hunter2")], "no data found in PEM block"),
        (&[("ca_private_key", &ca.0)], "private key not found in the PEM bundle"),
        (&[("ca_private_key", &both)], "more than one private key given"),
        (&[("ca_private_key", old)], "Encrypted private key given"),
        (&[("ca_private_key", new)], "Encrypted private key given"),
        (&[("ca_private_key", &other.1)], "verification of parsed bundle failed"),
        (
            &[("ca_cert", &plain.0), ("ca_private_key", &plain.1)],
            "the given certificate is not marked for CA use",
        ),
        (
            &[("ca_cert", &explicit.0), ("ca_private_key", &explicit.1)],
            "the given certificate is not marked for CA use",
        ),
    ];
    for (more, text) in cases {
        let refused = checked(&sent(&ca, more)).err().expect(text);
        assert!(refused.starts_with(text), "{refused}, not {text}");
        assert!(!refused.contains("hunter2") && !refused.contains("-----"), "{refused}");
    }
}

#[test]
fn an_empty_name_is_not_certified() {
    let settings = checked(&sent(&ca(), &[("common_name_template", "{{.DisplayName}}")])).unwrap();
    let nobody = Holder { display_name: String::new(), ..holder() };
    let refused = make(&settings, &nobody).err().unwrap();
    assert!(refused.contains("made an empty name"), "{refused}");
}

#[test]
fn subjects_are_written_as_go_writes_them() {
    assert_eq!(escaped(r#"a,b+"c\<d>;e"#), r#"a\,b\+\"c\\\<d\>\;e"#);
    assert_eq!(escaped(" #a # "), r"\ #a #\ ");
    assert_eq!(escaped("#a"), r"\#a");
    assert_eq!(escaped("é"), "é");
    let made = made(&ca(), &[("common_name_template", "é, {{.RoleName}}")]);
    assert_eq!(made.subject, r"CN=é\, app");
    let client = der(&made.certificate);
    let (_, client) = X509Certificate::from_der(&client).unwrap();
    let name = client.subject().iter_common_name().next().unwrap();
    assert_eq!(name.as_str().unwrap(), "é, app");
}
