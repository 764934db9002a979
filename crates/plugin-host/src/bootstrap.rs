//! Trust between this server and one plugin process of protocol 3 or 4 (wire spec 3).
//!
//! A certificate and its key are made for the process, and put into a wrapping token that the
//! process is given in its environment. It unwraps them over the server's API. Both ends then
//! present that one certificate, and accept no other.
//!
//! Left out: how a plugin's failure to do so is told (`unwrapping`).

use std::time::Duration as Life;

use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der};
use aws_lc_rs::signature::{ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use boltwork_logical::{Data, PluginServer, SecretText};
use go_plugin::tls::{Identity, PeerTls};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Serialize;
use time::{Duration, OffsetDateTime};
use zeroize::{Zeroize, Zeroizing};

use crate::HostError;

/// How long the token is good for.
const TOKEN: Life = Life::from_secs(60);
/// Go's thirty years, in hours.
const LIFETIME: Duration = Duration::hours(262_980);
/// Clocks of two processes on one machine agree; certificates start early nevertheless.
const HEAD_START: Duration = Duration::seconds(30);

/// What one process is started with.
pub(crate) struct Trust {
    /// For our end of the connections.
    pub tls: PeerTls,
    /// For the process.
    pub token: SecretText,
}

/// What is wrapped.
#[derive(Serialize)]
struct Wrapped<'a> {
    #[serde(rename = "ServerCert")]
    certificate: &'a str,
    #[serde(rename = "ServerKey")]
    key: &'a str,
}

/// Makes a certificate for one process and wraps it.
pub(crate) async fn prepare(server: &dyn PluginServer) -> Result<Trust, HostError> {
    let name = uuid::Uuid::new_v4().to_string();
    let made = make(&name)?;
    let identity = Identity::new(
        vec![made.certificate.clone()],
        &PrivateKeyDer::Pkcs8(made.pkcs8.as_slice().into()),
    )?;
    let tls = identity.with_named_peer(vec![made.certificate.clone()], &name)?;
    let key = Zeroizing::new(BASE64_STANDARD.encode(&*made.sec1));
    let certificate = BASE64_STANDARD.encode(&made.certificate);
    let data = Data::of(&Wrapped { certificate: &certificate, key: &key });
    let data =
        data.map_err(|_| HostError::Bootstrap("its certificate cannot be written".into()))?;
    let token = server.wrap(data, TOKEN).await.map_err(|error| match error {
        boltwork_logical::Error::Sealed => HostError::Closed,
        error => HostError::Bootstrap(format!("its certificate cannot be wrapped: {error}")),
    })?;
    Ok(Trust { tls, token })
}

/// A certificate with its key, in both of the key's forms.
struct Made {
    certificate: CertificateDer<'static>,
    pkcs8: Zeroizing<Vec<u8>>,
    sec1: Zeroizing<Vec<u8>>,
}

fn make(name: &str) -> Result<Made, HostError> {
    let failed = |why: &dyn std::fmt::Display| {
        HostError::Bootstrap(format!("making a certificate for it failed: {why}"))
    };
    let mut pair =
        KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).map_err(|why| failed(&why))?;
    let certificate = params(name).and_then(|it| it.self_signed(&pair));
    let pkcs8 = Zeroizing::new(pair.serialize_der());
    pair.zeroize();
    let certificate = certificate.map_err(|why| failed(&why))?.der().clone();
    // Go's plugins read the key in the form of SEC 1.
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P521_SHA512_ASN1_SIGNING, &pkcs8)
        .map_err(|why| failed(&why))?;
    let sec1: EcPrivateKeyRfc5915Der<'_> =
        key.private_key().as_der().map_err(|why| failed(&why))?;
    let sec1 = Zeroizing::new(sec1.as_ref().to_vec());
    Ok(Made { certificate, pkcs8, sec1 })
}

/// The shape of Vault's: named by a UUID, and without basic constraints.
fn params(name: &str) -> Result<CertificateParams, rcgen::Error> {
    let now = OffsetDateTime::now_utc();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    let mut serial: [u8; 16] = rand::random();
    // A set top bit would make the number negative or a byte longer.
    serial[0] &= 0x7f;
    let mut params = CertificateParams::new([name.to_owned()])?;
    params.not_before = now - HEAD_START;
    params.not_after = now + LIFETIME;
    params.serial_number = Some(SerialNumber::from(serial.to_vec()));
    params.distinguished_name = subject;
    params.is_ca = IsCa::NoCa;
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
        KeyUsagePurpose::KeyAgreement,
    ];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use boltwork_logical::{BoxFuture, Error};
    use std::sync::Mutex;

    /// Hands out what it is given.
    #[derive(Default)]
    struct Open(Mutex<Option<(Data, Life)>>);

    impl PluginServer for Open {
        fn api_addr(&self) -> &str {
            "http://127.0.0.1:1"
        }
        fn wrap(&self, data: Data, ttl: Life) -> BoxFuture<'_, Result<SecretText, Error>> {
            *self.0.lock().unwrap() = Some((data, ttl));
            Box::pin(async { Ok(SecretText::new("token")) })
        }
    }

    #[tokio::test]
    async fn certificate_and_key_are_wrapped_for_a_minute_and_fit_each_other() {
        let server = Open::default();
        let trust = prepare(&server).await.unwrap();
        assert_eq!(trust.token.expose(), "token");
        let (data, ttl) = server.0.lock().unwrap().take().unwrap();
        assert_eq!(ttl, Life::from_secs(60));
        let fields = data.fields().unwrap();
        let bytes = |name: &str| BASE64_STANDARD.decode(fields[name].as_str().unwrap()).unwrap();
        assert_eq!(fields.len(), 2);
        let key = PrivateKeyDer::Sec1(bytes("ServerKey").into());
        let certificate = CertificateDer::from(bytes("ServerCert"));
        let theirs = Identity::new(vec![certificate.clone()], &key).unwrap();
        assert_eq!(theirs.certificate(), Some(&certificate));
    }

    #[test]
    fn the_certificate_is_named_by_the_uuid_and_has_no_basic_constraints() {
        let made = make("0c8a1b6e-1111-4222-8333-444455556666").unwrap();
        let has = |bytes: &[u8]| made.certificate.windows(bytes.len()).any(|w| w == bytes);
        assert!(has(b"0c8a1b6e-1111-4222-8333-444455556666"));
        assert!(!has(&[0x55, 0x1d, 0x13]), "basic constraints");
        assert!(has(&[0x55, 0x1d, 0x0f]) && has(&[0x55, 0x1d, 0x25]), "key usages");
        // Go refuses a SEC 1 key that does not name its curve.
        assert!(made.sec1.windows(5).any(|w| w == [0x2b, 0x81, 0x04, 0x00, 0x23]));
    }
}
