//! A database plugin whose users are the lines of a password file as nginx reads it: `auth_basic`
//! with `{PLAIN}` passwords.
//!
//! ```text
//! vault write database/config/site plugin_name=nginx_users allowed_roles=reader file=/etc/nginx/users
//! vault write database/roles/reader db_name=site creation_statements=reader default_ttl=1h
//! vault read database/creds/reader
//! ```
use std::{fs, io, path::PathBuf};

use boltwork_sdk::prelude::*;
use tokio::sync::Mutex;

/// One password file, once it is configured.
#[derive(Default)]
struct NginxUsers(Mutex<Option<PathBuf>>);

#[derive(Deserialize)]
struct Config {
    file: PathBuf,
}

fn failed(error: io::Error) -> DatabaseError {
    DatabaseError::Failed(format!("the password file: {error}"))
}

/// Rewrites the lines of the file, as a whole or not at all.
async fn edit(
    file: &Mutex<Option<PathBuf>>,
    change: impl FnOnce(&mut Vec<String>) -> Result<(), DatabaseError>,
) -> Result<(), DatabaseError> {
    // Held to the end: two changes at once would lose one of them.
    let file = file.lock().await;
    let missing = || DatabaseError::Invalid("the connection has not been initialized".to_owned());
    let file = file.as_ref().ok_or_else(missing)?;
    let text = fs::read_to_string(file).map_err(failed)?;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    change(&mut lines)?;
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let new = file.with_extension("new");
    fs::write(&new, text).and_then(|()| fs::rename(&new, file)).map_err(failed)
}

fn is_of(line: &str, username: &str) -> bool {
    line.split_once(':').is_some_and(|(name, _)| name == username)
}

fn line(username: &str, password: &SecretText) -> String {
    format!("{username}:{{PLAIN}}{}", password.expose())
}

impl Database for NginxUsers {
    fn initialize(&self, config: Data, verify: bool) -> BoxFuture<'_, Result<Data, DatabaseError>> {
        Box::pin(async move {
            let fields: Config = config
                .decode()
                .map_err(|_| DatabaseError::Invalid("`file` must name a password file".into()))?;
            if verify {
                fs::read_to_string(&fields.file).map_err(failed)?;
            }
            *self.0.lock().await = Some(fields.file);
            Ok(config)
        })
    }

    fn new_user(&self, user: NewUser) -> BoxFuture<'_, Result<MadeUser, DatabaseError>> {
        Box::pin(async move {
            let Credential::Password(password) = &user.credential else {
                return Err(DatabaseError::Unsupported("credentials other than passwords"));
            };
            let username = format!("v-{}-{:016x}", user.role_name, rand::random::<u64>());
            edit(&self.0, |lines| {
                lines.push(line(&username, password));
                Ok(())
            })
            .await?;
            tracing::info!(role = user.role_name, "made a user");
            Ok(MadeUser { username, password: None })
        })
    }

    fn update_user(&self, change: UserChange) -> BoxFuture<'_, Result<(), DatabaseError>> {
        Box::pin(async move {
            // Lines have no end; the server removes them when their lease is over.
            let Some((Credential::Password(password), _)) = &change.credential else {
                return Ok(());
            };
            edit(&self.0, |lines| {
                let found = lines.iter_mut().find(|line| is_of(line, &change.username));
                let missing = || DatabaseError::Failed("there is no such user".to_owned());
                *found.ok_or_else(missing)? = line(&change.username, password);
                Ok(())
            })
            .await
        })
    }

    fn delete_user<'a>(
        &'a self,
        username: &'a str,
        _statements: &'a [String],
    ) -> BoxFuture<'a, Result<(), DatabaseError>> {
        Box::pin(edit(&self.0, move |lines| {
            lines.retain(|line| !is_of(line, username));
            Ok(())
        }))
    }

    fn kind(&self) -> BoxFuture<'_, Result<String, DatabaseError>> {
        Box::pin(async { Ok("nginx".to_owned()) })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { *self.0.lock().await = None })
    }
}

fn main() -> std::process::ExitCode {
    serve_database(NginxUsers::default)
}
