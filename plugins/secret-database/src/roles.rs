//! `roles/`: what users of a database the engine makes, and for how long.

use boltwork_sdk::{Named, Path, Reply, Request, Result, StorageExt, Ttl, logical::Error, path};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::{
    Database, credentials,
    role::{CredentialKind, PREFIX, Role},
    settings::Sent,
    statements::Statements,
    static_role,
};

/// A role to be written.
#[derive(Deserialize, JsonSchema)]
pub struct RoleFields {
    /// Name of the role.
    name: String,
    /// Name of the database this role acts on.
    db_name: Option<String>,
    /// The type of credential to manage: password, `rsa_private_key`, `client_certificate`.
    credential_type: Option<String>,
    /// The configuration for the given `credential_type`.
    credential_config: Option<Sent>,
    /// Statements that make and set up a user.
    creation_statements: Option<Statements>,
    /// Statements that remove a user.
    revocation_statements: Option<Statements>,
    /// Statements that extend a user's life.
    renew_statements: Option<Statements>,
    /// Statements that take back what was done when making a user failed.
    rollback_statements: Option<Statements>,
    /// Default ttl for role.
    default_ttl: Option<Ttl>,
    /// Maximum time a credential is valid for.
    max_ttl: Option<Ttl>,
}

/// Which part of the list.
#[derive(Deserialize, JsonSchema)]
pub struct ListFields {
    /// Names after this one.
    #[serde(default)]
    after: String,
    /// At most so many; all, if it is not positive.
    #[serde(default)]
    limit: i64,
}

impl ListFields {
    /// The names below a prefix that are asked for.
    pub async fn list(
        &self,
        storage: &dyn boltwork_sdk::logical::Storage,
        prefix: &str,
    ) -> Result<Reply> {
        let limit = usize::try_from(self.limit).ok().filter(|limit| *limit > 0);
        Ok(Reply::keys(&storage.list_page(prefix, &self.after, limit).await?))
    }
}

pub fn paths() -> Vec<Path<Database>> {
    vec![
        path("roles").help("Names of the roles.").list(Database::list_roles),
        path("roles/{name}")
            .help("One role: on which connection, by which statements, for how long.")
            .read(Database::read_role)
            .write(Database::write_role)
            .delete(Database::delete_role)
            .exists(Database::role_exists),
    ]
}

impl Database {
    async fn role_exists(&self, req: Request<Named>) -> Result<bool> {
        req.storage.contains(format!("{PREFIX}{}", req.fields.name)).await
    }

    async fn list_roles(&self, req: Request<ListFields>) -> Result<Reply> {
        req.fields.list(&*req.storage, PREFIX).await
    }

    async fn delete_role(&self, req: Request<Named>) -> Result<Reply> {
        req.storage.remove(format!("{PREFIX}{}", req.fields.name)).await?;
        Ok(Reply::empty())
    }

    async fn read_role(&self, req: Request<Named>) -> Result<Reply> {
        let Some(role) = Role::load(&*req.storage, &req.fields.name).await? else {
            return Ok(Reply::not_found());
        };
        let mut shown = json!({
            "db_name": role.db_name,
            "creation_statements": role.statements.creation,
            "revocation_statements": role.statements.revocation,
            "rollback_statements": role.statements.rollback,
            "renew_statements": role.statements.renewal,
            "default_ttl": role.default_ttl.as_secs(),
            "max_ttl": role.max_ttl.as_secs(),
            "credential_type": role.credential_type.as_str(),
        });
        if let Some(config) = role.credential_config.and_then(|config| config.shown()) {
            shown["credential_config"] = json!(config);
        }
        Ok(Reply::data(shown))
    }

    async fn write_role(&self, req: Request<RoleFields>) -> Result<Reply> {
        let (fields, storage) = (req.fields, &*req.storage);
        if storage.contains(format!("{}{}", static_role::PREFIX, fields.name)).await? {
            return Err(Error::invalid("Role and Static Role names must be unique"));
        }
        let mut role = Role::load(storage, &fields.name).await?.unwrap_or_default();
        if let Some(name) = fields.db_name {
            role.db_name = name;
        }
        if role.db_name.is_empty() {
            return Err(Error::invalid("database name is required"));
        }
        apply_credential(&mut role, fields.credential_type.as_deref(), fields.credential_config)?;
        let statements = &mut role.statements;
        for (place, sent) in [
            (&mut statements.creation, fields.creation_statements),
            (&mut statements.revocation, fields.revocation_statements),
            (&mut statements.renewal, fields.renew_statements),
            (&mut statements.rollback, fields.rollback_statements),
        ] {
            if let Some(Statements(list)) = sent {
                *place = list;
            }
        }
        statements.revocation.retain(|statement| !statement.trim().is_empty());
        for (place, sent) in
            [(&mut role.default_ttl, fields.default_ttl), (&mut role.max_ttl, fields.max_ttl)]
        {
            if let Some(Ttl(ttl)) = sent {
                *place = ttl;
            }
        }
        storage.save(format!("{PREFIX}{}", fields.name), &role).await?;
        Ok(Reply::empty())
    }
}

/// The role's kind of credential and its settings, as they are to be.
fn apply_credential(role: &mut Role, kind: Option<&str>, sent: Option<Sent>) -> Result<()> {
    if let Some(kind) = kind {
        let kind = CredentialKind::parse(kind)?;
        if kind != role.credential_type {
            role.credential_config = None;
        }
        role.credential_type = kind;
    }
    // An authority's key is not shown to whoever reads a role, so nobody could send it again with a
    // change of something else.
    let keeps = role.credential_type == CredentialKind::ClientCertificate
        && role.credential_config.is_some()
        && sent.is_none();
    if !keeps
        && let Some(config) = credentials::checked(role.credential_type, &sent.unwrap_or_default())?
    {
        role.credential_config = Some(config);
    }
    Ok(())
}
