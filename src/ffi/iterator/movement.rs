//! Movements of an iterator by number: one call moves an iterator and returns the entry on which it then
//! stands. For bindings of languages in which a call into C is expensive.
#![allow(unsafe_code)]

use super::leveldb_iterator_t;
use crate::db::DbIterator;
use crate::error::{Error, Result};
use crate::ffi::bytes;
use crate::table::standalone::UserKeyTableIterator;
use std::ffi::{c_char, c_int};

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

impl terrace_entry_t {
    /// The entry (key, value), whose bytes belong to an iterator.
    #[inline(always)]
    pub(in crate::ffi) fn of((key, value): (&[u8], &[u8])) -> Self {
        terrace_entry_t {
            key: bytes::pointer_to(key),
            key_len: key.len(),
            value: bytes::pointer_to(value),
            value_len: value.len(),
        }
    }
}

/// An iterator of the core, as far as movements need it.
pub(in crate::ffi) trait Movable {
    fn seek_to_first(&mut self);
    fn seek_to_last(&mut self);
    fn seek(&mut self, target: &[u8]);
    fn next(&mut self);
    fn prev(&mut self);
}

/// A type is movable by its own methods of these names.
macro_rules! movable {
    ($($iterator:ty)+) => {
        $(impl Movable for $iterator {
            #[inline(always)]
            fn seek_to_first(&mut self) {
                <$iterator>::seek_to_first(self);
            }
            #[inline(always)]
            fn seek_to_last(&mut self) {
                <$iterator>::seek_to_last(self);
            }
            #[inline(always)]
            fn seek(&mut self, target: &[u8]) {
                <$iterator>::seek(self, target);
            }
            #[inline(always)]
            fn next(&mut self) {
                <$iterator>::next(self);
            }
            #[inline(always)]
            fn prev(&mut self) {
                <$iterator>::prev(self);
            }
        })+
    };
}

movable!(DbIterator UserKeyTableIterator);

const FIRST: c_int = terrace_iter_move_t::TERRACE_MOVE_FIRST as c_int;
const LAST: c_int = terrace_iter_move_t::TERRACE_MOVE_LAST as c_int;
const SEEK: c_int = terrace_iter_move_t::TERRACE_MOVE_SEEK as c_int;
const NEXT: c_int = terrace_iter_move_t::TERRACE_MOVE_NEXT as c_int;
const PREV: c_int = terrace_iter_move_t::TERRACE_MOVE_PREV as c_int;

/// Carries a movement out. A number that is no movement is refused.
///
/// # Safety
/// `key` has its length.
#[inline(always)]
pub(in crate::ffi) unsafe fn carry_out(
    iterator: &mut impl Movable,
    movement: c_int,
    key: *const c_char,
    key_len: usize,
) -> Result<()> {
    match movement {
        FIRST => iterator.seek_to_first(),
        LAST => iterator.seek_to_last(),
        // SAFETY: as the caller promises.
        SEEK => iterator.seek(unsafe { bytes::input(key, key_len, "key") }?),
        NEXT => iterator.next(),
        PREV => iterator.prev(),
        _ => return Err(Error::invalid_argument(format!("{movement} is no movement of an iterator"))),
    }
    Ok(())
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
            NEXT => super::advance(iter, DbIterator::next),
            PREV => super::advance(iter, DbIterator::prev),
            _ => super::seek(iter, |iterator| carry_out(iterator, movement, key, key_len)),
        }
        let Some(shown) = super::entry(iter) else { return 0 };
        if !entry.is_null() {
            *entry = terrace_entry_t::of(shown);
        }
        1
    }
}
