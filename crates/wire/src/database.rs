//! Database plugins, version 5: users and what changes in them (wire spec 4.1).
//!
//! The configuration is in `config`. What only version 4 wants (statements that renew and revoke,
//! sent with a new user) does not travel here. Left out: what is checked before a call is made; a
//! server and a plugin refuse different things, in words of their own.

use std::time::SystemTime;

use boltwork_logical::{Credential, MadeUser, NewUser, SecretText, UserChange};
use prost_types::Timestamp;

use crate::dbplugin::v5;
use crate::{WireError, time_from_wire, time_to_wire};

const PASSWORD: i32 = 0;
const RSA_PRIVATE_KEY: i32 = 1;
const CLIENT_CERTIFICATE: i32 = 2;

fn statements_to_wire(commands: &[String]) -> Option<v5::Statements> {
    Some(v5::Statements { commands: commands.to_vec() })
}

/// The statements of a message; none if they are absent.
pub fn statements_from_wire(statements: Option<v5::Statements>) -> Vec<String> {
    statements.map(|statements| statements.commands).unwrap_or_default()
}

fn expiration(
    field: &'static str,
    time: Option<Timestamp>,
) -> Result<Option<SystemTime>, WireError> {
    time.map_or(Ok(None), |time| time_from_wire(field, &time))
}

/// A user to be made, for the wire. A user without an end gets Go's zero time.
pub fn new_user_to_wire(user: &NewUser) -> v5::NewUserRequest {
    let mut request = v5::NewUserRequest {
        username_config: Some(v5::UsernameConfig {
            display_name: user.display_name.clone(),
            role_name: user.role_name.clone(),
        }),
        expiration: Some(time_to_wire(user.expiration)),
        statements: statements_to_wire(&user.statements),
        rollback_statements: statements_to_wire(&user.rollback_statements),
        ..v5::NewUserRequest::default()
    };
    match &user.credential {
        Credential::Password(password) => password.expose().clone_into(&mut request.password),
        Credential::PublicKey(key) => {
            request.credential_type = RSA_PRIVATE_KEY;
            request.public_key.clone_from(key);
        }
        Credential::Subject(subject) => {
            request.credential_type = CLIENT_CERTIFICATE;
            request.subject.clone_from(subject);
        }
        // A sort of credential that the protocol does not have: refused by whoever reads it.
        _ => request.credential_type = -1,
    }
    request
}

/// A user to be made, from the wire.
pub fn new_user_from_wire(request: v5::NewUserRequest) -> Result<NewUser, WireError> {
    let config = request.username_config.ok_or(WireError::Missing("username_config"))?;
    let credential = match request.credential_type {
        PASSWORD => Credential::Password(SecretText::new(request.password)),
        RSA_PRIVATE_KEY => Credential::PublicKey(request.public_key),
        CLIENT_CERTIFICATE => Credential::Subject(request.subject),
        _ => return Err(WireError::field("credential_type", "unknown credential type")),
    };
    Ok(NewUser {
        display_name: config.display_name,
        role_name: config.role_name,
        credential,
        expiration: expiration("NewUserRequest.expiration", request.expiration)?,
        statements: statements_from_wire(request.statements),
        rollback_statements: statements_from_wire(request.rollback_statements),
        renew_statements: Vec::new(),
        revocation_statements: Vec::new(),
    })
}

/// A user that was made, from the wire. It has the password that it was given.
pub fn made_user_from_wire(response: v5::NewUserResponse) -> MadeUser {
    MadeUser { username: response.username, password: None }
}

/// What is to change in a user, for the wire.
pub fn change_to_wire(change: &UserChange) -> v5::UpdateUserRequest {
    let mut request = v5::UpdateUserRequest {
        username: change.username.clone(),
        ..v5::UpdateUserRequest::default()
    };
    match &change.credential {
        Some((Credential::Password(password), statements)) => {
            request.password = Some(v5::ChangePassword {
                new_password: password.expose().to_owned(),
                statements: statements_to_wire(statements),
            });
        }
        Some((Credential::PublicKey(key), statements)) => {
            request.credential_type = RSA_PRIVATE_KEY;
            request.public_key = Some(v5::ChangePublicKey {
                new_public_key: key.clone(),
                statements: statements_to_wire(statements),
            });
        }
        // Subjects of certificates do not change; the protocol has no field for it.
        Some(_) | None => {}
    }
    if let Some((time, statements)) = &change.expiration {
        request.expiration = Some(v5::ChangeExpiration {
            new_expiration: Some(time_to_wire(Some(*time))),
            statements: statements_to_wire(statements),
        });
    }
    if let Some(password) = &change.self_managed_password {
        password.expose().clone_into(&mut request.self_managed_password);
    }
    request
}

/// What is to change in a user, from the wire. What is there without a value is no change.
pub fn change_from_wire(request: v5::UpdateUserRequest) -> Result<UserChange, WireError> {
    let password = request.password.filter(|change| !change.new_password.is_empty());
    let key = request.public_key.filter(|change| !change.new_public_key.is_empty());
    let password = password.map(|change| {
        let password = SecretText::new(change.new_password);
        (Credential::Password(password), statements_from_wire(change.statements))
    });
    let key = key.map(|change| {
        (Credential::PublicKey(change.new_public_key), statements_from_wire(change.statements))
    });
    let credential = match request.credential_type {
        RSA_PRIVATE_KEY => key.or(password),
        _ => password.or(key),
    };
    let field = "UpdateUserRequest.expiration";
    let expiration = match request.expiration {
        Some(v5::ChangeExpiration { new_expiration, statements }) => {
            let time = expiration(field, new_expiration)?;
            time.map(|time| (time, statements_from_wire(statements)))
        }
        None => None,
    };
    let own = Some(request.self_managed_password).filter(|password| !password.is_empty());
    Ok(UserChange {
        username: request.username,
        credential,
        expiration,
        self_managed_password: own.map(SecretText::new),
    })
}
