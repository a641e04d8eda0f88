//! A table: one immutable sorted file of internal keys and values, in LevelDB's table format. This module
//! knows no database: a table is written and read by itself, and tested so.
//!
//! `builder` writes a table, `reader` looks keys up, `iterator` moves over one, `compaction_input` does so
//! for compactions, `cache` opens the tables of a family, `open_tables` keeps those of all families within
//! bounds.
//! `standalone` is the same format over user keys, without a database; `table_writer` is what both builders
//! share.
pub mod block;
pub mod block_builder;
mod block_file;
mod block_writer;
pub mod builder;
pub mod cache;
mod checksum;
pub mod compaction_input;
pub mod filter_block;
pub mod footer;
mod index;
pub mod iterator;
mod metadata_budget;
pub mod open_tables;
pub mod properties;
pub mod reader;
mod rocksdb_index;
pub mod standalone;
mod table_writer;
pub mod upgrade;
pub mod whole_table_filter;

use crate::compression::Compression;
use crate::filter_policy::FilterPolicy;
use crate::format::internal_key::InternalKeyComparator;
use crate::format::limits::MAX_BLOCK_SIZE;
use crate::options::Options;
use crate::util::cache::BlockCache;
use std::sync::Arc;

/// Options that all tables of one column family share. Fixed while the database is open.
#[derive(Clone)]
pub struct TableOptions {
    /// The name of the column family, which the properties of tables in RocksDB's language have.
    pub family_name: Vec<u8>,
    /// The order of the entries: internal keys over the user comparator.
    pub comparator: InternalKeyComparator,
    /// The name of the user comparator, asked once when the database is opened. Later, other threads read it
    /// here and do not call the comparator.
    pub comparator_name: Vec<u8>,
    /// The user's filter policy. It sees user keys, not internal ones. `None`: no filter blocks.
    pub filter_policy: Option<Arc<dyn FilterPolicy>>,
    /// Write, and on look-ups consult, a filter over all keys of a table. Ignored unless the user comparator
    /// is the bytewise one.
    pub whole_table_filter: bool,
    /// The cache of uncompressed blocks; `None`: blocks are not cached.
    pub block_cache: Option<Arc<BlockCache>>,
    /// The target size of a data block before compression, in bytes.
    pub block_size: usize,
    /// Entries from one restart point to the next in data blocks.
    pub block_restart_interval: usize,
    /// The codec of new blocks. Existing blocks name their own.
    pub compression: Compression,
    /// As `Options::compression_level`.
    pub compression_level: Option<i32>,
    /// Verify the checksums of the index and the metaindex at open, and fail at the first damaged block.
    pub paranoid_checks: bool,
    /// The largest index or filter of a table that is accepted, in bytes. Only tests set another limit than
    /// the format's.
    pub max_meta_block_size: usize,
}

impl TableOptions {
    /// Takes them from the options of a database.
    pub fn new(options: &Options) -> Self {
        TableOptions {
            family_name: b"default".to_vec(),
            comparator: InternalKeyComparator::new(options.comparator.clone()),
            comparator_name: options.comparator.name(),
            filter_policy: options.filter_policy.clone(),
            whole_table_filter: options.whole_table_filter,
            block_cache: options.block_cache.clone(),
            block_size: options.block_size,
            block_restart_interval: options.block_restart_interval,
            compression: options.compression,
            compression_level: options.compression_level,
            paranoid_checks: options.paranoid_checks,
            max_meta_block_size: MAX_BLOCK_SIZE,
        }
    }

    /// Do tables get a filter of all their keys? Only under the bytewise comparator, where equal keys are
    /// equal bytes.
    fn has_whole_table_filter(&self) -> bool {
        self.whole_table_filter && self.comparator.is_bytewise()
    }
}

/// How blocks of a table are read. The alignment makes the two one argument in one register: a look-up hands
/// them down, and needs 7 instructions more if they take two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(align(2))]
pub struct TableReadOptions {
    /// Verify the checksum of every block, also of a block that was verified before.
    pub verify_checksums: bool,
    /// Keep the blocks read in the block cache.
    pub fill_cache: bool,
}

#[cfg(test)]
mod test_support;
#[cfg(test)]
mod tests;
