//! Names of the entries that the barrier and the seal keep for themselves. Leaves out everyone else's.

/// The keyring, encrypted under the root key.
pub const KEYRING: &str = "core/keyring";
/// The root key, encrypted under the active term's key: how a standby learns of a new root key. This is the name
/// that both HashiCorp's and OpenBao's servers read.
pub const ROOT_KEY: &str = "core/master";
/// OpenBao's own name for the same; read by it before the other one, hence removed whenever the root key is written.
pub const ROOT_KEY_OPENBAO: &str = "core/root-key";
/// The unseal key, encrypted by the barrier.
pub const SHAMIR_KEK: &str = "core/shamir-kek";
/// How the unseal key is split: plain JSON, since it must be known while sealed.
pub const SEAL_CONFIG: &str = "core/seal-config";
/// The root key, encrypted under the unseal key: a protobuf message, not a barrier entry.
pub const STORED_KEYS: &str = "core/hsm/barrier-unseal-keys";

/// Entries that the encrypted space above must not overwrite: they are not barrier entries, or only the barrier
/// knows how to write them.
pub(crate) fn is_reserved(key: &str) -> bool {
    matches!(key, KEYRING | ROOT_KEY | ROOT_KEY_OPENBAO | SHAMIR_KEK | SEAL_CONFIG | STORED_KEYS)
}
