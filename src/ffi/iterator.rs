//! `leveldb_iterator_t`: a position in the user's view of the database. `movement` and `read` have the
//! functions that do in one call what LevelDB's interface does in several.
//!
//! Invariant: an iterator whose move panicked is never called again, only dropped; it stays invalid and keeps
//! the error.
#![allow(unsafe_code)]

pub mod movement;
pub mod read;

use super::boundary::{self, contain, guard, guard_quietly};
use super::db::leveldb_t;
use super::failure::{Failure, terrace_error_t};
use super::option_header::read_options;
use super::read_options::leveldb_readoptions_t;
use super::{bytes, handle, last_error};
use crate::db::DbIterator;
use crate::error::{Error, Result};
use std::ffi::c_char;
use std::ptr;

/// A position in the entries of a database; see leveldb_create_iterator().
#[allow(non_camel_case_types)]
pub struct leveldb_iterator_t {
    /// The current entry. Updated at the end of every move.
    shown: Shown,
    iterator: DbIterator,
    trouble: Option<Trouble>,
}

/// The entry that the iterator stands on, as C reads it between two moves. The pointers point into
/// `iterator`.
struct Shown {
    /// NULL: the iterator stands on no entry.
    key: *const c_char,
    key_length: usize,
    value: *const c_char,
    value_length: usize,
}

const NOTHING: Shown = Shown { key: ptr::null(), key_length: 0, value: ptr::null(), value_length: 0 };

/// An error that the core's iterator does not know.
enum Trouble {
    /// A refused argument. Cleared by the next seek.
    Refused(Error),
    /// A panic. Permanent.
    Broken(Error),
}

impl leveldb_iterator_t {
    /// Updates `shown` after a successful move.
    #[inline(always)]
    fn show(&mut self) {
        self.shown = match self.iterator.entry() {
            Some((key, value)) => Shown {
                key: bytes::pointer_to(key),
                key_length: key.len(),
                value: bytes::pointer_to(value),
                value_length: value.len(),
            },
            None => NOTHING,
        };
    }

    /// Passes an iterator to C.
    pub(super) fn give(iterator: DbIterator) -> *mut leveldb_iterator_t {
        handle::give(leveldb_iterator_t { shown: NOTHING, iterator, trouble: None })
    }

    fn status(&self) -> Result<()> {
        match &self.trouble {
            Some(Trouble::Refused(error) | Trouble::Broken(error)) => Err(error.clone()),
            None => self.iterator.status(),
        }
    }

    /// Records that a move failed.
    #[cold]
    fn fail(&mut self, failure: Failure) {
        self.shown = NOTHING;
        self.trouble = Some(match failure.code {
            terrace_error_t::TERRACE_INTERNAL_ERROR => {
                self.iterator.break_down();
                Trouble::Broken(failure.error.clone())
            }
            _ => Trouble::Refused(failure.error.clone()),
        });
        last_error::set(failure);
    }
}

/// Runs a move that does not depend on the current position.
///
/// # Safety
/// `iter` is NULL or an iterator that no other call uses now.
#[inline(always)]
unsafe fn seek(iter: *mut leveldb_iterator_t, step: impl FnOnce(&mut DbIterator) -> Result<()>) {
    // SAFETY: as the caller promises.
    let Some(handle) = (unsafe { handle::lend_mut(iter) }) else { return };
    if matches!(handle.trouble, Some(Trouble::Broken(_))) {
        return;
    }
    handle.trouble = None;
    let moved = boundary::catch(|| {
        step(&mut handle.iterator)?;
        handle.show();
        Ok(())
    });
    if let Err(failure) = moved {
        handle.fail(failure);
    }
}

/// Runs a move relative to the current position. Does nothing if the iterator stands on no entry.
///
/// # Safety
/// As [`seek`].
#[inline(always)]
pub(super) unsafe fn advance(iter: *mut leveldb_iterator_t, step: impl FnOnce(&mut DbIterator)) {
    // SAFETY: as the caller promises.
    let Some(handle) = (unsafe { handle::lend_mut(iter) }) else { return };
    if handle.shown.key.is_null() {
        return;
    }
    let moved = boundary::catch(|| {
        step(&mut handle.iterator);
        handle.show();
        Ok(())
    });
    if let Err(failure) = moved {
        handle.fail(failure);
    }
}

/// Records that a call was refused. `error` is the error of the iterator until the next seek. For a NULL
/// iterator, the last error of the thread is that it is NULL.
///
/// # Safety
/// As [`seek`].
#[cold]
unsafe fn refuse(iter: *mut leveldb_iterator_t, error: Error) {
    // SAFETY: as the caller promises.
    match unsafe { handle::lend_mut(iter) } {
        Some(handle) if matches!(handle.trouble, Some(Trouble::Broken(_))) => {}
        Some(handle) => handle.fail(Failure::new(error)),
        None => last_error::set(Failure::new(handle::is_null("iterator"))),
    }
}

/// The entry on which the iterator stands; `None` if it is not valid.
///
/// # Safety
/// `iter` is NULL or an iterator that nobody moves or destroys during `'a`.
#[inline(always)]
unsafe fn entry<'a>(iter: *const leveldb_iterator_t) -> Option<(&'a [u8], &'a [u8])> {
    // SAFETY: as the caller promises.
    let handle = unsafe { handle::lend(iter) }?;
    contain(None, || handle.iterator.entry().filter(|_| !handle.shown.key.is_null()))
}

