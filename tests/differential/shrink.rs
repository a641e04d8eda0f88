//! Shortens a failing history: removes ranges of operations as long as the history still fails.

use super::history::History;
use super::run::{Failure, run};
use std::time::{Duration, Instant};

/// The longest time for shortening a failure; the shortest history found by then is printed.
const PATIENCE: Duration = Duration::from_secs(60);

/// The shortest failing history that was found, and its failure.
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
