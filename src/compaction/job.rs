//! Running a compaction: merge the inputs, keep what someone can still see, write new tables.
//!
//! No state is changed: the outcome is an edit. Every output is synced and closed, and after the last one the directory is synced, so
//! that the edit may name them. Runs without the state mutex. A large compaction is divided into key ranges (`parts`), which
//! several threads merge at once: `merge_part` shares nothing that changes but the next file number, the sign that another part
//! has failed, and the queue of another thread, which makes outputs durable while the next ones are merged.

use super::compaction::Compaction;
use super::cursor::{BaseLevelCursor, GrandparentCursor};
use super::parts::{self, KeyRange};
use crate::compression::Compression;
use crate::env;
use crate::error::{Error, Result};
use crate::flush::job::JobContext;
use crate::flush::output::{PendingTables, TableOutput, UnsyncedTable, max_table_size};
use crate::format::internal_key::{self, InternalKeyComparator};
use crate::iterator::InternalIterator;
use crate::iterator::compaction_iterator::CompactionIterator;
use crate::iterator::merging::MergingIterator;
use crate::table::TableReadOptions;
use crate::table::iterator::TableIterator;
use crate::version::file_metadata::FileMetaData;
use crate::version::level_iterator::LevelIterator;
use crate::version::version_edit::VersionEdit;
use crossbeam_channel::{Receiver, Sender};
use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a compaction did.
pub struct CompactionOutcome {
    /// Deletes the inputs, adds the outputs, sets the compact pointer. The installer names the column family.
    pub edit: VersionEdit,
    /// Bytes read.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Microseconds.
    pub micros: u64,
}

/// Merges the inputs into new files. The outputs are synced and the directory is synced; nothing is installed. On an error every
/// output is removed.
pub fn run(compaction: &Compaction, context: &JobContext<'_>) -> Result<CompactionOutcome> {
    let start = context.env.now_micros();
    context.info_log.log(format_args!("Compacting {}", InputSummary(compaction)));
    let outputs = merge_and_sync(compaction, context).map_err(|error| {
        let error = error.context(format_args!("compaction of level {}", compaction.level));
        context.info_log.log(format_args!("{error} (inputs: {})", InputNumbers(compaction)));
        error
    })?;
    let bytes_written = outputs.iter().map(|file| file.file_size).sum();
    context.info_log.log(format_args!("Compacted {} => {bytes_written} bytes", InputSummary(compaction)));
    Ok(CompactionOutcome {
        edit: edit(compaction, outputs),
        bytes_read: compaction.input_bytes(),
        bytes_written,
        micros: context.env.now_micros().saturating_sub(start),
    })
}

fn merge_and_sync(compaction: &Compaction, context: &JobContext<'_>) -> Result<Vec<Arc<FileMetaData>>> {
    let compression = compression_of_outputs(compaction, context);
    let cuts = parts::cuts(compaction, context);
    let failed = AtomicBool::new(false);
    let (unsynced, queue) = crossbeam_channel::unbounded();
    let has_several_outputs = compaction.input_bytes() > compaction.max_output_file_size;
    let mut tasks: Vec<Task<'_>> = Vec::new();
    for part in parts::between(&cuts) {
        let (failed, unsynced) = (&failed, has_several_outputs.then(|| unsynced.clone()));
        tasks.push(Box::new(move || {
            let mut pending = PendingTables::compressed(context, compression);
            let outputs = Outputs::new(compaction, context, &mut pending, unsynced);
            let merged = merge_part(outputs, part, failed);
            failed.fetch_or(merged.is_err(), Ordering::Relaxed);
            TaskOutcome { files: merged, pending }
        }));
    }
    drop(unsynced);
    if has_several_outputs {
        // The last one, so that it waits for none that has not begun.
        tasks.push(Box::new(|| {
            let synced = sync_outputs(&queue, context, &failed);
            TaskOutcome {
                files: synced.map(|()| Vec::new()),
                pending: PendingTables::compressed(context, compression),
            }
        }));
    }
    // All guards stand until the directory is synced, and no file is open any more: where one part fails, the tables of all go.
    let (mut files, mut guards) = (Ok(Vec::new()), Vec::new());
    for outcome in env::run_together("terrace-merge", tasks) {
        files = files.and_then(|files| Ok([files, outcome.files?].concat()));
        guards.push(outcome.pending);
    }
    let files = files?;
    if !files.is_empty() {
        context.env.sync_dir(context.db)?;
    }
    guards.into_iter().for_each(PendingTables::keep);
    Ok(files)
}

