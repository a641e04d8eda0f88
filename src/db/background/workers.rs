//! The workers of a database: how they are woken, awaited and stopped.
//!
//! Threads belong to the process (`background/pool.rs`); an idle database has none. No caller waits
//! permanently because the system has no thread left: a caller that waits for background work then runs it
//! itself, one step at a time.

use crate::background::pool::Worker;
use crate::db::shared::DbShared;
use crate::db::state::DbState;
use crate::util::lock::MutexGuard;
use std::time::Duration;

/// How often a waiting caller checks whether there is a thread for the work.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

impl DbShared {
    /// Wakes the workers for which the open has left work.
    pub(in crate::db) fn wake_workers(&self) {
        let (is_flush_due, has_tables) = {
            let state = self.state.lock();
            let is_flush_due =
                state.has_immutables() || !state.info_lines.is_empty() || state.must_write_manifest();
            (is_flush_due, state.versions.live_files().next().is_some())
        };
        if is_flush_due {
            self.flush_waker.wake();
        }
        if has_tables {
            self.compaction_waker.wake();
        }
        if self.file_gc.has_work() {
            self.removal_waker.wake();
        }
    }

    /// Waits until the state has changed, or for `LOOK_AGAIN`, or runs a step of a worker that has no thread.
    /// The caller then looks at the state, and wakes the workers that it waits for, before it waits again.
    ///
    /// A thread that holds the writer's turn may call this. The one step that needs the turn itself
    /// (`replace_poisoned_wal`) runs only after a failed append. Only the holder of the turn records that
    /// failure, and then it does not wait here (`may_help`).
    pub(in crate::db) fn wait_for_workers(&self, state: &mut MutexGuard<'_, DbState>) {
        let may_help = state.errors.database().is_none() && !self.is_closed();
        if may_help && self.all_workers().into_iter().any(Worker::is_starved) {
            MutexGuard::unlocked(state, || self.help_workers());
        } else {
            self.state_changed.wait_for(state, LOOK_AGAIN);
        }
    }

    fn all_workers(&self) -> [&Worker; 3] {
        [&self.flush_waker, &self.compaction_waker, &self.removal_waker]
    }

    /// Runs a step of each worker for which the system has no thread. Was there any?
    pub(in crate::db) fn help_workers(&self) -> bool {
        self.all_workers().map(Worker::run_if_starved).contains(&true)
    }

    /// Stops the workers. When this returns, no step of this database runs, and none will run.
    pub(in crate::db) fn stop_workers(&self) {
        self.all_workers().into_iter().for_each(Worker::stop);
    }
}
