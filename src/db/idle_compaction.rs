//! Compacting while nobody writes.
//!
//! A database that comes to rest with a few files at level 0, fewer than the trigger, would look into each of them at every
//! read from then on. (LevelDB's seek compactions end that, and rewrite whole databases under reads.) So when no write has
//! come for a while, and nothing else is to be done, they are merged into level 1.
//!
//! This costs a write load that pauses again and again: what would have been merged once, with more files, is merged twice.
//! So idle compactions may write as much as a few memtables hold, and beyond that a thirty-second of what flushes and other
//! compactions have written.
//!
//! No clock ticks for it: the compaction worker that has nothing to do waits for its wake-up no longer than until the time
//! has come, and without an end where level 0 has nothing to merge.

use super::state::{DbInner, DbState};
use crate::compaction::compaction::Compaction;
use crate::compaction::picker;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// For how long nothing must have been written.
const QUIET: Duration = Duration::from_millis(100);

/// Memtables whose size idle compactions may write in any case.
const FREE_MEMTABLES: u64 = 8;

/// The part of all bytes written that idle compactions may write.
const SHARE: u64 = 32;

/// What is known of the rest the database is in; under the state mutex.
#[derive(Default)]
pub struct Idle {
    /// Since when, and at which last sequence number, there has been nothing to do but what can wait.
    pub(super) since: Option<(Instant, u64)>,
    /// Bytes that idle compactions have written.
    pub bytes_written: u64,
}

impl DbInner {
    /// The compaction that may be run because no write has come for a while.
    pub(super) fn pick_idle(&self, state: &mut DbState, now: Instant) -> Option<Compaction> {
        let since = state.idle.since.take();
        let compaction = self.mergeable_at_rest(state)?;
        let sequence = self.last_sequence.load(Ordering::Acquire);
        match since {
            Some((since, then)) if then == sequence => {
                if now >= since + QUIET {
                    return Some(compaction);
                }
                state.idle.since = Some((since, sequence));
            }
            _ => state.idle.since = Some((now, sequence)),
        }
        None
    }

    /// How long it is until it is worth asking again; `None`: only something that happens makes it so.
    pub(super) fn time_to_idle_compaction(&self, state: &DbState) -> Option<Duration> {
        let (since, _) = state.idle.since?;
        Some((since + QUIET).saturating_duration_since(Instant::now()))
    }

    fn mergeable_at_rest(&self, state: &DbState) -> Option<Compaction> {
        let is_at_rest = state.running.is_empty()
            && state.manual.is_empty()
            && state.memtables.immutables.is_empty()
            && state.failures.worst().is_none();
        if !is_at_rest {
            return None;
        }
        let compaction = picker::pick_idle(state.versions.current(), &self.picker_options(&state.running))?;
        let written: u64 = state.stats.iter().map(|level| level.bytes_written).sum();
        let allowed = FREE_MEMTABLES * self.options.write_buffer_size as u64 + written / SHARE;
        (state.idle.bytes_written.saturating_add(compaction.input_bytes()) <= allowed).then_some(compaction)
    }
}
