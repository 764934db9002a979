//! `creds/`: a user of a database on a lease. Why none is left without one is told in the crate's
//! documentation.

use std::{sync::Arc, time::Duration};

use boltwork_sdk::{
    Named, Path, Reply, Request, Result, Ttl, Wal,
    logical::{Error, MadeUser, NewUser, Storage, SystemView, UserChange},
    path,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Database,
    certificate::Holder,
    config::Config,
    connections::Connections,
    credentials::{Made as Credentials, Recipe},
    instance::{Failed, Instance},
    moment::{self, Wish},
    role::Role,
};

/// Kind of the leases; Vault's.
pub const KIND: &str = "creds";

/// Kind of the write-ahead entries of users that were made.
pub const MADE: &str = "user";

/// Age at which the lease of a user is surely stored, or never will be. The server stores it as soon
/// as it has the engine's answer.
pub const GRACE: Duration = Duration::from_secs(120);

/// What a lease remembers; the form is that of Vault's engine.
#[derive(Deserialize, Serialize, JsonSchema)]
pub struct Leased {
    username: String,
    role: String,
    #[serde(default)]
    db_name: String,
    #[serde(default)]
    revocation_statements: Option<Vec<String>>,
}

/// What is noted of a user until its lease is surely stored.
#[derive(Deserialize, Serialize, JsonSchema)]
pub struct Made {
    user: Leased,
    /// Path that was answered, for the server to look for the lease.
    path: String,
}

pub fn paths() -> Vec<Path<Database>> {
    vec![path("creds/{name}").help("A new user of a database.").read(Database::issue)]
}

/// Everything that making a user takes, independent of who waits for it.
struct Issue {
    connections: Arc<Connections>,
    storage: Arc<dyn Storage>,
    system: Arc<dyn SystemView>,
    config: Config,
    role: Role,
    role_name: String,
    display_name: String,
    path: String,
}

/// A user that was made and noted.
struct Issued {
    username: String,
    credential: Credentials,
}

impl Database {
    async fn issue(&self, req: Request<Named>) -> Result<Reply> {
        let name = req.fields.name.clone();
        let role = Role::load(&*req.storage, &name).await?;
        let role = role.ok_or_else(|| Error::invalid(format!("unknown role: {name}")))?;
        let config = Config::load(&*req.storage, &role.db_name).await?;
        if !config.allows(&name) {
            return Err(Error::internal(format!("{name:?} is not an allowed role")));
        }
        let kind = role.credential_type.as_str();
        if !config.connection_details.supports(kind) {
            return Err(Error::invalid(format!("unsupported credential_type: {kind:?}")));
        }
        let leased = Leased {
            username: String::new(),
            role: name.clone(),
            db_name: role.db_name.clone(),
            revocation_statements: Some(role.statements.revocation.clone()),
        };
        let (ttl, max_ttl) = (role.default_ttl, role.max_ttl);
        let issue = Issue {
            connections: Arc::clone(&self.connections),
            storage: Arc::clone(&req.storage),
            system: Arc::clone(&req.system),
            config,
            role,
            role_name: name,
            display_name: req.caller().display_name.to_string(),
            path: req.path().to_owned(),
        };
        // In a task of its own: once the database was asked, somebody has to hear the answer.
        let made = tokio::spawn(issue.run()).await;
        let made = made.map_err(|_| Error::internal("making the user was interrupted"))??;
        let mut data = made.credential.shown();
        data.insert("username".to_owned(), json!(made.username));
        let internal = Leased { username: made.username, ..leased };
        Ok(Reply::data(data).leased(KIND, Ttl(ttl), internal).max_ttl(max_ttl))
    }

    /// Extends the user's life in the database, then the lease.
    pub(crate) async fn renew(&self, req: Request<Leased>) -> Result<Reply> {
        let name = &req.fields.role;
        let role = Role::load(&*req.storage, name).await?.ok_or_else(|| {
            Error::internal(format!("error during renew: could not find role with name {name:?}"))
        })?;
        let lease = req.secret().map(|secret| secret.lease).unwrap_or_default();
        let (default, max) = (role.default_ttl, role.max_ttl);
        let wish = Wish { default, max, increment: lease.increment, issued: lease.issued };
        let ttl = wish.settle(&*req.system).await;
        if let Some(end) = moment::end(ttl).filter(|_| !ttl.is_zero()) {
            // The role may have been moved to another database since; the user has not.
            let made_in = Some(&req.fields.db_name).filter(|name| !name.is_empty());
            let instance = self.connection(&req, made_in.unwrap_or(&role.db_name)).await?;
            let _stays = instance.shared().await;
            let change = UserChange {
                username: req.fields.username.clone(),
                expiration: Some((end, role.statements.renewal.clone())),
                ..UserChange::default()
            };
            instance.update_user(change).await?;
        }
        Ok(Reply::renewed(&req).ttl(default).max_ttl(max))
    }

