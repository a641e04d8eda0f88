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
use crate::job::table_output::TableRun;
use crate::memtable::Memtable;
use crate::version::file_metadata::FileMetaData;
use std::sync::Arc;

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

    let mut run = TableRun::new(context, u64::MAX).beginning_with(number);
    while entries.advance() {
        run.add(entries.key(), entries.value(), entries.is_first_of_user_key())?;
    }
    entries.status()?;
    let (files, pending) = run.finish()?;
    pending.keep();
    Ok(files)
}

#[cfg(test)]
mod tests;
