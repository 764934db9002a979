//! Vault's HTTP API over the core: decode, encode, limits, TLS.
