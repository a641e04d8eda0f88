//! Tables of user keys, in the order of a user comparator: LevelDB's `Table` and `TableBuilder` classes for
//! programs. (Unrelated to RocksDB's PlainTable.) The tables of a database have internal keys, and their own
//! code in this folder.
//!
//! The bytes are LevelDB's: no properties, no whole-table filter. A database's table can be read from its
//! first entry to its last with a comparator that treats internal keys as bytes.
//!
//! A builder is used by one thread, a table by any number of threads, an iterator by one thread at a time.

use crate::comparator::Comparator;
use crate::compression::Compressor;
use crate::env::{RandomAccessFile, WritableFile};
use crate::error::{Error, Result};
use crate::filter_policy::FilterPolicy;
use crate::format::common_prefix::common_prefix_length;
use crate::format::limits::{MAX_BLOCK_SIZE, MAX_SHARED_BLOCK_SIZE, check_entry, lone_block_size};
use crate::options::{Options, ReadAt};
use crate::table::block::{Block, BlockBytes};
use crate::table::block_builder::BlockBuilder;
use crate::table::block_file::BlockFile;
use crate::table::builder::BlockWriter;
use crate::table::filter_block::FilterBlockBuilder;
use crate::table::footer::{BlockHandle, FOOTER_SIZE, Footer};
use crate::table::reader::read_footer;
use crate::util::cache::{BlockCache, CacheKey, CachedBlock};
use std::cmp::Ordering;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// Writes one table of user keys.
pub struct UserKeyTableBuilder {
    comparator: Arc<dyn Comparator>,
    filter_policy: Option<Arc<dyn FilterPolicy>>,
    block_size: usize,
    output: BlockWriter,
    data_block: BlockBuilder,
    index_block: BlockBuilder,
    filter_block: Option<FilterBlockBuilder>,
    last_key: Vec<u8>,
    /// The last data block. Its index entry is written when the first key of the next block is known.
    unindexed: Option<BlockHandle>,
    num_entries: u64,
    error: Option<Error>,
    finished: bool,
}

impl UserKeyTableBuilder {
    /// A builder that writes to `file`, which must be empty. It uses those of the options that concern
    /// tables.
    pub fn new(options: &Options, file: Box<dyn WritableFile>) -> Self {
        let options = options.sanitized();
        UserKeyTableBuilder {
            output: BlockWriter::new(
                file,
                Compressor::with_level(options.compression, options.compression_level),
            ),
            data_block: BlockBuilder::new(options.block_restart_interval),
            index_block: BlockBuilder::new(1),
            filter_block: options.filter_policy.clone().map(FilterBlockBuilder::new),
            block_size: options.block_size,
            comparator: options.comparator,
            filter_policy: options.filter_policy,
            last_key: Vec::new(),
            unindexed: None,
            num_entries: 0,
            error: options.compression.check().err(),
            finished: false,
        }
    }

    /// Takes block size, restart interval and compression from `options`, from the next block on.
    /// InvalidArgument if the comparator is another one.
    pub fn change_options(&mut self, options: &Options) -> Result<()> {
        if options.comparator.name() != self.comparator.name() {
            return Err(Error::invalid_argument("changing comparator while building table"));
        }
        options.compression.check()?;
        let options = options.sanitized();
        self.block_size = options.block_size;
        self.output.set_compressor(Compressor::with_level(options.compression, options.compression_level));
        if self.data_block.is_empty() {
            self.data_block = BlockBuilder::new(options.block_restart_interval);
        }
        Ok(())
    }

    /// Adds an entry. Its key must be greater than all keys added before. After an error nothing more is
    /// written.
    pub fn add(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.run(|this| this.try_add(key, value))
    }

    fn run(&mut self, body: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        if self.finished {
            return Err(Error::invalid_argument("the table is finished"));
        }
        let result = body(self);
        self.error = result.as_ref().err().cloned();
        result
    }

