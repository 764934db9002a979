//! Live tokens in memory, so that an ordinary request touches no storage.
//!
//! A token with a limited number of uses is never kept here: each use must be counted on disk.

use std::{collections::HashMap, sync::Arc};

use boltwork_policy::Acl;
use parking_lot::RwLock;

use super::{Digest, TokenEntry};
use crate::identity::Standing;

const SHARDS: usize = 16;

/// Most tokens kept per shard; beyond it the shard starts anew.
const MAX_PER_SHARD: usize = 4096;

/// A token with its compiled access list, good for one generation of policies and for one standing
/// of its entity.
#[derive(Clone)]
pub struct Live {
    pub entry: Arc<TokenEntry>,
    pub acl: Arc<Acl>,
    pub standing: Option<Arc<Standing>>,
    pub generation: u64,
}

/// Live tokens by digest.
#[derive(Default)]
pub struct Cache {
    shards: [RwLock<HashMap<Digest, Live>>; SHARDS],
}

impl Cache {
    pub fn get(&self, digest: &Digest) -> Option<Live> {
        self.shards[digest.shard(SHARDS)].read().get(digest).cloned()
    }

    pub fn put(&self, digest: Digest, live: Live) {
        let mut shard = self.shards[digest.shard(SHARDS)].write();
        if shard.len() >= MAX_PER_SHARD {
            shard.clear();
        }
        shard.insert(digest, live);
    }

    pub fn forget(&self, digest: &Digest) {
        self.shards[digest.shard(SHARDS)].write().remove(digest);
    }
}
