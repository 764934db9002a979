//! Keyed digests of secret strings, alone and inside JSON. Leaves out where the salt is stored.
//!
//! The same string gives the same digest at one device, so that an operator who knows a value can search for it;
//! nobody can go the other way, and digests of two devices cannot be compared.

use std::borrow::Cow;

use aws_lc_rs::hmac;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use zeroize::Zeroizing;

use crate::Error;

const MARK: &str = "hmac-sha256:";

/// A device's key for digests.
#[derive(Clone)]
pub struct Salt(hmac::Key);

impl Salt {
    /// The key made of a stored salt, as text: HMAC-SHA-256 is keyed with its bytes.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()))
    }

    /// A fresh salt to be stored: a random UUID.
    #[must_use]
    pub fn generate() -> Zeroizing<String> {
        Zeroizing::new(uuid::Uuid::new_v4().to_string())
    }

    /// The digest of a string, `hmac-sha256:` and hex.
    #[must_use]
    pub fn digest(&self, text: &str) -> String {
        let mut out = String::with_capacity(MARK.len() + 64);
        out.push_str(MARK);
        out.push_str(&hex::encode(hmac::sign(&self.0, text.as_bytes())));
        out
    }
}

/// Copies a JSON text without the whitespace between tokens. With a salt every string value becomes its digest,
/// except where the key nearest to it is in `plain`, and where it is a time (RFC 3339), which is no secret.
///
/// # Errors
/// [`Error::Encoding`] where the text is not JSON, so that nothing is copied that was not understood.
pub(crate) fn rewrite(json: &str, salt: Option<&Salt>, plain: &[String]) -> Result<String, Error> {
    let capacity = if salt.is_some() { json.len() * 2 } else { json.len() };
    let out = String::with_capacity(capacity);
    let mut rewriter = Rewriter { salt, plain, out, open: Vec::new(), key_next: false };
    let mut rest = json;
    while let Some(&byte) = rest.as_bytes().first() {
        let len = if byte == b'"' { string_len(rest).ok_or(Error::Encoding)? } else { 1 };
        // Outside strings JSON is ASCII.
        let (token, after) = rest.split_at_checked(len).ok_or(Error::Encoding)?;
        rewriter.token(byte, token)?;
        rest = after;
    }
    Ok(rewriter.out)
}

/// Length of the string token at the start, quotes included.
fn string_len(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (place, &byte) in text.as_bytes().iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(place + 1),
            _ => {}
        }
    }
    None
}

/// An object or array that is not closed yet.
struct Open {
    object: bool,
    /// Strings directly inside stay as they are: for an object, those of its present key.
    plain: bool,
}

struct Rewriter<'a> {
    salt: Option<&'a Salt>,
    plain: &'a [String],
    out: String,
    open: Vec<Open>,
    key_next: bool,
}

impl Rewriter<'_> {
    fn token(&mut self, first: u8, token: &str) -> Result<(), Error> {
        match first {
            b'"' if self.key_next => return self.key(token),
            b'"' => return self.string(token),
            b' ' | b'\t' | b'\n' | b'\r' => return Ok(()),
            b'{' => {
                self.open.push(Open { object: true, plain: false });
                self.key_next = true;
            }
            b'[' => {
                let plain = self.open.last().is_some_and(|outer| outer.plain);
                self.open.push(Open { object: false, plain });
            }
            b'}' | b']' => {
                self.open.pop();
                self.key_next = false;
            }
            b':' => self.key_next = false,
            b',' => self.key_next = self.open.last().is_some_and(|inner| inner.object),
            _ => {}
        }
        self.out.push_str(token);
        Ok(())
    }

    fn key(&mut self, token: &str) -> Result<(), Error> {
        let plain =
            if self.plain.is_empty() { false } else { self.plain.contains(&*decode(token)?) };
        if let Some(object) = self.open.last_mut() {
            object.plain = plain;
        }
        self.out.push_str(token);
        Ok(())
    }

    fn string(&mut self, token: &str) -> Result<(), Error> {
        let Some(salt) = self.salt else {
            self.out.push_str(token);
            return Ok(());
        };
        let text = decode(token)?;
        if self.open.last().is_some_and(|inner| inner.plain) || is_time(&text) {
            self.out.push_str(token);
        } else {
            self.out.push('"');
            self.out.push_str(&salt.digest(&text));
            self.out.push('"');
        }
        Ok(())
    }
}

