//! The authorities that this machine trusts, for databases whose authority nobody named.

use std::path::PathBuf;

use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use crate::failure::Failure;

/// Where systems keep them: Debian, Red Hat, Alpine, SUSE.
const FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
];

/// Reads the first file that is there; `SSL_CERT_FILE` comes before all.
pub fn system() -> Result<Vec<CertificateDer<'static>>, Failure> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let mut files = named.into_iter().chain(FILES.iter().map(PathBuf::from));
    let found = files.find_map(|file| {
        let certificates = CertificateDer::pem_file_iter(file).ok()?;
        let certificates: Vec<_> = certificates.filter_map(Result::ok).collect();
        (!certificates.is_empty()).then_some(certificates)
    });
    found.ok_or_else(|| {
        Failure::Configuration(
            "sslmode asks to verify the database's certificate, but tls_ca is not set and this \
             machine has no list of authorities"
                .to_owned(),
        )
    })
}
