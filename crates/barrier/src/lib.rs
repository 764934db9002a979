//! Keyring, encryption barrier, storage views and the Shamir seal.