    /// Removes the user. What the role says now counts more than what it said then; a role that is
    /// gone left its statements with the lease.
    pub(crate) async fn revoke(&self, req: Request<Leased>) -> Result<Reply> {
        self.remove(&req, &req.fields).await?;
        Ok(Reply::empty())
    }

    /// What became of a user that was made a while ago: its lease is stored, or it is removed.
    pub(crate) async fn settle_user(&self, req: Request<Made>) -> Result<Reply> {
        let Made { user, path } = &req.fields;
        if !req.system.lease_remembers(path, "username", &user.username).await? {
            tracing::warn!(
                connection = user.db_name,
                user = user.username,
                "a user was made whose lease was never stored; it is removed"
            );
            self.remove(&req, user).await?;
        }
        Ok(Reply::empty())
    }

    async fn remove<F>(&self, req: &Request<F>, user: &Leased) -> Result<()> {
        let role = Role::load(&*req.storage, &user.role).await?;
        let moved = |role: &Role| !user.db_name.is_empty() && role.db_name != user.db_name;
        // A role that was moved to another database says nothing about this user any more.
        let (connection, statements) = match role.filter(|role| !moved(role)) {
            Some(role) => (role.db_name, role.statements.revocation),
            None if user.db_name.is_empty() => {
                return Err(Error::internal(format!(
                    "error during revoke: could not find role with name {:?} or embedded revocation \
                     db name data",
                    user.role
                )));
            }
            None => (user.db_name.clone(), user.revocation_statements.clone().unwrap_or_default()),
        };
        let instance = self.connection(req, &connection).await?;
        let _stays = instance.shared().await;
        instance.delete_user(&user.username, &statements).await
    }

    /// The open connection of this name.
    pub(crate) async fn connection<F>(
        &self,
        req: &Request<F>,
        name: &str,
    ) -> Result<Arc<Instance>> {
        let config = Config::load(&*req.storage, name).await?;
        self.connections.open(name, &config, &*req.system).await
    }
}

impl Issue {
    async fn run(self) -> Result<Issued> {
        let Self { role, config, system, .. } = &self;
        let instance = self.connections.open(&role.db_name, config, &**system).await?;
        let _stays = instance.shared().await;
        // Settled once: a certificate ends when its user does.
        let holder = self.holder().await?;
        let recipe = Recipe {
            kind: role.credential_type,
            settings: role.credential_config.as_ref(),
            connection_policy: &config.password_policy,
            holder: Some(&holder),
        };
        let credential = recipe.make(&instance, &**system).await?;
        let made = instance.new_user(self.user(&credential, holder)).await;
        let made = made.inspect_err(|failed| self.warn_of_unknown(failed))?;
        self.note(&instance, &made).await?;
        // A plugin of version 4 chose the password itself.
        let chosen = made.password.filter(|_| matches!(credential, Credentials::Password(_)));
        let credential = chosen.map_or(credential, Credentials::Password);
        Ok(Issued { username: made.username, credential })
    }

    async fn holder(&self) -> Result<Holder> {
        let (default, max) = (self.role.default_ttl, self.role.max_ttl);
        let wish = Wish { default, max, increment: Duration::ZERO, issued: None };
        let end = moment::end(wish.settle(&*self.system).await);
        Ok(Holder {
            display_name: self.display_name.clone(),
            role_name: self.role_name.clone(),
            end: end.ok_or_else(|| Error::internal("the role's ttl has no end on this system"))?,
        })
    }

    fn user(&self, credential: &Credentials, holder: Holder) -> NewUser {
        let statements = &self.role.statements;
        NewUser {
            display_name: holder.display_name,
            role_name: holder.role_name,
            credential: credential.credential(),
            expiration: Some(holder.end),
            statements: statements.creation.clone(),
            rollback_statements: statements.rollback.clone(),
            renew_statements: statements.renewal.clone(),
            revocation_statements: statements.revocation.clone(),
        }
    }

    /// Nobody knows whether there is a user now, nor its name.
    fn warn_of_unknown(&self, failed: &Failed) {
        if !failed.undone {
            tracing::error!(
                connection = self.role.db_name,
                role = self.role_name,
                caller = self.display_name,
                error = %failed.error,
                "a user may have been made whose name is not known; it ends at its expiration, if \
                 the role's creation statements set one"
            );
        }
    }

    /// Notes the user. One that cannot be noted is removed at once.
    async fn note(&self, instance: &Instance, made: &MadeUser) -> Result<()> {
        let user = Leased {
            username: made.username.clone(),
            role: self.role_name.clone(),
            db_name: self.role.db_name.clone(),
            revocation_statements: Some(self.role.statements.revocation.clone()),
        };
        let note = Made { user, path: self.path.clone() };
        let Err(error) = self.storage.begin_work(MADE, &note).await else { return Ok(()) };
        let removed = instance.delete_user(&made.username, &self.role.statements.revocation).await;
        if let Err(why) = removed {
            tracing::error!(
                connection = self.role.db_name,
                user = made.username,
                error = %why,
                "a user whose lease cannot be kept could not be removed either: remove it by hand"
            );
        }
        Err(error)
    }
}
