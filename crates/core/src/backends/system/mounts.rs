//! `sys/mounts` and `sys/auth`: the same work on two tables.

use boltwork_framework::{Reply, Request, Result};
use boltwork_logical::Error;
use serde_json::{Map, Value};

use super::{
    System,
    mount_fields::{ConfigFields, MountFields, token_type, ttl, visibility},
    mount_info,
};
use crate::mounts::{MountConfig, MountFlags, NewMount, Table, Tune};

impl System {
    pub(super) async fn list_secrets(&self, _: Request) -> Result<Reply> {
        self.list_mounts(Table::Secret)
    }

    pub(super) async fn list_auths(&self, _: Request) -> Result<Reply> {
        self.list_mounts(Table::Auth)
    }

    fn list_mounts(&self, table: Table) -> Result<Reply> {
        let mounts = self.active()?.mounts.all(table);
        let shown: Map<String, Value> =
            mounts.iter().map(|m| (m.entry.load().path.clone(), mount_info::full(m))).collect();
        Ok(Reply::data(shown))
    }

    pub(super) async fn read_secret(&self, req: Request<MountFields>) -> Result<Reply> {
        self.read_mount(Table::Secret, &req.fields.path)
    }

    pub(super) async fn read_auth(&self, req: Request<MountFields>) -> Result<Reply> {
        self.read_mount(Table::Auth, &req.fields.path)
    }

    fn read_mount(&self, table: Table, path: &str) -> Result<Reply> {
        if path.trim_matches('/').is_empty() {
            return Err(Error::UnsupportedPath);
        }
        let active = self.active()?;
        let (path, tune) = split_tune(path);
        let mut point = format!("{}{}/", table.route_prefix(), path.trim_matches('/'));
        // Settings of auth methods may be read under sys/mounts too, as in Vault.
        if tune && table == Table::Secret && path.starts_with("auth/") {
            point = format!("{}/", path.trim_matches('/'));
        }
        match active.mounts.at(&point) {
            Some(mount) if tune => {
                Ok(Reply::data(mount_info::tuning(&mount, active.mounts.facts())))
            }
            Some(mount) => Ok(Reply::data(mount_info::full(&mount))),
            None if tune => Err(Error::invalid(format!("cannot fetch sysview for path {point:?}"))),
            None => Err(Error::invalid(match table {
                Table::Auth => format!("No auth engine at {}/", path.trim_matches('/')),
                Table::Secret => format!("No secret engine mount at {point}"),
            })),
        }
    }

    pub(super) async fn write_secret(&self, req: Request<MountFields>) -> Result<Reply> {
        self.write_mount(Table::Secret, req).await
    }

    pub(super) async fn write_auth(&self, req: Request<MountFields>) -> Result<Reply> {
        self.write_mount(Table::Auth, req).await
    }

    async fn write_mount(&self, table: Table, req: Request<MountFields>) -> Result<Reply> {
        let (path, tune) = split_tune(&req.fields.path);
        let path = path.to_owned();
        match tune {
            true => self.tune(table, &path, req.fields).await,
            false => self.enable(table, path, req.fields).await,
        }
    }

    async fn enable(&self, table: Table, path: String, fields: MountFields) -> Result<Reply> {
        let config = ConfigFields::read(fields.config)?;
        let wanted_version = match config.plugin_version.is_empty() {
            true => fields.plugin_version.unwrap_or_default(),
            false => config.plugin_version.clone(),
        };
        let mut kind = fields.kind;
        if kind == "plugin" {
            kind = [&config.plugin_name, &fields.plugin_name]
                .into_iter()
                .find(|name| !name.is_empty())
                .cloned()
                .ok_or_else(|| Error::invalid("plugin_name must be provided for plugin backend"))?;
        }
        let mut options = fields.options;
        resolve_kind(table, &mut kind, &mut options)?;
        let new = NewMount {
            path,
            kind,
            description: fields.description.unwrap_or_default(),
            config: config.settings()?,
            options: Some(options.unwrap_or_default()),
            flags: MountFlags {
                local: fields.local,
                seal_wrap: fields.seal_wrap,
                external_entropy_access: fields.external_entropy_access,
                tainted: false,
            },
            plugin_version: wanted_version,
        };
        let warnings = self.active()?.mounts.enable(table, new).await?;
        Ok(warnings.into_iter().fold(Reply::empty(), Reply::warning))
    }

