//! A hash index of the list, for lookups of single keys: it maps a user key to the newest node of that key.
//!
//! A slot is one word: the address of the node in the lower 48 bits, and 16 bits of the key's hash above it;
//! 0 if the slot is empty. Slots lie in cache lines of eight. A key belongs to one line of a table, and to
//! the following lines if that line is full, so that a lookup of a key that is not there usually costs one
//! cache miss.
//!
//! Tables do not move. A full table is followed by another one, made for as many keys as the memtable is
//! expected to get (estimated from its size and from the memory that entries took so far). Lookups go from
//! the newest table to the oldest. A key that is written again gets the slot it has in the newest table, or a
//! new one there; its slot in an older table is then never read again.
//!
//! An index exists only if equal keys are the same bytes, that is, with the bytewise comparator. It is given
//! up permanently if the system has no memory for a table, if addresses do not fit 48 bits, or if so many
//! keys have the same hash that a run of full lines becomes too long; lookups then search the list.
//!
//! Thread rule: only the list's writer changes the index. It links a node first, then stores the slot with
//! release ordering (in a batch, some insertions later, when the prefetched line has arrived), and publishes
//! the sequence number after that. So a reader, which loads slots with acquire ordering, finds the newest
//! node that it may see, or a newer one, which precedes that node in the list.
#![allow(unsafe_code)]

use super::{Node, NodePtr, are_of_one_key};
use crate::util::arena::blocks::Pages;
use crate::util::lock::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::alloc::{self, Layout};
use std::ptr;

/// The number of slots in a line.
const LINE: usize = if cfg!(loom) { 2 } else { 8 };
/// At most three of four slots are used.
const USED_OF_4: usize = 3;
/// A run of this many full lines makes the writer give up the index.
const LONGEST_RUN: usize = if cfg!(miri) { 8 } else { 128 };
/// The number of nodes that may be linked in the list and not yet be in the index.
const PENDING: usize = if cfg!(loom) { 2 } else { 16 };
/// The first table has one slot per this many bytes of the memtable's expected size, within the limits that
/// follow.
const BYTES_OF_A_FIRST_SLOT: usize = 8 << 10;
const FIRST_SLOTS: (usize, usize) = match () {
    _ if cfg!(loom) => (2, 2),
    _ if cfg!(miri) => (16, 64), // small, so that tests with few keys grow it
    _ => (512, 64 << 10),
};
/// Tables of at least this size, in bytes, are mapped pages instead of heap memory.
const LEAST_PAGES: usize = 64 << 10;
/// The largest ratio between the sizes of a table and its predecessor. It bounds the memory of a large
/// memtable with few entries.
const MAX_GROWTH: usize = if cfg!(loom) { 1 } else { 128 };
/// The number of bits of an address. The bits above hold a part of the hash.
const ADDRESS_BITS: u32 = if usize::BITS == 64 { 48 } else { usize::BITS };
const ADDRESS_MASK: usize = usize::MAX >> (usize::BITS - ADDRESS_BITS);

#[repr(C)]
struct Line([AtomicPtr<Node>; LINE]);

/// One open-addressing table.
struct Table {
    lines: *mut Line,
    line_count: usize,
    /// The memory that contains `lines`.
    memory: Memory,
    /// The previous, full table, or null.
    older: *mut Table,
}

/// The place of a hash in tables of any size.
#[derive(Clone, Copy)]
struct Place {
    hash: u64,
    /// The bits of a slot above the address.
    tag: usize,
}

impl Place {
    #[inline(always)]
    fn of(hash: u64) -> Self {
        // The highest bits of the hash select the line, the lowest three the slot at which probing begins.
        Place { hash, tag: ((hash as usize) << (ADDRESS_BITS - 3)) & !ADDRESS_MASK }
    }

    /// The slot for `node`. The address must have no bits above the mask.
    #[inline(always)]
    fn slot(self, node: NodePtr) -> NodePtr {
        node.map_addr(|address| address | self.tag)
    }
}

/// The node that a slot refers to.
#[inline(always)]
fn node_of(slot: NodePtr) -> NodePtr {
    slot.map_addr(|address| address & ADDRESS_MASK)
}

