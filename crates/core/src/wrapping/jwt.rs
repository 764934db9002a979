//! Wrapping tokens in JWT format (wire spec 3): around the token that holds the reply, a signed
//! statement of where it can be unwrapped. Plugins of protocol 3 and 4 are handed such a one.
//!
//! The key is the cluster's own, on the curve P-521; it stays where Vault and OpenBao keep theirs, in
//! their form. Nobody chooses an algorithm: a header that names another than ES512 is refused.

use aws_lc_rs::{
    encoding::{AsBigEndian, EcPrivateKeyBin},
    rand::SystemRandom,
    signature::{
        ECDSA_P521_SHA512_FIXED, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
        UnparsedPublicKey,
    },
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use boltwork_logical::{Entry, Error, SecretText, Storage};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::decimal;

/// Where the key is kept, below `core/wrapping/`.
const KEY: &str = "jwtkey";
/// Vault's name of the curve.
pub const CURVE: &str = "p521";
/// Bytes of one number on the curve.
const WIDTH: usize = 66;
/// Seconds by which clocks may differ.
const SKEW: i64 = 5;
/// The longest token that is looked at; ours have some seven hundred bytes.
const LONGEST: usize = 16 << 10;

/// The key that wrapping tokens are signed with.
pub struct JwtKey {
    pair: EcdsaKeyPair,
    /// The address at which tokens can be unwrapped; empty if there is none.
    addr: String,
}

/// The key as it is stored. The numbers are longer than any number type, so their digits are kept.
#[derive(Deserialize)]
struct Stored<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    x: &'a RawValue,
    #[serde(borrow)]
    y: &'a RawValue,
    #[serde(borrow)]
    d: &'a RawValue,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

/// What is said in a token: Vault's names, sorted as it writes them.
#[derive(Serialize)]
struct Says<'a> {
    accessor: &'a str,
    addr: &'a str,
    exp: i64,
    iat: i64,
    jti: &'a str,
    nbf: i64,
    #[serde(rename = "type")]
    kind: &'a str,
}

#[derive(Deserialize)]
struct Read {
    exp: Option<i64>,
    jti: Option<Zeroizing<String>>,
    #[serde(rename = "type")]
    kind: Option<serde_json::Value>,
}

/// What a token of ours says.
pub struct Claims {
    /// The wrapping token itself.
    pub token: SecretText,
    /// Whether its time is over.
    pub expired: bool,
}

/// Whether a token is to be taken for a JWT: two dots, not behind the letters of a service token.
pub fn is_jwt(token: &str) -> bool {
    let letters = token.as_bytes();
    letters.len() > 3
        && letters.iter().filter(|letter| **letter == b'.').count() == 2
        && letters[1] != b'.'
        && letters[3] != b'.'
}

