//! Files mapped into memory: whole ones for reading, a window of a growing one for appending.
//!
//! What is mapped must stay as long as it is: a page behind the end of a file that someone else has cut raises SIGBUS,
//! as does a disk that cannot read or store a page. Tables never change once they are written and the LOCK file keeps other
//! databases away, which is LevelDB's bargain too; the options that turn mappings off are for those who cannot
//! take it.
//!
//! Thread rule: a [`ReadMapping`] is shared freely, a [`WriteMapping`] has one writer.

#![allow(unsafe_code)]

use super::mapping_limits::Room;
use super::sys;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::atomic::{Ordering, fence};

/// `[base, base + length)`, mapped by this object alone.
struct Pages {
    base: NonNull<u8>,
    length: usize,
}

// SAFETY: mapped memory belongs to the process, not to a thread; what is done with it is up to the two types below.
unsafe impl Send for Pages {}
// SAFETY: as above; `Pages` itself offers nothing that writes.
unsafe impl Sync for Pages {}

impl Pages {
    fn map(file: &File, offset: u64, length: usize, protection: libc::c_int) -> io::Result<Self> {
        let offset = libc::off_t::try_from(offset).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
        // SAFETY: a new mapping at an address of the kernel's choice replaces nothing. A length of 0 or an offset
        // between pages is refused with EINVAL.
        let base = unsafe {
            libc::mmap(std::ptr::null_mut(), length, protection, libc::MAP_SHARED, file.as_raw_fd(), offset)
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
        Ok(Pages { base, length })
    }

    /// madvise on the pages that `[from, to)` touches, cut to the mapping.
    fn advise(&self, from: usize, to: usize, advice: libc::c_int) -> io::Result<()> {
        let page = sys::page_size() as usize;
        let from = from.min(self.length) & !(page - 1);
        let to = to.min(self.length);
        if from >= to {
            return Ok(());
        }
        sys::retry(|| {
            // SAFETY: `[from, to)` lies inside the mapping and `from` on a page; the advices used here (WILLNEED and
            // POPULATE_WRITE) keep what the pages hold.
            match unsafe { libc::madvise(self.base.as_ptr().add(from).cast(), to - from, advice) } {
                -1 => Err(io::Error::last_os_error()),
                _ => Ok(()),
            }
        })
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: exactly what `map` mapped, once; no reference into it outlives the owner.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.length) };
    }
}

/// A whole file, read-only.
pub struct ReadMapping {
    pages: Pages,
    /// Given back after the pages.
    _room: Room,
}

impl ReadMapping {
    /// Maps the first `length` bytes of `file`, which may be closed afterwards. Fails for an empty file, and where tables have
    /// taken their share of mappings or addresses (`mapping_limits`).
    pub fn new(file: &File, length: u64) -> io::Result<Self> {
        let no_memory = || io::Error::from_raw_os_error(libc::ENOMEM);
        let length = usize::try_from(length).ok().filter(|&length| length <= isize::MAX as usize);
        let length = length.ok_or_else(no_memory)?;
        let _room = Room::take(length)?;
        Ok(ReadMapping { pages: Pages::map(file, 0, length, libc::PROT_READ)?, _room })
    }

    /// The bytes of the file.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the pages are mapped readable until `self` is dropped, and the file does not change (see the head of this
        // file), so that nobody writes behind the shared reference.
        unsafe { std::slice::from_raw_parts(self.pages.base.as_ptr(), self.pages.length) }
    }

    /// `[offset, offset + length)` will be read soon.
    pub fn will_need(&self, offset: u64, length: u64) {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let to = usize::try_from(offset.saturating_add(length)).unwrap_or(usize::MAX);
        let _ = self.pages.advise(from, to, libc::MADV_WILLNEED);
    }
}

/// A window onto a file that this process appends to.
pub struct WriteMapping(Pages);

impl WriteMapping {
    /// Maps `[offset, offset + length)`; `offset` lies on a page.
    pub fn new(file: &File, offset: u64, length: u64) -> io::Result<Self> {
        let length = usize::try_from(length).map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
        Ok(WriteMapping(Pages::map(file, offset, length, libc::PROT_READ | libc::PROT_WRITE)?))
    }

    /// Makes the pages of `[from, to)` writable without a fault. Where the file system cannot store them this is an error,
    /// not a signal. EINVAL before Linux 5.14.
    pub fn populate(&self, from: usize, to: usize) -> io::Result<()> {
        self.0.advise(from, to, libc::MADV_POPULATE_WRITE).map_err(|error| match error.raw_os_error() {
            // "A page could not be made present, a store would raise SIGBUS."
            Some(libc::EFAULT) => io::Error::from_raw_os_error(libc::EIO),
            _ => error,
        })
    }

    /// Copies `bytes` to `at`. Panics, as a slice would, outside the window.
    #[inline]
    pub fn store(&mut self, at: usize, bytes: &[u8]) {
        assert!(at <= self.0.length && bytes.len() <= self.0.length - at);
        // SAFETY: inside the window by the line above; `&mut self` makes this the only writer, and there are no references
        // into the window that the copy could invalidate.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.0.base.as_ptr().add(at), bytes.len()) };
    }

    /// Stores eight bytes at `at` with one instruction, after everything stored before: who sees them, after a kill or from
    /// another process, sees that too, and never sees a part of them. Panics, as a slice would, outside the window.
    #[inline]
    pub fn publish(&mut self, at: usize, bytes: [u8; 8]) {
        assert!(at <= self.0.length && 8 <= self.0.length - at);
        fence(Ordering::Release);
        // SAFETY: inside the window by the line above. One unaligned eight-byte store: a signal is taken before or after
        // an instruction.
        unsafe { self.0.base.as_ptr().add(at).cast::<u64>().write_unaligned(u64::from_ne_bytes(bytes)) };
    }
}
