//! Why background work or writes have stopped, and what ends that.
//!
//! The first error is kept and named; a later one replaces it only if it is worse. Reads always go on.

use super::state::{DbInner, DbState};
use crate::error::Error;
use std::time::Duration;

/// What failed, which decides what can cure it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// A flush or a compaction failed and is tried again, ever less often. Writes go on until they would have to wait for it;
    /// then they fail with this error.
    Retrying,
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
    /// One that nothing done in this process ends.
    pub(super) fn for_ever(error: Error) -> Self {
        BackgroundError { error, severity: Severity::UntilReopened, since_micros: 0, retries: 0 }
    }

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
            Severity::Retrying | Severity::Manifest | Severity::ReplaceLog => self.error.clone(),
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

impl DbInner {
    /// Notes a failure. Called with the state mutex held; wakes all who wait, and answers them if nothing is tried again.
    pub fn record_background_error(&self, state: &mut DbState, severity: Severity, error: &Error) {
        self.info_log.log(format_args!("{severity:?} error: {error}"));
        state.failures += 1;
        match &mut state.background_error {
            Some(kept) if kept.severity >= severity => kept.retries = kept.retries.saturating_add(1),
            slot => {
                *slot = Some(BackgroundError {
                    error: error.clone(),
                    severity,
                    since_micros: self.env.now_micros(),
                    retries: 0,
                });
            }
        }
        if let Some(kept) = state.background_error.as_ref().filter(|kept| !kept.is_retried()) {
            // Nobody will get to them.
            let answer = kept.to_error();
            state.manual.drain(..).for_each(|manual| manual.reply.send(Err(answer.clone())));
        }
        self.update_attention(state);
        self.state_changed.notify_all();
    }

    /// A retried job succeeded: its error is over.
    pub fn clear_background_error(&self, state: &mut DbState, severity: Severity) {
        if state.background_error.as_ref().is_some_and(|kept| kept.severity <= severity && kept.is_retried())
        {
            self.info_log.log(format_args!("background work has recovered"));
            state.background_error = None;
            self.update_attention(state);
            self.state_changed.notify_all();
        }
    }
}
