//! One test for both homes of an engine: compiled in, and a plugin behind mutual TLS.
//!
//! ```no_run
//! # use boltwork_sdk::prelude::*;
//! # struct Passwords;
//! # impl Engine for Passwords { fn routes() -> Routes<Self> { Routes::new([]) } }
//! # async fn test() {
//! for mount in boltwork_sdk_test::both(|| Passwords).await {
//!     mount.write("roles/db", json!({ "length": "12", "ttl": "1h" })).await.unwrap();
//!     assert_eq!(mount.read("creds/db").await.unwrap().str("password").len(), 12);
//! }
//! # }
//! ```
//!
//! The second home is the real one as far as an engine can tell: its calls cross go-plugin's protocol
//! over sockets, with certificates and a broker; only the child process is missing, for both ends
//! live in the test. [`Storage`](MemoryStorage) can be told to fail, and the [server](FakeSystem) to
//! answer what a test wants.
//!
//! A database plugin is opened in both homes by [`both_databases`].
//!
//! Left out: policies, tokens, audit: an engine never sees them. A [`Mount`] asks as the server
//! would after those have agreed.

mod answer;
mod bench;
mod connection;
mod memory;
mod mount;
mod system;
mod wire;

pub use answer::{Answer, Refused};
pub use bench::{Bench, both};
pub use connection::{Connection, both_databases, both_from};
pub use memory::MemoryStorage;
pub use mount::{Home, Mount};
pub use system::{Databases, FakeSystem, Leases};