    async fn tune(&self, table: Table, path: &str, fields: MountFields) -> Result<Reply> {
        if let Some(kind) = &fields.token_type {
            check_token_type(table, path)?;
            token_type(kind)?;
        }
        let default = fields.default_lease_ttl.as_deref().map(|t| ttl("default", t)).transpose()?;
        let max = fields.max_lease_ttl.as_deref().map(|t| ttl("max", t)).transpose()?;
        let shown = fields.listing_visibility.as_deref().map(visibility).transpose()?;
        if let Some(options) = &fields.options
            && options.contains_key("version")
        {
            self.check_upgrade(table, path, &options["version"])?;
        }
        let (lists, kind) = (
            [
                fields.passthrough_request_headers,
                fields.allowed_response_headers,
                fields.audit_non_hmac_request_keys,
                fields.audit_non_hmac_response_keys,
            ],
            fields.token_type,
        );
        let change = move |config: &mut MountConfig| {
            set(&mut config.default_lease_ttl, default);
            set(&mut config.max_lease_ttl, max);
            set(&mut config.listing_visibility, shown);
            set(&mut config.token_type, kind);
            let [passthrough, allowed, request_keys, response_keys] = lists;
            set_list(&mut config.passthrough_request_headers, passthrough);
            set_list(&mut config.allowed_response_headers, allowed);
            set_list(&mut config.audit_non_hmac_request_keys, request_keys);
            set_list(&mut config.audit_non_hmac_response_keys, response_keys);
        };
        let tune = Tune {
            description: fields.description,
            config: Some(Box::new(change)),
            options: fields.options,
            plugin_version: fields.plugin_version,
        };
        let warnings = self.active()?.mounts.tune(table, path, tune).await?;
        Ok(warnings.into_iter().fold(Reply::empty(), Reply::warning))
    }

    /// The option `version` is kv's: it may go from 1 to 2, and no way else.
    fn check_upgrade(&self, table: Table, path: &str, version: &str) -> Result<()> {
        let point = format!("{}{}/", table.route_prefix(), path.trim_matches('/'));
        let mount = self.active()?.mounts.at(&point);
        let now = mount.and_then(|m| m.entry.load().options.clone()).unwrap_or_default();
        match (now.get("version").map(String::as_str), version) {
            (Some("2"), "1") => Err(Error::invalid("cannot downgrade mount from version 2")),
            (_, "1" | "2") => Ok(()),
            (_, other) => Err(Error::invalid(format!("invalid version provided: {other}"))),
        }
    }

    pub(super) async fn delete_secret(&self, req: Request<MountFields>) -> Result<Reply> {
        self.active()?.mounts.disable(Table::Secret, &req.fields.path).await?;
        Ok(Reply::empty())
    }

    pub(super) async fn delete_auth(&self, req: Request<MountFields>) -> Result<Reply> {
        self.active()?.mounts.disable(Table::Auth, &req.fields.path).await?;
        Ok(Reply::empty())
    }
}

/// The type of tokens that logins give belongs to auth methods that have logins.
fn check_token_type(table: Table, path: &str) -> Result<()> {
    match (table, path.trim_matches('/')) {
        (Table::Secret, _) => {
            Err(Error::invalid("'token_type' can only be modified on auth mounts"))
        }
        (Table::Auth, "token") => {
            Err(Error::invalid("'token_type' cannot be set for 'token' or 'ns_token' auth mounts"))
        }
        (Table::Auth, _) => Ok(()),
    }
}

/// `kv-v1` and `kv-v2` are names for one plugin with an option; no other plugin has a `version`.
fn resolve_kind(
    table: Table,
    kind: &mut String,
    options: &mut Option<std::collections::BTreeMap<String, String>>,
) -> Result<()> {
    let versioned = |v: &str| Some((String::from("version"), v.to_owned()));
    match (table, kind.as_str()) {
        (Table::Secret, "kv-v1" | "kv-v2") => {
            let version = kind.trim_start_matches("kv-v").to_owned();
            options.get_or_insert_default().extend(versioned(&version));
            "kv".clone_into(kind);
            Ok(())
        }
        (Table::Secret, "kv") => Ok(()),
        _ if options.as_ref().is_some_and(|o| o.get("version").is_some_and(|v| !v.is_empty())) => {
            Err(Error::invalid(format!(
                "{} {kind:?} does not allow setting a version",
                table.noun()
            )))
        }
        _ => Ok(()),
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

/// A list that was sent replaces the old one; an empty one removes it.
fn set_list(place: &mut Option<Vec<String>>, value: Option<Vec<String>>) {
    if let Some(mut list) = value {
        list.retain(|item| !item.is_empty());
        *place = (!list.is_empty()).then_some(list);
    }
}

/// A path, and whether it was about its settings.
fn split_tune(path: &str) -> (&str, bool) {
    match path.trim_end_matches('/').strip_suffix("/tune") {
        Some(mount) => (mount, true),
        None => (path, false),
    }
}
