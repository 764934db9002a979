//! Tidying: removing what tokens that are gone left behind.
//!
//! Revocation removes all of it itself; this is for what damage, or a server of another make, left
//! in storage: accessors and tree entries that lead nowhere, and cubbyholes of no token.

use std::sync::{Arc, atomic::Ordering};

use boltwork_logical::{Error, Storage};

use super::{Digest, TokenStore, clear, store::AccessorEntry};

/// Keys read at once.
const PAGE: usize = 500;

/// Whether a tidying was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tidying {
    /// It goes on in the background.
    Begun,
    /// One was under way already.
    UnderWay,
}

/// What was looked at and what was removed.
#[derive(Default)]
struct Count {
    seen: usize,
    removed: usize,
}

impl TokenStore {
    /// Begins to tidy, unless somebody is at it.
    pub fn tidy(self: &Arc<Self>) -> Tidying {
        if self.tidying.swap(true, Ordering::AcqRel) {
            return Tidying::UnderWay;
        }
        let this = Arc::clone(self);
        tokio::spawn(async move {
            tracing::info!("beginning tidy operation on tokens");
            match this.tidy_all().await {
                Ok(count) => tracing::info!(
                    seen = count.seen,
                    removed = count.removed,
                    "finished tidy operation on tokens"
                ),
                Err(error) => tracing::error!(
                    %error,
                    "the tidy operation on tokens stopped; what it removed is removed, ask for it again"
                ),
            }
            this.tidying.store(false, Ordering::Release);
        });
        Tidying::Begun
    }

    async fn tidy_all(&self) -> Result<Count, Error> {
        let mut count = Count::default();
        self.tidy_tree(&mut count).await?;
        self.tidy_accessors(&mut count).await?;
        self.tidy_cubbyholes(&mut count).await?;
        Ok(count)
    }

    /// Whether there is an entry under a key that names a token.
    async fn is_stored(&self, key: &str) -> Result<bool, Error> {
        match Digest::parse(key.trim_end_matches('/')) {
            Some(digest) => Ok(self.storage.get(&format!("id/{digest}")).await?.is_some()),
            None => Ok(false),
        }
    }

    async fn tidy_tree(&self, count: &mut Count) -> Result<(), Error> {
        let mut parents = Pages::new("parent/");
        while let Some(parent) = parents.next(self.storage.as_ref()).await? {
            let mut children = Pages::new(format!("parent/{parent}"));
            while let Some(child) = children.next(self.storage.as_ref()).await? {
                count.seen += 1;
                if !self.is_stored(&child).await? {
                    self.storage.delete(&format!("parent/{parent}{child}")).await?;
                    count.removed += 1;
                }
            }
        }
        Ok(())
    }

    async fn tidy_accessors(&self, count: &mut Count) -> Result<(), Error> {
        let mut accessors = Pages::new("accessor/");
        while let Some(name) = accessors.next(self.storage.as_ref()).await? {
            count.seen += 1;
            let key = format!("accessor/{name}");
            let Some(entry) = self.storage.get(&key).await? else { continue };
            let token = serde_json::from_slice::<AccessorEntry>(&entry.value)
                .map(|stored| stored.token_digest)
                .unwrap_or_default();
            if !self.is_stored(&token).await? {
                self.storage.delete(&key).await?;
                count.removed += 1;
            }
        }
        Ok(())
    }

    async fn tidy_cubbyholes(&self, count: &mut Count) -> Result<(), Error> {
        let mut holes = Pages::new("");
        while let Some(hole) = holes.next(self.cubbyholes.as_ref()).await? {
            count.seen += 1;
            if !self.is_stored(&hole).await? {
                clear(self.cubbyholes.as_ref(), &hole).await?;
                count.removed += 1;
            }
        }
        Ok(())
    }
}

/// Keys below a prefix, read page by page; those that come meanwhile may be missed.
struct Pages {
    prefix: String,
    after: String,
    page: std::vec::IntoIter<String>,
}

impl Pages {
    fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), after: String::new(), page: Vec::new().into_iter() }
    }

    async fn next(&mut self, storage: &dyn Storage) -> Result<Option<String>, Error> {
        if let Some(key) = self.page.next() {
            return Ok(Some(key));
        }
        let page = storage.list_page(&self.prefix, &self.after, Some(PAGE)).await?;
        let Some(last) = page.last() else { return Ok(None) };
        self.after.clone_from(last);
        self.page = page.into_iter();
        Ok(self.page.next())
    }
}
