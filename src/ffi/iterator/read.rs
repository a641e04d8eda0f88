//! `terrace_iter_read`: copies many entries in one call, for languages in which a call into C is expensive:
//! Python, Go, Java.
//!
//! Invariant: an entry is counted only after its bytes and its ends are written and the iterator has left it.
//! So if a move panics, all entries counted before are complete.
#![allow(unsafe_code)]

use super::leveldb_iterator_t;
use crate::db::DbIterator;
use crate::error::{Error, Result};
use crate::ffi::{bytes, handle};
use std::ffi::{c_char, c_int};
use std::ptr;

/// Flags of terrace_iter_read(), to be added up. The numbers never change.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum terrace_iter_read_t {
    /// Copy keys.
    TERRACE_READ_KEYS = 1,
    /// Copy values.
    TERRACE_READ_VALUES = 2,
    /// Move backward.
    TERRACE_READ_BACKWARD = 4,
    /// Include the entry whose key is `stop`.
    TERRACE_READ_STOP_INCLUSIVE = 8,
}

use terrace_iter_read_t::*;

/// The value of `*next_size` if there is no next entry.
const NO_ENTRY: usize = usize::MAX;

/// Which entries to copy, and where to.
struct Request<'a> {
    flags: c_int,
    stop: Option<&'a [u8]>,
    buffer: *mut u8,
    buffer_size: usize,
    /// One number per copied part (key or value) of each entry: as many as the requested parts times
    /// `max_entries`.
    ends: *mut usize,
    max_entries: usize,
}

/// How much of a request is done.
struct Progress {
    entries: usize,
    bytes: usize,
    next_size: usize,
}

impl<'a> Request<'a> {
    fn has(&self, flag: terrace_iter_read_t) -> bool {
        self.flags & flag as c_int != 0
    }

    /// Refuses unknown flags, and a NULL where memory is needed.
    fn check(self) -> Result<Self> {
        let known = TERRACE_READ_KEYS as c_int
            | TERRACE_READ_VALUES as c_int
            | TERRACE_READ_BACKWARD as c_int
            | TERRACE_READ_STOP_INCLUSIVE as c_int;
        if self.flags & !known != 0 {
            return Err(Error::invalid_argument(format!(
                "flags are {}, of which some are unknown",
                self.flags
            )));
        }
        let copies = self.has(TERRACE_READ_KEYS) || self.has(TERRACE_READ_VALUES);
        if copies && self.buffer.is_null() && self.buffer_size != 0 {
            return Err(handle::is_null("buffer"));
        }
        if copies && self.ends.is_null() && self.max_entries != 0 {
            return Err(handle::is_null("ends"));
        }
        Ok(self)
    }

    /// The requested parts of the current entry; empty for a part that is not requested.
    #[inline(always)]
    fn parts<'i>(&self, iterator: &'i DbIterator) -> (&'i [u8], &'i [u8]) {
        let key = if self.has(TERRACE_READ_KEYS) { iterator.key() } else { &[] };
        let value = if self.has(TERRACE_READ_VALUES) { iterator.value() } else { &[] };
        (key, value)
    }

    /// Is the current entry after the last requested one, in the direction of the scan?
    #[inline(always)]
    fn is_past_stop(&self, iterator: &DbIterator) -> bool {
        let Some(stop) = self.stop else { return false };
        let order = iterator.compare_keys(iterator.key(), stop);
        let order = if self.has(TERRACE_READ_BACKWARD) { order.reverse() } else { order };
        if self.has(TERRACE_READ_STOP_INCLUSIVE) { order.is_gt() } else { order.is_ge() }
    }

    /// Copies as many entries as there are or as fit, and moves the iterator past them.
    ///
    /// # Safety
    /// If anything is to be copied, `buffer` is writable for `buffer_size` bytes and `ends` for its numbers.
    unsafe fn read(&self, iterator: &mut DbIterator, done: &mut Progress) {
        let mut end = self.ends;
        while iterator.valid() {
            if self.is_past_stop(iterator) {
                return;
            }
            let (key, value) = self.parts(iterator);
            // Both lie in memory, and each is shorter than 4 GiB: their sum does not overflow.
            let size = key.len() + value.len();
            if done.entries == self.max_entries || size > self.buffer_size - done.bytes {
                done.next_size = size;
                return;
            }
            // SAFETY: `size` bytes are left of the buffer, which is not NULL if its size is not 0, and which
            // the caller keeps during this call. Of `ends`, one number per part is left, as fewer than
            // `max_entries` are done.
            unsafe {
                for (flag, part) in [(TERRACE_READ_KEYS, key), (TERRACE_READ_VALUES, value)] {
                    if self.has(flag) {
                        if !part.is_empty() {
                            ptr::copy_nonoverlapping(part.as_ptr(), self.buffer.add(done.bytes), part.len());
                        }
                        done.bytes += part.len();
                        end.write(done.bytes);
                        end = end.add(1);
                    }
                }
            }
            if self.has(TERRACE_READ_BACKWARD) {
                iterator.prev();
            } else {
                iterator.next();
            }
            done.entries += 1;
        }
    }
}

