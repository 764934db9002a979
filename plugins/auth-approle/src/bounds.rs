//! Blocks of addresses that logins must come from.

use std::net::IpAddr;

use boltwork_sdk::{
    Result,
    credential::{Cidr, CidrError},
    logical::{Connection, Error},
};

/// Refuses lists in which something is not a block.
pub fn check<T: AsRef<str>>(blocks: &[T]) -> std::result::Result<(), CidrError> {
    blocks.iter().try_for_each(|block| block.as_ref().parse::<Cidr>().map(|_| ()))
}

/// Refuses blocks of a secret id that are not within the role's. A role without blocks has them all.
pub fn check_within(role: &[String], secret: &[String]) -> Result<()> {
    let within = |secret: &String| {
        let secret = block(secret);
        role.iter().any(|role| block(role).zip(secret).is_some_and(|(role, s)| role.covers(s)))
    };
    if role.is_empty() || secret.iter().all(within) {
        return Ok(());
    }
    // Vault's status for it is 500.
    Err(Error::internal(format!(
        "failed to verify subset relationship between CIDR blocks on the role {role:?} and CIDR \
         blocks on the secret ID {secret:?}"
    )))
}

/// Refuses clients outside the blocks; `why` ends the sentence. Without blocks, everybody may pass.
pub fn admit(blocks: &[String], from: Option<&Connection>, why: &str) -> Result<()> {
    if blocks.is_empty() {
        return Ok(());
    }
    let client = from.map(|from| from.remote_addr.as_str()).filter(|address| !address.is_empty());
    let client = client.ok_or_else(|| Error::internal("failed to get connection information"))?;
    let inside = |address: IpAddr| {
        blocks.iter().any(|text| block(text).is_some_and(|block| block.contains(address)))
    };
    if client.parse().is_ok_and(inside) {
        return Ok(());
    }
    Err(Error::invalid(format!("source address {client:?} unauthorized {why}")))
}

/// A stored block. Old ones of a single address have no prefix; what cannot be read is none, and
/// admits nobody.
fn block(text: &str) -> Option<Cidr> {
    match text.parse() {
        Ok(block) => Some(block),
        Err(_) => text.parse().ok().map(Cidr::host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(blocks: &[&str]) -> Vec<String> {
        blocks.iter().map(|&block| block.to_owned()).collect()
    }

    #[test]
    fn a_secret_ids_blocks_are_within_the_roles() {
        let role = list(&["10.0.0.0/8", "127.0.0.1"]);
        for (secret, fine) in [
            (list(&[]), true),
            (list(&["10.1.0.0/16", "127.0.0.1/32"]), true),
            (list(&["11.0.0.0/8"]), false),
            (list(&["10.0.0.0/7"]), false),
            (list(&["10.1.0.0/16", "::/0"]), false),
            (list(&["junk"]), false),
        ] {
            assert_eq!(check_within(&role, &secret).is_ok(), fine, "{secret:?}");
        }
        assert!(check_within(&[], &list(&["11.0.0.0/8"])).is_ok());
    }

    #[test]
    fn who_is_outside_or_unknown_is_not_admitted() {
        let at =
            |address: &str| Connection { remote_addr: address.into(), ..Connection::default() };
        let blocks = list(&["10.0.0.0/8"]);
        assert!(admit(&blocks, Some(&at("10.2.3.4")), "").is_ok());
        assert!(admit(&[], None, "").is_ok());
        for from in [None, Some(at("")), Some(at("junk")), Some(at("11.1.1.1"))] {
            assert!(admit(&blocks, from.as_ref(), "").is_err(), "{from:?}");
        }
        assert!(admit(&list(&["junk"]), Some(&at("10.2.3.4")), "").is_err());
    }
}
