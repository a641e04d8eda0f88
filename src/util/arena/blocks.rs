//! Large blocks of memory mapped from the system, and a store of idle ones.
//!
//! A memtable exists for a fraction of a second and takes megabytes. The general allocator would place its
//! blocks below small allocations that exist longer (glibc stops mapping blocks of this size once one was
//! freed), and then keep them after they are freed: the process would hold twice the memory it uses. So
//! blocks are mapped and unmapped. The store saves the next memtable the system calls and the page faults of
//! new blocks. It is bounded, and it is emptied when no memtable fills.
//!
//! Thread rule: `Pages` have one owner, which may be any thread. Any thread may use the store at any time.

use crate::util::lock::Mutex;
use std::ptr::NonNull;

/// The size of a block in a store, in bytes.
pub const BLOCK_SIZE: usize = 256 << 10;

/// Memory mapped from the system: zeroed at first, aligned to 4 KiB, unmapped when dropped.
pub struct Pages {
    start: NonNull<u8>,
    size: usize,
}

// SAFETY: the memory is owned, raw, and may be unmapped by any thread.
unsafe impl Send for Pages {}
// SAFETY: by shared reference only the address and the size can be read.
unsafe impl Sync for Pages {}

impl Pages {
    /// `size` bytes. `None` if the system has no memory for them, or if `size` is 0.
    pub fn new(size: usize) -> Option<Pages> {
        if size == 0 || size > isize::MAX as usize {
            return None;
        }
        system::map(size).map(|start| Pages { start, size })
    }

    /// The address of the first byte.
    #[inline]
    pub fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// In bytes.
    #[inline]
    pub fn size(&self) -> usize {
        self.size
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: `map` returned this memory for this size, and its only owner is being dropped.
        unsafe { system::unmap(self.start, self.size) };
    }
}

#[cfg(all(unix, not(miri)))]
mod system {
    use std::ptr::{self, NonNull};

    /// Pages are present from the start instead of on first touch. A first touch costs a page fault; if the
    /// first touch is a read, the first write costs another fault, which interrupts the other processors.
    #[cfg(target_os = "linux")]
    const POPULATED: libc::c_int = libc::MAP_POPULATE;
    #[cfg(not(target_os = "linux"))]
    const POPULATED: libc::c_int = 0;

    /// In bytes. Larger mappings are populated on touch: populating them at once would stall a writer.
    const MOST_POPULATED: usize = 8 << 20;

    /// Private zeroed pages.
    pub fn map(size: usize) -> Option<NonNull<u8>> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let populated = if size <= MOST_POPULATED { POPULATED } else { 0 };
        let flags = libc::MAP_PRIVATE | libc::MAP_ANON | populated;
        // SAFETY: a new mapping at an address of the system's choice touches nothing that exists.
        let start = unsafe { libc::mmap(ptr::null_mut(), size, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED { None } else { NonNull::new(start.cast()) }
    }

    /// Unmaps pages.
    ///
    /// # Safety
    /// `map` returned `start` for this size, and nothing uses the memory any more.
    pub unsafe fn unmap(start: NonNull<u8>, size: usize) {
        // SAFETY: the caller promises what `munmap` needs.
        unsafe {
            // The system may have merged this mapping with its neighbours. Splitting the merged mapping needs
            // one more mapping, and the process may already have the most it may have. Then the address range
            // is lost, but its memory is freed.
            if libc::munmap(start.as_ptr().cast(), size) != 0 {
                libc::madvise(start.as_ptr().cast(), size, libc::MADV_DONTNEED);
            }
        }
    }
}

/// The general allocator instead of the system's mappings, so that Miri sees every byte.
#[cfg(any(not(unix), miri))]
mod system {
    use std::alloc::{self, Layout};
    use std::ptr::NonNull;

    const PAGE: usize = 4096;

    /// Zeroed memory.
    pub fn map(size: usize) -> Option<NonNull<u8>> {
        let layout = Layout::from_size_align(size, PAGE).ok()?;
        // SAFETY: the caller asks for more than 0 bytes.
        NonNull::new(unsafe { alloc::alloc_zeroed(layout) })
    }

    /// Frees the memory.
    ///
    /// # Safety
    /// `map` returned `start` for this size, and nothing uses the memory any more.
    pub unsafe fn unmap(start: NonNull<u8>, size: usize) {
        // SAFETY: `map` made this layout of the same size, and the caller owns the memory.
        unsafe { alloc::dealloc(start.as_ptr(), Layout::from_size_align_unchecked(size, PAGE)) };
    }
}

/// Idle blocks of `BLOCK_SIZE` bytes. Their content is arbitrary.
pub struct BlockStore {
    idle: Mutex<Vec<Pages>>,
    /// The largest number of idle blocks; further ones are unmapped.
    most: usize,
}

impl BlockStore {
    /// An empty store that keeps at most `most_bytes` of idle blocks.
    pub fn new(most_bytes: usize) -> Self {
        BlockStore { idle: Mutex::new(Vec::new()), most: most_bytes / BLOCK_SIZE }
    }

    /// The block that was put last, if there is one.
    pub fn take(&self) -> Option<Pages> {
        self.idle.lock().pop()
    }

    /// Keeps blocks, each of `BLOCK_SIZE`, as far as the limit allows; the others are unmapped.
    pub fn put(&self, mut blocks: Vec<Pages>) {
        debug_assert!(blocks.iter().all(|block| block.size() == BLOCK_SIZE));
        let mut idle = self.idle.lock();
        let room = self.most.saturating_sub(idle.len()).min(blocks.len());
        idle.extend(blocks.drain(..room));
        drop(idle); // the excess blocks are unmapped without the lock
    }

    /// Unmaps all idle blocks.
    pub fn clear(&self) {
        let idle = std::mem::take(&mut *self.idle.lock());
        drop(idle); // unmapped without the lock
    }

    /// Bytes of idle blocks.
    pub fn idle_bytes(&self) -> usize {
        self.idle.lock().len() * BLOCK_SIZE
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn pages_are_zero_and_can_be_written_to_the_last_byte() {
        for size in [1, 4096, 100_000] {
            let pages = Pages::new(size).unwrap();
            assert_eq!((pages.size(), pages.start().addr().get() % 4096), (size, 0));
            // SAFETY: these bytes were just handed out, and are zero.
            let bytes = unsafe { std::slice::from_raw_parts_mut(pages.start().as_ptr(), size) };
            assert!(bytes.iter().all(|&byte| byte == 0));
            bytes.fill(7);
        }
    }

    #[test]
    fn sizes_that_nobody_has_are_refused() {
        assert!(Pages::new(0).is_none());
        assert!(Pages::new(usize::MAX).is_none());
        assert!(cfg!(miri) || Pages::new(isize::MAX as usize).is_none());
    }

    #[test]
    fn a_store_keeps_no_more_than_it_may() {
        let store = BlockStore::new(2 * BLOCK_SIZE + 1);
        assert!(store.take().is_none());
        store.put((0..3).map(|_| Pages::new(BLOCK_SIZE).unwrap()).collect());
        assert_eq!(store.idle_bytes(), 2 * BLOCK_SIZE);
        let block = store.take().unwrap();
        assert_eq!(store.idle_bytes(), BLOCK_SIZE);
        store.put(vec![block]);
        assert_eq!(store.idle_bytes(), 2 * BLOCK_SIZE);
        store.clear();
        assert_eq!(store.idle_bytes(), 0);
        assert!(store.take().is_none());
    }
}