/// Copies many entries in one call. Starts at the current entry and moves forward or backward, until the
/// buffer is full, `max_entries` entries are copied, or no entry is left. Leaves the iterator on the entry
/// after the last copied one, and returns the number of entries copied.
///
/// `flags` is a sum of values of `terrace_iter_read_t`. `buffer` receives the requested parts (keys, values,
/// or both, the key first) of one entry after the other, without anything in between. `ends` receives one
/// number per part: the offset in `buffer` at which the part ends, which is where the next part starts.
/// `ends` has room for `max_entries` numbers, or twice as many with both keys and values. If neither is
/// requested, entries are only counted, and `buffer` and `ends` may be NULL.
///
/// `stop` bounds the scan, in the order of the database: forward, entries whose key is at or after `stop` are
/// not copied; backward, entries whose key is at or before it. With TERRACE_READ_STOP_INCLUSIVE, the entry
/// with the key `stop` is copied. NULL (with any length) is no bound. The iterator stands on the first entry
/// that is left out.
///
/// `*next_size` receives the number of bytes of `buffer` that the next entry takes, or `(size_t)-1` if there
/// is no next entry, because the bound, the end or an error was reached: call leveldb_iter_get_error() to
/// find out. If nothing was copied and `*next_size` is another number, repeat the call with a buffer of that
/// size. `next_size` may be NULL.
///
/// A NULL `iter` is refused, as in (6). Unknown flags, a NULL `buffer` whose size is not 0, NULL `ends` and a
/// `stop` that is too long are errors of the iterator, which stays invalid until it is positioned again.
///
/// # Safety
/// `iter` is NULL or an iterator that no other call uses now; `stop` has its length; `buffer` is writable for
/// `buffer_size` bytes and `ends` for the numbers described above; neither overlaps the other, `stop` or
/// `*next_size`; `next_size` is NULL or writable.
#[allow(clippy::too_many_arguments)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_iter_read(
    iter: *mut leveldb_iterator_t,
    flags: c_int,
    stop: *const c_char,
    stop_len: usize,
    buffer: *mut c_char,
    buffer_size: usize,
    ends: *mut usize,
    max_entries: usize,
    next_size: *mut usize,
) -> usize {
    // SAFETY: as the caller promises.
    unsafe {
        let buffer = buffer.cast();
        let request = bytes::bound(stop, stop_len, "stop").map(|stop| Request {
            flags,
            stop,
            buffer,
            buffer_size,
            ends,
            max_entries,
        });
        let done = copy(iter, request);
        if !next_size.is_null() {
            next_size.write(done.next_size);
        }
        done.entries
    }
}

/// Carries a request out, or makes the reason why it is refused the error of the iterator.
///
/// # Safety
/// As [`terrace_iter_read`].
unsafe fn copy(iter: *mut leveldb_iterator_t, request: Result<Request<'_>>) -> Progress {
    let mut done = Progress { entries: 0, bytes: 0, next_size: NO_ENTRY };
    // SAFETY: as the caller promises.
    unsafe {
        match request.and_then(Request::check) {
            Ok(request) => super::advance(iter, |iterator| request.read(iterator, &mut done)),
            Err(error) => super::refuse(iter, error),
        }
    }
    done
}
