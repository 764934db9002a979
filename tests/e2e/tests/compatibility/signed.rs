//! JSON Web Tokens signed with a key of our own (ES256), for whoever issues or trusts them.
//!
//! Left out on purpose: reading them.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// Signs tokens.
pub struct Issuer {
    key: EcdsaKeyPair,
    /// The key to check them with, in PEM.
    pub public: String,
}

impl Issuer {
    /// An issuer with a key that nobody else has.
    pub fn new() -> Self {
        let made = rcgen::KeyPair::generate().expect("a key");
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &made.serialize_der())
            .expect("the key that was just made");
        Self { key, public: made.public_key_pem() }
    }

    /// A token that is good for `seconds` from now.
    pub fn sign(&self, claims: &Value, seconds: u64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
        let mut claims = claims.clone();
        claims["iat"] = json!(now);
        claims["exp"] = json!(now + seconds);
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = encode(&json!({"alg": "ES256", "typ": "JWT"}));
        let signed = format!("{head}.{}", encode(&claims));
        let signature =
            self.key.sign(&SystemRandom::new(), signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}
