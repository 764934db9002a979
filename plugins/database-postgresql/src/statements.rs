//! Statements in the forms that Vault takes them in: SQL, a JSON list of it, and either in base64.
//!
//! They are not cut at semicolons here. The server takes several at once, and cuts them where its
//! own grammar says: not inside quotes, dollar quotes, comments, or the body of a function.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// The SQL in what an operator wrote; nothing where that was empty.
pub fn unpacked(written: &[String]) -> Vec<String> {
    written.iter().flat_map(|text| unpack(text)).filter(|sql| !sql.trim().is_empty()).collect()
}

fn unpack(text: &str) -> Vec<String> {
    let text = text.trim();
    if let Ok(list) = serde_json::from_str::<Vec<String>>(text) {
        return list;
    }
    // No SQL statement is one word of base64 letters.
    let decoded = BASE64_STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match decoded {
        Some(decoded) => serde_json::from_str(&decoded).unwrap_or_else(|_| vec![decoded]),
        None => vec![text.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_vault_takes_is_understood() {
        let list = r#"["CREATE ROLE a;", "GRANT b TO a"]"#;
        let both = ["CREATE ROLE a;".to_owned(), "GRANT b TO a".to_owned()];
        let encode = |text: &str| BASE64_STANDARD.encode(text);
        assert_eq!(unpacked(&[list.to_owned()]), both);
        assert_eq!(unpacked(&[encode(list)]), both);
        assert_eq!(unpacked(&[encode("SELECT 'x;y'; SELECT 1")]), ["SELECT 'x;y'; SELECT 1"]);
        assert_eq!(unpacked(&[" SELECT 1; ".to_owned(), " ".to_owned()]), ["SELECT 1;"]);
    }
}
