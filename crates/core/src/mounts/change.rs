//! Making, removing, moving and tuning mounts. Each change is stored before it is acknowledged; a
//! change that fails leaves things as they were.

use std::{collections::BTreeMap, sync::Arc};

use boltwork_logical::{Error, PluginId};

use super::{
    MountConfig, MountEntry, MountFlags, Table,
    mount::Mount,
    table::{Mounts, OWN, new_entry},
};
use crate::tokens::clear;

/// Longest mount path, in bytes.
const MAX_PATH: usize = 500;

/// A mount to be made.
#[derive(Default)]
pub struct NewMount {
    /// Path below the table's prefix.
    pub path: String,
    /// Name of the plugin.
    pub kind: String,
    /// For humans.
    pub description: String,
    /// Settings.
    pub config: MountConfig,
    /// Options for the backend.
    pub options: Option<BTreeMap<String, String>>,
    /// Flags; `tainted` is ignored.
    pub flags: MountFlags,
    /// Version wanted; empty to have one chosen.
    pub plugin_version: String,
}

/// Changes to a mount; `None` leaves things as they are.
#[derive(Default)]
pub struct Tune {
    /// For humans.
    pub description: Option<String>,
    /// Changes the settings, which it is given.
    pub config: Option<Box<dyn FnOnce(&mut MountConfig) + Send>>,
    /// Options to set, added to those there are.
    pub options: Option<BTreeMap<String, String>>,
    /// Version of the plugin, for the next start.
    pub plugin_version: Option<String>,
}

impl Mounts {
    /// Makes a mount and brings its backend up. Nothing is left if that fails.
    pub async fn enable(&self, table: Table, new: NewMount) -> Result<(), Error> {
        let path = checked_path(&new.path)?;
        if new.kind.is_empty() {
            return Err(Error::invalid("backend type must be specified as a string"));
        }
        if OWN.iter().any(|own| own.kind == new.kind) || new.kind == "identity" {
            return Err(Error::invalid(format!("mount type of {:?} is not mountable", new.kind)));
        }
        let _writing = self.writing.lock().await;
        self.check_free(table, &path)?;
        let version = self
            .plugins
            .select_version(table.plugin_kind(), &new.kind, &new.plugin_version)
            .await?;
        let entry = MountEntry {
            description: new.description,
            config: new.config,
            options: new.options,
            flags: MountFlags { tainted: false, ..new.flags },
            plugin_version: version,
            ..new_entry(table, &path, &new.kind)
        };
        let mount = Arc::new(self.mount_of(table, entry.clone()));
        let running = self.bring_up(&mount).await?;
        if let Err(error) = self.persist(table, &entry.accessor, Some(entry.clone())).await {
            running.backend.cleanup().await;
            clear(mount.storage.as_ref(), "").await?;
            return Err(error);
        }
        mount.run(running);
        self.edit_router(|router| router.add(mount));
        tracing::info!(path, kind = new.kind, version = entry.plugin_version, "mounted");
        Ok(())
    }

    fn check_free(&self, table: Table, path: &str) -> Result<(), Error> {
        let conflict = |text: String| Error::Coded { status: 409, message: text };
        if table == Table::Secret {
            let protected = ["audit/", "auth/", "sys/", "cubbyhole/", "identity/"];
            if let Some(own) = protected.iter().find(|own| path.starts_with(*own)) {
                return Err(match OWN.iter().any(|o| o.path == path) {
                    true => conflict(format!("path is already in use at {own}")),
                    false => {
                        Error::Coded { status: 403, message: format!("cannot mount {path:?}") }
                    }
                });
            }
        }
        let point = format!("{}{path}", table.route_prefix());
        match self.router.load().conflict(&point) {
            None => Ok(()),
            Some(other) => {
                let shown = other.strip_prefix(table.route_prefix()).unwrap_or(&other);
                Err(conflict(format!("path is already in use at {shown}")))
            }
        }
    }

    /// Removes the mount at a path below the table's prefix, with all that it stored. No error if
    /// there is none.
    pub async fn disable(&self, table: Table, path: &str) -> Result<(), Error> {
        let path = with_slash(path);
        let point = format!("{}{path}", table.route_prefix());
        let _writing = self.writing.lock().await;
        let Some(mount) = self.at(&point) else { return Ok(()) };
        if mount.core_own {
            return Err(Error::invalid(match table {
                Table::Secret => format!("cannot unmount {path:?}"),
                Table::Auth => "token credential backend cannot be disabled".to_owned(),
            }));
        }
        let _one = mount.changing.lock().await;
        let mut entry = MountEntry::clone(&mount.entry.load());
        entry.flags.tainted = true;
        self.persist(table, &entry.accessor.clone(), Some(entry.clone())).await?;
        mount.set_entry(entry);
        if let Some(live) = mount.live() {
            mount.fail("it is being removed");
            live.retire().await;
        }
        self.finish_removal(&mount).await?;
        tracing::info!(path, "unmounted");
        Ok(())
    }

