//! Why background work or writes have stopped, and what ends that.
//!
//! Three things fail apart: flushes, compactions, and the database itself (its MANIFEST, its log, the engine). Each keeps its
//! first error and the time of its next try, and only its own success ends it: a flush that went well says nothing of a
//! compaction that can't read its input. Reads always go on.
//!
//! Damage in a table, or a compression that is not understood here, does not go away by trying again, and must not keep all others from being compacted. The table is set
//! aside: it is marked as if it were being compacted, so that nothing picks it, and the rest goes on. It is tried again after a
//! minute, then ever less often, at most once an hour; at once when a range over it is to be compacted, or by `Db::resume`.
//!
//! Nothing is logged here: it would be done with the state mutex held, and a logger may be the user's, and ask the
//! database something. The lines wait in the state for the flush worker.

use super::state::{DbInner, DbState};
use crate::compaction::compaction::Compaction;
use crate::error::Error;
use crate::format::file_name::{self, FileType};
use crate::version::file_metadata::FileMetaData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What failed, which decides what can cure it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// A flush or a compaction failed and is tried again, ever less often. Writes go on until they would have to wait for it;
    /// then they fail with this error. (A table in which a compaction finds damage is left where it is; the others go on.)
    Retrying,
    /// The MANIFEST could not be written: writes are refused until a new one is; retried with growing delays.
    Manifest,
    /// The log could not be extended (the disk is full, say), and may hold a part of a record: writes are refused until what it
    /// holds is in a table and the MANIFEST names a new log; retried with growing delays.
    ReplaceLog,
    /// The log could not be synced, or the engine itself failed: writes are refused until the database is opened again.
    UntilReopened,
}

/// The error that background work or writes have stopped with.
#[derive(Clone, Debug)]
pub struct BackgroundError {
    /// The first error of this severity.
    pub error: Error,
    /// What ends it.
    pub severity: Severity,
    /// When it happened, by the env's clock.
    pub since_micros: u64,
    /// Retries so far.
    pub retries: u32,
    /// When it is tried again. (Not by the env's clock: a worker waits for it on its channel.)
    retry_at: Instant,
}

impl BackgroundError {
    /// One that nothing done in this process ends.
    pub(super) fn for_ever(error: Error) -> Self {
        let retry_at = Instant::now();
        BackgroundError { error, severity: Severity::UntilReopened, since_micros: 0, retries: 0, retry_at }
    }

    /// Will background work be tried again?
    pub fn is_retried(&self) -> bool {
        self.severity < Severity::UntilReopened
    }

    /// What a refused write is told.
    pub fn to_error(&self) -> Error {
        match self.severity {
            Severity::Retrying | Severity::Manifest | Severity::ReplaceLog => self.error.clone(),
            Severity::UntilReopened => {
                self.error.context("writes are refused until the database is reopened")
            }
        }
    }

    /// How long after a failure the next try comes: 10 ms, doubled each time, at most 5 s.
    fn backoff(&self) -> Duration {
        Duration::from_millis((10u64 << self.retries.min(16)).min(5_000))
    }

    /// The same for tables set aside, which cost the reading and writing of a whole compaction each time.
    fn backoff_of_damage(&self) -> Duration {
        Duration::from_secs((60u64 << self.retries.min(16)).min(3_600))
    }

    /// How long it is until the next try; `None`: now.
    pub(super) fn time_to_retry(&self) -> Option<Duration> {
        self.retry_at.checked_duration_since(Instant::now()).filter(|time| !time.is_zero())
    }
}

/// What fails now.
#[derive(Default)]
pub struct Failures {
    /// Of the flush worker.
    pub(super) flush: Option<BackgroundError>,
    /// Of the compaction workers.
    pub(super) compaction: Option<BackgroundError>,
    /// The level whose compaction failed first.
    compaction_level: usize,
    /// Tables in which compactions found damage, or what they do not understand, set aside until the next try.
    damaged: Vec<Arc<FileMetaData>>,
    /// Until the next try nothing is compacted but what is asked for: what failed last was not the fault of single tables.
    pub(super) pauses_compactions: bool,
    /// Of the database: writes are refused.
    pub(super) database: Option<BackgroundError>,
    /// How many there were.
    pub(super) count: u64,
}

impl Failures {
    /// The worst that fails now.
    pub fn worst(&self) -> Option<&BackgroundError> {
        self.database.as_ref().or(self.flush.as_ref()).or(self.compaction.as_ref())
    }

    /// What of the database has failed, if anything.
    pub(super) fn database_severity(&self) -> Option<Severity> {
        self.database.as_ref().map(|kept| kept.severity)
    }

    /// Lets everything be tried at once.
    pub(super) fn retry_now(&mut self) {
        self.release_damaged();
        for kept in [&mut self.flush, &mut self.compaction, &mut self.database].into_iter().flatten() {
            kept.retries = 0;
            kept.retry_at = Instant::now();
        }
    }

