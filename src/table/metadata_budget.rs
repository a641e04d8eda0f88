//! The memory that the open tables of this process may take: their indexes, filters and properties.
//!
//! Each database has a budget of its own, by its options. All of a process together may take as much as the largest of these: so one
//! setting bounds a process with a thousand databases too. Three quarters may be pinned (tables that stay open as long as their file
//! is part of a version, so that a look-up finds them without a lock); the rest is for tables that are closed, the least
//! recently used first, when there is no room.
//!
//! Thread rule: any thread.

use crate::env::posix::fork::PerProcess;
use crate::util::lock::Mutex;
use crate::util::shared_budget::SharedBudget;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much of a budget may be pinned.
pub fn pinnable(budget: usize) -> usize {
    budget - budget / 4
}

/// The memory of the tables of this process.
#[derive(Default)]
pub struct MetadataBudget {
    /// Pinned and not.
    pub shared: SharedBudget,
    pinned: AtomicUsize,
    /// The largest of `budgets`.
    limit: AtomicUsize,
    /// Of the open databases.
    budgets: Mutex<Vec<usize>>,
}

impl MetadataBudget {
    /// That of this process.
    pub fn of_process() -> &'static MetadataBudget {
        static BUDGET: PerProcess<MetadataBudget> = PerProcess::new();
        BUDGET.get()
    }

    /// A database with this budget is opened.
    pub fn join(&self, budget: usize) {
        let mut budgets = self.budgets.lock();
        budgets.push(budget);
        self.limit.store(budgets.iter().copied().max().unwrap_or(0), Ordering::Relaxed);
    }

    /// A database with this budget is closed.
    pub fn leave(&self, budget: usize) {
        let mut budgets = self.budgets.lock();
        if let Some(at) = budgets.iter().position(|&other| other == budget) {
            budgets.swap_remove(at);
        }
        self.limit.store(budgets.iter().copied().max().unwrap_or(0), Ordering::Relaxed);
    }

    /// Counts `bytes` as pinned, if there is room.
    pub fn try_pin(&self, bytes: usize) -> bool {
        let pinnable = pinnable(self.limit.load(Ordering::Relaxed));
        let fits = |pinned: usize| pinned.checked_add(bytes).filter(|&sum| sum <= pinnable);
        self.pinned.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    /// So many bytes are not pinned any more.
    pub fn unpin(&self, bytes: usize) {
        self.pinned.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes by which the databases of the process are over the limit.
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
