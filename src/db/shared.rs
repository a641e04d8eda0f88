//! The parts of an open database.
//!
//! ```text
//! DbShared      fixed, or atomic: read by every thread
//!   writer      WriteQueue: the WAL and the right to write to the memtables, for the writer whose turn it is
//!   snapshots   Mutex: the sequence numbers that must stay readable
//!   state       Mutex<DbState>: everything else that changes
//! ```
//!
//! Order of locks: `families_turn`, then `writer`, then `file_gc.turn`, then `state`. `snapshots` and the
//! other locks of `file_gc` are innermost. Nothing waits for I/O while it holds `state`. A writer that must
//! wait for a flush holds `writer` and waits on `state_changed`, which releases `state`.

use crate::background::pool::Worker;
use crate::column_family::ColumnFamily;
use crate::column_family::super_version::SuperVersion;
use crate::compaction::context::PickerOptions;
use crate::comparator::is_inside_comparator;
use crate::db::background::file_gc::FileGc;
use crate::db::family::FamilyState;
use crate::db::read::snapshot_list::SnapshotList;
use crate::db::state::DbState;
use crate::db::write::group::{WriteQueue, WriterState};
use crate::env::Env;
use crate::env::info_log::Logger;
use crate::error::{Error, Result};
use crate::format::column_family_id::ColumnFamilyId;
use crate::options::DbOptions;
use crate::table::open_tables::OpenTables;
use crate::util::arena::blocks::BlockStore;
use crate::util::fork::ProcessGeneration;
use crate::util::lock::{Condvar, Mutex};
use crate::util::sync::CachePadded;
use crate::wal::older_logs::OlderLogs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// The shared part of an open database. Handles, iterators and snapshots hold it; workers have a weak
/// reference.
pub struct DbShared {
    /// The sanitized options of the whole database.
    pub options: DbOptions,
    /// The directory, as it was given to `open`.
    pub path: PathBuf,
    /// Files, clocks and threads. Paths lead into the held directory, if the environment can hold one.
    pub env: Arc<dyn Env>,
    /// The file LOG, or the user's logger.
    pub info_log: Arc<dyn Logger>,
    /// The fixed part of the default family. Those of the others are with their states.
    pub default_family: ColumnFamily,
    /// Set if some family has a user's comparator, which may be running when the library is called.
    pub has_user_comparator: AtomicBool,
    /// A number that no other database of the process has.
    pub identity: u64,
    /// The open tables of all families.
    pub open_tables: Arc<OpenTables>,
    /// Memory of flushed memtables, kept for the next ones.
    pub memtable_store: Arc<BlockStore>,
    /// The newest sequence number that reads may see. Stored (release) by the writer after its entries are in
    /// the memtable.
    pub last_sequence: CachePadded<AtomicU64>,
    /// The next file number; running jobs take numbers from it too.
    pub next_file_number: AtomicU64,
    /// The number of the oldest WAL that recovery would need. Writers close older ones.
    pub min_log_number: AtomicU64,
    /// Bits of [`write_gate`]: reasons for a writer to lock the state before it writes.
    pub write_gate: AtomicU32,
    /// Set by close, before it does anything else. Jobs stop when it is set.
    pub closed: AtomicBool,
    /// The process that opened the database. A child of that process may use only the fields that never
    /// change.
    pub process: ProcessGeneration,
    /// The state of the one writer, and the writers that wait for their turn.
    pub writer: WriteQueue<WriterState>,
    /// Live snapshots.
    pub snapshots: Mutex<SnapshotList>,
    /// The smallest sequence number at which some table that is mostly tombstones becomes compactable;
    /// `u64::MAX`: there is no such table. Releasing a snapshot wakes the compaction worker only if the
    /// oldest live snapshot then reaches it.
    pub tombstones_droppable_at: AtomicU64,
    /// Serializes the creation and the dropping of families. Comes before all other locks.
    pub families_turn: Mutex<()>,
    /// Everything else that changes, under the state mutex.
    pub state: Mutex<DbState>,
    /// Notified after every change of `state` that another thread may wait for.
    pub state_changed: Condvar,
    /// Obsolete files, and tables to be closed.
    pub file_gc: FileGc,
    /// Replaced WALs that are still open.
    pub older_logs: Arc<OlderLogs>,
    /// Wakes the flush worker, which also writes the pending lines to LOG.
    pub flush_waker: Worker,
    /// Wakes the compaction worker.
    pub compaction_waker: Worker,
    /// Wakes the worker that removes obsolete files.
    pub removal_waker: Worker,
    /// What recovery found wrong in WALs (damage is skipped), and the WALs that are in `lost/`.
    pub recovery_damage: Vec<Error>,
}

impl DbShared {
    /// A number for `DbShared::identity`.
    pub fn new_identity() -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }
}

/// Bits of `DbShared::write_gate`.
pub mod write_gate {
    /// Level 0 of some family has reached the number of files at which writes are slowed down.
    pub const LEVEL0: u32 = 1;
    /// Writes are refused: the database has failed or is closed.
    pub const REFUSED: u32 = 2;
    /// The recovered state is not durable yet: a synced write waits until it is. See `RecoveryDebt`.
    pub const RECOVERY_DEBT: u32 = 4;

