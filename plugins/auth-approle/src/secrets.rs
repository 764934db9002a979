//! What operators do with secret ids: make them, list them by their accessors, look them up, destroy
//! them.

use std::time::Duration;

use boltwork_sdk::{Reply, Request, Result, Transactions, Ttl, logical::Error};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    Approle, bounds,
    fields::{CustomSecret, NewSecret, OneAccessor, OneSecret, SecretId, SecretPage, limit},
    metadata,
    moment::Moment,
    role::{Role, check_name},
    secret::Secret,
    status,
};

/// What a new secret id is to be like.
struct Wish<'a> {
    metadata: Option<&'a str>,
    cidr_list: &'a [String],
    token_bound_cidrs: &'a [String],
    num_uses: Option<i64>,
    ttl: Option<Ttl>,
}

impl Approle {
    pub(crate) async fn make_secret(&self, req: Request<NewSecret>) -> Result<Reply> {
        let sent = &req.fields;
        let wish = Wish {
            metadata: sent.metadata.as_deref(),
            cidr_list: sent.cidr_list.as_deref().unwrap_or_default(),
            token_bound_cidrs: sent.token_bound_cidrs.as_deref().unwrap_or_default(),
            num_uses: sent.num_uses,
            ttl: sent.ttl,
        };
        self.issue(&req, &sent.role_name, &Uuid::new_v4().to_string().into(), &wish).await
    }

    pub(crate) async fn take_secret(&self, req: Request<CustomSecret>) -> Result<Reply> {
        let sent = &req.fields;
        check_name(&sent.role_name)?;
        let wish = Wish {
            metadata: sent.metadata.as_deref(),
            cidr_list: sent.cidr_list.as_deref().unwrap_or_default(),
            token_bound_cidrs: sent.token_bound_cidrs.as_deref().unwrap_or_default(),
            num_uses: sent.num_uses,
            ttl: sent.ttl,
        };
        self.issue(&req, &sent.role_name, given(sent.secret_id.as_ref())?, &wish).await
    }

    async fn issue<F: Sync>(
        &self,
        req: &Request<F>,
        name: &str,
        secret_id: &SecretId,
        wish: &Wish<'_>,
    ) -> Result<Reply> {
        check_name(name)?;
        let salt = &self.shared.salt.get(&*req.storage).await?;
        let max = req.system.max_lease_ttl().await;
        let now = Moment::now(self.shared.clock);
        let unknown =
            || Error::Coded { status: 404, message: format!("role {name:?} does not exist") };
        let _role = self.shared.roles.shared(&name.to_lowercase()).await;
        let role = Role::load(&*req.storage, name).await?.ok_or_else(unknown)?;
        let digest = &role.digest(secret_id)?;
        let _secret = self.shared.secrets.alone(digest).await;
        let add = |tx| async move {
            // Again: what is decided here must hold when the transaction is committed.
            let role = Role::load(&tx, name).await?.ok_or_else(unknown)?;
            let secret = wish.grant(&role, now, max)?;
            let shelf = role.shelf()?;
            if role.digest(secret_id)? != *digest {
                return Err(Error::Conflict("the role was replaced meanwhile".to_owned()));
            }
            if shelf.load(&tx, digest).await?.is_some() {
                // Vault's status for it is 500.
                let text = "failed to store secret_id: SecretID is already registered";
                return Err(Error::internal(text));
            }
            shelf.add(&tx, salt, digest, &secret).await?;
            Ok(secret)
        };
        let secret = req.storage.transaction(add).await?;
        Ok(Reply::data(json!({
            "secret_id": secret_id.as_str(),
            "secret_id_accessor": secret.secret_id_accessor,
            "secret_id_num_uses": secret.secret_id_num_uses,
            "secret_id_ttl": secret.secret_id_ttl.min(max).as_secs(),
        })))
    }

