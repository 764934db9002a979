//! `rotate-root/`: a new password for the connection's own user, known to nobody else.
//!
//! The new password is noted before the database is asked. If anything fails after that, nobody
//! knows which of the two is good; the note is settled later by trying the new one, and then the
//! old one.

use std::{sync::Arc, time::Duration};

use boltwork_sdk::{
    Named, Path, Reply, Request, Result, StorageExt, Wal,
    logical::{Credential, Error, SecretText, UserChange},
    path,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    Database, config::Config, connections::Connections, credentials::Recipe, details::Details,
    instance::Instance, role::CredentialKind,
};

/// Kind of the write-ahead entries; Vault's.
pub const ROTATION: &str = "rotateRootWALKey";

/// Age at which a rotation is surely over.
pub const GRACE: Duration = Duration::from_secs(300);

/// A rotation that was begun; the form is that of Vault's engine.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Rotation {
    connection_name: String,
    user_name: String,
    #[schemars(with = "String")]
    new_password: Zeroizing<String>,
    #[schemars(with = "String")]
    old_password: Zeroizing<String>,
}

pub fn paths() -> Vec<Path<Database>> {
    vec![
        path("rotate-root/{name}")
            .help("Gives the connection's own user a new password that nobody is told.")
            .write(Database::rotate_root),
    ]
}

impl Database {
    async fn rotate_root(&self, req: Request<Named>) -> Result<Reply> {
        let (connections, turns) = (Arc::clone(&self.connections), Arc::clone(&self.configs));
        // In a task of its own: a caller that hangs up leaves no password behind that nobody stored.
        let rotated = tokio::spawn(async move {
            let name = req.fields.name.clone();
            turns.alone(&name, rotate(&connections, &req)).await
        });
        let rotated = rotated.await;
        rotated.map_err(|_| Error::internal("the rotation was interrupted"))??;
        Ok(Reply::empty())
    }

    /// Finds out how an interrupted rotation ended. It is left for later while the database cannot
    /// be reached.
    pub(crate) async fn settle_rotation(&self, req: Request<Rotation>) -> Result<Reply> {
        self.configs.alone(&req.fields.connection_name, self.settle(&req)).await
    }

    async fn settle(&self, req: &Request<Rotation>) -> Result<Reply> {
        let rotation = &req.fields;
        let name = &rotation.connection_name;
        let found: Option<Config> =
            req.storage.load(format!("{}{name}", crate::config::PREFIX)).await?;
        let Some(config) = found else { return Ok(Reply::empty()) };
        let stored = config.connection_details.text("password").unwrap_or_default().to_owned();
        let is_ours = stored == *rotation.new_password || stored == *rotation.old_password;
        if !is_ours {
            // Somebody has configured another since.
            return Ok(Reply::empty());
        }
        let mut failures = Vec::new();
        for password in [&rotation.new_password, &rotation.old_password] {
            let mut config = config.clone();
            config.connection_details.set("password", password);
            match self.try_out(req, &config).await {
                Ok(()) => {
                    config.save(&*req.storage, name).await?;
                    self.connections.clear(name).await;
                    return Ok(Reply::empty());
                }
                Err(error) => failures.push(error.to_string()),
            }
        }
        Err(Error::internal(format!(
            "the root rotation of connection {name:?} was interrupted, and the database takes \
             neither the new nor the old password now: {}",
            failures.join("; ")
        )))
    }

    async fn try_out(&self, req: &Request<Rotation>, config: &Config) -> Result<()> {
        let opened = req.system.open_database(&config.plugin_name, &config.plugin_version).await?;
        let (instance, _) = Instance::initialize(opened, &config.connection_details, true).await?;
        instance.close().await;
        Ok(())
    }
}

async fn rotate(connections: &Connections, req: &Request<Named>) -> Result<()> {
    let name = &req.fields.name;
    let config = Config::load(&*req.storage, name).await?;
    let missing = |what: &str| {
        let text = "unable to rotate root credentials: no";
        Error::internal(format!("{text} {what} in configuration"))
    };
    let details = &config.connection_details;
    let user = details.text("username").ok_or_else(|| missing("username"))?.to_owned();
    let old = details.text("password").ok_or_else(|| missing("password"))?.to_owned();
    let instance = connections.open(name, &config, &*req.system).await?;
    let outcome = {
        let _alone = instance.alone().await;
        let policy = &config.password_policy;
        let recipe = Recipe {
            kind: CredentialKind::Password,
            settings: None,
            connection_policy: policy,
            holder: None,
        };
        let new = recipe.password(&instance, &*req.system).await?;
        let rotation = Rotation {
            connection_name: name.clone(),
            user_name: user,
            new_password: Zeroizing::new(new.expose().to_owned()),
            old_password: Zeroizing::new(old),
        };
        let note = req.storage.begin_work(ROTATION, &rotation).await?;
        let outcome = change(req, &instance, config, &rotation).await;
        match outcome {
            Ok(()) => req.storage.settle(&note).await,
            failed => failed,
        }
    };
    // It still knows the old password, or nobody knows which.
    connections.clear(name).await;
    outcome
}

/// Asks the database, and stores what it said.
async fn change(
    req: &Request<Named>,
    instance: &Instance,
    mut config: Config,
    rotation: &Rotation,
) -> Result<()> {
    let statements = config.root_credentials_rotate_statements.clone().unwrap_or_default();
    if instance.makes_passwords()
        && let Some(kept) = instance.rotate_root(&statements).await?
    {
        config.connection_details = Details::of(&kept)?;
        return config.save(&*req.storage, &rotation.connection_name).await;
    }
    let password = SecretText::new(rotation.new_password.as_str());
    let change = UserChange {
        username: rotation.user_name.clone(),
        credential: Some((Credential::Password(password), statements)),
        ..UserChange::default()
    };
    instance.update_user(change).await.map_err(|failed| match failed.error {
        Error::Internal(text) => Error::Internal(format!("failed to update user: {text}")),
        other => other,
    })?;
    config.connection_details.set("password", &rotation.new_password);
    config.save(&*req.storage, &rotation.connection_name).await
}
