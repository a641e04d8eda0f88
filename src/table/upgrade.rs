//! A table of LevelDB's language becomes one of RocksDB's, without a change of its entries.
//!
//! The two languages have the same blocks. They differ in the numbers of compressions above 1, in the
//! properties and in the footer. So if all blocks are uncompressed or snappy's, they are copied as they are
//! stored:
//!
//! ```text
//! data blocks, at their offsets | [filter block] | [whole-table filter] | properties | metaindex | index
//!     | footer
//! ```
//! The index and the filter block name offsets of data blocks, which stay the same. So where the file system
//! can, the data blocks of both files share their space on disk. The whole-table filter is aligned anew.
//! Every block that is copied is verified. Meta blocks of other names are left out, and so is a damaged
//! filter, as the reader does without it.
//!
//! Runs on one thread at a time.

use super::TableReadOptions;
use super::block::Block;
use super::block_writer::{BlockWriter, MetaindexForm};
use super::builder::BuiltTable;
use super::footer::{BLOCK_TRAILER_SIZE, BlockHandle, Footer};
use super::properties::{OtherProperties, PROPERTIES_BLOCK, RocksDbProperties, TableProperties};
use super::reader::Table;
use super::whole_table_filter::{self, WHOLE_TABLE_FILTER_BLOCK};
use crate::compression::{Compression, Compressor, TYPE_RAW, TYPE_SNAPPY};
use crate::env::WritableFile;
use crate::error::Result;
use crate::format::column_family_id::ColumnFamilyId;
use crate::iterator::InternalIterator;
use crate::language::Language;
use std::sync::Arc;

/// Every block is verified, and no cached block is displaced.
const SCAN: TableReadOptions = TableReadOptions { verify_checksums: true, fill_cache: false };

/// How many entries are read between two calls of `check`.
const ENTRIES_BETWEEN_CHECKS: u32 = 1024;

impl Table {
    /// Can the blocks of a table of LevelDB's language be copied as they are stored? That takes blocks whose
    /// types mean the same in RocksDB's language, one after the other. An error if the index is damaged:
    /// there may be blocks that it does not have.
    pub fn is_copyable(&self) -> Result<bool> {
        if let Some(damage) = self.damage() {
            return Err(damage.clone());
        }
        let mut end = Some(0);
        for ordinal in 0..self.index().len() {
            let handle = self.index().handle(ordinal);
            if end != Some(handle.offset) || self.file().type_byte(handle)? > TYPE_SNAPPY {
                return Ok(false);
            }
            end = handle.end();
        }
        Ok(self.file().type_byte(self.index_handle())? <= TYPE_SNAPPY)
    }

    /// Hands each entry to `found`, in order, every block verified. `check` is called now and then. An error
    /// of either ends the reading.
    pub fn for_each_entry(
        self: &Arc<Self>,
        check: &dyn Fn() -> Result<()>,
        mut found: impl FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<()> {
        let (mut entries, mut until_check) = (self.iter(SCAN), 0);
        entries.seek_to_first();
        while entries.valid() {
            if until_check == 0 {
                check()?;
                until_check = ENTRIES_BETWEEN_CHECKS;
            }
            until_check -= 1;
            found(entries.key(), entries.value())?;
            entries.next();
        }
        entries.status()
    }

    /// Reads all entries and counts them. The other properties are those of an empty table. `check` is called
    /// now and then; its error ends the count.
    pub fn count_entries(self: &Arc<Self>, check: &dyn Fn() -> Result<()>) -> Result<TableProperties> {
        let mut properties = TableProperties::of_no_entries();
        self.for_each_entry(check, |key, value| {
            properties.count(key, value.len());
            Ok(())
        })?;
        properties.end_count();
        Ok(properties)
    }

    /// All entries, for tests.
    #[cfg(test)]
    pub fn all_entries(self: &Arc<Self>) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut entries = Vec::new();
        let add = |key: &[u8], value: &[u8]| {
            entries.push((key.to_vec(), value.to_vec()));
            Ok(())
        };
        self.for_each_entry(&|| Ok(()), add).unwrap();
        entries
    }

    /// When the table was written, in seconds since the epoch; 0 if that is not known.
    pub fn creation_time(&self) -> u64 {
        self.properties().map_or(0, |properties| properties.creation_time)
    }

    /// Writes a table of RocksDB's language with the blocks of this one, which is copyable, to `file`, which
    /// is empty. `family`: that of the table. `check` is called now and then; its error ends the copying. The
    /// caller gets the file, to sync and to close it.
    pub fn copy_to(
        self: &Arc<Self>,
        file: Box<dyn WritableFile>,
        family: ColumnFamilyId,
        check: &dyn Fn() -> Result<()>,
    ) -> Result<(BuiltTable, Box<dyn WritableFile>)> {
        let mut properties = match self.properties() {
            Some(known) => known.clone(),
            None => self.count_entries(check)?,
        };
        let mut copy = TableCopy {
            table: self,
            writer: BlockWriter::new(
                file,
                Compressor::with_level(Compression::None, None, Language::RocksDb),
            ),
            meta_blocks: Vec::new(),
            is_compressed: false,
        };
        copy.data_blocks(check)?;
        properties.num_data_blocks = self.index().len() as u64;
        properties.data_size = copy.writer.offset();
        let filter_size = copy.filters()?;
        copy.properties(&properties, family, filter_size)?;
        let metaindex = copy.writer.write_metaindex(&mut copy.meta_blocks, MetaindexForm::Raw)?;
        let index = copy.block(self.index_handle())?;
        let language = Language::RocksDb;
        copy.writer.write_footer(Footer { language, metaindex, index })?;
        let file_size = copy.writer.offset();
        Ok((BuiltTable { file_size, properties, language }, copy.writer.into_file()))
    }

