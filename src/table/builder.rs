//! Writes a table: data blocks as they fill, then the blocks that lead to them.
//!
//! ```text
//! data blocks | [filter block] | [whole-table filter] | properties block | metaindex block
//!     | index block | footer
//! ```
//! Every block is followed by its 5-byte trailer (see `footer`). Data blocks and the index are compressed.
//! The other blocks are not: filters do not shrink, and the rest is small.
//!
//! A builder is used by one thread. After an error every later call fails with the same error, and the file
//! is useless.

use super::TableOptions;
use super::block::{BlockBuffer, single_entry_value};
use super::block_builder::BlockBuilder;
use super::filter_block::FilterBlockBuilder;
use super::footer::{BLOCK_TRAILER_SIZE, BlockHandle, Footer};
use super::properties::{OtherProperties, PROPERTIES_BLOCK, TableProperties};
use super::whole_table_filter::{WHOLE_TABLE_FILTER_BLOCK, WholeTableFilterBuilder};
use crate::compression::{self, Compressor, TYPE_RAW};
use crate::env::WritableFile;
use crate::error::{Error, Result};
use crate::format::common_prefix::common_prefix_length;
use crate::format::internal_key::{TRAILER_SIZE, ValueType, trailer, user_key};
use crate::format::limits::{MAX_BLOCK_SIZE, MAX_ENTRY_SIZE, MAX_SHARED_BLOCK_SIZE, lone_block_size};
use crate::util::crc32c;
use std::cmp::Ordering;
use std::sync::Arc;

/// Bytes that `room` leaves free in the index: for the last key of the block under construction, which
/// becomes an index entry (a key of this length ends its block at once, and is counted from then on), and for
/// the parts of index entries other than keys. `room` leaves the same number of bytes free in the filter
/// block, for the next filter.
const ROOM_SET_ASIDE: usize = 64 << 20;

/// Writes one table, from entries in increasing order.
pub struct TableBuilder {
    options: Arc<TableOptions>,
    output: BlockWriter,
    data_block: BlockBuilder,
    index_block: BlockBuilder,
    filter_block: Option<FilterBlockBuilder>,
    whole_table_filter: Option<WholeTableFilterBuilder>,
    /// The internal key added last.
    last_key: Vec<u8>,
    /// The last data block. Its index entry is written when the first key of the next block is known.
    unindexed: Option<BlockHandle>,
    handle_buffer: Vec<u8>,
    /// A longer key must go to another table, because the index or the filter block might grow too long for
    /// the format. In bytes.
    room: usize,
    properties: TableProperties,
    error: Option<Error>,
}

/// The result of building a table.
#[derive(Clone, Debug)]
pub struct BuiltTable {
    /// The size of the file in bytes.
    pub file_size: u64,
    /// The properties that were written to the table.
    pub properties: TableProperties,
}

impl TableBuilder {
    /// A builder that writes to `file`, which must be empty. `creation_time`: seconds since the epoch.
    pub fn new(options: Arc<TableOptions>, file: Box<dyn WritableFile>, creation_time: u64) -> Self {
        let filter_block = options.filter_policy.clone().map(FilterBlockBuilder::new);
        TableBuilder {
            output: BlockWriter::new(
                file,
                Compressor::with_level(options.compression, options.compression_level),
            ),
            data_block: BlockBuilder::new(options.block_restart_interval),
            index_block: BlockBuilder::new(1),
            filter_block,
            whole_table_filter: options.has_whole_table_filter().then(WholeTableFilterBuilder::default),
            last_key: Vec::new(),
            unindexed: None,
            handle_buffer: Vec::new(),
            room: usize::MAX,
            properties: TableProperties { smallest_sequence: u64::MAX, creation_time, ..Default::default() },
            error: None,
            options,
        }
    }

