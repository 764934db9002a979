//! Database plugins: open connections, in the server's process or in a plugin's.
//!
//! * `checks`: what is refused before the plugin is asked.
//! * `remote`, `older`: one connection in a plugin's process, over version 5 of the protocol, and
//!   over version 4. `seat`: what they have in common.
//! * `connection`: any of them as the database engine has it: counted, closed, replaced by a reload.
//! * `open`: which connections there are.
//!
//! Left out: roles, leases, the configuration that is kept; all of that is the database engine's.

mod checks;
mod connection;
mod older;
#[cfg(test)]
mod older_tests;
mod open;
mod remote;
mod seat;

pub(crate) use connection::{Connection, Opened};
pub(crate) use older::Older;
pub(crate) use open::Open;
pub(crate) use remote::Remote;
