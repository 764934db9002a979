//! The barrier: what lies below it is ciphertext, what lies above it is readable only while unsealed.
//!
//! * [`Barrier`]: an encrypted key-value space over [`boltwork_storage::Physical`], with transactions, sealed until
//!   it is given its root key. Formats are Vault's: term header, AES-256-GCM with the path as additional data, keyring
//!   at `core/keyring`.
//! * [`View`]: one mount's part of that space, as [`boltwork_logical::Storage`]. It cannot leave its prefix.
//! * [`Draft`]: a barrier that is made in memory and stored in one step.
//! * [`seal`]: where the root key comes from: shares of an unseal key, by Shamir's scheme.
//!
//! Deliberately absent: what the entries mean, who may read them, and any lock that all requests share. Keys live in
//! memory that is wiped when dropped, and have no `Debug`.

mod barrier;
mod cipher;
mod draft;
mod error;
mod keyring;
pub mod paths;
pub mod seal;
mod transaction;
mod view;

pub use barrier::{Barrier, KeyInfo};
pub use draft::Draft;
pub use error::Error;
pub use keyring::RotationConfig;
pub use transaction::{BarrierTransaction, MAX_TRANSACTION_LEN};
pub use view::View;
