//! Passwords and their bcrypt hashes, in the form that Go's methods store.
//!
//! bcrypt is slow on purpose: a login costs some 50 ms of a processor. It runs on threads of its own,
//! as many at a time as there are processors, and no more than a bounded number of logins wait for
//! their turn; so a flood of logins keeps neither the other requests nor the memory busy.

use std::{
    str::FromStr,
    sync::{Arc, LazyLock},
    thread,
};

use bcrypt::{BcryptError, HashParts, Version};
use boltwork_sdk::{Result, logical::Error};
use tokio::{sync::Semaphore, task};
use zeroize::Zeroizing;

type Secret = Zeroizing<String>;

/// Cost of the hashes made here: Go's default.
const COST: u32 = 10;

/// Costs that a hash made elsewhere may have: from what `htpasswd -B` does to what a login can
/// afford.
const COSTS: std::ops::RangeInclusive<u32> = 5..=12;

/// Bytes of a password that count in bcrypt.
const MAX_BYTES: usize = 72;

/// Logins that may wait, for each that runs.
const WAITING: usize = 256;

/// What is compared for a user that does not exist. No password is known to have this hash.
const NOBODY: &str = "$2a$10$N9qo8uLOickgx2ZMRZoMyeNoPasswordIsKnownThatHasThisOne";

/// How many hashes are made at a time, in this process.
static RUNNING: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(processors())));

/// How many are made or wait.
static ADMITTED: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(processors().saturating_mul(WAITING)));

fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// The hash to store for what was sent: of the password, or the one given instead. Exactly one of
/// the two must be there.
pub async fn hash(password: Option<&Secret>, password_hash: Option<&Secret>) -> Result<Secret> {
    match (given(password), given(password_hash)) {
        (Some(password), None) => make(password.clone()).await,
        (None, Some(hash)) => foreign(hash),
        (Some(_), Some(_)) => {
            Err(Error::invalid("only one of password or password_hash may be provided"))
        }
        (None, None) => Err(Error::invalid("must provide either password or password_hash")),
    }
}

/// An empty text is none.
pub fn given(secret: Option<&Secret>) -> Option<&Secret> {
    secret.filter(|secret| !secret.is_empty())
}

/// Whether this is the password. Without a hash it is not, and finding that out takes as long.
pub async fn matches(password: Secret, hash: Option<Secret>) -> Result<bool> {
    work(move || {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| Zeroizing::new(NOBODY.to_owned()));
        // A stored hash that cannot be read is nobody's.
        known & bcrypt::verify(password.as_bytes(), &hash).unwrap_or(false)
    })
    .await
}

async fn make(password: Secret) -> Result<Secret> {
    if password.len() > MAX_BYTES {
        // Vault's status for it, too.
        return Err(Error::internal("bcrypt: password length exceeds 72 bytes"));
    }
    // Go writes version 2a. The versions only tell apart faults that old implementations had.
    work(move || bcrypt::hash_with_result(password.as_bytes(), COST))
        .await?
        .map(|hash| Zeroizing::new(hash.format_for_version(Version::TwoA)))
        .map_err(|error: BcryptError| {
            Error::internal(format!("the password was not hashed: {error}"))
        })
}

fn foreign(hash: &Secret) -> Result<Secret> {
    let parts = HashParts::from_str(hash)
        .map_err(|_| Error::invalid("password_hash is not a valid bcrypt hash"))?;
    let cost = parts.get_cost();
    if cost < *COSTS.start() {
        return Err(Error::invalid(format!(
            "bcrypt cost of {cost} is too low, want {} at minimum",
            COSTS.start()
        )));
    }
    if cost > *COSTS.end() {
        return Err(Error::invalid(format!(
            "bcrypt cost of {cost} exceeds maximum cost of {}",
            COSTS.end()
        )));
    }
    Ok(hash.clone())
}

/// Runs bcrypt where it holds up nobody.
async fn work<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let _admitted = ADMITTED.try_acquire().map_err(|_| {
        Error::unavailable("too many logins wait for their passwords to be checked; try again")
    })?;
    let closed = |_| Error::internal("no more passwords are checked: the process ends");
    let turn = Arc::clone(&RUNNING).acquire_owned().await.map_err(closed)?;
    // The turn ends with the work, also if the request is given up meanwhile.
    let task = task::spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    task.await.map_err(|_| Error::internal("checking a password failed; the log says where"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Zeroizing::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_hash_made_by_go_is_matched_and_ours_has_its_form() {
        let go = "$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga";
        assert!(matches(secret("allmine"), Some(secret(go))).await.unwrap());
        assert!(!matches(secret("allyours"), Some(secret(go))).await.unwrap());
        let ours = hash(Some(&secret("pässword")), None).await.unwrap();
        assert!(ours.starts_with("$2a$10$") && ours.len() == 60);
        assert!(matches(secret("pässword"), Some(ours)).await.unwrap());
    }

    #[tokio::test]
    async fn nobody_has_no_password() {
        assert!(bcrypt::verify("x", NOBODY).is_ok(), "the hash must cost what a real one costs");
        assert!(!matches(secret("x"), None).await.unwrap());
        assert!(!matches(secret("x"), Some(secret("junk"))).await.unwrap());
    }

    #[tokio::test]
    async fn hashes_from_elsewhere_are_checked() {
        let tail = "N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";
        for (hash, error) in [
            ("junk".to_owned(), Some("password_hash is not a valid bcrypt hash")),
            (format!("$2b$04${tail}"), Some("bcrypt cost of 4 is too low, want 5 at minimum")),
            (format!("$2b$13${tail}"), Some("bcrypt cost of 13 exceeds maximum cost of 12")),
            (format!("$2y$05${tail}"), None),
            (format!("$2a$12${tail}"), None),
        ] {
            let outcome = super::hash(None, Some(&secret(&hash))).await;
            assert_eq!(outcome.err().map(|e| e.to_string()).as_deref(), error, "{hash}");
        }
    }

    #[tokio::test]
    async fn a_password_of_72_bytes_is_the_longest() {
        assert!(hash(Some(&secret(&"p".repeat(72))), None).await.is_ok());
        assert!(hash(Some(&secret(&"p".repeat(73))), None).await.is_err());
    }
}
