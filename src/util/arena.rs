//! Memory for a memtable. An allocation moves a pointer; all memory is freed at once.
//!
//! Regular blocks double in size from 4 KiB, so that an empty memtable is small, to 256 KiB, so that a large
//! one has few blocks. Blocks of 256 KiB come from the block store and return to it (`blocks`); if the store
//! has idle blocks, the first block is one of them. A large allocation gets a block of its own and leaves the
//! current block current; the next regular block is then larger. Memory never moves, and is not freed before
//! the arena is dropped.
//!
//! If the system has no memory of the preferred kind for a block, a block of the general allocator takes its
//! place, a small one if need be. `prepare` allocates a spare block beforehand if the current one might not
//! suffice for the next allocations, so that no write finds out halfway that there is no memory.
//!
//! Thread rule: one thread allocates at a time. Any thread may read `memory_usage` at the same time, and
//! memory that was allocated and then published to it.
#![allow(unsafe_code)]

pub mod blocks;

use blocks::{BLOCK_SIZE, BlockStore, Pages};
use std::alloc::{self, Layout};
use std::cell::UnsafeCell;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// In bytes.
const FIRST_BLOCK_SIZE: usize = 4 << 10;
/// A spare block has at least this size, in bytes. Pages of it that are never touched take no memory.
const LEAST_SPARE: usize = 16 << 10;
/// Blocks are aligned to a cache line. No allocation may ask for a larger alignment.
const BLOCK_ALIGN: usize = 64;

/// A region of memory that grows by allocations and is freed as a whole.
pub struct Arena {
    /// Touched only by the allocating thread.
    state: UnsafeCell<State>,
    /// In bytes: what was handed out, alignment gaps, and the unused ends of former current blocks. Written
    /// only by the allocating thread.
    memory_usage: AtomicUsize,
    /// Source and destination of blocks of `BLOCK_SIZE`; `None`: the system.
    store: Option<Arc<BlockStore>>,
}

struct State {
    /// The free part of the current block: `remaining` bytes from `next`.
    next: *mut u8,
    remaining: usize,
    /// Blocks of the general allocator with the layouts they were allocated with: small regular blocks,
    /// blocks of large allocations, spare blocks.
    blocks: Vec<(NonNull<u8>, Layout)>,
    /// Blocks of `BLOCK_SIZE` from the store or the system.
    pages: Vec<Pages>,
    /// The size of the next regular block, in bytes.
    next_block_size: usize,
    /// A block of `blocks` (address and size) from which nothing was allocated, for use when there is no
    /// memory.
    spare: Option<(NonNull<u8>, usize)>,
}

// SAFETY: only the arena owns the blocks, and raw memory may be freed by any thread.
unsafe impl Send for Arena {}
// SAFETY: by shared reference, `state` is reached only in `allocate`, `has_room`, `prepare` and
// `try_reserve`, whose callers promise that no two threads are inside at once; `memory_usage` is atomic.
unsafe impl Sync for Arena {}

impl Arena {
    /// An arena without blocks; the first allocation allocates one. With a `store` the arena takes blocks of
    /// `BLOCK_SIZE` from it and returns them to it.
    pub fn new(store: Option<Arc<BlockStore>>) -> Self {
        let (blocks, pages) = (Vec::new(), Vec::new());
        // A dangling pointer, aligned and not null, of a block of 0 bytes.
        let next = ptr::without_provenance_mut(BLOCK_ALIGN);
        // The store has idle blocks if earlier memtables filled them: this one is expected to grow as well.
        let is_to_grow = store.as_ref().is_some_and(|store| store.idle_bytes() > 0);
        let next_block_size = if is_to_grow { BLOCK_SIZE } else { FIRST_BLOCK_SIZE };
        let state = State { next, remaining: 0, blocks, pages, next_block_size, spare: None };
        Arena { state: UnsafeCell::new(state), memory_usage: AtomicUsize::new(0), store }
    }