    fn try_add(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        check_entry(key.len(), value.len())?;
        if self.num_entries > 0 && self.comparator.compare(key, &self.last_key) != Ordering::Greater {
            return Err(Error::invalid_argument("a key added to a table is not behind the one before"));
        }
        if !self.data_block.is_empty()
            && self.data_block.size_estimate() + key.len() + value.len() > MAX_SHARED_BLOCK_SIZE
        {
            self.flush_data_block()?;
        }
        if let Some(handle) = self.unindexed.take() {
            self.comparator.find_shortest_separator(&mut self.last_key, key);
            self.add_index_entry(handle)?;
        }
        if let Some(filter_block) = &mut self.filter_block {
            filter_block.add_key(key);
        }
        let shared = if self.data_block.is_empty() { 0 } else { common_prefix_length(&self.last_key, key) };
        self.last_key.clear();
        if self.last_key.try_reserve(key.len()).is_err() {
            return Err(Error::no_memory("a key of a table"));
        }
        self.last_key.extend_from_slice(key);
        self.num_entries += 1;
        self.data_block.add(shared, key, value)?;
        if self.data_block.size_estimate() >= self.block_size {
            self.flush_data_block()?;
        }
        Ok(())
    }

    /// Ends the data block; the next entry begins another one.
    pub fn flush(&mut self) -> Result<()> {
        self.run(Self::flush_data_block)
    }

    fn flush_data_block(&mut self) -> Result<()> {
        if self.data_block.is_empty() {
            return Ok(());
        }
        self.unindexed = Some(self.output.write_compressed(self.data_block.finish()?)?);
        self.data_block.reset();
        self.output.flush()?;
        if let Some(filter_block) = &mut self.filter_block {
            filter_block.start_block(self.output.offset());
        }
        Ok(())
    }

    fn add_index_entry(&mut self, handle: BlockHandle) -> Result<()> {
        let mut value = Vec::new();
        handle.encode(&mut value);
        let entry = lone_block_size(self.last_key.len(), value.len());
        if self.index_block.size_estimate() + entry > MAX_BLOCK_SIZE {
            return Err(Error::invalid_argument("the keys of a table are too long for its index"));
        }
        self.index_block.add(0, &self.last_key, &value)
    }

    /// Writes all that follows the data blocks. The file is flushed, but neither synced nor closed.
    pub fn finish(&mut self) -> Result<()> {
        self.run(|this| {
            this.flush_data_block()?;
            this.finished = true;
            let mut metaindex = BlockBuilder::new(1);
            if let (Some(filter_block), Some(policy)) = (this.filter_block.take(), &this.filter_policy)
                && let Some(contents) = filter_block.finish(MAX_BLOCK_SIZE)
            {
                let handle = this.output.write_raw(&contents)?;
                let mut value = Vec::new();
                handle.encode(&mut value);
                metaindex.add(0, &[b"filter.", policy.name().as_slice()].concat(), &value)?;
            }
            let metaindex = this.output.write_compressed(metaindex.finish()?)?;
            if let Some(handle) = this.unindexed.take() {
                this.comparator.find_short_successor(&mut this.last_key);
                this.add_index_entry(handle)?;
            }
            let index = this.output.write_compressed(this.index_block.finish()?)?;
            this.output.write_footer(Footer { metaindex, index })?;
            this.output.flush()
        })
    }

    /// The first error of any call.
    pub fn status(&self) -> Result<()> {
        self.error.clone().map_or(Ok(()), Err)
    }

    /// The number of entries added so far.
    pub fn num_entries(&self) -> u64 {
        self.num_entries
    }

    /// Bytes written so far.
    pub fn file_size(&self) -> u64 {
        self.output.offset()
    }
}

/// An open table of user keys.
pub struct UserKeyTable {
    comparator: Arc<dyn Comparator>,
    file: BlockFile,
    /// For each data block, a key at or after its last key and before the next block's first; and where the
    /// block is.
    index: Vec<(Vec<u8>, BlockHandle)>,
    metaindex: BlockHandle,
    cache: Option<(Arc<BlockCache>, u64)>,
    paranoid_checks: bool,
}