/// How the outputs are compressed: as the options say, which may leave it to the inputs, the newest first. An input that cannot be
/// looked at now shows that soon.
fn compression_of_outputs(compaction: &Compaction, context: &JobContext<'_>) -> Compression {
    let options = context.table_cache.options();
    if options.compression != Compression::Auto {
        return options.compression;
    }
    context.found_compression.look(&compaction.version, context.table_cache);
    let mut inputs: Vec<_> = compaction.inputs.iter().flatten().collect();
    inputs.sort_unstable_by_key(|file| Reverse(file.number));
    let compressions = inputs.iter().filter_map(|file| file.table(context.table_cache).ok()?.compression());
    let found = compressions.into_iter().find(|compression| compression.is_of_minecraft());
    if let Some(found) = found {
        context.found_compression.note(found);
    }
    options.compression.beside(found.or(context.found_compression.get()))
}

/// The merge of a part, or the syncing beside it.
type Task<'a> = Box<dyn FnOnce() -> TaskOutcome<'a> + Send + 'a>;

/// Tables, in order, and the guard that removes them unless it is told to keep them.
struct TaskOutcome<'a> {
    files: Result<Vec<Arc<FileMetaData>>>,
    pending: PendingTables<'a>,
}

/// Makes durable what comes through the queue, until no part can put anything into it any more.
fn sync_outputs(
    queue: &Receiver<UnsyncedTable>,
    context: &JobContext<'_>,
    failed: &AtomicBool,
) -> Result<()> {
    let mut result = Ok(());
    for table in queue {
        if !failed.load(Ordering::Relaxed) {
            result = table.make_durable(context).map(drop);
            failed.fetch_or(result.is_err(), Ordering::Relaxed);
        }
    }
    result
}

/// The edit that replaces the inputs by `outputs`.
fn edit(compaction: &Compaction, outputs: Vec<Arc<FileMetaData>>) -> VersionEdit {
    let (level, output_level) = (compaction.level, compaction.output_level);
    let deleted = |level, files: &[Arc<FileMetaData>]| -> Vec<(usize, u64)> {
        files.iter().map(|file| (level, file.number)).collect()
    };
    let inputs = compaction.inputs.iter().enumerate();
    let deleted_files = inputs.flat_map(|(below, files)| deleted(level + below, files)).collect();
    VersionEdit {
        compact_pointers: compaction.compact_pointer.iter().map(|key| (level, key.clone())).collect(),
        deleted_files,
        new_files: outputs.into_iter().map(|file| (output_level, file)).collect(),
        ..VersionEdit::default()
    }
}

/// Merges the entries of one key range into tables of its own. Where another part has `failed`, what this one does is for nothing:
/// it stops wherever it is.
fn merge_part(
    mut outputs: Outputs<'_, '_>,
    part: KeyRange<'_>,
    failed: &AtomicBool,
) -> Result<Vec<Arc<FileMetaData>>> {
    let (compaction, context) = (outputs.compaction, outputs.context);
    let comparator = &compaction.version.comparator;
    let mut base_level = BaseLevelCursor::new(compaction);
    let mut entries = CompactionIterator::new(
        context.compaction_iterator_options(),
        MergingIterator::new(
            comparator.clone(),
            open_inputs(compaction, context, outputs.pending.pass_stored())?,
        ),
        |user_key: &[u8]| base_level.is_base_level_for_key(user_key),
    );
    if let Some(begin) = part.begin {
        entries = entries.starting_at(begin);
    }
    while !failed.load(Ordering::Relaxed) && entries.advance() {
        let is_first_of_user_key = entries.is_first_of_user_key();
        if let Some(end) = part.end
            && is_first_of_user_key
            && comparator.compare_user_keys(entries.user_key(), end).is_ge()
        {
            break;
        }
        let (key, value) = (entries.key(), entries.value());
        outputs.add(key, is_first_of_user_key, |output| match entries.stored_value_length() {
            None => output.add(key, value),
            Some(value_length) => output.add_stored(key, value, value_length),
        })?;
    }
    entries.status()?;
    outputs.finish()
}

