//! Why background work or writes have stopped, and what ends that.
//!
//! Three things fail independently: flushes, compactions, and the database itself (its MANIFEST, its WAL, the
//! engine). Each keeps its first error and the time of its next try, and only its own success ends the
//! failure: the success of a flush says nothing about a compaction that cannot read its input. Reads continue
//! in every case.
//!
//! Retrying does not cure damage in a table, or a compression that this build does not know. Such a table
//! must not keep the other tables from being compacted. So it is set aside: it is marked as being compacted,
//! so that no compaction picks it. It is tried again after a minute, then with exponential backoff up to an
//! hour; at once if a range over it is compacted manually, or by `Db::resume`.
//!
//! [`ErrorState`] is pure: the time is passed in, lines for LOG are returned. The flush worker writes them
//! without the state mutex, because a logger may be the user's and may call the database.
//!
//! Thread rule: `ErrorState` is guarded by the state mutex.

use crate::compaction::Compaction;
use crate::error::Error;
use crate::format::file_name::{self, FileType};
use crate::version::file_metadata::FileMetaData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What has failed, in the order of severity; it decides what can cure the failure.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Severity {
    /// A flush or a compaction has failed and is retried with exponential backoff, from 10 ms up to 5 s.
    /// Writes continue until they would have to wait for it; then they fail with this error. A table in which
    /// a compaction finds damage is left where it is, and the other tables are compacted.
    Retrying,
    /// The MANIFEST could not be written. Writes are refused until a new MANIFEST is written, which is
    /// retried in the same way.
    Manifest,
    /// The WAL could not be appended to (for example, the disk is full), and may hold a part of a record.
    /// Writes are refused until its contents are in a table and the MANIFEST names a new WAL, which is
    /// retried in the same way.
    ReplaceLog,
    /// The WAL could not be synced, or the engine itself has failed. Writes are refused until the database is
    /// opened again.
    UntilReopened,
}

/// The error that background work or writes have stopped with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BackgroundError {
    /// The first error of this severity since the last success.
    pub error: Error,
    /// What has failed, and so what ends the failure.
    pub severity: Severity,
    /// When the first error happened, in microseconds by the environment's clock (the system's: since 1970);
    /// 0 in a child process and inside of a comparator.
    pub since_micros: u64,
    /// The number of retries that have failed since; counted anew after `Db::resume`.
    pub retries: u32,
    /// When it is retried, by the environment's monotonic clock.
    retry_at: Instant,
}

/// A moment, by both clocks of the environment.
#[derive(Clone, Copy)]
pub(in crate::db) struct Moment {
    /// The monotonic clock, which delays are measured with.
    pub monotonic: Instant,
    /// The clock that people read, in microseconds.
    pub micros: u64,
}

impl BackgroundError {
    fn new(error: Error, severity: Severity, at: Moment) -> Self {
        BackgroundError { error, severity, since_micros: at.micros, retries: 0, retry_at: at.monotonic }
    }

    /// An error that nothing in this process can end.
    pub(in crate::db) fn permanent(error: Error, now: Instant) -> Self {
        Self::new(error, Severity::UntilReopened, Moment { monotonic: now, micros: 0 })
    }

    /// Will the work that failed be retried without a new open?
    pub fn is_retried(&self) -> bool {
        self.severity < Severity::UntilReopened
    }

    /// The error that a refused write returns.
    pub fn to_error(&self) -> Error {
        match self.severity {
            Severity::Retrying | Severity::Manifest | Severity::ReplaceLog => self.error.clone(),
            Severity::UntilReopened => {
                self.error.context("writes are refused until the database is reopened")
            }
        }
    }

    /// The delay before the next try: 10 ms, doubled after each failure, at most 5 s.
    fn backoff(&self) -> Duration {
        Duration::from_millis((10u64 << self.retries.min(16)).min(5_000))
    }

    /// The delay for tables set aside: 1 minute, doubled after each failure, at most 1 hour. Each try reads
    /// and writes a whole compaction.
    fn backoff_of_damage(&self) -> Duration {
        Duration::from_secs((60u64 << self.retries.min(16)).min(3_600))
    }

    /// The time that is left until the next try; `None`: try now.
    pub(in crate::db) fn time_to_retry(&self, now: Instant) -> Option<Duration> {
        self.retry_at.checked_duration_since(now).filter(|time| !time.is_zero())
    }
}

/// Records another error in `slot`. Returns a line for LOG, unless the same line was logged already.
fn note(slot: &mut Option<BackgroundError>, severity: Severity, error: &Error, at: Moment) -> Option<String> {
    match slot {
        // The first error of the highest severity stays. The new one is not logged: if the logger itself
        // fails, logging that would never end.
        Some(kept) if !kept.is_retried() => return None,
        Some(kept) if kept.severity > severity => {
            // Its next try has failed with this error, and is put off.
            kept.retries = kept.retries.saturating_add(1);
            kept.retry_at = at.monotonic + kept.backoff();
            return None;
        }
        Some(kept) if kept.severity == severity => {
            kept.retries = kept.retries.saturating_add(1);
            kept.retry_at = at.monotonic + kept.backoff();
            // Logging the same line at each retry would fill the disk.
            if kept.error.message() == error.message() && !kept.retries.is_power_of_two() {
                return None;
            }
        }
        _ => {
            let first = slot.insert(BackgroundError::new(error.clone(), severity, at));
            first.retry_at += first.backoff();
        }
    }
    Some(format!("{severity:?} error: {error}"))
}

