//! `sys/plugins/catalog`: the plugins that can be mounted (wire spec 5.3 and 5.4).

use boltwork_framework::{Reply, Request, Result};
use boltwork_logical::{Error, PluginEntry, PluginId, PluginKind, Registration, Version};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::System;

/// A plugin to register, show or forget.
#[derive(Deserialize, JsonSchema)]
pub(super) struct CatalogFields {
    /// The type and name of the plugin, as TYPE/NAME; or the name alone.
    #[serde(default)]
    place: String,
    /// The type of the plugin: auth, secret or database. A type in the path counts more.
    #[serde(default, rename = "type")]
    kind: Option<Value>,
    /// The SHA256 sum of the executable used in the command field, in HEX format.
    #[serde(default)]
    sha256: String,
    /// The same by another name.
    #[serde(default)]
    sha_256: String,
    /// The command used to start the plugin. The executable must exist in the plugin directory.
    #[serde(default)]
    command: String,
    /// The args passed to plugin command.
    #[serde(default)]
    args: Vec<String>,
    /// The environment variables passed to plugin command, each as "key=value".
    #[serde(default)]
    env: Vec<String>,
    /// The semantic version of the plugin.
    #[serde(default)]
    version: String,
    /// A container image: not supported.
    #[serde(default)]
    oci_image: String,
    /// A container runtime: not supported.
    #[serde(default)]
    runtime: String,
    /// Whether to fetch the plugin from HashiCorp: not supported.
    #[serde(default)]
    download: bool,
    /// Whether the command is one that a declared container image gave: not supported.
    #[serde(default)]
    oci: bool,
}

/// Type in the path, if the path begins with one, and name.
fn split(place: &str) -> (Option<PluginKind>, &str) {
    let place = place.trim_end_matches('/');
    match place.split_once('/') {
        Some((first, name)) => match PluginKind::parse(first) {
            Ok(kind) => (Some(kind), name),
            Err(_) => (None, place),
        },
        None => match PluginKind::parse(place) {
            Ok(kind) => (Some(kind), ""),
            Err(_) => (None, place),
        },
    }
}

impl System {
    pub(super) async fn register_plugin(&self, req: Request<CatalogFields>) -> Result<Reply> {
        let fields = req.fields;
        if fields.download {
            return Err(Error::invalid(
                "download: this server does not download plugins: put the binary into the plugin \
                 directory and register it with command and sha256",
            ));
        }
        let oci_image = match fields.oci && fields.oci_image.is_empty() {
            true => fields.command.clone(),
            false => fields.oci_image,
        };
        let (kind, name) = split(&fields.place);
        let registration = Registration {
            kind: kind.map_or_else(|| kind_in_body(fields.kind), |k| k.to_string()),
            name: name.to_owned(),
            version: fields.version,
            sha256: if fields.sha256.is_empty() { fields.sha_256 } else { fields.sha256 },
            command: fields.command,
            args: fields.args,
            env: fields.env,
            oci_image,
            runtime: fields.runtime,
        };
        let warnings = self.active()?.plugins.register(registration).await?;
        Ok(warnings.into_iter().fold(Reply::empty(), Reply::warning))
    }

    pub(super) async fn read_plugin(&self, req: Request<CatalogFields>) -> Result<Reply> {
        let (kind, name) = split(&req.fields.place);
        let Some(kind) = kind else {
            return Ok(Reply::data(Value::Null).warning(format!(
                "Deprecated API endpoint, cannot read plugin information from catalog for {name:?}"
            )));
        };
        if name.is_empty() {
            return Err(Error::invalid("missing plugin name"));
        }
        let id = PluginId { kind, name: name.to_owned(), version: canonical(&req.fields.version)? };
        match self.active()?.plugins.get(&id).await? {
            Some(entry) => Ok(Reply::data(show(&entry))),
            None if id.version.is_empty() => self.only_version(kind, name).await,
            None => Ok(Reply::not_found()),
        }
    }

