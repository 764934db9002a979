//! Mutual TLS as go-plugin does it (wire spec 1.5): each process makes a throw-away certificate,
//! tells the other which one, and accepts exactly that one in return.
//!
//! The usual path building is of no use here: those certificates are self-signed authorities
//! used as end entities, which webpki refuses. A [`Pin`] compares the bytes instead, checks the
//! validity window, and leaves the proof that the peer holds the key to rustls.
//!
//! Left out: names (a pinned certificate needs none), revocation, session resumption.

use std::sync::Arc;

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName as Subject,
    ServerConfig, SignatureScheme,
};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroize;

use crate::Error;
use crate::validity::Validity;

/// The name in every AutoMTLS certificate.
const LOCALHOST: &str = "localhost";
/// Go's thirty years, in hours.
const LIFETIME: Duration = Duration::hours(262_980);
/// Clocks of two processes on one machine agree; certificates start early nevertheless.
const HEAD_START: Duration = Duration::seconds(30);

/// Our own certificate and its key. Cheap to clone; the key stays inside the TLS library.
#[derive(Clone)]
pub struct Identity {
    key: Arc<CertifiedKey>,
    pem: Arc<str>,
}

impl Identity {
    /// A fresh P-256 key and a certificate of the shape that go-plugin makes. Its own keys are P-521,
    /// which Go takes milliseconds to check: with each start, and with each connection. Peers look
    /// at neither curve nor hash (wire spec 1.5).
    pub fn generate() -> Result<Self, Error> {
        let failed = |why: rcgen::Error| Error::certificate("making a certificate", why);
        let mut pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let certificate = params().and_then(|it| it.self_signed(&pair)).map_err(failed)?;
        let key = PrivateKeyDer::Pkcs8(pair.serialized_der().into());
        let identity = Self::new(vec![certificate.der().clone()], &key);
        pair.zeroize();
        identity
    }

    /// A given certificate (with its chain, if there is one) and its elliptic-curve key. The key
    /// is copied into the TLS library; wiping the original is the caller's.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: &PrivateKeyDer<'_>,
    ) -> Result<Self, Error> {
        let refused =
            |why: rustls::Error| Error::certificate("using a certificate with its key", why);
        let key = aws_lc_rs::sign::any_ecdsa_type(key).map_err(refused)?;
        let pem: String = chain.iter().map(|der| pem(der)).collect();
        let key = CertifiedKey::new(chain, key);
        key.keys_match().map_err(refused)?;
        Ok(Self { key: Arc::new(key), pem: pem.into() })
    }

    /// The certificate that the peer is to pin.
    pub fn certificate(&self) -> Option<&CertificateDer<'static>> {
        self.key.cert.first()
    }

    /// The certificate as text, for [`crate::handshake::ENV_CLIENT_CERT`].
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The configuration for both directions with a peer that presents one of `pinned`.
    /// Fails if there is none: nobody could ever connect.
    pub fn with_peer(&self, pinned: Vec<CertificateDer<'static>>) -> Result<PeerTls, Error> {
        self.with_named_peer(pinned, LOCALHOST)
    }

    /// As [`Identity::with_peer`], for a peer that expects another server name than `localhost`.
    pub fn with_named_peer(
        &self,
        pinned: Vec<CertificateDer<'static>>,
        name: &str,
    ) -> Result<PeerTls, Error> {
        let pin = Arc::new(Pin::new(pinned)?);
        let own = Arc::new(SingleCertAndKey::from(self.key.clone()));
        let refused = |why: rustls::Error| Error::certificate("setting up TLS", why);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|why| Error::certificate("the server name for TLS", why))?;

        let mut client = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(refused)?
            .dangerous()
            .with_custom_certificate_verifier(pin.clone())
            .with_client_cert_resolver(own.clone());
        client.alpn_protocols = vec![b"h2".to_vec()];
        client.resumption = Resumption::disabled();

        let mut server = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(refused)?
            .with_client_cert_verifier(pin)
            .with_cert_resolver(own);
        server.alpn_protocols = vec![b"h2".to_vec()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;

        Ok(PeerTls { client: Arc::new(client), server: Arc::new(server), name })
    }
}

fn params() -> Result<CertificateParams, rcgen::Error> {
    let now = OffsetDateTime::now_utc();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "HashiCorp");
    subject.push(DnType::CommonName, LOCALHOST);
    let mut serial: [u8; 16] = rand::random();
    // A set top bit would make the number negative or a byte longer.
    serial[0] &= 0x7f;

    let mut params = CertificateParams::default();
    params.not_before = now - HEAD_START;
    params.not_after = now + LIFETIME;
    params.serial_number = Some(SerialNumber::from(serial.to_vec()));
    params.subject_alt_names = vec![SanType::DnsName(Ia5String::try_from(LOCALHOST)?)];
    params.distinguished_name = subject;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
        KeyUsagePurpose::KeyAgreement,
        KeyUsagePurpose::KeyCertSign,
    ];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

/// TLS with one peer process, whichever side opens the connection. The host is the server on
/// brokered connections, so both processes need both roles.
#[derive(Clone, Debug)]
pub struct PeerTls {
    /// For connections that we open.
    pub client: Arc<ClientConfig>,
    /// For connections that we accept.
    pub server: Arc<ServerConfig>,
    /// The name that we ask for.
    pub name: ServerName<'static>,
}

/// Reads every certificate of a PEM text. An error if there is none, or if one is damaged.
pub fn certificates_from_pem(text: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let what = "reading the peer's certificate";
    let found = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|why| Error::certificate(what, why))?;
    if found.is_empty() {
        return Err(Error::certificate(what, "the PEM text holds no certificate"));
    }
    Ok(found)
}

fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut out = String::with_capacity(text.len() + text.len() / 64 + 64);
    out.push_str("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = more;
    }
    out.push_str("-----END CERTIFICATE-----\n");
    out
}

/// aws-lc-rs, named explicitly: it knows P-521, and no process-wide default is then needed.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Accepts the peers that present exactly one of these certificates, and prove its key.
#[derive(Debug)]
pub struct Pin {
    pinned: Vec<(CertificateDer<'static>, Validity)>,
    provider: Arc<CryptoProvider>,
}

impl Pin {
    /// A verifier for these certificates; an error if there is none or one is unreadable.
    pub fn new(pinned: Vec<CertificateDer<'static>>) -> Result<Self, Error> {
        let what = "pinning the peer's certificate";
        if pinned.is_empty() {
            return Err(Error::certificate(what, "there is none to pin"));
        }
        let pinned = pinned
            .into_iter()
            .map(|der| match Validity::read(&der) {
                Some(validity) => Ok((der, validity)),
                None => Err(Error::certificate(what, "it is not an X.509 certificate")),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { pinned, provider: provider() })
    }

    fn check(&self, presented: &CertificateDer<'_>, now: UnixTime) -> Result<(), rustls::Error> {
        let known = self.pinned.iter().find(|(der, _)| der == presented);
        let (_, validity) = known.ok_or(CertificateError::UnknownIssuer)?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if now < validity.not_before {
            return Err(CertificateError::NotValidYet.into());
        }
        if now > validity.not_after {
            return Err(CertificateError::Expired.into());
        }
        Ok(())
    }
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.check(end_entity, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Pin {
    fn root_hint_subjects(&self) -> &[Subject] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.check(end_entity, now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
