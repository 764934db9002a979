//! Renewing tokens. The auth method that made a token is asked first; the token store itself is the
//! method of what it made.

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use boltwork_framework::{Reply, Request, Result};
use boltwork_logical::{Auth, Connection, Data, Error, Operation};

use super::{Accessor, Given, Tokens, role, show};
use crate::{
    active::Active,
    backends::one_error,
    identity::AliasMount,
    mounts::{Mount, effective_ttls},
    session::Session,
    tokens::{Digest, Login, TokenEntry, TtlWish},
};

/// Longest wait for the auth method, so that a hanging one does not hold the caller for ever.
const LIMIT: Duration = Duration::from_secs(90);

/// A token to be renewed, and by how much.
struct Renewal {
    active: Arc<Active>,
    digest: Digest,
    entry: TokenEntry,
    increment: u64,
    connection: Option<Arc<Connection>>,
}

/// What the auth method says about the token's times, in seconds.
#[derive(Default)]
struct Said {
    ttl: u64,
    max_ttl: u64,
    period: u64,
    explicit_max_ttl: u64,
    login: Option<Box<Login>>,
    warnings: Vec<String>,
}

impl Tokens {
    pub(super) async fn renew(&self, req: Request<Given>) -> Result<Reply> {
        if req.fields.token.is_empty() {
            return Err(Error::invalid("missing token ID"));
        }
        let active = self.active()?;
        let entry = active.tokens.lookup_token(&req.fields.token).await?;
        let digest = active.tokens.digest(&req.fields.token);
        let increment = req.fields.increment.as_secs();
        self.renew_found(&req, digest, entry, increment, &req.fields.token).await
    }

    pub(super) async fn renew_self(&self, req: Request<Given>) -> Result<Reply> {
        let session = Session::of(req.caller().session.as_ref())?;
        let token = session.token.expose();
        let entry = self.active()?.tokens.lookup_token(token).await?;
        let increment = req.fields.increment.as_secs();
        self.renew_found(&req, session.digest, entry, increment, token).await
    }

    pub(super) async fn renew_accessor(&self, req: Request<Accessor>) -> Result<Reply> {
        let (digest, entry) = self.by_accessor(&req.fields.accessor).await?;
        let increment = req.fields.increment.as_secs();
        self.renew_found(&req, digest, Some(entry), increment, "").await
    }

    async fn renew_found<F>(
        &self,
        req: &Request<F>,
        digest: Digest,
        entry: Option<TokenEntry>,
        increment: u64,
        token: &str,
    ) -> Result<Reply> {
        let entry = entry.ok_or_else(|| Error::invalid("token not found"))?;
        if entry.is_batch() {
            return Err(Error::invalid("batch tokens cannot be renewed"));
        }
        let connection = req.connection().cloned().map(Arc::new);
        let renewal = Renewal { active: self.active()?, digest, entry, increment, connection };
        renewal.carry_out(token).await
    }
}

impl Renewal {
    async fn carry_out(self, token: &str) -> Result<Reply> {
        if self.entry.life.expire_time == 0 {
            return Err(Error::invalid("invalid lease ID"));
        }
        if !self.entry.life.renewable {
            return Err(Error::invalid("lease is not renewable"));
        }
        let gone = || Error::invalid("the auth method that made the token is gone");
        let (mount, relative) = self.active.mounts.route(&self.entry.path).ok_or_else(gone)?;
        let said = match &self.entry.login {
            Some(login) => self.ask(&mount, relative, login).await?,
            None => self.by_token_store(&mount).await?,
        };
        let wish = TtlWish {
            ttl: if self.increment > 0 { self.increment } else { said.ttl },
            period: said.period,
            explicit_max_ttl: said.explicit_max_ttl,
            backend_max_ttl: said.max_ttl,
            created: u64::try_from(self.entry.creation_time).ok(),
        };
        let (ttl, warnings) = wish.settle(effective_ttls(self.active.mounts.facts(), &mount))?;
        let entry = self.active.tokens.renew(&self.digest, ttl, said.login).await?;
        // As at its creation; how many are left is what a lookup says.
        let entry = TokenEntry { num_uses: entry.life.uses.max(entry.num_uses), ..entry };
        let identity = self.active.identity.policies_of(&entry.entity_id);
        let mut auth = show::auth(&entry, token, &identity);
        auth.token.period = Duration::from_secs(said.period);
        let reply = Reply::auth(auth);
        Ok(said.warnings.into_iter().chain(warnings).fold(reply, Reply::warning))
    }