    /// Bytes in use: what was handed out, alignment gaps, and the unused ends of former current blocks. Any
    /// thread.
    #[inline]
    pub fn memory_usage(&self) -> usize {
        self.memory_usage.load(Ordering::Relaxed)
    }

    /// `layout.size()` uninitialised bytes with the alignment asked for (at most 64). They are valid as long
    /// as the arena. If the system has no memory, the process ends, as with any allocation; `prepare` and
    /// `try_reserve` prevent that.
    ///
    /// # Safety
    /// No other thread is inside `allocate`, `has_room`, `prepare` or `try_reserve`, and earlier calls happen
    /// before this one.
    #[inline]
    pub unsafe fn allocate(&self, layout: Layout) -> NonNull<u8> {
        debug_assert!(layout.align() <= BLOCK_ALIGN);
        // SAFETY: the caller is the only thread in here, and no reference to the state outlives the call.
        let state = unsafe { &mut *self.state.get() };
        let gap = state.next.addr().wrapping_neg() & (layout.align() - 1);
        let taken = gap + layout.size(); // a layout's size is at most isize::MAX
        if taken > state.remaining {
            return self.allocate_slow(state, layout);
        }
        // SAFETY: `gap` and then `layout.size()` bytes lie within the `remaining` bytes at `next`.
        let (start, next) = unsafe { (state.next.add(gap), state.next.add(taken)) };
        state.next = next;
        state.remaining -= taken;
        self.add_usage(taken);
        // SAFETY: `next` is never null, and a pointer into a block is neither.
        unsafe { NonNull::new_unchecked(start) }
    }

    /// True if allocations of `size` bytes in total, gaps included, fit the current block.
    ///
    /// # Safety
    /// As for `allocate`.
    #[inline]
    pub unsafe fn has_room(&self, size: usize) -> bool {
        // SAFETY: the caller is the only thread in here, and the reference does not outlive the expression.
        size <= unsafe { &*self.state.get() }.remaining
    }

    /// Ensures that allocations of `size` bytes in total, gaps included, cannot fail. While there is memory,
    /// they are placed as they would be without this call. False if there is no memory.
    ///
    /// # Safety
    /// As for `allocate`.
    #[inline]
    pub unsafe fn prepare(&self, size: usize) -> bool {
        // SAFETY: the caller is the only thread in here, and no reference to the state outlives the call.
        let state = unsafe { &mut *self.state.get() };
        size <= state.remaining || state.prepare_spare(size)
    }

    /// Makes a current block in which allocations of `size` bytes in total, gaps included, fit, so that they
    /// cannot fail. False if the system has no memory for it.
    ///
    /// # Safety
    /// As for `allocate`.
    pub unsafe fn try_reserve(&self, size: usize) -> bool {
        // SAFETY: the caller is the only thread in here, and no reference to the state outlives the call.
        let state = unsafe { &mut *self.state.get() };
        if size <= state.remaining {
            return true;
        }
        let block = if size <= state.next_block_size {
            self.regular_block(state, size)
        } else {
            let layout = Layout::from_size_align(size, BLOCK_ALIGN).ok();
            layout.and_then(|layout| Some((state.new_block(layout)?, size)))
        };
        let Some((block, size)) = block else { return false };
        self.replace_current(state, block, size);
        true
    }

    #[cold]
    fn allocate_slow(&self, state: &mut State, layout: Layout) -> NonNull<u8> {
        self.add_usage(layout.size());
        if layout.size() > state.next_block_size / 4 {
            // Allocations that are large for the current block size keep coming: later blocks are larger, so
            // that several of them share one.
            state.next_block_size = (state.next_block_size * 2).min(BLOCK_SIZE);
            let own = Layout::from_size_align(layout.size(), BLOCK_ALIGN).ok();
            if let Some(block) = own.and_then(|own| state.new_block(own)) {
                return block;
            }
        } else if let Some((block, size)) = self.regular_block(state, layout.size()) {
            return self.take_from(state, block, size, layout);
        }
        match state.spare.take_if(|(_, size)| *size >= layout.size()) {
            Some((block, size)) => self.take_from(state, block, size, layout),
            None => alloc::handle_alloc_error(layout),
        }
    }

