//! An iterator over the entries of a table: a position in the index, and a position in the block there.
//!
//! Blocks without entries are skipped. Damaged blocks, and blocks of an unknown codec, are skipped too unless
//! `paranoid_checks` is set: then the first error stays in `status` until the next seek, and the entries
//! around it can be read, as in LevelDB.
//!
//! Used by one thread at a time; may move between threads.

use super::TableReadOptions;
use super::block::{LazyBlockIterator, WholeOrPart};
use super::reader::Table;
use crate::error::{Error, Result};
use crate::format::internal_key::KeyPrefix;
use crate::iterator::{FastIterator, InternalIterator};
use std::sync::Arc;

/// After this many blocks in a row, the system is told to read ahead.
const READAHEAD_AFTER_BLOCKS: u32 = 4;
const READAHEAD_SIZE: u64 = 256 << 10;

/// A position in a table. Keeps the table open.
pub struct TableIterator {
    block: LazyBlockIterator<Table>,
    /// The ordinal of the open block; `NO_BLOCK` if none is open.
    ordinal: usize,
    read: TableReadOptions,
    /// Blocks opened one after another in forward direction.
    consecutive_blocks: u32,
    /// The system was told to read ahead up to this offset.
    readahead_end: u64,
    error: Option<Error>,
}

const NO_BLOCK: usize = usize::MAX;

impl TableIterator {
    pub(super) fn new(table: Arc<Table>, read: TableReadOptions) -> Self {
        TableIterator {
            block: LazyBlockIterator::new(table),
            ordinal: NO_BLOCK,
            read,
            consecutive_blocks: 0,
            readahead_end: 0,
            error: None,
        }
    }

    /// The table it iterates over.
    pub fn table(&self) -> &Arc<Table> {
        self.block.owner()
    }

    /// Moves the iterator to another table, on no entry.
    pub fn change_table(&mut self, table: Arc<Table>) {
        self.release_blocks();
        self.block.change_owner(table);
    }

    /// How it reads blocks.
    pub(super) fn read_options(&self) -> TableReadOptions {
        self.read
    }

    pub(super) fn begin_move(&mut self) {
        self.error = None;
        self.consecutive_blocks = 0;
    }

    /// Opens block `ordinal`, if it is not the open one. `whole`: decompress all of it, not just as far as
    /// needed. Returns false if the block cannot be read; the error is kept.
    fn load(&mut self, ordinal: usize, whole: bool) -> bool {
        if self.ordinal == ordinal {
            return true;
        }
        let read = self.read;
        let opened = match whole {
            true => self.block.open(|table| table.read_block(ordinal, read).map(WholeOrPart::Whole)),
            false => {
                self.table().prefetch_in_place(ordinal);
                self.block.open(|table| table.read_some_of_block(ordinal, read))
            }
        };
        match opened {
            Ok(()) => {
                self.ordinal = ordinal;
                !self.found_corruption(ordinal)
            }
            Err(error) => {
                self.ordinal = NO_BLOCK;
                self.keep_error(error);
                false
            }
        }
    }

    /// Did the last move in block `ordinal` find bytes that contradict the format? The error is kept.
    #[inline]
    fn found_corruption(&mut self, ordinal: usize) -> bool {
        let Some(bad) = self.block.corruption() else { return false };
        // The block must be opened again, so that a return to it reports the error again.
        self.ordinal = NO_BLOCK;
        let table = self.table();
        let error = table.file().bad_block(table.index().handle(ordinal), bad);
        self.keep_error(error);
        true
    }

    /// Keeps the first error. But an error that ends the iteration replaces damage that was skipped.
    #[cold]
    fn keep_error(&mut self, error: Error) {
        if self.error.is_none() || (!self.stopped() && self.stops_at(&error)) {
            self.error = Some(error);
        }
    }

    fn stops_at(&self, error: &Error) -> bool {
        self.table().options().paranoid_checks || !error.is_unreadable_block()
    }

    /// Has the iteration met an error that ends it?
    pub(super) fn stopped(&self) -> bool {
        self.error.as_ref().is_some_and(|error| self.stops_at(error))
    }

    /// Releases the block; the iterator is not valid then.
    #[cold]
    pub(super) fn stop(&mut self) {
        self.block.close();
        self.ordinal = NO_BLOCK;
    }

    /// Opens block `ordinal` and calls `position`. If the block has no entry there, moves to the first entry
    /// after it.
    fn start_at(&mut self, ordinal: usize, position: impl FnOnce(&mut LazyBlockIterator<Table>)) {
        if ordinal >= self.table().index().len() {
            return self.end();
        }
        if self.load(ordinal, false) {
            position(&mut self.block);
            if self.block.valid() {
                return;
            }
            self.found_corruption(ordinal);
        }
        self.skip_forward(ordinal);
    }

    /// The end of the table: reports damage of the index, and releases the block.
    pub(super) fn end(&mut self) {
        if let Some(damage) = self.table().damage().cloned() {
            self.keep_error(damage);
        }
        self.stop();
    }

    /// Leaves the open block, which has no further entry.
    #[inline(never)]
    fn leave_forward(&mut self) {
        if self.ordinal != NO_BLOCK {
            let ordinal = self.ordinal;
            self.found_corruption(ordinal);
            self.skip_forward(ordinal);
        }
    }

    /// Leaves the open block, which has no earlier entry.
    #[inline(never)]
    fn leave_backward(&mut self) {
        if self.ordinal != NO_BLOCK {
            let ordinal = self.ordinal;
            self.found_corruption(ordinal);
            self.skip_backward(ordinal);
        }
    }

