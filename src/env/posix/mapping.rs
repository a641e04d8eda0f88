//! Files mapped into memory: whole files for reading, and a window of a growing file for appending.
//!
//! A mapped file must not shrink: a page after the end of a file that another process has truncated raises
//! SIGBUS, as does a disk that cannot read or store a page. Tables never change once they are written, and
//! the LOCK file keeps other databases away. LevelDB relies on the same; options turn mappings off for users
//! who cannot.
//!
//! Thread rule: any number of threads may share a [`ReadMapping`]; a [`WriteMapping`] has one writer.

#![allow(unsafe_code)]

use super::mapping_limits::Room;
use super::sys;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::atomic::{Ordering, fence};

/// `[base, base + length)`, mapped and owned by this object.
struct Pages {
    base: NonNull<u8>,
    length: usize,
}

// SAFETY: mapped memory belongs to the process, not to a thread; the two types below decide how it is used.
unsafe impl Send for Pages {}
// SAFETY: as above; `Pages` itself has no function that writes.
unsafe impl Sync for Pages {}

impl Pages {
    fn map(file: &File, offset: u64, length: usize, protection: libc::c_int) -> io::Result<Self> {
        let offset = libc::off_t::try_from(offset).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
        // SAFETY: a new mapping at an address of the kernel's choice replaces nothing. A length of 0 or an
        // offset between pages is refused with EINVAL.
        let base = unsafe {
            libc::mmap(std::ptr::null_mut(), length, protection, libc::MAP_SHARED, file.as_raw_fd(), offset)
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
        Ok(Pages { base, length })
    }

    /// Calls madvise for the pages that `[from, to)` touches, limited to the mapping.
    fn advise(&self, from: usize, to: usize, advice: libc::c_int) -> io::Result<()> {
        let page = sys::page_size() as usize;
        let from = from.min(self.length) & !(page - 1);
        let to = to.min(self.length);
        if from >= to {
            return Ok(());
        }
        sys::retry(|| {
            // SAFETY: `[from, to)` lies inside the mapping and `from` on a page boundary; the advices used
            // here (WILLNEED and POPULATE_WRITE) do not change the contents of pages.
            match unsafe { libc::madvise(self.base.as_ptr().add(from).cast(), to - from, advice) } {
                -1 => Err(io::Error::last_os_error()),
                _ => Ok(()),
            }
        })
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: exactly what `map` mapped, and unmapped once; no reference into it outlives the owner.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.length) };
    }
}

/// A whole file, mapped read-only.
pub struct ReadMapping {
    pages: Pages,
    /// Dropped after the pages.
    _room: Room,
}

impl ReadMapping {
    /// Maps the first `length` bytes of `file`, which may be closed afterwards. Fails for an empty file, and
    /// if tables have taken their share of mappings or addresses (`mapping_limits`).
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
        // SAFETY: the pages are mapped readable until `self` is dropped, and the file does not change (see
        // the top of this file), so that nothing writes to the memory of the shared slice.
        unsafe { std::slice::from_raw_parts(self.pages.base.as_ptr(), self.pages.length) }
    }

    /// Advises the system that `[offset, offset + length)` will be read soon.
    pub fn will_need(&self, offset: u64, length: u64) {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let to = usize::try_from(offset.saturating_add(length)).unwrap_or(usize::MAX);
        let _ = self.pages.advise(from, to, libc::MADV_WILLNEED);
    }
}

/// A writable window of a file that this process appends to.
pub struct WriteMapping(Pages);

impl WriteMapping {
    /// Maps `[offset, offset + length)`. `offset` must be on a page boundary.
    pub fn new(file: &File, offset: u64, length: u64) -> io::Result<Self> {
        let length = usize::try_from(length).map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
        Ok(WriteMapping(Pages::map(file, offset, length, libc::PROT_READ | libc::PROT_WRITE)?))
    }

    /// Makes the pages of `[from, to)` writable without a page fault. If the file system cannot store them,
    /// this returns an error instead of raising a signal. EINVAL before Linux 5.14.
    pub fn populate(&self, from: usize, to: usize) -> io::Result<()> {
        self.0.advise(from, to, libc::MADV_POPULATE_WRITE).map_err(|error| match error.raw_os_error() {
            // The kernel documents EFAULT here as: a page could not be made present, a store to it would
            // raise SIGBUS.
            Some(libc::EFAULT) => io::Error::from_raw_os_error(libc::EIO),
            _ => error,
        })
    }

    /// Copies `bytes` to the offset `at` of the window. Panics outside of the window, as a slice would.
    #[inline]
    pub fn store(&mut self, at: usize, bytes: &[u8]) {
        assert!(at <= self.0.length && bytes.len() <= self.0.length - at);
        // SAFETY: inside of the window by the line above; `&mut self` makes this the only writer, and there
        // are no references into the window that the copy could invalidate.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.0.base.as_ptr().add(at), bytes.len()) };
    }

    /// Stores eight bytes at the offset `at` with one instruction, after all earlier stores. A reader that
    /// sees these bytes, after a kill or from another process, sees the earlier stores too, and never sees a
    /// part of the eight bytes. Panics outside of the window, as a slice would.
    #[inline]
    pub fn publish(&mut self, at: usize, bytes: [u8; 8]) {
        assert!(at <= self.0.length && 8 <= self.0.length - at);
        fence(Ordering::Release);
        // SAFETY: inside of the window by the line above. One unaligned eight-byte store: a signal is taken
        // before or after an instruction, not within it.
        unsafe { self.0.base.as_ptr().add(at).cast::<u64>().write_unaligned(u64::from_ne_bytes(bytes)) };
    }
}