impl JwtKey {
    /// Reads the key; makes it the first time.
    ///
    /// # Errors
    /// Storage fails, or what is stored is no such key.
    pub async fn open(storage: &dyn Storage, addr: String) -> Result<Self, Error> {
        let pair = match storage.get(KEY).await? {
            Some(entry) => read_pair(&entry.value)?,
            None => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P521_SHA512_FIXED_SIGNING)
                    .map_err(|_| Error::internal("failed to generate wrapping key"))?;
                let value = write_pair(&pair)?;
                storage.put(Entry { key: KEY.to_owned(), value, seal_wrap: false }).await?;
                pair
            }
        };
        Ok(Self { pair, addr })
    }

    /// Whether tokens say where they can be unwrapped.
    pub fn has_address(&self) -> bool {
        !self.addr.is_empty()
    }

    /// The numbers of the public key as decimal digits.
    pub fn public(&self) -> (String, String) {
        let point = self.pair.public_key().as_ref();
        let (x, y) = point[1..].split_at(WIDTH);
        (decimal::write(x).to_string(), decimal::write(y).to_string())
    }

    /// A signed form of a wrapping token.
    ///
    /// # Errors
    /// The TLS library could not sign.
    pub fn sign(
        &self,
        token: &SecretText,
        issued: i64,
        ttl: u64,
        wrapped_accessor: &str,
    ) -> Result<SecretText, Error> {
        let failed = || Error::internal("a wrapping token could not be signed");
        let says = Says {
            accessor: wrapped_accessor,
            addr: &self.addr,
            exp: issued.saturating_add(i64::try_from(ttl).unwrap_or(i64::MAX)),
            iat: issued,
            jti: token.expose(),
            nbf: issued - SKEW,
            kind: "wrapping",
        };
        let says = Zeroizing::new(serde_json::to_vec(&says).map_err(|_| failed())?);
        let mut text =
            Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(br#"{"alg":"ES512","typ":"JWT"}"#));
        text.push('.');
        text.push_str(&Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(&*says)));
        let signature =
            self.pair.sign(&SystemRandom::new(), text.as_bytes()).map_err(|_| failed())?;
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref());
        Ok(SecretText::new(format!("{}.{signature}", &*text)))
    }

    /// What a token of ours says.
    ///
    /// # Errors
    /// Why it is not one, in Vault's words where it has some.
    pub fn verify(&self, token: &str, now: i64) -> Result<Claims, Error> {
        let (signed, header, says, signature) =
            parts(token).ok_or_else(|| invalid("wrapping token could not be parsed"))?;
        let header: Header = serde_json::from_slice(&header)
            .map_err(|_| invalid("wrapping token could not be parsed"))?;
        if header.alg != "ES512" {
            return Err(invalid(
                "wrapping token could not be parsed: unexpected signature algorithm; expected \
                 [\"ES512\"]",
            ));
        }
        UnparsedPublicKey::new(&ECDSA_P521_SHA512_FIXED, self.pair.public_key())
            .verify(signed.as_bytes(), &signature)
            .map_err(|_| {
                invalid(
                    "wrapping token signature could not be validated: the token was tampered \
                     with, or another cluster made it",
                )
            })?;
        let says: Read = serde_json::from_slice(&says)
            .map_err(|_| invalid("wrapping token could not be parsed"))?;
        match says.kind {
            None => return Err(invalid("could not validate type claim")),
            Some(serde_json::Value::String(kind)) if kind == "wrapping" => {}
            Some(serde_json::Value::String(_)) => return Err(invalid("unexpected type claim")),
            Some(_) => return Err(invalid("could not parse type claim")),
        }
        let token = says.jti.filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| invalid("token is empty"))?;
        Ok(Claims {
            token: SecretText::new(token.as_str()),
            expired: says.exp.is_none_or(|exp| now >= exp),
        })
    }
}

/// A refusal, as Vault puts it.
fn invalid(why: &str) -> Error {
    Error::Coded { status: 403, message: format!("error validating wrapping token: {why}") }
}

type Decoded = Zeroizing<Vec<u8>>;

/// What is signed; then header, claims and signature, decoded.
fn parts(token: &str) -> Option<(&str, Decoded, Decoded, Decoded)> {
    if token.len() > LONGEST {
        return None;
    }
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, says) = signed.split_once('.')?;
    let decode = |text: &str| Some(Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?));
    Some((signed, decode(header)?, decode(says)?, decode(signature)?))
}

fn unusable() -> Error {
    Error::internal(
        "failed to decode wrapping key parameters: what is stored at core/wrapping/jwtkey is not a \
         key on the curve P-521",
    )
}

fn read_pair(json: &[u8]) -> Result<EcdsaKeyPair, Error> {
    let stored: Stored<'_> = serde_json::from_slice(json).map_err(|_| unusable())?;
    let number = |raw: &RawValue| decimal::read(raw.get(), WIDTH).ok_or_else(unusable);
    if stored.kind != CURVE {
        return Err(unusable());
    }
    let mut point = vec![4];
    point.extend_from_slice(&number(stored.x)?);
    point.extend_from_slice(&number(stored.y)?);
    EcdsaKeyPair::from_private_key_and_public_key(
        &ECDSA_P521_SHA512_FIXED_SIGNING,
        &number(stored.d)?,
        &point,
    )
    .map_err(|_| unusable())
}

