//! `config/`: connections to databases; `reset/` and `reload/`: opening them anew.

use boltwork_sdk::{
    Named, Path, Reply, Request, Result, StorageExt,
    logical::{Error, Storage, Version},
    path,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{Database, details::Details, instance::Instance, statements::Statements};

/// Where connections are kept.
pub const PREFIX: &str = "config/";

/// The fields that are the engine's own; all others are the plugin's.
const OWN: [&str; 7] = [
    "name",
    "plugin_name",
    "plugin_version",
    "allowed_roles",
    "verify_connection",
    "root_rotation_statements",
    "password_policy",
];

/// A connection as it is stored; the form is that of Vault's engine.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    pub plugin_name: String,
    /// Canonical, or empty.
    pub plugin_version: String,
    pub connection_details: Details,
    pub allowed_roles: Option<Vec<String>>,
    pub root_credentials_rotate_statements: Option<Vec<String>>,
    pub password_policy: String,
}

impl Config {
    /// The connection of this name.
    pub async fn load(storage: &dyn Storage, name: &str) -> Result<Self> {
        let found = storage.load(format!("{PREFIX}{name}")).await?;
        found.ok_or_else(|| {
            Error::internal(format!("failed to find entry for connection with name: {name:?}"))
        })
    }

    pub async fn save(&self, storage: &dyn Storage, name: &str) -> Result<()> {
        storage.save(format!("{PREFIX}{name}"), self).await
    }

    /// Whether a role may use it: by its name, or by a pattern with `*`.
    pub fn allows(&self, role: &str) -> bool {
        self.allowed_roles.iter().flatten().any(|pattern| glob(pattern, role))
    }
}

/// Each `*` stands for anything, or nothing.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// A connection to be configured.
#[derive(Deserialize, JsonSchema)]
pub struct ConfigFields {
    /// Name of this database connection.
    name: String,
    /// The name of a built-in or previously registered plugin, which speaks to the database.
    plugin_name: Option<String>,
    /// The version of the plugin to use.
    plugin_version: Option<String>,
    /// Whether the details are tried by connecting to the database.
    verify_connection: Option<bool>,
    /// Names of the roles that may use this connection; "*" stands for all, none for none.
    allowed_roles: Option<Vec<String>>,
    /// Statements that rotate the credentials of the connection's own user.
    root_rotation_statements: Option<Statements>,
    /// Password policy to use when passwords are made.
    password_policy: Option<String>,
}

/// Which plugin.
#[derive(Deserialize, JsonSchema)]
pub struct PluginNamed {
    /// Name of the plugin whose connections are opened anew.
    plugin_name: String,
}

pub fn paths() -> Vec<Path<Database>> {
    vec![
        path("config").help("Names of the connections.").list(Database::list_configs),
        path("config/{name}")
            .help("One connection: the plugin, and what it needs to reach the database.")
            .any_input()
            .read(Database::read_config)
            .write(Database::write_config)
            .delete(Database::delete_config)
            .exists(Database::config_exists),
        path("reset/{name}").help("Opens a connection anew.").write(Database::reset),
        path("reload/{plugin_name}")
            .help("Opens all connections of a plugin anew.")
            .write(Database::reload),
    ]
}

impl Database {
    async fn config_exists(&self, req: Request<ConfigFields>) -> Result<bool> {
        req.storage.contains(format!("{PREFIX}{}", req.fields.name)).await
    }

    async fn list_configs(&self, req: Request) -> Result<Reply> {
        Ok(Reply::keys(&req.storage.keys(PREFIX).await?))
    }

    async fn read_config(&self, req: Request<Named>) -> Result<Reply> {
        let name = &req.fields.name;
        let found: Option<Config> = req.storage.load(format!("{PREFIX}{name}")).await?;
        let Some(config) = found else { return Ok(Reply::not_found()) };
        // An older Vault stored the version of a built-in plugin, which means "the built-in one".
        let builtin = Version::parse_loose(&config.plugin_version).is_ok_and(|v| v.is_builtin());
        let version = if builtin { "" } else { &config.plugin_version };
        let mut shown = json!({
            "plugin_name": config.plugin_name,
            "plugin_version": version,
            "connection_details": config.connection_details.shown(),
            "allowed_roles": config.allowed_roles.clone().unwrap_or_default(),
            "root_credentials_rotate_statements":
                config.root_credentials_rotate_statements.clone().unwrap_or_default(),
            "password_policy": config.password_policy,
        });
        if let Some(running) = self.connections.running_version(name).await {
            shown["running_plugin_version"] = json!(running);
        }
        Ok(Reply::data(shown))
    }

    async fn write_config(&self, req: Request<ConfigFields>) -> Result<Reply> {
        self.configs.alone(&req.fields.name, self.configure(&req)).await
    }

    async fn configure(&self, req: &Request<ConfigFields>) -> Result<Reply> {
        let fields = &req.fields;
        let stored: Option<Config> = req.storage.load(format!("{PREFIX}{}", fields.name)).await?;
        let is_new = stored.is_none();
        let mut config = stored.unwrap_or_default();
        if let Some(name) = &fields.plugin_name {
            config.plugin_name.clone_from(name);
        }
        if config.plugin_name.is_empty() {
            return Err(Error::invalid("empty plugin name"));
        }
        self.choose_version(req, &mut config, is_new).await?;
        take(&mut config.allowed_roles, fields.allowed_roles.clone());
        let statements = fields.root_rotation_statements.clone().map(|list| list.0);
        take(&mut config.root_credentials_rotate_statements, statements);
        if let Some(policy) = &fields.password_policy {
            config.password_policy.clone_from(policy);
        }
        config.connection_details.overlay(req.data(), &OWN)?;
        let verify = fields.verify_connection.unwrap_or(true);
        let instance = begin(req, &mut config, verify).await?;
        if let Err(error) = config.save(&*req.storage, &fields.name).await {
            instance.close().await;
            return Err(error);
        }
        let legacy = instance.makes_passwords();
        self.connections.replace(&fields.name, instance).await;
        Ok(warnings(&config, legacy))
    }

