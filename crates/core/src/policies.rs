//! The policy store, and the compiled access lists made from it.
//!
//! One compiled list serves every token with the same set of policies; where one of these has
//! templates, every token of the same entity. A change of any policy forgets all lists. What a rule
//! means is the room `policy`'s business.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use boltwork_logical::{Entry, Error, Storage};
use boltwork_policy::{Acl, DEFAULT, Policy, RESPONSE_WRAPPING, Substitute};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use crate::identity::Standing;

/// Most compiled lists kept at once; beyond it the cache starts anew.
const MAX_COMPILED: usize = 4096;

/// Longest policy text, in bytes.
const MAX_POLICY: usize = 1 << 20;

/// Policies by name, and compiled sets of them.
pub struct Policies {
    /// `sys/policy/`.
    storage: Arc<dyn Storage>,
    parsed: RwLock<HashMap<String, Option<Arc<Policy>>>>,
    /// For callers without an identity; with one, where that makes no difference.
    compiled: RwLock<HashMap<Vec<String>, Compiled>>,
    root: Arc<Acl>,
    generation: AtomicU64,
    writes: tokio::sync::Mutex<()>,
}

/// A compiled list.
#[derive(Clone)]
struct Compiled {
    acl: Arc<Acl>,
    /// It depends on who asks.
    templated: bool,
}

/// Whether no rule of a compiled list has expired since.
pub fn is_current(acl: &Acl) -> bool {
    acl.valid_until().is_none_or(|until| SystemTime::now() < until)
}

/// A caller without an identity: rules whose path depends on one do not apply.
struct Nobody;

impl Substitute for Nobody {
    fn value(&self, _directive: &str) -> Option<String> {
        None
    }
}

/// A stored policy, in Vault's form.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(rename = "Version", default)]
    version: u32,
    #[serde(rename = "Raw")]
    raw: String,
    #[serde(rename = "Templated", default)]
    templated: bool,
    #[serde(rename = "Type", default)]
    kind: u32,
}

