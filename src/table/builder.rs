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
use super::block_writer::MetaindexForm;
use super::footer::BLOCK_TRAILER_SIZE;
use super::properties::{OtherProperties, PROPERTIES_BLOCK, RocksDbProperties, TableProperties};
use super::table_writer::{Layout, TableWriter};
use super::whole_table_filter::{WHOLE_TABLE_FILTER_BLOCK, WholeTableFilterBuilder};
use crate::compression::{self, Compressor};
use crate::env::WritableFile;
use crate::error::{Error, Result};
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::common_prefix::common_prefix_length;
use crate::format::internal_key::{TRAILER_SIZE, user_key};
use crate::format::limits::{MAX_BLOCK_SIZE, MAX_ENTRY_SIZE, lone_block_size};
use crate::language::Language;
use std::cmp::Ordering;
use std::sync::Arc;

/// Writes one table, from entries in increasing order.
pub struct TableBuilder {
    options: Arc<TableOptions>,
    writer: TableWriter,
    whole_table_filter: Option<WholeTableFilterBuilder>,
    properties: TableProperties,
    error: Option<Error>,
    language: Language,
    family: ColumnFamilyId,
}

/// The result of building a table.
#[derive(Clone, Debug)]
pub struct BuiltTable {
    /// The size of the file in bytes.
    pub file_size: u64,
    /// The properties that were written to the table.
    pub properties: TableProperties,
    /// The language of the table.
    pub language: Language,
}

impl TableBuilder {
    /// A builder of a table in LevelDB's language that writes to `file`, which must be empty.
    /// `creation_time`: seconds since the epoch.
    #[cfg(any(test, feature = "test-support"))]
    pub fn new(options: Arc<TableOptions>, file: Box<dyn WritableFile>, creation_time: u64) -> Self {
        Self::in_language(Language::LevelDb, ColumnFamilyId::DEFAULT, options, file, creation_time)
    }

    /// As `new`, of a table of the family in that language.
    pub fn in_language(
        language: Language,
        family: ColumnFamilyId,
        options: Arc<TableOptions>,
        file: Box<dyn WritableFile>,
        creation_time: u64,
    ) -> Self {
        let layout = Layout {
            block_size: options.block_size,
            restart_interval: options.block_restart_interval,
            filter_policy: options.filter_policy.clone(),
            max_meta_block_size: options.max_meta_block_size,
            language,
        };
        let compressor = Compressor::with_level(options.compression, options.compression_level, language);
        TableBuilder {
            writer: TableWriter::new(file, compressor, layout),
            whole_table_filter: options.has_whole_table_filter().then(WholeTableFilterBuilder::default),
            properties: TableProperties { creation_time, ..TableProperties::of_no_entries() },
            error: None,
            options,
            language,
            family,
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
        if self.writer.is_between_blocks() {
            self.begin_entry(internal_key, value_length as usize)?;
            return self.writer.put_raw_block(stored);
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
        self.writer.put(shared, internal_key, value)
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
        let shared = common_prefix_length(self.writer.last_key(), internal_key);
        if self.properties.num_entries > 0 && !self.is_in_order(internal_key, shared) {
            return Err(Error::corruption("keys added to a table are out of order"));
        }
        let user_key = user_key(internal_key);
        let comparator = &self.options.comparator;
        self.writer.begin_entry(shared, internal_key, user_key, size, |last_key| {
            comparator.find_shortest_separator(last_key, internal_key);
        })?;
        if let Some(filter) = &mut self.whole_table_filter {
            filter.add_key(user_key);
        }
        self.properties.count(internal_key, value_length);
        Ok(shared)
    }

    /// Does an entry with this internal key fit the table? If not, it must go to another table.
    #[inline]
    pub fn has_room_for(&self, internal_key: &[u8]) -> bool {
        self.writer.has_room_for(internal_key.len())
    }

    /// The number of entries added so far.
    #[cfg(any(test, feature = "test-support"))]
    pub fn num_entries(&self) -> u64 {
        self.properties.num_entries
    }

    /// Bytes written so far, plus the size of the unfinished block.
    pub fn estimated_file_size(&self) -> u64 {
        self.writer.estimated_size()
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
        self.complete()?;
        let built = BuiltTable {
            file_size: self.writer.offset(),
            properties: self.properties,
            language: self.language,
        };
        Ok((built, self.writer.into_file()))
    }

    // By reference: a builder is large, and an open may build a table on a thread with a small stack.
    #[inline(never)]
    fn complete(&mut self) -> Result<()> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let (language, family) = (self.language, self.family);
        let TableBuilder { options, writer, whole_table_filter, properties, .. } = self;
        writer.end_data(|last_key| options.comparator.find_short_successor(last_key))?;
        let filter_size = writer.write_filter_block()?;
        if let Some(contents) = whole_table_filter.take().and_then(|filter| filter.finish(writer.offset())) {
            writer.write_meta_block(WHOLE_TABLE_FILTER_BLOCK.to_vec(), &contents)?;
        }
        properties.end_count();
        properties.num_data_blocks = writer.num_data_blocks();
        properties.data_size = writer.data_size();
        let other = OtherProperties {
            comparator_name: &options.comparator_name,
            index_size: writer.index_size(),
            filter_size,
            rocksdb: (language == Language::RocksDb).then(|| RocksDbProperties {
                family,
                family_name: &options.family_name,
                compression: options.compression.name_in_rocksdb(),
            }),
        };
        writer.write_meta_block(PROPERTIES_BLOCK.to_vec(), &properties.encode(&other)?)?;
        writer.finish(MetaindexForm::Raw)
    }

    /// Is the key at or after the last one, with which it has `shared` bytes in common? Equal keys are
    /// accepted: repaired tables may have them, and must stay compactable.
    #[inline]
    fn is_in_order(&self, internal_key: &[u8], shared: usize) -> bool {
        let comparator = &self.options.comparator;
        if comparator.is_bytewise() {
            let (last, new) = (user_key(self.writer.last_key()), user_key(internal_key));
            if let (Some(last), Some(new)) = (last.get(shared), new.get(shared)) {
                return last < new;
            }
        }
        comparator.compare(internal_key, self.writer.last_key()) != Ordering::Less
    }
}
