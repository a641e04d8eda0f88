//! Why background work or writes have stopped, and what ends that.
//!
//! For each kind of failure the first error is kept and named, until what failed has succeeded, or is not wanted any more. The
//! worst is the one that people are told. Reads always go on.

use super::state::{DbInner, DbState};
use crate::error::Error;
use std::time::Duration;

/// What failed, which decides what can cure it. Worse ones are greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// A compaction failed and is tried again, ever less often. Writes go on until level 0 is full; then they fail with this
    /// error rather than wait.
    Compaction,
    /// A flush failed and is tried again, ever less often. Writes go on until memory is full; then they fail with this error
    /// rather than wait.
    Flush,
    /// The MANIFEST could not be written: writes are refused until a new one is, which is tried ever less often.
    Manifest,
    /// The log could not be extended (the disk is full): writes are refused until what it holds is in a table and the MANIFEST
    /// names a new log, which is tried ever less often.
    ReplaceLog,
    /// The log failed, or the engine itself did: writes are refused until the database is opened again.
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
}

impl BackgroundError {
    /// Are writes refused?
    pub fn refuses_writes(&self) -> bool {
        self.severity >= Severity::Manifest
    }

    /// Will background work be tried again?
    pub fn is_retried(&self) -> bool {
        self.severity < Severity::UntilReopened
    }

    /// What a refused write is told.
    pub fn to_error(&self) -> Error {
        match self.severity {
            Severity::Compaction | Severity::Flush | Severity::Manifest | Severity::ReplaceLog => {
                self.error.clone()
            }
            Severity::UntilReopened => {
                self.error.context("writes are refused until the database is reopened")
            }
        }
    }

    /// How long to wait before the next try: 10 ms, doubled each time, at most 5 s.
    pub fn backoff(&self) -> Duration {
        Duration::from_millis((10u64 << self.retries.min(9)).min(5_000))
    }
}

/// The errors there are, at most one of each severity.
#[derive(Default)]
pub struct BackgroundErrors {
    /// The worst first.
    kept: Vec<BackgroundError>,
}

impl BackgroundErrors {
    /// The worst.
    pub fn worst(&self) -> Option<&BackgroundError> {
        self.kept.first()
    }

    /// The one of this severity.
    pub fn of(&self, severity: Severity) -> Option<&BackgroundError> {
        self.kept.iter().find(|kept| kept.severity == severity)
    }

    /// What refuses writes.
    pub fn refusing_writes(&self) -> Option<&BackgroundError> {
        self.worst().filter(|worst| worst.refuses_writes())
    }

    /// The next retries come as soon as the first did.
    pub fn forget_retries(&mut self) {
        for kept in &mut self.kept {
            kept.retries = 0;
        }
    }

    /// Returns whether it is the first of its severity.
    fn record(&mut self, severity: Severity, error: &Error, now_micros: u64) -> bool {
        if let Some(kept) = self.kept.iter_mut().find(|kept| kept.severity == severity) {
            kept.retries = kept.retries.saturating_add(1);
            return false;
        }
        let worse = self.kept.partition_point(|kept| kept.severity > severity);
        let error = error.clone();
        self.kept.insert(worse, BackgroundError { error, severity, since_micros: now_micros, retries: 0 });
        true
    }

    fn clear(&mut self, severity: Severity) -> bool {
        let before = self.kept.len();
        self.kept.retain(|kept| kept.severity != severity);
        self.kept.len() < before
    }
}

impl DbInner {
    /// Notes a failure. Called with the state mutex held; wakes all who wait.
    pub fn record_background_error(&self, state: &mut DbState, severity: Severity, error: &Error) {
        self.info_log.log(format_args!("{severity:?} error: {error}"));
        state.failures += 1;
        let is_first = state.background_errors.record(severity, error, self.env.now_micros());
        if is_first && severity == Severity::Manifest {
            self.flush_waker.wake(); // the flush worker is the one who cures it
        }
        if let Some(refusing) = state.background_errors.refusing_writes() {
            // Requests are refused from now on; those that wait are told so, but for the one that a worker is at.
            let error = refusing.to_error();
            let running = usize::from(state.manual.front().is_some_and(|manual| manual.is_running));
            for waiting in state.manual.drain(running..) {
                waiting.reply.send(Err(error.clone()));
            }
        }
        self.update_attention(state);
        self.state_changed.notify_all();
    }

    /// What failed with this severity has succeeded, or is not wanted any more.
    pub fn clear_background_error(&self, state: &mut DbState, severity: Severity) {
        if state.background_errors.clear(severity) {
            self.info_log.log(format_args!("recovered from the {severity:?} error"));
            self.update_attention(state);
            self.state_changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_of_each_severity_is_kept_and_the_worst_is_told() {
        let mut errors = BackgroundErrors::default();
        assert!(errors.worst().is_none() && errors.refusing_writes().is_none());
        assert!(errors.record(Severity::Flush, &Error::io("flush"), 1));
        assert!(!errors.record(Severity::Flush, &Error::io("flush again"), 2));
        assert!(errors.record(Severity::Compaction, &Error::io("compaction"), 3));
        let worst = errors.worst().unwrap();
        assert_eq!((worst.error.message(), worst.since_micros, worst.retries), ("flush", 1, 1));
        assert!(errors.refusing_writes().is_none());
        assert!(errors.record(Severity::Manifest, &Error::io("manifest"), 4));
        assert_eq!(errors.refusing_writes().unwrap().error.message(), "manifest");
        errors.forget_retries();
        assert_eq!(errors.of(Severity::Flush).unwrap().retries, 0);
        assert!(errors.clear(Severity::Manifest) && !errors.clear(Severity::Manifest));
        assert!(errors.clear(Severity::Flush));
        assert_eq!(errors.worst().unwrap().error.message(), "compaction");
    }

    #[test]
    fn retries_come_ever_later_but_within_five_seconds() {
        let error = |retries| BackgroundError {
            error: Error::io("x"),
            severity: Severity::Flush,
            since_micros: 0,
            retries,
        };
        let millis = [0, 1, 2, 8, 9, 40].map(|retries| error(retries).backoff().as_millis());
        assert_eq!(millis, [10, 20, 40, 2560, 5000, 5000]);
    }
}