    /// Adds an entry. Its internal key must be greater than all keys added before. After an error nothing
    /// more is written.
    #[inline]
    pub fn add(&mut self, internal_key: &[u8], value: &[u8]) -> Result<()> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let added = self.try_add(internal_key, value);
        if let Err(error) = &added {
            self.error = Some(error.clone());
        }
        added
    }

    /// Adds the only entry of a block of another table without encoding it again. `stored`: that block with
    /// its 5-byte trailer; compressed with this builder's codec, at least `block_size` long, its checksum
    /// verified by the caller. It is copied verbatim if no block is open here, else decompressed and added.
    pub fn add_raw_block(&mut self, internal_key: &[u8], stored: &[u8], value_length: u32) -> Result<()> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let added = self.try_add_stored(internal_key, stored, value_length);
        if let Err(error) = &added {
            self.error = Some(error.clone());
        }
        added
    }

    fn try_add_stored(&mut self, internal_key: &[u8], stored: &[u8], value_length: u32) -> Result<()> {
        if self.data_block.is_empty() {
            self.begin_entry(internal_key, value_length as usize)?;
            let handle = self.output.write_stored(stored)?;
            self.end_data_block(handle);
            return Ok(());
        }
        // A block is open: the entry is decompressed and added to it.
        let Some((contents, trailer)) = stored.split_last_chunk::<BLOCK_TRAILER_SIZE>() else {
            return Err(Error::corruption("a stored block without its trailer"));
        };
        let bad = |error| Error::corruption(format!("{error} of the only entry of a block"));
        let mut block =
            BlockBuffer::new(compression::decompressed_length(trailer[0], contents).map_err(bad)?)?;
        compression::decompress(trailer[0], contents, &mut block).map_err(bad)?;
        match single_entry_value(&block, value_length) {
            Some(value) => self.try_add(internal_key, value),
            None => Err(Error::corruption("a stored block of one entry is too short for it")),
        }
    }

    fn try_add(&mut self, internal_key: &[u8], value: &[u8]) -> Result<()> {
        let shared = self.begin_entry(internal_key, value.len())?;
        self.data_block.add(shared, internal_key, value)?;
        if self.data_block.size_estimate() >= self.options.block_size {
            self.flush_data_block()?;
        }
        Ok(())
    }

    /// All the work for an entry except its place in a block: checks, index, filters, properties. Returns how
    /// many bytes its key shares with the last key.
    #[inline]
    fn begin_entry(&mut self, internal_key: &[u8], value_length: usize) -> Result<usize> {
        if internal_key.len() < TRAILER_SIZE {
            return Err(Error::corruption("internal key is shorter than 8 bytes"));
        }
        let size = internal_key.len().saturating_add(value_length);
        if size > MAX_ENTRY_SIZE && lone_block_size(internal_key.len(), value_length) > MAX_BLOCK_SIZE {
            return Err(Error::invalid_argument(format!("an entry of {size} bytes is too long for a table")));
        }
        let shared = common_prefix_length(&self.last_key, internal_key);
        if self.properties.num_entries > 0 && !self.is_in_order(internal_key, shared) {
            return Err(Error::corruption("keys added to a table are out of order"));
        }
        if !self.data_block.is_empty() && self.data_block.size_estimate() + size > MAX_SHARED_BLOCK_SIZE {
            self.flush_data_block()?;
        }
        if let Some(handle) = self.unindexed.take() {
            self.options.comparator.find_shortest_separator(&mut self.last_key, internal_key);
            self.add_index_entry(handle)?;
        }
        if let Some(filter_block) = &mut self.filter_block {
            filter_block.add_key(user_key(internal_key));
        }
        if let Some(filter) = &mut self.whole_table_filter {
            filter.add_key(user_key(internal_key));
        }
        self.count(internal_key, value_length);
        if self.last_key.try_reserve(internal_key.len()).is_err() {
            return Err(Error::no_memory("a key of a table"));
        }
        if self.data_block.is_empty() {
            self.last_key.clear();
            self.last_key.extend_from_slice(internal_key);
        } else {
            self.last_key.truncate(shared);
            self.last_key.extend_from_slice(&internal_key[shared..]);
        }
        Ok(shared)
    }

    /// Does an entry with this internal key fit the table? If not, it must go to another table: the format
    /// has 32 bits for the size of an index, and for the offsets of filters.
    #[inline]
    pub fn has_room_for(&self, internal_key: &[u8]) -> bool {
        internal_key.len() <= self.room
    }

    /// The number of entries added so far.
    #[cfg(any(test, feature = "test-support"))]
    pub fn num_entries(&self) -> u64 {
        self.properties.num_entries
    }

    /// Bytes written so far, plus the size of the unfinished block.
    pub fn estimated_file_size(&self) -> u64 {
        let unfinished = if self.data_block.is_empty() { 0 } else { self.data_block.size_estimate() };
        self.output.offset + unfinished as u64
    }

    /// Writes all that follows the data blocks, then syncs and closes the file.
    #[cfg(any(test, feature = "test-support"))]
    pub fn finish(self) -> Result<BuiltTable> {
        let (built, mut file) = self.finish_unsynced()?;
        file.sync()?;
        file.close()?;
        Ok(built)
    }

    /// Writes filters, properties, metaindex, index and footer. The caller gets the file, to sync and to
    /// close it.
    pub fn finish_unsynced(mut self) -> Result<(BuiltTable, Box<dyn WritableFile>)> {
        if let Some(error) = self.error {
            return Err(error);
        }
        self.flush_data_block()?;
        if let Some(handle) = self.unindexed.take() {
            self.options.comparator.find_short_successor(&mut self.last_key);
            self.add_index_entry(handle)?;
        }
        if self.properties.num_entries == 0 {
            self.properties.smallest_sequence = 0;
        }
        let mut meta_blocks = Vec::new();
        let mut filter_size = 0;
        if let (Some(filter_block), Some(policy)) = (self.filter_block.take(), &self.options.filter_policy)
            && let Some(contents) = filter_block.finish(self.options.max_meta_block_size)
        {
            filter_size = contents.len() as u64;
            let name = [b"filter.", policy.name().as_slice()].concat();
            meta_blocks.push((name, self.output.write_raw(&contents)?));
        }
        let whole_table_filter = self.whole_table_filter.take();
        if let Some(contents) = whole_table_filter.and_then(|filter| filter.finish(self.output.offset)) {
            meta_blocks.push((WHOLE_TABLE_FILTER_BLOCK.to_vec(), self.output.write_raw(&contents)?));
        }
        let index = self.index_block.finish()?;
        let other = OtherProperties {
            comparator_name: &self.options.comparator_name,
            index_size: (index.len() + BLOCK_TRAILER_SIZE) as u64,
            filter_size,
        };
        let properties = self.output.write_raw(&self.properties.encode(&other)?)?;
        meta_blocks.push((PROPERTIES_BLOCK.to_vec(), properties));
        let metaindex = self.output.write_raw(&metaindex(meta_blocks)?)?;
        let index = self.output.write_compressed(index)?;
        self.output.write_footer(Footer { metaindex, index })?;
        let built = BuiltTable { file_size: self.output.offset, properties: self.properties };
        Ok((built, self.output.file))
    }

    /// Is the key at or after the last one, with which it has `shared` bytes in common? Equal keys are
    /// accepted: repaired tables may have them, and must stay compactable.
    #[inline]
    fn is_in_order(&self, internal_key: &[u8], shared: usize) -> bool {
        let comparator = &self.options.comparator;
        if comparator.is_bytewise() {
            let (last, new) = (user_key(&self.last_key), user_key(internal_key));
            if let (Some(last), Some(new)) = (last.get(shared), new.get(shared)) {
                return last < new;
            }
        }
        comparator.compare(internal_key, &self.last_key) != Ordering::Less
    }

    #[inline]
    fn count(&mut self, internal_key: &[u8], value_length: usize) {
        let properties = &mut self.properties;
        let packed = trailer(internal_key);
        properties.num_entries += 1;
        properties.num_deletions += u64::from(packed as u8 == ValueType::Deletion as u8);
        properties.raw_key_size += internal_key.len() as u64;
        properties.raw_value_size += value_length as u64;
        properties.smallest_sequence = properties.smallest_sequence.min(packed >> 8);
        properties.largest_sequence = properties.largest_sequence.max(packed >> 8);
    }

    /// Writes the open data block, if it has entries.
    fn flush_data_block(&mut self) -> Result<()> {
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
        self.properties.num_data_blocks += 1;
        self.properties.data_size = self.output.offset;
        let mut taken = self.index_block.size_estimate() + self.last_key.len();
        if let Some(filter_block) = &mut self.filter_block {
            filter_block.start_block(self.output.offset);
            taken = taken.max(filter_block.size_estimate());
        }
        let limit = self.options.max_meta_block_size;
        self.room = limit.saturating_sub(taken).saturating_sub(ROOM_SET_ASIDE.min(limit / 4));
    }

    /// Adds `last_key`, which is the separator now, to the index. InvalidArgument if the index has grown too
    /// long, which only happens if the caller ignored `has_room_for`.
    fn add_index_entry(&mut self, handle: BlockHandle) -> Result<()> {
        self.handle_buffer.clear();
        handle.encode(&mut self.handle_buffer);
        let entry = lone_block_size(self.last_key.len(), self.handle_buffer.len());
        if self.index_block.size_estimate() + entry > self.options.max_meta_block_size {
            return Err(Error::invalid_argument("the keys of a table are too long for its index"));
        }
        self.index_block.add(0, &self.last_key, &self.handle_buffer)
    }
}

