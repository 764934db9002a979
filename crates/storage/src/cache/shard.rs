//! One shard of the cache: slots, their eviction by second chance, and the marks of writes under way. Leaves out the
//! engine; see the rules at the top of the parent module.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::RwLock;

use super::CacheStats;

/// What a slot costs besides key and value: map entry, queue entry, allocation headers.
const OVERHEAD: usize = 160;

pub(super) enum Found {
    /// The engine holds this, or is known to hold nothing.
    Value(Option<Vec<u8>>),
    /// Ask the engine; the answer may be kept if the generation still stands, or not at all while a write is on.
    Nothing { may_fill_at: Option<u64> },
}

enum Content {
    Unknown,
    Known(Option<Vec<u8>>),
}

struct Slot {
    content: Content,
    /// Writes under way on this key.
    pending: u32,
    /// Two writes overlapped since `pending` was last zero.
    contested: bool,
    /// Read since the clock hand last passed.
    used: AtomicBool,
}

impl Slot {
    fn charge(&self, key: &str) -> usize {
        let value = match &self.content {
            Content::Known(Some(value)) => value.len(),
            Content::Known(None) | Content::Unknown => 0,
        };
        OVERHEAD + key.len() + value
    }
}

#[derive(Default)]
struct Slots {
    map: HashMap<Arc<str>, Slot>,
    /// Every key of `map` exactly once; the front is looked at next for eviction.
    clock: VecDeque<Arc<str>>,
    bytes: usize,
    generation: u64,
}

pub(super) struct Shard {
    slots: RwLock<Slots>,
    max_bytes: usize,
    /// Counted here and not for the whole cache, where every reader would meet on one number.
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Shard {
    pub(super) fn new(max_bytes: usize) -> Self {
        let (hits, misses) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { slots: RwLock::default(), max_bytes, hits, misses }
    }

    /// Whether a value of this length is kept at all.
    pub(super) fn keeps(&self, key: &str, len: usize) -> bool {
        OVERHEAD + key.len() + len <= self.max_bytes
    }

    pub(super) fn add_to(&self, stats: &mut CacheStats) {
        stats.hits += self.hits.load(Ordering::Relaxed);
        stats.misses += self.misses.load(Ordering::Relaxed);
        stats.bytes += self.slots.read().bytes as u64;
    }

    pub(super) fn find(&self, key: &str) -> Found {
        let slots = self.slots.read();
        let may_fill_at = match slots.map.get(key) {
            Some(Slot { content: Content::Known(value), used, .. }) => {
                // Written only when it changes, so that readers of one hot key share the cache line.
                if !used.load(Ordering::Relaxed) {
                    used.store(true, Ordering::Relaxed);
                }
                self.hits.fetch_add(1, Ordering::Relaxed);
                return Found::Value(value.clone());
            }
            Some(slot) if slot.pending > 0 => None,
            Some(_) | None => Some(slots.generation),
        };
        self.misses.fetch_add(1, Ordering::Relaxed);
        Found::Nothing { may_fill_at }
    }

    /// Keeps what the engine answered, if no write touched the shard since `generation`.
    pub(super) fn fill(&self, key: &str, value: Option<&[u8]>, generation: u64) {
        if !self.keeps(key, value.map_or(0, <[u8]>::len)) {
            return;
        }
        let mut slots = self.slots.write();
        if slots.generation == generation {
            slots.set(key, Content::Known(value.map(<[u8]>::to_vec)));
            slots.evict(self.max_bytes);
        }
    }

    /// A write to this key begins.
    pub(super) fn mark(&self, key: &Arc<str>) {
        let mut slots = self.slots.write();
        slots.generation += 1;
        slots.set(key, Content::Unknown);
        if let Some(slot) = slots.map.get_mut(key) {
            slot.contested |= slot.pending > 0;
            slot.pending += 1;
        }
        slots.evict(self.max_bytes);
    }

    /// The write has ended; `value` is what the key has now, if that is known to be worth keeping.
    pub(super) fn unmark(&self, key: &Arc<str>, value: Option<Vec<u8>>) {
        let mut slots = self.slots.write();
        slots.generation += 1;
        let Some(slot) = slots.map.get_mut(key) else { return };
        slot.pending = slot.pending.saturating_sub(1);
        let alone = !slot.contested;
        if slot.pending == 0 {
            slot.contested = false;
        }
        if let (true, Some(value)) = (alone, value) {
            slots.set(key, Content::Known(Some(value)));
            slots.evict(self.max_bytes);
        }
    }

    pub(super) fn clear(&self) {
        let mut slots = self.slots.write();
        slots.generation += 1;
        slots.evict(0);
    }
}

impl Slots {
    fn set(&mut self, key: &str, content: Content) {
        if let Some(slot) = self.map.get_mut(key) {
            self.bytes -= slot.charge(key);
            slot.content = content;
            self.bytes += slot.charge(key);
            return;
        }
        let slot = Slot { content, pending: 0, contested: false, used: AtomicBool::new(false) };
        self.bytes += slot.charge(key);
        let key: Arc<str> = key.into();
        self.clock.push_back(key.clone());
        self.map.insert(key, slot);
    }

    /// Removes slots until the rest fits: first those not read since the hand last passed, never a pending one.
    fn evict(&mut self, max_bytes: usize) {
        // Two rounds clear every second chance; what is left then is pending.
        let mut steps = 2 * self.clock.len();
        while self.bytes > max_bytes && steps > 0 {
            steps -= 1;
            let Some(key) = self.clock.pop_front() else { return };
            let Some(slot) = self.map.get_mut(&key) else { continue };
            if slot.pending > 0 || std::mem::take(slot.used.get_mut()) {
                self.clock.push_back(key);
                continue;
            }
            self.bytes -= slot.charge(&key);
            self.map.remove(&key);
        }
    }
}