impl Table {
    /// A table of empty slots: this many, rounded up to whole lines. `None` if the system has no memory for
    /// it.
    fn new(slots: usize, older: *mut Table) -> Option<Box<Table>> {
        let line_count = slots.div_ceil(LINE).min(u32::MAX as usize);
        let size = line_count.checked_mul(size_of::<Line>())?;
        // The lines begin at cache lines. The memory is not allocated with that alignment: the allocator
        // would then zero it byte by byte, while fresh pages are zero already.
        const CACHE_LINE: usize = 64;
        let memory = Memory::zeroed(size.checked_add(CACHE_LINE)?)?;
        let start = memory.start();
        // SAFETY: less than the cache line that was added is skipped.
        let lines = unsafe { start.add(start.addr().wrapping_neg() % CACHE_LINE) }.cast::<Line>();
        if cfg!(loom) {
            for slot in 0..line_count * LINE {
                // SAFETY: within the allocation, which no other thread has yet.
                unsafe { lines.cast::<AtomicPtr<Node>>().add(slot).write(AtomicPtr::new(ptr::null_mut())) };
            }
        }
        Some(Box::new(Table { lines, line_count, memory, older }))
    }

    #[inline(always)]
    fn line_index(&self, place: Place) -> usize {
        ((u128::from(place.hash) * self.line_count as u128) >> 64) as usize
    }

    #[inline(always)]
    fn line(&self, index: usize) -> &Line {
        debug_assert!(index < self.line_count);
        // SAFETY: there are `line_count` lines; all bytes zero is a line of empty slots (under loom they were
        // written).
        unsafe { &*self.lines.add(index) }
    }

    /// The first slot, in probing order, that is empty or satisfies `wanted`, and its contents. `None` if the
    /// run of full lines is too long.
    #[inline(always)]
    fn probe(&self, place: Place, wanted: impl Fn(NodePtr) -> bool) -> Option<(&AtomicPtr<Node>, NodePtr)> {
        let mut index = self.line_index(place);
        for _ in 0..LONGEST_RUN {
            let line = self.line(index);
            for step in 0..LINE {
                let slot = &line.0[(place.hash as usize).wrapping_add(step) % LINE];
                let held = slot.load(Ordering::Acquire);
                if held.is_null() || wanted(held) {
                    return Some((slot, held));
                }
            }
            index = if index + 1 == self.line_count { 0 } else { index + 1 };
        }
        None
    }
}

/// Zeroed memory: from the heap, or, for large tables, mapped pages, for the same reasons as the blocks of
/// the arena.
enum Memory {
    Heap(*mut u8, Layout),
    Pages(Pages),
}

impl Memory {
    /// `size` bytes, more than 0, aligned at least to a word. `None` if the system has no memory for them.
    fn zeroed(size: usize) -> Option<Memory> {
        if size >= LEAST_PAGES {
            return Pages::new(size).map(Memory::Pages);
        }
        let layout = Layout::from_size_align(size, align_of::<Line>()).ok()?;
        // SAFETY: the size is not 0.
        let start = unsafe { alloc::alloc_zeroed(layout) };
        (!start.is_null()).then_some(Memory::Heap(start, layout))
    }

    fn start(&self) -> *mut u8 {
        match self {
            Memory::Heap(start, _) => *start,
            Memory::Pages(pages) => pages.start().as_ptr(),
        }
    }

