//! Room for a write: delays writers when level 0 grows, switches a full memtable and its WAL, and waits for a
//! flush or a compaction only when it must.
//!
//! Thread rule: runs with the writer lock held. So there is one such waiter at a time, and no other thread
//! switches memtables.

use crate::column_family::ColumnFamily;
use crate::column_family::super_version::SuperVersion;
use crate::db::background::errors::Severity;
use crate::db::family::{FamilyRef, FamilyState};
use crate::db::shared::DbShared;
use crate::db::state::DbState;
use crate::db::wal_set::WalFile;
use crate::db::write::group::{FamilyWriter, WriterState};
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

/// The memtables that were full, and the super versions in which they were the active ones; to be dropped
/// without the state mutex.
#[must_use]
#[derive(Default)]
pub(in crate::db) struct Switched(Vec<(Box<MemtableWriter>, Arc<SuperVersion>)>);

/// An empty memtable.
pub(in crate::db) type NewMemtable = (Arc<Memtable>, Box<MemtableWriter>);

impl DbShared {
    /// Returns when the active memtable of the family has room; with `Switch::Now`, when it has been
    /// switched.
    #[cold]
    pub(in crate::db) fn make_room(
        &self,
        writer: &mut WriterState,
        id: ColumnFamilyId,
        switch: Switch,
    ) -> Result<()> {
        let family = self.family_of_writer(writer, id)?.family.clone();
        let family = family.or(&self.default_family);
        let options = &family.options;
        let (mut switch, mut may_delay) = (switch, switch == Switch::IfFull);
        loop {
            let memtable = self.family_of_writer(writer, id)?.memtable.memtable();
            let is_full = memtable.approximate_memory_usage() > options.write_buffer_size;
            let mut state = self.state.lock();
            self.refusal(&state)?;
            if writer.wal.is_none() {
                return Err(self.closed_error());
            }
            family.check_alive()?;
            let level0_files = state.versions.current(id).num_files(0);
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
            let waits_for_flush = has_most_memtables(&state, family);
            if waits_for_flush || is_level0_full(&state, family) {
                if let Some(error) = self.stall_error(&state, family) {
                    return Err(error);
                }
                if waits_for_flush {
                    state.families[id].flush_policy.flush_at_once();
                }
                self.flush_waker.wake();
                self.compaction_waker.wake();
                self.wait_for_workers(&mut state);
                continue;
            }
            drop(state);
            self.switch_memtable_and_wal(writer, family)?;
            switch = Switch::IfFull;
        }
    }

