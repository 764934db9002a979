//! Database plugins: open connections, in the server's process or in a plugin's.
//!
//! * `checks`: what is refused before the plugin is asked.
//! * `remote`: one connection in a plugin's process, over version 5 of the protocol.
//! * `connection`: any of them as the database engine has it: counted, closed, replaced by a reload.
//! * `open`: which connections there are.
//!
//! Left out: roles, leases, the configuration that is kept; all of that is the database engine's.

mod checks;
mod connection;
mod open;
mod remote;

pub(crate) use connection::Connection;
pub(crate) use open::Open;
pub(crate) use remote::{Remote, SERVICE};