/// The current failures.
#[derive(Default)]
pub struct ErrorState {
    flush: Option<BackgroundError>,
    compaction: Option<BackgroundError>,
    /// The level of the compaction that failed first.
    compaction_level: usize,
    /// Tables set aside until the next try: compactions found them damaged, or did not understand them.
    damaged: Vec<Arc<FileMetaData>>,
    /// Until the next try only manual compactions run: the last failure was not caused by a single table.
    pauses_compactions: bool,
    /// The failure of the database: writes are refused.
    database: Option<BackgroundError>,
    count: u64,
}

impl ErrorState {
    /// The failure that keeps flushes from succeeding.
    pub fn flush(&self) -> Option<&BackgroundError> {
        self.flush.as_ref()
    }

    /// The failure that keeps compactions from succeeding.
    pub fn compaction(&self) -> Option<&BackgroundError> {
        self.compaction.as_ref()
    }

    /// The failure because of which writes are refused.
    pub fn database(&self) -> Option<&BackgroundError> {
        self.database.as_ref()
    }

    /// The most severe current failure: of the database, else of flushes, else of compactions.
    pub fn worst(&self) -> Option<&BackgroundError> {
        self.database.as_ref().or(self.flush.as_ref()).or(self.compaction.as_ref())
    }

    /// The number of failures since the database was opened.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Do compactions wait for the next try?
    pub fn pauses_compactions(&self) -> bool {
        self.pauses_compactions
    }

    /// Records that the MANIFEST, the WAL or the engine has failed.
    #[must_use]
    pub fn database_failed(&mut self, severity: Severity, error: &Error, at: Moment) -> Option<String> {
        self.count += 1;
        note(&mut self.database, severity, error, at)
    }

    /// Records that a flush has failed. It will be retried.
    #[must_use]
    pub fn flush_failed(&mut self, error: &Error, at: Moment) -> Option<String> {
        self.count += 1;
        note(&mut self.flush, Severity::Retrying, error, at)
    }

    /// Records that a compaction has failed. It will be retried. Its inputs must not be marked busy any more.
    /// An input that the error names as damaged or not understood is set aside.
    #[must_use]
    pub fn compaction_failed(&mut self, compaction: &Compaction, error: &Error, at: Moment) -> Vec<String> {
        self.count += 1;
        if self.compaction.is_none() {
            self.compaction_level = compaction.level;
        }
        let mut lines: Vec<String> =
            note(&mut self.compaction, Severity::Retrying, error, at).into_iter().collect();
        let set_aside = self.set_aside(compaction, error);
        self.pauses_compactions = set_aside.is_none();
        if let (Some(number), Some(kept)) = (set_aside, &mut self.compaction) {
            let wait = kept.backoff_of_damage();
            kept.retry_at = at.monotonic + wait;
            let what = if error.is_not_supported() { "not understood" } else { "damaged" };
            lines.push(format!(
                "table #{number} is {what} and left where it is; others are compacted; tried again in {} s",
                wait.as_secs()
            ));
        }
        lines
    }

    /// Sets aside the input that the error names as damaged or not understood. Returns its number.
    fn set_aside(&mut self, compaction: &Compaction, error: &Error) -> Option<u64> {
        let name = error.path().filter(|_| error.is_unreadable_block())?.file_name()?;
        let FileType::Table(number) = file_name::parse(name)? else { return None };
        let file = compaction.inputs.iter().flatten().find(|file| file.number == number)?;
        file.set_being_compacted(true);
        self.damaged.push(file.clone());
        Some(number)
    }

    /// Ends the failure of the database, unless its severity is higher than this.
    #[must_use]
    pub fn database_recovered(&mut self, severity: Severity) -> Option<String> {
        self.database.take_if(|kept| kept.severity <= severity).map(|_| recovered("the database"))
    }

    /// A flush has succeeded, which ends the failure of flushes.
    #[must_use]
    pub fn flush_succeeded(&mut self) -> Option<String> {
        self.flush.take().map(|_| recovered("flushing"))
    }

    /// A compaction of `level` has succeeded (`None`: there is nothing to compact). The success of one level
    /// does not end the failure of another. A failure does not end while a table is set aside.
    #[must_use]
    pub fn compaction_succeeded(&mut self, level: Option<usize>) -> Option<String> {
        let is_the_same = level.is_none_or(|level| level == self.compaction_level);
        let has_ended = self.damaged.is_empty() && is_the_same;
        self.compaction.take_if(|_| has_ended).map(|_| recovered("compacting"))
    }

    /// Makes every retry due now, and resets the delays.
    pub fn retry_now(&mut self, now: Instant) {
        self.release_damaged();
        for kept in [&mut self.flush, &mut self.compaction, &mut self.database].into_iter().flatten() {
            kept.retries = 0;
            kept.retry_at = now;
        }
    }

    /// A table was dropped with its family: it is not tried again.
    pub fn forget_damaged(&mut self, number: u64) {
        self.damaged.retain(|file| file.number != number);
    }

    /// Makes tables that were set aside available to compactions again. Were there any?
    pub fn release_damaged(&mut self) -> bool {
        let any = !self.damaged.is_empty();
        self.damaged.drain(..).for_each(|file| file.set_being_compacted(false));
        any
    }
}

fn recovered(what: &str) -> String {
    format!("{what} has recovered")
}

#[cfg(test)]
mod tests;