    /// The meta blocks that the metaindex names, without the properties; none if it cannot be read.
    fn meta_blocks(&self) -> Result<Vec<(Vec<u8>, BlockHandle)>> {
        let file = self.file();
        let handle = self.metaindex_handle();
        let bytes = match file.load(handle, true) {
            Err(error) if error.is_unreadable_block() && !self.options().paranoid_checks => {
                return Ok(Vec::new());
            }
            other => other?,
        };
        let bad = |bad| file.bad_block(handle, bad);
        let mut meta_blocks = Vec::new();
        let mut entries = Block::parse(&bytes).map_err(bad)?.entries();
        while let Some((name, mut value)) = entries.next().map_err(bad)? {
            if let Some(handle) = BlockHandle::decode(&mut value).filter(|_| name != PROPERTIES_BLOCK) {
                meta_blocks.push((name.to_vec(), handle));
            }
        }
        Ok(meta_blocks)
    }
}

/// A copy that is being written.
struct TableCopy<'a> {
    table: &'a Table,
    writer: BlockWriter,
    /// The names of the meta blocks that were written, and where they are.
    meta_blocks: Vec<(Vec<u8>, BlockHandle)>,
    /// Was a compressed block copied?
    is_compressed: bool,
}

impl TableCopy<'_> {
    /// Copies a block as it is stored, verified.
    fn block(&mut self, handle: BlockHandle) -> Result<BlockHandle> {
        let (writer, is_compressed) = (&mut self.writer, &mut self.is_compressed);
        self.table.file().with_whole(handle, true, |stored| {
            *is_compressed |= stored[handle.size as usize] != TYPE_RAW;
            writer.write_stored(stored)
        })
    }

    fn data_blocks(&mut self, check: &dyn Fn() -> Result<()>) -> Result<()> {
        let last = self.table.index().len().checked_sub(1).map(|last| self.table.index().handle(last));
        if let Some(end) = last.and_then(|last| last.end()) {
            self.writer.share_beginning(self.table.file().path(), end)?;
        }
        for ordinal in 0..self.table.index().len() {
            check()?;
            let handle = self.table.index().handle(ordinal);
            let copied = self.block(handle)?;
            debug_assert_eq!(copied, handle);
        }
        Ok(())
    }

    /// Copies the filters. Returns the size of the filter block in bytes; 0 if there is none.
    fn filters(&mut self) -> Result<u64> {
        let (mut filter_size, is_paranoid) = (0, self.table.options().paranoid_checks);
        for (name, handle) in self.table.meta_blocks()? {
            let is_whole = name == WHOLE_TABLE_FILTER_BLOCK;
            if !is_whole && !name.starts_with(b"filter.") {
                continue;
            }
            let contents = match self.table.file().load(handle, true) {
                Err(error) if error.is_unreadable_block() && !is_paranoid => continue,
                other => other?,
            };
            let written = match is_whole {
                false => {
                    filter_size = contents.len() as u64;
                    self.writer.write_raw(&contents)?
                }
                true => match whole_table_filter::lines(&contents) {
                    Some(lines) => {
                        let block = whole_table_filter::block_at(self.writer.offset(), &contents[lines]);
                        self.writer.write_raw(&block)?
                    }
                    None => continue,
                },
            };
            self.meta_blocks.push((name, written));
        }
        Ok(filter_size)
    }

    /// Writes the properties. RocksDB takes a block of a table "without compression" for uncompressed,
    /// whatever its type is: so the compression must be right, that of the index included.
    fn properties(
        &mut self,
        properties: &TableProperties,
        family: ColumnFamilyId,
        filter_size: u64,
    ) -> Result<()> {
        let (table, options) = (self.table, self.table.options());
        let index = table.index_handle();
        let has_compressed = self.is_compressed || table.file().type_byte(index)? != TYPE_RAW;
        let compression = if has_compressed { Compression::Snappy } else { Compression::None };
        let other = OtherProperties {
            comparator_name: &options.comparator_name,
            index_size: table.file().load(index, true)?.len() as u64 + BLOCK_TRAILER_SIZE as u64,
            filter_size,
            rocksdb: Some(RocksDbProperties {
                family,
                family_name: &options.family_name,
                compression: compression.name_in_rocksdb(),
            }),
        };
        let written = self.writer.write_raw(&properties.encode(&other)?)?;
        self.meta_blocks.push((PROPERTIES_BLOCK.to_vec(), written));
        Ok(())
    }
}