/// The inputs. Blocks read once are not worth a place in the block cache.
fn open_inputs(compaction: &Compaction, context: &JobContext<'_>, passes_stored: bool) -> Result<Vec<Input>> {
    let read = TableReadOptions {
        verify_checksums: context.paranoid_checks,
        fill_cache: false,
        leaves_stored: passes_stored,
    };
    let comparator = &compaction.version.comparator;
    let level_iterator = |files: Vec<Arc<FileMetaData>>| {
        Input::Level(LevelIterator::new(comparator.clone(), files, context.table_cache.clone(), read))
    };
    let [first_side, other_sides @ ..] = &compaction.inputs;
    let mut inputs = Vec::new();
    if compaction.level == 0 {
        for run in disjoint_runs(comparator, first_side) {
            inputs.push(match &run[..] {
                [file] => Input::Table(file.table(context.table_cache)?.iter(read)),
                _ => level_iterator(run),
            });
        }
    } else {
        inputs.push(level_iterator(first_side.clone()));
    }
    for side in other_sides.iter().filter(|side| !side.is_empty()) {
        inputs.push(level_iterator(side.clone()));
    }
    Ok(inputs)
}

/// The files as runs, each ascending and disjoint: as few as there are files over one key, so that the merge compares few
/// and, of many files (a repair without a MANIFEST has all of them here), few are open at once.
fn disjoint_runs(
    comparator: &InternalKeyComparator,
    files: &[Arc<FileMetaData>],
) -> Vec<Vec<Arc<FileMetaData>>> {
    let mut files = files.to_vec();
    files.sort_by(|a, b| comparator.compare(a.smallest.encoded(), b.smallest.encoded()));
    let mut runs: Vec<Vec<Arc<FileMetaData>>> = Vec::new();
    for file in files {
        let ends_before = |run: &&mut Vec<Arc<FileMetaData>>| {
            run.last().is_some_and(|last| {
                comparator.compare(last.largest.encoded(), file.smallest.encoded()).is_lt()
            })
        };
        match runs.iter_mut().find(ends_before) {
            Some(run) => run.push(file),
            None => runs.push(vec![file]),
        }
    }
    runs
}

/// The tables that a part of a compaction writes.
struct Outputs<'p, 'a> {
    compaction: &'a Compaction,
    context: &'a JobContext<'a>,
    grandparents: GrandparentCursor<'a>,
    current: Option<Box<TableOutput>>,
    files: Vec<Arc<FileMetaData>>,
    pending: &'p mut PendingTables<'a>,
    /// Where all but the last are made durable beside the merge.
    unsynced: Option<Sender<UnsyncedTable>>,
    /// Bytes at which one ends.
    max_file_size: u64,
}

impl<'p, 'a> Outputs<'p, 'a> {
    fn new(
        compaction: &'a Compaction,
        context: &'a JobContext<'a>,
        pending: &'p mut PendingTables<'a>,
        unsynced: Option<Sender<UnsyncedTable>>,
    ) -> Self {
        Outputs {
            compaction,
            context,
            grandparents: GrandparentCursor::new(compaction),
            current: None,
            files: Vec::new(),
            pending,
            unsynced,
            max_file_size: compaction.max_output_file_size.min(max_table_size(context)),
        }
    }

