//! Large blocks of memory straight from the system, and a store of idle ones.
//!
//! A memtable lives for a fraction of a second and takes megabytes. From the general allocator these come to lie below
//! small things that live longer (glibc stops mapping blocks of this size once one was freed), so that they are kept after
//! they are freed: a process then holds twice what it uses. So they are mapped and unmapped. The store spares the next
//! memtable the system's call and the faults of new pages; it is bounded, and emptied when no memtable fills.
//!
//! Thread rule: pages belong to one owner, who may be any thread; the store may be used by any thread at any time.

use crate::util::lock::Mutex;
use std::ptr::NonNull;

/// The size of a block in a store.
pub const BLOCK_SIZE: usize = 256 << 10;

/// Memory from the system, all zeros at first and aligned to 4 KiB; given back when dropped.
pub struct Pages {
    start: NonNull<u8>,
    size: usize,
}

// SAFETY: the memory is owned, raw, and may be given back by any thread.
unsafe impl Send for Pages {}
// SAFETY: by shared reference only the address and the size can be read.
unsafe impl Sync for Pages {}

impl Pages {
    /// `size` bytes. `None` where the system has no memory for them, and of 0.
    pub fn new(size: usize) -> Option<Pages> {
        if size == 0 || size > isize::MAX as usize {
            return None;
        }
        system::map(size).map(|start| Pages { start, size })
    }

    /// The first byte.
    #[inline]
    pub fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// How many bytes there are.
    #[inline]
    pub fn size(&self) -> usize {
        self.size
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: `map` gave this memory of this size, and it has this one owner, who is gone.
        unsafe { system::unmap(self.start, self.size) };
    }
}

#[cfg(all(unix, not(miri)))]
mod system {
    use std::ptr::{self, NonNull};

    /// There, and not only when they are first touched: each touch would cost a fault, and a second one, which interrupts the other
    /// processors, where a page is read before it is written.
    #[cfg(target_os = "linux")]
    const POPULATED: libc::c_int = libc::MAP_POPULATE;
    #[cfg(not(target_os = "linux"))]
    const POPULATED: libc::c_int = 0;

    /// Of more, the pages come one by one: all at once would keep a writer waiting.
    const MOST_POPULATED: usize = 8 << 20;

    /// Private pages, all zeros.
    pub fn map(size: usize) -> Option<NonNull<u8>> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let populated = if size <= MOST_POPULATED { POPULATED } else { 0 };
        let flags = libc::MAP_PRIVATE | libc::MAP_ANON | populated;
        // SAFETY: a new mapping at an address of the system's choice touches nothing that exists.
        let start = unsafe { libc::mmap(ptr::null_mut(), size, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED { None } else { NonNull::new(start.cast()) }
    }

    /// Ends a mapping.
    ///
    /// # Safety
    /// `map` returned `start` for this size, and nobody uses it any more.
    pub unsafe fn unmap(start: NonNull<u8>, size: usize) {
        // SAFETY: as the caller promises.
        unsafe {
            // The system may have made one mapping of this and its neighbours. To split that, it needs another, and may have no more
            // of them: then the addresses are lost, but not the memory.
            if libc::munmap(start.as_ptr().cast(), size) != 0 {
                libc::madvise(start.as_ptr().cast(), size, libc::MADV_DONTNEED);
            }
        }
    }
}

/// The general allocator in the system's place: an interpreter sees every byte of it.
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

    /// Frees it.
    ///
    /// # Safety
    /// `map` returned `start` for this size, and nobody uses it any more.
    pub unsafe fn unmap(start: NonNull<u8>, size: usize) {
        // SAFETY: `map` made this layout of the same size, and the caller owns the memory.
        unsafe { alloc::dealloc(start.as_ptr(), Layout::from_size_align_unchecked(size, PAGE)) };
    }
}

/// Idle blocks of `BLOCK_SIZE` bytes, whose content is not zero any more.
pub struct BlockStore {
    idle: Mutex<Vec<Pages>>,
    /// So many are kept.
    most: usize,
}

impl BlockStore {
    /// An empty store that keeps up to `most_bytes`.
    pub fn new(most_bytes: usize) -> Self {
        BlockStore { idle: Mutex::new(Vec::new()), most: most_bytes / BLOCK_SIZE }
    }

    /// The block that came last.
    pub fn take(&self) -> Option<Pages> {
        self.idle.lock().pop()
    }

    /// Keeps blocks, all of `BLOCK_SIZE`; those that are too many go back to the system.
    pub fn put(&self, mut blocks: Vec<Pages>) {
        debug_assert!(blocks.iter().all(|block| block.size() == BLOCK_SIZE));
        let mut idle = self.idle.lock();
        let room = self.most.saturating_sub(idle.len()).min(blocks.len());
        idle.extend(blocks.drain(..room));
        drop(idle); // what is left is unmapped with nothing locked
    }

    /// Gives all of them back to the system.
    pub fn clear(&self) {
        let idle = std::mem::take(&mut *self.idle.lock());
        drop(idle); // with nothing locked
    }

    /// Bytes kept.
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
