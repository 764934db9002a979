//! What may be asked of a server in any state.

use serde::Serialize;

use super::{Core, LifecycleError};

/// The reply of `sys/seal-status`.
#[derive(Clone, Debug, Serialize)]
pub struct SealStatus {
    /// Kind of seal.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Whether the server was initialized.
    pub initialized: bool,
    /// Whether it is sealed.
    pub sealed: bool,
    /// Shares needed.
    pub t: u8,
    /// Shares there are.
    pub n: u8,
    /// Shares given so far.
    pub progress: usize,
    /// Names the attempt.
    pub nonce: String,
    /// What this server says it is.
    pub version: String,
    /// When it was built.
    pub build_date: String,
    /// Always false: no seal is being changed for another.
    pub migration: bool,
    /// Name of the cluster, while unsealed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster_name: String,
    /// Id of the cluster, while unsealed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster_id: String,
    /// Always false: the seal has no recovery keys.
    pub recovery_seal: bool,
    /// Engine of the storage.
    pub storage_type: &'static str,
}

/// The facts behind `sys/health`.
#[derive(Clone, Debug)]
pub struct Health {
    /// Whether the server was initialized.
    pub initialized: bool,
    /// Whether it is sealed.
    pub sealed: bool,
    /// Name and id of the cluster, while unsealed.
    pub cluster: Option<(String, String)>,
    /// What this server says it is.
    pub version: String,
}

impl Core {
    /// How the seal is.
    ///
    /// # Errors
    /// Storage cannot be read.
    pub async fn seal_status(&self) -> Result<SealStatus, LifecycleError> {
        let config = self.seal.config().await?;
        let progress = self.seal.progress();
        let sealed = self.active.load().is_none();
        let cluster = self.cluster.load_full().filter(|_| !sealed);
        let part = |pick: fn(&super::Cluster) -> &String| {
            cluster.as_deref().map(|c| pick(c).clone()).unwrap_or_default()
        };
        Ok(SealStatus {
            kind: "shamir",
            initialized: config.is_some(),
            sealed,
            t: config.as_ref().map_or(0, |c| c.secret_threshold),
            n: config.as_ref().map_or(0, |c| c.secret_shares),
            progress: progress.shares,
            nonce: progress.nonce,
            version: self.config.version.shown.clone(),
            build_date: self.config.version.build_date.clone(),
            migration: false,
            cluster_name: part(|c| &c.name),
            cluster_id: part(|c| &c.id),
            recovery_seal: false,
            storage_type: self.barrier.physical().storage_type(),
        })
    }

    /// Whether the server can serve.
    ///
    /// # Errors
    /// Storage cannot be read.
    pub async fn health(&self) -> Result<Health, LifecycleError> {
        let sealed = self.active.load().is_none();
        let initialized = !sealed || self.is_initialized().await?;
        let cluster = self.cluster.load_full().filter(|_| !sealed);
        Ok(Health {
            initialized,
            sealed,
            cluster: cluster.map(|c| (c.name.clone(), c.id.clone())),
            version: self.config.version.shown.clone(),
        })
    }

    /// Whether the server is sealed.
    pub fn is_sealed(&self) -> bool {
        self.active.load().is_none()
    }
}
