//! Taking secrets back: when they are due, when asked, again and again with growing pauses.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use boltwork_logical::{Error, Operation, Reply, Request};
use tokio::sync::Semaphore;

use super::{LeaseEntry, Leases};
use crate::tokens::now;

/// Revocations at the same time.
const PARALLEL: usize = 64;

/// Longest revocation.
const LIMIT: Duration = Duration::from_secs(60);

/// Pause after the first failure, in seconds; doubled after each further one.
const PAUSE: u64 = 10;

/// Longest pause.
const LONGEST_PAUSE: u64 = 15 * 60;

/// Most bytes that are kept of why a lease is irrevocable.
const LONGEST_REASON: usize = 240;

/// After so many failures in one life of the server a lease counts as irrevocable.
const ATTEMPTS: u32 = 6;

/// What becomes of a lease whose backend does not take its secret back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// It stays, and is tried again.
    No,
    /// It is forgotten: somebody else takes the secret back.
    Yes,
}

impl Leases {
    /// Revokes leases as they end, until the store is dropped.
    pub async fn run(leases: Weak<Self>) {
        let bound = Arc::new(Semaphore::new(PARALLEL));
        loop {
            let Some(this) = leases.upgrade() else { return };
            let Some(id) = this.due.take(now()) else {
                this.nap().await;
                continue;
            };
            let Ok(place) = Arc::clone(&bound).acquire_owned().await else { return };
            tokio::spawn(async move {
                this.end_if_due(&id).await;
                drop(place);
            });
        }
    }

    /// Revokes a lease whose time has come. Its entry has the last word: it may have been renewed.
    async fn end_if_due(&self, id: &str) {
        let outcome = self
            .alone(id, async {
                match self.get(id).await? {
                    Some(entry) if entry.expire_time > now() => {
                        self.due.schedule(id.to_owned(), entry.expire_time);
                        Ok(())
                    }
                    Some(entry) => self.revoke_entry(&entry, Force::No).await,
                    None => Ok(()),
                }
            })
            .await;
        if let Err(error) = outcome {
            self.failed(id, &error).await;
        }
    }

    /// Plans the next attempt, or gives up.
    async fn failed(&self, id: &str, error: &Error) {
        if *error == Error::Sealed {
            // No attempt at all. Of a server that is being sealed, nobody will make the next one.
            return self.due.schedule(id.to_owned(), now() + 1);
        }
        let count = {
            let mut failures = self.failures.lock();
            let count = failures.entry(id.to_owned()).or_default();
            *count += 1;
            *count
        };
        tracing::error!(lease = id, attempt = count, %error, "a lease could not be revoked");
        if count < ATTEMPTS && *error != Error::Unrecoverable {
            let pause = PAUSE.saturating_mul(1 << (count - 1)).min(LONGEST_PAUSE);
            return self.due.schedule(id.to_owned(), now() + pause);
        }
        let given_up = self.alone(id, async {
            if let Some(mut entry) = self.get(id).await? {
                entry.revoke_error = last_word(error, count);
                self.save(&entry).await?;
                self.irrevocable.lock().insert(id.to_owned());
            }
            self.failures.lock().remove(id);
            Ok::<_, Error>(())
        });
        if let Err(error) = given_up.await {
            tracing::error!(lease = id, %error, "a lease could not be marked irrevocable");
            self.due.schedule(id.to_owned(), now() + LONGEST_PAUSE);
        }
    }

    /// Revokes a lease now. No error if there is none. A failure leaves it due, for the task.
    pub async fn revoke(&self, id: &str, force: Force) -> Result<(), Error> {
        let outcome = self
            .alone(id, async {
                match self.get(id).await? {
                    Some(entry) => self.revoke_entry(&entry, force).await,
                    None => Ok(()),
                }
            })
            .await;
        if outcome.is_err() {
            // Asked for once, it is to end, even if the caller gives up.
            self.end(id).await?;
            self.due.schedule(id.to_owned(), now() + PAUSE);
        }
        outcome
    }

    /// Revokes all leases below a prefix. Goes on after a failure; reports the first one.
    pub async fn revoke_prefix(&self, prefix: &str, force: Force) -> Result<(), Error> {
        let mut outcome = Ok(());
        for id in self.ids(prefix).await? {
            let one = self.revoke(&id, force).await.map_err(|error| match error {
                Error::Sealed => Error::Sealed,
                error => Error::invalid(format!("failed to revoke {id:?}: {error}")),
            });
            outcome = outcome.and(one);
        }
        outcome
    }

    /// The caller is alone with the lease.
    async fn revoke_entry(&self, entry: &LeaseEntry, force: Force) -> Result<(), Error> {
        let answer = self.ask_backend(entry, Operation::Revoke, 0).await;
        if answer.is_err() {
            self.not_taken_back.add();
        }
        match answer {
            Ok(_) => {}
            Err(Error::Sealed) => return Err(Error::Sealed),
            Err(error) if force == Force::Yes => {
                tracing::warn!(
                    lease = entry.lease_id,
                    %error,
                    "a lease is forgotten as asked, though its backend did not take it back"
                );
            }
            Err(error) => return Err(error),
        }
        self.remove(entry).await?;
        self.taken_back.add();
        Ok(())
    }

    /// Sends a lease to its backend, to be renewed or revoked. A hanging backend is given up.
    pub(super) async fn ask_backend(
        &self,
        entry: &LeaseEntry,
        operation: Operation,
        increment: u64,
    ) -> Result<Option<Reply>, Error> {
        let server = self.server()?;
        let (mount, relative) = server.mounts.route(&entry.path).ok_or_else(|| {
            Error::unavailable(format!("nothing is mounted at {:?} any more", entry.path))
        })?;
        let work = async {
            let inside = mount.enter().await?;
            let mut request =
                Request::new(operation, relative.to_owned(), Arc::clone(&mount.storage));
            request.id = uuid::Uuid::new_v4().to_string().into();
            request.data = entry.given();
            request.mount = mount.facts.load_full();
            request.secret = Some(Box::new(entry.secret(increment)));
            inside.handle(request).await.map_err(|failure| failure.error)
        };
        let reply = tokio::time::timeout(LIMIT, work).await.map_err(|_| {
            Error::unavailable(format!("the backend did not answer within {LIMIT:?}"))
        })??;
        match reply.as_ref().and_then(Reply::error_text) {
            Some(text) => Err(Error::invalid(text)),
            None => Ok(reply),
        }
    }
}

/// Why a lease counts as irrevocable, for whoever lists them.
fn last_word(error: &Error, attempts: u32) -> String {
    let mut text = match *error == Error::Unrecoverable {
        true => error.to_string(),
        false if attempts >= ATTEMPTS => format!("out of retries: {error}"),
        false => error.to_string(),
    };
    if text.len() > LONGEST_REASON {
        let end = (0..=LONGEST_REASON).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
    }
    // An empty text would say that there is hope.
    if text.is_empty() { "unknown".to_owned() } else { text }
}
