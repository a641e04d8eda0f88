//! Reads what an open table needs: the footer, the index, and the blocks that the metaindex names.
//!
//! With `paranoid_checks`, damage is an error. Without, the table does without the damaged part if it can,
//! and records the damage. Runs on one thread, before the table is shared.

use super::rocksdb_form::{IndexPlace, check_data_block};
use super::{Contents, Filter, Table, WholeTableFilter};
use crate::env::RandomAccessFile;
use crate::error::{Error, Result};
use crate::table::TableOptions;
use crate::table::block::{Block, BlockBytes};
use crate::table::block_file::BlockFile;
use crate::table::filter_block::FilterBlockLayout;
use crate::table::footer::{BadFooter, BlockHandle, FOOTER_SIZE, FoundFooter, ROCKSDB_FOOTER_SIZE};
use crate::table::index::Index;
use crate::table::properties::{PROPERTIES_BLOCK, TableProperties};
use crate::table::whole_table_filter::{self, BITS_PER_KEY, LoadedLines, WHOLE_TABLE_FILTER_BLOCK};
use std::path::Path;

impl Table {
    /// Reads the filters and the properties that the metaindex names. A damaged one of these is left out.
    pub(super) fn read_meta_blocks(&mut self, metaindex: BlockHandle) -> Result<()> {
        let bytes = self.file.load(metaindex, true)?;
        let bad = |bad| self.file.bad_block(metaindex, bad);
        let filter_name =
            self.options.filter_policy.as_ref().map(|policy| [b"filter.", policy.name().as_slice()].concat());
        let (mut filter, mut whole_table_filter, mut properties) = (None, None, None);
        let mut entries = Block::parse(&bytes).map_err(bad)?.entries();
        while let Some((name, mut value)) = entries.next().map_err(bad)? {
            if name == PROPERTIES_BLOCK {
                properties = BlockHandle::decode(&mut value);
            } else if name == WHOLE_TABLE_FILTER_BLOCK && self.options.has_whole_table_filter() {
                whole_table_filter = BlockHandle::decode(&mut value);
            } else if Some(name) == filter_name.as_deref() {
                filter = BlockHandle::decode(&mut value);
            }
        }
        let result = properties.map(|handle| self.file.load(handle, true)).transpose();
        let properties = result.map(|bytes| bytes.and_then(|bytes| TableProperties::decode(&bytes)));
        self.properties = self.tolerate(properties)?.flatten();
        let result = whole_table_filter.map(|handle| self.read_whole_table_filter(handle)).transpose();
        self.whole_table_filter = self.tolerate(result)?.flatten().flatten();
        let result = filter.map(|handle| self.read_filter(handle)).transpose();
        self.filter = self.tolerate(result)?.flatten().flatten();
        if self.whole_table_filter.is_some() {
            self.filter = self.filter.take().filter(|filter| filter.policy.is_finer_than(BITS_PER_KEY));
        }
        Ok(())
    }

    /// Passes on the result of reading a meta block. Damage, or an unknown codec, is an error only with
    /// `paranoid_checks`; otherwise it is recorded, and the table does without the block.
    pub(super) fn tolerate<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if self.options.paranoid_checks || !error.is_unreadable_block() => Err(error),
            Err(error) => {
                // "Not understood" replaces recorded damage, because then nothing is known to be lost.
                let kept = self.meta_damage.as_ref();
                if kept.is_none_or(|kept| error.is_not_supported() && !kept.is_not_supported()) {
                    self.meta_damage = Some(error);
                }
                Ok(None)
            }
        }
    }

    fn read_whole_table_filter(&self, handle: BlockHandle) -> Result<Option<WholeTableFilter>> {
        let bytes = self.file.load(handle, true)?;
        let Some(lines) = whole_table_filter::lines(&bytes) else { return Ok(None) };
        Ok(Some(match bytes {
            // In a mapping, whose length fits a usize.
            BlockBytes::InPlace(_) => WholeTableFilter::InMapping {
                offset: handle.offset as usize + lines.start,
                length: lines.len(),
            },
            bytes => WholeTableFilter::Loaded(LoadedLines::copy_of(&bytes[lines])),
        }))
    }

    fn read_filter(&self, handle: BlockHandle) -> Result<Option<Filter>> {
        let Some(policy) = self.options.filter_policy.clone() else { return Ok(None) };
        let bytes = self.file.load(handle, true)?;
        let Some(layout) = FilterBlockLayout::parse(&bytes) else { return Ok(None) };
        let contents = match bytes {
            BlockBytes::InPlace(_) => Contents::InMapping(handle),
            bytes => Contents::Loaded((&*bytes).into()),
        };
        Ok(Some(Filter { policy, layout, contents }))
    }
}

/// Reads the footer of a file of that size. Returns its offset too: no block reaches past it.
pub(in crate::table) fn read_footer(
    file: &dyn RandomAccessFile,
    path: &Path,
    file_size: u64,
) -> Result<(FoundFooter, u64)> {
    if file_size < FOOTER_SIZE as u64 {
        return Err(Error::corruption_in(path, format_args!("{file_size} bytes are too few to be a table")));
    }
    let mut bytes = [0; ROCKSDB_FOOTER_SIZE];
    let length = file_size.min(ROCKSDB_FOOTER_SIZE as u64) as usize;
    let bytes = &mut bytes[..length];
    if file.read_at(file_size - length as u64, bytes)? != length {
        return Err(Error::corruption_in(path, "truncated: the file ends before its footer does"));
    }
    let found = FoundFooter::decode(bytes, file_size).map_err(|bad| match bad {
        BadFooter::Magic => Error::corruption_in(path, "not a table (bad magic number)"),
        BadFooter::Handles => Error::corruption_in(path, "bad block handle in the footer"),
        BadFooter::Checksum => Error::corruption_in(path, "checksum mismatch in the footer"),
        BadFooter::RocksDb(what, number) => Error::not_supported_in(
            path,
            format_args!("a table in a format of RocksDB's own that is not supported: {what} {number}"),
        ),
    })?;
    Ok((found, file_size - found.footer.size() as u64))
}

/// Reads the index. The second result is its damage, if that is tolerated.
pub(super) fn read_index(
    options: &TableOptions,
    file: &BlockFile,
    place: &IndexPlace,
) -> Result<(Index, Option<Error>)> {
    let handle = place.handle;
    let (bytes, mut damage) = match file.load(handle, true) {
        Ok(bytes) => (bytes, None),
        Err(error) if options.paranoid_checks || !error.is_corruption() => return Err(error),
        // The checksum is wrong, but most of the index may be right.
        Err(error) => match file.load(handle, false) {
            Ok(bytes) => (bytes, Some(error)),
            Err(_) => return Err(error),
        },
    };
    let (index, bad) = Index::parse(&bytes, place.form, &options.comparator, file.limit(), damage.is_some());
    if let Some(bad) = bad {
        let error = file.bad_block(handle, bad);
        // An index that has a right checksum and contradicts the format was not damaged but written so.
        if options.paranoid_checks || damage.is_none() || index.len() == 0 {
            return Err(damage.unwrap_or(error));
        }
        damage.get_or_insert(error);
    }
    if place.has_foreign_blocks && index.len() > 0 {
        check_data_block(file, index.handle(0))?;
    }
    Ok((index, damage))
}