    /// The bits that a write must react to.
    #[inline]
    pub const fn of(sync: bool) -> u32 {
        if sync { LEVEL0 | REFUSED | RECOVERY_DEBT } else { LEVEL0 | REFUSED }
    }
}

impl DbShared {
    /// Is the database closed or closing?
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Fails in a child of the process that opened the database: there, locks may be held by threads that the
    /// child does not have, and files and buffers are the parent's. Every public operation checks this first.
    #[inline]
    pub fn check_process(&self) -> Result<()> {
        if self.process.is_current() { Ok(()) } else { Err(self.forked_error()) }
    }

    /// Fails in a child process, and inside of a user's comparator, which may run while locks of the database
    /// are held. For operations that take those locks or wait.
    #[inline]
    pub fn check_caller(&self) -> Result<()> {
        self.check_process()?;
        if self.is_inside_comparator() { Err(self.reentered_error()) } else { Ok(()) }
    }

    /// May the calling thread hold locks of this database, because it is inside of a comparator?
    #[inline]
    pub fn is_inside_comparator(&self) -> bool {
        self.has_user_comparator.load(Ordering::Relaxed) && is_inside_comparator()
    }

    /// The error of an operation inside of a comparator.
    #[cold]
    pub fn reentered_error(&self) -> Error {
        Error::invalid_argument(format!(
            "{}: called from within a comparator, which may read a database but do nothing else with it",
            self.path.display()
        ))
    }

    /// The error of an operation in a child process.
    #[cold]
    pub fn forked_error(&self) -> Error {
        Error::io(format!(
            "{}: the database was opened by the parent of this process, and is used after fork; only the parent can use it",
            self.path.display()
        ))
    }

    /// The error of an operation on a closed database.
    #[cold]
    pub fn closed_error(&self) -> Error {
        Error::io(format!("{}: the database is closed", self.path.display()))
    }

    /// Is the recovered state durable? See `RecoveryDebt`.
    pub fn is_recovery_settled(&self) -> bool {
        self.write_gate.load(Ordering::Acquire) & write_gate::RECOVERY_DEBT == 0
    }

    /// Takes the next file number, which no file of this database has had.
    pub fn new_file_number(&self) -> u64 {
        self.next_file_number.fetch_add(1, Ordering::Relaxed)
    }

    /// The limits, the oldest snapshot and the compactions in progress of a family, for the picker.
    /// Tombstones that a snapshot may still need do not count as droppable.
    pub fn picker_options<'a>(&self, family: ColumnFamilyId, state: &'a DbState) -> PickerOptions<'a> {
        let of_family = &state.families[family];
        let options = &of_family.family.or(&self.default_family).options;
        PickerOptions {
            level0_file_num_compaction_trigger: options.level0_file_num_compaction_trigger,
            max_bytes_for_level_base: options.max_bytes_for_level_base,
            max_file_size: options.max_file_size as u64,
            oldest_snapshot: self.oldest_snapshot(),
            in_progress: &of_family.in_progress,
            rewritten_from: u64::MAX,
        }
    }

    /// The sequence number of the oldest state that must stay readable: of the oldest snapshot, or else the
    /// newest state.
    pub fn oldest_snapshot(&self) -> u64 {
        let snapshots = self.snapshots.lock();
        snapshots.oldest().unwrap_or_else(|| self.last_sequence.load(Ordering::Acquire))
    }

    /// The sequence numbers that a job must keep readable: live snapshots, ascending, then the newest state.
    pub fn snapshots_to_keep(&self) -> Vec<u64> {
        let snapshots = self.snapshots.lock();
        let mut kept = snapshots.sequences();
        let last = self.last_sequence.load(Ordering::Acquire);
        if kept.last() != Some(&last) {
            kept.push(last);
        }
        kept
    }

    /// Publishes the super version of a family's current memtables and version, and recomputes the write
    /// gate. Returns the old super version, which the caller drops without the state mutex.
    #[must_use]
    pub fn publish(&self, family: ColumnFamilyId, state: &mut DbState) -> Arc<SuperVersion> {
        let version = state.versions.current(family).clone();
        let of_family = &state.families[family];
        let super_version = of_family.memtables.super_version(version);
        let old = of_family.family.or(&self.default_family).super_version.publish(super_version);
        self.update_write_gate(state);
        old
    }

    /// Recomputes the bits that writers react to.
    pub fn update_write_gate(&self, state: &DbState) {
        let mut bits = 0;
        let is_level0_large = |(id, of_family): (ColumnFamilyId, &FamilyState)| {
            let options = &of_family.family.or(&self.default_family).options;
            state.versions.current(id).num_files(0) >= options.level0_slowdown_writes_trigger
        };
        if state.families.iter().any(is_level0_large) {
            bits |= write_gate::LEVEL0;
        }
        if self.is_closed() || state.errors.database().is_some() {
            bits |= write_gate::REFUSED;
        }
        if state.debt.is_some() {
            bits |= write_gate::RECOVERY_DEBT;
        }
        self.write_gate.store(bits, Ordering::Release);
    }

    /// The error that a write or a flush request must return now, if there is one.
    pub fn refusal(&self, state: &DbState) -> Result<()> {
        if self.is_closed() {
            return Err(self.closed_error());
        }
        match state.errors.database() {
            Some(failure) => Err(failure.to_error()),
            None => Ok(()),
        }
    }
}
