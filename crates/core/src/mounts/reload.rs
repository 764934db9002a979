//! Replacing backends while their mounts stay: reload by plugin and by mount; and ending all of
//! them.
//!
//! The new backend is created while the old one still answers. Then the old one is left by its
//! requests, new requests wait, and the new one is initialized; so two are never at work on one
//! mount's storage. If the new one fails, the old one answers again, and the caller is told.
//!
//! When the new one answers, the caller is told so; the old one cleans up meanwhile.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use boltwork_logical::{Error, PluginId, PluginKind};

use super::{
    MountEntry, Table,
    mount::Mount,
    start::{clean_up, initialize},
    table::Mounts,
};

/// How long sealing waits for a backend that is being started. One that comes up later is ended by
/// whoever started it.
const PATIENCE: Duration = Duration::from_secs(5);

impl Mounts {
    /// Reloads every mount that runs a plugin of this name, of this kind if one is given. Goes on
    /// after a failure and reports all of them. Returns the paths.
    pub async fn reload_plugin(
        &self,
        kind: Option<PluginKind>,
        name: &str,
    ) -> Result<Vec<String>, Error> {
        let mut chosen = Vec::new();
        let wanted = |table: &Table| kind.is_none_or(|kind| kind == table.plugin_kind());
        for table in [Table::Secret, Table::Auth].into_iter().filter(wanted) {
            chosen.extend(self.all(table).into_iter().filter(|m| m.entry.load().kind == name));
        }
        self.reload_all(chosen.into_iter().filter(|m| !m.core_own).map(Ok).collect()).await
    }

    /// Reloads mounts by path (`foo`, `foo/`, `auth/foo`, `sys/auth/foo`); goes on after a failure
    /// and reports all of them.
    pub async fn reload_mounts(&self, paths: &[String]) -> Result<Vec<String>, Error> {
        let find = |path: &String| {
            let point = match path.strip_prefix("sys/auth/") {
                Some(rest) => format!("auth/{}/", rest.trim_matches('/')),
                None => format!("{}/", path.trim_matches('/')),
            };
            match self.at(&point) {
                None => Err(Error::invalid(format!("cannot fetch mount entry on {point:?}"))),
                Some(mount) if mount.core_own => {
                    Err(Error::invalid(format!("singleton plugin cannot be reloaded: {path:?}")))
                }
                Some(mount) => Ok(mount),
            }
        };
        self.reload_all(paths.iter().map(find).collect()).await
    }

    async fn reload_all(
        &self,
        chosen: Vec<Result<Arc<Mount>, Error>>,
    ) -> Result<Vec<String>, Error> {
        let (mut reloaded, mut failures, mut retired) = (Vec::new(), Vec::new(), Vec::new());
        for mount in chosen {
            let outcome = match mount {
                Ok(mount) => self.reload(&mount, &mut retired).await.map(|()| mount.point()),
                Err(error) => Err(error),
            };
            match outcome {
                Ok(point) => reloaded.push(point),
                Err(error) => failures.push(error.to_string()),
            }
        }
        match failures.len() {
            0 => Ok(reloaded),
            1 => Err(Error::invalid(format!("1 error occurred:\n\t* {}\n\n", failures[0]))),
            n => Err(Error::invalid(format!(
                "{n} errors occurred:\n\t* {}\n\n",
                failures.join("\n\t* ")
            ))),
        }
    }

    /// `retired` are the plugins that already have a fresh process in this reload: mounts that
    /// shared one share the new one too.
    async fn reload(&self, mount: &Arc<Mount>, retired: &mut Vec<PluginId>) -> Result<(), Error> {
        let _one = mount.changing.lock().await;
        let entry = mount.entry.load_full();
        if entry.flags.tainted {
            return Err(Error::invalid(format!("{:?} is being removed", mount.point())));
        }
        let kind = mount.table.plugin_kind();
        let id = match self.plugins.pinned(kind, &entry.kind).await? {
            Some(pin) => pin,
            None => {
                let (name, version) = (entry.kind.clone(), entry.plugin_version.clone());
                PluginId { kind, name, version }
            }
        };
        if !retired.contains(&id) {
            self.plugins.retire(&id).await;
            retired.push(id);
        }
        let replaced = self.replace_backend(mount, &entry, std::future::ready(Ok(()))).await;
        replaced.map_err(|error| {
            if mount.live().is_none() {
                mount.fail(&error.to_string());
            }
            Error::invalid(format!("cannot reload plugin on {:?}: {error}", mount.point()))
        })
    }

    /// Brings a backend for this entry up and puts it in the old one's place. Before the old one is
    /// given up, `settle` may store what belongs to the change; if it fails nothing has changed.
    /// The caller holds `changing`.
    pub(super) async fn replace_backend(
        &self,
        mount: &Arc<Mount>,
        entry: &MountEntry,
        settle: impl Future<Output = Result<(), Error>>,
    ) -> Result<(), Error> {
        let leaving = Arc::clone(&mount.leaving).acquire_owned().await.ok();
        let new = self.create_backend(mount, entry).await?;
        let before = mount.condition.load_full();
        let old = mount.live();
        let waiting = mount.hold();
        if let Some(old) = &old {
            old.drain().await;
        }
        let mut outcome = initialize(&*new.backend).await;
        if outcome.is_ok() && self.is_closed() {
            outcome = Err(Error::Sealed);
        }
        if outcome.is_ok() {
            outcome = settle.await;
        }
        match outcome {
            Ok(()) => {
                mount.run(new);
                drop(waiting);
                if let Some(old) = old {
                    tokio::spawn(async move {
                        clean_up(&*old.running.backend).await;
                        drop(leaving);
                    });
                }
                Ok(())
            }
            Err(error) => {
                match old {
                    // Its place is left for good; the backend itself is as it was.
                    Some(old) => mount.run(old.running.clone()),
                    None => mount.condition.store(before),
                }
                drop(waiting);
                clean_up(&*new.backend).await;
                Err(error)
            }
        }
    }

    /// Ends every backend, all at once: the server is being sealed. What is still being started is
    /// ended by whoever starts it.
    pub async fn stop_all(&self) {
        self.closed.store(true, Ordering::SeqCst);
        let mounts: Vec<_> = self.router.load().all().filter(|m| !m.core_own).cloned().collect();
        let stopping = mounts.iter().map(|mount| async {
            let Ok(_one) = tokio::time::timeout(PATIENCE, mount.changing.lock()).await else {
                tracing::warn!(mount = mount.point(), "sealing while the backend is being started");
                return;
            };
            if let Some(live) = mount.live() {
                mount.fail("the server was sealed");
                live.retire().await;
            }
        });
        futures_util::future::join_all(stopping).await;
    }
}
