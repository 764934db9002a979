//! What operators do with roles as a whole.

use std::time::Duration;

use boltwork_sdk::{
    Reply, Request, Result, StorageExt, Transactions, Tx,
    credential::{sanitized_policies, supersede},
    logical::{Error, Operation},
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    Approle, bounds,
    fields::{AtRole, NewRoleId, Page, RoleFields, limit},
    moment::Span,
    role::{PREFIX, Role, check_name},
    tidy::GONE,
};

impl Approle {
    pub(crate) async fn list_roles(&self, req: Request<Page>) -> Result<Reply> {
        let after = req.fields.after.as_deref().unwrap_or_default();
        Ok(Reply::keys(&req.storage.list_page(PREFIX, after, limit(req.fields.limit)).await?))
    }

    /// What is no name is no role: it is the write that says what is wrong with it.
    pub(crate) async fn role_exists(&self, req: Request<AtRole>) -> Result<bool> {
        let name = &req.fields.role_name;
        Ok(check_name(name).is_ok() && Role::load(&*req.storage, name).await?.is_some())
    }

    pub(crate) async fn read_role(&self, req: Request<AtRole>) -> Result<Reply> {
        check_name(&req.fields.role_name)?;
        let Some(role) = Role::load(&*req.storage, &req.fields.role_name).await? else {
            return Ok(Reply::not_found());
        };
        let mut reply = Reply::data(show(&role)?);
        if !role.is_constrained() {
            reply = reply.warning(
                "Role does not have any constraints set on it. Updates to this role will require a \
                 constraint to be set",
            );
        }
        Ok(reply)
    }

    pub(crate) async fn write_role(&self, req: Request<RoleFields>) -> Result<Reply> {
        let (sent, name) = (&req.fields, &req.fields.role_name);
        check_name(name)?;
        let salt = &self.shared.salt.get(&*req.storage).await?;
        let max = req.system.max_lease_ttl().await;
        let creating = req.operation() == Operation::Create;
        let (token, adjusted) = &sent.token();
        let _turn = self.shared.roles.alone(&name.to_lowercase()).await;
        let write = |tx| async move {
            let found = Role::load(&tx, name).await?;
            let new = found.is_none();
            if new && !creating {
                let message = format!("role name {name:?} doesn't exist");
                return Err(Error::Coded { status: 404, message });
            }
            let local = sent.local_secret_ids.unwrap_or_default();
            let mut role = found.unwrap_or_else(|| Role::new(name, local));
            let before = role.role_id.clone();
            role.token.update(token)?;
            update(&mut role, sent, new, max)?;
            role.save(&tx, salt, &before).await?;
            Ok(role)
        };
        let role = req.storage.transaction(write).await?;
        let mut reply = Reply::empty();
        if let Some(text) = adjusted {
            reply = reply.warning(text);
        }
        if role.token.token_max_ttl > max {
            reply = reply.warning(
                "token_max_ttl is greater than the backend mount's maximum TTL value; issued \
                 tokens' max TTL value will be truncated",
            );
        }
        Ok(reply)
    }

    /// The role goes at once, and with it the use of its secret ids. They themselves may be many, so
    /// they go one by one, and by way of a note that outlives a crash.
    pub(crate) async fn delete_role(&self, req: Request<AtRole>) -> Result<Reply> {
        let name = &req.fields.role_name;
        check_name(name)?;
        let salt = &self.shared.salt.get(&*req.storage).await?;
        let _turn = self.shared.roles.alone(&name.to_lowercase()).await;
        let note = &format!("{GONE}{}", Uuid::new_v4());
        let remove = |tx: Tx| async move {
            let Some(role) = Role::load(&tx, name).await? else { return Ok(None) };
            let shelf = role.shelf()?;
            tx.save(note, &shelf).await?;
            role.remove(&tx, salt).await?;
            Ok(Some(shelf))
        };
        if let Some(shelf) = req.storage.transaction(remove).await?
            && let Err(error) = self.shared.clear(&*req.storage, salt, note, &shelf).await
        {
            tracing::warn!(role = name, %error, "a deleted role left secret ids; tidying removes them");
        }
        Ok(Reply::empty())
    }

    pub(crate) async fn read_role_id(&self, req: Request<AtRole>) -> Result<Reply> {
        check_name(&req.fields.role_name)?;
        let role = Role::load(&*req.storage, &req.fields.role_name).await?;
        Ok(role
            .map_or_else(Reply::not_found, |role| Reply::data(json!({ "role_id": role.role_id }))))
    }

