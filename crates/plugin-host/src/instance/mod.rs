//! A mount's external backend: calls its process, notices its end, brings it back. Left out: what
//! the calls mean (`remote`).
//!
//! What happens to a request whose process ended:
//!
//! * A process that never got it: sent again to the next process.
//! * Answered with the words `connection is shut down`: the plugin asks to be restarted and to be
//!   asked again, whatever the operation (wire spec 7).
//! * In flight: sent again once, unless it writes. Vault repeats writes too; but the process may
//!   have stored its data before it died, and only the caller knows whether twice is once too often.
//!   So a write gets an error that says so.
//!
//! A restart that fails is remembered with its reason. Until the pause after it is over, requests
//! get that reason at once; nobody waits for a plugin that is known not to start. A process that
//! dies again and again pauses too, however many requests ask for it: they wait for a short pause,
//! and are told of a long one.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use boltwork_logical::{BackendKind, Error, PluginEntry, PluginId, Setup, SpecialPaths};
use boltwork_wire::{initialized_from_wire, pb};
use go_plugin::host::Exit;
use tokio::sync::watch;

use crate::HostError;
use crate::catalog::{Catalog, Found, not_found};
use crate::diagnose::{Doing, called, tell, told};
use crate::error::{call_error, ended};
use crate::live::{Facts, Live, Lost};
use crate::protocol::Protocol;
use crate::starter::{Begun, Starter};

/// The words with which a plugin asks to be restarted. Peers compare them literally.
const SHUT_DOWN: &str = "connection is shut down";
/// What a request to an ended backend hears.
const ENDED: &str = "plugin is shut down";
/// Longest pause between attempts to start.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A process that lived so long died of something new.
const STABLE: Duration = Duration::from_secs(60);

/// So many deaths are forgiven before there are pauses: whoever finds a request that kills the
/// plugin is not to keep everybody else from it.
const FORGIVEN: u32 = 5;
/// A request waits for the end of a pause that is no longer than this.
const PATIENCE: Duration = Duration::from_secs(2);

/// The backend of one mount.
pub(crate) struct Instance {
    pub id: PluginId,
    pub kind: BackendKind,
    /// What an older plugin said of itself when it was mounted, and has to be.
    mounted: Option<Facts>,
    setup: Setup,
    starter: Arc<Starter>,
    catalog: Arc<Catalog>,
    state: ArcSwap<State>,
    pub paths: ArcSwap<SpecialPaths>,
    /// Held by whoever changes the state; never while a request is passed on.
    changing: tokio::sync::Mutex<()>,
    end: watch::Sender<bool>,
    pub initialized: AtomicBool,
    /// Deaths and failed starts since the last stable time.
    troubles: AtomicU32,
    pub counts: Counts,
}

/// What is counted for operators.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub requests: AtomicU64,
    pub failures: AtomicU64,
    pub restarts: AtomicU64,
    last_exit: Mutex<String>,
}

impl Counts {
    fn note(&self) -> MutexGuard<'_, String> {
        self.last_exit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why it last exited.
    pub fn last_exit(&self) -> String {
        self.note().clone()
    }
}

