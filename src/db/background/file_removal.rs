//! Removes and closes what waits in [`FileGc`](super::file_gc::FileGc): the step of the worker, and the calls
//! that wait for it.

use crate::background::pool::Next;
use crate::compaction::Compaction;
use crate::db::background::errors::Severity;
use crate::db::background::file_gc::{ClosingInputs, ObsoleteAtOpen, Superseded};
use crate::db::shared::DbShared;
use crate::db::state::DbState;
use crate::error::Result;
use crate::format::file_name::{self, FileType};
use crate::version::file_metadata::FileMetaData;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// An open removes only the names of files of this size or larger, and leaves their blocks to the worker. In
/// bytes.
const LARGE_FILE: u64 = 1 << 20;
/// The most files that are treated in this way: each takes a descriptor until the worker has closed it.
const MAX_LARGE_FILES: usize = 16;

impl DbShared {
    /// Returns when every file is removed that the recovered state does not need. The recovered state must be
    /// durable first. If it cannot be made durable now, the files stay until it is.
    pub(in crate::db) fn remove_leftovers(&self) {
        let mut state = self.state.lock();
        while state.has_leftovers_in_debt() && state.errors.worst().is_none() {
            self.flush_waker.wake();
            self.wait_for_workers(&mut state);
        }
        drop(state);
        let (paths, mut held) = {
            let mut at_open = self.file_gc.at_open.lock();
            (at_open.paths.clone(), std::mem::take(&mut at_open.replaced))
        };
        let large = paths.iter().filter(|path| self.env.file_size(path).is_ok_and(|size| size >= LARGE_FILE));
        held.extend(large.take(MAX_LARGE_FILES).filter_map(|path| self.env.open_sequential(path).ok()));
        self.removal_step();
        self.file_gc.add_replaced(held);
    }

    /// Leaves the state that a compaction has replaced to the worker that removes files.
    pub(in crate::db) fn retire(&self, superseded: Superseded, compaction: Compaction) {
        let closing = ClosingInputs { _superseded: superseded, _compaction: compaction };
        self.file_gc.closing.lock().push(closing);
        self.removal_waker.wake();
    }

    /// One step of the worker that removes files; also run by callers that wait for the removal. After a
    /// panic in it writes are refused, and the caller continues.
    pub(in crate::db) fn removal_step(&self) -> Next {
        self.guarded(|| {
            self.remove_obsolete_files();
            Next::Wait
        })
    }

    /// Closes replaced tables, then removes the files that are in the queues: those found at open, WALs that
    /// no recovery needs, tables that no version refers to. Returns when they are removed, possibly by
    /// another thread. Must not be called after the lock was released.
    pub(in crate::db) fn remove_obsolete_files(&self) {
        let _turn = self.file_gc.turn.lock();
        let closing = std::mem::take(&mut *self.file_gc.closing.lock());
        drop(closing);
        let ObsoleteAtOpen { paths, replaced } = std::mem::take(&mut *self.file_gc.at_open.lock());
        for path in paths {
            let name = path.file_name().unwrap_or_default();
            self.info_log.log(format_args!("removing {}", Path::new(name).display()));
            self.remove_quietly(&path);
        }
        drop(replaced);
        let wals = self.file_gc.wals.take();
        if let Some(newest) = wals.iter().max()
            && let Err(error) = self.older_logs.release(newest + 1)
        {
            self.record_background_error(&mut self.state.lock(), Severity::UntilReopened, &error);
        }
        for number in wals {
            self.remove_quietly(&file_name::log(&self.path, number));
        }
        for number in self.file_gc.tables.take() {
            self.open_tables.evict(number);
            let path = file_name::table(&self.path, number);
            match self.env.remove_file(&path) {
                Err(error) if error.is_not_found() => {
                    self.remove_quietly(&file_name::old_table(&self.path, number));
                }
                result => self.note_removal(&path, result),
            }
        }
    }

    /// Leaves tables that no MANIFEST names to the worker that removes files.
    pub(in crate::db) fn discard_tables(&self, tables: impl IntoIterator<Item = Arc<FileMetaData>>) {
        for table in tables {
            table.mark_deleted(&self.file_gc.tables);
        }
        self.removal_waker.wake();
    }

    /// Queues the WALs below `min_log_number`, which a durable edit has made unneeded. The worker removes
    /// them when it is woken.
    pub(in crate::db) fn release_wals_before(&self, state: &mut DbState, min_log_number: u64) {
        let unneeded = state.wals.remove_before(min_log_number);
        unneeded.into_iter().for_each(|number| self.file_gc.wals.push(number));
        self.min_log_number.store(min_log_number, Ordering::Release);
    }

    /// Removes every MANIFEST below `number`, which is the one that CURRENT durably names.
    pub(in crate::db) fn remove_manifests_before(&self, number: u64) {
        let Ok(children) = self.env.children(&self.path) else { return };
        for name in children {
            if matches!(file_name::parse_exactly(&name), Some(FileType::Manifest(other)) if other < number) {
                self.remove_quietly(&self.path.join(name));
            }
        }
    }

    fn remove_quietly(&self, path: &Path) {
        let result = self.env.remove_file(path);
        self.note_removal(path, result);
    }

    /// A file that cannot be removed costs space, not data. The failure is logged, and the next open tries
    /// again.
    fn note_removal(&self, path: &Path, result: Result<()>) {
        if let Err(error) = result
            && !error.is_not_found()
        {
            self.info_log.log(format_args!("could not remove {}: {error}", path.display()));
        }
    }
}
