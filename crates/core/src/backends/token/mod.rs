//! `auth/token/`: making, looking up, renewing and revoking tokens.
//!
//! Here: looking up and revoking. Making, renewing, roles and tidying have files of their own.

mod create;
mod policies;
mod renew;
mod role;
mod roles;
mod show;
mod tidy;

use std::sync::{Arc, Weak};

use boltwork_framework::{Engine, Reply, Request, Result, Routes, path};
use boltwork_logical::Error;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{alive, one_error};
use crate::{
    active::Active,
    session::Session,
    tokens::{Digest, TokenEntry},
};

/// The engine.
pub struct Tokens {
    active: Weak<Active>,
}

/// A token given in the body, and how much longer it should live.
#[derive(Deserialize, JsonSchema)]
struct Given {
    /// Token to act on.
    #[serde(default)]
    token: String,
    /// The desired increment in seconds to the token expiration.
    #[serde(default)]
    increment: boltwork_framework::Ttl,
}

/// An accessor given in the body.
#[derive(Deserialize, JsonSchema)]
struct Accessor {
    /// Accessor of the token to act on.
    #[serde(default)]
    accessor: String,
    /// The desired increment in seconds to the token expiration.
    #[serde(default)]
    increment: boltwork_framework::Ttl,
}

/// Most accessors in one list.
const MAX_ACCESSORS: usize = 100_000;

impl Engine for Tokens {
    fn routes() -> Routes<Self> {
        Routes::new([
            path("create")
                .help("Makes a token that is a child of the caller's.")
                .write(Self::create),
            path("create/{role_name}")
                .help("Makes a token as a role says.")
                .write(Self::create_by_role),
            path("create-orphan")
                .help("Makes a token without a parent.")
                .write(Self::create_orphan),
            path("lookup").help("What is known of a token.").read(Self::lookup).write(Self::lookup),
            path("lookup-self")
                .help("What is known of the caller's token.")
                .read(Self::lookup_self)
                .write(Self::lookup_self),
            path("lookup-accessor")
                .help("What is known of the token with an accessor.")
                .write(Self::lookup_accessor),
            path("renew").help("Extends the life of a token.").write(Self::renew),
            path("renew-self")
                .help("Extends the life of the caller's token.")
                .write(Self::renew_self),
            path("renew-accessor")
                .help("Extends the life of the token with an accessor.")
                .write(Self::renew_accessor),
            path("revoke").help("Ends a token and its children.").write(Self::revoke),
            path("revoke-self")
                .help("Ends the caller's token and its children.")
                .write(Self::revoke_self),
            path("revoke-accessor")
                .help("Ends the token with an accessor, and its children.")
                .write(Self::revoke_accessor),
            path("revoke-orphan")
                .sudo()
                .help("Ends a token; its children live on without a parent.")
                .write(Self::revoke_orphan),
            path("roles").help("Names of the roles.").list(Self::roles),
            path("roles/{role_name}")
                .help("What tokens a role makes.")
                .exists(Self::role_exists)
                .read(Self::read_role)
                .write(Self::write_role)
                .delete(Self::delete_role),
            path("tidy").help("Removes what tokens that are gone left behind.").write(Self::tidy),
            path("accessors").sudo().help("Accessors of all tokens.").list(Self::accessors),
        ])
        .help("Tokens: the credential that every request carries.")
    }
}

impl Tokens {
    pub fn new(active: Weak<Active>) -> Self {
        Self { active }
    }

    fn active(&self) -> Result<Arc<Active>> {
        alive(&self.active)
    }

    async fn lookup(&self, req: Request<Given>) -> Result<Reply> {
        if req.fields.token.is_empty() {
            return self.lookup_self(req.map(|_| ())).await;
        }
        let active = self.active()?;
        let entry = active.tokens.lookup_token(&req.fields.token).await?.ok_or_else(bad_token)?;
        let identity = active.identity.policies_of(&entry.entity_id);
        Ok(Reply::data(show::lookup(&entry, &req.fields.token, &identity)))
    }

