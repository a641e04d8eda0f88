//! One immutable sorted file, testable without a database.
pub mod block;
pub mod block_builder;
mod block_file;
pub mod builder;
pub mod cache;
pub mod filter_block;
pub mod footer;
mod index;
pub mod iterator;
mod metadata_budget;
pub mod plain;
pub mod properties;
pub mod reader;
pub mod whole_table_filter;

use crate::compression::Compression;
use crate::filter_policy::FilterPolicy;
use crate::format::internal_key::InternalKeyComparator;
use crate::format::limits::MAX_BLOCK_SIZE;
use crate::options::Options;
use crate::util::cache::BlockCache;
use std::sync::Arc;

/// What the tables of one family have in common.
#[derive(Clone)]
pub struct TableOptions {
    /// The order of entries.
    pub comparator: InternalKeyComparator,
    /// What its user comparator called itself when the database was opened. (It is not asked again on another thread.)
    pub comparator_name: Vec<u8>,
    /// The user's filter policy (it sees user keys).
    pub filter_policy: Option<Arc<dyn FilterPolicy>>,
    /// Write and ask a filter of all keys of a table, where the comparator is the bytewise one.
    pub whole_table_filter: bool,
    /// Of uncompressed blocks.
    pub block_cache: Option<Arc<BlockCache>>,
    /// Bytes.
    pub block_size: usize,
    /// Entries.
    pub block_restart_interval: usize,
    /// Of new blocks.
    pub compression: Compression,
    /// As `Options::compression_level`.
    pub compression_level: Option<i32>,
    /// Verify the checksum of the index and the metaindex and fail at the first damaged block.
    pub paranoid_checks: bool,
    /// Bytes of an index, or of the filters of a table; only tests have another than the format's.
    pub max_meta_block_size: usize,
}

impl TableOptions {
    /// From the options of a database.
    pub fn new(options: &Options) -> Self {
        TableOptions {
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

    /// Do tables have a filter of all their keys? Only where equal keys are equal bytes.
    fn has_whole_table_filter(&self) -> bool {
        self.whole_table_filter && self.comparator.is_bytewise()
    }
}

/// How a table is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableReadOptions {
    /// Verify every block's checksum, also of one verified before.
    pub verify_checksums: bool,
    /// Keep blocks in the block cache.
    pub fill_cache: bool,
    /// An iterator that only moves forward does not decompress an entry that fills a block alone and is compressed as new ones would
    /// be: see `InternalIterator::stored_value_length`.
    pub leaves_stored: bool,
}

#[cfg(test)]
mod alone_tests;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod test_support;
#[cfg(test)]
mod tests;
