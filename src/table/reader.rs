//! An open table: look-ups, and the access from a key to a block.
//!
//! What opening reads stays in memory: the index in flat arrays (`index`), the filters, the properties. A
//! data block that lies uncompressed in a mapping is read in place. Any other is read through the block
//! cache; if the cache does not want it, it is decompressed into a buffer of the thread. A block's checksum
//! is verified when the block is first read. In a mapping that happens once, and a bit per block remembers
//! it; a block that is read from the file is verified at each read.
//!
//! A table whose index is damaged opens, unless `paranoid_checks` is set, with the blocks that can still be
//! found. Entries found there are returned, but a result of "not found" becomes the error, and iterators end
//! with the error.
//!
//! Shared between threads, without locks.

mod opening;
mod rocksdb_form;

use super::block::{
    self, Block, BlockBytes, BlockOwner, LazyBlock, LazyBlockOwner, LookupTarget, WholeOrPart,
};
use super::filter_block::FilterBlockLayout;
use super::footer::{BLOCK_TRAILER_SIZE, BlockHandle, FOOTER_SIZE};
use super::index::Index;
use super::iterator::TableIterator;
use super::properties::TableProperties;
use super::whole_table_filter::{self, KeyHash, LoadedLines};
use super::{TableOptions, TableReadOptions, block_file::BlockFile};
use crate::compression::{Compression, TYPE_SNAPPY};
use crate::env::RandomAccessFile;
use crate::error::{Error, Result};
use crate::filter_policy::FilterPolicy;
use crate::format::internal_key::{InternalKeyComparator, LookupKey, user_key};
use crate::language::Language;
use crate::util::cache::{CacheKey, CachedBlock};
pub(super) use opening::read_footer;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

/// The bytes that a cached block takes in addition to its own: its reference counts, and its entry in the
/// cache.
const CACHED_BLOCK_OVERHEAD: usize = 64;

/// After this many hits, a cached block gets a lookup index.
const INDEXED_HITS: u8 = 2;

/// The bytes of a stored block that are prefetched before it is decompressed in steps.
const FIRST_LOOK: usize = 1 << 10;

/// The number of data blocks that are examined to find a table's codec, if the index is uncompressed.
const LOOKS_FOR_COMPRESSION: usize = 16;

/// The outcome of a look-up in one table.
#[derive(Debug)]
pub enum TableGet<R> {
    /// The first entry at or after the look-up key has its user key. This is the callback's result.
    Found(R),
    /// The table has no such entry, or a filter excludes the key.
    Missing {
        /// Was a data block read? (A seek is charged only for a block read, never for a filter's answer.)
        block_read: bool,
    },
}

/// An open table; shared between threads.
pub struct Table {
    options: Arc<TableOptions>,
    file: BlockFile,
    index: Index,
    /// Where the index block is stored.
    index_handle: BlockHandle,
    /// Where the metaindex block is stored.
    metaindex_handle: BlockHandle,
    /// Damage of the index.
    damage: Option<Error>,
    /// Damage of meta blocks. The table does without those.
    meta_damage: Option<Error>,
    whole_table_filter: Option<WholeTableFilter>,
    filter: Option<Filter>,
    properties: Option<TableProperties>,
    /// The identity of this table in the block cache; 0 without one.
    cache_id: u64,
    /// For a mapped file: the blocks whose checksum was verified.
    verified: BlockSet,
    /// The blocks that are known not to lie uncompressed in a mapping.
    not_in_place: BlockSet,
    /// For a compressed block in a mapping that was read once: the number of its restart points. 0 for other
    /// blocks.
    restarts: Box<[AtomicU16]>,
}

/// The lines of the whole-table filter: in the mapping, or in memory.
enum WholeTableFilter {
    InMapping { offset: usize, length: usize },
    Loaded(LoadedLines),
}

struct Filter {
    policy: Arc<dyn FilterPolicy>,
    layout: FilterBlockLayout,
    contents: Contents,
}

/// The contents of a meta block that stays open: in the mapping, or in memory.
enum Contents {
    InMapping(BlockHandle),
    Loaded(Arc<[u8]>),
}

