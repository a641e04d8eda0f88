//! A sorted list of internal keys and their values in an arena: one writer, any number of readers, no locks.
//!
//! A node is one allocation, and the fields that a search reads are adjacent:
//!
//! ```text
//! | next node at level h-1 | ... | at level 1 | at level 0 | prefix u64 | user key length u32 |
//! | value length u32 | user key | trailer (8 bytes) | value |
//!                                               ^ a node's address is that of its level-0 link
//! ```
//! With the bytewise comparator the prefix is the first 8 bytes of the user key as a big-endian integer,
//! padded with zeros: most comparisons are then comparisons of two integers. With any other comparator all
//! prefixes are 0. If two prefixes are equal, the keys are compared.
//!
//! The list of level `l` has a quarter of the nodes of the level below. Nodes are never removed, and never
//! change after they are linked, except for their links. The arena frees all nodes when the list is dropped.
//!
//! Thread rule: only the [`SkipListWriter`] allocates and links, and there is one per list. It fills a node
//! and then stores the node's address in the preceding links with release ordering. Readers load links with
//! acquire ordering, so that they see the whole contents of a node whose address they see. A reader sees a
//! node at level 0 no later than at higher levels.
//!
//! The writer remembers the place of its last insertion (the trail). A key that belongs directly after the
//! last one needs no search, so that each of a sequence of ascending keys is inserted in constant time.
//!
//! With the bytewise comparator there is also a hash index (`index`) for lookups of single keys.
//!
//! A comparator that contradicts itself makes searches miss keys, and has no worse effect: the links of each
//! level form a chain that ends.
#![allow(unsafe_code)]

use crate::error::{Error, Result};
use crate::format::internal_key::{self, InternalKeyComparator, SequenceNumber, TRAILER_SIZE, ValueType};
use crate::util::arena::Arena;
use crate::util::arena::blocks::BlockStore;
use crate::util::hash::hash64;
use crate::util::lock::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use crate::util::random::Random;
use std::alloc::Layout;
use std::cmp::Ordering as Order;
use std::path::Path;
use std::ptr;
use std::sync::Arc;

mod estimate;
mod index;
mod iterator;

pub use iterator::SkipListIterator;

use index::{Filled, Index, IndexWriter, Indexed};

/// The number of levels; with a branching factor of 4 enough for 16 million entries.
const MAX_HEIGHT: usize = if cfg!(loom) { 3 } else { 12 };

/// The fixed part of a node. The links of higher levels precede it; key and value follow it.
#[repr(C)]
struct Node {
    next: AtomicPtr<Node>,
    prefix: u64,
    user_key_length: u32,
    value_length: u32,
}

/// The address of a node, with the right to access its whole allocation. Null after the end of the list.
type NodePtr = *mut Node;

/// A lookup at an older sequence number skips at most this many newer versions of its key before it searches
/// from the top.
const VERSIONS_TO_WALK: usize = 8;
/// The error number for a lack of memory (ENOMEM).
const ENOMEM: i32 = 12;
const LINK_SIZE: usize = size_of::<AtomicPtr<Node>>();
/// The bytes of a node of height 1 without user key and value.
const NODE_OVERHEAD: usize = size_of::<Node>() + TRAILER_SIZE;

/// The link of `node` at `level`.
///
/// # Safety
/// `node` is a node of a live list and higher than `level`.
#[inline(always)]
unsafe fn link<'a>(node: NodePtr, level: usize) -> &'a AtomicPtr<Node> {
    // SAFETY: links precede one another in memory, starting with the link of level 0 at the node's address;
    // the caller promises that there is a link of this level.
    unsafe { &*node.cast::<AtomicPtr<Node>>().sub(level) }
}

/// The node after `node` at `level`.
///
/// # Safety
/// `node` is a node of a live list and higher than `level`.
#[inline(always)]
unsafe fn next(node: NodePtr, level: usize) -> NodePtr {
    // SAFETY: as the caller promises.
    unsafe { link(node, level) }.load(Ordering::Acquire)
}

