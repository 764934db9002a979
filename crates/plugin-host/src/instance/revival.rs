//! Bringing a backend back whose process ended, and starting one that has not run yet.
//!
//! Left out: what becomes of the request that met the end (`Instance::call`).

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

use boltwork_logical::{Error, PluginEntry};
use boltwork_wire::initialized_from_wire;
use go_plugin::host::Exit;

use super::{ENDED, Instance, State, how};
use crate::HostError;
use crate::catalog::{Found, not_found};
use crate::diagnose::{Doing, called, tell, told};
use crate::error::ended;
use crate::live::Live;
use crate::protocol::Protocol;
use crate::starter::Begun;

/// Longest pause between attempts to start.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A process that lived so long died of something new.
const STABLE: Duration = Duration::from_secs(60);

/// So many deaths are forgiven before there are pauses: whoever finds a request that kills the
/// plugin is not to keep everybody else from it.
const FORGIVEN: u32 = 5;
/// A request waits for the end of a pause that is no longer than this.
const PATIENCE: Duration = Duration::from_secs(2);

/// A start that failed: what callers are told, and what operators are.
struct Failed(Error, String);

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        let told = error.to_string();
        Self(error, told)
    }
}

impl From<(Error, String)> for Failed {
    fn from((error, told): (Error, String)) -> Self {
        Self(error, told)
    }
}

impl Instance {
    /// Brings the backend back when its process ends, without waiting for a request to notice.
    pub(super) fn watch(this: &Arc<Self>, live: &Arc<Live>) {
        let exited = live.process().client.exited();
        let (instance, live) = (Arc::downgrade(this), Arc::downgrade(live));
        tokio::spawn(async move {
            let exit = exited.await;
            if let Some(pause) = Self::mourn(&instance, &live, &exit) {
                Self::revive(&instance, &live, pause).await;
            }
        });
    }

    /// Writes down how the process ended; the pause before the next start, if there is to be one.
    fn mourn(instance: &Weak<Self>, live: &Weak<Live>, exit: &Exit) -> Option<Duration> {
        let (instance, live) = (instance.upgrade()?, live.upgrade()?);
        live.forget();
        instance.bury(&live, exit);
        match &*instance.state() {
            State::Live(current) if Arc::ptr_eq(current, &live) => Some(Duration::ZERO),
            State::Resting { until, .. } => Some(until.saturating_duration_since(Instant::now())),
            _ => None,
        }
    }

    /// Counts a death and decides on the pause after it, once for each process: whoever notices
    /// first, a request or the watch, so that no request slips past the pause.
    fn bury(&self, live: &Arc<Live>, exit: &Exit) {
        let mut buried = live.buried.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_current(live) || std::mem::replace(&mut *buried, true) {
            return;
        }
        let process = live.process();
        let text = format!("exited{}", ended(exit.status, &exit.stderr));
        tracing::error!(
            plugin = self.id.name,
            version = self.id.version,
            mount = self.mount_point(),
            pid = process.client.pid(),
            "plugin process {text}"
        );
        *self.counts.note() = text;
        if process.started.1.elapsed() >= STABLE {
            self.troubles.store(0, Ordering::Relaxed);
        }
        let before = self.troubles.fetch_add(1, Ordering::Relaxed);
        let pause = pause((before + 1).saturating_sub(FORGIVEN));
        if pause.is_zero() {
            return;
        }
        let error = Error::Unavailable(format!(
            "{ENDED}: plugin {} exits again and again{}. It is started again in {} seconds",
            called(&self.id),
            how(exit),
            pause.as_secs()
        ));
        let resting = Arc::new(State::Resting { error, until: Instant::now() + pause });
        let current = self.state.load();
        if matches!(&**current, State::Live(current) if Arc::ptr_eq(current, live)) {
            // Not where a restart or the end came in between.
            self.state.compare_and_swap(&current, resting);
        }
    }

    /// Starts the backend again and again, with growing pauses, until it lives or is not wanted.
    async fn revive(instance: &Weak<Self>, live: &Weak<Live>, mut pause: Duration) {
        loop {
            let Some(mut end) = instance.upgrade().map(|instance| instance.end.subscribe()) else {
                return;
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = end.wait_for(|ended| *ended) => return,
            }
            let Some(instance) = instance.upgrade() else { return };
            let dead = live.upgrade();
            match Self::recover(&instance, dead.as_ref()).await {
                Ok(_) => return,
                Err(_) => match &*instance.state() {
                    State::Down { until, .. } | State::Resting { until, .. } => {
                        pause = until.saturating_duration_since(Instant::now());
                    }
                    State::Asleep | State::Live(_) | State::Ended => return,
                },
            }
        }
    }