    /// What the writer has of a family. InvalidArgument if the family was dropped.
    #[inline]
    pub(in crate::db) fn family_of_writer<'a>(
        &self,
        writer: &'a WriterState,
        id: ColumnFamilyId,
    ) -> Result<&'a FamilyWriter> {
        writer.families.get(id).ok_or_else(|| no_such_family(id))
    }

    /// The error because of which a stalled write would wait without end, if there is one.
    fn stall_error(&self, state: &DbState, family: &ColumnFamily) -> Option<Error> {
        if has_most_memtables(state, family)
            && let Some(failure) = state.errors.flush()
        {
            return Some(failure.to_error());
        }
        match is_level0_full(state, family) {
            true => self.compactions_are_stuck(state, family.id),
            false => None,
        }
    }

    /// An empty memtable, if possible in memory that flushed memtables left. ENOMEM if there is none and no
    /// other memory.
    pub(in crate::db) fn new_memtable(&self, family: &ColumnFamily) -> Result<NewMemtable> {
        let (comparator, size) = (family.comparator.clone(), family.options.write_buffer_size);
        let (memtable, writer) = Memtable::new(comparator, size, Some(self.memtable_store.clone()))?;
        Ok((memtable, Box::new(writer)))
    }

    /// The options of new WAL files.
    pub(in crate::db) fn wal_options(&self) -> LogFileOptions {
        let expected_size = self.default_family.options.write_buffer_size as u64;
        LogFileOptions { mapped: self.options.mmap_wal, expected_size }
    }

    /// Switches to a new WAL, and to a new memtable of the family, and of the families that keep the WALs
    /// above their limit; the flush worker flushes the full ones. All are made without the state mutex. If
    /// that fails, the old ones stay in use and nothing has changed.
    fn switch_memtable_and_wal(&self, writer: &mut WriterState, family: &ColumnFamily) -> Result<()> {
        let pinning = self.families_that_pin_wals(writer, Some(family.id));
        let mut memtables = vec![(family.id, self.new_memtable(family)?)];
        for other in &pinning {
            let other = other.or(&self.default_family);
            memtables.push((other.id, self.new_memtable(other)?));
        }
        self.switch_wal(writer, memtables)?;
        if !pinning.is_empty() {
            let mut state = self.state.lock();
            for other in &pinning {
                if let Some(family) = state.families.get_mut(other.or(&self.default_family).id) {
                    family.flush_policy.flush_at_once();
                }
            }
        }
        self.flush_waker.wake();
        Ok(())
    }

    /// Switches the memtables of the families that keep the WALs above their limit, if there are any.
    #[cold]
    #[inline(never)]
    pub(in crate::db) fn keep_wals_within_limit(&self, writer: &mut WriterState) -> Result<()> {
        let pinning = self.families_that_pin_wals(writer, None);
        match pinning.first() {
            Some(first) => self.switch_memtable_and_wal(writer, first.or(&self.default_family)),
            None => Ok(()),
        }
    }

    /// The families, but for `except`, that keep the oldest WAL, if all WALs together exceed their limit. A
    /// family that has an immutable memtable is left out: its flush is on the way.
    fn families_that_pin_wals(
        &self,
        writer: &mut WriterState,
        except: Option<ColumnFamilyId>,
    ) -> Vec<FamilyRef> {
        let Some(wal) = writer.wal.as_ref().filter(|_| writer.families.has_several()) else {
            return Vec::new();
        };
        let state = self.state.lock();
        let limit = self.max_total_wal_size(&state);
        let size = wal.file_size();
        let excess = (state.wals.bytes() + size).checked_sub(limit);
        writer.wal_check_at = size + excess.map_or_else(|| limit - state.wals.bytes() - size, |_| limit / 8);
        let oldest = state.families.iter().map(|(_, family)| family.memtables.oldest_needed_log()).min();
        let pins = |(id, family): &(ColumnFamilyId, &FamilyState)| {
            let memtables = &family.memtables;
            Some(*id) != except
                && !memtables.active.is_empty()
                && memtables.immutables.is_empty()
                && Some(memtables.active_log_number) == oldest
        };
        match excess {
            Some(_) => state.families.iter().filter(pins).map(|(_, family)| family.family.clone()).collect(),
            None => Vec::new(),
        }
    }

    /// How many bytes all WALs together may have before a family that keeps them is flushed.
    pub(in crate::db) fn max_total_wal_size(&self, state: &DbState) -> u64 {
        if self.options.max_total_wal_size > 0 {
            return self.options.max_total_wal_size;
        }
        let of_family = |family: &FamilyState| {
            let options = &family.family.or(&self.default_family).options;
            (options.write_buffer_size as u64).saturating_mul(options.max_write_buffer_number as u64)
        };
        let sum = state.families.iter().fold(0u64, |sum, (_, family)| sum.saturating_add(of_family(family)));
        sum.saturating_mul(MEMTABLES_IN_WALS)
    }

    /// Starts a new WAL, unless the current one is empty, and makes `memtables` the active ones.
    fn switch_wal(
        &self,
        writer: &mut WriterState,
        memtables: Vec<(ColumnFamilyId, NewMemtable)>,
    ) -> Result<()> {
        let has_several = writer.families.has_several();
        let Some(wal) = &mut writer.wal else { return Err(self.closed_error()) };
        wal.release_older(self.min_log_number.load(Ordering::Acquire));
        let size = wal.file_size();
        let mut number = wal.number();
        if size > 0 || !has_several {
            number = self.new_file_number();
            if let Err(error) = wal.rotate(number, writer.last_sequence) {
                if wal.poisoned().is_some() {
                    self.record_background_error(&mut self.state.lock(), Severity::UntilReopened, &error);
                }
                return Err(error);
            }
        }
        drop(self.switch_memtables(writer, (number, size), memtables));
        Ok(())
    }

    /// Makes `memtables` the active ones. Entries go to WAL `number` from now on; the WAL before it, if it is
    /// another one, has `size` bytes.
    pub(in crate::db) fn switch_memtables(
        &self,
        writer: &mut WriterState,
        (number, size): (u64, u64),
        memtables: Vec<(ColumnFamilyId, NewMemtable)>,
    ) -> Switched {
        let now = self.env.now();
        let mut state = self.state.lock();
        if state.wals.newest() < number {
            state.wals.add(WalFile { number, begins_after: writer.last_sequence, size: 0 }, size);
        }
        let mut switched = Switched::default();
        for (id, (memtable, memtable_writer)) in memtables {
            let (Some(family), Some(of_writer)) = (state.families.get_mut(id), writer.families.get_mut(id))
            else {
                continue; // dropped meanwhile
            };
            let full = std::mem::replace(&mut of_writer.memtable, memtable_writer);
            family.memtables.rotate(memtable, number);
            family.flush_policy.memtable_switched(now);
            switched.0.push((full, self.publish(id, &mut state)));
        }
        if state.families.has_several() {
            state.families.iter_mut().for_each(|(_, family)| family.memtables.wal_switched(number));
        }
        switched
    }
}

/// The WALs of several families may have so many times the bytes of all their memtables, unless an option
/// says otherwise. (As in RocksDB.)
const MEMTABLES_IN_WALS: u64 = 4;

/// The error of a write to a family that is not there.
#[cold]
pub(in crate::db) fn no_such_family(id: ColumnFamilyId) -> Error {
    Error::invalid_argument(format!(
        "the database has no column family with the number {}; it may have been dropped",
        id.0
    ))
}

/// Must a memtable of the family be flushed before another one may become immutable?
fn has_most_memtables(state: &DbState, family: &ColumnFamily) -> bool {
    state.families[family.id].memtables.immutables.len() + 1 >= family.options.max_write_buffer_number
}

/// Must level 0 be compacted before anything is added to it? It must if it has as many files as it may; or if
/// it has enough files for a compaction, and the bytes of as many memtables as it may have files (a flush of
/// several memtables makes few but large files). The output of that compaction needs as much space on disk.
fn is_level0_full(state: &DbState, family: &ColumnFamily) -> bool {
    let options = &family.options;
    let version = state.versions.current(family.id);
    let (files, max_files) = (version.num_files(0), options.level0_stop_writes_trigger);
    let max_bytes = (max_files as u64).saturating_mul(options.write_buffer_size as u64);
    files >= max_files
        || (files >= options.level0_file_num_compaction_trigger && version.level_bytes(0) >= max_bytes)
}
