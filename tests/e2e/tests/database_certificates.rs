//! Users with client certificates, made with a database plugin in Go on OpenBao's SDK; the same under
//! OpenBao, whose answers these are.
//!
//! Left out on purpose: what is in a certificate; the engine's own tests have it verified.

use boltwork_e2e::{Kind, Setup, tools};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use serde_json::json;
use std::fs;

/// An authority of one test: certificate and key, PEM.
fn authority() -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (params.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
}

fn a_go_plugin_is_told_the_subject(kind: Kind) {
    let Some(program) = tools::mock_database() else { return };
    let Some(server) = (Setup { kind, ..Setup::default() }).start() else { return };
    let api = server.api();
    let plugin = server.install(&program, "mock").kind("database");
    plugin.args(&["-serve=mux"]).register(&api).status(204);
    api.write("sys/mounts/database", &json!({"type": "database"})).status(204);
    let file = server.folder().join("users");
    let config = json!({"plugin_name": "mock", "allowed_roles": ["*"], "file": file});
    assert!(api.write("database/config/one", &config).succeeded());
    let (certificate, key) = authority();
    for (word, label) in
        [("rsa", "RSA PRIVATE KEY"), ("ec", "EC PRIVATE KEY"), ("ed25519", "PRIVATE KEY")]
    {
        let role = json!({"db_name": "one", "creation_statements": ["-"], "default_ttl": "1h",
            "credential_type": "client_certificate",
            "credential_config": {"ca_cert": certificate, "ca_private_key": key, "key_type": word,
                "common_name_template": "{{.RoleName}}, {{uppercase .RoleName}}"}});
        api.write(&format!("database/roles/{word}"), &role).status(204);
        let made = api.read(&format!("database/creds/{word}")).ok();
        let told =
            format!("{} subject=CN={word}\\, {}", made.string("username"), word.to_uppercase());
        let users = fs::read_to_string(&file).expect("the plugin's file is readable");
        assert!(users.lines().any(|line| line.starts_with(&told)), "{told}: {users}");
        assert_eq!(made.string("private_key_type"), word);
        let (certificate, key) = (made.string("client_certificate"), made.string("private_key"));
        assert!(key.starts_with(&format!("-----BEGIN {label}-----\n")), "{word}");
        assert!(key.ends_with(&format!("-----END {label}-----")), "{word}");
        assert!(certificate.starts_with("-----BEGIN CERTIFICATE-----\n"));
        assert!(certificate.ends_with("-----END CERTIFICATE-----"));
        let data = made.data();
        assert_eq!(data.as_object().map(serde_json::Map::len), Some(4), "no more than that");
        let revoked = json!({"lease_id": made.json()["lease_id"], "sync": true});
        api.write("sys/leases/revoke", &revoked).status(204);
    }
    let users = fs::read_to_string(&file).expect("the plugin's file is readable");
    assert!(users.is_empty(), "{users}");
}

#[test]
fn a_go_database_is_told_the_subject_and_the_caller_gets_the_rest() {
    a_go_plugin_is_told_the_subject(Kind::under_test());
}

#[test]
fn a_go_database_is_told_the_same_by_openbao() {
    a_go_plugin_is_told_the_subject(Kind::Bao);
}
