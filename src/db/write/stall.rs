//! Room for a write: delays writers when level 0 grows, switches a full memtable and its WAL, and waits for a
//! flush or a compaction only when it must.
//!
//! Thread rule: runs with the writer lock held. So there is one such waiter at a time, and no other thread
//! switches memtables.

use crate::column_family::super_version::SuperVersion;
use crate::db::background::errors::Severity;
use crate::db::shared::DbShared;
use crate::db::state::DbState;
use crate::db::wal_set::WalFile;
use crate::db::write::group::WriterState;
use crate::env::LogFileOptions;
use crate::error::{Error, Result};
use crate::format::column_family_id::ColumnFamilyId;
use crate::memtable::{Memtable, MemtableWriter};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How long a write is delayed while level 0 is at its slow-down trigger; at most once per write.
const SLOWDOWN_MICROS: u64 = 1000;

/// When `make_room` switches the memtable.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::db) enum Switch {
    /// If the active memtable is full.
    IfFull,
    /// In any case.
    Now,
}

/// The memtable that was full, and the super version in which it was the active one; to be dropped without
/// the state mutex.
#[must_use]
pub(in crate::db) struct Switched(#[allow(dead_code)] MemtableWriter, #[allow(dead_code)] Arc<SuperVersion>);

impl DbShared {
    /// Returns when the active memtable has room; with `Switch::Now`, when it has been switched.
    #[cold]
    pub(in crate::db) fn make_room(&self, writer: &mut WriterState, switch: Switch) -> Result<()> {
        let options = &self.families.default_family().options;
        let (mut switch, mut may_delay) = (switch, switch == Switch::IfFull);
        loop {
            let is_full = writer.memtable.memtable().approximate_memory_usage() > options.write_buffer_size;
            let mut state = self.state.lock();
            self.refusal(&state)?;
            if writer.wal.is_none() {
                return Err(self.closed_error());
            }
            let level0_files = state.versions.current(ColumnFamilyId::DEFAULT).num_files(0);
            if may_delay
                && level0_files >= options.level0_slowdown_writes_trigger
                && level0_files < options.level0_stop_writes_trigger
            {
                drop(state);
                self.compaction_waker.wake();
                self.env.sleep_micros(SLOWDOWN_MICROS);
                may_delay = false;
                continue;
            }
            if switch == Switch::IfFull && !is_full {
                return Ok(());
            }
            let waits_for_flush = self.has_most_memtables(&state);
            if waits_for_flush || self.is_level0_full(&state) {
                if let Some(error) = self.stall_error(&state) {
                    return Err(error);
                }
                if waits_for_flush {
                    state.families.default_family_mut().flush_policy.flush_at_once();
                }
                self.flush_waker.wake();
                self.compaction_waker.wake();
                self.wait_for_workers(&mut state);
                continue;
            }
            drop(state);
            self.switch_memtable_and_wal(writer)?;
            switch = Switch::IfFull;
        }
    }

    /// Must a memtable be flushed before another one may become immutable?
    fn has_most_memtables(&self, state: &DbState) -> bool {
        let max_number = self.families.default_family().options.max_write_buffer_number;
        state.families.default_family().memtables.immutables.len() + 1 >= max_number
    }

    /// Must level 0 be compacted before anything is added to it? It must if it has as many files as it may;
    /// or if it has enough files for a compaction, and the bytes of as many memtables as it may have files (a
    /// flush of several memtables makes few but large files). The output of that compaction needs as much
    /// space on disk.
    fn is_level0_full(&self, state: &DbState) -> bool {
        let options = &self.families.default_family().options;
        let version = state.versions.current(ColumnFamilyId::DEFAULT);
        let (files, max_files) = (version.num_files(0), options.level0_stop_writes_trigger);
        let max_bytes = (max_files as u64).saturating_mul(options.write_buffer_size as u64);
        files >= max_files
            || (files >= options.level0_file_num_compaction_trigger && version.level_bytes(0) >= max_bytes)
    }

    /// The error because of which a stalled write would wait without end, if there is one.
    fn stall_error(&self, state: &DbState) -> Option<Error> {
        if self.has_most_memtables(state)
            && let Some(failure) = state.errors.flush()
        {
            return Some(failure.to_error());
        }
        match self.is_level0_full(state) {
            true => self.compactions_are_stuck(state, ColumnFamilyId::DEFAULT),
            false => None,
        }
    }

    /// An empty memtable, if possible in memory that flushed memtables left. ENOMEM if there is none and no
    /// other memory.
    pub(in crate::db) fn new_memtable(&self) -> Result<(Arc<Memtable>, MemtableWriter)> {
        let family = self.families.default_family();
        let (comparator, size) = (family.comparator.clone(), family.options.write_buffer_size);
        Memtable::new(comparator, size, Some(self.memtable_store.clone()))
    }

    /// The options of new WAL files.
    pub(in crate::db) fn wal_options(&self) -> LogFileOptions {
        let expected_size = self.families.default_family().options.write_buffer_size as u64;
        LogFileOptions { mapped: self.options.mmap_wal, expected_size }
    }

    /// Switches to a new WAL and a new memtable; the flush worker flushes the full one. Both are made without
    /// the state mutex. If that fails, the old ones stay in use and nothing has changed.
    fn switch_memtable_and_wal(&self, writer: &mut WriterState) -> Result<()> {
        let memtable = self.new_memtable()?;
        let number = self.new_file_number();
        let Some(wal) = &mut writer.wal else { return Err(self.closed_error()) };
        wal.release_older(self.min_log_number.load(Ordering::Acquire));
        if let Err(error) = wal.rotate(number, writer.last_sequence) {
            if wal.poisoned().is_some() {
                self.record_background_error(&mut self.state.lock(), Severity::UntilReopened, &error);
            }
            return Err(error);
        }
        drop(self.switch_memtable(writer, number, memtable));
        self.flush_waker.wake();
        Ok(())
    }

    /// Makes `memtable` the active one. Its entries go to WAL `number`.
    pub(in crate::db) fn switch_memtable(
        &self,
        writer: &mut WriterState,
        number: u64,
        (memtable, memtable_writer): (Arc<Memtable>, MemtableWriter),
    ) -> Switched {
        let mut state = self.state.lock();
        let full = std::mem::replace(&mut writer.memtable, memtable_writer);
        state.wals.add(WalFile { number, begins_after: writer.last_sequence });
        let family = state.families.default_family_mut();
        family.memtables.rotate(memtable, number);
        family.flush_policy.memtable_switched(self.env.now());
        Switched(full, self.publish(ColumnFamilyId::DEFAULT, &mut state))
    }
}