/// Where the backend is.
#[derive(Clone)]
pub(crate) enum State {
    /// Nowhere yet: an older plugin's process is started with the first request.
    Asleep,
    /// In a process.
    Live(Arc<Live>),
    /// Nowhere: its process died once too often, and is started again when the pause is over.
    Resting { error: Error, until: Instant },
    /// Nowhere: its last start failed.
    Down { error: Error, told: String, until: Instant },
    /// Cleaned up, for good.
    Ended,
}

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
    /// Takes over a backend that was brought up.
    pub fn new(
        entry: &PluginEntry,
        setup: Setup,
        begun: Begun,
        starter: Arc<Starter>,
        catalog: Arc<Catalog>,
    ) -> Arc<Self> {
        let (facts, live) = match begun {
            Begun::Live(live) => (live.facts.clone(), Some(Arc::<Live>::from(live))),
            Begun::Later(facts) => (facts, None),
        };
        let state = live.clone().map_or(State::Asleep, State::Live);
        let instance = Arc::new(Self {
            id: entry.id.clone(),
            kind: facts.kind.unwrap_or(BackendKind::Unknown),
            paths: ArcSwap::new(facts.paths.clone()),
            mounted: live.is_none().then_some(facts),
            setup,
            starter,
            catalog,
            state: ArcSwap::from_pointee(state),
            changing: tokio::sync::Mutex::default(),
            end: watch::Sender::new(false),
            initialized: AtomicBool::new(false),
            troubles: AtomicU32::new(0),
            counts: Counts::default(),
        });
        if let Some(live) = live {
            Self::watch(&instance, &live);
        }
        instance
    }

    /// Where the backend is.
    pub fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    /// Path of the mount.
    pub fn mount_point(&self) -> &str {
        &self.setup.mount_point
    }

    /// Brings the backend back when its process ends, without waiting for a request to notice.
    fn watch(this: &Arc<Self>, live: &Arc<Live>) {
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

    fn is_current(&self, live: &Arc<Live>) -> bool {
        matches!(&**self.state.load(), State::Live(current) if Arc::ptr_eq(current, live))
    }

    /// The running backend; started if need be and not known to be useless.
    pub async fn live(this: &Arc<Self>) -> Result<Arc<Live>, Error> {
        if let State::Live(live) = &**this.state.load() {
            return Ok(live.clone());
        }
        Self::recover(this, None).await
    }

    /// A running backend other than `dead`.
    async fn recover(this: &Arc<Self>, dead: Option<&Arc<Live>>) -> Result<Arc<Live>, Error> {
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

    /// How long a start may take, and an initialization after it.
    pub fn start_limit(&self) -> Duration {
        self.starter.rules.start_timeout
    }

    /// The error of a call that is not made again.
    pub fn lost(&self, live: &Live, lost: Lost) -> Error {
        match lost {
            Lost::Answered(status) => call_error(&self.id, &status),
            Lost::Unsent | Lost::Sent => {
                let exit = live.process().client.exit();
                let how = exit.map(|exit| how(&exit)).unwrap_or_default();
                Error::Unavailable(format!(
                    "{ENDED}: plugin {} exited while it answered{how}. It is being restarted; \
                     whether it did what was asked is not known",
                    called(&self.id)
                ))
            }
        }
    }

    /// Makes a call, and once more where that is safe and of use.
    pub async fn call<T, C, F>(this: &Arc<Self>, repeatable: bool, call: C) -> Result<T, Error>
    where
        T: Repeat,
        C: Fn(Arc<Live>) -> F,
        F: Future<Output = Result<T, Lost>>,
    {
        this.counts.requests.fetch_add(1, Ordering::Relaxed);
        let live = Self::live(this).await?;
        let lost = match call(live.clone()).await {
            Ok(answer) if !answer.asks_for_restart() => return Ok(answer),
            Ok(_) => {
                // No other mount is to join what asks to be restarted.
                live.process().close();
                None
            }
            Err(lost @ Lost::Answered(_)) => return Err(this.lost(&live, lost)),
            Err(lost) => Some(lost),
        };
        this.counts.failures.fetch_add(1, Ordering::Relaxed);
        if let Some(lost @ Lost::Sent) = lost
            && !repeatable
        {
            return Err(this.lost(&live, lost));
        }
        let next = Self::recover(this, Some(&live)).await?;
        call(next.clone()).await.map_err(|lost| this.lost(&next, lost))
    }

    /// Ends without cleaning up: the process goes with its last member.
    pub fn abandon(&self) {
        self.end.send_replace(true);
        self.state.store(Arc::new(State::Ended));
    }

    /// Cleans up and ends for good. May be called again.
    pub async fn end(&self) {
        self.end.send_replace(true);
        let _turn = self.changing.lock().await;
        let old = self.state.swap(Arc::new(State::Ended));
        if let State::Live(live) = &*old {
            live.clean_up().await;
            finish(live.clone(), old.clone()).await;
        }
    }
}

/// How a process ended, for the one whose request it took along. What it wrote on stderr is not
/// for them: it may speak of somebody else's request. Log and status have it.
fn how(exit: &Exit) -> String {
    exit.status.map(|status| format!(" ({status})")).unwrap_or_default()
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

/// Ends a backend and waits for its process, if nobody else is in it. Requests that still hold the
/// backend let its process live on no longer than themselves.
async fn finish(live: Arc<Live>, state: Arc<State>) {
    drop(state);
    match Arc::try_unwrap(live) {
        Ok(live) => live.leave().await,
        Err(shared) => {
            if shared.process().close_if_alone() {
                shared.process().client.stop().await;
            }
        }
    }
}

/// An answer that may ask for a restart instead of being one.
pub(crate) trait Repeat {
    fn asks_for_restart(&self) -> bool;
}

fn says_shut_down(error: Option<&pb::ProtoError>) -> bool {
    error.is_some_and(|error| error.err_msg == SHUT_DOWN)
}

impl Repeat for pb::HandleRequestReply {
    fn asks_for_restart(&self) -> bool {
        says_shut_down(self.err.as_ref())
    }
}

impl Repeat for pb::HandleExistenceCheckReply {
    fn asks_for_restart(&self) -> bool {
        says_shut_down(self.err.as_ref())
    }
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
