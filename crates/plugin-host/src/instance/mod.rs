//! A mount's external backend: calls its process, notices its end, brings it back (`revival`). Left
//! out: what the calls mean (`remote`).
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

mod revival;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use boltwork_logical::{BackendKind, Error, PluginEntry, PluginId, Setup, SpecialPaths};
use boltwork_wire::pb;
use go_plugin::host::Exit;
use tokio::sync::watch;

use crate::catalog::Catalog;
use crate::diagnose::called;
use crate::error::call_error;
use crate::live::{Facts, Live, Lost};
use crate::starter::{Begun, Starter};

/// The words with which a plugin asks to be restarted. Peers compare them literally.
const SHUT_DOWN: &str = "connection is shut down";
/// What a request to an ended backend hears.
const ENDED: &str = "plugin is shut down";

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
