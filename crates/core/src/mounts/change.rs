//! Making, removing, moving and tuning mounts. Each change is stored before it is acknowledged; a
//! change that fails leaves things as they were.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use boltwork_logical::{Error, PluginId};

use super::{
    MountConfig, MountEntry, MountFlags, Table,
    mount::Mount,
    start::clean_up,
    table::{Mounts, is_own_kind, new_entry},
};
use crate::{active::Active, leases::Force, tokens::clear};

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

/// Changes a mount's settings.
pub type ConfigChange = Box<dyn FnOnce(&mut MountConfig) + Send>;

/// Changes to a mount; `None` leaves things as they are.
#[derive(Default)]
pub struct Tune {
    /// For humans.
    pub description: Option<String>,
    /// Changes the settings, which it is given.
    pub config: Option<ConfigChange>,
    /// Options to set, added to those there are.
    pub options: Option<BTreeMap<String, String>>,
    /// Version of the plugin, for the next start.
    pub plugin_version: Option<String>,
}

/// A path that is taken while its mount is being made.
struct Reserved<'a> {
    mounts: &'a Mounts,
    point: String,
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.mounts.reserved.lock().retain(|point| *point != self.point);
    }
}

impl Mounts {
    /// Makes a mount and brings its backend up. Nothing is left if that fails. Returns warnings.
    pub async fn enable(&self, table: Table, new: NewMount) -> Result<Vec<String>, Error> {
        let path = checked_path(&new.path)?;
        if new.kind.is_empty() {
            return Err(Error::invalid("backend type must be specified as a string"));
        }
        if new.kind == "token" && table == Table::Auth {
            return Err(Error::invalid("token credential backend cannot be instantiated"));
        }
        let max = self.facts.max_lease_ttl.as_secs();
        if new.config.max_lease_ttl == 0 && new.config.default_lease_ttl > max {
            return Err(Error::invalid(format!(
                "given default lease TTL greater than system max lease TTL of {max}"
            )));
        }
        if is_own_kind(&new.kind) {
            return Err(Error::invalid(format!("mount type of {:?} is not mountable", new.kind)));
        }
        // The path is taken while the plugin starts, and nobody else waits for that.
        let _reserved = {
            let _writing = self.writing.lock().await;
            self.reserve(table, &path)?
        };
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
        let made = async {
            self.note(&mount).await?;
            self.make(&mount, entry).await
        };
        if let Err(error) = made.await {
            // It may have stored something while it was initialized.
            self.clear_up(&mount).await;
            return Err(error);
        }
        let entry = mount.entry.load();
        tracing::info!(path, kind = entry.kind, version = entry.plugin_version, "mounted");
        let status = mount.live().and_then(|live| live.running.deprecation);
        let outdated = status.filter(|status| *status != "supported");
        Ok(outdated
            .map(|status| format!("mount entry associated with {status} builtin"))
            .into_iter()
            .collect())
    }

    async fn make(&self, mount: &Arc<Mount>, entry: MountEntry) -> Result<(), Error> {
        let _one = mount.changing.lock().await;
        let running = self.bring_up(mount, &entry).await?;
        let writing = self.writing.lock().await;
        let taken = self.all(mount.table).iter().any(|m| m.entry.load().accessor == entry.accessor);
        let stored = match (taken, self.is_closed()) {
            (_, true) => Err(Error::Sealed),
            (true, _) => Err(Error::internal("two mounts drew the same accessor; try again")),
            (false, false) => self.persist_made(mount, entry).await,
        };
        if let Err(error) = stored {
            drop(writing);
            clean_up(&*running.backend).await;
            return Err(error);
        }
        mount.run(running);
        self.edit_router(|router| router.add(Arc::clone(mount)));
        drop(writing);
        // Sealing may have begun after the look above and missed this mount.
        if self.is_closed()
            && let Some(live) = mount.live()
        {
            mount.fail("the server was sealed");
            live.retire().await;
        }
        Ok(())
    }