    fn size(&self) -> usize {
        match self {
            Memory::Heap(_, layout) => layout.size(),
            Memory::Pages(pages) => pages.size(),
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Memory::Heap(start, layout) = *self {
            // SAFETY: allocated with this layout, and no reader exists any more.
            unsafe { alloc::dealloc(start, layout) };
        }
    }
}

/// The tables of a list. Readers share them.
pub(super) struct Index {
    /// The table that is being filled, or null.
    newest: AtomicPtr<Table>,
    /// False if there is no index, or if it was given up.
    is_whole: AtomicBool,
    memory_usage: AtomicUsize,
}

/// The writer's part of an index.
pub(super) struct IndexWriter {
    /// Nodes that are linked and not in the index: the first `pushed` elements. Their lines were prefetched.
    pending: [Indexed; PENDING],
    pushed: usize,
    /// The number of slots of the newest table that may still be filled.
    room: usize,
    /// The number of slots of the newest table.
    slots: usize,
    /// The size in bytes that the memtable is expected to grow to.
    expected_size: usize,
}

/// A node to be added to the index.
#[derive(Clone, Copy)]
pub(super) struct Indexed {
    /// The node, which is linked and is the newest of its key.
    pub node: NodePtr,
    /// The hash of its user key.
    pub hash: u64,
    /// The successor of the node at the time it was linked (or null). If the key existed before, this is the
    /// node in its slot.
    pub after: NodePtr,
}

/// The size of the list.
#[derive(Clone, Copy)]
pub(super) struct Filled {
    pub entries: usize,
    /// Bytes that the entries take.
    pub memory_usage: usize,
}

impl Index {
    /// An empty index; if it is not `wanted`, one that is given up.
    pub fn new(wanted: bool, expected_size: usize) -> (Index, IndexWriter) {
        let index = Index {
            newest: AtomicPtr::new(ptr::null_mut()),
            is_whole: AtomicBool::new(wanted),
            memory_usage: AtomicUsize::new(0),
        };
        let nothing = Indexed { node: ptr::null_mut(), hash: 0, after: ptr::null_mut() };
        let pending = [nothing; PENDING];
        (index, IndexWriter { pending, pushed: 0, room: 0, slots: 0, expected_size })
    }

    /// True if the index has all keys of the list.
    #[inline(always)]
    pub fn is_whole(&self) -> bool {
        self.is_whole.load(Ordering::Acquire)
    }

    /// True if nothing was added.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.newest.load(Ordering::Acquire).is_null()
    }

    /// Bytes of all tables.
    pub fn memory_usage(&self) -> usize {
        self.memory_usage.load(Ordering::Relaxed)
    }

    /// The newest table. It is valid as long as the index.
    #[inline(always)]
    fn newest(&self) -> Option<&Table> {
        // SAFETY: tables live as long as the index, and do not change after they are published, except for
        // their slots.
        unsafe { self.newest.load(Ordering::Acquire).as_ref() }
    }

    /// The newest node of a key with this hash that satisfies `is_key`; null if there is none. The node may
    /// be newer than the sequence number of the lookup. The index must be whole.
    #[inline(always)]
    pub fn find(&self, hash: u64, is_key: impl Fn(NodePtr) -> bool) -> NodePtr {
        let place = Place::of(hash);
        let mut tables = self.newest();
        while let Some(table) = tables {
            let wanted = |slot: NodePtr| slot.addr() & !ADDRESS_MASK == place.tag && is_key(node_of(slot));
            if let Some((_, slot)) = table.probe(place, wanted)
                && !slot.is_null()
            {
                return node_of(slot);
            }
            // SAFETY: as in `newest`.
            tables = unsafe { table.older.as_ref() };
        }
        ptr::null_mut()
    }

    /// Prefetches the line of a key with this hash in the newest table.
    #[inline(always)]
    pub fn prefetch(&self, hash: u64) {
        if let Some(table) = self.newest() {
            super::prefetch(ptr::from_ref(table.line(table.line_index(Place::of(hash)))).cast_mut().cast());
        }
    }

    /// Adds all pushed nodes.
    ///
    /// # Safety
    /// The caller is the list's only writer, `writer` was made with this index, and all pushed nodes belong
    /// to the list.
    #[inline]
    pub unsafe fn settle(&self, writer: &mut IndexWriter, filled: Filled) {
        let pushed = std::mem::take(&mut writer.pushed);
        if self.is_whole() {
            for index in 0..pushed {
                let new = writer.pending[index];
                if writer.room == 0 {
                    self.grow(writer, filled);
                    if !self.is_whole() {
                        return;
                    }
                }
                self.put(writer, new);
            }
        }
    }

    /// Adds the newest node of a key.
    #[inline]
    fn put(&self, writer: &mut IndexWriter, Indexed { node, hash, after }: Indexed) {
        let place = Place::of(hash);
        let before = place.slot(after);
        let is_same = |slot| slot == before && !after.is_null() && are_of_one_key(node, after);
        match self.newest().and_then(|table| table.probe(place, is_same)) {
            Some((slot, held)) if node.addr() & !ADDRESS_MASK == 0 => {
                writer.room -= usize::from(held.is_null());
                slot.store(place.slot(node), Ordering::Release);
            }
            // There is no place for the node: from now on lookups search the list.
            _ => self.is_whole.store(false, Ordering::Release),
        }
    }