/// The internal key of `node`.
///
/// # Safety
/// `node` is a node, but not the head, of a list that outlives `'a`.
#[inline(always)]
unsafe fn key<'a>(node: NodePtr) -> &'a [u8] {
    // SAFETY: every node except the head was written with a key of this length after its fixed part, which
    // never changes.
    unsafe {
        let start = node.add(1).cast::<u8>();
        std::slice::from_raw_parts(start, (*node).user_key_length as usize + TRAILER_SIZE)
    }
}

/// The value of `node`.
///
/// # Safety
/// As for `key`.
#[inline(always)]
unsafe fn value<'a>(node: NodePtr) -> &'a [u8] {
    // SAFETY: the value follows the key, in the same allocation, and never changes.
    unsafe {
        let start = node.add(1).cast::<u8>().add((*node).user_key_length as usize + TRAILER_SIZE);
        std::slice::from_raw_parts(start, (*node).value_length as usize)
    }
}

/// Prefetches the first cache line of `node` for a coming comparison. Any address is allowed.
#[inline(always)]
fn prefetch(node: NodePtr) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch only affects the cache and never faults; every x86-64 processor has it.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(node.cast_const().cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = node;
}

/// The parts of the key that is searched for.
struct Target<'a> {
    prefix: u64,
    user_key: &'a [u8],
    trailer: u64,
}

/// The first 8 bytes of `user_key` as an integer with the same order; shorter keys are padded with zeros.
#[inline]
fn prefix_of(user_key: &[u8]) -> u64 {
    match user_key.first_chunk::<8>() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => user_key.iter().rev().fold(0, |prefix, &byte| prefix >> 8 | u64::from(byte) << 56),
    }
}

/// The bytewise order of two keys with the same prefix. Compares by words: keys are mostly short and share
/// their beginnings, and a call of memcmp costs more than comparing a few words.
#[inline]
fn compare_past_prefix(a: &[u8], b: &[u8]) -> Order {
    let (a_words, a_tail) = a.as_chunks::<8>();
    let (b_words, b_tail) = b.as_chunks::<8>();
    for (a_word, b_word) in a_words.iter().zip(b_words).skip(1) {
        if a_word != b_word {
            return u64::from_be_bytes(*a_word).cmp(&u64::from_be_bytes(*b_word));
        }
    }
    if a_words.len() == b_words.len() {
        a_tail.cmp(b_tail)
    } else {
        let common = a_words.len().min(b_words.len()) * 8;
        a[common..].cmp(&b[common..])
    }
}

/// The hash of a user key in the index.
#[inline(always)]
fn hash_of(user_key: &[u8]) -> u64 {
    hash64(user_key, 0)
}

/// True if two nodes of a live list, neither of them the head, have the same user key (bytewise).
#[inline]
fn are_of_one_key(a: NodePtr, b: NodePtr) -> bool {
    // SAFETY: the list is alive, and the slices do not leave this function.
    let target =
        unsafe { Target { prefix: (*a).prefix, user_key: internal_key::user_key(key(a)), trailer: 0 } };
    is_key(b, &target)
}

/// True if `node`, a node of a live list but not the head, has the user key of `target` (bytewise).
#[inline(always)]
fn is_key(node: NodePtr, target: &Target<'_>) -> bool {
    // SAFETY: the list is alive, and the slices do not leave this function.
    unsafe {
        (*node).prefix == target.prefix
            && (*node).user_key_length as usize == target.user_key.len()
            && compare_past_prefix(internal_key::user_key(key(node)), target.user_key).is_eq()
    }
}

/// A key and its value, borrowed from the list.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    /// The internal key, in the list's memory.
    pub key: &'a [u8],
    /// The value, in the list's memory; empty for a tombstone.
    pub value: &'a [u8],
}

