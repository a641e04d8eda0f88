//! Reading and writing without intermediate handles and copies, for bindings whose languages have buffers of
//! their own.
#![allow(unsafe_code)]

use super::boundary::guard;
use super::db::leveldb_t;
use super::iterator::{self, leveldb_iterator_t};
use super::option_head::{read_options, write_options};
use super::read_options::leveldb_readoptions_t;
use super::write_options::leveldb_writeoptions_t;
use super::{bytes, handle};
use crate::batch::write_batch::WriteBatch;
use crate::db::DbIterator;
use crate::error::{Error, Result};
use std::ffi::{c_char, c_int, c_void};

/// Calls `found` once with `state` and the value of a key. The value belongs to the database and is valid
/// during the callback, which must not call this library. Returns 1 if the key is present, 0 if it is absent
/// or on failure. An absent key is not an error.
///
/// # Safety
/// `db` is NULL or open; `options` is NULL or not destroyed; `key` has its length; `found` is NULL or returns
/// normally; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_get_with(
    db: *mut leveldb_t,
    options: *const leveldb_readoptions_t,
    key: *const c_char,
    keylen: usize,
    state: *mut c_void,
    found: Option<unsafe extern "C" fn(state: *mut c_void, value: *const c_char, length: usize)>,
    errptr: *mut *mut c_char,
) -> u8 {
    // SAFETY: as the caller promises; the value lives during the callback.
    unsafe {
        guard(errptr, 0, || {
            let handle = handle::required(db, "db")?;
            let key = bytes::input(key, keylen, "key")?;
            let hand_over = |value: &[u8]| {
                if let Some(found) = found {
                    found(state, bytes::pointer_to(value), value.len());
                }
            };
            let there = handle.run(|db| db.get_at(&read_options(options), key, hand_over))?;
            Ok(u8::from(there.is_some()))
        })
    }
}

/// Writes a batch, given by its representation, atomically: all of it or nothing. The representation is that
/// of a batch in LevelDB's WAL: eight bytes that are ignored, the number of entries (32 bits, little-endian),
/// then for each entry a byte (1: put, 0: delete), the key, and for a put the value, each preceded by its
/// length as a varint.
///
/// Fails with `Corruption` if the bytes are not a representation, and with `Invalid argument` if they are
/// longer than leveldb_writebatch_put() takes. Then nothing is written.
///
/// # Safety
/// `db` is NULL or open; `options` is NULL or not destroyed; `rep` has its length; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_write_rep(
    db: *mut leveldb_t,
    options: *const leveldb_writeoptions_t,
    rep: *const c_char,
    rep_len: usize,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, (), || {
            let handle = handle::required(db, "db")?;
            let batch = WriteBatch::copy_of_rep(bytes::input(rep, rep_len, "rep")?)?;
            handle.change(|db| db.write(&write_options(options), &batch))
        });
    }
}

/// The movements of terrace_iter_move(). The numbers never change.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum terrace_iter_move_t {
    /// To the first key.
    TERRACE_MOVE_FIRST = 0,
    /// To the last key.
    TERRACE_MOVE_LAST = 1,
    /// To the first key at or after the given one.
    TERRACE_MOVE_SEEK = 2,
    /// To the next key.
    TERRACE_MOVE_NEXT = 3,
    /// To the previous key.
    TERRACE_MOVE_PREV = 4,
}

/// The entry that terrace_iter_move() moved to. The key and the value belong to the iterator, and are valid
/// until it is moved or destroyed.
#[allow(non_camel_case_types)]
#[repr(C)]
pub struct terrace_entry_t {
    /// The key. Never NULL.
    pub key: *const c_char,
    /// Length of the key, in bytes.
    pub key_len: usize,
    /// The value. Never NULL.
    pub value: *const c_char,
    /// Length of the value, in bytes.
    pub value_len: usize,
}

/// Moves an iterator and returns the entry on which it then stands, in one call instead of four. `movement`
/// is a value of `terrace_iter_move_t`; `key` is used by TERRACE_MOVE_SEEK only. Returns 1 and fills `*entry`
/// if the iterator stands on an entry. Returns 0 and does not change `*entry` if the iterator has reached the
/// end or failed: see leveldb_iter_get_error().
///
/// # Safety
/// `iter` is NULL or an iterator that no other call uses now; `key` has its length; `entry` is NULL or
/// writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_iter_move(
    iter: *mut leveldb_iterator_t,
    movement: c_int,
    key: *const c_char,
    key_len: usize,
    entry: *mut terrace_entry_t,
) -> u8 {
    // SAFETY: as the caller promises.
    unsafe {
        match movement {
            m if m == terrace_iter_move_t::TERRACE_MOVE_NEXT as c_int => {
                iterator::advance(iter, DbIterator::next)
            }
            m if m == terrace_iter_move_t::TERRACE_MOVE_PREV as c_int => {
                iterator::advance(iter, DbIterator::prev)
            }
            _ => iterator::seek(iter, |iterator| position(iterator, movement, key, key_len)),
        }
        let Some((key, value)) = iterator::entry(iter) else { return 0 };
        if !entry.is_null() {
            *entry = terrace_entry_t {
                key: bytes::pointer_to(key),
                key_len: key.len(),
                value: bytes::pointer_to(value),
                value_len: value.len(),
            };
        }
        1
    }
}

/// # Safety
/// `key` has its length.
#[inline(always)]
unsafe fn position(
    iterator: &mut DbIterator,
    movement: c_int,
    key: *const c_char,
    key_len: usize,
) -> Result<()> {
    match movement {
        m if m == terrace_iter_move_t::TERRACE_MOVE_FIRST as c_int => iterator.seek_to_first(),
        m if m == terrace_iter_move_t::TERRACE_MOVE_LAST as c_int => iterator.seek_to_last(),
        m if m == terrace_iter_move_t::TERRACE_MOVE_SEEK as c_int => {
            // SAFETY: as the caller promises.
            iterator.seek(unsafe { bytes::input(key, key_len, "key") }?);
        }
        _ => return Err(Error::invalid_argument(format!("{movement} is no movement of an iterator"))),
    }
    Ok(())
}
