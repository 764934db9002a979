//! Making, finding and changing tokens.
//!
//! Storage below `sys/token/`: `id/<digest>` the entry, `accessor/<digest of accessor>` the way
//! back, `parent/<digest>/<digest>` the tree, `salt` the key of the digests.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use boltwork_barrier::Barrier;
use boltwork_logical::{Entry, Error, SecretText, Storage};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    Digest, Login, TokenEntry, TokenKind, batch,
    cache::{Cache, Live},
    digest::Digester,
    entry::{Life, REVOCATION_PENDING, now},
    expiry::Expiry,
    rights::Rights,
};
use crate::{
    identity::IdentityStore,
    leases::Leases,
    metrics::Counter,
    policies::{Policies, is_current},
};

/// Locks that serialise changes of one token: a power of two, more than there are cores.
const STRIPES: usize = 64;

/// Length of the random part of a token, in base62 characters (143 bits).
const TOKEN_LENGTH: usize = 24;

/// Attempts to store a token whose parent others change at the same time.
const ATTEMPTS: usize = 8;

/// After how many seconds a token whose last use was spent is revoked, if the request that spent it
/// did not see to that.
const ABANDONED: u64 = 300;

/// Whether looking at a token uses it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Spend {
    /// It is only looked at.
    Nothing,
    /// A use is spent, where the token has a limited number of them.
    OneUse,
}

/// A token that is good for this request.
pub struct Known {
    /// The token, as it was before this use.
    pub entry: Arc<TokenEntry>,
    /// What it may do.
    pub rights: Rights,
    /// This was its last use.
    pub last_use: bool,
}

/// Tokens of an unsealed server.
pub struct TokenStore {
    pub(super) storage: Arc<dyn Storage>,
    /// Where tokens keep things for themselves, below their digests.
    pub(super) cubbyholes: Arc<dyn Storage>,
    pub(super) policies: Arc<Policies>,
    pub(super) identity: Arc<IdentityStore>,
    /// What tokens were given, and what ends with them.
    pub(super) leases: Arc<Leases>,
    pub(super) cache: Cache,
    pub(super) expiry: Expiry,
    /// Encrypts batch tokens.
    pub(super) barrier: Barrier,
    /// Tokens made since the store was opened, by kind.
    pub made_service: Counter,
    pub made_batch: Counter,
    pub(super) tidying: std::sync::atomic::AtomicBool,
    digester: Digester,
    stripes: Vec<tokio::sync::Mutex<()>>,
}

/// A token to be made.
#[derive(Default)]
pub struct NewToken {
    /// The token itself, for root tokens with a chosen id; `None` makes a random one.
    pub id: Option<SecretText>,
    /// Digest of the parent; `None` for an orphan.
    pub parent: Option<Digest>,
    /// Policies; sorted and made unique here.
    pub policies: Vec<String>,
    /// Where it is made.
    pub path: String,
    /// Facts.
    pub meta: Option<BTreeMap<String, String>>,
    /// For humans.
    pub display_name: String,
    /// Uses; 0 is no limit.
    pub num_uses: i64,
    /// Seconds; 0 never expires.
    pub ttl: u64,
    /// Seconds after creation, hard end; 0 is none.
    pub explicit_max_ttl: u64,
    /// Seconds; 0 is not periodic.
    pub period: u64,
    /// May be renewed.
    pub renewable: bool,
    /// Networks it may be used from.
    pub bound_cidrs: Vec<String>,
    /// Service or batch.
    pub kind: TokenKind,
    /// Role of the token store that it is made with.
    pub role: String,
    /// Entity of whoever holds it.
    pub entity_id: String,
    /// The login it comes from.
    pub login: Option<Box<Login>>,
}

/// What stands under an accessor.
#[derive(Serialize, Deserialize)]
pub(super) struct AccessorEntry {
    pub(super) token_digest: String,
    accessor_id: String,
}

