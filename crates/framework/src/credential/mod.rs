//! What auth methods have in common: the `token_*` fields of their roles, addresses that logins and
//! tokens are bound to, lists of policies.
//!
//! Stored values have the JSON shape of HashiCorp's and OpenBao's methods, so that a mount can
//! change hands. Left out: whatever makes a method a method; and making tokens, which is the core's.

mod address;
mod policies;
mod storage;
mod token;

pub use address::{AddressError, BoundAddress, Cidr, CidrError};
pub use policies::{equivalent_policies, sanitized_policies};
pub use storage::{nanoseconds, null_as_default};
pub use token::{TokenFields, TokenParams, supersede};
