//! Certificates of a test's own authority: one for the server, one for a client.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::programs::Programs;

/// The name in the client's certificate.
const CLIENT: &str = "certified";

/// What a client needs, as PEM.
pub struct Certificates {
    /// The authority that signed all of these.
    pub authority: String,
    /// A client's certificate, for the role `certified`.
    pub client: String,
    /// Its private key.
    pub client_key: String,
    /// An authority that signed nothing.
    pub stranger: String,
}

impl Certificates {
    /// Makes them, and puts the server's where [`settings`] looks for them.
    pub fn make(programs: &Programs, home: &Path) -> Self {
        let (authority, pem) = issuer("the test's authority");
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let (server, server_key) =
            signed(CertificateParams::new(names).expect("names"), &authority);
        for (name, text) in [("server.pem", &server), ("server.key", &server_key), ("ca.pem", &pem)]
        {
            let path = home.join(name);
            fs::write(&path, text).expect("a certificate is written");
            programs.own(&path);
        }
        let mut client = CertificateParams::default();
        client.distinguished_name.push(DnType::CommonName, CLIENT);
        let (client, client_key) = signed(client, &authority);
        let (_, stranger) = issuer("a stranger");
        Self { authority: pem, client, client_key, stranger }
    }
}

/// Lines of `postgresql.conf` that make the server use them.
pub fn settings(data: &Path) -> Vec<String> {
    let home = data.parent().expect("a folder above").display();
    vec![
        "ssl = on".to_owned(),
        format!("ssl_cert_file = '{home}/server.pem'"),
        format!("ssl_key_file = '{home}/server.key'"),
        format!("ssl_ca_file = '{home}/ca.pem'"),
    ]
}

fn issuer(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let pem = params.self_signed(&key).expect("a certificate").pem();
    (Issuer::new(params, key), pem)
}

fn signed(params: CertificateParams, by: &Issuer<'_, KeyPair>) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, by).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}