    /// Moves to the first entry of the blocks after `ordinal`.
    fn skip_forward(&mut self, mut ordinal: usize) {
        while !self.stopped() {
            ordinal += 1;
            if ordinal >= self.table().index().len() {
                return self.end();
            }
            self.read_ahead(ordinal);
            if self.enter(ordinal) {
                return;
            }
        }
        self.stop();
    }

    /// Opens block `ordinal`, the next one in forward direction, and moves to its first entry. Returns false
    /// if there is none, or none that can be read; an error is kept.
    pub(super) fn enter(&mut self, ordinal: usize) -> bool {
        // An iteration that passes from block to block reads them whole.
        if !self.load(ordinal, self.consecutive_blocks > 1) {
            return false;
        }
        self.block.seek_to_first();
        if !self.block.valid() {
            self.found_corruption(ordinal);
            return false;
        }
        let is_in_order = self.is_in_order(ordinal, self.block.key());
        if !is_in_order {
            let table = self.table();
            let error = table.file().bad_block(table.index().handle(ordinal), "keys out of order");
            self.keep_error(error);
        }
        is_in_order
    }

    /// Is `first`, the first key of block `ordinal`, at or after the previous block's separator?
    pub(super) fn is_in_order(&self, ordinal: usize, first: &[u8]) -> bool {
        let table = self.table();
        ordinal == 0
            || table.damage().is_some()
            || !table.index().is_before_separator(&table.options().comparator, ordinal - 1, first)
    }

    /// Moves to the next entry of the open block. If it has no further one, returns its ordinal.
    #[inline]
    pub(super) fn next_in_block(&mut self) -> Option<usize> {
        self.block.next();
        if self.block.valid() || self.ordinal == NO_BLOCK {
            return None;
        }
        let ordinal = self.ordinal;
        self.found_corruption(ordinal);
        Some(ordinal)
    }

    /// Moves to the last entry of the blocks before `ordinal`.
    pub(super) fn skip_backward(&mut self, mut ordinal: usize) {
        self.consecutive_blocks = 0;
        while ordinal > 0 && !self.stopped() {
            ordinal -= 1;
            if self.load(ordinal, true) {
                self.block.seek_to_last();
                if self.block.valid() {
                    if self.ends_in_order(ordinal) {
                        return;
                    }
                } else {
                    self.found_corruption(ordinal);
                }
            }
        }
        self.stop();
    }

    /// Is the last entry of the open block at or before the block's own separator? If not, the error is kept.
    fn ends_in_order(&mut self, ordinal: usize) -> bool {
        let table = self.table();
        let index = table.index();
        if table.damage().is_some()
            || !index.is_behind_separator(&table.options().comparator, ordinal, self.block.key())
        {
            return true;
        }
        let error = table.file().bad_block(index.handle(ordinal), "keys out of order");
        self.keep_error(error);
        false
    }

    pub(super) fn read_ahead(&mut self, ordinal: usize) {
        self.consecutive_blocks = self.consecutive_blocks.saturating_add(1);
        if self.consecutive_blocks < READAHEAD_AFTER_BLOCKS {
            return;
        }
        let offset = self.table().index().handle(ordinal).offset;
        let told = self.readahead_end.clamp(offset, offset.saturating_add(READAHEAD_SIZE));
        if told - offset < READAHEAD_SIZE / 2 {
            self.table().file().will_need(told, READAHEAD_SIZE);
            self.readahead_end = told + READAHEAD_SIZE;
        }
    }
}

impl InternalIterator for TableIterator {
    #[inline]
    fn valid(&self) -> bool {
        self.block.valid()
    }

    fn seek_to_first(&mut self) {
        self.begin_move();
        self.start_at(0, LazyBlockIterator::seek_to_first);
    }

    fn seek_to_last(&mut self) {
        self.begin_move();
        if let Some(damage) = self.table().damage().cloned() {
            self.keep_error(damage);
        }
        self.skip_backward(self.table().index().len());
    }

    fn seek(&mut self, target: &[u8]) {
        self.begin_move();
        let table = self.table();
        let ordinal = table.index().find(&table.options().comparator, target);
        self.start_at(ordinal, |block| block.seek(target));
    }

    #[inline]
    fn next(&mut self) {
        self.block.next();
        if !self.block.valid() {
            self.leave_forward();
        }
    }

    #[inline]
    fn prev(&mut self) {
        self.block.prev();
        if !self.block.valid() {
            self.leave_backward();
        }
    }

    #[inline]
    fn key(&self) -> &[u8] {
        self.block.key()
    }

    #[inline]
    fn value(&self) -> &[u8] {
        self.block.value()
    }

    #[inline(always)]
    fn entry(&self) -> (&[u8], &[u8]) {
        self.block.entry()
    }

    fn status(&self) -> Result<()> {
        match &self.error {
            None => Ok(()),
            Some(error) => Err(error.clone()),
        }
    }
}

impl FastIterator for TableIterator {
    #[inline]
    fn definitely_lacks(&self, target: &[u8]) -> bool {
        self.table().definitely_lacks(target)
    }

    #[inline]
    fn try_next_user_key(&mut self) -> Option<u64> {
        self.block.try_next_user_key(true)
    }

    #[inline(always)]
    fn try_next_user_key_without_prefix(&mut self) -> Option<u64> {
        self.block.try_next_user_key(false)
    }

    #[inline]
    fn key_prefix(&self) -> KeyPrefix {
        self.block.key_prefix()
    }

    fn release_blocks(&mut self) {
        self.begin_move();
        self.readahead_end = 0;
        self.stop();
    }
}