fn write_pair(pair: &EcdsaKeyPair) -> Result<Zeroizing<Vec<u8>>, Error> {
    let failed = |_| Error::internal("failed to encode wrapping key");
    let d: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().map_err(failed)?;
    let d = decimal::write(d.as_ref());
    let (x, y) = pair.public_key().as_ref()[1..].split_at(WIDTH);
    let (x, y) = (decimal::write(x), decimal::write(y));
    let text = format!(r#"{{"type":"{CURVE}","x":{},"y":{},"d":{}}}"#, &*x, &*y, &*d);
    Ok(Zeroizing::new(text.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(addr: &str) -> JwtKey {
        let pair = EcdsaKeyPair::generate(&ECDSA_P521_SHA512_FIXED_SIGNING).unwrap();
        JwtKey { pair, addr: addr.to_owned() }
    }

    fn refusal(result: Result<Claims, Error>) -> String {
        result.err().expect("a refusal").to_string()
    }

    #[test]
    fn a_stored_key_is_read_back_as_the_same_key() {
        let made = key("");
        let json = write_pair(&made.pair).unwrap();
        let read = JwtKey { pair: read_pair(&json).unwrap(), addr: String::new() };
        assert_eq!(made.public(), read.public());
        let token = made.sign(&"hvs.x".into(), 100, 60, "").unwrap();
        assert_eq!(read.verify(token.expose(), 100).unwrap().token.expose(), "hvs.x");
    }

    /// Written by OpenBao's form: bare decimal numbers.
    #[test]
    fn what_is_no_key_is_refused_without_being_quoted() {
        for text in [
            "{}",
            r#"{"type":"p521","x":1,"y":2,"d":3}"#,
            r#"{"type":"ed25519","x":1,"y":2,"d":31337}"#,
            r#"{"type":"p521","x":"1","y":2,"d":3}"#,
        ] {
            let error = read_pair(text.as_bytes()).err().unwrap().to_string();
            assert!(error.contains("core/wrapping/jwtkey") && !error.contains("31337"), "{error}");
        }
    }

    #[test]
    fn a_token_says_what_vaults_say_and_is_signed_as_es512() {
        let key = key("https://here:8200");
        let token = key.sign(&"hvs.x".into(), 1_000, 60, "acc").unwrap();
        let (_, header, says, signature) = parts(token.expose()).unwrap();
        assert_eq!(&**header, br#"{"alg":"ES512","typ":"JWT"}"#);
        assert_eq!(
            std::str::from_utf8(&says).unwrap(),
            r#"{"accessor":"acc","addr":"https://here:8200","exp":1060,"iat":1000,"jti":"hvs.x","nbf":995,"type":"wrapping"}"#
        );
        assert_eq!(signature.len(), 132);
        assert!(is_jwt(token.expose()));
        assert!(!is_jwt("hvs.abc.def") && !is_jwt("s.abc.def") && !is_jwt("hvs.abc"));
    }

    #[test]
    fn a_tampered_foreign_or_expired_token_is_refused_with_that_reason() {
        let key = key("");
        let token = key.sign(&"hvs.x".into(), 1_000, 60, "").unwrap();
        let token = token.expose();
        assert!(!key.verify(token, 1_059).unwrap().expired);
        assert!(key.verify(token, 1_060).unwrap().expired);

        let (signed, signature) = token.rsplit_once('.').unwrap();
        let mut other = signature.to_owned();
        other.replace_range(10..11, if &signature[10..11] == "A" { "B" } else { "A" });
        let text = refusal(key.verify(&format!("{signed}.{other}"), 1_000));
        assert!(text.contains("signature could not be validated"), "{text}");
        let (header, _) = signed.split_once('.').unwrap();
        let says = BASE64_URL_SAFE_NO_PAD.encode(r#"{"jti":"hvs.y","type":"wrapping","exp":9999}"#);
        let text = refusal(key.verify(&format!("{header}.{says}.{signature}"), 1_000));
        assert!(text.contains("signature could not be validated"), "{text}");
        let text = refusal(super::tests::key("").verify(token, 1_000));
        assert!(text.contains("signature could not be validated"), "{text}");
    }

    #[test]
    fn no_header_chooses_another_algorithm() {
        let key = key("");
        let token = key.sign(&"hvs.x".into(), 1_000, 60, "").unwrap();
        let (_, rest) = token.expose().split_once('.').unwrap();
        for header in [r#"{"alg":"none"}"#, r#"{"alg":"HS256"}"#, r#"{"typ":"JWT"}"#, "x"] {
            let header = BASE64_URL_SAFE_NO_PAD.encode(header);
            let text = refusal(key.verify(&format!("{header}.{rest}"), 1_000));
            assert!(text.contains("could not be parsed"), "{text}");
        }
        for text in ["", ".", "..", "a.b.c", &"x".repeat(LONGEST + 1)] {
            assert!(refusal(key.verify(text, 0)).contains("could not be parsed"));
        }
    }

    #[test]
    fn only_wrapping_tokens_are_taken() {
        let key = key("");
        let sign = |says: &str| {
            let header = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"ES512"}"#);
            let signed = format!("{header}.{}", BASE64_URL_SAFE_NO_PAD.encode(says));
            let signature = key.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
            format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref()))
        };
        for (says, text) in [
            (r#"{"jti":"x","exp":9}"#, "could not validate type claim"),
            (r#"{"jti":"x","exp":9,"type":1}"#, "could not parse type claim"),
            (r#"{"jti":"x","exp":9,"type":"other"}"#, "unexpected type claim"),
            (r#"{"exp":9,"type":"wrapping"}"#, "token is empty"),
        ] {
            assert!(refusal(key.verify(&sign(says), 1)).ends_with(text), "{says}");
        }
        assert!(key.verify(&sign(r#"{"jti":"x","type":"wrapping"}"#), 1).unwrap().expired);
    }
}