/// The list. Readers share it.
pub struct SkipList {
    order: InternalKeyComparator,
    /// A node of the greatest height, without key and value.
    head: NodePtr,
    /// The height of the highest node, at least 1. A reader that sees an old value starts its search lower.
    height: AtomicUsize,
    entries: AtomicU64,
    /// Finds the newest node of a user key.
    index: Index,
    arena: Arena,
}

// SAFETY: `head` points into the arena, which moves together with it. The nodes are shared by the thread rule
// at the top.
unsafe impl Send for SkipList {}
// SAFETY: by shared reference, readers only load atomics and read nodes that were published to them;
// allocation and linking are done by the only writer, by exclusive reference.
unsafe impl Sync for SkipList {}

impl SkipList {
    /// An empty list, and the right to insert into it. `expected_size`, in bytes, is the size it is expected
    /// to grow to; blocks come from `store` while it has any. ENOMEM if there is no memory for the first
    /// block.
    pub fn new(
        order: InternalKeyComparator,
        expected_size: usize,
        store: Option<Arc<BlockStore>>,
    ) -> Result<(Arc<SkipList>, SkipListWriter)> {
        let arena = Arena::new(store);
        // SAFETY: nobody else has the arena yet.
        if !unsafe { arena.try_reserve(most_bytes(1, 0)) } {
            no_memory()?;
        }
        // SAFETY: nobody else has the arena yet.
        let head = unsafe { new_node(&arena, MAX_HEIGHT, 0, 0) };
        for level in 0..MAX_HEIGHT {
            // SAFETY: the head has all levels, and each link is set before anyone reads it.
            unsafe { head.cast::<AtomicPtr<Node>>().sub(level).write(AtomicPtr::new(ptr::null_mut())) };
        }
        let (height, entries) = (AtomicUsize::new(1), AtomicU64::new(0));
        let (index, index_writer) = Index::new(order.is_bytewise(), expected_size);
        let list = Arc::new(SkipList { order, head, height, entries, index, arena });
        let writer = SkipListWriter {
            trail: Trail::new(head),
            // A fixed seed: lists with the same insertions have the same shape.
            random: Random::new(0xdead_beef),
            newest: 0,
            index: index_writer,
            list: list.clone(),
        };
        Ok((list, writer))
    }

    /// Bytes in use, including nodes, without the index.
    #[inline]
    pub fn memory_usage(&self) -> usize {
        self.arena.memory_usage()
    }

    /// Bytes of the index, which are not included in `memory_usage`.
    pub fn index_memory_usage(&self) -> usize {
        self.index.memory_usage()
    }

    /// The number of entries.
    #[inline]
    pub fn len(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    /// True if nothing was inserted.
    #[inline]
    pub fn is_empty(&self) -> bool {
        // SAFETY: the head has a level 0.
        unsafe { next(self.head, 0) }.is_null()
    }

    /// The newest entry with the user key of `internal_key` that is not newer than `internal_key`.
    #[inline]
    pub fn newest_of(&self, internal_key: &[u8]) -> Option<Entry<'_>> {
        if self.index.is_whole() {
            if self.index.is_empty() {
                return None;
            }
            let target = self.target(internal_key);
            let mut node = self.index.find(hash_of(target.user_key), |node| is_key(node, &target));
            for _ in 0..VERSIONS_TO_WALK {
                if node.is_null() {
                    return None;
                }
                // SAFETY: the node is one of this list, which the entry borrows, and not the head.
                let entry = unsafe { Entry { key: key(node), value: value(node) } };
                if internal_key::trailer(entry.key) <= target.trailer {
                    return Some(entry);
                }
                // Older versions of the key follow it.
                // SAFETY: every node has a level 0.
                node = unsafe { next(node, 0) };
                if !node.is_null() && !is_key(node, &target) {
                    return None;
                }
            }
        }
        // The entry found is at or after (key, sequence): either it is of that key, or the key has no version
        // that old.
        self.at_or_after(internal_key).filter(|entry| {
            let user_keys = [entry.key, internal_key].map(internal_key::user_key);
            self.order.compare_user_keys(user_keys[0], user_keys[1]).is_eq()
        })
    }