impl Table {
    /// Opens a table: reads and checks footer, index, filters and properties. `path` is for error messages.
    pub fn open(
        options: Arc<TableOptions>,
        file: Arc<dyn RandomAccessFile>,
        path: PathBuf,
        file_size: u64,
    ) -> Result<Arc<Table>> {
        let (found, limit) = read_footer(&*file, &path, file_size)?;
        let file = BlockFile::new(file, path, limit, &found);
        let place = rocksdb_form::find_index(&file, &found.footer, found.version)?;
        let (index, damage) = opening::read_index(&options, &file, &place)?;
        let mut table = Table {
            verified: BlockSet::new(index.len()),
            not_in_place: BlockSet::new(index.len()),
            restarts: (0..index.len()).map(|_| AtomicU16::new(0)).collect(),
            cache_id: options.block_cache.as_ref().map_or(0, |cache| cache.new_id()),
            properties: None,
            whole_table_filter: None,
            filter: None,
            damage,
            meta_damage: None,
            index,
            index_handle: place.handle,
            metaindex_handle: found.footer.metaindex,
            file,
            options,
        };
        let result = table.read_meta_blocks(found.footer.metaindex);
        table.tolerate(result)?;
        Ok(Arc::new(table))
    }

    /// Looks in the block where `key` would be for the first entry at or after it. If that entry has the same
    /// user key, hands its internal key and value to `found`, without copying them. Otherwise `found` is not
    /// called. `hash` is that of the user key: one look-up probes several tables.
    #[inline]
    pub fn get<R>(
        &self,
        read: TableReadOptions,
        key: &LookupKey,
        hash: KeyHash,
        found: impl FnOnce(&[u8], &[u8]) -> R,
    ) -> Result<TableGet<R>> {
        if self.may_have(hash) { self.get_unfiltered(read, key, found) } else { self.missing(false) }
    }

    /// As `get`, after the whole-table filter has let the key pass.
    fn get_unfiltered<R>(
        &self,
        read: TableReadOptions,
        key: &LookupKey,
        found: impl FnOnce(&[u8], &[u8]) -> R,
    ) -> Result<TableGet<R>> {
        let comparator = &self.options.comparator;
        let ordinal = self.index.find_of(comparator, key.user_key(), || key.internal_key());
        if ordinal == self.index.len() {
            return self.missing(false);
        }
        let handle = self.index.handle(ordinal);
        if let Some(filter) = &self.filter
            && !self.filter_may_match(filter, handle, key.user_key())
        {
            return self.missing(false);
        }
        let get = |bytes: &[u8], found| {
            Block::parse(bytes).and_then(|block| block.get(comparator, key.internal_key(), found))
        };
        let result = match self.block_for_get(ordinal, read)? {
            WholeOrPart::Part(mut part) => {
                part.get(comparator, self.stored(handle), key.internal_key(), found)
            }
            WholeOrPart::Whole(BlockBytes::Loaded(cached)) => {
                let target = LookupTarget { user_key: key.user_key(), trailer: key.trailer() };
                let with_lookup_index =
                    block::get_by_lookup_index(cached.block(), cached.lookup_index(), target, found);
                with_lookup_index.unwrap_or_else(|found| get(cached.block(), found))
            }
            WholeOrPart::Whole(bytes) => get(&bytes, found),
        };
        match result {
            Ok(Some(result)) => Ok(TableGet::Found(result)),
            Ok(None) => self.missing(true),
            Err(bad) => Err(self.file.bad_block(handle, bad)),
        }
    }

    /// Does the whole-table filter prove that the table has no entry of the user key of `internal_key`?
    #[inline]
    pub fn definitely_lacks(&self, internal_key: &[u8]) -> bool {
        self.whole_table_filter.is_some() && !self.may_have(KeyHash::of(user_key(internal_key)))
    }

    /// An iterator over the table. Unless `paranoid_checks` is set, it skips a damaged block and keeps the
    /// error in `status`.
    pub fn iter(self: &Arc<Self>, read: TableReadOptions) -> TableIterator {
        TableIterator::new(self.clone(), read)
    }

    /// The approximate offset in the file of the entry at or after this internal key.
    pub fn approximate_offset_of(&self, internal_key: &[u8]) -> u64 {
        let ordinal = self.index.find(&self.options.comparator, internal_key);
        match ordinal.checked_sub(1) {
            // After all keys: where the last block ends.
            Some(last) if ordinal == self.index.len() => self.index.handle(last).end().unwrap_or(u64::MAX),
            None if self.index.len() == 0 => 0,
            _ => self.index.handle(ordinal).offset,
        }
    }

