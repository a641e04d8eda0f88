//! Memtables to a table (or a few, where keys are huge or files may not become so large): one pass over their merged entries, without
//! the state mutex.
//!
//! Entries that newer ones hide from every snapshot are left out; deletions stay, since what they hide lies deeper. The caller
//! decides which memtables, takes the file number in their order, chooses the level when it installs the result, and frees the
//! log afterwards.

use super::found_compression::FoundCompression;
use super::output::{PendingTables, TableOutput, max_table_size};
use crate::compression::Compression;
use crate::env::Env;
use crate::env::info_log::Logger;
use crate::error::Result;
use crate::iterator::compaction_iterator::{CompactionIterator, CompactionIteratorOptions};
use crate::iterator::merging::MergingIterator;
use crate::memtable::memtable::Memtable;
use crate::table::cache::TableCache;
use crate::version::file_metadata::FileMetaData;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What a compaction or a flush needs from its database; everything is borrowed for the time of the job, which runs without the
/// state mutex.
pub struct JobContext<'a> {
    /// The system.
    pub env: &'a Arc<dyn Env>,
    /// The directory.
    pub db: &'a Path,
    /// Open tables (and the table options).
    pub table_cache: &'a Arc<TableCache>,
    /// The next file number; a job takes its output's numbers with fetch_add.
    pub next_file_number: &'a AtomicU64,
    /// Live snapshots, ascending, then the last sequence number when the job began.
    pub snapshots: Vec<u64>,
    /// Set when the database closes: the job soon stops with an IO error "database is closing".
    pub shutting_down: &'a AtomicBool,
    /// Fail on damaged entries instead of passing them on.
    pub paranoid_checks: bool,
    /// Into how many parts, merged at once, a compaction may be divided.
    pub max_subcompactions: usize,
    /// How the tables of the directory were found to be compressed.
    pub found_compression: &'a FoundCompression,
    /// Log.
    pub info_log: &'a Arc<dyn Logger>,
}

impl JobContext<'_> {
    /// How new tables are compressed, where nothing more is known than the directory.
    pub fn compression(&self) -> Compression {
        self.table_cache.options().compression.beside(self.found_compression.get())
    }

    /// What the job keeps of its input.
    pub fn compaction_iterator_options(&self) -> CompactionIteratorOptions<'_> {
        CompactionIteratorOptions {
            comparator: self.table_cache.options().comparator.clone(),
            snapshots: &self.snapshots,
            paranoid: self.paranoid_checks,
            shutting_down: Some(self.shutting_down),
        }
    }
}

/// Writes the entries of `memtables` (oldest first) that anyone can still see into a new table with number `number`: written, synced,
/// the directory synced, opened once to check it; nothing is installed. Where keys are so long that the index of one table can't
/// hold them, or files may not become so large, other tables follow, of other user keys. None if nothing is left to write (no file is left either). A deletion is
/// always kept. On an error the files are removed.
pub fn run(
    memtables: &[Arc<Memtable>],
    number: u64,
    context: &JobContext<'_>,
) -> Result<Vec<Arc<FileMetaData>>> {
    context.info_log.log(format_args!("Level-0 table #{number}: started"));
    let result = build(memtables, number, context);
    match &result {
        Ok(files) => {
            let bytes: u64 = files.iter().map(|file| file.file_size).sum();
            context.info_log.log(format_args!("Level-0 table #{number}: {bytes} bytes OK"));
        }
        Err(error) => context.info_log.log(format_args!("Level-0 table #{number}: {error}")),
    }
    result.map_err(|error| error.context(format_args!("flush to table #{number}")))
}

fn build(
    memtables: &[Arc<Memtable>],
    number: u64,
    context: &JobContext<'_>,
) -> Result<Vec<Arc<FileMetaData>>> {
    let options = context.compaction_iterator_options();
    let newest_first = memtables.iter().rev().map(|memtable| memtable.iter()).collect();
    let merged = MergingIterator::new(options.comparator.clone(), newest_first);
    let mut entries = CompactionIterator::new(options, merged, |_| false);

    let mut pending = PendingTables::new(context);
    let mut files = Vec::new();
    let mut current: Option<Box<TableOutput>> = None;
    let max_size = max_table_size(context);
    while entries.advance() {
        let key = entries.key();
        let is_full = |output: &mut Box<TableOutput>| {
            let is_large = output.estimated_file_size() >= max_size;
            entries.is_first_of_user_key() && (is_large || !output.has_room_for(key))
        };
        if let Some(full) = current.take_if(is_full) {
            files.push(full.finish(context)?);
        }
        let output = match &mut current {
            Some(output) => output,
            None if files.is_empty() => current.insert(pending.create(number)?),
            None => {
                let number = context.next_file_number.fetch_add(1, Ordering::Relaxed);
                current.insert(pending.create(number)?)
            }
        };
        output.add(key, entries.value())?;
    }
    entries.status()?;
    if let Some(output) = current {
        files.push(output.finish(context)?);
        context.env.sync_dir(context.db)?;
    }
    pending.keep();
    Ok(files)
}

#[cfg(test)]
mod tests;