    /// Makes `block` of `size` bytes the current one, and allocates `layout` at its beginning. The block must
    /// be large enough.
    fn take_from(&self, state: &mut State, block: NonNull<u8>, size: usize, layout: Layout) -> NonNull<u8> {
        self.replace_current(state, block, size);
        // SAFETY: the block has at least the size that is taken here.
        state.next = unsafe { state.next.add(layout.size()) };
        state.remaining -= layout.size();
        block
    }

    /// A new block and its size: `next_block_size`, or, if there is no memory for that, the least multiple of
    /// `FIRST_BLOCK_SIZE` that holds `least` bytes. `None` if there is no memory for that either.
    fn regular_block(&self, state: &mut State, least: usize) -> Option<(NonNull<u8>, usize)> {
        if state.next_block_size >= BLOCK_SIZE
            && let Some(block) = self.pages(state)
        {
            return Some((block, BLOCK_SIZE));
        }
        let due = state.next_block_size;
        if let Some(block) = state.new_block(Layout::from_size_align(due, BLOCK_ALIGN).ok()?) {
            state.next_block_size = (due * 2).min(BLOCK_SIZE);
            return Some((block, due));
        }
        let size = least.next_multiple_of(FIRST_BLOCK_SIZE);
        Some((state.new_block(Layout::from_size_align(size, BLOCK_ALIGN).ok()?)?, size))
    }

    /// A block of `BLOCK_SIZE` from the store, else from the system.
    fn pages(&self, state: &mut State) -> Option<NonNull<u8>> {
        state.pages.try_reserve(1).ok()?;
        let idle = self.store.as_ref().and_then(|store| store.take());
        #[cfg(test)]
        if tests::NO_PAGES.get() {
            return None;
        }
        let pages = idle.or_else(|| Pages::new(BLOCK_SIZE))?;
        let block = pages.start();
        state.pages.push(pages);
        Some(block)
    }

    /// Makes `block` the current one. The rest of the former one is lost until the arena is dropped.
    fn replace_current(&self, state: &mut State, block: NonNull<u8>, size: usize) {
        self.add_usage(state.remaining);
        state.next = block.as_ptr();
        state.remaining = size;
    }

    /// A load and a store instead of an atomic addition: only the allocating thread writes.
    #[inline]
    fn add_usage(&self, size: usize) {
        self.memory_usage.store(self.memory_usage.load(Ordering::Relaxed) + size, Ordering::Relaxed);
    }
}

impl State {
    /// True if there is a spare block of at least `size` bytes, or one could be allocated.
    #[cold]
    fn prepare_spare(&mut self, size: usize) -> bool {
        if self.spare.is_some_and(|(_, spare)| spare >= size) {
            return true;
        }
        // A power of two if there is memory for it, so that spare blocks grow fast: each one that was too
        // small is kept until the arena is dropped.
        let ample = size.checked_next_power_of_two().unwrap_or(size).max(LEAST_SPARE);
        for size in [ample, size] {
            if let Ok(layout) = Layout::from_size_align(size, BLOCK_ALIGN)
                && let Some(block) = self.new_block(layout)
            {
                self.spare = Some((block, size));
                return true;
            }
        }
        false
    }

