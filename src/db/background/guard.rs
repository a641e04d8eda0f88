//! Turns a panic in background work into an error: the database stays readable and refuses writes, and no
//! caller waits permanently.

use crate::background::pool::Next;
use crate::comparator::ComparatorFailed;
use crate::db::background::errors::Severity;
use crate::db::shared::DbShared;
use crate::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};

impl DbShared {
    /// Runs a step. After a panic in it writes are refused; the process continues.
    pub(in crate::db) fn guarded(&self, step: impl FnOnce() -> Next) -> Next {
        catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|panic| {
            let what = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .or_else(|| panic.downcast_ref::<ComparatorFailed>().map(|failed| failed.0.clone()))
                .unwrap_or_default();
            let mut state = self.state.lock();
            let error = Error::io(format!("internal error in a background thread: {what}"));
            self.record_background_error(&mut state, Severity::UntilReopened, &error);
            state.manual.fail_all(&error);
            Next::Wait
        })
    }
}
