//! The server's life: uninitialized, sealed, active. What exists only while unsealed is one value,
//! [`Active`], taken out of the state in one place.

mod init;
mod seal;
mod status;

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use boltwork_barrier::{Barrier, KeyInfo, seal::ShamirSeal};
use boltwork_logical::{Error, Plugins};
use parking_lot::Mutex;

pub use init::{InitRequest, InitResult};
pub use status::{Health, SealStatus};

use crate::{
    active::Active,
    metrics::Metrics,
    pipeline::{Inbound, Outcome},
};

/// What this server says it is.
#[derive(Clone, Debug)]
pub struct ServerVersion {
    /// Shown to clients: the Vault API level, with our own version as build metadata.
    pub shown: String,
    /// Given to plugins: plain semver.
    pub plugin: String,
    /// When it was built, RFC 3339; may be empty.
    pub build_date: String,
}

/// What the core must be told.
#[derive(Clone, Debug)]
pub struct CoreConfig {
    /// Lease TTL when neither backend nor mount name one.
    pub default_lease_ttl: Duration,
    /// Longest lease when the mount names none.
    pub max_lease_ttl: Duration,
    /// Name of the cluster; empty to have one made.
    pub cluster_name: String,
    /// Whether plugins should lock their memory.
    pub mlock: bool,
    /// The address clients are told to use.
    pub api_addr: String,
    /// What this server says it is.
    pub version: ServerVersion,
}

/// Why initializing or unsealing failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LifecycleError {
    /// The caller's input is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The server is already initialized.
    #[error("Vault is already initialized")]
    AlreadyInitialized,
    /// The server is not initialized.
    #[error("Vault is not initialized")]
    NotInitialized,
    /// It failed inside.
    #[error("{0}")]
    Internal(String),
}

/// The server.
pub struct Core {
    me: Weak<Core>,
    config: CoreConfig,
    barrier: Barrier,
    seal: ShamirSeal,
    plugins: Arc<dyn Plugins>,
    active: ArcSwapOption<Active>,
    /// What was sealed and is not ended yet. Whoever holds `transition` ends it before anything
    /// else.
    leaving: Mutex<Option<Arc<Active>>>,
    /// One init, unseal or seal at a time.
    transition: tokio::sync::Mutex<()>,
    cluster: ArcSwapOption<Cluster>,
    metrics: Arc<Metrics>,
}

/// Name and id of the cluster, known once unsealed for the first time.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Cluster {
    name: String,
    id: String,
}

impl Core {
    /// A sealed server over this barrier.
    pub fn new(config: CoreConfig, barrier: Barrier, plugins: Arc<dyn Plugins>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            config,
            seal: ShamirSeal::new(barrier.clone()),
            barrier,
            plugins,
            active: ArcSwapOption::empty(),
            leaving: Mutex::default(),
            transition: tokio::sync::Mutex::default(),
            cluster: ArcSwapOption::empty(),
            metrics: Arc::default(),
        })
    }

    /// Answers a request; a sealed server says that it is sealed.
    pub async fn handle(&self, inbound: Inbound) -> Outcome {
        let Some(active) = self.active.load_full() else {
            return Outcome {
                id: inbound.id,
                operation: inbound.operation,
                mount_type: String::new(),
                result: Err(Error::Sealed.into()),
            };
        };
        active.handle(inbound).await
    }

    /// Lets every audit device open its files anew, after they were moved away (SIGHUP).
    pub async fn reopen_audit(&self) {
        if let Some(active) = self.active.load_full() {
            active.audit.broker.reopen().await;
        }
    }

    /// What the core was told.
    pub fn config(&self) -> &CoreConfig {
        &self.config
    }

    /// What is counted for the server as a whole.
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// What there is while unsealed, if it is.
    pub(crate) fn active_now(&self) -> Option<Arc<Active>> {
        self.active.load_full()
    }

    /// What encrypts; for what is encrypted outside of storage.
    pub(crate) fn barrier(&self) -> &Barrier {
        &self.barrier
    }

    /// Which key new entries are encrypted with.
    pub fn key_status(&self) -> Result<KeyInfo, Error> {
        self.barrier.key_info().map_err(|e| Error::internal(e.to_string()))
    }

    /// Begins a new key term.
    pub async fn rotate(&self) -> Result<(), Error> {
        self.barrier.rotate().await.map(drop).map_err(|e| Error::internal(e.to_string()))
    }
}