impl UserKeyTable {
    /// Opens the table in the first `file_size` bytes of `file`. `path` is for error messages.
    pub fn open(
        options: &Options,
        file: Arc<dyn RandomAccessFile>,
        path: PathBuf,
        file_size: u64,
    ) -> Result<Arc<Self>> {
        let Some(limit) = file_size.checked_sub(FOOTER_SIZE as u64) else {
            return Err(Error::corruption("file is too short to be an sstable"));
        };
        let footer = read_footer(&*file, &path, limit)?;
        let file = BlockFile::new(file, path, limit);
        let mut index = Vec::new();
        {
            let bytes = file.load(footer.index, options.paranoid_checks)?;
            let bad = |bad| file.bad_block(footer.index, bad);
            let mut entries = Block::parse(&bytes).map_err(bad)?.entries();
            while let Some((key, mut value)) = entries.next().map_err(bad)? {
                let handle = BlockHandle::decode(&mut value);
                let handle = handle.ok_or_else(|| file.corruption("bad block handle in the index"))?;
                index.push((key.to_vec(), handle));
            }
        }
        let cache = options.block_cache.clone().map(|cache| {
            let id = cache.new_id();
            (cache, id)
        });
        let (comparator, paranoid_checks) = (options.comparator.clone(), options.paranoid_checks);
        Ok(Arc::new(UserKeyTable {
            comparator,
            file,
            index,
            metaindex: footer.metaindex,
            cache,
            paranoid_checks,
        }))
    }

    /// The block that has the first entry at or after `key`; the number of blocks if there is none.
    fn find_block(&self, key: &[u8]) -> usize {
        self.index.partition_point(|(separator, _)| self.comparator.compare(separator, key) == Ordering::Less)
    }

    /// The approximate offset in the file of the first entry at or after `key`.
    pub fn approximate_offset_of(&self, key: &[u8]) -> u64 {
        self.index.get(self.find_block(key)).map_or(self.metaindex.offset, |(_, handle)| handle.offset)
    }

    fn load(&self, handle: BlockHandle, read: &ReadAt) -> Result<CachedBlock> {
        let key = |id| CacheKey { id, offset: handle.offset };
        if let Some((cache, id)) = &self.cache
            && let Some(bytes) = cache.get(key(*id))
        {
            return Ok(bytes);
        }
        let bytes = match self.file.load(handle, read.verify_checksums || self.paranoid_checks)? {
            BlockBytes::Loaded(bytes) => bytes,
            other => (&*other).into(),
        };
        if let Some((cache, id)) = &self.cache
            && read.fill_cache
        {
            cache.insert(key(*id), bytes.clone(), bytes.memory_usage());
        }
        Ok(bytes)
    }

    /// An iterator over the table, on no entry.
    pub fn iter(self: &Arc<Self>, read: ReadAt) -> UserKeyTableIterator {
        UserKeyTableIterator { table: self.clone(), read, block: 0, loaded: None, at: 0, error: None }
    }
}

/// The entries of one block, with their keys built.
struct LoadedBlock {
    bytes: CachedBlock,
    keys: Vec<u8>,
    /// Where the key of each entry is in `keys`, and its value in `bytes`.
    entries: Vec<(Range<usize>, Range<usize>)>,
}

impl LoadedBlock {
    fn key(&self, at: usize) -> &[u8] {
        &self.keys[self.entries[at].0.clone()]
    }
}

/// A position in a table of user keys. A block that cannot be read is skipped, and the error kept.
pub struct UserKeyTableIterator {
    table: Arc<UserKeyTable>,
    read: ReadAt,
    /// The block that is loaded. The iterator is valid while one is, and stands on its entry `at`.
    block: usize,
    loaded: Option<LoadedBlock>,
    at: usize,
    error: Option<Error>,
}

impl UserKeyTableIterator {
    /// Does the iterator stand on an entry?
    pub fn valid(&self) -> bool {
        self.loaded.is_some()
    }

    /// The current key; empty if the iterator is not valid.
    pub fn key(&self) -> &[u8] {
        self.loaded.as_ref().map_or(&[], |block| block.key(self.at))
    }

    /// The current value; empty if the iterator is not valid.
    pub fn value(&self) -> &[u8] {
        self.loaded.as_ref().map_or(&[], |block| &block.bytes.block()[block.entries[self.at].1.clone()])
    }

