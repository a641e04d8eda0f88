//! An iterator over a table for compactions. It passes a single-entry block on as it is stored, which saves
//! decompressing and compressing a large value that the compaction leaves unchanged.
//!
//! A move from one block to the next one, or to the first one, meets such blocks; a seek and a move backward
//! decode the block that they move to. Only a mapping has blocks to pass on: a block that is read from the
//! file is in memory of its reader.
//!
//! Invariant: if `raw` is set, the iterator stands on the entry of that block, and `entries` has no block.
//!
//! Used by one thread at a time; may move between threads.

use super::TableReadOptions;
use super::block;
use super::iterator::TableIterator;
use super::reader::Table;
use crate::error::Result;
use crate::iterator::compaction_input::{CompactionInput, Payload};
use crate::iterator::{FastIterator, InternalIterator};
use std::sync::Arc;

/// A position in a table that is the input of a compaction. Keeps the table open.
pub struct TableInput {
    entries: TableIterator,
    /// The type byte of the blocks that are passed on; `None`: every block is decoded.
    passed_type: Option<u8>,
    raw: Option<RawBlock>,
    /// The internal key of the entry of `raw`.
    key: Vec<u8>,
}

/// A single-entry block that is passed on.
struct RawBlock {
    ordinal: usize,
    value_length: u32,
}

impl Table {
    /// An iterator over the table for a compaction. It passes on single-entry blocks that have the type byte
    /// `passed_type`, see `Compression::passed_type`.
    pub fn compaction_iter(self: &Arc<Self>, read: TableReadOptions, passed_type: Option<u8>) -> TableInput {
        TableInput { entries: self.iter(read), passed_type, raw: None, key: Vec::new() }
    }

    /// Data block `ordinal` in its stored form, with its trailer. `None` if it is not in a mapping.
    fn raw_block(&self, ordinal: usize) -> Option<&[u8]> {
        self.file().whole_in_mapping(self.index().handle(ordinal))
    }

    /// The length of the value in data block `ordinal`; the key is written to `key`. `None` unless the block
    /// is in a mapping, has this type byte, and provably holds a single entry, at least a block size long.
    fn single_entry_in(
        &self,
        ordinal: usize,
        read: TableReadOptions,
        passed_type: u8,
        key: &mut Vec<u8>,
    ) -> Option<u32> {
        if !self.file().has_usual_checksums() {
            return None;
        }
        let handle = self.index().handle(ordinal);
        let (contents, trailer) = self.raw_block(ordinal)?.split_at(handle.size as usize);
        if trailer[0] != passed_type {
            return None;
        }
        if self.must_verify(ordinal, read) {
            // If the checksum is wrong, the usual read reports it.
            self.file().verify_in_mapping(handle).ok()?;
        }
        block::single_entry_value_length(passed_type, contents, self.options().block_size, key)
    }
}

impl TableInput {
    /// Moves the iterator to another table, on no entry.
    pub fn change_table(&mut self, table: Arc<Table>) {
        self.raw = None;
        self.entries.change_table(table);
    }

    /// Releases the block; the iterator is not valid then.
    pub fn release_block(&mut self) {
        self.raw = None;
        self.entries.release_blocks();
    }

    /// Moves to the first entry of the blocks after `ordinal`.
    fn enter_after(&mut self, mut ordinal: usize) {
        while !self.entries.stopped() {
            ordinal += 1;
            if ordinal >= self.entries.table().index().len() {
                return self.entries.end();
            }
            self.entries.read_ahead(ordinal);
            if self.enter_raw(ordinal) || self.entries.enter(ordinal) {
                return;
            }
        }
        self.entries.stop();
    }

    /// Moves to the entry of block `ordinal`, if that is a single-entry block that is passed on.
    fn enter_raw(&mut self, ordinal: usize) -> bool {
        let (Some(passed_type), read) = (self.passed_type, self.entries.read_options()) else { return false };
        let found = self.entries.table().single_entry_in(ordinal, read, passed_type, &mut self.key);
        let Some(value_length) = found else { return false };
        if !self.entries.is_in_order(ordinal, &self.key) {
            return false; // `entries` will report that
        }
        self.entries.stop();
        self.raw = Some(RawBlock { ordinal, value_length });
        true
    }
}

impl InternalIterator for TableInput {
    #[inline]
    fn valid(&self) -> bool {
        self.raw.is_some() || self.entries.valid()
    }

    fn seek_to_first(&mut self) {
        self.raw = None;
        self.entries.begin_move();
        if self.entries.table().index().len() == 0 || !self.enter_raw(0) {
            self.entries.seek_to_first();
        }
    }

    fn seek_to_last(&mut self) {
        self.raw = None;
        self.entries.seek_to_last();
    }

    fn seek(&mut self, target: &[u8]) {
        self.raw = None;
        self.entries.seek(target);
    }

    #[inline]
    fn next(&mut self) {
        let passed = match self.raw.take() {
            None => self.entries.next_in_block(),
            Some(raw) => Some(raw.ordinal),
        };
        if let Some(ordinal) = passed {
            self.enter_after(ordinal);
        }
    }

    fn prev(&mut self) {
        match self.raw.take() {
            None => self.entries.prev(),
            Some(raw) => self.entries.skip_backward(raw.ordinal),
        }
    }

    #[inline]
    fn key(&self) -> &[u8] {
        if self.raw.is_some() { &self.key } else { self.entries.key() }
    }

    #[inline]
    fn value(&self) -> &[u8] {
        assert!(self.raw.is_none(), "the value of a block that is passed on as it is stored");
        self.entries.value()
    }

    fn status(&self) -> Result<()> {
        self.entries.status()
    }
}

impl CompactionInput for TableInput {
    #[inline]
    fn payload(&self) -> Payload<'_> {
        match self.raw {
            None => Payload::Value(self.entries.value()),
            Some(RawBlock { ordinal, value_length }) => {
                let stored =
                    self.entries.table().raw_block(ordinal).expect("a block that was found in a mapping");
                Payload::RawBlock { stored, value_length }
            }
        }
    }
}
