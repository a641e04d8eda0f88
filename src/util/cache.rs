//! A sharded, scan-resistant cache with cheap hits, bounded by the sum of the charges of its entries.
//!
//! # Eviction
//! Each shard follows S3-FIFO ("FIFO queues are all you need for cache eviction", SOSP 2023):
//! - A new entry joins the *small* queue, which is limited to a tenth of the shard. At the end of that queue
//!   an entry that was hit twice moves to the main queue. Any other entry is evicted, and its fingerprint is
//!   remembered for a while.
//! - An entry whose fingerprint is still remembered when it is inserted joins the *main* queue at once. At
//!   the end of that queue an entry that was hit is queued again with one hit less; one that was not hit is
//!   evicted.
//!
//! So a scan passes through the small queue and leaves the main queue unchanged. A hit moves nothing: it
//! increments a count in the entry up to 3, and writes nothing once the count is 3.
//!
//! A caller that can do without inserting asks [`Cache::wants`] first: a full cache wants only values that
//! were missed twice. The first miss leaves the same fingerprint as an evicted entry, so the value then joins
//! the main queue.
//!
//! # Capacity
//! All shards share one capacity, so that a value far larger than a shard's share can be cached too. An
//! insertion first reserves the charge, then evicts until the reservations fit: from the value's own shard
//! down to half of its share, and then evenly from all shards. Evicted values are dropped with no lock held.
//! After an insertion, with no other insertion in progress, the total charge is at most the capacity. The
//! memory that a shard needs for itself (about 100 bytes per entry) is not charged.
//!
//! # A shard
//! The entries lie in a slab and are linked into their queue by index. An open-addressing table (linear
//! probing; removal moves the following entries back) has 32 bits of each entry's hash and its index, 8 bytes
//! per bucket, so that a lookup touches one cache line of the table and that of the entry.
//!
//! Thread rule: any thread at any time. A thread locks one shard at a time, and none while it drops a value.

use crate::util::fork::ProcessGeneration;
use crate::util::hash;
use crate::util::lock::Mutex;
use crate::util::sync::CachePadded;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// The smallest share of a shard, in bytes: 64 blocks of the usual size, enough for its queues to be
/// meaningful.
const MIN_SHARE: usize = 256 << 10;
/// The most shards a cache has; from 16 MiB on it has that many.
const MAX_SHARDS: usize = 64;
/// The small queue gets one part in this many of a shard.
const SMALL_QUEUE_FRACTION: usize = 10;
/// The hit count of an entry stops here.
const MAX_HITS: u8 = 3;
/// An entry of the small queue with this many hits moves to the main queue.
const PROMOTING_HITS: u8 = 2;

/// The identity of a cached value: its table and its offset there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CacheKey {
    /// The table's number in this cache, from `Cache::new_id`.
    pub id: u64,
    /// The offset of the block in its file, in bytes.
    pub offset: u64,
}

/// A sharded, scan-resistant cache bounded by the sum of its entries' charges.
pub struct Cache<V> {
    capacity: usize,
    process: ProcessGeneration,
    /// The charges of all entries, and of insertions in progress, in bytes.
    total_charge: CachePadded<AtomicUsize>,
    next_id: AtomicU64,
    shards: Shards<V>,
}

/// The cache of uncompressed blocks (LevelDB's `block_cache`).
pub type BlockCache = Cache<CachedBlock>;

/// The bytes of a block, shared, and the lookup index that was built for it, if one was.
#[derive(Clone)]
pub struct CachedBlock {
    block: Arc<[u8]>,
    /// Allocated apart from the block: adding a lookup index does not reallocate the block, and so leaves no
    /// hole in the heap.
    lookup_index: Option<Arc<[u8]>>,
}

/// An estimate of what an allocation takes in addition to its bytes.
const ALLOCATION_OVERHEAD: usize = 32;

