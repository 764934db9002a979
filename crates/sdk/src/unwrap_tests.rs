//! Tokens and answers, good and bad; the API is played by the test.

use std::{ffi::OsString, sync::Arc};

use serde_json::json;
use tokio::net::UnixStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use self::wrapping::{Answer, Api, NAME, Wrapped, signed, token};
use super::*;

#[path = "../tests/support/wrapping.rs"]
mod wrapping;

fn nothing(_: &str) -> Option<String> {
    None
}

async fn fetch_with(args: &[&str], api: &Api) -> Result<PeerTls, String> {
    let arguments = Arguments::parse(args.iter().map(OsString::from)).unwrap();
    fetch(&token(&api.addr), &arguments, nothing).await
}

/// Why the certificate cannot be had from an API that answers so.
async fn refusal(answer: Answer) -> String {
    let api = Api::start(None, answer).await;
    let text = fetch_with(&[], &api).await.err().unwrap();
    assert!(!text.contains(&token(&api.addr)) && !text.contains('\n'), "{text}");
    assert_eq!(api.asked().len(), 1, "the token is good for one request");
    text
}

/// Whether two ends come to trust each other.
async fn meet(client: &PeerTls, server: &PeerTls) -> bool {
    let (near, far) = UnixStream::pair().unwrap();
    let connector = TlsConnector::from(client.client.clone());
    let acceptor = TlsAcceptor::from(server.server.clone());
    let (connected, accepted) =
        tokio::join!(connector.connect(client.name.clone(), near), acceptor.accept(far));
    connected.is_ok() && accepted.is_ok()
}

#[tokio::test]
async fn the_certificate_is_fetched_with_the_token_and_trusted_in_both_directions() {
    let wrapped = Wrapped::new();
    let api = Api::start(None, wrapped.answer()).await;
    let tls = fetch_with(&[], &api).await.unwrap();
    let asked = api.asked().remove(0).to_lowercase();
    assert!(asked.starts_with("put /v1/sys/wrapping/unwrap http/1.1\r\n"), "{asked}");
    let shown = format!("\r\nx-vault-token: {}\r\n", token(&api.addr).to_lowercase());
    assert!(asked.contains(&shown), "{asked}");

    assert_eq!(tls.name.to_str(), NAME);
    assert!(meet(&tls, &wrapped.host()).await && meet(&wrapped.host(), &tls).await);
    let other = Wrapped::new().host();
    assert!(!meet(&tls, &other).await && !meet(&other, &tls).await);
}

/// HTTPS with a certificate for `name`, and the file of the authority that vouches for it.
fn https(name: &str) -> (TlsAcceptor, file::Pem) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), file::Pem::write(&made.cert.pem()))
}

/// One file, removed at the end.
mod file {
    use std::path::PathBuf;

    pub struct Pem(PathBuf);

    impl Pem {
        pub fn write(text: &str) -> Self {
            let name = format!("unwrap-{:016x}.pem", rand::random::<u64>());
            let path = std::env::temp_dir().join(name);
            std::fs::write(&path, text).unwrap();
            Self(path)
        }

        pub fn path(&self) -> &str {
            self.0.to_str().unwrap()
        }
    }

    impl Drop for Pem {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }
}

#[tokio::test]
async fn over_https_the_server_is_trusted_only_as_arguments_or_environment_say() {
    let (tls, ca) = https("vault.test");
    let api = Api::start(Some(tls), Wrapped::new().answer()).await;
    let ca_cert = format!("-ca-cert={}", ca.path());

    let text = fetch_with(&[], &api).await.err().unwrap();
    assert!(text.starts_with("error during token unwrap request: "), "{text}");
    assert!(text.contains("tls:") && text.contains("certificate"), "{text}");
    let text = fetch_with(&[&ca_cert], &api).await.err().unwrap();
    assert!(text.contains("not valid for name"), "{text}");
    assert!(api.asked().is_empty(), "the token is not shown to who is not trusted");

    fetch_with(&[&ca_cert, "-tls-server-name", "vault.test"], &api).await.unwrap();
    fetch_with(&["-tls-skip-verify"], &api).await.unwrap();
    let set = |name: &str| match name {
        "VAULT_CACERT" => Some(ca.path().to_owned()),
        "BAO_TLS_SERVER_NAME" => Some("vault.test".to_owned()),
        _ => None,
    };
    fetch(&token(&api.addr), &Arguments::default(), set).await.unwrap();
    assert_eq!(api.asked().len(), 3);

    let text = fetch_with(&["-ca-cert=/nowhere"], &api).await.err().unwrap();
    assert!(text.starts_with("error during api client creation: /nowhere"), "{text}");
}

