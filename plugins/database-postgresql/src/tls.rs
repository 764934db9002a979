//! TLS to a database as libpq's `sslmode` means it, with rustls.
//!
//! Left out on purpose: encrypted private keys and revocation lists.

use std::fs;
use std::sync::Arc;

use boltwork_sdk::logical::SecretText;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use crate::failure::Failure;
use crate::roots;

/// libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Never.
    Disable,
    /// Only if the database insists.
    Allow,
    /// If the database can.
    Prefer,
    /// Always, with whoever answers.
    Require,
    /// Always, with whoever has a certificate of the authority.
    VerifyCa,
    /// The same, and the certificate bears the host's name.
    VerifyFull,
}

impl Mode {
    /// By libpq's name.
    pub fn read(name: &str) -> Result<Self, Failure> {
        Ok(match name {
            "disable" => Self::Disable,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => {
                return Err(wrong(
                    "sslmode must be disable, allow, prefer, require, verify-ca or verify-full",
                ));
            }
        })
    }
}

/// What certificates there are, as PEM.
#[derive(Default)]
pub struct Material {
    /// Authorities that sign for databases.
    pub authorities: Option<String>,
    /// Our own certificate.
    pub certificate: Option<String>,
    /// Its key.
    pub key: Option<SecretText>,
}

impl Material {
    /// Adds what `sslrootcert`, `sslcert` and `sslkey` name: files, or with `inline` the PEM itself.
    /// What the configuration's own keys say comes first.
    pub fn add_files(
        &mut self,
        root: &str,
        certificate: &str,
        key: &str,
        inline: bool,
    ) -> Result<(), Failure> {
        let read = |what: &str, text: &str| match text {
            "" => Ok(None),
            _ if inline => Ok(Some(text.to_owned())),
            _ => match fs::read_to_string(text) {
                Ok(pem) => Ok(Some(pem)),
                Err(error) => Err(wrong(format!("the file of {what} cannot be read: {error}"))),
            },
        };
        let root = if root == "system" { "" } else { root };
        let (root, certificate) = (read("sslrootcert", root)?, read("sslcert", certificate)?);
        let key = read("sslkey", key)?.map(SecretText::new);
        self.authorities = self.authorities.take().or(root);
        self.certificate = self.certificate.take().or(certificate);
        self.key = self.key.take().or(key);
        Ok(())
    }
}

/// One way to connect.
#[derive(Clone)]
pub enum Attempt {
    /// Without TLS.
    Plain,
    /// With it.
    Protected(Arc<ClientConfig>),
}

impl Attempt {
    /// Whether it is with TLS.
    pub fn is_protected(&self) -> bool {
        matches!(self, Self::Protected(_))
    }
}

/// How connections are protected: what is tried, in order.
#[derive(Clone)]
pub struct Tls(Vec<Attempt>);

impl Tls {
    /// Of a mode; without one it follows from what certificates there are.
    pub fn new(mode: Option<Mode>, material: Material) -> Result<Self, Failure> {
        let given = material.authorities.is_some() || material.certificate.is_some();
        let mode = mode.unwrap_or(if given { Mode::VerifyFull } else { Mode::Prefer });
        // As libpq: who names an authority wants it to be asked.
        let mode = match mode {
            Mode::Require if material.authorities.is_some() => Mode::VerifyCa,
            mode => mode,
        };
        let config = client(mode, &material)?;
        let protected = Attempt::Protected(Arc::new(config));
        Ok(Self(match mode {
            Mode::Disable => vec![Attempt::Plain],
            Mode::Allow => vec![Attempt::Plain, protected],
            Mode::Prefer => vec![protected, Attempt::Plain],
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => vec![protected],
        }))
    }

    /// What is tried, in order.
    pub fn attempts(&self) -> &[Attempt] {
        &self.0
    }
}

fn wrong(what: impl Into<String>) -> Failure {
    Failure::Configuration(what.into())
}

fn client(mode: Mode, material: &Material) -> Result<ClientConfig, Failure> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = verifier(mode, material, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    match (&material.certificate, &material.key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(certificate), Some(key)) => {
            let chain = certificates("tls_certificate", certificate)?;
            let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
                .map_err(|_| wrong("private_key holds no private key in PEM form"))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| wrong(format!("tls_certificate and private_key: {error}")))
        }
        _ => Err(wrong("tls_certificate and private_key belong together; one of them is missing")),
    }
}

fn certificates(what: &str, pem: &str) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(wrong(format!("{what} holds no certificate in PEM form"))),
    }
}

fn verifier(
    mode: Mode,
    material: &Material,
    provider: &Arc<CryptoProvider>,
) -> Result<Verifier, Failure> {
    let trust = match mode {
        Mode::VerifyCa | Mode::VerifyFull => {
            let authorities = match &material.authorities {
                Some(pem) => certificates("tls_ca", pem)?,
                None => roots::system()?,
            };
            let mut store = RootCertStore::empty();
            let (added, _) = store.add_parsable_certificates(authorities.iter().cloned());
            if added == 0 {
                return Err(wrong("tls_ca holds no certificate that can be used"));
            }
            let chain =
                WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone())
                    .build()
                    .map_err(|error| wrong(format!("tls_ca: {error}")))?;
            Some(Trust { chain, authorities, names: mode == Mode::VerifyFull })
        }
        _ => {
            if let Some(pem) = &material.authorities {
                certificates("tls_ca", pem)?;
            }
            None
        }
    };
    Ok(Verifier { trust, algorithms: provider.signature_verification_algorithms })
}

#[derive(Debug)]
struct Trust {
    chain: Arc<WebPkiServerVerifier>,
    authorities: Vec<CertificateDer<'static>>,
    /// Whether the host's name must be in the certificate.
    names: bool,
}

#[derive(Debug)]
struct Verifier {
    /// Whom to trust; `None`: whoever answers.
    trust: Option<Trust>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(trust) = &self.trust else { return Ok(ServerCertVerified::assertion()) };
        // Databases like to sign for themselves, with one certificate that is both.
        if trust.authorities.iter().any(|authority| authority == certificate) {
            if trust.names {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        let verified =
            trust.chain.verify_server_cert(certificate, intermediates, name, stapled, now);
        match verified {
            // The name is looked at last: all else was in order.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !trust.names => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
