//! The number of descriptors that tables of this process may hold, and what happens when none are left.
//!
//! Tables that are not mapped are read through descriptors, which can be closed and opened again
//! (`env::on_demand`). All databases of the process together hold at most half of what RLIMIT_NOFILE allows.
//! The rest is for WALs, MANIFESTs, LOCK and LOG files, directories that are synced, and for the host
//! program, which may take nearly all. So when the system has no descriptor for any file of ours, some
//! descriptors of tables are closed and the call is repeated. Tables then hold fewer descriptors until the
//! shortage seems to be over.
//!
//! Thread rule: any thread.

use super::fork::PerProcess;
use super::sys;
use crate::util::lock::Mutex;
use crate::util::shared_budget::{Holder, SharedBudget};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Assumed if the system does not tell the limit of a process.
const USUAL_LIMIT: u64 = 1024;

/// After this many descriptors closed to stay within a lowered limit, the limit is raised by one.
const CLOSINGS_PER_STEP: usize = 64;

/// How often a call is repeated after a shortage, at most: other threads may take the descriptors that were
/// closed.
const ATTEMPTS: u32 = 50;

/// The wait before the next attempt if every descriptor of a table is being read at the moment.
const PAUSE: Duration = Duration::from_micros(200);

/// The descriptors of tables in this process.
pub struct TableDescriptors {
    budget: SharedBudget,
    /// A copy of `limit.allowed` that is read without the lock.
    allowed: AtomicUsize,
    limit: Mutex<Limit>,
}

/// The limit on descriptors of tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Limit {
    /// Half of RLIMIT_NOFILE.
    share: usize,
    /// The share, or less after a shortage.
    allowed: usize,
    /// The number of descriptors closed to stay within `allowed` since `allowed` changed.
    closings: usize,
}

impl Limit {
    fn of(soft_limit: u64) -> Self {
        let share = usize::try_from(soft_limit / 2).unwrap_or(usize::MAX).max(1);
        Limit { share, allowed: share, closings: 0 }
    }

    /// Adopts the current limit of the process. If that has not changed, a shortage stays in effect.
    fn refresh(&mut self, soft_limit: u64) {
        let new = Limit::of(soft_limit);
        if new.share != self.share {
            *self = new;
        }
    }

    /// Records a shortage while tables hold `used` descriptors: lowers the limit to three quarters of them.
    /// Returns the number to close.
    fn lack(&mut self, used: usize) -> usize {
        let surplus = used.div_ceil(4);
        self.allowed = (used - surplus).clamp(1, self.share);
        self.closings = 0;
        surplus
    }

    /// Records that `count` descriptors were closed to stay within the limit. After `CLOSINGS_PER_STEP` of
    /// them the limit rises by one.
    fn closed(&mut self, count: usize) {
        self.closings += count;
        if self.closings >= CLOSINGS_PER_STEP && self.allowed < self.share {
            self.allowed += 1;
            self.closings = 0;
        }
    }
}

impl Default for TableDescriptors {
    fn default() -> Self {
        let limit = Limit::of(soft_limit());
        TableDescriptors {
            budget: SharedBudget::default(),
            allowed: AtomicUsize::new(limit.allowed),
            limit: Mutex::new(limit),
        }
    }
}

fn soft_limit() -> u64 {
    sys::descriptor_limit().unwrap_or(USUAL_LIMIT)
}

impl TableDescriptors {
    /// The instance of this process.
    pub fn of_process() -> &'static TableDescriptors {
        static DESCRIPTORS: PerProcess<TableDescriptors> = PerProcess::new();
        DESCRIPTORS.get()
    }

    /// Reads the limit of the process again.
    pub fn refresh(&self) {
        self.change(|limit| limit.refresh(soft_limit()));
    }

    /// Records that a database has opened a descriptor.
    pub fn opened<T: Holder + 'static>(&self, database: &Arc<T>) {
        self.budget.add(database, 1);
    }

    /// Closes descriptors, of any database, if there are more than allowed.
    pub fn keep_within_limit(&self) {
        let surplus = self.budget.used().saturating_sub(self.allowed.load(Ordering::Relaxed));
        if surplus > 0 {
            let closed = self.budget.reclaim(surplus);
            self.change(|limit| limit.closed(closed));
        }
    }

    /// Records that a holder closed `count` descriptors.
    pub fn closed(&self, count: usize) {
        self.budget.sub(count);
    }

    fn change<R>(&self, change: impl FnOnce(&mut Limit) -> R) -> R {
        let mut limit = self.limit.lock();
        let result = change(&mut limit);
        self.allowed.store(limit.allowed, Ordering::Relaxed);
        result
    }

    /// After a shortage: closes some descriptors. False if tables hold none.
    fn make_room(&self) -> bool {
        let used = self.budget.used();
        if used == 0 {
            return false;
        }
        let surplus = self.change(|limit| {
            limit.refresh(soft_limit());
            limit.lack(used)
        });
        if self.budget.reclaim(surplus) == 0 {
            // Each descriptor is being read at the moment, which will not take long.
            std::thread::sleep(PAUSE);
        }
        true
    }
}

/// Calls `open`. If the system has no descriptor left, closes some of the tables' and calls it again.
pub fn with_room<T>(mut open: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut outcome = open();
    for _ in 0..ATTEMPTS {
        let lacks = matches!(&outcome, Err(error) if is_lack(error));
        if !lacks || !TableDescriptors::of_process().make_room() {
            break;
        }
        outcome = open();
    }
    outcome
}

/// True if the process or the system has no descriptor left.
fn is_lack(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_leave_half_of_the_descriptors_to_others() {
        for (soft_limit, share) in [(0, 1), (1, 1), (64, 32), (1024, 512), (u64::MAX, usize::MAX / 2)] {
            assert_eq!(Limit::of(soft_limit), Limit { share, allowed: share, closings: 0 });
        }
    }

    #[test]
    fn after_a_lack_fewer_are_allowed_and_step_by_step_more_again() {
        let mut limit = Limit::of(64);
        assert_eq!((limit.lack(20), limit.allowed), (5, 15));
        assert_eq!((limit.lack(15), limit.allowed), (4, 11));
        for used in [1, 0] {
            limit.lack(used);
            assert_eq!(limit.allowed, 1, "one may always stay");
        }
        for _ in 0..CLOSINGS_PER_STEP - 1 {
            limit.closed(1);
        }
        assert_eq!(limit.allowed, 1);
        limit.closed(1);
        assert_eq!(limit.allowed, 2);
        (0..1000).for_each(|_| limit.closed(CLOSINGS_PER_STEP));
        assert_eq!(limit.allowed, 32);
    }

    #[test]
    fn a_changed_limit_of_the_process_counts_and_the_same_one_does_not_end_a_lack() {
        let mut limit = Limit::of(64);
        limit.lack(8);
        limit.refresh(64);
        assert_eq!(limit.allowed, 6);
        limit.refresh(256);
        assert_eq!((limit.share, limit.allowed), (128, 128));
        limit.refresh(16);
        assert_eq!((limit.share, limit.allowed), (8, 8));
    }
}