    /// The first entry that is not before `internal_key`.
    #[inline]
    pub fn at_or_after(&self, internal_key: &[u8]) -> Option<Entry<'_>> {
        let node = self.find_at_or_after(&self.target(internal_key));
        // SAFETY: the node is one of this list, which the entry borrows.
        (!node.is_null()).then(|| unsafe { Entry { key: key(node), value: value(node) } })
    }

    #[inline]
    fn target<'a>(&self, internal_key: &'a [u8]) -> Target<'a> {
        let user_key = internal_key::user_key(internal_key);
        let prefix = if self.order.is_bytewise() { prefix_of(user_key) } else { 0 };
        Target { prefix, user_key, trailer: internal_key::trailer(internal_key) }
    }

    /// True if `node` comes before `target`.
    ///
    /// # Safety
    /// `node` is a node of this list, but not the head.
    #[inline(always)]
    unsafe fn is_before(&self, node: NodePtr, target: &Target<'_>) -> bool {
        // SAFETY: as the caller promises.
        let prefix = unsafe { (*node).prefix };
        if prefix != target.prefix {
            return prefix < target.prefix;
        }
        // SAFETY: as the caller promises.
        let node_key = unsafe { key(node) };
        let user_key = internal_key::user_key(node_key);
        let order = if self.order.is_bytewise() {
            compare_past_prefix(user_key, target.user_key)
        } else {
            self.order.compare_user_keys(user_key, target.user_key)
        };
        // Newer entries, which have larger trailers, come first.
        order.then_with(|| target.trailer.cmp(&internal_key::trailer(node_key))).is_lt()
    }

    /// The first node that is not before `target`, or null.
    #[inline]
    fn find_at_or_after(&self, target: &Target<'_>) -> NodePtr {
        self.find(target).1
    }

    /// The last node before `target` (the head if there is none) and the node after it (or null).
    #[inline]
    fn find(&self, target: &Target<'_>) -> (NodePtr, NodePtr) {
        let mut before = self.head;
        let mut after = ptr::null_mut();
        for level in (0..self.height.load(Ordering::Relaxed)).rev() {
            (before, after) = self.walk(before, after, level, target);
        }
        (before, after)
    }

    /// Walks at `level` from `before`, a node before `target`, to the last such node, and returns it and its
    /// successor. `known_after` is null or a node known not to be before `target`, which is not compared
    /// again.
    #[inline(always)]
    fn walk(
        &self,
        mut before: NodePtr,
        known_after: NodePtr,
        level: usize,
        target: &Target<'_>,
    ) -> (NodePtr, NodePtr) {
        loop {
            // SAFETY: `before` is the head or was reached by a link of this level or one above it, so it has
            // this level.
            let after = unsafe { next(before, level) };
            if level > 0 && !cfg!(loom) {
                // Prefetch the node at which the search would continue one level lower, while this node is
                // compared.
                // SAFETY: as above.
                prefetch(unsafe { link(before, level - 1) }.load(Ordering::Relaxed));
            }
            // SAFETY: a node that a link leads to is one of this list, and never the head.
            if after.is_null() || after == known_after || !unsafe { self.is_before(after, target) } {
                return (before, after);
            }
            before = after;
        }
    }
}

/// Allocates a node of this height for a key and a value of these lengths, and writes the lengths. Links,
/// prefix and contents are left to the caller.
///
/// # Safety
/// As for `Arena::allocate`. The lengths fit 32 bits.
unsafe fn new_node(arena: &Arena, height: usize, user_key_length: usize, value_length: usize) -> NodePtr {
    let links_above = (height - 1) * LINK_SIZE;
    let size = links_above + NODE_OVERHEAD + user_key_length + value_length;
    let layout = Layout::from_size_align(size, align_of::<Node>()).expect("a node fits the address space");
    // SAFETY: the caller is the only thread that allocates. The fixed part of the node follows the higher
    // links, is within the allocation, and is aligned, since the size of a link is a multiple of a node's
    // alignment.
    unsafe {
        let node = arena.allocate(layout).as_ptr().add(links_above).cast::<Node>();
        node.write(Node {
            next: AtomicPtr::new(ptr::null_mut()),
            prefix: 0,
            user_key_length: user_key_length as u32,
            value_length: value_length as u32,
        });
        node
    }
}