impl TokenStore {
    /// Opens the store; makes its salt the first time.
    pub async fn open(
        storage: Arc<dyn Storage>,
        cubbyholes: Arc<dyn Storage>,
        policies: Arc<Policies>,
        identity: Arc<IdentityStore>,
        leases: Arc<Leases>,
        barrier: Barrier,
    ) -> Result<Self, Error> {
        let salt = match storage.get("salt").await? {
            Some(entry) => entry.value,
            None => {
                let salt = Zeroizing::new(random_text(43).expose().as_bytes().to_vec());
                storage
                    .put(Entry { key: "salt".into(), value: salt.clone(), seal_wrap: false })
                    .await?;
                salt
            }
        };
        Ok(Self {
            storage,
            cubbyholes,
            policies,
            identity,
            leases,
            cache: Cache::default(),
            expiry: Expiry::default(),
            barrier,
            made_service: Counter::default(),
            made_batch: Counter::default(),
            tidying: std::sync::atomic::AtomicBool::new(false),
            digester: Digester::new(&salt),
            stripes: (0..STRIPES).map(|_| tokio::sync::Mutex::default()).collect(),
        })
    }

    /// How many stored tokens end some time.
    pub fn ending(&self) -> u64 {
        self.expiry.len() as u64
    }

    /// Where tokens keep things for themselves, below `<digest>/`.
    pub fn cubbyholes(&self) -> &dyn Storage {
        self.cubbyholes.as_ref()
    }

    /// The digest that a token is stored under.
    pub fn digest(&self, token: &str) -> Digest {
        self.digester.digest(token)
    }

