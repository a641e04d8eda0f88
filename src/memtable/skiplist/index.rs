//! A hash index beside the list, for look-ups of single keys: from a user key to the newest of its nodes.
//!
//! A slot is one word: the node's address in the lower 48 bits, 16 bits of the key's hash above it; 0 where it is empty. Slots
//! lie in cache lines of eight. A key belongs to one line of a table, and to those behind it where that line is full, so that a
//! look-up in vain mostly costs one cache miss.
//!
//! Tables do not move: a full one is followed by another, made for as many keys as the memtable will still take (by its size
//! and by what entries took so far). Look-ups go from the newest table to the oldest. A key that is written again gets the
//! slot it has in the newest table, or a new one there; what an older table says of it is not looked at any more.
//!
//! There is an index only where keys that are equal are the same bytes, so with the bytewise order. It is given up, for
//! good, where the system has no memory for a table, where addresses do not fit 48 bits, and where so many keys have the same
//! hash that a run of full lines gets long; look-ups then search the list.
//!
//! Thread rule: the list's writer is the only one to change it. It links a node first and then stores the slot with release
//! order (in a batch, some insertions later, when the line has come), and makes the sequence number known after that. So a reader, who loads slots with acquire order, finds the newest node
//! of those it may see, or a newer one, in front of it in the list.
#![allow(unsafe_code)]

use super::{Node, NodePtr, are_of_one_key};
use crate::util::arena::blocks::Pages;
use crate::util::lock::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::alloc::{self, Layout};
use std::ptr;

/// Slots of a line.
const LINE: usize = if cfg!(loom) { 2 } else { 8 };
/// Of four slots, three are used at most.
const USED_OF_4: usize = 3;
/// A run of full lines as long as this gives the index up.
const LONGEST_RUN: usize = if cfg!(miri) { 8 } else { 128 };
/// Nodes that the writer may have linked without having put them into the index.
const PENDING: usize = if cfg!(loom) { 2 } else { 16 };
/// Slots of the first table: for each of so many bytes of the memtable's size, within these limits.
const BYTES_OF_A_FIRST_SLOT: usize = 8 << 10;
const FIRST_SLOTS: (usize, usize) = match () {
    _ if cfg!(loom) => (2, 2),
    _ if cfg!(miri) => (16, 64), // so that tests of few keys see it grow
    _ => (512, 64 << 10),
};
/// Tables of as many bytes are not of the general allocator.
const LEAST_PAGES: usize = 64 << 10;
/// How much larger than the table before it a table may be: that bounds what a large memtable with few entries takes.
const MAX_GROWTH: usize = if cfg!(loom) { 1 } else { 128 };
/// Bits of an address; those above hold a part of the hash.
const ADDRESS_BITS: u32 = if usize::BITS == 64 { 48 } else { usize::BITS };
const ADDRESS_MASK: usize = usize::MAX >> (usize::BITS - ADDRESS_BITS);

#[repr(C)]
struct Line([AtomicPtr<Node>; LINE]);

/// One open-addressing table.
struct Table {
    lines: *mut Line,
    line_count: usize,
    /// What `lines` lie in.
    memory: Memory,
    /// The table that was filled before this one, or null.
    older: *mut Table,
}

/// Where a hash belongs, in a table of any size.
#[derive(Clone, Copy)]
struct Place {
    hash: u64,
    /// The bits of a slot above the address.
    tag: usize,
}

impl Place {
    #[inline(always)]
    fn of(hash: u64) -> Self {
        // The line comes from the highest bits, the slot where its probing begins from the lowest three.
        Place { hash, tag: ((hash as usize) << (ADDRESS_BITS - 3)) & !ADDRESS_MASK }
    }

    /// The slot of `node`. Its address has no bits above the mask.
    #[inline(always)]
    fn slot(self, node: NodePtr) -> NodePtr {
        node.map_addr(|address| address | self.tag)
    }
}

/// The node of a slot.
#[inline(always)]
fn node_of(slot: NodePtr) -> NodePtr {
    slot.map_addr(|address| address & ADDRESS_MASK)
}