impl CachedBlock {
    /// The same block (its bytes are shared) with this lookup index.
    pub fn with_lookup_index(&self, lookup_index: Vec<u8>) -> Self {
        CachedBlock { block: self.block.clone(), lookup_index: Some(lookup_index.into()) }
    }

    /// The bytes of the block.
    #[inline]
    pub fn block(&self) -> &[u8] {
        &self.block
    }

    /// The encoded lookup index; empty if there is none.
    #[inline]
    pub fn lookup_index(&self) -> &[u8] {
        self.lookup_index.as_deref().unwrap_or_default()
    }

    /// Bytes of memory of the block and its lookup index.
    pub(crate) fn memory_usage(&self) -> usize {
        self.block.len()
            + self.lookup_index.as_ref().map_or(0, |lookup_index| lookup_index.len() + ALLOCATION_OVERHEAD)
    }
}

impl From<&[u8]> for CachedBlock {
    fn from(block: &[u8]) -> Self {
        Arc::<[u8]>::from(block).into()
    }
}

impl From<Arc<[u8]>> for CachedBlock {
    fn from(bytes: Arc<[u8]>) -> Self {
        CachedBlock { block: bytes, lookup_index: None }
    }
}

/// The shards. They take no memory before the first use: many databases never read a block.
struct Shards<V> {
    /// A power of two.
    count: usize,
    small_queue_limit: usize,
    made: OnceLock<Box<[CachePadded<Shard<V>>]>>,
}

impl<V: Clone> Shards<V> {
    #[cold]
    fn make(&self) -> Box<[CachePadded<Shard<V>>]> {
        let new_shard = |_| {
            let state = Mutex::new(State::new(self.small_queue_limit));
            CachePadded::new(Shard { charge: AtomicUsize::new(0), state })
        };
        (0..self.count).map(new_shard).collect()
    }

    /// The shards, or none if they were not used yet.
    fn if_made(&self) -> &[CachePadded<Shard<V>>] {
        self.made.get().map_or(&[], |made| made)
    }
}

impl<V: Clone> Deref for Shards<V> {
    type Target = [CachePadded<Shard<V>>];

    #[inline]
    fn deref(&self) -> &Self::Target {
        self.made.get_or_init(|| self.make())
    }
}

struct Shard<V> {
    /// The charge of the shard's entries, in bytes. Written under the lock, read without.
    charge: AtomicUsize,
    state: Mutex<State<V>>,
}

impl<V: Clone> Cache<V> {
    /// A cache of `capacity` bytes (0: nothing is cached).
    pub fn new(capacity: usize) -> Self {
        let shards = (capacity / MIN_SHARE).clamp(1, MAX_SHARDS);
        let count = 1 << shards.ilog2();
        let small_queue_limit = capacity / count / SMALL_QUEUE_FRACTION;
        Cache {
            capacity,
            process: ProcessGeneration::current(),
            total_charge: CachePadded::new(AtomicUsize::new(0)),
            next_id: AtomicU64::new(1),
            shards: Shards { count, small_queue_limit, made: OnceLock::new() },
        }
    }

    /// The largest sum of charges, in bytes.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// True if this process made the cache. If the process inherited it by `fork`, a shard may be permanently
    /// locked.
    pub(crate) fn is_of_this_process(&self) -> bool {
        self.process.is_current()
    }

    /// A number that no other user of this cache has.
    pub(crate) fn new_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// The value, if it is cached.
    #[inline]
    pub(crate) fn get(&self, key: CacheKey) -> Option<V> {
        self.get_counted(key).map(|(value, _)| value)
    }

    /// The value, if it is cached, and its hit count, this hit included: at most 3.
    #[inline]
    pub(crate) fn get_counted(&self, key: CacheKey) -> Option<(V, u8)> {
        let hash = Hash::of(key);
        self.shards[self.shard_of(hash)].state.lock().get(key, hash.tag)
    }