    pub(super) async fn lock(&self, digest: &Digest) -> tokio::sync::MutexGuard<'_, ()> {
        self.stripes[digest.shard(STRIPES)].lock().await
    }

    /// Finds a token for a request, and spends one use of it if that is wanted. `None`: there is no
    /// such token, or it has ended, or it may not be used from the address that `from` names.
    pub async fn authenticate(
        &self,
        token: &str,
        digest: &Digest,
        spend: Spend,
        from: impl FnOnce() -> Option<IpAddr>,
    ) -> Result<Option<Known>, Error> {
        if batch::is_batch(token) {
            return self.authenticate_batch(token, from).await;
        }
        let generation = self.policies.generation();
        if let Some(live) = self.cache.get(digest)
            && live.generation == generation
            && is_current(&live.acl)
            && self.stands(&live.entry, live.standing.as_ref())
        {
            let welcome = live.entry.is_alive(now()) && live.entry.admits(from);
            let rights = Rights { acl: live.acl, standing: live.standing, barred: false };
            return Ok(welcome.then_some(Known { entry: live.entry, rights, last_use: false }));
        }
        self.authenticate_from_storage(digest, generation, spend, from).await
    }

    async fn authenticate_from_storage(
        &self,
        digest: &Digest,
        generation: u64,
        spend: Spend,
        from: impl FnOnce() -> Option<IpAddr>,
    ) -> Result<Option<Known>, Error> {
        // Under the token's lock, so that a revocation cannot slip between reading and caching,
        // and each use is counted once.
        let _guard = self.lock(digest).await;
        let Some(entry) = self.load(digest).await? else { return Ok(None) };
        if !entry.is_alive(now()) || entry.num_uses < 0 || !entry.admits(from) {
            return Ok(None);
        }
        let rights = self.rights(&entry).await?;
        let entry = Arc::new(entry);
        if entry.num_uses == 0 {
            if !rights.barred {
                let Rights { acl, standing, .. } = rights.clone();
                let live = Live { entry: Arc::clone(&entry), acl, standing, generation };
                self.cache.put(*digest, live);
            }
            return Ok(Some(Known { entry, rights, last_use: false }));
        }
        if spend == Spend::Nothing {
            return Ok(Some(Known { entry, rights, last_use: false }));
        }
        let after = self.spend_locked(digest, &entry).await?;
        // The holder sees what is left, and on the last use a token that still is one.
        let last_use = after.num_uses == REVOCATION_PENDING;
        let entry = if last_use { entry } else { Arc::new(after) };
        Ok(Some(Known { entry, rights, last_use }))
    }

    async fn authenticate_batch(
        &self,
        token: &str,
        from: impl FnOnce() -> Option<IpAddr>,
    ) -> Result<Option<Known>, Error> {
        let Some(entry) = self.living_batch(token).await? else { return Ok(None) };
        if !entry.admits(from) {
            return Ok(None);
        }
        let rights = self.rights(&entry).await?;
        Ok(Some(Known { entry: Arc::new(entry), rights, last_use: false }))
    }

    /// Counts a use; what is stored then. The caller holds the token's lock.
    async fn spend_locked(&self, digest: &Digest, entry: &TokenEntry) -> Result<TokenEntry, Error> {
        let mut after = entry.clone();
        if entry.num_uses == 1 {
            after.num_uses = REVOCATION_PENDING;
            // Whoever uses it revokes it afterwards. If that is cut short, this does it.
            self.expiry.schedule(*digest, now() + ABANDONED);
        } else {
            after.num_uses -= 1;
        }
        self.save(digest, &after).await?;
        Ok(after)
    }

    /// Spends the use of a token that somebody else than its holder hands in. Of several callers at
    /// once, one gets it. `None`: it was not there to be spent.
    pub async fn spend(&self, digest: &Digest) -> Result<Option<TokenEntry>, Error> {
        let _guard = self.lock(digest).await;
        let Some(entry) = self.load(digest).await? else { return Ok(None) };
        if !entry.is_alive(now()) || entry.num_uses < 0 {
            return Ok(None);
        }
        if entry.num_uses > 0 {
            self.spend_locked(digest, &entry).await?;
        }
        Ok(Some(entry))
    }

    /// Revokes a token in the background, now.
    pub fn revoke_soon(self: &Arc<Self>, digest: Digest) {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = this.revoke_tree(&digest).await {
                tracing::warn!(%error, "a spent token could not be removed; trying again later");
            }
        });
    }

    /// The entry of a token, alive or not.
    pub async fn load(&self, digest: &Digest) -> Result<Option<TokenEntry>, Error> {
        let Some(entry) = self.storage.get(&format!("id/{digest}")).await? else { return Ok(None) };
        serde_json::from_slice(&entry.value)
            .map(Some)
            .map_err(|_| Error::internal(format!("stored token {digest} is not valid JSON")))
    }

    pub(super) async fn save(&self, digest: &Digest, entry: &TokenEntry) -> Result<(), Error> {
        let value = serde_json::to_vec(entry).map_err(|e| Error::internal(e.to_string()))?;
        self.storage.put(Entry::new(format!("id/{digest}"), value)).await?;
        self.cache.forget(digest);
        Ok(())
    }

    /// Finds a living token of either kind, by the token; spends no use.
    pub async fn lookup_token(&self, token: &str) -> Result<Option<TokenEntry>, Error> {
        match batch::is_batch(token) {
            true => self.living_batch(token).await,
            false => self.lookup(&self.digest(token)).await,
        }
    }

    /// Finds a living service token; for lookups on behalf of somebody else, which spend no use.
    pub async fn lookup(&self, digest: &Digest) -> Result<Option<TokenEntry>, Error> {
        Ok(self.load(digest).await?.filter(|entry| entry.is_alive(now())))
    }

    /// The digest of the token with this accessor.
    pub async fn by_accessor(&self, accessor: &str) -> Result<Option<Digest>, Error> {
        let key = format!("accessor/{}", self.digester.digest(accessor));
        let Some(entry) = self.storage.get(&key).await? else { return Ok(None) };
        let stored: AccessorEntry = serde_json::from_slice(&entry.value)
            .map_err(|_| Error::internal("a stored token accessor is not valid JSON"))?;
        Ok(Digest::parse(&stored.token_digest))
    }

    /// All accessors, in no particular order. At most `limit`.
    pub async fn accessors(&self, limit: usize) -> Result<Vec<String>, Error> {
        let mut accessors = Vec::new();
        for key in self.storage.list_page("accessor/", "", Some(limit)).await? {
            if let Some(entry) = self.storage.get(&format!("accessor/{key}")).await?
                && let Ok(stored) = serde_json::from_slice::<AccessorEntry>(&entry.value)
            {
                accessors.push(stored.accessor_id);
            }
        }
        Ok(accessors)
    }

    /// Makes a token. All of it is stored at once or not at all.
    pub async fn create(&self, new: NewToken) -> Result<(SecretText, Arc<TokenEntry>), Error> {
        if new.kind == TokenKind::Batch {
            let made = self.make_batch(new.into_entry()).await?;
            self.made_batch.add();
            return Ok(made);
        }
        let token = match new.id {
            Some(ref id) => id.clone(),
            None => SecretText::new(format!("hvs.{}", random_text(TOKEN_LENGTH).expose())),
        };
        let digest = self.digest(token.expose());
        let entry = new.into_entry();
        let _guard = self.lock(&digest).await;
        // Before it is stored: whoever is cut short in between leaves no token that is never
        // removed. The end of a token that does not exist does nothing.
        self.expiry.schedule(digest, entry.life.expire_time);
        let mut left = ATTEMPTS;
        loop {
            left -= 1;
            match self.store_new(&digest, &entry).await {
                // Something else changed the parent: look again.
                Err(Error::Conflict(_)) if left > 0 => {}
                Err(error) => {
                    self.expiry.forget(&digest);
                    return Err(error);
                }
                Ok(()) => {
                    self.made_service.add();
                    return Ok((token, Arc::new(entry)));
                }
            }
        }
    }

    async fn store_new(&self, digest: &Digest, entry: &TokenEntry) -> Result<(), Error> {
        let accessor =
            AccessorEntry { token_digest: digest.to_string(), accessor_id: entry.accessor.clone() };
        let json = |e: serde_json::Error| Error::internal(e.to_string());
        let tx = self.storage.begin(false).await?;
        if tx.get(&format!("id/{digest}")).await?.is_some() {
            return Err(Error::invalid("cannot create a token with a duplicate ID"));
        }
        tx.put(Entry::new(format!("id/{digest}"), serde_json::to_vec(entry).map_err(json)?))
            .await?;
        let key = self.accessor_key(&entry.accessor);
        tx.put(Entry::new(key, serde_json::to_vec(&accessor).map_err(json)?)).await?;
        if !entry.parent.is_empty() {
            // Read in the transaction: a revocation of the parent that comes between makes the
            // commit fail, so that no child escapes it.
            let parent = tx.get(&format!("id/{}", entry.parent)).await?;
            let parent = parent.and_then(|e| serde_json::from_slice::<TokenEntry>(&e.value).ok());
            if parent.is_none_or(|p| !p.is_alive(now())) {
                return Err(Error::Denied);
            }
            tx.put(Entry::new(format!("parent/{}/{digest}", entry.parent), Vec::new())).await?;
        }
        tx.commit().await.map_err(Into::into)
    }

    /// The key under which an accessor is stored.
    pub(super) fn accessor_key(&self, accessor: &str) -> String {
        format!("accessor/{}", self.digester.digest(accessor))
    }

    /// Gives a token a new end. `ttl` in seconds from now, already within all limits; `login` as
    /// the auth method wants to be asked next time.
    pub async fn renew(
        &self,
        digest: &Digest,
        ttl: u64,
        login: Option<Box<Login>>,
    ) -> Result<TokenEntry, Error> {
        let _guard = self.lock(digest).await;
        let mut entry = self.lookup(digest).await?.ok_or(Error::Denied)?;
        if login.is_some() {
            entry.login = login;
        }
        entry.life.ttl = ttl;
        entry.life.last_renewal_time = now();
        entry.life.expire_time = now().saturating_add(ttl);
        self.save(digest, &entry).await?;
        self.expiry.schedule(*digest, entry.life.expire_time);
        Ok(entry)
    }
}

