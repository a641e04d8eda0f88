//! A quantity that many holders of one process share: bytes of memory, descriptors.
//!
//! Each holder bounds by itself what it holds. The budget knows the sum, and who can be asked to give something back when the sum is
//! too large: holders are asked in turn, so that none pays for all. A holder that has nothing is not asked until it has something again.
//!
//! Thread rule: any thread. A holder is asked without any lock of this file held; it may take its own, but not one under
//! which [`SharedBudget::reclaim`] is called.

use super::lock::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

/// One that holds a part of what is shared.
pub trait Holder: Send + Sync {
    /// Gives back about `wanted`, or as much as can be spared now; returns how much it was, all of which was subtracted from
    /// the budget.
    fn give_back(&self, wanted: usize) -> usize;
    /// Does it hold anything that it might give back, now or later?
    fn holds_any(&self) -> bool;
    /// Whether the budget knows it.
    fn membership(&self) -> &Membership;
}

/// Is the holder among those that are asked?
#[derive(Default)]
pub struct Membership(AtomicBool);

/// The sum of what is held, and the holders.
#[derive(Default)]
pub struct SharedBudget {
    used: AtomicUsize,
    holders: Mutex<VecDeque<Weak<dyn Holder>>>,
}

impl SharedBudget {
    /// What all hold together.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// `holder` has got `amount` more.
    pub fn add<T: Holder + 'static>(&self, holder: &Arc<T>, amount: usize) {
        self.used.fetch_add(amount, Ordering::Relaxed);
        // After the holder has what it may be asked for: see `reclaim`.
        if !holder.membership().0.swap(true, Ordering::SeqCst) {
            let holder: Weak<T> = Arc::downgrade(holder);
            self.holders.lock().push_back(holder);
        }
    }

    /// `amount` was given back.
    pub fn sub(&self, amount: usize) {
        self.used.fetch_sub(amount, Ordering::Relaxed);
    }

    /// Asks the holders, each once at most, until `wanted` is given back; returns how much it was.
    pub fn reclaim(&self, wanted: usize) -> usize {
        let mut given = 0;
        let turns = self.holders.lock().len();
        for _ in 0..turns {
            if given >= wanted {
                break;
            }
            let Some(next) = self.holders.lock().pop_front() else { break };
            let Some(holder) = next.upgrade() else { continue };
            given += holder.give_back(wanted - given);
            // Marked before it is asked whether it holds anything: who adds to it after the answer puts it back.
            holder.membership().0.swap(false, Ordering::SeqCst);
            if holder.holds_any() && !holder.membership().0.swap(true, Ordering::SeqCst) {
                self.holders.lock().push_back(next);
            }
        }
        given
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Purse {
        budget: &'static SharedBudget,
        coins: AtomicUsize,
        asked: AtomicUsize,
        membership: Membership,
    }

    impl Holder for Purse {
        fn give_back(&self, wanted: usize) -> usize {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let given = wanted.min(self.coins.load(Ordering::Relaxed));
            self.coins.fetch_sub(given, Ordering::Relaxed);
            self.budget.sub(given);
            given
        }
        fn holds_any(&self) -> bool {
            self.coins.load(Ordering::Relaxed) > 0
        }
        fn membership(&self) -> &Membership {
            &self.membership
        }
    }

    fn purses(budget: &'static SharedBudget, coins: &[usize]) -> Vec<Arc<Purse>> {
        let purse = |&coins: &usize| {
            let purse = Purse {
                budget,
                coins: AtomicUsize::new(coins),
                asked: AtomicUsize::new(0),
                membership: Membership::default(),
            };
            let purse = Arc::new(purse);
            budget.add(&purse, coins);
            purse
        };
        coins.iter().map(purse).collect()
    }

    fn budget() -> &'static SharedBudget {
        Box::leak(Box::default())
    }

    #[test]
    fn holders_are_asked_in_turn() {
        let budget = budget();
        let purses = purses(budget, &[5, 5, 5]);
        for _ in 0..6 {
            assert_eq!(budget.reclaim(2), 2);
        }
        let left: Vec<_> = purses.iter().map(|purse| purse.coins.load(Ordering::Relaxed)).collect();
        assert_eq!((left, budget.used()), (vec![1, 1, 1], 3));
        assert_eq!((budget.reclaim(10), budget.reclaim(1), budget.used()), (3, 0, 0));
    }

    #[test]
    fn one_that_has_nothing_is_not_asked_until_it_has_something() {
        let budget = budget();
        let purses = purses(budget, &[1, 9]);
        assert_eq!(budget.reclaim(1), 1);
        for _ in 0..4 {
            budget.reclaim(1);
        }
        assert_eq!(purses[0].asked.load(Ordering::Relaxed), 1);
        purses[0].coins.store(2, Ordering::Relaxed);
        budget.add(&purses[0], 2);
        assert_eq!(budget.reclaim(7), 7);
        assert_eq!(purses[0].asked.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn those_that_are_gone_are_forgotten() {
        let budget = budget();
        let mut purses = purses(budget, &[4, 4]);
        drop(purses.remove(0));
        budget.sub(4);
        assert_eq!(budget.reclaim(8), 4);
        assert!(budget.holders.lock().is_empty());
    }
}
