//! Tidying: leases whose token is gone are ended.
//!
//! A token's end ends its leases itself; this is for what damage left in storage.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

use boltwork_logical::Error;

use super::Leases;
use crate::tokens::Digest;

impl Leases {
    /// Begins to tidy in the background. Nothing happens while somebody is at it.
    pub fn tidy(self: &Arc<Self>) {
        if self.tidying.swap(true, Ordering::AcqRel) {
            tracing::warn!("tidy operation on leases is already in progress");
            return;
        }
        let this = Arc::clone(self);
        tokio::spawn(async move {
            tracing::info!("beginning tidy operation on leases");
            match this.tidy_all().await {
                Ok((seen, ended)) => {
                    tracing::info!(seen, ended, "finished tidy operation on leases");
                }
                Err(error) => tracing::error!(
                    %error,
                    "the tidy operation on leases stopped; ask for it again"
                ),
            }
            this.tidying.store(false, Ordering::Release);
        });
    }

    async fn tidy_all(&self) -> Result<(usize, usize), Error> {
        let server = self.server()?;
        let mut known = HashMap::<String, bool>::new();
        let (mut seen, mut ended) = (0, 0);
        for id in self.ids("").await? {
            seen += 1;
            let Some(entry) = self.get(&id).await? else { continue };
            // Of an orphaned batch token: it ends by itself.
            if entry.token_digest.is_empty() || entry.is_irrevocable() {
                continue;
            }
            let is_there = match known.get(&entry.token_digest) {
                Some(is_there) => *is_there,
                None => {
                    let is_there = match Digest::parse(&entry.token_digest) {
                        Some(digest) => server.tokens.load(&digest).await?.is_some(),
                        None => false,
                    };
                    known.insert(entry.token_digest.clone(), is_there);
                    is_there
                }
            };
            if !is_there {
                self.end(&id).await?;
                ended += 1;
            }
        }
        Ok((seen, ended))
    }
}