    /// Up to `count` user keys that divide the table's blocks into runs of about equal length. The last key
    /// ends the last run.
    pub fn quantiles(&self, count: usize) -> impl Iterator<Item = Vec<u8>> {
        let (blocks, count) = (self.index.len(), count.min(self.index.len()));
        (1..=count).map(move |quantile| self.index.separator(blocks * quantile / count - 1))
    }

    /// The table's codec, as far as the index and some data blocks show it. `None` if all of these are
    /// uncompressed.
    pub fn compression(&self) -> Option<Compression> {
        let (blocks, looks) = (self.index.len(), self.index.len().min(LOOKS_FOR_COMPRESSION));
        let some = (0..looks).map(|look| self.index.handle(blocks * look / looks));
        let mut handles = std::iter::once(self.index_handle).chain(some);
        handles.find_map(|handle| self.file.compression_of(handle))
    }

    /// NotSupported if any block is undamaged but has an encoding that this build cannot read.
    pub fn check_understood(&self) -> Result<()> {
        if let Some(error) = self.meta_damage.as_ref().filter(|error| error.is_not_supported()) {
            return Err(error.clone());
        }
        (0..self.index.len()).try_for_each(|ordinal| self.file.check_understood(self.index.handle(ordinal)))
    }

    /// The table's properties. `None` if it has none that can be used: LevelDB's tables have none.
    pub fn properties(&self) -> Option<&TableProperties> {
        self.properties.as_ref()
    }

    /// The damage that opening found and tolerated. With `paranoid_checks`, opening would have failed with
    /// it.
    pub fn damage_when_opened(&self) -> Option<&Error> {
        self.damage.as_ref().or(self.meta_damage.as_ref())
    }

    /// The language that the table is in.
    pub fn language(&self) -> Language {
        self.file.language()
    }

    /// The path of the table's file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The memory that the open table takes, in bytes, without blocks in the cache or in a mapping.
    pub fn memory_usage(&self) -> usize {
        let filter = match &self.filter {
            Some(Filter { contents: Contents::Loaded(bytes), .. }) => bytes.len(),
            _ => 0,
        };
        let whole_table_filter = match &self.whole_table_filter {
            Some(WholeTableFilter::Loaded(lines)) => lines.memory_usage(),
            _ => 0,
        };
        let blocks = self.index.memory_usage()
            + (self.verified.words.len() + self.not_in_place.words.len()) * 8
            + self.restarts.len() * 2;
        size_of::<Table>() + blocks + filter + whole_table_filter
    }

    pub(super) fn options(&self) -> &TableOptions {
        &self.options
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    pub(super) fn file(&self) -> &BlockFile {
        &self.file
    }

    /// Where the index block is stored.
    pub(super) fn index_handle(&self) -> BlockHandle {
        self.index_handle
    }

    /// Where the metaindex block is stored.
    pub(super) fn metaindex_handle(&self) -> BlockHandle {
        self.metaindex_handle
    }

    /// The damage of the index, if any: there may be blocks that the index does not have.
    pub(super) fn damage(&self) -> Option<&Error> {
        self.damage.as_ref()
    }

    /// The contents of data block `ordinal`, all of them.
    #[inline]
    pub(super) fn read_block(&self, ordinal: usize, read: TableReadOptions) -> Result<BlockBytes<'_>> {
        match self.block_at_hand(ordinal, read)? {
            Some(bytes) => Ok(bytes),
            None => self.load_block(ordinal, read, self.is_wanted_in_cache(ordinal, read)),
        }
    }

