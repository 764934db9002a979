//! Vault's plugin protobufs and their conversions to and from the nouns of logical.