/// The place of the last insertion: at each level the last node before it and the first node after it (or
/// null). The two are neighbours at their level, since nobody else inserts, and the pairs of higher levels
/// enclose those of lower levels.
struct Trail {
    before: [NodePtr; MAX_HEIGHT],
    after: [NodePtr; MAX_HEIGHT],
    /// False during a search. It stays false if a comparator panics.
    is_whole: bool,
}

impl Trail {
    fn new(head: NodePtr) -> Self {
        Trail { before: [head; MAX_HEIGHT], after: [ptr::null_mut(); MAX_HEIGHT], is_whole: true }
    }
}

/// The right to insert into a list. There is one per list.
pub struct SkipListWriter {
    trail: Trail,
    random: Random,
    /// The largest trailer that was inserted.
    newest: u64,
    index: IndexWriter,
    list: Arc<SkipList>,
}

// SAFETY: the pointers in `trail` refer to nodes of the list, which may be shared between threads and is kept
// alive here.
unsafe impl Send for SkipListWriter {}

impl SkipListWriter {
    /// True if the current block of memory has room for that many insertions, with keys and values of `bytes`
    /// in total.
    #[inline]
    pub fn has_room(&self, entries: usize, bytes: usize) -> bool {
        // SAFETY: this is the list's only writer.
        unsafe { self.list.arena.has_room(most_bytes(entries, bytes)) }
    }

    /// Ensures that `entries` insertions with keys and values of `bytes` in total cannot fail for lack of
    /// memory.
    #[inline]
    pub fn prepare(&mut self, entries: usize, bytes: usize) -> Result<()> {
        // SAFETY: this is the list's only writer, borrowed exclusively.
        if unsafe { self.list.arena.prepare(most_bytes(entries, bytes)) } { Ok(()) } else { no_memory() }
    }

    /// As `prepare`, for large insertions, which get one block.
    pub fn reserve(&mut self, entries: usize, bytes: usize) -> Result<()> {
        // SAFETY: this is the list's only writer, borrowed exclusively.
        if unsafe { self.list.arena.try_reserve(most_bytes(entries, bytes)) } { Ok(()) } else { no_memory() }
    }

