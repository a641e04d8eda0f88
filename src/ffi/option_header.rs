//! The common header of the three kinds of option handles (options, read options, write options).
//!
//! Bindings in the wild mix up the handles: they pass a readoptions handle to `leveldb_put`, and call
//! `leveldb_options_destroy` on all three kinds. With one memory layout for all kinds, every such call has a
//! defined meaning, and every destroy function frees every kind correctly.
//!
//! | offset | bytes | what |
//! |--------|-------|------|
//! | 0      | 1     | the flag: `verify_checksums` of read options, `sync` of write options, 0 in options |
//! | 1      | 1     | the kind |
//! | 2      | 1     | `fill_cache` |
//! | 8      | 8     | the sequence number of the snapshot to read; all ones: none |
//! | 16     | 8     | options: pointer to the `OptionsTail`; else NULL |
//! | 24     | 8     | the snapshot to read; NULL: none |
//!
//! A snapshot that was released after it was set counts as none: its handle then has another sequence number.
//!
//! Thread rule: convention (7) of the header: any number of readers, or one writer.
#![allow(unsafe_code)]

use super::handle;
use super::options::tail::OptionsTail;
use super::snapshot::{LATEST, leveldb_snapshot_t};
use crate::options::{ReadAt, WriteOptions};
use std::ptr;

/// The kind of a handle: which function created it.
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
pub(super) struct OptionHeader {
    flag: u8,
    kind: OptionKind,
    fill_cache: u8,
    sequence: u64,
    tail: *mut OptionsTail,
    snapshot: Option<&'static leveldb_snapshot_t>,
}

impl OptionHeader {
    /// A malloc()ed header; NULL if there is no memory. `tail` is NULL or comes from `handle::give`.
    pub(super) fn create<T>(kind: OptionKind, tail: *mut OptionsTail) -> *mut T {
        let header = OptionHeader { flag: 0, kind, fill_cache: 1, sequence: LATEST, tail, snapshot: None };
        // SAFETY: malloc has no preconditions. Its result is aligned for any object and large enough for a
        // header.
        unsafe {
            let memory = libc::malloc(size_of::<OptionHeader>()).cast::<OptionHeader>();
            if !memory.is_null() {
                memory.write(header);
            }
            memory.cast()
        }
    }

    /// Frees a header of any kind, with its tail. NULL is allowed.
    ///
    /// # Safety
    /// `handle` is NULL or came from `create`, and is not used afterwards.
    pub(super) unsafe fn destroy<T>(handle: *mut T) {
        let header = handle.cast::<OptionHeader>();
        if header.is_null() {
            return;
        }
        // SAFETY: a live header, as the caller promises; its tail is NULL or came from `give`, and is freed
        // with it.
        unsafe {
            drop(handle::take_back((*header).tail));
            libc::free(header.cast());
        }
    }

    /// The header of any options handle; `None` for NULL.
    ///
    /// # Safety
    /// `handle` is NULL or came from `create`, and nobody changes it during `'a`.
    #[inline(always)]
    pub(super) unsafe fn of<'a, T>(handle: *const T) -> Option<&'a OptionHeader> {
        // SAFETY: `lend` requires what our caller promises.
        unsafe { handle::lend(handle.cast()) }
    }

    /// The header of any options handle, to change it; `None` for NULL.
    ///
    /// # Safety
    /// `handle` is NULL or came from `create`, and nobody else uses it during `'a`.
    pub(super) unsafe fn of_mut<'a, T>(handle: *mut T) -> Option<&'a mut OptionHeader> {
        // SAFETY: `lend_mut` requires what our caller promises.
        unsafe { handle::lend_mut(handle.cast()) }
    }

    /// The tail of options; `None` for read and write options.
    pub(super) fn tail(&self) -> Option<&OptionsTail> {
        // SAFETY: NULL or from `give`, alive as long as its header, and changed only through `&mut` of the
        // header.
        unsafe { handle::lend(self.tail) }
    }

    /// The tail of options, to change it; `None` for read and write options.
    pub(super) fn tail_mut(&mut self) -> Option<&mut OptionsTail> {
        // SAFETY: as in `tail`, and this is the only reference to the header.
        unsafe { handle::lend_mut(self.tail) }
    }

    /// Sets the flag. In options it stays 0: their booleans are stored in the tail.
    pub(super) fn set_flag(&mut self, flag: u8) {
        if self.kind != OptionKind::Options {
            self.flag = u8::from(flag != 0);
        }
    }

    pub(super) fn set_fill_cache(&mut self, fill_cache: u8) {
        self.fill_cache = u8::from(fill_cache != 0);
    }

    /// Sets the snapshot to read; `None` reads the latest state.
    pub(super) fn set_snapshot(&mut self, snapshot: Option<&'static leveldb_snapshot_t>) {
        self.sequence = snapshot.map_or(LATEST, leveldb_snapshot_t::sequence);
        self.snapshot = snapshot;
    }

    /// The sequence number to read at; `None` if its snapshot has been released.
    #[cold]
    fn held_sequence(&self) -> Option<u64> {
        self.snapshot.filter(|held| held.sequence() == self.sequence).map(|_| self.sequence)
    }

    /// Reads the header as read options, whatever its kind.
    #[inline(always)]
    pub(super) fn as_read_options(&self) -> ReadAt {
        ReadAt {
            verify_checksums: self.flag != 0,
            fill_cache: self.fill_cache != 0,
            sequence: if self.sequence == LATEST { None } else { self.held_sequence() },
        }
    }

    /// Reads the header as write options, whatever its kind.
    #[inline(always)]
    pub(super) fn as_write_options(&self) -> WriteOptions {
        WriteOptions { sync: self.flag != 0 }
    }
}

/// The read options of a handle; the default ones for NULL.
///
/// # Safety
/// As [`OptionHeader::of`].
#[inline(always)]
pub(super) unsafe fn read_options<T>(handle: *const T) -> ReadAt {
    // SAFETY: `of` requires what our caller promises.
    unsafe { OptionHeader::of(handle) }.map_or_else(ReadAt::default, OptionHeader::as_read_options)
}

/// The write options of a handle; the default ones for NULL.
///
/// # Safety
/// As [`OptionHeader::of`].
#[inline(always)]
pub(super) unsafe fn write_options<T>(handle: *const T) -> WriteOptions {
    // SAFETY: `of` requires what our caller promises.
    unsafe { OptionHeader::of(handle) }.map_or_else(WriteOptions::default, OptionHeader::as_write_options)
}

/// No tail.
pub(super) const NOTHING: *mut OptionsTail = ptr::null_mut();