    /// A block of the general allocator, which the arena frees when dropped. `None` if there is no memory.
    fn new_block(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.blocks.try_reserve(1).ok()?;
        debug_assert!(layout.size() > 0);
        #[cfg(test)]
        if tests::NO_MEMORY.get() <= layout.size() {
            return None;
        }
        // SAFETY: the layout's size is not 0: a large allocation is over a quarter of a block, a regular one
        // a block.
        let block = NonNull::new(unsafe { alloc::alloc(layout) })?;
        self.blocks.push((block, layout));
        Some(block)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        for (block, layout) in state.blocks.drain(..) {
            // SAFETY: the block came from `alloc` with this layout, and no borrower of the arena exists any
            // more.
            unsafe { alloc::dealloc(block.as_ptr(), layout) };
        }
        if let Some(store) = &self.store {
            store.put(std::mem::take(&mut state.pages));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::random::Random;

    fn allocate(arena: &Arena, size: usize, align: usize) -> NonNull<u8> {
        // SAFETY: every test allocates from one thread.
        unsafe { arena.allocate(Layout::from_size_align(size, align).unwrap()) }
    }

    thread_local! {
        /// Simulates that the general allocator has no memory for blocks of this size or larger.
        pub static NO_MEMORY: std::cell::Cell<usize> = const { std::cell::Cell::new(usize::MAX) };
        /// Simulates that the system maps no pages.
        pub static NO_PAGES: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    }

    /// `vm.max_map_count` is reached or the address space is used up; the heap first has plenty of memory,
    /// then less, then none.
    #[test]
    fn without_pages_blocks_are_of_the_heap_and_what_was_prepared_for_never_fails() {
        for least_refused in [usize::MAX, BLOCK_SIZE, 8 << 10] {
            let arena = Arena::new(None);
            (0..400).for_each(|_| _ = allocate(&arena, 1000, 8));
            NO_PAGES.set(true);
            NO_MEMORY.set(least_refused);
            (0..2000).for_each(|_| {
                let start = allocate(&arena, 1000, 8);
                // SAFETY: these bytes were just handed out.
                unsafe { start.as_ptr().write_bytes(1, 1000) };
            });
            // SAFETY: one thread.
            assert_eq!(unsafe { arena.prepare(BLOCK_SIZE) }, least_refused == usize::MAX);
            NO_MEMORY.set(usize::MAX);
            // SAFETY: one thread.
            assert!(unsafe { arena.prepare(300_000) && arena.prepare(500_000) });
            NO_MEMORY.set(0);
            // SAFETY: one thread.
            assert!(unsafe { arena.prepare(400_000) && !arena.prepare(5_000_000) });
            for size in [1000, 200_000, 90_000, 100_000] {
                let start = allocate(&arena, size, 8);
                // SAFETY: these bytes were just handed out.
                unsafe { start.as_ptr().write_bytes(2, size) };
            }
            NO_MEMORY.set(usize::MAX);
            NO_PAGES.set(false);
        }
    }

    #[test]
    fn a_spare_block_is_not_used_while_there_is_memory() {
        let (plain, prepared) = (Arena::new(None), Arena::new(None));
        for size in [100, 3000, 5000, 100, 90_000, 300_000, 100] {
            // SAFETY: one thread.
            assert!(unsafe { prepared.prepare(size) });
            allocate(&plain, size, 8);
            allocate(&prepared, size, 8);
            assert_eq!(prepared.memory_usage(), plain.memory_usage());
        }
    }

    const STEPS: usize = if cfg!(miri) { 200 } else { 5_000 };

    #[test]
    fn allocations_are_aligned_and_do_not_overlap() {
        let mut random = Random::new(301);
        let arena = Arena::new(None);
        let mut allocations = Vec::new();
        let mut total = 0;
        for i in 0..STEPS {
            let size = match random.uniform(1000) {
                0 => random.uniform(600_000),
                1..100 => random.uniform(6_000),
                _ => random.uniform(100),
            } as usize;
            let align = 1 << random.uniform(7);
            let start = allocate(&arena, size, align);
            assert_eq!(start.addr().get() % align, 0);
            // SAFETY: these bytes were just handed out.
            unsafe { start.as_ptr().write_bytes(i as u8, size) };
            allocations.push((start, size));
            total += size;
            assert!(arena.memory_usage() >= total);
        }
        assert!(arena.memory_usage() < total + total / 4 + STEPS * 64 + BLOCK_SIZE);
        for (i, (start, size)) in allocations.into_iter().enumerate() {
            // SAFETY: written above, and the arena is alive.
            let bytes = unsafe { std::slice::from_raw_parts(start.as_ptr(), size) };
            assert!(bytes.iter().all(|&byte| byte == i as u8), "allocation {i} was overwritten");
        }
    }

    #[test]
    fn usage_counts_what_is_used_not_what_is_set_aside() {
        let arena = Arena::new(None);
        assert_eq!(arena.memory_usage(), 0);
        allocate(&arena, 100, 8);
        assert_eq!(arena.memory_usage(), 100);
        allocate(&arena, 8, 8);
        assert_eq!(arena.memory_usage(), 112, "a gap of 4 bytes counts");
        allocate(&arena, 100_000, 8);
        assert_eq!(arena.memory_usage(), 100_112, "a large allocation does not give up the block");
        let before = allocate(&arena, 8, 8);
        assert_eq!(allocate(&arena, 8, 8).addr().get(), before.addr().get() + 8);
    }

    #[test]
    fn large_blocks_go_to_the_store_and_come_from_it() {
        let store = Arc::new(BlockStore::new(8 * BLOCK_SIZE));
        let fill = |blocks: usize| {
            let arena = Arena::new(Some(store.clone()));
            (0..blocks * 256).for_each(|_| {
                let start = allocate(&arena, BLOCK_SIZE / 256, 8);
                // SAFETY: these bytes were just handed out.
                unsafe { start.as_ptr().write_bytes(1, BLOCK_SIZE / 256) };
            });
            arena
        };
        drop(fill(0));
        assert_eq!(store.idle_bytes(), 0);
        // The first blocks are small, together smaller than one large block.
        drop(fill(3));
        assert_eq!(store.idle_bytes(), 3 * BLOCK_SIZE);
        let second = fill(2);
        assert_eq!(store.idle_bytes(), BLOCK_SIZE, "both of its blocks are from the store");
        drop((fill(4), second));
        assert_eq!(store.idle_bytes(), 6 * BLOCK_SIZE);
        drop((fill(5), fill(6)));
        assert_eq!(store.idle_bytes(), 8 * BLOCK_SIZE, "and no more");
        let first = fill(1);
        drop(store);
        drop(first);
    }

    #[test]
    fn allocations_too_large_for_the_first_blocks_share_later_ones() {
        let arena = Arena::new(None);
        let starts: Vec<_> = (0..100).map(|_| allocate(&arena, 4200, 8).addr().get()).collect();
        let neighbours = starts.windows(2).filter(|pair| pair[1] == pair[0] + 4200).count();
        assert!(neighbours > 90, "{neighbours}");
        assert!(arena.memory_usage() < 100 * 4200 + (32 << 10), "{}", arena.memory_usage());
    }

    #[test]
    fn an_empty_allocation_is_fine_first_and_last() {
        let arena = Arena::new(None);
        allocate(&arena, 0, 8);
        assert_eq!(arena.memory_usage(), 0);
        allocate(&arena, FIRST_BLOCK_SIZE / 4, 8);
        for _ in 0..3 {
            allocate(&arena, FIRST_BLOCK_SIZE / 4, 8);
        }
        allocate(&arena, 0, 8);
        assert_eq!(arena.memory_usage(), FIRST_BLOCK_SIZE);
    }

    #[test]
    fn a_reservation_is_used_by_what_follows() {
        let arena = Arena::new(None);
        // SAFETY: one thread.
        assert!(unsafe { arena.try_reserve(1 << 20) });
        let first = allocate(&arena, 1 << 19, 8);
        let second = allocate(&arena, 1 << 19, 8);
        assert_eq!(second.addr().get() - first.addr().get(), 1 << 19);
        assert_eq!(arena.memory_usage(), 1 << 20);
        // SAFETY: one thread.
        unsafe {
            assert!(!arena.try_reserve(usize::MAX));
            // Miri ends the process when memory is short.
            assert!(cfg!(miri) || !arena.try_reserve(isize::MAX as usize / 2));
        }
        assert_eq!(arena.memory_usage(), 1 << 20);
    }
}