    /// A running backend other than `dead`.
    pub(super) async fn recover(
        this: &Arc<Self>,
        dead: Option<&Arc<Live>>,
    ) -> Result<Arc<Live>, Error> {
        let mut end = this.end.subscribe();
        if let Some(dead) = dead
            && let Some(exit) = dead.process().client.exit()
        {
            this.bury(dead, &exit);
        }
        let change = async {
            this.rest().await?;
            let _turn = this.changing.lock().await;
            match &*this.state() {
                State::Ended => return Err(Error::unavailable(ENDED)),
                State::Live(live) if !dead.is_some_and(|dead| Arc::ptr_eq(live, dead)) => {
                    return Ok(live.clone());
                }
                State::Down { error, until, .. } if Instant::now() < *until => {
                    return Err(error.clone());
                }
                State::Asleep | State::Live(_) | State::Resting { .. } | State::Down { .. } => {}
            }
            // Rare and large: kept off the stack and out of every request's future.
            Box::pin(Self::restart(this)).await
        };
        tokio::select! {
            biased;
            _ = end.wait_for(|ended| *ended) => Err(Error::unavailable(ENDED)),
            changed = change => changed,
        }
    }

    /// Waits for the end of a short pause, without holding up whoever may end it.
    async fn rest(&self) -> Result<(), Error> {
        if let State::Resting { error, until } = &*self.state() {
            let left = until.saturating_duration_since(Instant::now());
            if left > PATIENCE {
                return Err(error.clone());
            }
            tokio::time::sleep(left).await;
        }
        Ok(())
    }

    /// Replaces the backend by a new one. Under the lock `changing`.
    async fn restart(this: &Arc<Self>) -> Result<Arc<Live>, Error> {
        let first = matches!(&*this.state(), State::Asleep);
        let (plugin, mount) = (this.id.name.as_str(), this.mount_point());
        match first {
            true => tracing::info!(plugin, mount, "starting the plugin for its first request"),
            false => tracing::warn!(plugin, mount, "restarting the plugin"),
        }
        match this.start().await {
            Ok(live) => {
                let live = Arc::new(live);
                this.paths.store(live.facts.paths.clone());
                let old = this.state.swap(Arc::new(State::Live(live.clone())));
                this.counts.restarts.fetch_add(u64::from(!first), Ordering::Relaxed);
                Self::watch(this, &live);
                if let State::Live(old) = &*old {
                    // Its process may be alive, with other backends in it.
                    retire(old.clone());
                }
                Ok(live)
            }
            Err(Failed(error, told)) => {
                let pause = pause(this.troubles.fetch_add(1, Ordering::Relaxed).max(1));
                tracing::error!(
                    plugin,
                    mount,
                    error = told,
                    "the plugin cannot be restarted; next attempt in {pause:?}"
                );
                let until = Instant::now() + pause;
                this.state.store(Arc::new(State::Down { error: error.clone(), told, until }));
                Err(error)
            }
        }
    }

    /// Brings the backend up. An older plugin that was mounted has to be what it was then.
    async fn begin(&self, entry: &PluginEntry) -> Result<Live, HostError> {
        let starter = &self.starter;
        if let Some(mounted) = &self.mounted
            && starter.known.get(entry) == Some(Protocol::Unwrap)
        {
            return starter.begin_older(entry, &self.setup, mounted).await;
        }
        match starter.begin(entry, &self.setup).await? {
            Begun::Live(live) => Ok(*live),
            Begun::Later(facts) => {
                let expected = self.mounted.as_ref().unwrap_or(&facts);
                starter.begin_older(entry, &self.setup, expected).await
            }
        }
    }

    async fn start(&self) -> Result<Live, Failed> {
        let entry = match self.catalog.require(&self.id).await? {
            Found::External(entry) => entry,
            // Deregistered, and what is left under the name is not what was mounted.
            Found::Builtin(_) => return Err(not_found(&self.id).into()),
        };
        let begun = self.begin(&entry).await;
        let live =
            begun.map_err(|why| (tell(Doing::Starting, &entry, &why), told(&entry, &why)))?;
        if !self.initialized.load(Ordering::Relaxed) {
            return Ok(live);
        }
        let initialized = match live.initialize(self.start_limit()).await {
            Ok(reply) => initialized_from_wire(reply),
            Err(lost) => Err(self.lost(&live, lost)),
        };
        match initialized {
            Ok(()) => Ok(live),
            Err(error) => {
                live.clean_up().await;
                live.leave().await;
                Err(error.into())
            }
        }
    }
}

/// How long to wait before the start that follows this many troubles.
fn pause(troubles: u32) -> Duration {
    match troubles {
        0 => Duration::ZERO,
        n => Duration::from_secs(1 << (n - 1).min(6)).min(LONGEST_PAUSE),
    }
}

/// Ends a backend that was replaced; what it is still busy with may end first.
fn retire(live: Arc<Live>) {
    tokio::spawn(async move {
        if !live.process().is_gone() {
            live.clean_up().await;
        }
        live.forget();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_have_an_end() {
        let seconds: Vec<u64> = [0, 1, 2, 3, 7, 8, u32::MAX].map(|n| pause(n).as_secs()).into();
        assert_eq!(seconds, [0, 1, 2, 4, 60, 60, 60]);
    }
}
