//! Single settings of a role, each under a path of its own.

use std::time::Duration;

use boltwork_sdk::{Fields, Path, Reply, Request, Result, Transactions, logical::Error, path};
use serde_json::Value;

use crate::{
    Approle,
    fields::AtRole,
    role::{Role, check_name},
};

mod lists;
mod numbers;

/// A setting that is read, written and reset by itself.
trait Setting: Send + Sync + 'static {
    /// What a write takes.
    type Sent: Fields + Sync;
    /// The path's end.
    const PATH: &'static str;
    /// One line for the help.
    const HELP: &'static str;
    /// What a read shows.
    fn show(role: &Role) -> Value;
    /// Takes over what was sent. `max` is the mount's longest lease.
    fn set(role: &mut Role, sent: &Self::Sent, max: Duration) -> Result<()>;
    /// Makes it what a new role has.
    fn reset(role: &mut Role);
    /// What a reader should know.
    const WARNING: Option<&'static str> = None;
}

/// The paths of all settings.
pub fn paths() -> [Path<Approle>; 11] {
    [
        of::<lists::Policies>(),
        of::<lists::SecretIdBoundCidrs>(),
        of::<lists::BoundCidrList>(),
        of::<lists::TokenBoundCidrs>(),
        of::<numbers::BindSecretId>(),
        of::<numbers::SecretIdNumUses>(),
        of::<numbers::SecretIdTtl>(),
        of::<numbers::Period>(),
        of::<numbers::TokenNumUses>(),
        of::<numbers::TokenTtl>(),
        of::<numbers::TokenMaxTtl>(),
    ]
}

fn of<S: Setting>() -> Path<Approle> {
    path(format!("role/{{role_name}}/{}", S::PATH))
        .help(S::HELP)
        .details(DETAILS)
        .read(Approle::read_setting::<S>)
        .update(Approle::write_setting::<S>)
        .delete(Approle::reset_setting::<S>)
}

const DETAILS: &str = "\
The same setting as in role/<role_name>, by itself, so that a policy can allow it alone. A write needs
a role that exists; a delete makes the setting what it is in a new role.";

impl Approle {
    async fn read_setting<S: Setting>(&self, req: Request<AtRole>) -> Result<Reply> {
        check_name(&req.fields.role_name)?;
        let Some(role) = Role::load(&*req.storage, &req.fields.role_name).await? else {
            return Ok(Reply::not_found());
        };
        let reply = Reply::data(S::show(&role));
        Ok(match S::WARNING {
            Some(text) => reply.warning(text),
            None => reply,
        })
    }

    async fn write_setting<S: Setting>(&self, req: Request<S::Sent>) -> Result<Reply> {
        let max = req.system.max_lease_ttl().await;
        let sent = &req.fields;
        let set = |role: &mut Role| S::set(role, sent, max);
        if !self.change(&req, role_in(req.path()), set).await? {
            return Err(Error::UnsupportedPath);
        }
        Ok(Reply::empty())
    }

    async fn reset_setting<S: Setting>(&self, req: Request<AtRole>) -> Result<Reply> {
        let reset = |role: &mut Role| {
            S::reset(role);
            Ok(())
        };
        self.change(&req, &req.fields.role_name, reset).await?;
        Ok(Reply::empty())
    }

    /// Changes a role; false if there is none.
    async fn change<F: Sync>(
        &self,
        req: &Request<F>,
        name: &str,
        change: impl Fn(&mut Role) -> Result<()> + Send + Sync,
    ) -> Result<bool> {
        check_name(name)?;
        let salt = &self.shared.salt.get(&*req.storage).await?;
        let change = &change;
        let _turn = self.shared.roles.alone(&name.to_lowercase()).await;
        let work = |tx| async move {
            let Some(mut role) = Role::load(&tx, name).await? else { return Ok(false) };
            change(&mut role)?;
            role.save(&tx, salt, &role.role_id).await?;
            Ok(true)
        };
        req.storage.transaction(work).await
    }
}

/// The role that a path `role/<role_name>/...` is about.
fn role_in(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or_default()
}

/// The value that must have been sent.
fn required<T>(sent: Option<T>, field: &str) -> Result<T> {
    sent.ok_or_else(|| Error::invalid(format!("missing {field}")))
}
