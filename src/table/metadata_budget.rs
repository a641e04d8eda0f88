//! The budget for the metadata (indexes, filters and properties) of the open tables of this process.
//!
//! Each database has a budget of its own, set by its options. All databases of a process together may take as
//! much as the largest of these budgets, so one setting also bounds a process with a thousand databases.
//! Three quarters of a budget may be pinned: by tables that stay open as long as their file is part of a
//! version, so that look-ups find them without a lock. The rest is for tables that are closed, least recently
//! used first, if there is no room.
//!
//! Thread rule: any thread.

use crate::env::posix::fork::PerProcess;
use crate::util::lock::Mutex;
use crate::util::shared_budget::SharedBudget;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many bytes of a budget may be pinned.
pub fn pinnable(budget: usize) -> usize {
    budget - budget / 4
}

/// The metadata of the tables of one process.
#[derive(Default)]
pub struct MetadataBudget {
    /// The bytes of all open tables, pinned or not.
    pub shared: SharedBudget,
    pinned: AtomicUsize,
    /// The largest of `budgets`, in bytes.
    limit: AtomicUsize,
    /// The budget of each open database, in bytes.
    budgets: Mutex<Vec<usize>>,
}

impl MetadataBudget {
    /// The budget of this process. A forked child has its own.
    pub fn of_process() -> &'static MetadataBudget {
        static BUDGET: PerProcess<MetadataBudget> = PerProcess::new();
        BUDGET.get()
    }

    /// Adds a database with this budget.
    pub fn join(&self, budget: usize) {
        let mut budgets = self.budgets.lock();
        budgets.push(budget);
        self.limit.store(budgets.iter().copied().max().unwrap_or(0), Ordering::Relaxed);
    }

    /// Removes a database with this budget.
    pub fn leave(&self, budget: usize) {
        let mut budgets = self.budgets.lock();
        if let Some(at) = budgets.iter().position(|&other| other == budget) {
            budgets.swap_remove(at);
        }
        self.limit.store(budgets.iter().copied().max().unwrap_or(0), Ordering::Relaxed);
    }

    /// Counts `bytes` as pinned. Returns false, without counting, if there is no room.
    pub fn try_pin(&self, bytes: usize) -> bool {
        let pinnable = pinnable(self.limit.load(Ordering::Relaxed));
        let fits = |pinned: usize| pinned.checked_add(bytes).filter(|&sum| sum <= pinnable);
        self.pinned.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    /// Counts `bytes` as not pinned any more.
    pub fn unpin(&self, bytes: usize) {
        self.pinned.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The number of bytes by which the databases of the process exceed the limit.
    pub fn excess(&self) -> usize {
        self.shared.used().saturating_sub(self.limit.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_budget_is_that_of_the_process() {
        let budget = MetadataBudget::default();
        assert!(!budget.try_pin(1), "no database, no room");
        budget.join(100);
        budget.join(400);
        budget.join(100);
        assert!(budget.try_pin(300));
        assert!(!budget.try_pin(1));
        budget.unpin(300);
        budget.leave(400);
        assert!(!budget.try_pin(76) && budget.try_pin(75));
        budget.leave(100);
        budget.unpin(75);
        assert!(budget.try_pin(75), "one of the two is left");
        budget.leave(100);
        budget.leave(100);
        assert!(!budget.try_pin(1));
    }
}
