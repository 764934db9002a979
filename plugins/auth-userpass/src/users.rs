//! What operators do with users.

use boltwork_sdk::{
    Reply, Request, Result, Transactions,
    credential::{BoundAddress, sanitized_policies, supersede},
    logical::{Error, Operation},
};
use serde_json::{Map, json};

use crate::{
    Userpass,
    fields::{Name, NewPassword, NewPolicies, Page, UserFields},
    password::{self, given},
    user::{self, PREFIX, User},
};

impl Userpass {
    pub(crate) async fn list(&self, req: Request<Page>) -> Result<Reply> {
        let limit = req.fields.limit.and_then(|limit| usize::try_from(limit).ok());
        let limit = limit.filter(|&limit| limit > 0);
        let after = req.fields.after.as_deref().unwrap_or_default();
        Ok(Reply::keys(&req.storage.list_page(PREFIX, after, limit).await?))
    }

    /// What is no name is no user: it is the write that says what is wrong with it.
    pub(crate) async fn exists(&self, req: Request<Name>) -> Result<bool> {
        let Ok(name) = user::name(&req.fields.username) else { return Ok(false) };
        Ok(User::load(&*req.storage, &name).await?.is_some())
    }

    pub(crate) async fn read(&self, req: Request<Name>) -> Result<Reply> {
        let name = user::name(&req.fields.username)?;
        let Some(user) = User::load(&*req.storage, &name).await? else {
            return Ok(Reply::not_found());
        };
        let mut data = Map::new();
        user.token.show(&mut data);
        if !user.ttl.is_zero() {
            data.insert("ttl".to_owned(), json!(user.ttl.as_secs()));
        }
        if !user.max_ttl.is_zero() {
            data.insert("max_ttl".to_owned(), json!(user.max_ttl.as_secs()));
        }
        if !user.policies.is_empty() {
            data.insert("policies".to_owned(), json!(user.token.token_policies));
        }
        if !user.bound_cidrs.is_empty() {
            data.insert("bound_cidrs".to_owned(), json!(user.bound_cidrs));
        }
        Ok(Reply::data(data))
    }

    pub(crate) async fn write(&self, req: Request<UserFields>) -> Result<Reply> {
        let name = &user::name(&req.fields.username)?;
        let (fields, storage) = (&req.fields, &req.storage);
        let (password, hash) =
            (given(fields.password.as_ref()), given(fields.password_hash.as_ref()));
        let creating = req.operation() == Operation::Create;
        // Hashed first: a transaction should not be open that long.
        let hash = match (password, hash) {
            (None, None) if !creating => None,
            (password, hash) => Some(password::hash(password, hash).await?),
        };
        let hash = &hash;
        let write = |tx| async move {
            let user = User::load(&tx, name).await?;
            if user.is_none() && hash.is_none() {
                // It was there when the server asked, and was deleted since.
                return Err(Error::invalid("must provide either password or password_hash"));
            }
            let mut user = user.unwrap_or_default();
            update(&mut user, fields)?;
            if let Some(hash) = hash {
                user.set_hash(hash);
            }
            user.save(&tx, name).await
        };
        storage.transaction(write).await?;
        Ok(Reply::empty())
    }

    pub(crate) async fn delete(&self, req: Request<Name>) -> Result<Reply> {
        let name = user::name(&req.fields.username)?;
        req.storage.delete(&format!("{PREFIX}{name}")).await?;
        Ok(Reply::empty())
    }

    pub(crate) async fn set_password(&self, req: Request<NewPassword>) -> Result<Reply> {
        let name = &user::name(&req.fields.username)?;
        if User::load(&*req.storage, name).await?.is_none() {
            return Err(unknown());
        }
        let NewPassword { password, password_hash, .. } = &req.fields;
        let hash = &password::hash(password.as_ref(), password_hash.as_ref()).await?;
        let write = |tx| async move {
            let mut user = User::load(&tx, name).await?.ok_or_else(unknown)?;
            user.set_hash(hash);
            user.save(&tx, name).await
        };
        req.storage.transaction(write).await?;
        Ok(Reply::empty())
    }

    pub(crate) async fn set_policies(&self, req: Request<NewPolicies>) -> Result<Reply> {
        let name = &user::name(&req.fields.username)?;
        let NewPolicies { policies, token_policies, .. } = &req.fields;
        let write = |tx| async move {
            let mut user = User::load(&tx, name).await?.ok_or_else(unknown)?;
            let new = token_policies.as_deref().map(sanitized_policies);
            let new_sent = new.is_some();
            if let Some(new) = new {
                user.token.token_policies = new;
            }
            let old = policies.as_deref().map(sanitized_policies);
            supersede(&mut user.policies, &mut user.token.token_policies, old, new_sent);
            user.save(&tx, name).await
        };
        req.storage.transaction(write).await?;
        Ok(Reply::empty())
    }
}

/// Takes over the settings that were sent, under their new and their old names.
fn update(user: &mut User, sent: &UserFields) -> Result<()> {
    let token = &mut user.token;
    token.update(&sent.token())?;
    let policies = sent.policies.as_deref().map(sanitized_policies);
    let new_sent = sent.token_policies.is_some();
    supersede(&mut user.policies, &mut token.token_policies, policies, new_sent);
    let new_sent = sent.token_ttl.is_some();
    supersede(&mut user.ttl, &mut token.token_ttl, sent.ttl.map(Into::into), new_sent);
    let new_sent = sent.token_max_ttl.is_some();
    supersede(&mut user.max_ttl, &mut token.token_max_ttl, sent.max_ttl.map(Into::into), new_sent);
    let bound = sent.bound_cidrs.as_deref().map(BoundAddress::parse_all).transpose();
    let bound = bound.map_err(|error| Error::invalid(error.to_string()))?;
    let new_sent = sent.token_bound_cidrs.is_some();
    supersede(&mut user.bound_cidrs, &mut token.token_bound_cidrs, bound, new_sent);
    Ok(())
}

/// Vault's status for it is 500.
fn unknown() -> Error {
    Error::internal("username does not exist")
}