    /// Caches a value that takes `charge` bytes, replacing the value under the same key. A value whose charge
    /// exceeds the capacity is not cached (the old value under its key is removed). A charge of 0 counts as
    /// 1.
    pub(crate) fn insert(&self, key: CacheKey, value: V, charge: usize) {
        let charge = charge.max(1);
        let hash = Hash::of(key);
        if charge > self.capacity {
            return self.remove(key);
        }
        let mut dropped = Vec::new();
        self.total_charge.fetch_add(charge, Ordering::Relaxed);
        let index = self.shard_of(hash);
        let mut state = self.shards[index].state.lock();
        let half_a_share = self.capacity / self.shards.len() / 2;
        let spare = state.charge().saturating_sub(half_a_share);
        self.evict(index, &mut state, spare, &mut dropped);
        if self.excess() > 0 {
            drop(state);
            self.evict_anywhere(hash.tag as usize, &mut dropped);
            if self.excess() > 0 {
                // Nothing is left to evict: concurrent insertions together reserve more than the capacity.
                self.total_charge.fetch_sub(charge, Ordering::Relaxed);
                return self.remove(key);
            }
            state = self.shards[index].state.lock();
        }
        let replaced = state.insert(Entry::new(key, hash.tag, value, charge));
        let freed = replaced.as_ref().map_or(0, |(_, charge)| *charge);
        self.shards[index].charge.store(state.charge(), Ordering::Relaxed);
        self.total_charge.fetch_sub(freed, Ordering::Relaxed);
        drop(state);
    }

    /// True if a value that was missed is worth inserting. While there is room for `charge` bytes, every
    /// value is. After that, only a value that was missed before, not too long ago, is: this call remembers
    /// the miss. So a block that is read once costs no insertion and no eviction, and evicts nothing.
    pub(crate) fn wants(&self, key: CacheKey, charge: usize) -> bool {
        if charge > self.capacity {
            return false;
        }
        if self.total_charge.load(Ordering::Relaxed) + charge <= self.capacity {
            return true;
        }
        let hash = Hash::of(key);
        self.shards[self.shard_of(hash)].state.lock().was_missed_before(hash.tag)
    }

    /// Removes the value under `key`, if there is one.
    pub(crate) fn remove(&self, key: CacheKey) {
        let hash = Hash::of(key);
        let shard = &self.shards[self.shard_of(hash)];
        let mut state = shard.state.lock();
        let removed = state.remove(key, hash.tag);
        if let Some((_, charge)) = &removed {
            shard.charge.store(state.charge(), Ordering::Relaxed);
            self.total_charge.fetch_sub(*charge, Ordering::Relaxed);
        }
        drop(state); // before the value is dropped
    }

    /// The sum of the charges of all entries, in bytes.
    pub fn total_charge(&self) -> usize {
        self.shards.if_made().iter().map(|shard| shard.charge.load(Ordering::Relaxed)).sum()
    }

    /// Removes all entries.
    pub fn clear(&self) {
        for shard in self.shards.if_made() {
            let mut state = shard.state.lock();
            let empty = State::new(state.small_queue_limit);
            let old = std::mem::replace(&mut *state, empty);
            shard.charge.store(0, Ordering::Relaxed);
            self.total_charge.fetch_sub(old.charge(), Ordering::Relaxed);
            drop(state);
            drop(old);
        }
    }

    #[inline]
    fn shard_of(&self, hash: Hash) -> usize {
        hash.shard as usize & (self.shards.len() - 1)
    }

    /// The bytes by which the reservations exceed the capacity.
    fn excess(&self) -> usize {
        self.total_charge.load(Ordering::Relaxed).saturating_sub(self.capacity)
    }

