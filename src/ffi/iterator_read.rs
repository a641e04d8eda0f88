//! `terrace_iter_read`: many entries in one call, for callers to whom a call is dear: Python, Go, Java.
//!
//! Invariant: an entry is counted once its bytes and its ends are written and the iterator has left it; so what a move that
//! panics has counted before is whole.
#![allow(unsafe_code)]

use super::iterator::{self, leveldb_iterator_t};
use super::{bytes, handle};
use crate::db::DbIterator;
use crate::error::{Error, Result};
use std::ffi::{c_char, c_int};
use std::ptr;

/// What terrace_iter_read() does; to be added up.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum terrace_iter_read_t {
    /// Copy keys.
    TERRACE_READ_KEYS = 1,
    /// Copy values.
    TERRACE_READ_VALUES = 2,
    /// Go backward.
    TERRACE_READ_BACKWARD = 4,
    /// The entry whose key is `stop` belongs to those asked for.
    TERRACE_READ_STOP_INCLUSIVE = 8,
}

use terrace_iter_read_t::*;

/// What `*next_size` says when no entry comes next.
const NO_ENTRY: usize = usize::MAX;

/// Which entries are asked for, and where they go.
struct Request<'a> {
    flags: c_int,
    stop: Option<&'a [u8]>,
    buffer: *mut u8,
    buffer_size: usize,
    /// One a part, so `parts() * max_entries`.
    ends: *mut usize,
    max_entries: usize,
}

/// What has been done of it.
struct Progress {
    entries: usize,
    bytes: usize,
    next_size: usize,
}

impl<'a> Request<'a> {
    fn has(&self, flag: terrace_iter_read_t) -> bool {
        self.flags & flag as c_int != 0
    }

    /// Is there something wrong with it?
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

    /// The parts of the entry that are asked for: empty where not.
    #[inline(always)]
    fn parts<'i>(&self, iterator: &'i DbIterator) -> (&'i [u8], &'i [u8]) {
        let key = if self.has(TERRACE_READ_KEYS) { iterator.key() } else { &[] };
        let value = if self.has(TERRACE_READ_VALUES) { iterator.value() } else { &[] };
        (key, value)
    }

    /// Does the entry that the iterator stands on lie behind the last one asked for?
    #[inline(always)]
    fn is_behind_stop(&self, iterator: &DbIterator) -> bool {
        let Some(stop) = self.stop else { return false };
        let order = iterator.compare_keys(iterator.key(), stop);
        let order = if self.has(TERRACE_READ_BACKWARD) { order.reverse() } else { order };
        if self.has(TERRACE_READ_STOP_INCLUSIVE) { order.is_gt() } else { order.is_ge() }
    }

    /// Copies as many entries as there are, or fit, and moves the iterator behind them.
    ///
    /// # Safety
    /// `buffer` and `ends` are writable for what they are said to hold, as far as anything is to be copied.
    unsafe fn read(&self, iterator: &mut DbIterator, done: &mut Progress) {
        let mut end = self.ends;
        while iterator.valid() {
            if self.is_behind_stop(iterator) {
                return;
            }
            let (key, value) = self.parts(iterator);
            // Each is shorter than 4 GiB, or not longer than the memory it lies in: the sum of the two does not overflow.
            let size = key.len() + value.len();
            if done.entries == self.max_entries || size > self.buffer_size - done.bytes {
                done.next_size = size;
                return;
            }
            // SAFETY: `size` bytes are left of the buffer, which is not NULL where its size is not 0, and which the
            // caller keeps for this call; one end a part is left of `ends`, as fewer than `max_entries` are done.
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

/// Copies many entries in one call: those from where the iterator stands, forward or backward, until the buffer is full,
/// `max_entries` are copied, or no entry is left. Moves the iterator behind the last one copied, and returns how many.
///
/// `flags` is a sum of values of `terrace_iter_read_t`. `buffer` receives the parts asked for (key, value, or key before value)
/// of one entry behind the other, without anything in between. `ends` receives one number a part: where in `buffer` it ends, which
/// is where the next one starts. It has room for `max_entries` numbers, twice as many with keys and values. With neither,
/// entries are counted and passed over, and `buffer` and `ends` may be NULL.
///
/// `stop` bounds the scan in the order of the database: forward, entries whose key is at or behind `stop` are not copied;
/// backward, those whose key is at or before it. With TERRACE_READ_STOP_INCLUSIVE the key `stop` itself is. NULL (whatever the length)
/// is no bound. The first entry that is left out is the one the iterator then stands on.
///
/// `*next_size` says how the scan goes on: how many bytes of `buffer` the next entry takes, or `(size_t)-1` if none comes next,
/// because the bound, the end or an error was reached: leveldb_iter_get_error() tells which, and is to be asked. When nothing was
/// copied, and `*next_size` is another number, it is the size of the buffer to come again with. `next_size` may be NULL.
///
/// A NULL `iter` is refused, as in (6). Unknown flags, a NULL `buffer` whose size is not 0, NULL `ends` and a `stop` that is too
/// long are errors of the iterator, which stays invalid until it is positioned again.
///
/// # Safety
/// `iter` is NULL or an iterator that no other call uses now; `stop` has its length; `buffer` is writable for `buffer_size`
/// bytes and `ends` for the numbers said above, neither overlaps the other, `stop` or `*next_size`; `next_size` is NULL or writable.
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
    let mut done = Progress { entries: 0, bytes: 0, next_size: NO_ENTRY };
    // SAFETY: as the caller promises.
    unsafe {
        let stop = bytes::bound(stop, stop_len, "stop");
        let buffer = buffer.cast();
        let request =
            stop.and_then(|stop| Request { flags, stop, buffer, buffer_size, ends, max_entries }.check());
        match request {
            Ok(request) => iterator::advance(iter, |iterator| request.read(iterator, &mut done)),
            Err(error) => iterator::refuse(iter, error),
        }
        if !next_size.is_null() {
            next_size.write(done.next_size);
        }
    }
    done.entries
}