    /// The token store's own tokens: as they were made, or as their role is now.
    async fn by_token_store(&self, mount: &Mount) -> Result<Said> {
        let life = &self.entry.life;
        let mut said = Said {
            ttl: life.ttl,
            period: life.period,
            explicit_max_ttl: life.explicit_max_ttl,
            ..Said::default()
        };
        if !self.entry.role.is_empty() {
            let name = &self.entry.role;
            let role = role::find(mount.storage.as_ref(), name).await?.ok_or_else(|| {
                Error::internal(one_error(&format!(
                    "failed to renew entry: original token role {name:?} could not be found, not \
                     renewing"
                )))
            })?;
            said.period = role.token.token_period.as_secs();
            said.explicit_max_ttl = role.token.token_explicit_max_ttl.as_secs();
        }
        Ok(said)
    }

    /// Asks the auth method whether its login still stands, and for how long.
    async fn ask(&self, mount: &Mount, relative: &str, login: &Login) -> Result<Said> {
        let mut request = boltwork_logical::Request::new(
            Operation::Renew,
            relative.to_owned(),
            Arc::clone(&mount.storage),
        );
        request.id = uuid::Uuid::new_v4().to_string().into();
        request.mount = mount.facts.load_full();
        request.connection.clone_from(&self.connection);
        request.auth = Some(Box::new(self.as_login(login)?));
        let work = async {
            let inside = mount.enter().await?;
            inside.handle(request).await.map_err(|failure| failure.error)
        };
        let answer = tokio::time::timeout(LIMIT, work).await.map_err(|_| {
            Error::unavailable(format!(
                "the auth method at {:?} did not answer within {LIMIT:?} whether the token may be \
                 renewed; the token is as it was",
                mount.point()
            ))
        })?;
        let mut reply = answer?.unwrap_or_default();
        if let Some(text) = reply.error_text() {
            return Err(Error::invalid(text));
        }
        let auth = reply.auth.take().ok_or_else(|| {
            Error::internal(format!(
                "the auth method at {:?} answered a renewal without saying for how long",
                mount.point()
            ))
        })?;
        if !self.entry.entity_id.is_empty() {
            let at = AliasMount::of(mount);
            let identity = &self.active.identity;
            identity.refresh_groups(&self.entry.entity_id, &at, &auth.group_aliases).await?;
        }
        Ok(Said {
            ttl: auth.lease.ttl.as_secs(),
            max_ttl: auth.lease.max_ttl.as_secs(),
            period: auth.token.period.as_secs(),
            explicit_max_ttl: auth.token.explicit_max_ttl.as_secs(),
            login: Some(Box::new(Login {
                internal: match auth.internal.is_null() {
                    true => login.internal.clone(),
                    false => auth.internal.as_str().to_owned(),
                },
                max_ttl: auth.lease.max_ttl.as_secs(),
                group_aliases: auth.group_aliases,
                ..login.clone()
            })),
            warnings: reply.warnings,
        })
    }

    /// The login as its method gave it.
    fn as_login(&self, login: &Login) -> Result<Auth> {
        let (entry, life) = (&self.entry, &self.entry.life);
        let mut auth = show::auth(entry, "", &[]);
        auth.internal = match login.internal.is_empty() {
            true => Data::null(),
            false => Data::parse(login.internal.as_bytes().to_vec())?,
        };
        auth.alias.clone_from(&login.alias);
        auth.group_aliases.clone_from(&login.group_aliases);
        auth.token.no_default_policy = login.no_default_policy;
        auth.token.bound_cidrs.clone_from(&entry.bound_cidrs);
        auth.lease.ttl = Duration::from_secs(life.ttl);
        auth.lease.max_ttl = Duration::from_secs(login.max_ttl);
        auth.lease.increment = Duration::from_secs(self.increment);
        auth.lease.issued = u64::try_from(entry.creation_time)
            .ok()
            .map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
        Ok(auth)
    }
}
