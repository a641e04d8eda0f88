//! The model checker's locks with parking_lot's interface. Compiled under `--cfg loom` only.
//!
//! Thread rule: that of each lock.

use loom::sync as base;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{PoisonError, TryLockError};
use std::time::Duration;

/// A mutual exclusion lock without poisoning.
#[derive(Default)]
pub struct Mutex<T>(base::Mutex<T>);

impl<T> Mutex<T> {
    /// A free mutex.
    pub fn new(value: T) -> Self {
        Mutex(base::Mutex::new(value))
    }

    /// Waits until no other thread holds the mutex. A thread that already holds it deadlocks.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard { mutex: self, held: Some(self.acquire()) }
    }

    /// The guard, or `None` at once if a thread holds the mutex.
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let held = match self.0.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(error)) => error.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(MutexGuard { mutex: self, held: Some(held) })
    }

    /// The value, by exclusive reference: no lock is taken.
    #[inline]
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Consumes the mutex and returns the value.
    pub fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    fn acquire(&self) -> base::MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_lock() {
            Some(guard) => f.debug_tuple("Mutex").field(&*guard).finish(),
            None => f.write_str("Mutex(held)"),
        }
    }
}

/// The right to the value of a locked mutex; unlocks it when dropped.
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// `None` only during `Condvar::wait`, `Condvar::wait_for` and `unlocked`, which borrow the guard
    /// exclusively.
    held: Option<base::MutexGuard<'a, T>>,
}

impl<T> MutexGuard<'_, T> {
    /// Releases the mutex while `body` runs, and acquires it again afterwards (also if `body` panics).
    pub fn unlocked<R>(guard: &mut Self, body: impl FnOnce() -> R) -> R {
        struct Relock<'g, 'a, T>(&'g mut MutexGuard<'a, T>);
        impl<T> Drop for Relock<'_, '_, T> {
            fn drop(&mut self) {
                self.0.held = Some(self.0.mutex.acquire());
            }
        }
        guard.held = None;
        let _relock = Relock(guard);
        body()
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match &self.held {
            Some(held) => held,
            None => unreachable!("a guard that is lent out holds its mutex"),
        }
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.held {
            Some(held) => held,
            None => unreachable!("a guard that is lent out holds its mutex"),
        }
    }
}

/// A condition variable: threads wait here for a change of the value that a mutex guards. Spurious wake-ups
/// are possible.
#[derive(Default)]
pub struct Condvar(base::Condvar);

impl Condvar {
    /// A condition variable without waiters.
    pub fn new() -> Self {
        Condvar(base::Condvar::new())
    }

    /// Releases the mutex, waits for a notification, and acquires the mutex again.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        if let Some(held) = guard.held.take() {
            guard.held = Some(self.0.wait(held).unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// As `wait`, for at most `time`. True if the time passed without a notification.
    pub fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, time: Duration) -> bool {
        let Some(held) = guard.held.take() else { return false };
        let (held, outcome) = self.0.wait_timeout(held, time).unwrap_or_else(PoisonError::into_inner);
        guard.held = Some(held);
        outcome.timed_out()
    }

    /// Wakes one waiting thread.
    #[inline]
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes all waiting threads.
    #[inline]
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// A lock for many readers or one writer. A thread must not acquire it for reading twice: with a writer
/// waiting in between, the second acquisition deadlocks.
#[derive(Default)]
pub struct RwLock<T>(base::RwLock<T>);

impl<T> RwLock<T> {
    /// A free lock.
    pub fn new(value: T) -> Self {
        RwLock(base::RwLock::new(value))
    }

    /// Waits until no writer holds the lock.
    pub fn read(&self) -> base::RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no thread holds the lock.
    pub fn write(&self) -> base::RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::thread;

    #[test]
    fn a_panic_leaves_the_mutex_free() {
        let mutex = Mutex::new(1);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            *mutex.lock() = 2;
            let _guard = mutex.lock_after_panic();
        }));
        assert!(panicked.is_err());
        assert_eq!(mutex.try_lock().map(|guard| *guard), Some(2));
        assert_eq!(mutex.into_inner(), 2);
    }

    impl<T> Mutex<T> {
        fn lock_after_panic(&self) -> MutexGuard<'_, T> {
            let _held = self.lock();
            panic!("while it is held");
        }
    }

    #[test]
    fn a_mutex_let_go_of_is_free_meanwhile_and_held_afterwards_even_by_a_panic() {
        let mutex = Mutex::new(0);
        let mut guard = mutex.lock();
        MutexGuard::unlocked(&mut guard, || *mutex.try_lock().expect("free") += 1);
        assert_eq!(*guard, 1);
        assert!(mutex.try_lock().is_none());
        let panicked =
            catch_unwind(AssertUnwindSafe(|| MutexGuard::unlocked(&mut guard, || panic!("inside"))));
        assert!(panicked.is_err() && mutex.try_lock().is_none());
        drop(guard);
        assert!(mutex.try_lock().is_some());
    }

    #[test]
    fn a_wait_ends_when_notified_or_when_its_time_is_over() {
        let (mutex, changed) = (Mutex::new(false), Condvar::new());
        let mut guard = mutex.lock();
        assert!(changed.wait_for(&mut guard, Duration::from_millis(1)) && !*guard);
        thread::scope(|scope| {
            scope.spawn(|| {
                *mutex.lock() = true;
                changed.notify_all();
            });
            while !*guard {
                changed.wait(&mut guard);
            }
        });
    }
}