    /// Evicts from one shard until the reservations fit, or about `most` bytes were freed. True if any were.
    fn evict(&self, index: usize, state: &mut State<V>, most: usize, dropped: &mut Vec<V>) -> bool {
        let mut freed = 0;
        while freed < most && self.excess() > 0 {
            let Some((value, charge)) = state.evict_one() else { break };
            dropped.push(value);
            freed += charge;
            self.shards[index].charge.store(state.charge(), Ordering::Relaxed);
            self.total_charge.fetch_sub(charge, Ordering::Relaxed);
        }
        freed > 0
    }

    /// Evicts until the reservations fit or nothing is left: from each shard in turn an equal amount,
    /// beginning with `start`, in several rounds.
    #[cold]
    fn evict_anywhere(&self, start: usize, dropped: &mut Vec<V>) {
        let part = self.excess() / self.shards.len() + 1;
        let mut freed = true;
        while freed {
            freed = false;
            for step in 0..self.shards.len() {
                if self.excess() == 0 {
                    return;
                }
                let index = (start + step) & (self.shards.len() - 1);
                let mut state = self.shards[index].state.lock();
                freed |= self.evict(index, &mut state, part, dropped);
            }
        }
    }
}

/// The parts of a key's hash.
#[derive(Clone, Copy)]
struct Hash {
    shard: u32,
    tag: u32,
}

impl Hash {
    #[inline]
    fn of(key: CacheKey) -> Self {
        let hash = hash::mix64(key.id, key.offset);
        Hash { shard: (hash >> 32) as u32, tag: hash as u32 }
    }
}

/// The null index: the end of a queue, an empty bucket.
const NONE: u32 = u32::MAX;

/// A place in the slab, which holds an entry or is free. For the usual value, an `Arc<[u8]>`, it fills one
/// cache line.
#[repr(align(64))]
struct Entry<V> {
    key: CacheKey,
    /// `None` where the place is free.
    value: Option<V>,
    charge: usize,
    /// The neighbours in the queue. `older` also links the free places.
    newer: u32,
    older: u32,
    tag: u32,
    hits: u8,
    queue: QueueName,
}