/// Creates an iterator over the current state of the database, or over the snapshot of the options. Later
/// writes are not visible to it. The iterator is invalid until it is positioned. The options are copied.
///
/// Destroy it with leveldb_iter_destroy(), preferably before the database is closed. Returns NULL only if
/// `db` is NULL or an internal error occurs.
///
/// # Safety
/// `db` is NULL or open; `options` is NULL or not destroyed, its snapshot not released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_create_iterator(
    db: *mut leveldb_t,
    options: *const leveldb_readoptions_t,
) -> *mut leveldb_iterator_t {
    guard_quietly(ptr::null_mut(), || {
        // SAFETY: as the caller promises.
        let (handle, options) = unsafe { (handle::required(db, "db")?, read_options(options)) };
        let iterator = handle.run(|db| Ok(db.iter_at(options)))?;
        Ok(leveldb_iterator_t::give(iterator))
    })
}

/// Destroys an iterator. Its database may have been closed before.
///
/// # Safety
/// `iter` is NULL or an iterator that is not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_iter_destroy(iter: *mut leveldb_iterator_t) {
    // SAFETY: the caller gives up a handle that came from leveldb_create_iterator.
    contain((), || drop(unsafe { handle::take_back(iter) }));
}

/// Returns 1 if the iterator stands on an entry, else 0: it is not positioned, has passed the end, or has
/// failed, see leveldb_iter_get_error().
///
/// # Safety
/// `iter` is NULL or an iterator that no other call moves now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_iter_valid(iter: *const leveldb_iterator_t) -> u8 {
    // SAFETY: as the caller promises.
    unsafe { handle::lend(iter) }.map_or(0, |handle| u8::from(!handle.shown.key.is_null()))
}

/// Moves to the first key.
///
/// # Safety
/// `iter` is NULL or an iterator that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_iter_seek_to_first(iter: *mut leveldb_iterator_t) {
    // SAFETY: as the caller promises.
    unsafe {
        seek(iter, |iterator| {
            iterator.seek_to_first();
            Ok(())
        });
    }
}

/// Moves to the last key.
///
/// # Safety
/// `iter` is NULL or an iterator that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_iter_seek_to_last(iter: *mut leveldb_iterator_t) {
    // SAFETY: as the caller promises.
    unsafe {
        seek(iter, |iterator| {
            iterator.seek_to_last();
            Ok(())
        });
    }
}

/// Moves to the first key at or after `k`.
///
/// # Safety
/// `iter` is NULL or an iterator that no other call uses now; `k` has its length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_iter_seek(iter: *mut leveldb_iterator_t, k: *const c_char, klen: usize) {
    // SAFETY: as the caller promises.
    unsafe {
        seek(iter, |iterator| {
            iterator.seek(bytes::input(k, klen, "key")?);
            Ok(())
        });
    }
}

/// Moves to the next key. After the last key, the iterator is invalid. An invalid iterator does not move.
///
/// # Safety
/// `iter` is NULL or an iterator that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_iter_next(iter: *mut leveldb_iterator_t) {
    // SAFETY: as the caller promises.
    unsafe { advance(iter, DbIterator::next) };
}

/// Moves to the previous key. Before the first key, the iterator is invalid. An invalid iterator does not
/// move.
///
/// # Safety
/// `iter` is NULL or an iterator that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_iter_prev(iter: *mut leveldb_iterator_t) {
    // SAFETY: as the caller promises.
    unsafe { advance(iter, DbIterator::prev) };
}

/// Returns the key of the current entry and puts its length in bytes into `*klen`. The key belongs to the
/// iterator and is valid until the iterator is moved or destroyed. It is never NULL while the iterator is
/// valid. The result is NULL, and the length 0, if the iterator is invalid.
///
/// # Safety
/// `iter` is NULL or an iterator that no other call moves now; `klen` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_iter_key(
    iter: *const leveldb_iterator_t,
    klen: *mut usize,
) -> *const c_char {
    // SAFETY: as the caller promises.
    let (key, length) = unsafe { handle::lend(iter) }
        .map_or((ptr::null(), 0), |handle| (handle.shown.key, handle.shown.key_length));
    if !klen.is_null() {
        // SAFETY: not NULL, so writable as the caller promises.
        unsafe { *klen = length };
    }
    key
}

/// Returns the value of the current entry and puts its length in bytes into `*vlen`. The value belongs to the
/// iterator and is valid until the iterator is moved or destroyed. It is never NULL while the iterator is
/// valid. The result is NULL, and the length 0, if the iterator is invalid.
///
/// # Safety
/// `iter` is NULL or an iterator that no other call moves now; `vlen` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_iter_value(
    iter: *const leveldb_iterator_t,
    vlen: *mut usize,
) -> *const c_char {
    // SAFETY: as the caller promises.
    let (value, length) = unsafe { handle::lend(iter) }
        .map_or((ptr::null(), 0), |handle| (handle.shown.value, handle.shown.value_length));
    if !vlen.is_null() {
        // SAFETY: not NULL, so writable as the caller promises.
        unsafe { *vlen = length };
    }
    value
}

/// Reports the first error since the last seek, if there is one. Call it when an iterator has become invalid:
/// only this distinguishes a complete scan from an incomplete one.
///
/// At an I/O error, and with paranoid checks at damage too, an iterator becomes invalid where it fails.
/// Without paranoid checks it skips damaged blocks and continues, as LevelDB's iterator does. It may then be
/// valid although this function reports an error, and may show an older value of a key whose newest value was
/// in the damaged block.
///
/// # Safety
/// `iter` is NULL or an iterator that no other call moves now; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_iter_get_error(iter: *const leveldb_iterator_t, errptr: *mut *mut c_char) {
    // SAFETY: as the caller promises.
    unsafe { guard(errptr, (), || handle::required(iter, "iterator")?.status()) };
}