    /// A plugin asked for without a version that has only versioned entries: the one there is, or a
    /// list of what there is to choose from.
    async fn only_version(&self, kind: PluginKind, name: &str) -> Result<Reply> {
        let mut entries = self.active()?.plugins.list().await?;
        entries.retain(|entry| entry.id.kind == kind && entry.id.name == name);
        match entries.as_slice() {
            [] => Ok(Reply::not_found()),
            [only] => Ok(Reply::data(show(only)).warning(format!(
                "no version was given; showing {}, the only version of {name:?} in the catalog",
                only.id.version
            ))),
            several => {
                let versions: Vec<_> = several.iter().map(|e| e.id.version.as_str()).collect();
                Err(Error::invalid(format!(
                    "there are several versions of {kind} plugin {name:?}: name one as `version`. \
                     Available versions: {}",
                    versions.join(", ")
                )))
            }
        }
    }

    pub(super) async fn deregister_plugin(&self, req: Request<CatalogFields>) -> Result<Reply> {
        let (kind, name) = split(&req.fields.place);
        if name.is_empty() {
            return Err(Error::invalid("missing plugin name"));
        }
        let version = canonical(&req.fields.version)?;
        if Version::parse_strict(&version).is_ok_and(|v| v.is_builtin()) {
            return Err(Error::invalid(format!("version {version:?} cannot be deleted")));
        }
        let Some(kind) = kind else {
            return Ok(Reply::data(Value::Null).warning(format!(
                "Deprecated API endpoint, cannot deregister plugin from catalog for {name:?}"
            )));
        };
        let id = PluginId { kind, name: name.to_owned(), version };
        self.active()?.plugins.deregister(&id).await?;
        Ok(Reply::empty())
    }

    pub(super) async fn plugins_of_type(&self, req: Request<CatalogFields>) -> Result<Reply> {
        let word = req.fields.place.trim_end_matches('/');
        let kind = PluginKind::parse(word).map_err(|_| Error::UnsupportedOperation)?;
        Ok(Reply::keys(&names(&self.active()?.plugins.list().await?, kind)))
    }

    pub(super) async fn all_plugins(&self, _: Request) -> Result<Reply> {
        let entries = self.active()?.plugins.list().await?;
        let mut shown = Map::new();
        for kind in PluginKind::ALL {
            let names = names(&entries, kind);
            if !names.is_empty() {
                shown.insert(kind.to_string(), json!(names));
            }
        }
        if !entries.is_empty() {
            shown.insert("detailed".into(), entries.iter().map(detail).collect());
        }
        Ok(Reply::data(shown))
    }
}

/// The type in a body: a word, or a number as OpenBao's client sends it.
fn kind_in_body(kind: Option<Value>) -> String {
    match kind {
        Some(Value::String(word)) if word != "unknown" => word,
        Some(Value::Number(number)) => number
            .as_u64()
            .and_then(PluginKind::from_number)
            .map(|k| k.to_string())
            .unwrap_or_default(),
        _ => String::new(),
    }
}

pub(super) fn canonical(version: &str) -> Result<String> {
    if version.is_empty() {
        return Ok(String::new());
    }
    Version::parse_strict(version).map(|v| v.to_string()).map_err(|e| {
        Error::invalid(format!("version {version:?} is not a valid semantic version: {e}"))
    })
}

fn names(entries: &[PluginEntry], kind: PluginKind) -> Vec<String> {
    let mut names: Vec<_> =
        entries.iter().filter(|e| e.id.kind == kind).map(|e| e.id.name.clone()).collect();
    names.sort();
    names.dedup();
    names
}

fn show(entry: &PluginEntry) -> Value {
    let mut shown = json!({
        "name": entry.id.name,
        "args": if entry.args.is_empty() { Value::Null } else { json!(entry.args) },
        "command": entry.command,
        "sha256": hex::encode(&entry.sha256),
        "builtin": entry.builtin,
        "version": entry.id.version,
    });
    if entry.declarative {
        shown["declarative"] = json!(true);
    }
    if let Some(status) = entry.deprecation {
        shown["deprecation_status"] = json!(status);
    }
    shown
}

fn detail(entry: &PluginEntry) -> Value {
    let mut shown = json!({
        "type": entry.id.kind.as_str(),
        "name": entry.id.name,
        "version": entry.id.version,
        "builtin": entry.builtin,
    });
    if !entry.sha256.is_empty() {
        shown["sha256"] = json!(hex::encode(&entry.sha256));
    }
    if let Some(status) = entry.deprecation {
        shown["deprecation_status"] = json!(status);
    }
    shown
}
