//! Who is asking, as the core knows it: the record that travels with a request to the backends
//! inside the core, and that no plugin ever sees.

use std::{any::Any, sync::Arc};

use boltwork_logical::{Error, SecretText};
use boltwork_policy::Acl;

use crate::{
    identity::Standing,
    tokens::{Digest, TokenEntry},
};

/// An authenticated caller.
pub struct Session {
    /// The token as it was sent.
    pub token: SecretText,
    /// Under which the token is stored.
    pub digest: Digest,
    /// What is stored.
    pub entry: Arc<TokenEntry>,
    /// What its policies allow.
    pub acl: Arc<Acl>,
    /// Whom the token belongs to, as of this request; `None` without an entity.
    pub standing: Option<Arc<Standing>>,
    /// Its entity is disabled or gone: it may do nothing at all.
    pub barred: bool,
    /// This request spends the token's last use: afterwards it is to be revoked.
    pub last_use: bool,
}

impl Session {
    /// The session that the core put into a request; for the core's own backends only. A request
    /// without one came without a token, which these backends refuse.
    pub fn of(session: Option<&Arc<dyn Any + Send + Sync>>) -> Result<Arc<Self>, Error> {
        session.and_then(|any| Arc::clone(any).downcast::<Self>().ok()).ok_or(Error::Denied)
    }

    /// Policies by way of the identity.
    pub fn identity_policies(&self) -> &[String] {
        self.standing.as_ref().map_or(&[], |standing| &standing.policies)
    }

    /// Whether the caller holds the root policy.
    pub fn is_root(&self) -> bool {
        self.entry.policies.iter().any(|p| p == "root")
    }
}
