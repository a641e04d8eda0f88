//! A flush: writes memtables to one table, or to several if keys are huge or the environment limits the size
//! of files. One pass over their merged entries, without the state mutex.
//!
//! Entries that newer ones hide from every snapshot are dropped. Tombstones are kept, because the entries
//! that they hide are in deeper levels. The caller chooses the memtables, takes the file number in their
//! order, chooses the level when it installs the result, and releases the WAL afterwards.

use crate::error::Result;
use crate::iterator::merging::MergingIterator;
use crate::job::compaction_iterator::CompactionIterator;
use crate::job::context::JobContext;
use crate::job::table_output::{PendingTables, TableOutput, max_table_size};
use crate::memtable::Memtable;
use crate::version::file_metadata::FileMetaData;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Writes the entries of `memtables` (oldest first) that a reader can still see to a new table with number
/// `number`: written, synced, the directory synced, opened once as a check. Nothing is installed. If keys are
/// so long that one index cannot hold them, or if the environment limits the size of files, more tables
/// follow, with other user keys. The result is empty if no entry is left to write; then no file is left
/// either. Tombstones are always kept. On an error the files are removed.
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
