//! Obsolete files: which ones there are, and the queues in which they wait. `file_removal` removes them.
//!
//! The directory is listed once, at open. From then on a file is queued by its number: a table when the last
//! version that has it is dropped, a WAL when an edit that makes it unneeded is durable. Old MANIFESTs are
//! removed as soon as a new one is durable.
//!
//! A worker does most removals, of all files but MANIFESTs. File systems make a removal wait for their
//! journal, or for the device to discard the blocks: milliseconds a table, during which other background work
//! would stand still. The same worker closes and unmaps the tables that a compaction has replaced.
//!
//! A call that makes files obsolete and waits for that (a flush, a compaction of a range, close) returns when
//! they are removed. So does an open, for the files that the last process left; but the worker frees the
//! blocks of large files. A WAL is closed before it is removed. Nothing is removed after close has released
//! the lock: the directory may be another process's by then.
//!
//! Thread rule: any thread; one thread removes at a time.

use crate::column_family::super_version::SuperVersion;
use crate::compaction::Compaction;
use crate::env::SequentialFile;
use crate::format::file_name::{self, FileType};
use crate::util::lock::Mutex;
use crate::version::Version;
use crate::version::file_metadata::ObsoleteFiles;
use crate::version::version_set::VersionSet;
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Replaced states, to be dropped without the state mutex. Files that only they held become obsolete then.
#[must_use]
#[derive(Default)]
pub struct Superseded {
    /// The super versions of the families that changed.
    pub _super_versions: Vec<Arc<SuperVersion>>,
    /// The versions of the same families.
    pub _versions: Vec<Arc<Version>>,
}

/// The queues of what waits to be removed or closed.
#[derive(Default)]
pub struct FileGc {
    /// Tables that no version refers to any more, and unreferenced outputs of failed edits.
    pub tables: Arc<ObsoleteFiles>,
    /// WALs that no recovery would need any more.
    pub wals: ObsoleteFiles,
    pub(in crate::db) at_open: Mutex<ObsoleteAtOpen>,
    /// States that compactions have replaced. They are dropped first, which closes tables.
    pub(in crate::db) closing: Mutex<Vec<ClosingInputs>>,
    /// The removal turn: held by the thread that removes files. Another thread waits for it, and then finds
    /// the files removed. Taken before the state mutex.
    pub(in crate::db) turn: Mutex<()>,
}

/// Files that an open leaves to the worker.
#[derive(Default)]
pub(in crate::db) struct ObsoleteAtOpen {
    /// Files of earlier processes that the recovered state does not need.
    pub paths: Vec<PathBuf>,
    /// Open files that have no name any more. Closing one frees its blocks.
    pub replaced: Vec<Box<dyn SequentialFile>>,
}

/// The state before a compaction, and the compaction, which holds its inputs. Dropping both closes the input
/// tables.
pub(in crate::db) struct ClosingInputs {
    pub _superseded: Superseded,
    pub _compaction: Compaction,
}

impl FileGc {
    /// Does anything wait to be removed or closed?
    pub fn has_work(&self) -> bool {
        let has_leftovers = {
            let at_open = self.at_open.lock();
            !at_open.paths.is_empty() || !at_open.replaced.is_empty()
        };
        has_leftovers || !self.tables.is_empty() || !self.wals.is_empty() || !self.closing.lock().is_empty()
    }

    /// Adds files of earlier processes that may be removed now.
    pub fn add_paths(&self, mut paths: Vec<PathBuf>) {
        self.at_open.lock().paths.append(&mut paths);
    }

    /// Adds files without names, to be closed.
    pub fn add_replaced(&self, files: impl IntoIterator<Item = Box<dyn SequentialFile>>) {
        self.at_open.lock().replaced.extend(files);
    }
}

/// The paths of those of the files `names` in the directory `db` that are not needed by the state `versions`,
/// nor by the MANIFEST of this number or a later one.
pub(in crate::db) fn find_leftovers(
    db: &Path,
    names: &[OsString],
    versions: &VersionSet,
    manifest: u64,
) -> Vec<PathBuf> {
    let live: HashSet<u64> = versions.live_files().map(|file| file.number).collect();
    let min_log_number = versions.min_log_number();
    let is_needed = |name: &OsString| match file_name::parse_exactly(name) {
        Some(FileType::Log(number)) => number >= min_log_number,
        Some(FileType::Table(number)) => live.contains(&number),
        Some(FileType::Manifest(number)) => number >= manifest,
        Some(FileType::Temp(_)) => false,
        // RocksDB's own files are left to it.
        Some(FileType::Options(_) | FileType::Identity) => true,
        Some(FileType::Current | FileType::Lock | FileType::InfoLog) | None => true,
    };
    names.iter().filter(|name| !is_needed(name)).map(|name| db.join(name)).collect()
}
