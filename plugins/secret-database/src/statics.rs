//! `static-roles/`, `static-creds/`, `rotate-role/`: users that exist already, whose credentials the
//! engine changes from time to time.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use boltwork_sdk::{Named, Path, Reply, Request, Result, StorageExt, Ttl, logical::Error, path};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::format_description::well_known::Rfc3339;
use zeroize::Zeroizing;

use crate::{
    Database,
    config::Config,
    credentials,
    role::{self, CredentialKind},
    roles::ListFields,
    rotation::Home,
    schedule::Schedule,
    settings::Sent,
    statements::Statements,
    static_role::{Account, PREFIX, StaticRole},
};

/// Shortest period; rotations are looked for this often.
const SHORTEST_PERIOD: u64 = 5;

/// Shortest window.
const SHORTEST_WINDOW: u64 = 3600;

/// A static role to be written.
#[derive(Deserialize, JsonSchema)]
pub struct StaticFields {
    /// Name of the role.
    name: String,
    /// Name of the database this role acts on.
    db_name: Option<String>,
    /// Name of the existing user whose credential is managed.
    username: Option<String>,
    /// Period after which the credential is changed.
    rotation_period: Option<Ttl>,
    /// When the credential is changed, as the five fields of cron in UTC; instead of a period.
    rotation_schedule: Option<String>,
    /// How long after a scheduled time a change may still begin; at least an hour.
    rotation_window: Option<Ttl>,
    /// Statements that change the credential.
    rotation_statements: Option<Statements>,
    /// The type of credential to manage: password or `rsa_private_key`.
    credential_type: Option<String>,
    /// The configuration for the given `credential_type`.
    credential_config: Option<Sent>,
}

pub fn paths() -> Vec<Path<Database>> {
    vec![
        path("static-roles").help("Names of the static roles.").list(Database::list_statics),
        path("static-roles/{name}")
            .help("One static role: which user, and how often its credential changes.")
            .read(Database::read_static)
            .write(Database::write_static)
            .delete(Database::delete_static)
            .exists(Database::static_exists),
        path("static-creds/{name}")
            .help("The present credential of a static role.")
            .read(Database::static_creds),
        path("rotate-role/{name}")
            .help("Changes the credential of a static role now.")
            .write(Database::rotate_static),
    ]
}

fn home<F>(req: &Request<F>) -> Home {
    Home { storage: req.storage.clone(), system: req.system.clone() }
}

impl Database {
    async fn static_exists(&self, req: Request<Named>) -> Result<bool> {
        req.storage.contains(format!("{PREFIX}{}", req.fields.name)).await
    }

    async fn list_statics(&self, req: Request<ListFields>) -> Result<Reply> {
        req.fields.list(&*req.storage, PREFIX).await
    }

    async fn read_static(&self, req: Request<Named>) -> Result<Reply> {
        let Some(role) = StaticRole::load(&*req.storage, &req.fields.name).await? else {
            return Ok(Reply::not_found());
        };
        let account = &role.static_account;
        let mut shown = Map::from_iter([
            ("db_name".to_owned(), json!(role.db_name)),
            ("username".to_owned(), json!(account.username)),
            ("rotation_statements".to_owned(), json!(role.statements.rotation)),
            ("credential_type".to_owned(), json!(role.credential_type.as_str())),
        ]);
        show_times(&mut shown, account);
        if let Some(config) = role.credential_config.as_ref().and_then(|config| config.shown()) {
            shown.insert("credential_config".to_owned(), json!(config));
        }
        Ok(Reply::data(shown))
    }

    async fn delete_static(&self, req: Request<Named>) -> Result<Reply> {
        let name = &req.fields.name;
        let removed = self.rotations.alone(name, req.storage.remove(format!("{PREFIX}{name}")));
        removed.await?;
        self.rotations.forget(name);
        Ok(Reply::empty())
    }