impl<V> Entry<V> {
    fn new(key: CacheKey, tag: u32, value: V, charge: usize) -> Self {
        let (newer, older, queue) = (NONE, NONE, QueueName::Small);
        Entry { key, value: Some(value), charge, newer, older, tag, hits: 0, queue }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum QueueName {
    Small,
    Main,
}

/// The ends of a queue, and the charge of its entries.
struct Queue {
    newest: u32,
    oldest: u32,
    charge: usize,
}

const EMPTY_QUEUE: Queue = Queue { newest: NONE, oldest: NONE, charge: 0 };

/// A bucket of the table.
#[derive(Clone, Copy)]
struct Bucket {
    tag: u32,
    index: u32,
}

const EMPTY_BUCKET: Bucket = Bucket { tag: 0, index: NONE };

/// What the lock of a shard guards.
struct State<V> {
    entries: Vec<Entry<V>>,
    /// The first of the linked free places of `entries`.
    free: u32,
    /// Entries in use.
    count: usize,
    /// The length is a power of two; at most three quarters are in use. Empty at first.
    buckets: Vec<Bucket>,
    /// Tags of entries evicted from the small queue, and of values missed once. The low bits of a tag select
    /// its place. A newer tag overwrites the one at its place, so that tags are forgotten after about as many
    /// evictions as there are places. As long as `buckets`.
    fingerprints: Vec<u32>,
    queues: [Queue; 2],
    small_queue_limit: usize,
}

impl<V: Clone> State<V> {
    fn new(small_queue_limit: usize) -> Self {
        State {
            entries: Vec::new(),
            free: NONE,
            count: 0,
            buckets: Vec::new(),
            fingerprints: Vec::new(),
            queues: [EMPTY_QUEUE; 2],
            small_queue_limit,
        }
    }

    fn charge(&self) -> usize {
        self.queues[QueueName::Small as usize].charge + self.queues[QueueName::Main as usize].charge
    }

    /// The bucket of `key`.
    #[inline]
    fn find(&self, key: CacheKey, tag: u32) -> Option<usize> {
        if self.buckets.is_empty() {
            return None;
        }
        let mask = self.buckets.len() - 1;
        let mut place = tag as usize & mask;
        loop {
            let bucket = self.buckets[place];
            if bucket.index == NONE {
                return None;
            }
            if bucket.tag == tag && self.entries[bucket.index as usize].key == key {
                return Some(place);
            }
            place = (place + 1) & mask;
        }
    }

    #[inline]
    fn get(&mut self, key: CacheKey, tag: u32) -> Option<(V, u8)> {
        let place = self.find(key, tag)?;
        let entry = &mut self.entries[self.buckets[place].index as usize];
        if entry.hits < MAX_HITS {
            entry.hits += 1;
        }
        entry.value.clone().map(|value| (value, entry.hits))
    }

    /// Inserts an entry, and returns the value and the charge of the one it replaces. A replaced entry's
    /// position in its queue and its hits are kept.
    fn insert(&mut self, mut entry: Entry<V>) -> Option<(V, usize)> {
        if let Some(place) = self.find(entry.key, entry.tag) {
            let old = &mut self.entries[self.buckets[place].index as usize];
            let queue = &mut self.queues[old.queue as usize];
            queue.charge = queue.charge - old.charge + entry.charge;
            let charge = std::mem::replace(&mut old.charge, entry.charge);
            let value = std::mem::replace(&mut old.value, entry.value);
            return value.map(|value| (value, charge));
        }
        self.grow_if_full();
        let tag = entry.tag;
        let place = tag as usize & (self.fingerprints.len() - 1);
        // Tag 0 looks like an empty place: an entry with that tag may be treated as remembered, which does no
        // harm.
        if self.fingerprints[place] == tag {
            entry.queue = QueueName::Main;
            self.fingerprints[place] = 0;
        }
        let queue = entry.queue;
        let index = self.allocate(entry);
        self.push_newest(index, queue);
        self.add_bucket(Bucket { tag, index });
        self.count += 1;
        None
    }

    /// True if the fingerprint is remembered. It is remembered from this call on.
    fn was_missed_before(&mut self, tag: u32) -> bool {
        if self.fingerprints.is_empty() {
            return true;
        }
        let place = tag as usize & (self.fingerprints.len() - 1);
        std::mem::replace(&mut self.fingerprints[place], tag) == tag
    }

    fn remove(&mut self, key: CacheKey, tag: u32) -> Option<(V, usize)> {
        let place = self.find(key, tag)?;
        let index = self.buckets[place].index;
        self.unlink(index);
        self.remove_bucket(place);
        self.release(index)
    }

    /// Evicts the first entry that has no claim to stay. Every entry that is passed has lost a hit or left
    /// the small queue, so that hits and insertions pay for the work.
    fn evict_one(&mut self) -> Option<(V, usize)> {
        loop {
            let small = &self.queues[QueueName::Small as usize];
            let main = &self.queues[QueueName::Main as usize];
            let small_is_full = small.charge >= self.small_queue_limit && small.oldest != NONE;
            let from_small = small_is_full || main.oldest == NONE;
            let index = if from_small { small.oldest } else { main.oldest };
            if index == NONE {
                return None;
            }
            let entry = &mut self.entries[index as usize];
            let (stays, tag) = match entry.queue {
                QueueName::Small => (entry.hits >= PROMOTING_HITS, entry.tag),
                QueueName::Main => (entry.hits > 0, entry.tag),
            };
            if stays {
                entry.hits = if from_small { 0 } else { entry.hits - 1 };
                self.unlink(index);
                self.push_newest(index, QueueName::Main);
                continue;
            }
            if from_small {
                let place = tag as usize & (self.fingerprints.len() - 1);
                self.fingerprints[place] = tag;
            }
            self.unlink(index);
            let place = self.bucket_of(index);
            self.remove_bucket(place);
            return self.release(index);
        }
    }

    fn unlink(&mut self, index: u32) {
        let entry = &self.entries[index as usize];
        let (newer, older, charge, queue) = (entry.newer, entry.older, entry.charge, entry.queue);
        let queue = &mut self.queues[queue as usize];
        queue.charge -= charge;
        match newer {
            NONE => queue.newest = older,
            newer => self.entries[newer as usize].older = older,
        }
        match older {
            NONE => queue.oldest = newer,
            older => self.entries[older as usize].newer = newer,
        }
    }

    fn push_newest(&mut self, index: u32, name: QueueName) {
        let queue = &mut self.queues[name as usize];
        let entry = &mut self.entries[index as usize];
        entry.queue = name;
        entry.newer = NONE;
        entry.older = queue.newest;
        queue.charge += entry.charge;
        match std::mem::replace(&mut queue.newest, index) {
            NONE => queue.oldest = index,
            older => self.entries[older as usize].newer = index,
        }
    }

    /// Puts `entry` into a place of the slab. Indexes stay below `NONE`: that many entries would take 256
    /// GiB.
    fn allocate(&mut self, entry: Entry<V>) -> u32 {
        if self.free == NONE {
            self.entries.push(entry);
            return (self.entries.len() - 1) as u32;
        }
        let index = self.free;
        let place = &mut self.entries[index as usize];
        self.free = place.older;
        *place = entry;
        index
    }

    /// Frees a place of the slab, and returns the value and the charge that were there.
    fn release(&mut self, index: u32) -> Option<(V, usize)> {
        let entry = &mut self.entries[index as usize];
        entry.older = std::mem::replace(&mut self.free, index);
        self.count -= 1;
        let charge = entry.charge;
        entry.value.take().map(|value| (value, charge))
    }

    fn add_bucket(&mut self, bucket: Bucket) {
        let mask = self.buckets.len() - 1;
        let mut place = bucket.tag as usize & mask;
        while self.buckets[place].index != NONE {
            place = (place + 1) & mask;
        }
        self.buckets[place] = bucket;
    }

    /// The bucket of an entry that is in the table.
    fn bucket_of(&self, index: u32) -> usize {
        let mask = self.buckets.len() - 1;
        let mut place = self.entries[index as usize].tag as usize & mask;
        while self.buckets[place].index != index {
            place = (place + 1) & mask;
        }
        place
    }

    /// Empties a bucket. Following entries that could not be found any more are moved back.
    fn remove_bucket(&mut self, mut hole: usize) {
        let mask = self.buckets.len() - 1;
        let mut place = hole;
        loop {
            place = (place + 1) & mask;
            let bucket = self.buckets[place];
            if bucket.index == NONE {
                break;
            }
            // The entry may move into the hole if the hole lies between the entry's home bucket and its
            // place.
            let distance_from_home = place.wrapping_sub(bucket.tag as usize) & mask;
            let distance_from_hole = place.wrapping_sub(hole) & mask;
            if distance_from_home >= distance_from_hole {
                self.buckets[hole] = bucket;
                hole = place;
            }
        }
        self.buckets[hole] = EMPTY_BUCKET;
    }

    /// Ensures room in the table for one more entry.
    fn grow_if_full(&mut self) {
        if (self.count + 1) * 4 <= self.buckets.len() * 3 {
            return;
        }
        let length = (self.buckets.len() * 2).max(16);
        let buckets = std::mem::replace(&mut self.buckets, vec![EMPTY_BUCKET; length]);
        for bucket in buckets {
            if bucket.index != NONE {
                self.add_bucket(bucket);
            }
        }
        let fingerprints = std::mem::replace(&mut self.fingerprints, vec![0; length]);
        for tag in fingerprints {
            self.fingerprints[tag as usize & (length - 1)] = tag;
        }
    }
}

#[cfg(test)]
mod tests;
