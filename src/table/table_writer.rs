//! The body of a table under construction: what a table of a database and a table of user keys have in
//! common.
//!
//! Data blocks are written as they fill. The index has an entry for each: a key between the last key of the
//! block and the first of the next one, so it is added when that is known. The caller knows the order of
//! keys, and shortens the keys of index entries.
//!
//! A writer is used by one thread. After an error it must not be used.

use super::block_builder::BlockBuilder;
use super::block_writer::{BlockWriter, MetaindexForm};
use super::filter_block::FilterBlockBuilder;
use super::footer::{BLOCK_TRAILER_SIZE, BlockHandle, Footer};
use crate::compression::Compressor;
use crate::env::WritableFile;
use crate::error::{Error, Result};
use crate::filter_policy::FilterPolicy;
use crate::format::limits::{MAX_SHARED_BLOCK_SIZE, lone_block_size};
use crate::language::Language;
use std::sync::Arc;

/// Bytes that `room` leaves free in the index: for the last key of the block under construction, which
/// becomes an index entry (a key of this length ends its block at once, and is counted from then on), and for
/// the parts of index entries other than keys. `room` leaves the same number of bytes free in the filter
/// block, for the next filter.
const ROOM_SET_ASIDE: usize = 64 << 20;

/// The layout of a table.
pub(super) struct Layout {
    /// A data block ends when it has this many bytes.
    pub block_size: usize,
    /// Entries from one restart point of a data block to the next.
    pub restart_interval: usize,
    /// Makes the filter block. `None`: there is none.
    pub filter_policy: Option<Arc<dyn FilterPolicy>>,
    /// The limit on index and filter block, in bytes.
    pub max_meta_block_size: usize,
    /// The language of the table.
    pub language: Language,
}

/// Data blocks, index and filter block of a table under construction.
pub(super) struct TableWriter {
    output: BlockWriter,
    data_block: BlockBuilder,
    index_block: BlockBuilder,
    filter_block: Option<FilterBlockBuilder>,
    /// The names of the meta blocks that were written, and where they are.
    meta_blocks: Vec<(Vec<u8>, BlockHandle)>,
    block_size: usize,
    max_meta_block_size: usize,
    /// The key added last; of an index entry that is being added, its key.
    last_key: Vec<u8>,
    /// The last data block. Its index entry is added when the first key of the next block is known.
    unindexed: Option<BlockHandle>,
    handle_buffer: Vec<u8>,
    /// A longer key must go to another table, because the index or the filter block might grow too long for
    /// the format. In bytes.
    room: usize,
    num_data_blocks: u64,
    data_size: u64,
    language: Language,
}

impl TableWriter {
    /// A writer to `file`, which must be empty.
    pub(super) fn new(file: Box<dyn WritableFile>, compressor: Compressor, layout: Layout) -> Self {
        TableWriter {
            output: BlockWriter::new(file, compressor),
            data_block: BlockBuilder::new(layout.restart_interval),
            index_block: BlockBuilder::new(1),
            filter_block: layout.filter_policy.map(FilterBlockBuilder::new),
            meta_blocks: Vec::new(),
            block_size: layout.block_size,
            max_meta_block_size: layout.max_meta_block_size,
            last_key: Vec::new(),
            unindexed: None,
            handle_buffer: Vec::new(),
            room: usize::MAX,
            num_data_blocks: 0,
            data_size: 0,
            language: layout.language,
        }
    }

    /// Takes the layout of data blocks and their compression anew, from the next block on.
    pub(super) fn change_blocks(
        &mut self,
        compressor: Compressor,
        block_size: usize,
        restart_interval: usize,
    ) {
        self.block_size = block_size;
        self.output.set_compressor(compressor);
        if self.data_block.is_empty() {
            self.data_block = BlockBuilder::new(restart_interval);
        }
    }

    /// The key added last; empty if there is none.
    #[inline]
    pub(super) fn last_key(&self) -> &[u8] {
        &self.last_key
    }

    /// Is there no entry in the data block under construction?
    #[inline]
    pub(super) fn is_between_blocks(&self) -> bool {
        self.data_block.is_empty()
    }

    /// Does a key of this length fit index and filter block? If not, it must go to another table: the format
    /// has 32 bits for the size of an index, and for the offsets of filters.
    #[inline]
    pub(super) fn has_room_for(&self, key_length: usize) -> bool {
        key_length <= self.room
    }

    /// The number of data blocks written.
    pub(super) fn num_data_blocks(&self) -> u64 {
        self.num_data_blocks
    }

    /// The bytes of the data blocks written, with their trailers.
    pub(super) fn data_size(&self) -> u64 {
        self.data_size
    }

    /// Bytes written so far.
    pub(super) fn offset(&self) -> u64 {
        self.output.offset()
    }

    /// Bytes written so far, plus the size of the unfinished block.
    pub(super) fn estimated_size(&self) -> u64 {
        let unfinished = if self.data_block.is_empty() { 0 } else { self.data_block.size_estimate() };
        self.output.offset() + unfinished as u64
    }

