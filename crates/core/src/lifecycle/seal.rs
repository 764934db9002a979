//! Unsealing and sealing.

use std::sync::Arc;

use boltwork_barrier::seal::Unsealing;
use boltwork_logical::Storage;
use zeroize::Zeroizing;

use super::{Cluster, Core, LifecycleError};
use crate::{
    active::Active,
    mounts::{ServerFacts, Views},
};

/// Where name and id of the cluster are kept.
const CLUSTER_INFO: &str = "core/cluster/local/info";

impl Core {
    /// Takes a share of the unseal key; the last one needed makes the server active.
    ///
    /// # Errors
    /// Shares that do not fit, or stored state that cannot be read: the server stays sealed.
    pub async fn unseal(&self, share: &[u8]) -> Result<(), LifecycleError> {
        let me = self.me.upgrade().ok_or_else(gone)?;
        let share = Zeroizing::new(share.to_vec());
        // Carried through even if the client goes away: half an unsealing is worse than either.
        let work = tokio::spawn(async move {
            let _one = me.transition.lock().await;
            me.end_leaving().await;
            if me.active.load().is_some() {
                return Ok(());
            }
            match me.seal.unseal(&share).await? {
                Unsealing::Waiting(_) => Ok(()),
                Unsealing::Unsealed => me.activate().await,
            }
        });
        work.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Forgets the shares given so far.
    pub fn reset_unseal(&self) {
        self.seal.reset();
    }

    async fn activate(&self) -> Result<(), LifecycleError> {
        match self.open_active().await {
            Ok(active) => {
                self.active.store(Some(Arc::clone(&active)));
                active.serve();
                tracing::info!("the server is unsealed");
                Ok(())
            }
            Err(error) => {
                self.plugins.close().await;
                self.barrier.seal();
                Err(error)
            }
        }
    }

    async fn open_active(&self) -> Result<Arc<Active>, LifecycleError> {
        let cluster = self.cluster_info().await?;
        let facts = ServerFacts {
            default_lease_ttl: self.config.default_lease_ttl,
            max_lease_ttl: self.config.max_lease_ttl,
            cluster_name: cluster.name.clone(),
            cluster_id: cluster.id.clone(),
            version: self.config.version.plugin.clone(),
            mlock: self.config.mlock,
            api_addr: self.config.api_addr.clone(),
        };
        self.cluster.store(Some(Arc::new(cluster)));
        let barrier = self.barrier.clone();
        let views: Views = Arc::new(move |prefix: &str| -> Arc<dyn Storage> {
            // Prefixes are ours: constants and UUIDs, never a client's text.
            Arc::new(barrier.view(prefix).expect("a prefix of the core's own is valid"))
        });
        let plugins = Arc::clone(&self.plugins);
        Ok(Active::open(self.me.clone(), views, plugins, Arc::new(facts)).await?)
    }

    async fn cluster_info(&self) -> Result<Cluster, LifecycleError> {
        if let Some(json) = self.barrier.get(CLUSTER_INFO).await?
            && let Ok(cluster) = serde_json::from_slice(&json)
        {
            return Ok(cluster);
        }
        let name = match self.config.cluster_name.is_empty() {
            true => format!("vault-cluster-{:08x}", rand::random::<u32>()),
            false => self.config.cluster_name.clone(),
        };
        let cluster = Cluster { name, id: uuid::Uuid::new_v4().to_string() };
        let json =
            serde_json::to_vec(&cluster).map_err(|e| LifecycleError::Internal(e.to_string()))?;
        self.barrier.put(CLUSTER_INFO, &json).await?;
        Ok(cluster)
    }

    /// Seals: from this moment every request is told so. What runs is ended in the background; the
    /// next unsealing waits for that.
    pub fn begin_seal(&self) {
        self.leave();
        let Some(me) = self.me.upgrade() else { return };
        tokio::spawn(async move {
            let _one = me.transition.lock().await;
            me.end_leaving().await;
        });
    }

    /// Seals and waits until everything that ran has ended: the server stops.
    pub async fn shut_down(&self) {
        self.leave();
        let _one = self.transition.lock().await;
        self.end_leaving().await;
    }

    fn leave(&self) {
        // Together, so that nobody sees the server sealed with nothing to end.
        let mut leaving = self.leaving.lock();
        if let Some(active) = self.active.swap(None) {
            *leaving = Some(active);
        }
    }

    /// Ends what was sealed. The caller holds `transition`.
    pub(super) async fn end_leaving(&self) {
        let Some(active) = self.leaving.lock().clone() else { return };
        active.close().await;
        if let Err(error) = self.barrier.account_encryptions().await {
            tracing::warn!(%error, "the count of encryptions could not be stored");
        }
        self.seal.reset();
        self.barrier.seal();
        // Only now: if this was cut short, the next one does it again.
        *self.leaving.lock() = None;
        tracing::info!("the server is sealed");
    }
}

pub(super) fn gone() -> LifecycleError {
    LifecycleError::Internal("the server is stopping".to_owned())
}
