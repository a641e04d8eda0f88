//! A quantity that many holders in one process share: bytes of memory, descriptors.
//!
//! Each holder bounds its own amount. The budget knows the sum, and which holders it can ask to give
//! something back when the sum is too large. It asks the holders in turn, so that no holder pays for all. A
//! holder that has nothing is not asked until it has something again.
//!
//! Thread rule: any thread. No lock of this file is held while a holder is asked. The holder may take its own
//! locks, but no lock under which [`SharedBudget::reclaim`] is called.

use super::lock::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

/// An owner of a part of the shared quantity.
pub trait Holder: Send + Sync {
    /// Gives back about `wanted`, or as much as can be spared now. Returns the amount given back; the holder
    /// has subtracted all of it from the budget ([`SharedBudget::sub`]).
    fn give_back(&self, wanted: usize) -> usize;
    /// True if the holder has anything that it might give back, now or later.
    fn holds_any(&self) -> bool;
    /// The mark by which the budget knows whether this holder is in its list.
    fn membership(&self) -> &Membership;
}

/// True if the holder is in the list of those that are asked.
#[derive(Default)]
pub struct Membership(AtomicBool);

/// The sum of all parts, and the holders to ask.
#[derive(Default)]
pub struct SharedBudget {
    used: AtomicUsize,
    holders: Mutex<VecDeque<Weak<dyn Holder>>>,
}

impl SharedBudget {
    /// The sum over all holders.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Records that `holder` has `amount` more.
    pub fn add<T: Holder + 'static>(&self, holder: &Arc<T>, amount: usize) {
        self.used.fetch_add(amount, Ordering::Relaxed);
        // This comes after the holder has got what it may be asked for: see `reclaim`.
        if !holder.membership().0.swap(true, Ordering::SeqCst) {
            let holder: Weak<T> = Arc::downgrade(holder);
            self.holders.lock().push_back(holder);
        }
    }

    /// Records that a holder gave back `amount`.
    pub fn sub(&self, amount: usize) {
        self.used.fetch_sub(amount, Ordering::Relaxed);
    }

    /// Asks the holders, each at most once, until `wanted` is given back. Returns the amount given back.
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
            // The mark is cleared before `holds_any` is asked: a thread that adds to the holder after the
            // answer puts the holder back into the list.
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
    use crate::util::test_support::keep;

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
        keep(Default::default())
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