    async fn lookup_self(&self, req: Request) -> Result<Reply> {
        let session = Session::of(req.caller().session.as_ref())?;
        let identity = session.identity_policies();
        Ok(Reply::data(show::lookup(&session.entry, session.token.expose(), identity)))
    }

    async fn lookup_accessor(&self, req: Request<Accessor>) -> Result<Reply> {
        let (_, entry) = self.by_accessor(&req.fields.accessor).await?;
        let identity = self.active()?.identity.policies_of(&entry.entity_id);
        Ok(Reply::data(show::lookup(&entry, "", &identity)))
    }

    async fn by_accessor(&self, accessor: &str) -> Result<(Digest, TokenEntry)> {
        if accessor.is_empty() {
            return Err(Error::invalid(one_error("missing accessor")));
        }
        let found = self.find_accessor(accessor).await?;
        found.ok_or_else(|| Error::invalid(one_error("invalid accessor")))
    }

    async fn find_accessor(&self, accessor: &str) -> Result<Option<(Digest, TokenEntry)>> {
        let active = self.active()?;
        let Some(digest) = active.tokens.by_accessor(accessor).await? else { return Ok(None) };
        let entry = active.tokens.lookup(&digest).await?;
        Ok(entry.map(|entry| (digest, entry)))
    }

    async fn revoke(&self, req: Request<Given>) -> Result<Reply> {
        if req.fields.token.is_empty() {
            return Err(Error::invalid("missing token ID"));
        }
        let active = self.active()?;
        let entry = active.tokens.lookup_token(&req.fields.token).await?;
        refuse_batch(entry.as_ref())?;
        active.tokens.revoke_tree(&active.tokens.digest(&req.fields.token)).await?;
        Ok(Reply::empty())
    }

    async fn revoke_self(&self, req: Request) -> Result<Reply> {
        let session = Session::of(req.caller().session.as_ref())?;
        refuse_batch(Some(&session.entry))?;
        self.active()?.tokens.revoke_tree(&session.digest).await?;
        Ok(Reply::empty())
    }

    async fn revoke_accessor(&self, req: Request<Accessor>) -> Result<Reply> {
        if req.fields.accessor.is_empty() {
            return Err(Error::invalid(one_error("missing accessor")));
        }
        // What is not there need not be revoked.
        let Some((digest, _)) = self.find_accessor(&req.fields.accessor).await? else {
            return Ok(Reply::empty().warning("No token found with this accessor"));
        };
        self.active()?.tokens.revoke_tree(&digest).await?;
        Ok(Reply::empty())
    }

    async fn revoke_orphan(&self, req: Request<Given>) -> Result<Reply> {
        if req.fields.token.is_empty() {
            return Err(Error::invalid("missing token ID"));
        }
        let active = self.active()?;
        let digest = active.tokens.digest(&req.fields.token);
        let entry = active.tokens.lookup_token(&req.fields.token).await?;
        refuse_batch(entry.as_ref())?;
        if entry.is_none() {
            return Err(Error::invalid("token to revoke not found"));
        }
        active.tokens.revoke_orphaning(&digest).await?;
        Ok(Reply::empty())
    }

    async fn accessors(&self, _: Request) -> Result<Reply> {
        Ok(Reply::keys(&self.active()?.tokens.accessors(MAX_ACCESSORS).await?))
    }
}

/// A batch token ends at its time, or with its parent.
fn refuse_batch(entry: Option<&TokenEntry>) -> Result<()> {
    match entry.is_some_and(TokenEntry::is_batch) {
        true => Err(Error::invalid("batch tokens cannot be revoked")),
        false => Ok(()),
    }
}

fn bad_token() -> Error {
    Error::Coded { status: 403, message: "bad token".to_owned() }
}
