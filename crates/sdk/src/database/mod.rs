//! Database plugins: what the server's database engine has users made with.
//!
//! A database plugin is a type that implements [`Database`]: one configured connection, with
//! methods that make, change and remove users. Roles, leases, rotation and storage are the database
//! engine's work, in the server; a plugin has none of that, and asks the server for nothing.
//!
//! ```no_run
//! use std::sync::Mutex;
//!
//! use boltwork_sdk::prelude::*;
//!
//! /// Users in memory: for a database that nobody needs to log in to.
//! #[derive(Default)]
//! struct Users(Mutex<Vec<String>>);
//!
//! impl Database for Users {
//!     fn initialize(&self, config: Data, _verify: bool) -> BoxFuture<'_, Result<Data, DatabaseError>> {
//!         Box::pin(async move { Ok(config) })
//!     }
//!
//!     fn new_user(&self, user: NewUser) -> BoxFuture<'_, Result<MadeUser, DatabaseError>> {
//!         Box::pin(async move {
//!             let username = format!("v-{}-{:08x}", user.role_name, rand::random::<u32>());
//!             self.0.lock().unwrap().push(username.clone());
//!             Ok(MadeUser { username, password: None })
//!         })
//!     }
//!
//!     fn update_user(&self, _change: UserChange) -> BoxFuture<'_, Result<(), DatabaseError>> {
//!         Box::pin(async { Ok(()) })
//!     }
//!
//!     fn delete_user<'a>(
//!         &'a self,
//!         username: &'a str,
//!         _statements: &'a [String],
//!     ) -> BoxFuture<'a, Result<(), DatabaseError>> {
//!         Box::pin(async move {
//!             self.0.lock().unwrap().retain(|user| user != username);
//!             Ok(())
//!         })
//!     }
//!
//!     fn kind(&self) -> BoxFuture<'_, Result<String, DatabaseError>> {
//!         Box::pin(async { Ok("users".to_owned()) })
//!     }
//!
//!     fn close(&self) -> BoxFuture<'_, ()> {
//!         Box::pin(async {})
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     serve_database(Users::default)
//! }
//! ```
//!
//! `examples/nginx_users.rs` is a whole one. A method that panics fails its own call and no other;
//! the panic is logged with its place.
//!
//! Left out: version 4 of this protocol, which no server needs that speaks version 5.

mod calls;
mod serve;
mod source;

#[cfg(doc)]
use boltwork_logical::Database;

pub use calls::{DatabasePlugin, database_routes};
pub use serve::{ServeDatabase, serve_database};
pub use source::{DatabaseSource, database_factory};
