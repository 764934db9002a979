//! Replacing backends while their mounts stay: reload by plugin and by mount.
//!
//! The new backend is brought up before the old one goes. If it cannot be, the old one stays, and
//! the caller is told.

use std::sync::Arc;

use boltwork_logical::{Error, PluginId};

use super::{Table, mount::Mount, table::Mounts};

impl Mounts {
    /// Reloads every mount that runs a plugin of this name. Returns their paths.
    pub async fn reload_plugin(&self, name: &str) -> Result<Vec<String>, Error> {
        let mut reloaded = Vec::new();
        for table in [Table::Secret, Table::Auth] {
            for mount in self.all(table).into_iter().filter(|m| !m.core_own) {
                if mount.entry.load().kind == name {
                    self.reload(&mount).await?;
                    reloaded.push(mount.point());
                }
            }
        }
        Ok(reloaded)
    }

    /// Reloads mounts by path (`foo`, `foo/`, `auth/foo`, `sys/auth/foo`); goes on after a failure
    /// and reports all of them.
    pub async fn reload_mounts(&self, paths: &[String]) -> Result<Vec<String>, Error> {
        let (mut reloaded, mut failures) = (Vec::new(), Vec::new());
        for path in paths {
            let point = format!("{}/", path.trim_start_matches("sys/auth/").trim_matches('/'));
            let point = match path.starts_with("sys/auth/") {
                true => format!("auth/{point}"),
                false => point,
            };
            let outcome = match self.at(&point) {
                None => Err(Error::invalid(format!("cannot fetch mount entry on {path:?}"))),
                Some(mount) if mount.core_own => {
                    Err(Error::invalid(format!("singleton plugin cannot be reloaded: {path:?}")))
                }
                Some(mount) => self.reload(&mount).await,
            };
            match outcome {
                Ok(()) => reloaded.push(point),
                Err(error) => failures.push(error.to_string()),
            }
        }
        match failures.len() {
            0 => Ok(reloaded),
            1 => Err(Error::invalid(failures.remove(0))),
            n => Err(Error::invalid(format!(
                "{n} errors occurred:\n\t* {}\n\n",
                failures.join("\n\t* ")
            ))),
        }
    }

    async fn reload(&self, mount: &Arc<Mount>) -> Result<(), Error> {
        let _one = mount.changing.lock().await;
        let entry = mount.entry.load_full();
        let id = PluginId {
            kind: mount.table.plugin_kind(),
            name: entry.kind.clone(),
            version: entry.plugin_version.clone(),
        };
        self.plugins.retire(&id).await;
        self.replace_backend(mount).await.map_err(|error| {
            Error::invalid(format!("cannot reload plugin on {:?}: {error}", mount.point()))
        })
    }

    /// Brings a new backend up and puts it in the old one's place. The caller holds `changing`.
    pub(super) async fn replace_backend(&self, mount: &Arc<Mount>) -> Result<(), Error> {
        let old = mount.live();
        match self.bring_up(mount).await {
            Ok(running) => {
                mount.run(running);
                if let Some(old) = old {
                    old.retire().await;
                }
                Ok(())
            }
            Err(error) => {
                if old.is_none() {
                    mount.fail(&error.to_string());
                }
                Err(error)
            }
        }
    }

    /// Ends every backend, all at once: the server is being sealed.
    pub async fn stop_all(&self) {
        let mounts: Vec<_> = self.router.load().all().filter(|m| !m.core_own).cloned().collect();
        let stopping = mounts.iter().map(|mount| async {
            let _one = mount.changing.lock().await;
            if let Some(live) = mount.live() {
                mount.fail("the server was sealed");
                live.retire().await;
            }
        });
        futures_util::future::join_all(stopping).await;
    }
}
