//! Room for a write: slows writers down when level 0 grows, rotates a full memtable and its log, and waits for a flush or a
//! compaction only when it must.
//!
//! Runs with the writer lock held, so there is one such waiter at a time, and nobody else rotates.

use super::state::{DbInner, DbState, LogFile};
use super::write_group::WriterState;
use crate::error::Result;
use crate::memtable::memtable::{Memtable, MemtableWriter};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// How long a write is delayed while level 0 is at its slow-down trigger; once a write.
const SLOWDOWN_MICROS: u64 = 1000;

impl DbInner {
    /// Returns when the active memtable has room; with `force`, when it has been rotated.
    #[cold]
    pub(super) fn make_room(&self, writer: &mut WriterState, force: bool) -> Result<()> {
        let mut force = force;
        let mut may_delay = !force;
        loop {
            let is_full =
                writer.memtable.memtable().approximate_memory_usage() > self.options.write_buffer_size;
            let mut state = self.state.lock();
            self.refusal(&state)?;
            if writer.wal.is_none() {
                return Err(self.closed_error());
            }
            let level0_files = state.versions.current().num_files(0);
            if may_delay
                && level0_files >= self.options.level0_slowdown_writes_trigger
                && level0_files < self.options.level0_stop_writes_trigger
            {
                drop(state);
                self.compaction_waker.wake();
                self.env.sleep_micros(SLOWDOWN_MICROS);
                may_delay = false;
                continue;
            }
            if !force && !is_full {
                return Ok(());
            }
            let waits_for_flush =
                state.memtables.immutables.len() + 1 >= self.options.max_write_buffer_number;
            let waits_for_compaction = self.is_level0_full(&state);
            if waits_for_flush || waits_for_compaction {
                let flush = state.failures.flush.as_ref().filter(|_| waits_for_flush);
                let failure = flush.map(|failure| failure.to_error());
                let stuck = || waits_for_compaction.then(|| self.compactions_are_stuck(&state)).flatten();
                if let Some(error) = failure.or_else(stuck) {
                    return Err(error);
                }
                if waits_for_flush {
                    state.flush_due.hurry();
                }
                self.flush_waker.wake();
                self.compaction_waker.wake();
                self.wait_for_workers(&mut state);
                continue;
            }
            drop(state);
            self.rotate(writer)?;
            force = false;
        }
    }

    /// Must level 0 be compacted before anything is added to it? It has as many files as it may, or the bytes of as many memtables
    /// (tables of several are few), and a compaction is due or runs. Its output needs as much space on disk.
    fn is_level0_full(&self, state: &DbState) -> bool {
        let (version, options) = (state.versions.current(), &self.options);
        let (files, most) = (version.num_files(0), options.level0_stop_writes_trigger);
        let most_bytes = (most as u64).saturating_mul(options.write_buffer_size as u64);
        files >= most
            || (files >= options.level0_file_num_compaction_trigger && version.level_bytes(0) >= most_bytes)
    }

    /// An empty memtable, of memory that flushed ones left. ENOMEM: there is none, nor other memory.
    pub(super) fn new_memtable(&self) -> Result<(Arc<Memtable>, MemtableWriter)> {
        let (comparator, size) = (self.family.comparator.clone(), self.options.write_buffer_size);
        Memtable::with_store(comparator, size, &self.memtable_store)
    }

    /// A new log and a new memtable; the full one is handed to the flush worker. They are made outside of the mutex; if
    /// that fails, the old ones stay in use and nothing has changed.
    fn rotate(&self, writer: &mut WriterState) -> Result<()> {
        let (memtable, memtable_writer) = self.new_memtable()?;
        let number = self.new_file_number();
        let Some(wal) = &mut writer.wal else { return Err(self.closed_error()) };
        wal.release_older(self.min_log_number.load(Ordering::Acquire));
        if let Err(error) = wal.rotate(number, writer.last_sequence) {
            if wal.poisoned().is_some() {
                let mut state = self.state.lock();
                self.record_background_error(
                    &mut state,
                    super::background_error::Severity::UntilReopened,
                    &error,
                );
            }
            return Err(error);
        }
        let mut state = self.state.lock();
        let full = std::mem::replace(&mut writer.memtable, memtable_writer);
        state.logs.push(LogFile { number, begins_after: writer.last_sequence });
        state.memtables.rotate(memtable, number);
        state.flush_due.rotated(Instant::now());
        let old = self.publish(&mut state);
        drop(state);
        drop((full, old));
        self.flush_waker.wake();
        Ok(())
    }
}