    /// Lets damaged tables be picked again. Were there any?
    pub(super) fn release_damaged(&mut self) -> bool {
        let any = !self.damaged.is_empty();
        self.damaged.drain(..).for_each(|file| file.set_being_compacted(false));
        any
    }

    /// Sets the input aside that this error, of a compaction that has ended, says is damaged or not understood; its number.
    fn set_aside(&mut self, compaction: &Compaction, error: &Error) -> Option<u64> {
        let name = error.path().filter(|_| error.is_unreadable_block())?.file_name()?;
        let FileType::Table(number) = file_name::parse(name)? else { return None };
        let file = compaction.inputs.iter().flatten().find(|file| file.number == number)?;
        file.set_being_compacted(true);
        self.damaged.push(file.clone());
        Some(number)
    }
}

impl DbInner {
    /// Notes that the MANIFEST, the log or the engine has failed.
    pub(super) fn record_background_error(&self, state: &mut DbState, severity: Severity, error: &Error) {
        self.note_failure(state, severity, error, |failures| &mut failures.database);
        self.update_attention(state);
    }

    /// Notes that a flush has failed; it is tried again.
    pub(super) fn flush_failed(&self, state: &mut DbState, error: &Error) {
        self.note_failure(state, Severity::Retrying, error, |failures| &mut failures.flush);
    }

    /// Notes that a compaction, whose inputs are free again, has failed; it is tried again.
    pub(super) fn compaction_failed(&self, state: &mut DbState, compaction: &Compaction, error: &Error) {
        if state.failures.compaction.is_none() {
            state.failures.compaction_level = compaction.level;
        }
        self.note_failure(state, Severity::Retrying, error, |failures| &mut failures.compaction);
        let set_aside = state.failures.set_aside(compaction, error);
        state.failures.pauses_compactions = set_aside.is_none();
        if let (Some(number), Some(kept)) = (set_aside, &mut state.failures.compaction) {
            let wait = kept.backoff_of_damage();
            kept.retry_at = Instant::now() + wait;
            let what = if error.is_not_supported() { "not understood" } else { "damaged" };
            state.log_lines.push(format!(
                "table #{number} is {what} and left where it is; others are compacted; tried again in {} s",
                wait.as_secs()
            ));
        }
    }

    /// Keeps the first error of the worst severity; wakes all who wait.
    fn note_failure(
        &self,
        state: &mut DbState,
        severity: Severity,
        error: &Error,
        slot: impl FnOnce(&mut Failures) -> &mut Option<BackgroundError>,
    ) {
        state.failures.count += 1;
        self.state_changed.notify_all();
        let slot = slot(&mut state.failures);
        match slot {
            // (Nor is it logged: should the logger be what fails, there would be no end.)
            Some(kept) if kept.severity > severity || !kept.is_retried() => return,
            Some(kept) if kept.severity == severity => {
                kept.retries = kept.retries.saturating_add(1);
                kept.retry_at = Instant::now() + kept.backoff();
                // The same again and again would fill the disk.
                if kept.error.message() == error.message() && !kept.retries.is_power_of_two() {
                    return;
                }
            }
            _ => {
                let first = slot.insert(BackgroundError {
                    error: error.clone(),
                    severity,
                    since_micros: self.env.now_micros(),
                    retries: 0,
                    retry_at: Instant::now(),
                });
                first.retry_at += first.backoff();
            }
        }
        state.log_lines.push(format!("{severity:?} error: {error}"));
        self.flush_waker.wake(); // logs the line
    }

    /// What the database failed with is over, if it is no worse than this.
    pub(super) fn clear_background_error(&self, state: &mut DbState, severity: Severity) {
        if state.failures.database_severity().is_some_and(|kept| kept <= severity) {
            self.recovered(state, "the database", |failures| failures.database = None);
            self.update_attention(state);
        }
    }

    /// A flush has succeeded.
    pub(super) fn flush_succeeded(&self, state: &mut DbState) {
        if state.failures.flush.is_some() {
            self.recovered(state, "flushing", |failures| failures.flush = None);
        }
    }

    /// A compaction of `level` has succeeded (`None`: there is nothing to compact). One of another level says nothing of the
    /// one that fails.
    pub(super) fn compaction_succeeded(&self, state: &mut DbState, level: Option<usize>) {
        let failures = &state.failures;
        let is_the_same = level.is_none_or(|level| level == failures.compaction_level);
        if failures.compaction.is_some() && failures.damaged.is_empty() && is_the_same {
            self.recovered(state, "compacting", |failures| failures.compaction = None);
        }
    }

    fn recovered(&self, state: &mut DbState, what: &str, clear: impl FnOnce(&mut Failures)) {
        clear(&mut state.failures);
        state.log_lines.push(format!("{what} has recovered"));
        self.state_changed.notify_all();
        self.flush_waker.wake(); // logs the line
    }

    /// Logs what was left to be logged without the mutex.
    pub(super) fn write_log_lines(&self, lines: Vec<String>) {
        for line in lines {
            self.info_log.log(format_args!("{line}"));
        }
    }
}