    /// Which version is kept for it. Once chosen it stays, until another is asked for.
    async fn choose_version(
        &self,
        req: &Request<ConfigFields>,
        config: &mut Config,
        is_new: bool,
    ) -> Result<()> {
        let asked = req.fields.plugin_version.as_deref().unwrap_or_default();
        let renamed = req.fields.plugin_name.is_some() && !is_new;
        if asked.is_empty() && !is_new && !renamed {
            return Ok(());
        }
        // What is stored of an old plugin says nothing about a new one's versions.
        let wanted = if asked.is_empty() && renamed { &config.plugin_version } else { asked };
        let chosen = req.system.select_database_version(&config.plugin_name, wanted).await?;
        config.plugin_version = chosen;
        Ok(())
    }

    async fn delete_config(&self, req: Request<Named>) -> Result<Reply> {
        let name = &req.fields.name;
        self.configs.alone(name, req.storage.remove(format!("{PREFIX}{name}"))).await?;
        self.connections.clear(name).await;
        Ok(Reply::empty())
    }

    async fn reset(&self, req: Request<Named>) -> Result<Reply> {
        let name = &req.fields.name;
        let config = Config::load(&*req.storage, name).await?;
        self.connections.clear(name).await;
        self.connections.open(name, &config, &*req.system).await?;
        Ok(Reply::empty())
    }

    async fn reload(&self, req: Request<PluginNamed>) -> Result<Reply> {
        let mut chosen = Vec::new();
        for name in req.storage.keys(PREFIX).await? {
            let config = Config::load(&*req.storage, &name).await?;
            if config.plugin_name == req.fields.plugin_name {
                // All of them first: otherwise the second would find the process of the first.
                req.system.retire_database(&config.plugin_name, &config.plugin_version).await?;
                chosen.push((name, config));
            }
        }
        let mut reloaded = Vec::new();
        let mut failed = Vec::new();
        for (name, config) in chosen {
            self.connections.clear(&name).await;
            match self.connections.open(&name, &config, &*req.system).await {
                Ok(_) => reloaded.push(name),
                Err(error) => failed.push(format!("failed to reload connection {name:?}: {error}")),
            }
        }
        if reloaded.is_empty() && !failed.is_empty() {
            return Err(Error::internal(failed.join("; ")));
        }
        let count = reloaded.len();
        let reply = Reply::data(json!({ "connections": reloaded, "count": count }));
        let reply = failed.into_iter().fold(reply, Reply::warning);
        Ok(match count {
            0 => reply.warning(format!(
                "no connections were found with plugin_name {:?}",
                req.fields.plugin_name
            )),
            _ => reply,
        })
    }
}

/// Opens a connection by a new configuration, of which it keeps what the plugin says.
async fn begin(
    req: &Request<ConfigFields>,
    config: &mut Config,
    verify: bool,
) -> Result<std::sync::Arc<Instance>> {
    let begun = async {
        let opened = req.system.open_database(&config.plugin_name, &config.plugin_version).await?;
        Instance::initialize(opened, &config.connection_details, verify).await
    };
    let (instance, kept) = begun.await.map_err(|error| match error {
        Error::Sealed => Error::Sealed,
        error => Error::invalid(format!("error creating database object: {error}")),
    })?;
    config.connection_details = kept;
    Ok(instance)
}

fn take(place: &mut Option<Vec<String>>, sent: Option<Vec<String>>) {
    if sent.is_some() {
        *place = sent;
    }
}

fn warnings(config: &Config, legacy: bool) -> Reply {
    let mut reply = Reply::empty();
    if config.connection_details.has_password_in_url() {
        reply = reply.warning(
            "Password found in connection_url, use a templated url to enable root rotation and \
             prevent read access to password information.",
        );
    }
    if legacy && !config.password_policy.is_empty() {
        reply = reply.warning(format!(
            "{} does not support password policies: it makes passwords itself, as plugins of \
             version 4 of the database protocol do",
            config.plugin_name
        ));
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_allowed_by_name_and_by_pattern() {
        let config = |roles: &[&str]| Config {
            allowed_roles: Some(roles.iter().map(|role| (*role).to_owned()).collect()),
            ..Config::default()
        };
        assert!(!Config::default().allows("any"));
        assert!(config(&["*"]).allows("any"));
        assert!(config(&["app-*"]).allows("app-1") && !config(&["app-*"]).allows("my-app-1"));
        assert!(config(&["*-ro"]).allows("app-ro") && !config(&["*-ro"]).allows("app-rw"));
        assert!(config(&["*app*"]).allows("my-app-1"));
        assert!(config(&["a*b*c"]).allows("a-b-b-c") && !config(&["a*b*c"]).allows("a-c-b"));
        assert!(!config(&["ab*ba"]).allows("aba"));
        assert!(config(&["a", "b"]).allows("b") && !config(&["a", "b"]).allows("ab"));
    }
}
