//! How the server's certificate is judged and which one we show.
//!
//! Trust: the given CA file, or every certificate in the given folder, or else the Mozilla roots
//! compiled in. Leaves out the system's trust store and revocation lists.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::error::Error;

/// TLS settings of a client.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// PEM file of the authorities to trust; takes precedence over `ca_path`.
    pub ca_cert: Option<PathBuf>,
    /// Folder of PEM files of the authorities to trust.
    pub ca_path: Option<PathBuf>,
    /// PEM file of the certificate to show; needs `client_key`.
    pub client_cert: Option<PathBuf>,
    /// PEM file of that certificate's private key.
    pub client_key: Option<PathBuf>,
    /// Name to expect in the server's certificate, if it is not the address's host.
    pub server_name: Option<String>,
    /// Accept any certificate. The connection is then open to whoever sits in between.
    pub skip_verify: bool,
}

impl Tls {
    pub(crate) fn build(&self) -> Result<Arc<ClientConfig>, Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::Config(format!("TLS cannot be set up: {e}")))?;
        let builder = if self.skip_verify {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
        } else {
            builder.with_root_certificates(self.roots()?)
        };
        let mut config = match (&self.client_cert, &self.client_key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(cert), Some(key)) => {
                let chain = certificates(cert)?;
                let key = PrivateKeyDer::from_pem_file(key).map_err(|e| unreadable(key, &e))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|e| Error::Config(format!("client certificate cannot be used: {e}")))?
            }
            _ => {
                return Err(Error::Config(
                    "both client cert and client key must be provided".into(),
                ));
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn roots(&self) -> Result<RootCertStore, Error> {
        let mut roots = RootCertStore::empty();
        match (&self.ca_cert, &self.ca_path) {
            (Some(file), _) => add(&mut roots, file)?,
            (None, Some(folder)) => {
                let entries = std::fs::read_dir(folder).map_err(|e| unreadable(folder, &e))?;
                for entry in entries {
                    let path = entry.map_err(|e| unreadable(folder, &e))?.path();
                    if path.is_file() {
                        add(&mut roots, &path)?;
                    }
                }
            }
            (None, None) => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        }
        Ok(roots)
    }
}

fn add(roots: &mut RootCertStore, file: &Path) -> Result<(), Error> {
    for cert in certificates(file)? {
        roots.add(cert).map_err(|e| unreadable(file, &e))?;
    }
    Ok(())
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certs: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|e| unreadable(file, &e))?;
    if certs.is_empty() {
        return Err(Error::Config(format!("{} holds no PEM certificate", file.display())));
    }
    Ok(certs)
}

fn unreadable(file: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::Config(format!("{} cannot be used: {why}", file.display()))
}

/// Accepts every certificate, but still demands proof that the server holds its key.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