    /// The first error since the last seek.
    pub fn status(&self) -> Result<()> {
        self.error.clone().map_or(Ok(()), Err)
    }

    /// Moves to the first entry of the table.
    pub fn seek_to_first(&mut self) {
        self.error = None;
        self.forward_from(0);
    }

    /// Moves to the last entry of the table.
    pub fn seek_to_last(&mut self) {
        self.error = None;
        self.backward_from(self.table.index.len());
    }

    /// Moves to the first entry at or after `target`.
    pub fn seek(&mut self, target: &[u8]) {
        self.error = None;
        let block = self.table.find_block(target);
        if !self.load(block) {
            return self.forward_from(block + 1);
        }
        let comparator = self.table.comparator.clone();
        let Some(loaded) = &self.loaded else { return };
        let before = |entry: &(Range<usize>, Range<usize>)| {
            comparator.compare(&loaded.keys[entry.0.clone()], target) == Ordering::Less
        };
        self.at = loaded.entries.partition_point(before);
        if self.at == loaded.entries.len() {
            self.forward_from(block + 1);
        }
    }

    /// Moves to the next entry. Call only while valid.
    pub fn next(&mut self) {
        let Some(loaded) = &self.loaded else { return };
        self.at += 1;
        if self.at >= loaded.entries.len() {
            self.forward_from(self.block + 1);
        }
    }

    /// Moves to the previous entry. Call only while valid.
    pub fn prev(&mut self) {
        if self.loaded.is_none() {
            return;
        }
        match self.at.checked_sub(1) {
            Some(before) => self.at = before,
            None => self.backward_from(self.block),
        }
    }

    /// Moves to the first entry of the first block at or after `first` that has entries.
    fn forward_from(&mut self, first: usize) {
        self.loaded = None;
        for block in first..self.table.index.len() {
            if self.load(block) {
                self.at = 0;
                return;
            }
        }
    }

    /// Moves to the last entry of the last block before `end` that has entries.
    fn backward_from(&mut self, end: usize) {
        self.loaded = None;
        for block in (0..end).rev() {
            if self.load(block) {
                self.at = self.loaded.as_ref().map_or(0, |loaded| loaded.entries.len() - 1);
                return;
            }
        }
    }

    /// Loads a block. Returns false if it has no entries or cannot be read; the error is kept.
    fn load(&mut self, block: usize) -> bool {
        self.loaded = None;
        // A user comparator may panic before the position is set. Entry 0 exists in every block that is kept.
        (self.block, self.at) = (block, 0);
        let table = self.table.clone();
        let Some((_, handle)) = table.index.get(block) else { return false };
        let loaded = table.load(*handle, &self.read).and_then(|bytes| decode(&table, *handle, bytes));
        match loaded {
            Ok(loaded) if !loaded.entries.is_empty() => self.loaded = Some(loaded),
            Ok(_) => {}
            Err(error) => {
                self.error.get_or_insert(error);
            }
        }
        self.loaded.is_some()
    }
}

/// Builds the keys of a block.
fn decode(table: &UserKeyTable, handle: BlockHandle, bytes: CachedBlock) -> Result<LoadedBlock> {
    let (mut keys, mut ranges) = (Vec::new(), Vec::new());
    {
        let bad = |bad| table.file.bad_block(handle, bad);
        let mut entries = Block::parse(bytes.block()).map_err(bad)?.entries();
        while let Some((key, value)) = entries.next().map_err(bad)? {
            // Prefixes are shared, so a small damaged block could ask for any amount of memory.
            if keys.len() + key.len() > MAX_BLOCK_SIZE {
                return Err(table.file.bad_block(handle, "bad block: more than 1 GiB of keys"));
            }
            if keys.try_reserve(key.len()).is_err() {
                return Err(Error::io("no memory for the keys of a block"));
            }
            let start = keys.len();
            keys.extend_from_slice(key);
            // The value is a slice of the block.
            let offset = value.as_ptr() as usize - bytes.block().as_ptr() as usize;
            ranges.push((start..keys.len(), offset..offset + value.len()));
        }
    }
    Ok(LoadedBlock { bytes, keys, entries: ranges })
}

#[cfg(test)]
mod tests;
