//! Runs a compaction: merges the inputs, keeps the entries that a reader can still see, writes new tables.
//!
//! No shared state changes: the result is a version edit. Every output is synced and closed, and after the
//! last one the directory is synced, so that the edit may name them. Runs without the state mutex. A large
//! compaction is divided into subcompactions, which several threads merge in parallel. The threads of
//! `merge_part` share only the next file number, the flag that another subcompaction has failed, and the
//! queue of one more thread, which makes outputs durable while the next ones are merged.

use crate::compaction::Compaction;
use crate::compaction::boundary_cursors::{BaseLevelCursor, GrandparentCursor};
use crate::compaction::inputs::open_inputs;
use crate::compaction::subcompaction::{self, KeyRange};
use crate::compression::Compression;
use crate::env;
use crate::error::{Error, Result};
use crate::format::internal_key;
use crate::iterator::compaction_input::Payload;
use crate::iterator::merging::MergingIterator;
use crate::job::compaction_iterator::CompactionIterator;
use crate::job::context::JobContext;
use crate::job::table_output::{PendingTables, TableOutput, UnsyncedTable, max_table_size};
use crate::language::Language;
use crate::version::file_metadata::FileMetaData;
use crate::version::version_edit::VersionEdit;
use crossbeam_channel::{Receiver, Sender};
use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The result of a compaction.
pub struct CompactionOutcome {
    /// Deletes the inputs, adds the outputs, sets the compact pointer. The installer fills in the column
    /// family.
    pub edit: VersionEdit,
    /// The bytes of the input files.
    pub bytes_read: u64,
    /// The bytes of the output files.
    pub bytes_written: u64,
    /// How long the compaction took, in microseconds.
    pub micros: u64,
}

/// Merges the inputs into new files. The outputs and the directory are synced; nothing is installed. On an
/// error every output is removed.
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
    let boundaries = subcompaction::boundaries(compaction, context);
    let failed = AtomicBool::new(false);
    let (unsynced, queue) = crossbeam_channel::unbounded();
    let has_several_outputs = compaction.input_bytes() > compaction.max_output_file_size;
    let mut tasks: Vec<Task<'_>> = Vec::new();
    for part in subcompaction::ranges_between(&boundaries) {
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
        // The last task, so that it never waits for a task that has not begun.
        tasks.push(Box::new(|| {
            let synced = sync_outputs(&queue, context, &failed);
            TaskOutcome {
                files: synced.map(|()| Vec::new()),
                pending: PendingTables::compressed(context, compression),
            }
        }));
    }
    // All guards exist until the directory is synced and no file is open any more. If one subcompaction
    // fails, the tables of all are removed.
    let (mut files, mut guards) = (Ok(Vec::new()), Vec::new());
    for outcome in env::run_in_parallel(&**context.env, "terrace-merge", tasks) {
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

/// The codec of the outputs: that of the options. If these leave it open, the codec of the newest input that
/// has one decides. An input that cannot be opened is skipped here; the merge will report it.
fn compression_of_outputs(compaction: &Compaction, context: &JobContext<'_>) -> Compression {
    let options = context.table_cache.options();
    if options.compression != Compression::Auto || context.language == Language::RocksDb {
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

/// The merge of one subcompaction, or the syncing in parallel to the merges.
type Task<'a> = Box<dyn FnOnce() -> TaskOutcome<'a> + Send + 'a>;

/// Tables in order, and the guard that removes them unless `keep` is called.
struct TaskOutcome<'a> {
    files: Result<Vec<Arc<FileMetaData>>>,
    pending: PendingTables<'a>,
}

/// Makes the tables that come through the queue durable, until every sender is dropped.
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
pub(super) fn edit(compaction: &Compaction, outputs: Vec<Arc<FileMetaData>>) -> VersionEdit {
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

/// Runs one subcompaction: merges the entries of its key range into tables of its own. Stops early if
/// `failed` is set, because then all outputs are discarded.
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
            open_inputs(compaction, context, outputs.pending.passed_type())?,
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
        let key = entries.key();
        outputs.add(key, is_first_of_user_key, |output| match entries.payload() {
            Payload::Value(value) => output.add(key, value),
            Payload::RawBlock { stored, value_length } => output.add_raw_block(key, stored, value_length),
        })?;
    }
    entries.status()?;
    outputs.finish()
}

/// The tables that a subcompaction writes.
struct Outputs<'p, 'a> {
    compaction: &'a Compaction,
    context: &'a JobContext<'a>,
    grandparents: GrandparentCursor<'a>,
    current: Option<Box<TableOutput>>,
    files: Vec<Arc<FileMetaData>>,
    pending: &'p mut PendingTables<'a>,
    /// The queue of outputs that are made durable in parallel to the merge: all but the last one.
    unsynced: Option<Sender<UnsyncedTable>>,
    /// The size at which an output ends, in bytes.
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

    /// Adds an entry by calling `add`. Another table may begin first if the entry is the first of its user
    /// key.
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
            // The versions of a huge key, which snapshots keep. In a run they may be in neighbouring tables.
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

    /// Ends the current output, which is not the last one.
    fn end_current(&mut self) -> Result<()> {
        let Some(output) = self.current.take() else { return Ok(()) };
        let table = output.finish_unsynced()?;
        self.files.push(table.metadata().clone());
        match &self.unsynced {
            // The receiver takes tables until all senders are dropped, unless it has panicked.
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

/// Prints `4@0 + 1@1 files`, as LevelDB logs it.
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

/// Prints `#12 #15 #9`, to find the file that an error is about.
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