#[tokio::test]
async fn a_server_that_gives_no_certificate_is_reported_in_vaults_words() {
    let asking = "error during token unwrap request: ";
    let errors = json!({ "errors": ["wrapping token is not valid or does not exist"] });
    let text = refusal((400, errors.to_string())).await;
    assert!(text.starts_with(&format!("{asking}Error making API request.")), "{text}");
    assert!(text.ends_with("* wrapping token is not valid or does not exist"), "{text}");
    assert!(refusal((503, "{}".into())).await.contains("Code: 503"), "no second request");
    assert_eq!(refusal((204, String::new())).await, format!("{asking}secret is nil"));
    assert!(refusal((200, "no JSON".into())).await.starts_with(asking));
    let text = refusal((200, "x".repeat(LONGEST + 1))).await;
    assert!(text.contains(&format!("longer than {LONGEST} bytes")), "{text}");
    let text = refusal((307, String::new())).await;
    assert!(text.starts_with(asking), "nobody else is shown the token: {text}");

    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let refused = fetch(&token(&addr), &Arguments::default(), nothing).await.err().unwrap();
    assert!(refused.starts_with(asking) && refused.ends_with("connection refused"), "{refused}");
}

#[tokio::test]
async fn a_certificate_or_key_that_is_none_is_refused_and_not_repeated() {
    let (wrapped, other) = (Wrapped::new(), Wrapped::new());
    let with = |certificate: &str, key: &str| {
        let data = json!({ "ServerCert": certificate, "ServerKey": key });
        (200, json!({ "request_id": "r", "data": data }).to_string())
    };
    let (certificate, key) = (wrapped.certificate(), wrapped.key());
    for answer in [
        with("%", &key),
        with(&certificate, "%%hunter2"),
        with("aHVudGVyMg==", &key),
        with(&certificate, "aHVudGVyMg=="),
        with(&certificate, &other.key()),
    ] {
        let text = refusal(answer).await;
        assert!(text.starts_with("error parsing certificate: "), "{text}");
        assert!(!text.contains("hunter2") && !text.contains(&key), "{text}");
    }
    for data in [json!({ "ServerCert": certificate }), json!({ "ServerKey": key }), json!({})] {
        let text = refusal((200, json!({ "request_id": "r", "data": data }).to_string())).await;
        assert!(text.starts_with("error unmarshalling certificate"), "{text}");
    }
}

#[test]
fn only_tokens_in_jwt_format_with_the_servers_algorithm_are_looked_into() {
    let header = json!({ "alg": "ES512", "typ": "JWT" });
    let addr = json!({ "addr": "http://h:1" });
    assert_eq!(address(&signed(&header, &addr)).unwrap(), "http://h:1");
    let no_jwt = ["", "s.plain", "a.b", "a.b.c.d", "%.%.%", "bm8.bm8.bm8"];
    for text in no_jwt {
        let refused = address(text).unwrap_err();
        assert!(refused.starts_with("error parsing wrapping token: "), "{text}: {refused}");
    }
    for alg in [json!("none"), json!("HS256"), json!("ES256"), json!(null), json!(5)] {
        let refused = address(&signed(&json!({ "alg": alg }), &addr)).unwrap_err();
        assert!(refused.contains("not ES512"), "{alg}: {refused}");
    }
}

#[test]
fn a_token_without_an_address_is_told_as_vault_tells_it() {
    let of = |claims: serde_json::Value| {
        address(&signed(&json!({ "alg": "ES512" }), &claims)).unwrap_err()
    };
    assert_eq!(of(json!({})), "could not validate addr claim");
    assert_eq!(of(json!({ "addr": 5 })), "could not parse addr claim");
    assert!(of(json!({ "addr": "" })).starts_with("no vault api_addr found"));
    assert!(of(json!([])).starts_with("error parsing claims from wrapping token: "));
}

#[tokio::test]
async fn an_address_that_is_no_url_is_refused() {
    for addr in ["h:1", "ftp://h", "http://"] {
        let refused = fetch(&token(addr), &Arguments::default(), nothing).await.err().unwrap();
        assert!(refused.starts_with("error parsing the vault api_addr: "), "{addr}: {refused}");
    }
}
