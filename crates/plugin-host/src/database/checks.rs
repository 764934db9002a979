//! What a server refuses before it asks a database plugin, in the words of Go's library (wire spec
//! 4.1).

use boltwork_logical::{Credential, DatabaseError, NewUser, UserChange};

fn refused(text: &str) -> Result<(), DatabaseError> {
    Err(DatabaseError::Invalid(text.to_owned()))
}

/// A user to be made has what it will log in with.
pub(super) fn new_user(user: &NewUser) -> Result<(), DatabaseError> {
    match &user.credential {
        Credential::Password(password) if password.is_empty() => {
            refused("missing password credential")
        }
        Credential::PublicKey(key) if key.is_empty() => refused("missing public key credential"),
        Credential::Subject(subject) if subject.is_empty() => {
            refused("missing certificate subject")
        }
        Credential::Password(_) | Credential::PublicKey(_) | Credential::Subject(_) => Ok(()),
        _ => refused("unknown credential type"),
    }
}

/// A change names its user and changes something.
pub(super) fn change(change: &UserChange) -> Result<(), DatabaseError> {
    username(&change.username)?;
    let credential = match &change.credential {
        Some((Credential::Password(password), _)) => !password.is_empty(),
        Some((Credential::PublicKey(key), _)) => !key.is_empty(),
        // The subject of a certificate cannot be changed.
        Some(_) | None => false,
    };
    if credential || change.expiration.is_some() { Ok(()) } else { refused("missing changes") }
}

/// A user has a name.
pub(super) fn username(name: &str) -> Result<(), DatabaseError> {
    if name.is_empty() { refused("missing username") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn credentials_that_are_missing_are_named() {
        for (credential, text) in [
            (Credential::Password("".into()), "missing password credential"),
            (Credential::PublicKey(Vec::new()), "missing public key credential"),
            (Credential::Subject(String::new()), "missing certificate subject"),
        ] {
            let user = NewUser {
                display_name: "token".into(),
                role_name: "role".into(),
                credential,
                expiration: None,
                statements: Vec::new(),
                rollback_statements: Vec::new(),
                renew_statements: Vec::new(),
                revocation_statements: Vec::new(),
            };
            assert_eq!(new_user(&user).unwrap_err().to_string(), text);
            let good = NewUser { credential: Credential::Password("x".into()), ..user };
            assert_eq!(new_user(&good), Ok(()));
        }
    }

    #[test]
    fn a_change_names_its_user_and_changes_something() {
        let of =
            |credential| UserChange { username: "u".into(), credential, ..UserChange::default() };
        let none = UserChange::default();
        assert_eq!(change(&none).unwrap_err().to_string(), "missing username");
        for nothing in [
            None,
            Some((Credential::Password("".into()), Vec::new())),
            Some((Credential::PublicKey(Vec::new()), Vec::new())),
            Some((Credential::Subject("CN=x".into()), Vec::new())),
        ] {
            assert_eq!(change(&of(nothing)).unwrap_err().to_string(), "missing changes");
        }
        assert_eq!(change(&of(Some((Credential::Password("p".into()), Vec::new())))), Ok(()));
        let expiration = Some((SystemTime::now(), Vec::new()));
        assert_eq!(change(&UserChange { expiration, ..of(None) }), Ok(()));
    }
}