impl Policies {
    /// Policies kept under `storage` (`sys/policy/`).
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self {
            storage,
            parsed: RwLock::default(),
            compiled: RwLock::default(),
            root: Arc::new(Acl::root()),
            generation: AtomicU64::new(1),
            writes: tokio::sync::Mutex::default(),
        }
    }

    /// Writes the built-in policies where they are missing; `default` may be edited and stays so.
    pub async fn seed(&self) -> Result<(), Error> {
        for (name, text) in [DEFAULT, RESPONSE_WRAPPING] {
            if self.storage.get(name).await?.is_none() {
                self.store(name, text).await?;
            }
        }
        Ok(())
    }

    /// Changes with every change of a policy: whoever keeps a compiled list compares.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The compiled list of a set of policies, for a caller with this identity or with none; names
    /// without a policy give nothing.
    pub async fn acl(&self, names: &[String], who: Option<&Standing>) -> Result<Arc<Acl>, Error> {
        if names.iter().any(|n| n == "root") {
            return Ok(Arc::clone(&self.root));
        }
        let generation = self.generation();
        let shared = self.compiled.read().get(names).cloned();
        let depends = shared.as_ref().is_none_or(|shared| shared.templated);
        let known = match who {
            Some(who) if depends => who.compiled(generation, names),
            _ => shared.map(|shared| shared.acl),
        };
        if let Some(acl) = known
            && is_current(&acl)
        {
            return Ok(acl);
        }
        self.compile(names, who, generation).await
    }

    async fn compile(
        &self,
        names: &[String],
        who: Option<&Standing>,
        generation: u64,
    ) -> Result<Arc<Acl>, Error> {
        let mut policies = Vec::with_capacity(names.len());
        for name in names {
            policies.extend(self.parsed(name).await?);
        }
        let templated = policies.iter().any(|policy| policy.is_templated());
        if templated {
            let by: &dyn Substitute = who.map_or(&Nobody, |who| who as &dyn Substitute);
            for policy in &mut policies {
                *policy = Arc::new(policy.resolve(by));
            }
        }
        let acl = Arc::new(Acl::compile(policies.iter().map(AsRef::as_ref)));
        if let (true, Some(who)) = (templated, who) {
            who.keep(generation, names, &acl);
            return Ok(acl);
        }
        let mut compiled = self.compiled.write();
        if self.generation() == generation {
            if compiled.len() >= MAX_COMPILED {
                compiled.clear();
            }
            compiled.insert(names.to_vec(), Compiled { acl: Arc::clone(&acl), templated });
        }
        Ok(acl)
    }

    async fn parsed(&self, name: &str) -> Result<Option<Arc<Policy>>, Error> {
        if let Some(known) = self.parsed.read().get(name) {
            return Ok(known.clone());
        }
        let generation = self.generation();
        let policy = match self.text(name).await? {
            Some(text) => {
                let policy = Policy::parse(name, &text).map_err(|e| {
                    Error::internal(format!("stored policy {name:?} cannot be read: {e}"))
                })?;
                Some(Arc::new(policy))
            }
            None => None,
        };
        let mut parsed = self.parsed.write();
        if self.generation() == generation {
            if parsed.len() >= MAX_COMPILED {
                parsed.clear();
            }
            parsed.insert(name.to_owned(), policy.clone());
        }
        Ok(policy)
    }

    /// The text of a policy; `None` if there is none. `root` has an empty text.
    pub async fn text(&self, name: &str) -> Result<Option<String>, Error> {
        let name = name.to_lowercase();
        if name == "root" {
            return Ok(Some(String::new()));
        }
        let Some(entry) = self.storage.get(&name).await? else { return Ok(None) };
        let stored: Stored = serde_json::from_slice(&entry.value)
            .map_err(|_| Error::internal(format!("stored policy {name:?} is not valid JSON")))?;
        Ok(Some(stored.raw))
    }

    /// Stores a policy after checking it. Returns the parser's error as the caller's fault.
    pub async fn put(&self, name: &str, text: &str) -> Result<(), Error> {
        let name = name.to_lowercase();
        if name == "root" {
            return Err(Error::invalid("cannot update \"root\" policy"));
        }
        if name == RESPONSE_WRAPPING.0 {
            return Err(Error::invalid(format!("cannot update {name:?} policy")));
        }
        if text.len() > MAX_POLICY {
            return Err(Error::invalid(format!("a policy may have at most {MAX_POLICY} bytes")));
        }
        Policy::parse(&name, text)
            .map_err(|e| Error::invalid(format!("failed to parse policy: {e}")))?;
        self.store(&name, text).await
    }

    async fn store(&self, name: &str, text: &str) -> Result<(), Error> {
        let stored = Stored { version: 2, raw: text.to_owned(), templated: false, kind: 0 };
        let value = serde_json::to_vec(&stored).map_err(|e| Error::internal(e.to_string()))?;
        let _one_at_a_time = self.writes.lock().await;
        self.storage.put(Entry::new(name, value)).await?;
        self.forget();
        Ok(())
    }

    /// Removes a policy; no error if there is none.
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        let name = name.to_lowercase();
        if ["root", DEFAULT.0, RESPONSE_WRAPPING.0].contains(&name.as_str()) {
            let shown = if name == DEFAULT.0 { name } else { format!("{name:?}") };
            return Err(Error::invalid(format!("cannot delete {shown} policy")));
        }
        let _one_at_a_time = self.writes.lock().await;
        self.storage.delete(&name).await?;
        self.forget();
        Ok(())
    }

    /// Names of all policies, sorted, then `root`.
    pub async fn list(&self) -> Result<Vec<String>, Error> {
        let mut names = self.storage.list("").await?;
        names.retain(|n| n != RESPONSE_WRAPPING.0);
        names.sort();
        names.push("root".to_owned());
        Ok(names)
    }

    /// Forgets everything compiled; after a change, before it is acknowledged. Whoever sees the new
    /// generation finds nothing of the old one.
    fn forget(&self) {
        let (mut parsed, mut compiled) = (self.parsed.write(), self.compiled.write());
        self.generation.fetch_add(1, Ordering::AcqRel);
        parsed.clear();
        compiled.clear();
    }
}