    pub(crate) async fn list_secrets(&self, req: Request<SecretPage>) -> Result<Reply> {
        let SecretPage { role_name: name, after, limit: most } = &req.fields;
        check_name(name)?;
        let role = Role::load(&*req.storage, name).await?;
        let role = role.ok_or_else(|| Error::invalid(format!("role {name:?} does not exist")))?;
        let shelf = role.shelf()?;
        let after = after.as_deref().unwrap_or_default();
        let mut accessors = Vec::new();
        for digest in req.storage.list_page(shelf.folder(), after, limit(*most)).await? {
            // One that was used up since the list was made is no longer there.
            if let Some(secret) = shelf.load(&*req.storage, &digest).await? {
                accessors.push(secret.secret_id_accessor);
            }
        }
        Ok(Reply::keys(&accessors))
    }

    pub(crate) async fn look_up_secret(&self, req: Request<OneSecret>) -> Result<Reply> {
        let name = &req.fields.role_name;
        check_name(name)?;
        let secret_id = given(req.fields.secret_id.as_ref())?;
        let role = Role::load(&*req.storage, name).await?.ok_or_else(|| no_role(name))?;
        let (shelf, digest) = (role.shelf()?, role.digest(secret_id)?);
        let Some(secret) = shelf.load(&*req.storage, &digest).await? else {
            return Ok(Reply::not_found());
        };
        let salt = self.shared.salt.get(&*req.storage).await?;
        if shelf.accessor(&*req.storage, &salt, &secret.secret_id_accessor).await?.is_none() {
            return Err(Error::invalid("invalid secret id"));
        }
        Ok(Reply::data(show(&secret)))
    }

    pub(crate) async fn destroy_secret(&self, req: Request<OneSecret>) -> Result<Reply> {
        let name = &req.fields.role_name;
        check_name(name)?;
        let secret_id = given(req.fields.secret_id.as_ref())?;
        let role = Role::load(&*req.storage, name).await?.ok_or_else(|| no_role(name))?;
        self.destroy(&req, &role, &role.digest(secret_id)?).await?;
        Ok(Reply::empty())
    }

    pub(crate) async fn look_up_accessor(&self, req: Request<OneAccessor>) -> Result<Reply> {
        let name = &req.fields.role_name;
        check_name(name)?;
        let accessor = given_accessor(&req.fields)?;
        let role = Role::load(&*req.storage, name).await?.ok_or_else(|| no_role(name))?;
        let (shelf, salt) = (role.shelf()?, self.shared.salt.get(&*req.storage).await?);
        let Some(found) = shelf.accessor(&*req.storage, &salt, accessor).await? else {
            let data = json!({ "error": no_accessor(accessor) });
            return status::reply(&req, 404, &data, &Value::Null);
        };
        let secret = shelf.load(&*req.storage, &found.secret_id_hmac).await?;
        Ok(secret.map_or_else(Reply::not_found, |secret| Reply::data(show(&secret))))
    }

    pub(crate) async fn destroy_accessor(&self, req: Request<OneAccessor>) -> Result<Reply> {
        let name = &req.fields.role_name;
        check_name(name)?;
        let accessor = given_accessor(&req.fields)?;
        let role = Role::load(&*req.storage, name).await?.ok_or_else(|| no_role(name))?;
        let (shelf, salt) = (role.shelf()?, self.shared.salt.get(&*req.storage).await?);
        let found = shelf.accessor(&*req.storage, &salt, accessor).await?;
        // Vault's status for it is 500.
        let found = found.ok_or_else(|| Error::internal(no_accessor(accessor)))?;
        if !self.destroy(&req, &role, &found.secret_id_hmac).await? {
            // The accessor is another role's.
            let message = "invalid secret id accessor".to_owned();
            return Err(Error::Coded { status: 403, message });
        }
        Ok(Reply::empty())
    }

    /// Removes a secret id with its accessor; false if it is not there.
    async fn destroy<F: Sync>(&self, req: &Request<F>, role: &Role, digest: &str) -> Result<bool> {
        let salt = &self.shared.salt.get(&*req.storage).await?;
        let shelf = &role.shelf()?;
        let _secret = self.shared.secrets.alone(digest).await;
        let remove = |tx| async move {
            let Some(secret) = shelf.load(&tx, digest).await? else { return Ok(false) };
            shelf.remove(&tx, salt, digest, &secret).await?;
            Ok(true)
        };
        req.storage.transaction(remove).await
    }
}

