//! What names, metadata and lists may be. Limits are Vault's where it has one.
//!
//! No text quotes a value: metadata is whatever a login found.

use boltwork_logical::Error;

use super::entry::Metadata;
use crate::backends::one_error;

/// Longest name of an entity, group or alias, in bytes.
const MAX_NAME: usize = 1024;

/// Most policies of an entity or group.
const MAX_POLICIES: usize = 1024;

/// Most entities, and most groups, that are members of one group.
pub const MAX_MEMBERS: usize = 100_000;

/// Most facts, longest name and longest value of a fact, in bytes.
const METADATA: (usize, usize, usize) = (64, 128, 512);

/// Beginning of names of facts that are Vault's own.
const RESERVED: &str = "vault-";

/// A failure that Vault answers with status 500, although the caller could have avoided it.
pub fn fault(text: &str) -> Error {
    Error::Coded { status: 500, message: one_error(text) }
}

/// A name as a person or an auth method gave it.
pub fn name(what: &str, name: &str) -> Result<(), Error> {
    if name.len() > MAX_NAME {
        return Err(Error::invalid(format!("{what} is longer than {MAX_NAME} bytes")));
    }
    Ok(())
}

/// Policy names in lower case, without blanks, sorted, each once. `root` cannot be had this way.
pub fn policies(names: &[String]) -> Result<Vec<String>, Error> {
    let clean = crate::tokens::sanitized_policies(names, false);
    if clean.iter().any(|p| p == "root") {
        return Err(Error::invalid("policies cannot contain root"));
    }
    if clean.len() > MAX_POLICIES {
        return Err(Error::invalid(format!("there are more than {MAX_POLICIES} policies")));
    }
    Ok(clean)
}

/// Facts about an entity, an alias or a group; `what` says which.
pub fn metadata(what: &str, facts: &Metadata) -> Result<(), Error> {
    let (most, longest_key, longest_value) = METADATA;
    if facts.len() > most {
        return Err(fault(&format!(
            "invalid {what} metadata: metadata cannot contain more than {most} key/value pairs"
        )));
    }
    for (key, value) in facts {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"=/+_-".contains(&b);
        let why = if key.is_empty() {
            "key cannot be blank".to_owned()
        } else if !key.bytes().all(plain) {
            "key contains invalid characters".to_owned()
        } else if key.len() > longest_key {
            format!("key is too long (limit: {longest_key} characters)")
        } else if key.starts_with(RESERVED) {
            format!("key prefix {RESERVED:?} is reserved for internal use")
        } else if value.len() > longest_value {
            format!("value is too long (limit: {longest_value} characters)")
        } else {
            continue;
        };
        let shown: String = key.chars().take(longest_key).collect();
        return Err(fault(&format!(
            "invalid {what} metadata: failed to load metadata pair with key {shown:?}: {why}"
        )));
    }
    Ok(())
}

/// Facts that operators give an alias.
pub fn custom_metadata(facts: &Metadata) -> Result<(), Error> {
    let (most, longest_key, longest_value) = METADATA;
    const FAILED: &str = "custom_metadata validation failed";
    if facts.len() > most {
        let given = facts.len();
        return Err(fault(&format!(
            "{FAILED}: payload must contain at most {most} keys, provided {given}"
        )));
    }
    for (key, value) in facts {
        let shown: String = key.chars().take(longest_key).collect();
        let why = if key.is_empty() || key.len() > longest_key {
            let length = key.len();
            format!("length of key {shown:?} is {length} but must be 0 < len(key) <= {longest_key}")
        } else if value.is_empty() || value.len() > longest_value {
            let length = value.len();
            format!(
                "length of value for key {shown:?} is {length} but must be 0 < len(value) <= \
                 {longest_value}"
            )
        } else if key.chars().any(char::is_control) {
            format!("key {shown:?} contains unprintable characters")
        } else if value.chars().any(char::is_control) {
            format!("value for key {shown:?} contains unprintable characters")
        } else {
            continue;
        };
        return Err(fault(&format!("{FAILED}: {why}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(key: &str, value: &str) -> Metadata {
        Metadata::from([(key.to_owned(), value.to_owned())])
    }

    #[test]
    fn metadata_has_limits_and_no_error_quotes_a_value() {
        assert!(metadata("entity", &facts("a=/+_-Z9", "any value")).is_ok());
        let long = "s3cret".repeat(100);
        for (key, value) in [
            ("", "s3cret"),
            ("a b", "s3cret"),
            ("vault-x", "s3cret"),
            ("k", long.as_str()),
            (&"k".repeat(129), "s3cret"),
        ] {
            let error = metadata("entity", &facts(key, value)).unwrap_err().to_string();
            assert!(error.contains("invalid entity metadata") && !error.contains("s3cret"));
            if key != "a b" && key != "vault-x" {
                assert!(custom_metadata(&facts(key, value)).is_err(), "{key}");
            }
        }
        let many: Metadata = (0..65).map(|n| (format!("k{n}"), String::new())).collect();
        assert!(metadata("entity", &many).is_err());
        assert!(custom_metadata(&facts("k", "")).is_err());
        assert!(custom_metadata(&facts("k", "a\nb")).is_err());
        assert!(custom_metadata(&facts("with space", "v")).is_ok());
    }

    #[test]
    fn root_is_no_policy_of_an_identity() {
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert_eq!(policies(&names(&[" B", "a", "b", ""])).unwrap(), ["a", "b"]);
        assert!(policies(&names(&["a", " ROOT "])).is_err());
    }
}
