//! Ending tokens: one, with all below it, or leaving its children orphaned.
//!
//! A token is first marked, which ends it at once and survives a crash; then its children go, then
//! what it kept for itself, then its entry. What a crash or a storage fault interrupts is finished
//! by the expiry task, or when the server is unsealed next.

use std::collections::HashSet;

use boltwork_logical::{Error, Storage};

use super::{
    Digest, TokenStore,
    entry::{REVOCATION_PENDING, now},
    expiry::RETRY,
};

impl TokenStore {
    /// Ends a token and everything made with it. No error if there is none.
    pub async fn revoke_tree(&self, root: &Digest) -> Result<(), Error> {
        let outcome = self.try_revoke_tree(root).await;
        if outcome.is_err() {
            self.expiry.schedule(*root, now() + RETRY);
        }
        outcome
    }

    async fn try_revoke_tree(&self, root: &Digest) -> Result<(), Error> {
        // Depth-first without recursion: a token is removed when it has no children left. A chain
        // of tokens may be as deep as a client likes.
        let mut path = vec![*root];
        let mut on_path = HashSet::from([*root]);
        self.mark(root).await?;
        while let Some(digest) = path.last().copied() {
            let child = self.storage.list_page(&format!("parent/{digest}/"), "", Some(1)).await?;
            match child.first().and_then(|key| Digest::parse(key)) {
                Some(child) if on_path.insert(child) => {
                    self.mark(&child).await?;
                    path.push(child);
                }
                _ => {
                    self.remove(&digest).await?;
                    path.pop();
                    // Also where the child's own entry was already gone and named no parent.
                    if let Some(parent) = path.last() {
                        self.storage.delete(&format!("parent/{parent}/{digest}")).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Ends a token; its children live on without a parent.
    pub async fn revoke_orphaning(&self, digest: &Digest) -> Result<(), Error> {
        self.mark(digest).await?;
        let prefix = format!("parent/{digest}/");
        loop {
            let page = self.storage.list_page(&prefix, "", Some(100)).await?;
            if page.is_empty() {
                break;
            }
            for key in page {
                if let Some(child) = Digest::parse(&key) {
                    let _guard = self.lock(&child).await;
                    if let Some(mut entry) = self.load(&child).await? {
                        entry.parent.clear();
                        self.save(&child, &entry).await?;
                    }
                }
                self.storage.delete(&format!("{prefix}{key}")).await?;
            }
        }
        self.remove(digest).await
    }

    /// Ends every token that was made at or below a path (`auth/github/`): its auth method goes
    /// away. Reads all tokens, page by page.
    pub async fn revoke_made_at(&self, path: &str) -> Result<(), Error> {
        let mut after = String::new();
        loop {
            let page = self.storage.list_page("id/", &after, Some(500)).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(last);
            for digest in page.iter().filter_map(|key| Digest::parse(key)) {
                if self.load(&digest).await?.is_some_and(|entry| entry.path.starts_with(path)) {
                    self.revoke_tree(&digest).await?;
                }
            }
        }
    }

    async fn mark(&self, digest: &Digest) -> Result<(), Error> {
        let _guard = self.lock(digest).await;
        if let Some(mut entry) = self.load(digest).await?
            && entry.num_uses != REVOCATION_PENDING
        {
            entry.num_uses = REVOCATION_PENDING;
            self.save(digest, &entry).await?;
        }
        self.cache.forget(digest);
        Ok(())
    }

    /// Removes a marked token: first what it was given and what it kept for itself (its cubbyhole),
    /// so that nothing of it is left when its entry is gone.
    async fn remove(&self, digest: &Digest) -> Result<(), Error> {
        self.leases.end_with_token(digest).await?;
        clear(self.cubbyholes.as_ref(), &format!("{digest}/")).await?;
        let _guard = self.lock(digest).await;
        let entry = self.load(digest).await?;
        let tx = self.storage.begin(false).await?;
        if let Some(entry) = entry {
            tx.delete(&self.accessor_key(&entry.accessor)).await?;
            if !entry.parent.is_empty() {
                tx.delete(&format!("parent/{}/{digest}", entry.parent)).await?;
            }
        }
        tx.delete(&format!("id/{digest}")).await?;
        tx.commit().await?;
        self.cache.forget(digest);
        self.expiry.forget(digest);
        Ok(())
    }
}

/// Deletes everything below a prefix, page by page.
pub async fn clear(storage: &dyn Storage, prefix: &str) -> Result<(), Error> {
    let mut folders = vec![prefix.to_owned()];
    while let Some(folder) = folders.last().cloned() {
        let page = storage.list_page(&folder, "", Some(500)).await?;
        let Some(deeper) = page.iter().find(|key| key.ends_with('/')) else {
            for key in &page {
                storage.delete(&format!("{folder}{key}")).await?;
            }
            if page.len() < 500 {
                folders.pop();
            }
            continue;
        };
        folders.push(format!("{folder}{deeper}"));
    }
    Ok(())
}
