//! The copy of a family's contents into new tables, which an export and an import make.
//!
//! The tables have one entry for each live key, and all entries have the sequence number 0, as in a family
//! that was never written. So the tables need no number of the database that gets them: entries that it
//! writes later are newer, its last sequence number covers the tables, and its WALs have no gap. A snapshot
//! that is older than the copy shows the copy: the creation of a family has no sequence number.
//!
//! Thread rule: any thread, without a lock of the database's state.

use crate::column_family::found_compression::FoundCompression;
use crate::column_family::super_version::SuperVersion;
use crate::db::shared::DbShared;
use crate::error::Result;
use crate::format::internal_key::{self, SequenceNumber, ValueType};
use crate::job::compaction_iterator::CompactionIterator;
use crate::job::context::JobContext;
use crate::job::table_output::{PendingTables, TableRun};
use crate::language::Language;
use crate::table::TableReadOptions;
use crate::table::cache::TableCache;
use crate::version::file_metadata::FileMetaData;
use std::sync::Arc;

/// The sequence number of all copied entries.
pub(super) const SEQUENCE: SequenceNumber = 0;

/// Every block is verified, and no cached block is displaced.
const SCAN: TableReadOptions = TableReadOptions { verify_checksums: true, fill_cache: false };

/// Writes what a reader of `view` sees at the last of the context's snapshots to tables of at most about
/// `max_file_size` bytes, which are durable with their names. Returns the tables, in order, and the guard
/// that removes them unless `keep` is called. Any damage that is met is an error.
pub(super) fn copy<'a>(
    view: &SuperVersion,
    context: &'a JobContext<'a>,
    max_file_size: u64,
) -> Result<(Vec<Arc<FileMetaData>>, PendingTables<'a>)> {
    let options = context.compaction_iterator_options();
    let sequence = context.snapshots.last().copied().unwrap_or(internal_key::MAX_SEQUENCE);
    let (input, _) = view.iter(&options.comparator, SCAN);
    let mut entries = CompactionIterator::new(options, input, |_| true);
    let mut run = TableRun::new(context, max_file_size);
    let mut key = Vec::new();
    while entries.advance() {
        if internal_key::sequence(entries.key()) > sequence {
            continue; // it was written meanwhile, and hides nothing from a reader at `sequence`
        }
        key.clear();
        internal_key::append_internal_key(&mut key, entries.user_key(), SEQUENCE, ValueType::Value as u8);
        run.add(&key, entries.value(), true)?;
    }
    entries.status()?;
    run.finish()
}

impl DbShared {
    /// The context of a copy that writes tables of this directory, in RocksDB's language. The copy shows the
    /// state at `sequence`.
    pub(super) fn copy_context<'a>(
        &'a self,
        table_cache: &'a Arc<TableCache>,
        found_compression: &'a FoundCompression,
        sequence: SequenceNumber,
    ) -> JobContext<'a> {
        JobContext {
            language: Language::RocksDb,
            family: self.default_family.id,
            env: &self.env,
            db: &self.path,
            table_cache,
            next_file_number: &self.next_file_number,
            snapshots: vec![sequence],
            shutting_down: &self.closed,
            paranoid_checks: true,
            max_subcompactions: 1,
            found_compression,
            info_log: &self.info_log,
        }
    }
}