fn decode(token: &str) -> Result<Zeroizing<String>, Error> {
    let text: Cow<'_, str> = serde_json::from_str(token).map_err(|_| Error::Encoding)?;
    Ok(Zeroizing::new(text.into_owned()))
}

fn is_time(text: &str) -> bool {
    // A cheap look first: most strings are no times.
    let bytes = text.as_bytes();
    bytes.len() >= 20
        && bytes.len() <= 40
        && bytes[4] == b'-'
        && bytes[10] == b'T'
        && OffsetDateTime::parse(text, &Rfc3339).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn salt() -> Salt {
        Salt::new("a salt")
    }

    #[test]
    fn the_digest_is_hmac_sha256_in_hex() {
        // RFC 4231, test case 2.
        let digest = Salt::new("Jefe").digest("what do ya want for nothing?");
        assert_eq!(
            digest,
            "hmac-sha256:5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn string_values_are_digested_and_nothing_else_changes() {
        let json = r#" { "a" : "secret", "n":[ 1.50, "x y", {"k":"v"}, true, null ], "e":"" } "#;
        let (d, s) = (|text: &str| salt().digest(text), salt());
        let want = format!(
            r#"{{"a":"{}","n":[1.50,"{}",{{"k":"{}"}},true,null],"e":"{}"}}"#,
            d("secret"),
            d("x y"),
            d("v"),
            d("")
        );
        assert_eq!(rewrite(json, Some(&s), &[]).expect("valid"), want);
    }

    #[test]
    fn what_is_digested_is_the_string_that_the_escapes_mean() {
        let json = r#"{"a":"q\"\u00e9\\","b\n":"\ud83d\ude00"}"#;
        let out = rewrite(json, Some(&salt()), &[]).expect("valid");
        assert!(out.contains(&salt().digest("q\"é\\")), "{out}");
        assert!(out.contains(&salt().digest("😀")), "{out}");
        assert!(out.contains(r#""b\n":"#), "{out}");
    }

    #[test]
    fn plain_keys_hold_for_the_nearest_key_and_through_arrays() {
        let json = r#"{"ok":"a","list":["b",["c"]],"deep":{"ok":"d","no":"e"},"list2":{"f":"g"}}"#;
        let plain = ["ok".to_owned(), "list".to_owned(), "list2".to_owned()];
        let out = rewrite(json, Some(&salt()), &plain).expect("valid");
        for clear in [r#""ok":"a""#, r#"["b",["c"]]"#, r#""ok":"d""#] {
            assert!(out.contains(clear), "{out}");
        }
        for hidden in [r#""e""#, r#""g""#] {
            assert!(!out.contains(hidden), "{out}");
        }
    }

    #[test]
    fn times_stay_readable_and_lookalikes_do_not() {
        let json = r#"{"t":"2026-11-23T12:00:00.123456Z","x":"2026-11-23T12:00:00 my secret"}"#;
        let out = rewrite(json, Some(&salt()), &[]).expect("valid");
        assert!(out.contains("2026-11-23T12:00:00.123456Z"), "{out}");
        assert!(!out.contains("my secret"), "{out}");
    }

    #[test]
    fn raw_copies_stay_on_one_line() {
        let out = rewrite("{\n\t\"a\":\r\n \"b c\\n\" }", None, &[]).expect("valid");
        assert_eq!(out, r#"{"a":"b c\n"}"#);
    }

    #[test]
    fn what_is_not_json_never_comes_through_in_the_clear() {
        for bad in ["{\"a\":\"secret", "\"\\x secret\"", "{\"a\":é}"] {
            match rewrite(bad, Some(&salt()), &[]) {
                Ok(out) => assert!(!out.contains("secret"), "{out}"),
                Err(e) => assert!(matches!(e, Error::Encoding)),
            }
        }
    }
}