    /// Takes a path. The caller holds `writing`.
    fn reserve(&self, table: Table, path: &str) -> Result<Reserved<'_>, Error> {
        self.check_free(table, path)?;
        let point = format!("{}{path}", table.route_prefix());
        self.reserved.lock().push(point.clone());
        Ok(Reserved { mounts: self, point })
    }

    fn check_free(&self, table: Table, path: &str) -> Result<(), Error> {
        if table == Table::Secret {
            let protected = ["audit/", "auth/", "sys/", "cubbyhole/", "identity/"];
            if protected.iter().any(|own| path.starts_with(*own)) {
                return Err(Error::invalid(format!("cannot mount {path:?}")));
            }
        }
        let point = format!("{}{path}", table.route_prefix());
        let nests = |other: &&String| point.starts_with(*other) || other.starts_with(&point);
        let taken = self.router.load().conflict(&point);
        match taken.or_else(|| self.reserved.lock().iter().find(nests).cloned()) {
            None => Ok(()),
            Some(other) => {
                let shown = other.strip_prefix(table.route_prefix()).unwrap_or(&other);
                Err(Error::invalid(format!("path is already in use at {shown}")))
            }
        }
    }

    /// Removes the mount at a path below the table's prefix, with all that it stored and gave out.
    /// No error if there is none.
    pub async fn disable(&self, table: Table, path: &str) -> Result<(), Error> {
        let path = with_slash(path);
        let Some(mount) = self.at(&format!("{}{path}", table.route_prefix())) else {
            return Ok(());
        };
        if mount.core_own {
            return Err(Error::invalid(match table {
                Table::Secret => format!("cannot unmount {path:?}"),
                Table::Auth => "token credential backend cannot be disabled".to_owned(),
            }));
        }
        let _one = mount.changing.lock().await;
        if !self.is_routed(&mount) {
            return Ok(());
        }
        // While its backend still answers. One that is half removed already has none.
        if !mount.entry.load().flags.tainted {
            self.revoke_leases(&mount.point()).await?;
        }
        self.change_entry(&mount, |entry| entry.flags.tainted = true).await?;
        let live = mount.live();
        mount.fail("it is being removed");
        if let Some(live) = live {
            live.retire().await;
        }
        self.finish_removal(&mount).await?;
        tracing::info!(path, "unmounted");
        Ok(())
    }

    /// Whether nobody removed or moved it while we waited for it.
    fn is_routed(&self, mount: &Arc<Mount>) -> bool {
        self.at(&mount.point()).is_some_and(|at| Arc::ptr_eq(&at, mount))
    }

    /// Stores a changed entry, then takes it into use.
    async fn change_entry(
        &self,
        mount: &Mount,
        change: impl FnOnce(&mut MountEntry),
    ) -> Result<(), Error> {
        let _writing = self.writing.lock().await;
        let mut entry = MountEntry::clone(&mount.entry.load());
        change(&mut entry);
        self.persist(mount.table, &entry.accessor.clone(), Some(entry.clone())).await?;
        mount.set_entry(entry);
        Ok(())
    }

    /// Deletes what a tainted mount stored and gave out, and its entry. Also after a crash in
    /// between.
    pub(super) async fn finish_removal(&self, mount: &Arc<Mount>) -> Result<(), Error> {
        // Only what was given out at the very last moment can still be there.
        self.server()?.leases.revoke_prefix(&mount.point(), Force::Yes).await?;
        self.revoke_tokens(mount, &mount.point()).await?;
        clear(mount.storage.as_ref(), "").await?;
        let _writing = self.writing.lock().await;
        let accessor = mount.entry.load().accessor.clone();
        self.persist(mount.table, &accessor, None).await?;
        self.edit_router(|router| {
            router.remove(&mount.point());
        });
        Ok(())
    }

    fn server(&self) -> Result<Arc<Active>, Error> {
        self.server.get().and_then(Weak::upgrade).ok_or(Error::Sealed)
    }

    /// Takes back what a mount gave out. An unavailable backend cannot do that.
    async fn revoke_leases(&self, point: &str) -> Result<(), Error> {
        let revoked = self.server()?.leases.revoke_prefix(point, Force::No).await;
        revoked.map_err(|error| match error {
            Error::Sealed => Error::Sealed,
            error => Error::invalid(format!(
                "{error}. Nothing else was changed; mend the cause, or forget the leases \
                 (sys/leases/revoke-force/{point}) and take the secrets back by other means"
            )),
        })
    }

    /// The tokens of an auth method end with it.
    async fn revoke_tokens(&self, mount: &Mount, point: &str) -> Result<(), Error> {
        match mount.table {
            Table::Auth => self.server()?.tokens.revoke_made_at(point).await,
            Table::Secret => Ok(()),
        }
    }

    /// Moves a mount; its storage, accessor and backend stay. What it gave out under its old path
    /// ends: leases, and the tokens of an auth method.
    pub async fn remount(&self, table: Table, from: &str, to: &str) -> Result<(), Error> {
        let (from, to) = (with_slash(from), checked_path(to)?);
        let old_point = format!("{}{from}", table.route_prefix());
        let missing = || Error::invalid(format!("no matching mount at {old_point:?}"));
        let mount = self.at(&old_point).ok_or_else(missing)?;
        if mount.core_own {
            return Err(Error::invalid(format!("cannot remount {from:?}")));
        }
        let _one = mount.changing.lock().await;
        if !self.is_routed(&mount) || mount.point() != old_point {
            return Err(missing());
        }
        if mount.entry.load().flags.tainted {
            return Err(Error::invalid(format!("{old_point:?} is being removed")));
        }
        self.revoke_leases(&old_point).await?;
        self.revoke_tokens(&mount, &old_point).await?;
        let _writing = self.writing.lock().await;
        self.check_free(table, &to).map_err(|error| match error {
            Error::Invalid(text) => Error::Invalid(
                text.strip_prefix("path is already in use at ")
                    .map(|other| format!("path already in use at {other:?}"))
                    .unwrap_or(text),
            ),
            other => other,
        })?;
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

    /// Changes a mount's settings. New options give it a new backend: if that cannot be brought up
    /// nothing is changed, unless there was none to lose. Returns warnings.
    pub async fn tune(&self, table: Table, path: &str, tune: Tune) -> Result<Vec<String>, Error> {
        let point = format!("{}{}", table.route_prefix(), with_slash(path));
        let missing =
            || Error::invalid(format!("tune of path {point:?} failed: no mount entry found"));
        let mount = self.at(&point).ok_or_else(missing)?;
        let _one = mount.changing.lock().await;
        if !self.is_routed(&mount) || mount.entry.load().flags.tainted {
            return Err(missing());
        }
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
        self.check_tuned(&entry.config)?;
        let options_changed = tune.options.is_some() && !mount.core_own;
        if let Some(options) = tune.options {
            entry.options.get_or_insert_default().extend(options);
        }
        let store = self.change_entry(&mount, |stored| *stored = entry.clone());
        if !options_changed {
            return store.await.map(|()| Vec::new());
        }
        match self.replace_backend(&mount, &entry, store).await {
            Ok(()) => Ok(Vec::new()),
            Err(error) if mount.live().is_none() && mount.entry.load().as_ref() != &entry => {
                self.change_entry(&mount, |stored| *stored = entry.clone()).await?;
                mount.fail(&error.to_string());
                Ok(vec![format!(
                    "the options were stored, but the mount is still unavailable: {error}"
                )])
            }
            Err(error) => Err(error),
        }
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

impl Mounts {
    /// Whether a mount may have these settings.
    fn check_tuned(&self, config: &MountConfig) -> Result<(), Error> {
        check_ttls(config)?;
        let max = self.facts.max_lease_ttl.as_secs();
        if config.max_lease_ttl == 0 && config.default_lease_ttl > max {
            return Err(Error::invalid(format!(
                "backend max lease TTL of {max} would be less than backend default lease TTL of {}",
                config.default_lease_ttl
            )));
        }
        Ok(())
    }
}

/// A path for a mount: no leading slash, one trailing slash, nothing strange inside.
fn checked_path(path: &str) -> Result<String, Error> {
    let trimmed = path.trim_matches('/');
    let strange = |c: char| c.is_control() || (c.is_whitespace() && c != ' ');
    if trimmed.is_empty() {
        return Err(Error::invalid("path must be specified as a string"));
    }
    if trimmed.len() > MAX_PATH {
        return Err(Error::invalid(format!("a mount path may have at most {MAX_PATH} bytes")));
    }
    if trimmed.chars().any(strange)
        || trimmed.trim() != trimmed
        || trimmed.split('/').any(|s| matches!(s, "" | "." | ".."))
    {
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