impl NewToken {
    fn into_entry(self) -> TokenEntry {
        let created = now();
        let mut policies = self.policies;
        policies.sort();
        policies.dedup();
        TokenEntry {
            accessor: match self.kind {
                TokenKind::Service => random_text(TOKEN_LENGTH).expose().to_owned(),
                // There is nothing stored to be found by it.
                TokenKind::Batch => String::new(),
            },
            parent: self.parent.map(|p| p.to_string()).unwrap_or_default(),
            policies,
            path: self.path,
            meta: self.meta,
            display_name: self.display_name,
            num_uses: self.num_uses,
            creation_time: i64::try_from(created).unwrap_or(i64::MAX),
            life: Life {
                ttl: self.ttl,
                creation_ttl: self.ttl,
                explicit_max_ttl: self.explicit_max_ttl,
                period: self.period,
                expire_time: if self.ttl == 0 { 0 } else { created.saturating_add(self.ttl) },
                last_renewal_time: 0,
                renewable: self.renewable,
                uses: self.num_uses,
            },
            role: self.role,
            entity_id: self.entity_id,
            bound_cidrs: self.bound_cidrs,
            kind: self.kind,
            login: self.login,
        }
    }
}

/// Random base62 text; the operating system's generator, no modulo bias.
fn random_text(length: usize) -> SecretText {
    use rand::distr::{Alphanumeric, SampleString};
    SecretText::new(Alphanumeric.sample_string(&mut rand::rng(), length))
}
