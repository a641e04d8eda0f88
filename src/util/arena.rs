//! Memory for a memtable: bytes are handed out by moving a pointer, and all of it is freed at once.
//!
//! Blocks double from 4 KiB, so that an empty memtable is small, to 256 KiB, so that a large one consists of few
//! blocks. A large allocation gets a block of its own and leaves the current block alone. Memory never moves and is not
//! freed before the arena is dropped.
//!
//! Thread rule: one thread allocates at a time; any thread may read `memory_usage` meanwhile, and of course what was
//! allocated and then published to it.
#![allow(unsafe_code)]

use std::alloc::{self, Layout};
use std::cell::UnsafeCell;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The size of the first block.
const FIRST_BLOCK_SIZE: usize = 4 << 10;
/// The size that blocks grow to.
const MAX_BLOCK_SIZE: usize = 256 << 10;
/// Blocks are aligned to a cache line; no allocation may ask for more.
const BLOCK_ALIGN: usize = 64;

/// A region of memory that grows by allocations and is freed as a whole.
pub struct Arena {
    /// Touched by the allocating thread only.
    state: UnsafeCell<State>,
    /// Bytes handed out, with the gaps and the ends of blocks that were given up. Written by the allocating thread.
    memory_usage: AtomicUsize,
}

struct State {
    /// The free part of the current block: `remaining` bytes from `next`.
    next: *mut u8,
    remaining: usize,
    /// Every block, with what it was allocated with.
    blocks: Vec<(NonNull<u8>, Layout)>,
    /// The size the next regular block will have.
    next_block_size: usize,
}

// SAFETY: the blocks belong to the arena alone, and raw memory may be freed by any thread.
unsafe impl Send for Arena {}
// SAFETY: by shared reference, `state` is reached only in `allocate` and `try_reserve`, whose callers promise that no
// two threads are inside at once; `memory_usage` is atomic.
unsafe impl Sync for Arena {}

impl Arena {
    /// An arena without blocks: the first allocation gets one.
    pub fn new() -> Self {
        let blocks = Vec::new();
        // Nothing remains at this address, but it is aligned and not null.
        let next = ptr::without_provenance_mut(BLOCK_ALIGN);
        let state = State { next, remaining: 0, blocks, next_block_size: FIRST_BLOCK_SIZE };
        Arena { state: UnsafeCell::new(state), memory_usage: AtomicUsize::new(0) }
    }

    /// Bytes in use: what was handed out, alignment gaps and given-up ends of blocks included. Any thread may ask.
    #[inline]
    pub fn memory_usage(&self) -> usize {
        self.memory_usage.load(Ordering::Relaxed)
    }

    /// `layout.size()` uninitialised bytes, aligned as asked for (to 64 at most). They live as long as the arena. Where
    /// the system has no memory the process ends, as with any allocation; see `try_reserve`.
    ///
    /// # Safety
    /// No other thread is inside `allocate` or `try_reserve`, and what earlier calls did happens before this call.
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

    /// Makes room for allocations of `size` bytes in total, gaps included, so that they can't fail. False where the
    /// system has no memory for them.
    ///
    /// # Safety
    /// As for `allocate`.
    pub unsafe fn try_reserve(&self, size: usize) -> bool {
        // SAFETY: the caller is the only thread in here, and no reference to the state outlives the call.
        let state = unsafe { &mut *self.state.get() };
        if size <= state.remaining {
            return true;
        }
        let Ok(layout) = Layout::from_size_align(size.max(state.next_block_size), BLOCK_ALIGN) else {
            return false;
        };
        match state.new_block(layout) {
            Some(block) => {
                self.replace_current(state, block, layout.size());
                true
            }
            None => false,
        }
    }

    #[cold]
    fn allocate_slow(&self, state: &mut State, layout: Layout) -> NonNull<u8> {
        let large = layout.size() > state.next_block_size / 4;
        let size = if large { layout.size() } else { state.next_block_size };
        let block_layout = match Layout::from_size_align(size, BLOCK_ALIGN) {
            Ok(block_layout) => block_layout,
            Err(_) => alloc::handle_alloc_error(layout),
        };
        let Some(block) = state.new_block(block_layout) else { alloc::handle_alloc_error(block_layout) };
        if !large {
            self.replace_current(state, block, size);
            state.next_block_size = (size * 2).min(MAX_BLOCK_SIZE);
            // SAFETY: the block has at least four times the size that is taken here.
            state.next = unsafe { state.next.add(layout.size()) };
            state.remaining -= layout.size();
        }
        self.add_usage(layout.size());
        block
    }

    /// Gives up what is left of the current block for a new one.
    fn replace_current(&self, state: &mut State, block: NonNull<u8>, size: usize) {
        self.add_usage(state.remaining);
        state.next = block.as_ptr();
        state.remaining = size;
    }

    /// Only the allocating thread writes, so that this needs no atomic addition.
    #[inline]
    fn add_usage(&self, size: usize) {
        self.memory_usage.store(self.memory_usage.load(Ordering::Relaxed) + size, Ordering::Relaxed);
    }
}

impl State {
    /// A block that the arena will free. `None` where there is no memory.
    fn new_block(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.blocks.try_reserve(1).ok()?;
        debug_assert!(layout.size() > 0);
        // SAFETY: the layout's size is not 0: a large allocation is over a quarter of a block, a regular one a block.
        let block = NonNull::new(unsafe { alloc::alloc(layout) })?;
        self.blocks.push((block, layout));
        Some(block)
    }
}

impl Default for Arena {
    fn default() -> Self {
        Arena::new()
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        for (block, layout) in self.state.get_mut().blocks.drain(..) {
            // SAFETY: the block came from `alloc` with this layout, and whoever borrowed from the arena is gone.
            unsafe { alloc::dealloc(block.as_ptr(), layout) };
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

    #[test]
    fn allocations_are_aligned_and_do_not_overlap() {
        let mut random = Random::new(301);
        let arena = Arena::new();
        let mut allocations = Vec::new();
        let mut total = 0;
        for i in 0..5_000usize {
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
        assert!(arena.memory_usage() < total + total / 4 + 5_000 * 64);
        for (i, (start, size)) in allocations.into_iter().enumerate() {
            // SAFETY: written above, and the arena is alive.
            let bytes = unsafe { std::slice::from_raw_parts(start.as_ptr(), size) };
            assert!(bytes.iter().all(|&byte| byte == i as u8), "allocation {i} was overwritten");
        }
    }

    #[test]
    fn usage_counts_what_is_used_not_what_is_set_aside() {
        let arena = Arena::new();
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
    fn an_empty_allocation_is_fine_first_and_last() {
        let arena = Arena::new();
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
        let arena = Arena::new();
        // SAFETY: one thread.
        assert!(unsafe { arena.try_reserve(1 << 20) });
        let first = allocate(&arena, 1 << 19, 8);
        let second = allocate(&arena, 1 << 19, 8);
        assert_eq!(second.addr().get() - first.addr().get(), 1 << 19);
        assert_eq!(arena.memory_usage(), 1 << 20);
        // SAFETY: one thread.
        unsafe {
            assert!(!arena.try_reserve(usize::MAX));
            assert!(!arena.try_reserve(isize::MAX as usize / 2));
        }
        assert_eq!(arena.memory_usage(), 1 << 20);
    }
}
