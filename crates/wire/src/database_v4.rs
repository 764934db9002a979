//! Database plugins, version 4, as a server speaks to them (wire spec 4.2): what our nouns are in
//! its messages.
//!
//! Version 4 makes its users' passwords itself, takes all statements at once, and sends the
//! configuration as JSON. Left out: the plugin's side. A plugin of ours speaks version 5.

use std::time::SystemTime;

use boltwork_logical::{Data, MadeUser, NewUser, SecretText};

use crate::{WireError, dbplugin, time_to_wire};

/// A user to be made. Its credential does not travel: the plugin makes a password.
pub fn create_user_to_wire(user: &NewUser) -> dbplugin::CreateUserRequest {
    dbplugin::CreateUserRequest {
        statements: Some(dbplugin::Statements {
            creation: user.statements.clone(),
            revocation: user.revocation_statements.clone(),
            rollback: user.rollback_statements.clone(),
            renewal: user.renew_statements.clone(),
            rotation: Vec::new(),
        }),
        username_config: Some(dbplugin::UsernameConfig {
            display_name: user.display_name.clone(),
            role_name: user.role_name.clone(),
        }),
        expiration: Some(time_to_wire(user.expiration)),
    }
}

/// The user that the plugin made, and its password.
pub fn created_user_from_wire(response: dbplugin::CreateUserResponse) -> MadeUser {
    let password = Some(response.password).filter(|password| !password.is_empty());
    MadeUser { username: response.username, password: password.map(SecretText::new) }
}

/// A user's new end.
pub fn renew_user_to_wire(
    username: &str,
    end: SystemTime,
    statements: &[String],
) -> dbplugin::RenewUserRequest {
    let renewal = statements.to_vec();
    dbplugin::RenewUserRequest {
        statements: Some(dbplugin::Statements { renewal, ..dbplugin::Statements::default() }),
        username: username.to_owned(),
        expiration: Some(time_to_wire(Some(end))),
    }
}

/// A user's new password.
pub fn set_credentials_to_wire(
    username: &str,
    password: &SecretText,
    statements: &[String],
) -> dbplugin::SetCredentialsRequest {
    let rotation = statements.to_vec();
    dbplugin::SetCredentialsRequest {
        statements: Some(dbplugin::Statements { rotation, ..dbplugin::Statements::default() }),
        static_user_config: Some(dbplugin::StaticUserConfig {
            username: username.to_owned(),
            password: password.expose().to_owned(),
            create: false,
        }),
    }
}

/// A user to be removed.
pub fn revoke_user_to_wire(username: &str, statements: &[String]) -> dbplugin::RevokeUserRequest {
    let revocation = statements.to_vec();
    dbplugin::RevokeUserRequest {
        statements: Some(dbplugin::Statements { revocation, ..dbplugin::Statements::default() }),
        username: username.to_owned(),
    }
}

/// A configuration: JSON, as it is.
pub fn config_to_json(config: &Data) -> Vec<u8> {
    if config.is_null() { b"{}".to_vec() } else { config.as_bytes().to_vec() }
}

/// A configuration that the plugin sent; none if it sent nothing.
pub fn config_from_json(field: &'static str, config: Vec<u8>) -> Result<Option<Data>, WireError> {
    if config.is_empty() {
        return Ok(None);
    }
    Data::parse(config).map(Some).map_err(WireError::data(field))
}