    /// The contents of data block `ordinal`. If possible, and unless the cache wants the block, they are not
    /// decompressed yet.
    #[inline]
    pub(super) fn read_some_of_block(
        &self,
        ordinal: usize,
        read: TableReadOptions,
    ) -> Result<WholeOrPart<'_>> {
        match self.block_at_hand(ordinal, read)? {
            Some(bytes) => Ok(WholeOrPart::Whole(bytes)),
            None => self.load_some_of_block(ordinal, read),
        }
    }

    /// As `read_some_of_block`, for the look-up of a key: a block that is found in the cache repeatedly gets
    /// a lookup index.
    #[inline]
    fn block_for_get(&self, ordinal: usize, read: TableReadOptions) -> Result<WholeOrPart<'_>> {
        if let Some(contents) = self.block_in_place(ordinal, read)? {
            return Ok(WholeOrPart::Whole(BlockBytes::InPlace(contents)));
        }
        let Some(cache) = &self.options.block_cache else { return self.load_some_of_block(ordinal, read) };
        let Some((mut block, hits)) = cache.get_counted(self.cache_key(ordinal)) else {
            return self.load_some_of_block(ordinal, read);
        };
        if block.lookup_index().is_empty() && hits >= INDEXED_HITS && read.fill_cache {
            self.note(ordinal, &mut block);
        }
        Ok(WholeOrPart::Whole(BlockBytes::Loaded(block)))
    }

    /// Replaces a cached block by one with a lookup index.
    #[cold]
    fn note(&self, ordinal: usize, block: &mut CachedBlock) {
        if self.options.comparator.is_bytewise() && block.block().len() <= block::MAX_INDEXED_BLOCK {
            *block = block.with_lookup_index(block::lookup_index_of(block.block()));
            self.keep_in_cache(ordinal, block);
        }
    }

    /// The block, if it lies uncompressed in a mapping or is cached.
    #[inline]
    fn block_at_hand(&self, ordinal: usize, read: TableReadOptions) -> Result<Option<BlockBytes<'_>>> {
        if let Some(contents) = self.block_in_place(ordinal, read)? {
            return Ok(Some(BlockBytes::InPlace(contents)));
        }
        Ok(self.cached_block(ordinal).map(BlockBytes::Loaded))
    }

    /// The block, if it lies uncompressed in a mapping.
    #[inline]
    fn block_in_place(&self, ordinal: usize, read: TableReadOptions) -> Result<Option<&[u8]>> {
        // If the block is known not to lie in place, the mapping, which may be cold, is not touched.
        if self.not_in_place.contains(ordinal) {
            return Ok(None);
        }
        let handle = self.index.handle(ordinal);
        let contents = self.file.raw_in_mapping(handle);
        if contents.is_some() && self.must_verify(ordinal, read) {
            self.file.verify_in_mapping(handle)?;
            self.verified.insert(ordinal);
        }
        Ok(contents)
    }

    /// Prefetches a block that may lie uncompressed in a mapping. A seek mostly waits for memory: for the
    /// block's end, for keys at restart points, for the entries that follow one. The prefetch fetches all of
    /// these at once.
    #[inline]
    pub(super) fn prefetch_in_place(&self, ordinal: usize) {
        if !self.not_in_place.contains(ordinal) {
            self.file.prefetch(self.index.handle(ordinal));
        }
    }

    #[inline]
    fn cached_block(&self, ordinal: usize) -> Option<CachedBlock> {
        self.options.block_cache.as_ref()?.get(self.cache_key(ordinal))
    }

    fn is_wanted_in_cache(&self, ordinal: usize, read: TableReadOptions) -> bool {
        let Some(cache) = self.options.block_cache.as_ref().filter(|_| read.fill_cache) else { return false };
        // The block's length is known only after decompression. Most blocks are a little longer than the
        // block size.
        let charge = self.options.block_size.max(self.index.handle(ordinal).size as usize);
        cache.wants(self.cache_key(ordinal), charge + CACHED_BLOCK_OVERHEAD)
    }

    #[inline]
    fn cache_key(&self, ordinal: usize) -> CacheKey {
        CacheKey { id: self.cache_id, offset: self.index.handle(ordinal).offset }
    }

    /// Must the checksum be verified? In a mapping, once; in bytes just read into memory, always.
    #[inline]
    pub(super) fn must_verify(&self, ordinal: usize, read: TableReadOptions) -> bool {
        read.verify_checksums || !self.verified.contains(ordinal)
    }

    /// Records that a block was read, not in place, and was found undamaged.
    #[inline]
    fn loaded(&self, ordinal: usize, contents: &[u8]) {
        if !self.not_in_place.contains(ordinal) {
            self.not_in_place.insert(ordinal);
            if self.file.is_mapped() {
                self.verified.insert(ordinal);
                let stored = self.file.whole_in_mapping(self.index.handle(ordinal));
                let type_byte = stored.and_then(|stored| stored.last_chunk::<BLOCK_TRAILER_SIZE>());
                if type_byte.is_none_or(|trailer| trailer[0] != TYPE_SNAPPY) {
                    return; // only Snappy is decompressed in steps
                }
                let count = contents.last_chunk::<4>().map_or(0, |count| u32::from_le_bytes(*count));
                if self.options.comparator.is_bytewise() && Block::parse(contents).is_ok() {
                    // A hint, like the bits of `BlockSet`.
                    self.restarts[ordinal].store(count.try_into().unwrap_or(0), Ordering::Relaxed);
                }
            }
        }
    }

    /// Reads a block from the file, and inserts it into the cache if the cache wants it.
    #[inline(never)]
    fn load_block(&self, ordinal: usize, read: TableReadOptions, is_wanted: bool) -> Result<BlockBytes<'_>> {
        let handle = self.index.handle(ordinal);
        self.file.prefetch(handle);
        let verify = self.must_verify(ordinal, read);
        if !is_wanted {
            let bytes = self.file.load_own(handle, verify)?;
            self.loaded(ordinal, &bytes);
            return Ok(BlockBytes::Own(bytes));
        }
        let bytes = self.file.load(handle, verify)?;
        if let BlockBytes::Loaded(bytes) = &bytes {
            self.loaded(ordinal, bytes.block());
            self.keep_in_cache(ordinal, bytes);
        }
        Ok(bytes)
    }

    fn keep_in_cache(&self, ordinal: usize, block: &CachedBlock) {
        if let Some(cache) = &self.options.block_cache {
            let charge = block.memory_usage() + CACHED_BLOCK_OVERHEAD;
            cache.insert(self.cache_key(ordinal), block.clone(), charge);
        }
    }

    /// As `load_block`, but a block that the cache does not want is not decompressed yet, if possible.
    #[inline(never)]
    fn load_some_of_block(&self, ordinal: usize, read: TableReadOptions) -> Result<WholeOrPart<'_>> {
        let is_wanted = self.is_wanted_in_cache(ordinal, read);
        let num_restarts = self.restarts[ordinal].load(Ordering::Relaxed);
        if !is_wanted && num_restarts != 0 && !self.must_verify(ordinal, read) {
            let handle = self.index.handle(ordinal);
            let source = self.stored(handle);
            block::prefetch(&source[..source.len().min(FIRST_LOOK)]);
            if let Some(part) = LazyBlock::new(handle, source, num_restarts.into())? {
                return Ok(WholeOrPart::Part(part));
            }
        }
        self.load_block(ordinal, read, is_wanted).map(WholeOrPart::Whole)
    }

    #[inline]
    fn missing<R>(&self, block_read: bool) -> Result<TableGet<R>> {
        match &self.damage {
            None => Ok(TableGet::Missing { block_read }),
            Some(error) => Err(error.clone()),
        }
    }

    /// May the table have a key with this hash? Asks the whole-table filter.
    #[inline]
    fn may_have(&self, hash: KeyHash) -> bool {
        match &self.whole_table_filter {
            None => true,
            Some(WholeTableFilter::Loaded(lines)) => lines.may_match(hash),
            Some(WholeTableFilter::InMapping { offset, length }) => {
                let lines = self.file.bytes_in_mapping(*offset, *length);
                lines.is_none_or(|lines| whole_table_filter::may_match(lines, hash))
            }
        }
    }

    #[inline]
    fn filter_may_match(&self, filter: &Filter, handle: BlockHandle, user_key: &[u8]) -> bool {
        let contents = match &filter.contents {
            Contents::Loaded(contents) => Some(&contents[..]),
            Contents::InMapping(handle) => self.file.raw_in_mapping(*handle),
        };
        let Some(contents) = contents else { return true };
        match filter.layout.filter(contents, handle.offset) {
            Some(range) => filter.policy.key_may_match(user_key, &contents[range]),
            None => true,
        }
    }
}

impl BlockOwner for Table {
    #[inline]
    fn comparator(&self) -> &InternalKeyComparator {
        &self.options.comparator
    }
}

impl LazyBlockOwner for Table {
    #[inline]
    fn stored(&self, handle: BlockHandle) -> &[u8] {
        self.file.stored_in_mapping(handle).unwrap_or_default()
    }
}

/// A set of data blocks, by ordinal.
struct BlockSet {
    words: Box<[AtomicU64]>,
}

impl BlockSet {
    fn new(blocks: usize) -> Self {
        BlockSet { words: (0..blocks.div_ceil(64)).map(|_| AtomicU64::new(0)).collect() }
    }

    // The bits are hints about bytes that do not change, so no ordering of memory accesses is needed.
    #[inline]
    fn contains(&self, ordinal: usize) -> bool {
        self.words[ordinal / 64].load(Ordering::Relaxed) >> (ordinal % 64) & 1 != 0
    }

    fn insert(&self, ordinal: usize) {
        self.words[ordinal / 64].fetch_or(1 << (ordinal % 64), Ordering::Relaxed);
    }
}

const _: () = assert!(BLOCK_TRAILER_SIZE < FOOTER_SIZE);