impl Wish<'_> {
    /// The secret id that the role allows for it.
    fn grant(&self, role: &Role, now: Moment, max: Duration) -> Result<Secret> {
        if !role.bind_secret_id {
            return Err(Error::invalid("bind_secret_id is not set on the role"));
        }
        // Vault's status for these four is 500.
        bounds::check(self.cidr_list)
            .map_err(|error| Error::internal(format!("failed to validate CIDR blocks: {error}")))?;
        bounds::check_within(&role.secret_id_bound_cidrs, self.cidr_list)?;
        bounds::check(self.token_bound_cidrs).map_err(|error| {
            Error::internal(format!("failed to validate token CIDR blocks: {error}"))
        })?;
        let bound = role.token.token_bound_cidrs.iter().map(ToString::to_string);
        bounds::check_within(&bound.collect::<Vec<_>>(), self.token_bound_cidrs)?;
        let ttl = self.ttl(role)?;
        Ok(Secret {
            secret_id_accessor: Uuid::new_v4().to_string(),
            secret_id_num_uses: self.num_uses(role)?,
            secret_id_ttl: ttl,
            creation_time: now,
            expiration_time: if ttl.is_zero() {
                Moment::default()
            } else {
                now.after(ttl.min(max))
            },
            last_updated_time: now,
            metadata: metadata::parse(self.metadata.unwrap_or_default())?,
            cidr_list: self.cidr_list.to_vec(),
            token_bound_cidrs: self.token_bound_cidrs.to_vec(),
            ..Secret::default()
        })
    }

    fn num_uses(&self, role: &Role) -> Result<i64> {
        let most = role.secret_id_num_uses;
        match self.num_uses {
            None => Ok(most),
            Some(uses) if uses < 0 => Err(Error::invalid("num_uses cannot be negative")),
            Some(uses) if most > 0 && (uses == 0 || uses > most) => {
                Err(Error::invalid("num_uses cannot be higher than the role's secret_id_num_uses"))
            }
            Some(uses) => Ok(uses),
        }
    }

    fn ttl(&self, role: &Role) -> Result<Duration> {
        let most = role.secret_id_ttl;
        match self.ttl.map(Duration::from) {
            None => Ok(most),
            Some(ttl) if !most.is_zero() && (ttl.is_zero() || ttl > most) => {
                Err(Error::invalid("ttl cannot be longer than the role's secret_id_ttl"))
            }
            Some(ttl) => Ok(ttl),
        }
    }
}

fn show(secret: &Secret) -> Value {
    json!({
        "secret_id_accessor": secret.secret_id_accessor,
        "secret_id_num_uses": secret.secret_id_num_uses,
        "secret_id_ttl": secret.secret_id_ttl.as_secs(),
        "creation_time": secret.creation_time,
        "expiration_time": secret.expiration_time,
        "last_updated_time": secret.last_updated_time,
        "metadata": secret.metadata,
        "cidr_list": secret.cidr_list,
        "token_bound_cidrs": secret.token_bound_cidrs,
    })
}

fn given(secret_id: Option<&SecretId>) -> Result<&SecretId> {
    let given = secret_id.filter(|secret_id| !secret_id.is_empty());
    given.ok_or_else(|| Error::invalid("missing secret_id"))
}

fn given_accessor(sent: &OneAccessor) -> Result<&str> {
    let given = sent.secret_id_accessor.as_deref().filter(|accessor| !accessor.is_empty());
    given.ok_or_else(|| Error::invalid("missing secret_id_accessor"))
}

/// Vault's status for it is 500.
fn no_role(name: &str) -> Error {
    Error::internal(format!("role {name:?} does not exist"))
}

fn no_accessor(accessor: &str) -> String {
    format!("failed to find accessor entry for secret_id_accessor: {accessor:?}")
}