    async fn static_creds(&self, req: Request<Named>) -> Result<Reply> {
        let name = &req.fields.name;
        let role = StaticRole::load(&*req.storage, name).await?;
        let role = role.ok_or_else(|| Error::invalid(format!("unknown role: {name}")))?;
        let config = Config::load(&*req.storage, &role.db_name).await?;
        if !config.allows(name) {
            return Err(Error::internal(format!("{name:?} is not an allowed role")));
        }
        let account = &role.static_account;
        let ttl = account.ttl(self.rotations.now())?;
        let mut shown = Map::from_iter([
            ("username".to_owned(), json!(account.username)),
            ("ttl".to_owned(), json!(ttl)),
        ]);
        show_times(&mut shown, account);
        match role.credential_type {
            CredentialKind::RsaPrivateKey => {
                let unreadable = |_| Error::internal("the stored private key cannot be read");
                let pem = BASE64_STANDARD.decode(account.private_key.as_bytes());
                let pem = Zeroizing::new(pem.map_err(unreadable)?);
                let text = String::from_utf8_lossy(&pem).into_owned();
                shown.insert("rsa_private_key".to_owned(), Value::String(text));
            }
            _ => {
                shown.insert("password".to_owned(), json!(account.password.as_str()));
            }
        }
        Ok(Reply::data(shown))
    }

    async fn write_static(&self, req: Request<StaticFields>) -> Result<Reply> {
        // In a task of its own: once the database was asked, the answer must be stored.
        let (rotations, home) = (self.rotations.clone(), home(&req));
        let written = tokio::spawn(async move {
            let name = req.fields.name.clone();
            let work = async {
                let stored = StaticRole::load(&*home.storage, &name).await?;
                let is_new = stored.is_none();
                if home.storage.contains(format!("{}{name}", role::PREFIX)).await? {
                    return Err(Error::invalid("Role and Static Role names must be unique"));
                }
                let role = apply(req.fields, stored.unwrap_or_default(), is_new)?;
                if !is_new {
                    role.save(&*home.storage, &name).await?;
                    rotations.schedule(&name, &role);
                    return Ok(());
                }
                let Err(failed) = rotations.rotate(&home, &name, role).await else { return Ok(()) };
                if failed.undone {
                    // What was noted of it goes with it: there is no such role.
                    home.storage.remove(format!("{PREFIX}{name}")).await?;
                    return Err(failed.error);
                }
                // The user may have a credential that only this role knows.
                if let Some(role) = StaticRole::load(&*home.storage, &name).await? {
                    rotations.schedule(&name, &role);
                }
                Err(Error::internal(format!(
                    "{}. The user may have its new credential already, so the role is kept, and \
                     setting it is tried again",
                    failed.error
                )))
            };
            rotations.alone(&name, work).await
        });
        written.await.map_err(|_| Error::internal("writing the role was interrupted"))??;
        Ok(Reply::empty())
    }

    async fn rotate_static(&self, req: Request<Named>) -> Result<Reply> {
        let (rotations, home, name) = (self.rotations.clone(), home(&req), req.fields.name);
        let rotated = tokio::spawn(async move {
            let work = async {
                let role = StaticRole::load(&*home.storage, &name).await?;
                let role =
                    role.ok_or_else(|| Error::invalid("no static role found for role name"))?;
                rotations.rotate(&home, &name, role).await.map_err(|failed| {
                    rotations.put_off(&name);
                    Error::internal(format!(
                        "unable to finish rotating credentials; retries will continue in the \
                         background but it is also safe to retry manually: {}",
                        failed.error
                    ))
                })
            };
            rotations.alone(&name, work).await
        });
        rotated.await.map_err(|_| Error::internal("the rotation was interrupted"))??;
        Ok(Reply::empty())
    }

    /// Rotates what is due, and waits for it: once a minute the server asks for it.
    pub(crate) async fn rotate_due(&self, req: Request) -> Result<Reply> {
        for task in self.rotations.begin_due(&home(&req)).await {
            // It has logged what went wrong.
            let _ = task.await;
        }
        Ok(Reply::empty())
    }

    /// The mount is in place: begin to look for what is due.
    pub(crate) async fn start_up(&self, req: Request) -> Result<Reply> {
        self.rotations.start(home(&req));
        Ok(Reply::empty())
    }
}

