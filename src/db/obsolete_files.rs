//! Removes files that the last durable MANIFEST does not need.
//!
//! At open the directory is listed once; from then on numbers are removed as the last version that has them goes (tables), or
//! as an edit that makes them unneeded is durable (logs, MANIFESTs). Removals, of all but MANIFESTs, are mostly a worker's: file
//! systems make them wait for their journal, or for the device to discard the blocks: milliseconds a table, in which background work
//! would stand still. The same worker closes the tables that a compaction has replaced, and unmaps them.
//!
//! A call that makes files obsolete and waits for that (a flush, a compaction of a range, close) returns when they are gone; so does
//! an opening, of what the last life left, but what large files took is given back by the worker. A log is closed before it is removed.
//! Nothing is removed once close has let the lock go: the directory may be another process's by then.

use super::background_error::Severity;
use super::install::Replaced;
use super::state::{DbInner, DbState};
use crate::background::pool::Next;
use crate::compaction::compaction::Compaction;
use crate::env::SequentialFile;
use crate::format::file_name::{self, FileType};
use crate::version::version_set::VersionSet;
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What an opening leaves to the worker.
#[derive(Default)]
pub struct Leftovers {
    /// Files of the last life that the present state does not need.
    pub paths: Vec<PathBuf>,
    /// Files that have lost their names to others; the space of each is given back when it is closed.
    pub replaced: Vec<Box<dyn SequentialFile>>,
}

/// The state before a compaction, and the compaction itself, which holds its inputs: what is dropped closes tables.
pub struct Retired {
    _replaced: Replaced,
    _compaction: Compaction,
}

/// Of files of this size and larger an opening removes the names alone.
const LARGE_FILE: u64 = 1 << 20;
/// Of so many at most: each takes a descriptor until the worker has closed it.
const MOST_LARGE_FILES: usize = 16;

impl DbInner {
    /// Returns when nothing is left any more that the MANIFEST which was read says to be obsolete. That must be durable for this; if it
    /// can't be made so now, the files stay until it is.
    pub(super) fn remove_leftovers(&self) {
        let mut state = self.state.lock();
        while state.has_unconfirmed_leftovers() && state.failures.worst().is_none() {
            self.flush_waker.wake();
            self.wait_for_workers(&mut state);
        }
        drop(state);
        let (paths, mut held) = {
            let mut leftovers = self.leftovers.lock();
            (leftovers.paths.clone(), std::mem::take(&mut leftovers.replaced))
        };
        let large = paths.iter().filter(|path| self.env.file_size(path).is_ok_and(|size| size >= LARGE_FILE));
        held.extend(large.take(MOST_LARGE_FILES).filter_map(|path| self.env.open_sequential(path).ok()));
        self.removal_step();
        self.leftovers.lock().replaced.append(&mut held);
    }

    /// Leaves what a compaction has replaced to the worker that removes files.
    pub(super) fn retire(&self, replaced: Replaced, compaction: Compaction) {
        self.retired.lock().push(Retired { _replaced: replaced, _compaction: compaction });
        self.removal_waker.wake();
    }

    /// Is there anything to be removed or closed?
    pub(super) fn has_files_to_remove(&self) -> bool {
        let has_leftovers = {
            let leftovers = self.leftovers.lock();
            !leftovers.paths.is_empty() || !leftovers.replaced.is_empty()
        };
        let has_obsolete = !self.obsolete.is_empty() || !self.obsolete_logs.is_empty();
        has_leftovers || has_obsolete || !self.retired.lock().is_empty()
    }

    /// A step of the worker that removes files, or of a caller who waits for it: a panic in it ends writes, not the caller.
    pub(super) fn removal_step(&self) -> Next {
        self.guarded(|| {
            self.remove_obsolete_files();
            Next::Wait
        })
    }

    /// Removes the logs that no recovery needs and the tables that no version refers to any more; returns when they are gone, if
    /// by another's hand. Not after the lock was let go.
    pub(super) fn remove_obsolete_files(&self) {
        let _turn = self.removing.lock();
        let retired = std::mem::take(&mut *self.retired.lock());
        drop(retired);
        let Leftovers { paths, replaced } = std::mem::take(&mut *self.leftovers.lock());
        for path in paths {
            let name = path.file_name().unwrap_or_default();
            self.info_log.log(format_args!("removing {}", Path::new(name).display()));
            self.remove_quietly(&path);
        }
        drop(replaced);
        let logs = self.obsolete_logs.take();
        if let Some(newest) = logs.iter().max()
            && let Err(error) = self.older_logs.release(newest + 1)
        {
            self.record_background_error(&mut self.state.lock(), Severity::UntilReopened, &error);
        }
        for number in logs {
            self.remove_quietly(&file_name::log(&self.path, number));
        }
        for number in self.obsolete.take() {
            self.family.table_cache.evict(number);
            let path = file_name::table(&self.path, number);
            match self.env.remove_file(&path) {
                Err(error) if error.is_not_found() => {
                    self.remove_quietly(&file_name::old_table(&self.path, number));
                }
                result => self.note_removal(&path, result),
            }
        }
    }

    /// Has the worker, once it is woken, remove the logs below `min_log_number`, which a durable edit has made unneeded.
    pub(super) fn hand_over_logs(&self, state: &mut DbState, min_log_number: u64) {
        for log in state.logs.extract_if(.., |log| log.number < min_log_number) {
            self.obsolete_logs.push(log.number);
        }
    }

    /// Removes every MANIFEST below `number`, the one CURRENT durably names.
    pub(super) fn remove_manifests_before(&self, number: u64) {
        let Ok(children) = self.env.children(&self.path) else { return };
        for name in children {
            if matches!(file_name::parse_exactly(&name), Some(FileType::Manifest(other)) if other < number) {
                self.remove_quietly(&self.path.join(name));
            }
        }
    }

    /// Which of the files that were there the state, and the MANIFEST of this number or a later one, do not need.
    pub(super) fn find_leftovers(
        &self,
        names: &[OsString],
        versions: &VersionSet,
        manifest: u64,
    ) -> Vec<PathBuf> {
        let live: HashSet<u64> = versions.current().levels.iter().flatten().map(|file| file.number).collect();
        let is_needed = |name: &OsString| match file_name::parse_exactly(name) {
            Some(FileType::Log(number)) => number >= versions.log_number,
            Some(FileType::Table(number)) => live.contains(&number),
            Some(FileType::Manifest(number)) => number >= manifest,
            Some(FileType::Temp(_)) => false,
            Some(FileType::Current | FileType::Lock | FileType::InfoLog) | None => true,
        };
        names.iter().filter(|name| !is_needed(name)).map(|name| self.path.join(name)).collect()
    }

    fn remove_quietly(&self, path: &Path) {
        let result = self.env.remove_file(path);
        self.note_removal(path, result);
    }

    /// A file that can't be removed costs space, not data: it is logged, and tried again at the next open.
    fn note_removal(&self, path: &Path, result: crate::error::Result<()>) {
        if let Err(error) = result
            && !error.is_not_found()
        {
            self.info_log.log(format_args!("could not remove {}: {error}", path.display()));
        }
    }
}