    /// Adds an entry, which is what `add` does; where another user key begins, another table may.
    #[inline]
    fn add(
        &mut self,
        key: &[u8],
        is_first_of_user_key: bool,
        add: impl FnOnce(&mut TableOutput) -> Result<()>,
    ) -> Result<()> {
        if is_first_of_user_key {
            let overlaps_enough = self.grandparents.is_overlap_exceeded_at(internal_key::user_key(key));
            if let Some(output) = &self.current
                && (overlaps_enough
                    || output.estimated_file_size() >= self.max_file_size
                    || !output.has_room_for(key))
            {
                self.end_current()?;
            }
        } else if self.compaction.output_level > 0
            && self.current.as_ref().is_some_and(|output| !output.has_room_for(key))
        {
            // Versions of a huge key, kept by snapshots: in a run they may stand in neighbouring tables.
            self.end_current()?;
        }
        let output = match &mut self.current {
            Some(output) => output,
            None => {
                let number = self.context.next_file_number.fetch_add(1, Ordering::Relaxed);
                self.grandparents.begin_output();
                self.current.insert(self.pending.create(number)?)
            }
        };
        add(output)
    }

    /// Ends an output behind which there is another one.
    fn end_current(&mut self) -> Result<()> {
        let Some(output) = self.current.take() else { return Ok(()) };
        let table = output.finish_unsynced()?;
        self.files.push(table.metadata().clone());
        match &self.unsynced {
            // Who takes it does so until the senders are gone, but for a panic.
            Some(queue) => queue.send(table).map_err(|_| Error::io("outputs are not synced any more")),
            None => table.make_durable(self.context).map(drop),
        }
    }

    fn finish(mut self) -> Result<Vec<Arc<FileMetaData>>> {
        if let Some(output) = self.current.take() {
            self.files.push(output.finish(self.context)?);
        }
        Ok(self.files)
    }
}

/// An input of the merge: one table of level 0, or one side's files of a deeper level.
enum Input {
    Table(TableIterator),
    Level(LevelIterator),
}

/// Calls the same method of whichever iterator it is.
macro_rules! either {
    ($input:expr, $iterator:ident => $call:expr) => {
        match $input {
            Input::Table($iterator) => $call,
            Input::Level($iterator) => $call,
        }
    };
}

impl InternalIterator for Input {
    #[inline]
    fn valid(&self) -> bool {
        either!(self, iterator => iterator.valid())
    }
    fn seek_to_first(&mut self) {
        either!(self, iterator => iterator.seek_to_first())
    }
    fn seek_to_last(&mut self) {
        either!(self, iterator => iterator.seek_to_last())
    }
    fn seek(&mut self, target: &[u8]) {
        either!(self, iterator => iterator.seek(target))
    }
    #[inline]
    fn next(&mut self) {
        either!(self, iterator => iterator.next())
    }
    fn prev(&mut self) {
        either!(self, iterator => iterator.prev())
    }
    #[inline]
    fn key(&self) -> &[u8] {
        either!(self, iterator => iterator.key())
    }
    #[inline]
    fn value(&self) -> &[u8] {
        either!(self, iterator => iterator.value())
    }
    #[inline]
    fn stored_value_length(&self) -> Option<u32> {
        either!(self, iterator => iterator.stored_value_length())
    }
    fn status(&self) -> Result<()> {
        either!(self, iterator => iterator.status())
    }
}

/// `4@0 + 1@1 files`, as LevelDB logs it.
struct InputSummary<'a>(&'a Compaction);

impl fmt::Display for InputSummary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Compaction { level, output_level, inputs, .. } = self.0;
        write!(f, "{}@{level}", inputs[0].len())?;
        let last = output_level.saturating_sub(*level).max(1);
        for (below, files) in inputs.iter().enumerate().take(last + 1).skip(1) {
            write!(f, " + {}@{}", files.len(), if level == output_level { *level } else { level + below })?;
        }
        f.write_str(" files")
    }
}

/// `#12 #15 #9`, to find the file that an error is about.
struct InputNumbers<'a>(&'a Compaction);

impl fmt::Display for InputNumbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, file) in self.0.inputs.iter().flatten().enumerate() {
            write!(f, "{}#{}", if index == 0 { "" } else { " " }, file.number)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
