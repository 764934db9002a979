//! Certificates of a test's own authority: one for the server, one for a client.

use std::fs;
use std::path::Path;

use super::programs::Programs;
use crate::Authority;

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
        let authority = Authority::new("the test's authority");
        let (server, server_key) = authority.server(&["localhost", "127.0.0.1"]);
        let pem = authority.pem().to_owned();
        for (name, text) in [("server.pem", &server), ("server.key", &server_key), ("ca.pem", &pem)]
        {
            let path = home.join(name);
            fs::write(&path, text).expect("a certificate is written");
            programs.own(&path);
        }
        let (client, client_key) = authority.client(CLIENT);
        let stranger = Authority::new("a stranger").pem().to_owned();
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
