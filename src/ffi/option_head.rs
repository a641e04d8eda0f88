//! The head that the three kinds of options share in memory.
//!
//! Handles are untyped in practice: bindings pass a readoptions handle to `leveldb_put`, and `leveldb_options_destroy`
//! any of them. With one layout for all, every call means something and nothing is freed wrongly.
//!
//! | offset | bytes | what |
//! |--------|-------|------|
//! | 0      | 1     | the boolean: `verify_checksums` of read options, `sync` of write options, 0 in options |
//! | 1      | 1     | the kind |
//! | 2      | 1     | `fill_cache` |
//! | 8      | 8     | the sequence number of the snapshot to read, all ones for none |
//! | 16     | 8     | options: what is behind; else NULL |
//! | 24     | 8     | the snapshot to read, NULL for none |
//!
//! A snapshot that was released since it was named is none: its handle has another sequence number then.
//!
//! Thread rule: convention (7) of the header: readers at once, or one writer.
#![allow(unsafe_code)]

use super::handle;
use super::options::OptionsBehind;
use super::snapshot::{LATEST, leveldb_snapshot_t};
use crate::options::{ReadOptions, WriteOptions};
use std::ptr;

/// Which function created a head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum OptionKind {
    /// `leveldb_options_create`.
    Options = 1,
    /// `leveldb_readoptions_create`.
    ReadOptions = 2,
    /// `leveldb_writeoptions_create`.
    WriteOptions = 3,
}

/// See the table above.
#[repr(C)]
pub(super) struct OptionHead {
    flag: u8,
    kind: OptionKind,
    fill_cache: u8,
    sequence: u64,
    behind: *mut OptionsBehind,
    snapshot: Option<&'static leveldb_snapshot_t>,
}

impl OptionHead {
    /// A malloc()ed head, NULL if there is no memory. `behind` is NULL or comes from `handle::give`.
    pub(super) fn create<T>(kind: OptionKind, behind: *mut OptionsBehind) -> *mut T {
        let head = OptionHead { flag: 0, kind, fill_cache: 1, sequence: LATEST, behind, snapshot: None };
        // SAFETY: malloc has no duties; what it returned is aligned for any object and large enough for a head.
        unsafe {
            let memory = libc::malloc(size_of::<OptionHead>()).cast::<OptionHead>();
            if !memory.is_null() {
                memory.write(head);
            }
            memory.cast()
        }
    }

    /// Frees a head of any kind, and what is behind it. NULL is fine.
    ///
    /// # Safety
    /// `handle` is NULL or came from `create`, and is not used afterwards.
    pub(super) unsafe fn destroy<T>(handle: *mut T) {
        let head = handle.cast::<OptionHead>();
        if head.is_null() {
            return;
        }
        // SAFETY: a live head as the caller promises; `behind` is NULL or came from `give`, and dies with its head.
        unsafe {
            drop(handle::take_back((*head).behind));
            libc::free(head.cast());
        }
    }

    /// The head of any options handle; `None` for NULL.
    ///
    /// # Safety
    /// `handle` is NULL or came from `create`, and nobody changes it during `'a`.
    #[inline(always)]
    pub(super) unsafe fn of<'a, T>(handle: *const T) -> Option<&'a OptionHead> {
        // SAFETY: the caller's promise is that of `lend`.
        unsafe { handle::lend(handle.cast()) }
    }

    /// The head of any options handle, to change it; `None` for NULL.
    ///
    /// # Safety
    /// `handle` is NULL or came from `create`, and nobody else uses it during `'a`.
    pub(super) unsafe fn of_mut<'a, T>(handle: *mut T) -> Option<&'a mut OptionHead> {
        // SAFETY: the caller's promise is that of `lend_mut`.
        unsafe { handle::lend_mut(handle.cast()) }
    }

    /// The options behind; `None` for read and write options.
    pub(super) fn behind(&self) -> Option<&OptionsBehind> {
        // SAFETY: NULL or from `give`, alive as long as its head, and changed only through `&mut` of the head.
        unsafe { handle::lend(self.behind) }
    }

    /// The options behind, to change them; `None` for read and write options.
    pub(super) fn behind_mut(&mut self) -> Option<&mut OptionsBehind> {
        // SAFETY: as `behind`, and this is the only reference to the head.
        unsafe { handle::lend_mut(self.behind) }
    }

    /// Sets the boolean. In options it stays 0: what is set there has a place of its own.
    pub(super) fn set_flag(&mut self, flag: u8) {
        if self.kind != OptionKind::Options {
            self.flag = u8::from(flag != 0);
        }
    }

    /// Sets `fill_cache`.
    pub(super) fn set_fill_cache(&mut self, fill_cache: u8) {
        self.fill_cache = u8::from(fill_cache != 0);
    }

    /// Sets the snapshot to read; `None` reads the latest state.
    pub(super) fn set_snapshot(&mut self, snapshot: Option<&'static leveldb_snapshot_t>) {
        self.sequence = snapshot.map_or(LATEST, leveldb_snapshot_t::sequence);
        self.snapshot = snapshot;
    }

    /// The sequence number to read at, while the snapshot that it was taken from is held.
    #[cold]
    fn held_sequence(&self) -> Option<u64> {
        self.snapshot.filter(|held| held.sequence() == self.sequence).map(|_| self.sequence)
    }

    /// As read options, whatever kind it is.
    #[inline(always)]
    pub(super) fn as_read_options(&self) -> ReadOptions {
        ReadOptions {
            verify_checksums: self.flag != 0,
            fill_cache: self.fill_cache != 0,
            snapshot: if self.sequence == LATEST { None } else { self.held_sequence() },
        }
    }

    /// As write options, whatever kind it is.
    #[inline(always)]
    pub(super) fn as_write_options(&self) -> WriteOptions {
        WriteOptions { sync: self.flag != 0 }
    }
}

/// The read options of a handle, the default ones for NULL.
///
/// # Safety
/// As [`OptionHead::of`].
#[inline(always)]
pub(super) unsafe fn read_options<T>(handle: *const T) -> ReadOptions {
    // SAFETY: the caller's promise is that of `of`.
    unsafe { OptionHead::of(handle) }.map_or_else(ReadOptions::default, OptionHead::as_read_options)
}

/// The write options of a handle, the default ones for NULL.
///
/// # Safety
/// As [`OptionHead::of`].
#[inline(always)]
pub(super) unsafe fn write_options<T>(handle: *const T) -> WriteOptions {
    // SAFETY: the caller's promise is that of `of`.
    unsafe { OptionHead::of(handle) }.map_or_else(WriteOptions::default, OptionHead::as_write_options)
}

/// Nothing behind.
pub(super) const NOTHING: *mut OptionsBehind = ptr::null_mut();