    pub(crate) async fn write_role_id(&self, req: Request<NewRoleId>) -> Result<Reply> {
        let name = &req.fields.role_name;
        check_name(name)?;
        let salt = &self.shared.salt.get(&*req.storage).await?;
        let id = &req.fields.role_id;
        let _turn = self.shared.roles.alone(&name.to_lowercase()).await;
        let write = |tx| async move {
            let mut role = Role::load(&tx, name).await?.ok_or(Error::UnsupportedPath)?;
            let id = id.clone().filter(|id| !id.is_empty());
            let id = id.ok_or_else(|| Error::invalid("missing role_id"))?;
            let before = std::mem::replace(&mut role.role_id, id);
            role.save(&tx, salt, &before).await
        };
        req.storage.transaction(write).await?;
        Ok(Reply::empty())
    }

    pub(crate) async fn read_local_secret_ids(&self, req: Request<AtRole>) -> Result<Reply> {
        check_name(&req.fields.role_name)?;
        let Some(role) = Role::load(&*req.storage, &req.fields.role_name).await? else {
            return Ok(Reply::not_found());
        };
        Ok(Reply::data(json!({ "local_secret_ids": role.shelf()?.is_local() })))
    }
}

/// A list as Go shows one that was never set: `null` when empty.
pub fn nullable<T: serde::Serialize>(list: &[T]) -> Value {
    if list.is_empty() { Value::Null } else { json!(list) }
}

fn show(role: &Role) -> Result<Map<String, Value>> {
    let mut data = Map::new();
    role.token.show(&mut data);
    data.extend(
        [
            ("bind_secret_id", json!(role.bind_secret_id)),
            ("local_secret_ids", json!(role.shelf()?.is_local())),
            ("secret_id_bound_cidrs", nullable(&role.secret_id_bound_cidrs)),
            ("secret_id_num_uses", json!(role.secret_id_num_uses)),
            ("secret_id_ttl", json!(role.secret_id_ttl.as_secs())),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    if !role.period.is_zero() {
        data.insert("period".to_owned(), json!(role.period.as_secs()));
    }
    if !role.policies.is_empty() {
        data.insert("policies".to_owned(), json!(role.policies));
    }
    Ok(data)
}

/// Takes over what was sent beside the token's settings. `max` is the mount's longest lease.
fn update(role: &mut Role, sent: &RoleFields, new: bool, max: Duration) -> Result<()> {
    if sent.local_secret_ids.is_some() && !new {
        return Err(Error::invalid("local_secret_ids can only be modified during role creation"));
    }
    match &sent.role_id {
        Some(id) => role.role_id.clone_from(id),
        None if new => role.role_id = Uuid::new_v4().to_string(),
        None => {}
    }
    if role.role_id.is_empty() {
        let text = "invalid role_id supplied, or failed to generate a role_id";
        return Err(Error::invalid(text));
    }
    role.bind_secret_id = sent.bind_secret_id.unwrap_or(role.bind_secret_id);
    if let Some(blocks) = sent.secret_id_bound_cidrs.as_ref().or(sent.bound_cidr_list.as_ref()) {
        // Vault's status for it is 500.
        bounds::check(blocks)
            .map_err(|error| Error::internal(format!("failed to validate CIDR blocks: {error}")))?;
        role.secret_id_bound_cidrs.clone_from(blocks);
    }
    role.secret_id_num_uses = sent.secret_id_num_uses.unwrap_or(role.secret_id_num_uses);
    if role.secret_id_num_uses < 0 {
        return Err(Error::invalid("secret_id_num_uses cannot be negative"));
    }
    role.secret_id_ttl = sent.secret_id_ttl.map_or(role.secret_id_ttl, Into::into);
    let token = &mut role.token;
    let policies = sent.policies.as_deref().map(sanitized_policies);
    let new_sent = sent.token_policies.is_some();
    supersede(&mut role.policies, &mut token.token_policies, policies, new_sent);
    let period = sent.period.map(Into::into);
    supersede(&mut role.period, &mut token.token_period, period, sent.token_period.is_some());
    check_period(role.period, max)
}

/// Refuses periods longer than any lease of the mount.
pub fn check_period(period: Duration, max: Duration) -> Result<()> {
    if period <= max {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "period of \"{}\" is greater than the backend's maximum lease TTL of \"{}\"",
        Span(period),
        Span(max)
    )))
}
