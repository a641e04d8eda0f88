//! What an open database is made of.
//!
//! ```text
//! DbInner      fixed, or atomic: read by everyone
//!   writer     WriteQueue: the log and the right to write to the memtable, for the one writer whose turn it is
//!   snapshots  Mutex: the sequence numbers that must stay readable
//!   state      Mutex<DbState>: everything else that changes
//! ```
//! Order of locks: `writer` before `state`; `snapshots` is innermost. Nothing waits for I/O while it
//! holds `state`; a writer that must wait for a flush holds `writer` and waits on `state_changed`, which lets `state` go.

use super::background_error::Failures;
use super::dead_spans::DeadSpans;
use super::flush_due::FlushDue;
use super::idle_compaction::Idle;
use super::manual_compaction::ManualCompaction;
use super::obsolete_files::{Leftovers, Retired};
use super::seek_compaction::Seeks;
use super::snapshot::SnapshotList;
use super::unconfirmed::Unconfirmed;
use super::write_group::{WriteQueue, WriterState};
use crate::background::pool::Worker;
use crate::column_family::column_family::{ColumnFamily, FamilyMemtables};
use crate::compaction::picker::PickerOptions;
use crate::compaction::running::RunningCompactions;
use crate::comparator::is_inside_comparator;
use crate::env::info_log::Logger;
use crate::env::{Env, FileLock};
use crate::error::{Error, Result};
use crate::flush::found_compression::FoundCompression;
use crate::format::NUM_LEVELS;
use crate::options::Options;
use crate::util::arena::blocks::BlockStore;
use crate::util::fork::Generation;
use crate::util::lock::{Condvar, Mutex};
use crate::util::sync::CachePadded;
use crate::version::file_metadata::ObsoleteFiles;
use crate::version::manifest::ManifestWriter;
use crate::version::version_set::VersionSet;
use crate::wal::older_logs::OlderLogs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// The shared part of an open database; handles, iterators, snapshots and workers hold it.
pub struct DbInner {
    /// Sanitized.
    pub options: Options,
    /// The directory.
    pub path: PathBuf,
    /// The system.
    pub env: Arc<dyn Env>,
    /// The log for people.
    pub info_log: Arc<dyn Logger>,
    /// The default family.
    pub family: ColumnFamily,
    /// How its tables were found to be compressed.
    pub found_compression: FoundCompression,
    /// Memory that flushed memtables leave for the next ones.
    pub memtable_store: Arc<BlockStore>,
    /// The newest sequence number that reads may see.
    pub last_sequence: CachePadded<AtomicU64>,
    /// The next number of a file; shared with running jobs.
    pub next_file_number: AtomicU64,
    /// The oldest log that recovery would need; writers let older ones go.
    pub min_log_number: AtomicU64,
    /// Not zero: a writer must look at the state before it writes (see `attention`).
    pub attention: AtomicU32,
    /// The sequence number that the oldest snapshot must reach for deletions to be dropped that wait for it.
    pub deletions_wait_for: AtomicU64,
    /// `DbState::unconfirmed` is something.
    pub unconfirmed: AtomicBool,
    /// Set by close, before anything else of it.
    pub closed: AtomicBool,
    /// The process that opened it. In a child of that, nothing of this may be touched but what never changes.
    pub process: Generation,
    /// The one writer's state, and the writers that wait for their turn.
    pub writer: WriteQueue<WriterState>,
    /// Where nothing is live, as iterators have seen.
    pub dead_spans: DeadSpans,
    /// Live snapshots.
    pub snapshots: Mutex<SnapshotList>,
    /// Everything else that changes.
    pub state: Mutex<DbState>,
    /// Signalled whenever `state` changed in a way somebody may wait for.
    pub state_changed: Condvar,
    /// Tables that no version refers to any more.
    pub obsolete: Arc<ObsoleteFiles>,
    /// Logs that no recovery would need any more.
    pub obsolete_logs: ObsoleteFiles,
    /// Replaced logs that are open still.
    pub older_logs: Arc<OlderLogs>,
    /// What the last life left.
    pub leftovers: Mutex<Leftovers>,
    /// What compactions have replaced, for the worker that removes files to let go of first.
    pub retired: Mutex<Vec<Retired>>,
    /// Held by who removes files, so that another who comes to remove finds them gone.
    pub removing: Mutex<()>,
    /// Wakes the flush worker (which also logs what others could not).
    pub flush_waker: Worker,
    /// Wakes a compaction worker.
    pub compaction_waker: Worker,
    /// Wakes the worker that removes files.
    pub removal_waker: Worker,
    /// What the last opening found damaged in the logs, and skipped.
    pub recovery_damage: Vec<Error>,
}

/// Bits of `DbInner::attention`.
pub mod attention {
    /// Level 0 has so many files that writes are slowed down or stopped.
    pub const LEVEL0: u32 = 1;
    /// A background error or the end of the database refuses writes.
    pub const REFUSED: u32 = 2;
}

/// A log that exists.
#[derive(Clone, Copy, Debug)]
pub struct LogFile {
    /// Its number.
    pub number: u64,
    /// The last sequence number before its first entry.
    pub begins_after: u64,
}

/// What one level's compactions have done since the database was opened.
#[derive(Clone, Copy, Default)]
pub struct LevelStats {
    /// Microseconds.
    pub micros: u64,
    /// Bytes.
    pub bytes_read: u64,
    /// Bytes.
    pub bytes_written: u64,
}

