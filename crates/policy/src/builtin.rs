//! The policies that every server has.
//!
//! Leaves out `root`, which is no text: see [`crate::Acl::root`]. Both grant what Vault's policies
//! of the same names grant, because clients count on it.

/// Name and text of the policy that every token has unless it asks not to. Operators may change it.
pub const DEFAULT: (&str, &str) = ("default", DEFAULT_TEXT);

/// Name and text of the policy that a wrapping token has. Nobody may change or assign it.
pub const RESPONSE_WRAPPING: (&str, &str) = ("response-wrapping", RESPONSE_WRAPPING_TEXT);

const DEFAULT_TEXT: &str = r#"# What every token may do: see and keep up itself.

# The token itself: look it up, prolong it, give it back.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}

# What it may do on given paths, and in all.
path "sys/capabilities-self" {
  capabilities = ["update"]
}
path "sys/internal/ui/resultant-acl" {
  capabilities = ["read"]
}

# Whom it belongs to.
path "identity/entity/id/{{identity.entity.id}}" {
  capabilities = ["read"]
}
path "identity/entity/name/{{identity.entity.name}}" {
  capabilities = ["read"]
}

# A lease whose id it knows. sys/renew is the old name.
path "sys/renew" {
  capabilities = ["update"]
}
path "sys/leases/renew" {
  capabilities = ["update"]
}
path "sys/leases/lookup" {
  capabilities = ["update"]
}

# Its private store.
path "cubbyhole/*" {
  capabilities = ["create", "read", "update", "delete", "list"]
}

# Wrap, inspect and unwrap.
path "sys/wrapping/wrap" {
  capabilities = ["update"]
}
path "sys/wrapping/lookup" {
  capabilities = ["update"]
}
path "sys/wrapping/unwrap" {
  capabilities = ["update"]
}

# Hashing needs no secret.
path "sys/tools/hash" {
  capabilities = ["update"]
}
path "sys/tools/hash/*" {
  capabilities = ["update"]
}

# Log in to other services by OpenID Connect.
path "identity/oidc/provider/+/authorize" {
  capabilities = ["read", "update"]
}
"#;

const RESPONSE_WRAPPING_TEXT: &str = r#"# What a wrapping token may do: hand over its one content.
path "cubbyhole/response" {
  capabilities = ["create", "read"]
}
path "sys/wrapping/unwrap" {
  capabilities = ["update"]
}
"#;
