//! Iterators over the inputs of a compaction: the tables of level 0, and runs of files of the other levels.
//!
//! Used by one thread at a time: each subcompaction has its own.

use crate::compaction::Compaction;
use crate::error::Result;
use crate::format::internal_key::InternalKeyComparator;
use crate::iterator::compaction_input::{CompactionInput, Payload};
use crate::iterator::two_level::{Parts, TwoLevelIterator};
use crate::iterator::{FastIterator, InternalIterator};
use crate::job::context::JobContext;
use crate::table::TableReadOptions;
use crate::table::compaction_input::TableInput;
use crate::version::file_metadata::FileMetaData;
use crate::version::level_iterator::Tables;
use std::sync::Arc;

/// Iterators over the inputs. They do not fill the block cache, since each block is read once. Single-entry
/// blocks with the type byte `passed_type` are passed on as they are stored.
pub(super) fn open_inputs(
    compaction: &Compaction,
    context: &JobContext<'_>,
    passed_type: Option<u8>,
) -> Result<Vec<Input>> {
    let read = TableReadOptions { verify_checksums: context.paranoid_checks, fill_cache: false };
    let comparator = &compaction.version.comparator;
    let run = |files: Vec<Arc<FileMetaData>>| {
        let tables = Tables::new(comparator.clone(), files, context.table_cache.clone(), read);
        Input::Run(TwoLevelIterator::over(InputTables { tables, passed_type }))
    };
    let [first_side, other_sides @ ..] = &compaction.inputs;
    let mut inputs = Vec::new();
    if compaction.level == 0 {
        for files in disjoint_runs(comparator, first_side) {
            inputs.push(match &files[..] {
                [file] => Input::Table(file.table(context.table_cache)?.compaction_iter(read, passed_type)),
                _ => run(files),
            });
        }
    } else {
        inputs.push(run(first_side.clone()));
    }
    for side in other_sides.iter().filter(|side| !side.is_empty()) {
        inputs.push(run(side.clone()));
    }
    Ok(inputs)
}

/// Groups the files into runs, each ascending and disjoint. The number of runs is the largest number of files
/// over one key. So the merge compares few keys, and few files are open at a time even if there are many (a
/// repair without a MANIFEST puts all of them into level 0).
pub(super) fn disjoint_runs(
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

/// An input of the merge: one table of level 0, or a run of files of one level.
pub(super) enum Input {
    Table(TableInput),
    Run(TwoLevelIterator<InputTables>),
}

/// Calls the same method of either kind of iterator.
macro_rules! either {
    ($input:expr, $iterator:ident => $call:expr) => {
        match $input {
            Input::Table($iterator) => $call,
            Input::Run($iterator) => $call,
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
    fn status(&self) -> Result<()> {
        either!(self, iterator => iterator.status())
    }
}

/// A merge needs only the defaults.
impl FastIterator for Input {}

impl CompactionInput for Input {
    #[inline]
    fn payload(&self) -> Payload<'_> {
        either!(self, iterator => iterator.payload())
    }
}

/// The tables of a run of input files.
pub(super) struct InputTables {
    tables: Tables,
    passed_type: Option<u8>,
}

impl Parts for InputTables {
    type Iter = TableInput;

    fn count(&self) -> usize {
        self.tables.count()
    }

    fn find(&self, target: &[u8]) -> usize {
        self.tables.find(target)
    }

    fn open(&self, index: usize) -> Result<TableInput> {
        let (table, read) = (self.tables.table(index)?, self.tables.read_options());
        Ok(table.compaction_iter(read, self.passed_type))
    }

    fn reopen(&self, index: usize, part: &mut TableInput) -> Result<()> {
        part.release_block();
        part.change_table(self.tables.table(index)?.clone());
        Ok(())
    }
}
