//! The userpass auth method: users with passwords, kept in the mount's own storage.
//!
//! Paths, fields, replies and texts are those of HashiCorp's and OpenBao's method of this name, and
//! so is what is stored: mounts can change hands. Built in, the server mounts what [`factory`]
//! makes; the binary of this package serves the same as an external plugin.
//!
//! Deliberately absent: locking users out after failures (the server's business, it sees the
//! logins of all methods), and rules for what a good password is.

mod fields;
mod login;
mod password;
mod user;
mod users;

use std::sync::Arc;

use boltwork_sdk::{Engine, Routes, logical::Factory, path};

/// The version that the method reports of itself.
pub const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// What makes the method of a mount.
pub fn factory() -> Arc<dyn Factory> {
    boltwork_sdk::factory(|| Userpass)
}

/// The method of one mount. All it knows is in storage.
#[derive(Debug, Clone, Copy, Default)]
pub struct Userpass;

impl Engine for Userpass {
    fn routes() -> Routes<Self> {
        Routes::new([
            path("users").help("List the users.").details(USERS).list(Self::list),
            path("users/{username}")
                .help("Create, read, change and delete a user.")
                .details(USER)
                .read(Self::read)
                .write(Self::write)
                .delete(Self::delete)
                .exists(Self::exists),
            path("users/{username}/password")
                .help("Set a user's password.")
                .details(PASSWORD)
                .update(Self::set_password),
            path("users/{username}/policies")
                .help("Set a user's policies.")
                .details(POLICIES)
                .update(Self::set_policies),
            path("login/{username}")
                .help("Log in with a username and a password.")
                .details(LOGIN)
                .login(Self::login)
                .alias_lookahead(Self::alias),
        ])
        .renew_login(Self::renew)
        .help(HELP)
        .version(VERSION)
    }
}

const HELP: &str = "\
Lets users log in with a name and a password. Users are kept under users/; whoever knows a user's
password gets a token under login/. Names are the same in upper and in lower case.";

const USERS: &str = "\
Lists the names of the users. With `after` and `limit` the list comes in pages.";

const USER: &str = "\
A user has a password and says what tokens its logins give. A new user needs a password, or the bcrypt
hash of one; a change leaves alone what it does not name. The password is never shown. Deleting a user
ends its logins, not the tokens that they gave: those can no longer be renewed, and can be revoked
by the prefix login/<username>.";

const PASSWORD: &str = "\
Replaces the password of a user that exists. Give either `password`, or `password_hash` if the
password is not to be sent.";

const POLICIES: &str = "\
Replaces the policies of a user that exists. Tokens given before keep theirs, and can no longer be
renewed if they differ.";

const LOGIN: &str = "\
Needs no token. A wrong password and a user that does not exist are answered alike, after the same
time.";
