//! Makes a failing history short: whole stretches of operations are dropped as long as it still fails.

use super::history::History;
use super::run::{Failure, run};
use std::time::{Duration, Instant};

/// How long a failure may take to shrink; what was found by then is shown.
const PATIENCE: Duration = Duration::from_secs(60);

/// The shortest history found that fails, and how it fails.
pub fn shrink(mut history: History, mut failure: Failure) -> (History, Failure) {
    let end = Instant::now() + PATIENCE;
    history.operations.truncate(failure.operation + 1);
    let mut stretch = history.operations.len().div_ceil(2);
    while stretch > 0 {
        let mut start = 0;
        let mut dropped_any = false;
        while start < history.operations.len() {
            if Instant::now() > end {
                return (history, failure);
            }
            let mut shorter = history.clone();
            shorter.operations.drain(start..(start + stretch).min(history.operations.len()));
            match run(&shorter) {
                Ok(()) => start += stretch,
                Err(still) => {
                    shorter.operations.truncate(still.operation + 1);
                    (history, failure, dropped_any) = (shorter, still, true);
                }
            }
        }
        if !dropped_any || stretch > 1 {
            stretch /= 2;
        }
    }
    (history, failure)
}
