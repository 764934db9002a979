//! A typed client of Vault's HTTP API.
