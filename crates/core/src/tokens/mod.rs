//! The token store: tokens by digest, their accessors, their trees, and their end.
//!
//! What a token may do is `policies`' business; the HTTP-visible paths under `auth/token/` are
//! `backends::token`'s.

mod batch;
mod cache;
mod cidr;
mod digest;
mod entry;
mod expiry;
mod revoke;
mod rights;
mod store;
mod tidy;
mod ttl;

pub use digest::Digest;
pub use entry::{Login, TokenEntry, TokenKind, now, sanitized_policies};
pub use revoke::clear;
pub use store::{NewToken, Spend, TokenStore};
pub use tidy::Tidying;
pub use ttl::TtlWish;