fn show_times(shown: &mut Map<String, Value>, account: &Account) {
    if account.rotation_schedule.is_empty() {
        shown.insert("rotation_period".to_owned(), json!(account.rotation_period.as_secs()));
    } else {
        shown.insert("rotation_schedule".to_owned(), json!(account.rotation_schedule));
        if !account.rotation_window.is_zero() {
            shown.insert("rotation_window".to_owned(), json!(account.rotation_window.as_secs()));
        }
    }
    if account.was_rotated() {
        let time = account.last_vault_rotation.format(&Rfc3339).unwrap_or_default();
        shown.insert("last_vault_rotation".to_owned(), json!(time));
    }
}

/// The role as it is to be.
fn apply(fields: StaticFields, mut role: StaticRole, is_new: bool) -> Result<StaticRole> {
    if let Some(name) = &fields.db_name {
        role.db_name.clone_from(name);
    }
    if role.db_name.is_empty() {
        return Err(Error::invalid("database name is a required field"));
    }
    let username = fields.username.as_deref().unwrap_or_default();
    if is_new && username.is_empty() {
        return Err(Error::invalid("username is a required field to create a static account"));
    }
    if !is_new && !username.is_empty() && role.static_account.username != username {
        return Err(Error::invalid("cannot update static account username"));
    }
    if is_new {
        username.clone_into(&mut role.static_account.username);
    }
    apply_times(&fields, &mut role.static_account, is_new)?;
    if let Some(Statements(statements)) = fields.rotation_statements {
        role.statements.rotation = statements;
    }
    let before = role.credential_type;
    if let Some(kind) = &fields.credential_type {
        role.credential_type = CredentialKind::parse(kind)?;
    }
    if role.credential_type == CredentialKind::ClientCertificate {
        return Err(Error::invalid(
            "a static role cannot have credential_type client_certificate: its user exists already, \
             under a subject that nobody can change; use a role under roles/",
        ));
    }
    if before != role.credential_type {
        // One of the other kind was begun: it is of no use any more.
        role.static_account.pending = None;
        role.credential_config = None;
    }
    let sent = fields.credential_config.unwrap_or_default();
    if let Some(config) = credentials::checked(role.credential_type, &sent)? {
        role.credential_config = Some(config);
    }
    Ok(role)
}

fn apply_times(fields: &StaticFields, account: &mut Account, is_new: bool) -> Result<()> {
    let schedule = fields.rotation_schedule.as_deref().filter(|text| !text.is_empty());
    match (fields.rotation_period, schedule) {
        (Some(_), Some(_)) => Err(Error::invalid(
            "mutually exclusive fields rotation_period and rotation_schedule were both specified; \
             only one of them can be provided",
        )),
        (None, None) if is_new => Err(Error::invalid(
            "one of rotation_schedule or rotation_period must be provided to create a static account",
        )),
        (Some(period), None) => {
            if period.as_secs() < SHORTEST_PERIOD {
                return Err(Error::invalid(format!(
                    "rotation_period must be {SHORTEST_PERIOD} seconds or more"
                )));
            }
            if fields.rotation_window.is_some() {
                return Err(Error::invalid(
                    "rotation_window is invalid with use of rotation_period",
                ));
            }
            account.rotation_period = period.0;
            account.rotation_schedule.clear();
            account.rotation_window = Duration::ZERO;
            Ok(())
        }
        (None, Some(text)) => {
            Schedule::parse(text).map_err(|error| {
                Error::invalid(format!("could not parse rotation_schedule: {error}"))
            })?;
            text.clone_into(&mut account.rotation_schedule);
            account.rotation_period = Duration::ZERO;
            apply_window(fields, account)
        }
        (None, None) => apply_window(fields, account),
    }
}

fn apply_window(fields: &StaticFields, account: &mut Account) -> Result<()> {
    let Some(window) = fields.rotation_window else { return Ok(()) };
    if account.rotation_schedule.is_empty() {
        return Err(Error::invalid("rotation_window is invalid with use of rotation_period"));
    }
    if window.as_secs() < SHORTEST_WINDOW {
        return Err(Error::invalid(format!(
            "rotation_window must be {SHORTEST_WINDOW} seconds or more"
        )));
    }
    account.rotation_window = window.0;
    Ok(())
}
