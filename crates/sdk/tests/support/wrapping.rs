//! A server's side of protocol 3 and 4, as far as a plugin sees it: a wrapped certificate, a token,
//! an API that unwraps.
//!
//! Left out: signatures of tokens, which plugins do not verify.

use std::sync::{Arc, Mutex};

use aws_lc_rs::{
    encoding::{AsDer, EcPrivateKeyRfc5915Der},
    signature::{ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair},
};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use go_plugin::tls::{Identity, PeerTls};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// The name in the certificates here.
pub const NAME: &str = "0c8a1b6e-1111-4222-8333-444455556666";

/// A certificate as a server wraps it.
pub struct Wrapped {
    certificate: CertificateDer<'static>,
    pkcs8: Vec<u8>,
    sec1: Vec<u8>,
}

impl Wrapped {
    pub fn new() -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
        let params = rcgen::CertificateParams::new([NAME.to_owned()]).unwrap();
        let certificate = params.self_signed(&pair).unwrap().der().clone();
        let pkcs8 = pair.serialize_der();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P521_SHA512_ASN1_SIGNING, &pkcs8).unwrap();
        let sec1: EcPrivateKeyRfc5915Der<'_> = key.private_key().as_der().unwrap();
        let sec1 = sec1.as_ref().to_vec();
        Self { certificate, pkcs8, sec1 }
    }

    /// The host's end of connections.
    pub fn host(&self) -> PeerTls {
        let key = PrivateKeyDer::Pkcs8(self.pkcs8.as_slice().into());
        let identity = Identity::new(vec![self.certificate.clone()], &key).unwrap();
        identity.with_named_peer(vec![self.certificate.clone()], NAME).unwrap()
    }

    /// The certificate as it is wrapped.
    pub fn certificate(&self) -> String {
        BASE64_STANDARD.encode(&self.certificate)
    }

    /// The key as it is wrapped.
    pub fn key(&self) -> String {
        BASE64_STANDARD.encode(&self.sec1)
    }

    /// What the API answers.
    pub fn answer(&self) -> Answer {
        let data = json!({ "ServerCert": self.certificate(), "ServerKey": self.key() });
        (200, json!({ "request_id": "r", "data": data }).to_string())
    }
}

/// A token with these two parts, and a signature that is none.
pub fn signed(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2lnbmVk", part(header), part(claims))
}

/// The token of a server that is reached at `addr`.
pub fn token(addr: &str) -> String {
    let claims = json!({ "jti": "s.once", "type": "wrapping", "addr": addr, "accessor": "" });
    signed(&json!({ "alg": "ES512", "typ": "JWT" }), &claims)
}

/// Status and body.
pub type Answer = (u16, String);

/// An API that gives one answer to all. It ends with the runtime.
pub struct Api {
    /// Where it is.
    pub addr: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Api {
    /// Answers over HTTP, or, with TLS, over HTTPS.
    pub async fn start(tls: Option<TlsAcceptor>, answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let addr = format!("{scheme}://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = asked.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                match &tls {
                    None => converse(stream, &answer, &heard).await,
                    // Who does not trust us hangs up.
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => converse(stream, &answer, &heard).await,
                        Err(_) => continue,
                    },
                }
            }
        });
        Self { addr, asked }
    }

    /// The requests so far, as they came.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    (status, body): &Answer,
    heard: &Mutex<Vec<String>>,
) {
    let mut request = String::new();
    // The body is JSON's null, of four bytes.
    while !request.ends_with("\r\n\r\nnull") {
        let mut piece = [0; 4096];
        let length = stream.read(&mut piece).await.unwrap();
        assert_ne!(length, 0, "the request ends early: {request}");
        request.push_str(std::str::from_utf8(&piece[..length]).unwrap());
    }
    heard.lock().unwrap().push(request);
    let head = format!(
        "HTTP/1.1 {status} .\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Location: /elsewhere\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    // A client that has read enough may hang up.
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
    let _ = stream.shutdown().await;
}