/// The contents of the metaindex block. Names are in bytewise order, as LevelDB's reader expects.
fn metaindex(mut meta_blocks: Vec<(Vec<u8>, BlockHandle)>) -> Result<Vec<u8>> {
    meta_blocks.sort_by(|a, b| a.0.cmp(&b.0));
    let mut block = BlockBuilder::new(1);
    for (name, handle) in meta_blocks {
        let mut value = Vec::new();
        handle.encode(&mut value);
        block.add(0, &name, &value)?;
    }
    Ok(block.finish()?.to_vec())
}

/// Appends blocks to a file, and knows their offsets.
pub(super) struct BlockWriter {
    file: Box<dyn WritableFile>,
    /// Bytes written so far.
    offset: u64,
    compressor: Compressor,
}

impl BlockWriter {
    /// A writer that appends to `file`, which must be empty.
    pub(super) fn new(file: Box<dyn WritableFile>, compressor: Compressor) -> Self {
        BlockWriter { file, offset: 0, compressor }
    }

    /// Compresses later blocks with `compressor`.
    pub(super) fn set_compressor(&mut self, compressor: Compressor) {
        self.compressor = compressor;
    }

    /// Bytes written so far: where the next block begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Hands the bytes written to the operating system. Does not sync.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.file.flush()
    }

    /// Writes a block, compressed if that saves enough space.
    pub(super) fn write_compressed(&mut self, contents: &[u8]) -> Result<BlockHandle> {
        match self.compressor.compress(contents) {
            Some((stored, type_byte)) => write_block(&mut *self.file, &mut self.offset, stored, type_byte),
            None => self.write_raw(contents),
        }
    }

    /// Writes a block uncompressed.
    pub(super) fn write_raw(&mut self, contents: &[u8]) -> Result<BlockHandle> {
        write_block(&mut *self.file, &mut self.offset, contents, TYPE_RAW)
    }

    /// Writes a block in its stored form, with its trailer.
    fn write_stored(&mut self, stored: &[u8]) -> Result<BlockHandle> {
        let size = (stored.len() as u64).saturating_sub(BLOCK_TRAILER_SIZE as u64);
        let handle = BlockHandle { offset: self.offset, size };
        self.file.append(stored)?;
        self.offset += stored.len() as u64;
        Ok(handle)
    }

    /// Appends the footer of a table.
    pub(super) fn write_footer(&mut self, footer: Footer) -> Result<()> {
        let mut bytes = Vec::new();
        footer.encode(&mut bytes);
        self.file.append(&bytes)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }
}

fn write_block(
    file: &mut dyn WritableFile,
    offset: &mut u64,
    stored: &[u8],
    type_byte: u8,
) -> Result<BlockHandle> {
    let handle = BlockHandle { offset: *offset, size: stored.len() as u64 };
    let crc = crc32c::mask(crc32c::extend(crc32c::value(stored), &[type_byte]));
    let mut trailer = [type_byte; BLOCK_TRAILER_SIZE];
    trailer[1..].copy_from_slice(&crc.to_le_bytes());
    file.append(stored)?;
    file.append(&trailer)?;
    *offset += stored.len() as u64 + BLOCK_TRAILER_SIZE as u64;
    Ok(handle)
}