    /// All the work for an entry of `size` bytes except its place in a block: `put` or `put_raw_block` must
    /// follow. `shared`: how many bytes `key` has in common with the last key. `separate` may replace the key
    /// that it gets, the last one of a block, by a shorter one that is below `key`.
    #[inline]
    pub(super) fn begin_entry(
        &mut self,
        shared: usize,
        key: &[u8],
        filter_key: &[u8],
        size: usize,
        separate: impl FnOnce(&mut Vec<u8>),
    ) -> Result<()> {
        if !self.data_block.is_empty() && self.data_block.size_estimate() + size > MAX_SHARED_BLOCK_SIZE {
            self.flush_data_block()?;
        }
        if let Some(handle) = self.unindexed.take() {
            separate(&mut self.last_key);
            self.add_index_entry(handle)?;
        }
        if let Some(filter_block) = &mut self.filter_block {
            filter_block.add_key(filter_key);
        }
        if self.last_key.try_reserve(key.len()).is_err() {
            return Err(Error::no_memory("a key of a table"));
        }
        if self.data_block.is_empty() {
            self.last_key.clear();
            self.last_key.extend_from_slice(key);
        } else {
            self.last_key.truncate(shared);
            self.last_key.extend_from_slice(&key[shared..]);
        }
        Ok(())
    }

    /// Puts the entry into the data block.
    #[inline]
    pub(super) fn put(&mut self, shared: usize, key: &[u8], value: &[u8]) -> Result<()> {
        self.data_block.add(shared, key, value)?;
        if self.data_block.size_estimate() >= self.block_size {
            self.flush_data_block()?;
        }
        Ok(())
    }

    /// Writes a data block that has the entry only, in its stored form, with its trailer. No block is open.
    pub(super) fn put_raw_block(&mut self, stored: &[u8]) -> Result<()> {
        debug_assert!(self.data_block.is_empty());
        let handle = self.output.write_stored(stored)?;
        self.end_data_block(handle);
        Ok(())
    }

    /// Writes the data block under construction, if it has entries.
    pub(super) fn flush_data_block(&mut self) -> Result<()> {
        if self.data_block.is_empty() {
            return Ok(());
        }
        let handle = self.output.write_compressed(self.data_block.finish()?)?;
        self.data_block.reset();
        self.end_data_block(handle);
        Ok(())
    }

    /// Bookkeeping after a data block was written at `handle`.
    fn end_data_block(&mut self, handle: BlockHandle) {
        self.unindexed = Some(handle);
        self.num_data_blocks += 1;
        self.data_size = self.output.offset();
        let mut taken = self.index_block.size_estimate() + self.last_key.len();
        if let Some(filter_block) = &mut self.filter_block {
            filter_block.start_block(self.output.offset());
            taken = taken.max(filter_block.size_estimate());
        }
        let limit = self.max_meta_block_size;
        self.room = limit.saturating_sub(taken).saturating_sub(ROOM_SET_ASIDE.min(limit / 4));
    }

    /// Adds `last_key`, which is the separator now, to the index. InvalidArgument if the index has grown too
    /// long, which only happens if the caller ignored `has_room_for`.
    fn add_index_entry(&mut self, handle: BlockHandle) -> Result<()> {
        self.handle_buffer.clear();
        handle.encode(&mut self.handle_buffer);
        let entry = lone_block_size(self.last_key.len(), self.handle_buffer.len());
        if self.index_block.size_estimate() + entry > self.max_meta_block_size {
            return Err(Error::invalid_argument("the keys of a table are too long for its index"));
        }
        self.index_block.add(0, &self.last_key, &self.handle_buffer)
    }

    /// Writes the last data block and adds its index entry. `shorten` may replace the key that it gets, the
    /// last one of the table, by a shorter one that is not below it.
    pub(super) fn end_data(&mut self, shorten: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        self.flush_data_block()?;
        if let Some(handle) = self.unindexed.take() {
            shorten(&mut self.last_key);
            self.add_index_entry(handle)?;
        }
        Ok(())
    }

    /// Writes the filter block, and returns its size in bytes; 0 if there is none, or if it would be too
    /// long.
    pub(super) fn write_filter_block(&mut self) -> Result<u64> {
        let Some(filter_block) = self.filter_block.take() else { return Ok(0) };
        let name = filter_block.name();
        let Some(contents) = filter_block.finish(self.max_meta_block_size) else { return Ok(0) };
        self.write_meta_block(name, &contents)?;
        Ok(contents.len() as u64)
    }

    /// Writes a meta block, which the metaindex will have under `name`.
    pub(super) fn write_meta_block(&mut self, name: Vec<u8>, contents: &[u8]) -> Result<()> {
        let handle = self.output.write_raw(contents)?;
        self.meta_blocks.push((name, handle));
        Ok(())
    }

    /// The bytes of the index, which is complete after `end_data`, with its trailer, before compression.
    pub(super) fn index_size(&self) -> u64 {
        (self.index_block.size_estimate() + BLOCK_TRAILER_SIZE) as u64
    }

    /// Writes metaindex, index and footer.
    pub(super) fn finish(&mut self, form: MetaindexForm) -> Result<()> {
        let metaindex = self.output.write_metaindex(&mut self.meta_blocks, form)?;
        let index = self.output.write_compressed(self.index_block.finish()?)?;
        self.output.write_footer(Footer { language: self.language, metaindex, index })
    }

    /// Hands the bytes written to the operating system. Does not sync.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.output.flush()
    }

    /// The file, to sync and to close it.
    pub(super) fn into_file(self) -> Box<dyn WritableFile> {
        self.output.into_file()
    }
}