/// What changes, under the state mutex.
pub struct DbState {
    /// Of the default family.
    pub memtables: FamilyMemtables,
    /// What the flush worker goes by.
    pub flush_due: FlushDue,
    /// Files and counters.
    pub versions: VersionSet,
    /// Where edits are appended; `None` while somebody writes, before anything was written, and after a failure.
    pub manifest: Option<ManifestWriter>,
    /// What the opening has read, until it is durable.
    pub unconfirmed: Option<Unconfirmed>,
    /// Somebody prepares, writes or commits an edit.
    pub manifest_busy: bool,
    /// Bytes at which a new MANIFEST replaces it.
    pub manifest_limit: u64,
    /// New tables of edits whose writing failed. A MANIFEST may name them, until the next one, which does not, is durable.
    pub orphans: Vec<u64>,
    /// Logs that exist, oldest first; the last is the one written to.
    pub logs: Vec<LogFile>,
    /// The last sequence number of what is in tables: the one before the first entry of the oldest log that is needed. A
    /// MANIFEST says it, so that recovery can tell whether that log has lost its beginning.
    pub flushed_sequence: u64,
    /// Compactions under way.
    pub running: RunningCompactions,
    /// Ranges users asked to be compacted, first come first served.
    pub manual: std::collections::VecDeque<ManualCompaction>,
    /// The rest the database may be in.
    pub idle: Idle,
    /// What reads go into in vain.
    pub seeks: Seeks,
    /// Why background work or writes have stopped.
    pub failures: Failures,
    /// To be logged without the mutex, by the flush worker.
    pub log_lines: Vec<String>,
    /// By level.
    pub stats: [LevelStats; NUM_LEVELS],
    /// Released at close.
    pub lock: Option<Box<dyn FileLock>>,
}

impl DbInner {
    /// Is the database closed or closing?
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Fails in a child of the process that opened the database: locks may be held there by threads that the child does not
    /// have, and files and buffers are the parent's. Asked before anything else by whatever users call.
    #[inline]
    pub fn check_process(&self) -> Result<()> {
        if self.process.is_current() { Ok(()) } else { Err(self.forked_error()) }
    }

    /// Fails where an operation that takes locks, or waits, may not be called: in a child process, and in a comparator of the user,
    /// which may run while such locks are held.
    #[inline]
    pub fn check_caller(&self) -> Result<()> {
        self.check_process()?;
        if self.is_inside_comparator() { Err(self.reentered_error()) } else { Ok(()) }
    }

    /// May the calling thread hold locks of this database, because it is in its comparator?
    #[inline]
    pub fn is_inside_comparator(&self) -> bool {
        !self.family.comparator.is_bytewise() && is_inside_comparator()
    }

    /// What an operation within a comparator ends with.
    #[cold]
    pub fn reentered_error(&self) -> Error {
        Error::invalid_argument(format!(
            "{}: called from within a comparator, which may read a database but do nothing else with it",
            self.path.display()
        ))
    }

    /// What an operation in a child process ends with.
    #[cold]
    pub fn forked_error(&self) -> Error {
        Error::io(format!(
            "{}: the database was opened by the parent of this process, and is used after fork; only the parent can use it",
            self.path.display()
        ))
    }

    /// What an operation on a closed database ends with.
    #[cold]
    pub fn closed_error(&self) -> Error {
        Error::io(format!("{}: the database is closed", self.path.display()))
    }

    /// A number that no file of this database has had.
    pub fn new_file_number(&self) -> u64 {
        self.next_file_number.fetch_add(1, Ordering::Relaxed)
    }

    /// What the picker goes by. Deletions that a snapshot may still need don't count.
    pub fn picker_options<'a>(&self, running: &'a RunningCompactions) -> PickerOptions<'a> {
        PickerOptions {
            level0_file_num_compaction_trigger: self.options.level0_file_num_compaction_trigger,
            max_bytes_for_level_base: self.options.max_bytes_for_level_base,
            max_file_size: self.options.max_file_size as u64,
            oldest_snapshot: self.oldest_snapshot(),
            running,
            rewritten_from: u64::MAX,
        }
    }

    /// The sequence number of the oldest state that must stay readable.
    pub fn oldest_snapshot(&self) -> u64 {
        let snapshots = self.snapshots.lock();
        snapshots.oldest().unwrap_or_else(|| self.last_sequence.load(Ordering::Acquire))
    }

    /// The sequence numbers a job must keep readable: live snapshots, ascending, then the newest state.
    pub fn snapshots_to_keep(&self) -> Vec<u64> {
        let snapshots = self.snapshots.lock();
        let mut kept = snapshots.sequences();
        let last = self.last_sequence.load(Ordering::Acquire);
        if kept.last() != Some(&last) {
            kept.push(last);
        }
        kept
    }

    /// Publishes the super version of the current memtables and version, and tells writers what they must heed. The old super
    /// version is returned, to be dropped outside of the mutex.
    #[must_use]
    pub fn publish(&self, state: &mut DbState) -> Arc<crate::column_family::super_version::SuperVersion> {
        let old = self
            .family
            .super_version
            .publish(state.memtables.super_version(state.versions.current().clone()));
        self.update_attention(state);
        old
    }

    /// Recomputes what writers must heed.
    pub fn update_attention(&self, state: &DbState) {
        let mut bits = 0;
        if state.versions.current().num_files(0) >= self.options.level0_slowdown_writes_trigger {
            bits |= attention::LEVEL0;
        }
        if self.is_closed() || state.failures.database.is_some() {
            bits |= attention::REFUSED;
        }
        self.attention.store(bits, Ordering::Release);
    }

    /// What stops a write or a flush request now, if anything.
    pub fn refusal(&self, state: &DbState) -> Result<()> {
        if self.is_closed() {
            return Err(self.closed_error());
        }
        match &state.failures.database {
            Some(failure) => Err(failure.to_error()),
            None => Ok(()),
        }
    }
}