    /// Inserts an entry. The list must not have an entry with the same key, sequence number and type. Key and
    /// value are shorter than 4 GiB. Lookups of single keys see the entry after the next `settle`, which must
    /// come before its sequence number is published. `settle` comes after all insertions of a batch, by when
    /// the slots of the keys in the index have been prefetched.
    pub fn insert(&mut self, sequence: SequenceNumber, value_type: ValueType, user_key: &[u8], value: &[u8]) {
        assert!(user_key.len() <= u32::MAX as usize && value.len() <= u32::MAX as usize);
        let list = &*self.list;
        let trailer = internal_key::pack_trailer(sequence, value_type as u8);
        let prefix = if list.order.is_bytewise() { prefix_of(user_key) } else { 0 };
        let target = Target { prefix, user_key, trailer };
        let hash = hash_of(user_key);
        list.index.prefetch(hash);
        follow(list, &mut self.trail, &target);

        let height = random_height(&mut self.random);
        if height > list.height.load(Ordering::Relaxed) {
            list.height.store(height, Ordering::Relaxed);
        }
        // SAFETY: this is the list's only writer, borrowed exclusively. The node's key and value are written
        // within its allocation, before it is linked.
        let node = unsafe {
            let node = new_node(&list.arena, height, user_key.len(), value.len());
            (*node).prefix = prefix;
            let bytes = node.add(1).cast::<u8>();
            bytes.copy_from_nonoverlapping(user_key.as_ptr(), user_key.len());
            let bytes = bytes.add(user_key.len());
            bytes.copy_from_nonoverlapping(trailer.to_le_bytes().as_ptr(), TRAILER_SIZE);
            bytes.add(TRAILER_SIZE).copy_from_nonoverlapping(value.as_ptr(), value.len());
            node
        };
        // Sequence numbers nearly always increase. If one does not, and the new node is not the newest of its
        // key, the node before it has the same key.
        let before = self.trail.before[0];
        let is_newest = trailer > self.newest || before == list.head || !is_key(before, &target);
        for level in 0..height {
            // SAFETY: the node has these levels, and so has the node before it, which was found there.
            unsafe {
                node.cast::<AtomicPtr<Node>>().sub(level).write(AtomicPtr::new(self.trail.after[level]));
                link(self.trail.before[level], level).store(node, Ordering::Release);
            }
            self.trail.before[level] = node;
        }
        let entries = list.len() + 1;
        list.entries.store(entries, Ordering::Relaxed);
        if is_newest {
            self.index.push(Indexed { node, hash, after: self.trail.after[0] });
            if self.index.is_full() {
                self.settle();
            }
        }
        self.newest = self.newest.max(trailer);
    }

    /// Adds the pending nodes to the index.
    #[inline]
    pub fn settle(&mut self) {
        let list = &*self.list;
        let filled = Filled { entries: list.len() as usize, memory_usage: list.memory_usage() };
        // SAFETY: this is the list's only writer, and what it pushed are nodes of the list.
        unsafe { list.index.settle(&mut self.index, filled) };
    }
}

/// The most memory that so many entries with keys and values of `bytes` in total may take: each may have the
/// greatest height, and be aligned.
#[inline]
fn most_bytes(entries: usize, bytes: usize) -> usize {
    const MOST: usize = NODE_OVERHEAD + MAX_HEIGHT * LINK_SIZE;
    entries.saturating_mul(MOST).saturating_add(bytes)
}

#[cold]
fn no_memory() -> Result<()> {
    Err(Error::from_errno(Path::new("memtable"), ENOMEM))
}

/// Moves `trail` to the place of `target`.
#[inline]
fn follow(list: &SkipList, trail: &mut Trail, target: &Target<'_>) {
    let height = list.height.load(Ordering::Relaxed);
    if !trail.is_whole {
        *trail = Trail::new(list.head);
        for level in 0..height {
            // SAFETY: the head has all levels.
            trail.after[level] = unsafe { next(list.head, level) };
        }
    }
    trail.is_whole = false;
    // The usual case for ascending keys: the target belongs directly after the last insertion. Other keys are
    // searched from the top.
    if !encloses(list, trail, target) {
        let (mut before, mut after) = (list.head, ptr::null_mut());
        for level in (0..height).rev() {
            (before, after) = list.walk(before, after, level, target);
            trail.before[level] = before;
            trail.after[level] = after;
        }
    }
    trail.is_whole = true;
}

/// True if `target` lies between the nodes of the trail at level 0. Then it does so at every level.
#[inline]
fn encloses(list: &SkipList, trail: &Trail, target: &Target<'_>) -> bool {
    let (before, after) = (trail.before[0], trail.after[0]);
    // SAFETY: the nodes of a trail are of this list, and `is_before` is not asked about the head or null.
    unsafe {
        (before == list.head || list.is_before(before, target))
            && (after.is_null() || !list.is_before(after, target))
    }
}

/// 1 plus the number of successes in a row, each with a probability of a quarter, limited by `MAX_HEIGHT`.
#[inline]
fn random_height(random: &mut Random) -> usize {
    1 + (random.next_u64().trailing_zeros() as usize / 2).min(MAX_HEIGHT - 1)
}

#[cfg(all(test, loom))]
mod models;