    /// Deletes what a tainted mount stored, and its entry. Also after a crash in between.
    pub(super) async fn finish_removal(&self, mount: &Mount) -> Result<(), Error> {
        clear(mount.storage.as_ref(), "").await?;
        let accessor = mount.entry.load().accessor.clone();
        self.persist(mount.table, &accessor, None).await?;
        self.edit_router(|router| {
            router.remove(&mount.point());
        });
        Ok(())
    }

    /// Moves a mount; its storage, accessor and backend stay.
    pub async fn remount(&self, table: Table, from: &str, to: &str) -> Result<(), Error> {
        let (from, to) = (with_slash(from), checked_path(to)?);
        let _writing = self.writing.lock().await;
        let old_point = format!("{}{from}", table.route_prefix());
        let mount = self
            .at(&old_point)
            .ok_or_else(|| Error::invalid(format!("no matching mount at {old_point:?}")))?;
        if mount.core_own {
            return Err(Error::invalid(format!("cannot remount {from:?}")));
        }
        self.check_free(table, &to)?;
        let _one = mount.changing.lock().await;
        let mut entry = MountEntry::clone(&mount.entry.load());
        entry.path = to;
        self.persist(table, &entry.accessor.clone(), Some(entry.clone())).await?;
        mount.set_entry(entry);
        self.edit_router(|router| {
            router.remove(&old_point);
            router.add(Arc::clone(&mount));
        });
        Ok(())
    }

    /// Changes a mount's settings.
    pub async fn tune(&self, table: Table, path: &str, tune: Tune) -> Result<(), Error> {
        let point = format!("{}{}", table.route_prefix(), with_slash(path));
        let _writing = self.writing.lock().await;
        let mount = self
            .at(&point)
            .ok_or_else(|| Error::invalid(format!("no mount entry found for path {point:?}")))?;
        let _one = mount.changing.lock().await;
        let mut entry = MountEntry::clone(&mount.entry.load());
        if let Some(version) = tune.plugin_version {
            entry.plugin_version = self.tuned_version(&mount, &version).await?;
        }
        if let Some(description) = tune.description {
            entry.description = description;
        }
        if let Some(change) = tune.config {
            change(&mut entry.config);
        }
        check_ttls(&entry.config)?;
        let options_changed = tune.options.is_some();
        if let Some(options) = tune.options {
            entry.options.get_or_insert_default().extend(options);
        }
        self.persist(table, &entry.accessor.clone(), Some(entry.clone())).await?;
        mount.set_entry(entry);
        if options_changed {
            self.replace_backend(&mount).await?;
        }
        Ok(())
    }

    async fn tuned_version(&self, mount: &Mount, version: &str) -> Result<String, Error> {
        let entry = mount.entry.load();
        let version = boltwork_logical::Version::parse_loose(version).map_err(|e| {
            Error::invalid(format!("version {version:?} is not a valid semantic version: {e}"))
        })?;
        let id = PluginId {
            kind: mount.table.plugin_kind(),
            name: entry.kind.clone(),
            version: version.to_string(),
        };
        match self.plugins.get(&id).await? {
            Some(_) => Ok(id.version),
            None => Err(Error::invalid(format!(
                "plugin not found in the catalog: {}, version={}",
                id.name, id.version
            ))),
        }
    }
}

/// A path for a mount: no leading slash, one trailing slash, nothing strange inside.
fn checked_path(path: &str) -> Result<String, Error> {
    let trimmed = path.trim_matches('/');
    let strange = |c: char| c.is_control() || c.is_whitespace();
    if trimmed.is_empty() {
        return Err(Error::invalid("path must be specified as a string"));
    }
    if trimmed.len() > MAX_PATH {
        return Err(Error::invalid(format!("a mount path may have at most {MAX_PATH} bytes")));
    }
    if trimmed.chars().any(strange) || trimmed.split('/').any(|s| matches!(s, "" | "." | "..")) {
        return Err(Error::invalid(format!("{trimmed:?} cannot be used as a mount path")));
    }
    Ok(format!("{trimmed}/"))
}

fn with_slash(path: &str) -> String {
    format!("{}/", path.trim_matches('/'))
}

fn check_ttls(config: &MountConfig) -> Result<(), Error> {
    let (default, max) = (config.default_lease_ttl, config.max_lease_ttl);
    if max > 0 && default > max {
        return Err(Error::invalid(
            "default lease TTL of the mount would be longer than its maximum lease TTL",
        ));
    }
    Ok(())
}