    /// Adds a table, or gives the index up.
    #[cold]
    fn grow(&self, writer: &mut IndexWriter, filled: Filled) {
        let slots = writer.next_slots(filled);
        let older = self.newest.load(Ordering::Relaxed);
        let Some(table) = Table::new(slots, older) else {
            self.is_whole.store(false, Ordering::Release);
            return;
        };
        writer.slots = table.line_count * LINE;
        writer.room = (writer.slots * USED_OF_4 / 4).max(1);
        self.memory_usage.store(self.memory_usage() + table.memory.size(), Ordering::Relaxed);
        self.newest.store(Box::into_raw(table), Ordering::Release);
    }
}

impl IndexWriter {
    /// Keeps a node for the next `settle`. Must not be called while `is_full`.
    #[inline(always)]
    pub fn push(&mut self, new: Indexed) {
        self.pending[self.pushed] = new;
        self.pushed += 1;
    }

    /// True if `settle` must be called before the next `push`.
    #[inline(always)]
    pub fn is_full(&self) -> bool {
        self.pushed == PENDING
    }

    /// The number of slots for the entries to come: an eighth more than the sizes so far suggest, within the
    /// limits for tables.
    fn next_slots(&self, filled: Filled) -> usize {
        let (least, most) = FIRST_SLOTS;
        if self.slots == 0 {
            return (self.expected_size / BYTES_OF_A_FIRST_SLOT).clamp(least, most);
        }
        let each = (filled.memory_usage / filled.entries.max(1)).max(1);
        let to_come = self.expected_size.saturating_sub(filled.memory_usage) / each;
        let wanted = (to_come + to_come / 8) / USED_OF_4 * 4;
        wanted.clamp(least, self.slots.saturating_mul(MAX_GROWTH))
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        let mut table = self.newest.load(Ordering::Relaxed);
        while !table.is_null() {
            // SAFETY: the table came from a box and is in the chain once, and no reader exists any more.
            table = unsafe { Box::from_raw(table) }.older;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// A pointer with this address that is not dereferenced.
    fn node(address: usize) -> NodePtr {
        ptr::without_provenance_mut(address)
    }

    fn put(index: &Index, writer: &mut IndexWriter, hash: u64, address: usize) {
        writer.push(Indexed { node: node(address), hash, after: ptr::null_mut() });
        // SAFETY: one thread; the nodes are not dereferenced, since they have no successors.
        unsafe { index.settle(writer, Filled { entries: 1, memory_usage: 100 }) };
    }

    #[test]
    fn keys_of_one_hash_end_the_index_and_not_the_process() {
        let (index, mut writer) = Index::new(true, 64 << 20);
        let mut count = 0;
        while index.is_whole() {
            count += 1;
            put(&index, &mut writer, 7, count * 8);
            if index.is_whole() && (!cfg!(miri) || count % 64 == 0) {
                assert_eq!(index.find(7, |found| found == node(count * 8)), node(count * 8));
                assert_eq!(index.find(7, |found| found == node(8)), node(8));
            }
            assert!(count < 1 << 20);
        }
        assert!(count >= LONGEST_RUN * LINE, "{count}");
    }

    #[test]
    fn an_address_that_does_not_fit_ends_the_index() {
        if ADDRESS_BITS == usize::BITS {
            return;
        }
        let (index, mut writer) = Index::new(true, 1 << 20);
        put(&index, &mut writer, 1, 8);
        assert!(index.is_whole());
        put(&index, &mut writer, 2, (ADDRESS_MASK + 1) | 8);
        assert!(!index.is_whole());
    }

    #[test]
    fn an_index_that_is_not_wanted_takes_no_memory() {
        let (index, mut writer) = Index::new(false, 1 << 20);
        put(&index, &mut writer, 1, 8);
        assert!(!index.is_whole() && index.is_empty());
        assert_eq!(index.memory_usage(), 0);
    }
}
