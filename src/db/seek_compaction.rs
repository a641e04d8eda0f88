//! Compacting what reads look into in vain.
//!
//! A read that must look into files of several levels costs as much more, for ever, where nobody writes any more. (Filters spare most
//! point reads that, and charge a sixteenth for it; scans and seeks they do not.) So a file that was read in vain too often
//! (`charge_seek`) is merged into the next level, together with neighbours that nearly were: a database that is only read ends with
//! one level.
//!
//! It comes behind all other work, and never into the way of writers: not while memtables fill quickly or one waits to be flushed,
//! for level 0 would fill while a worker is busy with this. And it is bounded: in one life of the database, it rewrites as many
//! bytes as the database has, and beyond that no more than everything else has written; a database that is read all
//! the time and written a little is not rewritten again and again.

use super::state::{DbInner, DbState};
use crate::compaction::compaction::Compaction;
use crate::compaction::picker;
use crate::version::file_metadata::FileMetaData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The last memtable that was full must be older than this.
const QUIET: Duration = Duration::from_millis(500);

/// What is known of files that are read in vain; under the state mutex.
#[derive(Default)]
pub struct Seeks {
    /// A file that reads went into in vain too often, and its level.
    pub candidate: Option<(usize, Arc<FileMetaData>)>,
    /// Bytes that compactions for seeks have written.
    pub bytes_written: u64,
}

impl DbInner {
    /// A read went into `file` in vain; when that has happened too often, the file is compacted.
    #[cold]
    pub(super) fn charge_seek(&self, level: usize, file: Arc<FileMetaData>) {
        if !file.charge_seek() || self.is_inside_comparator() {
            return;
        }
        let mut state = self.state.lock();
        if state.seeks.candidate.is_none() {
            state.seeks.candidate = Some((level, file));
            drop(state);
            self.compaction_waker.wake();
        }
    }

    /// The compaction that reads make worth while, if writers leave time for it. Else the candidate stays one.
    pub(super) fn pick_seek(&self, state: &mut DbState, now: Instant) -> Option<Compaction> {
        if !self.time_to_seek_compaction(state, now)?.is_zero() {
            return None;
        }
        let (level, file) = state.seeks.candidate.take()?;
        let options = self.picker_options(&state.running);
        let compaction = picker::pick_seek(state.versions.current(), &options, level, &file)
            .filter(|compaction| may_write(state, compaction));
        if compaction.is_none() {
            file.forgive_seeks(); // it is not asked for again at every other read
        }
        compaction
    }

    /// How long it is until a candidate may be compacted; `None`: there is none, or the flush that it waits for tells.
    pub(super) fn time_to_seek_compaction(&self, state: &DbState, now: Instant) -> Option<Duration> {
        let is_waiting = state.seeks.candidate.is_some() && state.memtables.immutables.is_empty();
        is_waiting.then(|| (state.flush_due.last_rotation() + QUIET).saturating_duration_since(now))
    }
}

/// Does this compaction stay within the bound?
fn may_write(state: &DbState, compaction: &Compaction) -> bool {
    let version = state.versions.current();
    let size: u64 = (0..version.levels.len()).map(|level| version.level_bytes(level)).sum();
    let written: u64 = state.stats.iter().map(|level| level.bytes_written).sum();
    let by_others = written.saturating_sub(state.seeks.bytes_written);
    state.seeks.bytes_written.saturating_add(compaction.input_bytes()) <= size.saturating_add(by_others)
}