impl Table {
    /// A table of this many slots or a few more, all empty. `None` where the system has no memory for it.
    fn new(slots: usize, older: *mut Table) -> Option<Box<Table>> {
        let line_count = slots.div_ceil(LINE).min(u32::MAX as usize);
        let size = line_count.checked_mul(size_of::<Line>())?;
        // Lines begin where cache lines do. They are not asked for so aligned: the allocator would then set them to
        // zero byte by byte, while fresh pages are zero.
        const CACHE_LINE: usize = 64;
        let memory = Memory::zeroed(size.checked_add(CACHE_LINE)?)?;
        let start = memory.start();
        // SAFETY: less than the cache line that was added is skipped.
        let lines = unsafe { start.add(start.addr().wrapping_neg() % CACHE_LINE) }.cast::<Line>();
        if cfg!(loom) {
            for slot in 0..line_count * LINE {
                // SAFETY: within the allocation, which nobody else has yet.
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
        // SAFETY: there are `line_count` lines; all bytes zero is a line of empty slots (under loom they were written).
        unsafe { &*self.lines.add(index) }
    }

    /// The first slot, in the order of probing, that is empty or that `wanted` takes, with what it holds. `None` where the run
    /// of full lines is too long.
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

/// Zeroed memory: of the general allocator, or, as for the blocks of the list and for the same reasons, of the system.
enum Memory {
    Heap(*mut u8, Layout),
    Pages(Pages),
}

impl Memory {
    /// `size` bytes, more than 0, aligned to at least a word. `None` where the system has no memory for them.
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
            // SAFETY: allocated with this layout, and readers are gone.
            unsafe { alloc::dealloc(start, layout) };
        }
    }
}

/// The tables of a list; readers share them.
pub(super) struct Index {
    /// The table that is being filled, or null.
    newest: AtomicPtr<Table>,
    /// False where there is no index, or where it was given up.
    is_whole: AtomicBool,
    memory_usage: AtomicUsize,
}

/// What the writer of a list keeps of its index.
pub(super) struct IndexWriter {
    /// Nodes that are linked and not in the index: `pushed` of them. Their lines were asked for.
    pending: [Indexed; PENDING],
    pushed: usize,
    /// Slots that may still be filled in the newest table.
    room: usize,
    /// Slots of the newest table.
    slots: usize,
    /// Bytes that the memtable is expected to grow to.
    expected_size: usize,
}

/// A node that goes into the index.
#[derive(Clone, Copy)]
pub(super) struct Indexed {
    /// The node, which is linked, and the newest of its key.
    pub node: NodePtr,
    /// The hash of its user key.
    pub hash: u64,
    /// The node that was behind it when it was linked (or null): if the key was there, that is what its slot holds.
    pub after: NodePtr,
}

/// How full the list is.
#[derive(Clone, Copy)]
pub(super) struct Filled {
    pub entries: usize,
    /// Bytes the entries take.
    pub memory_usage: usize,
}

impl Index {
    /// An empty index; one that is given up if it is not `wanted`.
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

    /// Does it know all keys of the list?
    #[inline(always)]
    pub fn is_whole(&self) -> bool {
        self.is_whole.load(Ordering::Acquire)
    }

    /// Was nothing put into it?
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.newest.load(Ordering::Acquire).is_null()
    }

    /// Bytes taken by tables.
    pub fn memory_usage(&self) -> usize {
        self.memory_usage.load(Ordering::Relaxed)
    }

    /// The newest table, which its readers outlive by the list.
    #[inline(always)]
    fn newest(&self) -> Option<&Table> {
        // SAFETY: tables live as long as the index, and do not change after they are published, but for their slots.
        unsafe { self.newest.load(Ordering::Acquire).as_ref() }
    }

    /// The newest node of a key with this hash, as `is_key` tells; null where there is none. It may be newer than what was
    /// known when the look-up began. The index is whole.
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

    /// Asks the processor for the line that a key with this hash will go to.
    #[inline(always)]
    pub fn prefetch(&self, hash: u64) {
        if let Some(table) = self.newest() {
            super::prefetch(ptr::from_ref(table.line(table.line_index(Place::of(hash)))).cast_mut().cast());
        }
    }

    /// Puts in all that was pushed.
    ///
    /// # Safety
    /// The caller is the list's only writer, `writer` was made with this index, and what was pushed are nodes of the list.
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

    /// Puts in the newest node of a key.
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
            // Nothing is in its place: from now on look-ups search the list.
            _ => self.is_whole.store(false, Ordering::Release),
        }
    }

    /// Adds a table, or gives up.
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
    /// Remembers a node for the next `settle`. Not to be called when it `is_full`.
    #[inline(always)]
    pub fn push(&mut self, new: Indexed) {
        self.pending[self.pushed] = new;
        self.pushed += 1;
    }

    /// Must it be settled before the next node is pushed?
    #[inline(always)]
    pub fn is_full(&self) -> bool {
        self.pushed == PENDING
    }

    /// Slots for what is still to come: an eighth more than what follows from the sizes so far, but no fewer than the table before
    /// it has if that was wrong.
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
            // SAFETY: it came from a box, is in the chain once, and readers are gone.
            table = unsafe { Box::from_raw(table) }.older;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Something at this address, which is not looked at.
    fn node(address: usize) -> NodePtr {
        ptr::without_provenance_mut(address)
    }

    fn put(index: &Index, writer: &mut IndexWriter, hash: u64, address: usize) {
        writer.push(Indexed { node: node(address), hash, after: ptr::null_mut() });
        // SAFETY: one thread; the nodes are not looked at, since there is none behind them.
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
