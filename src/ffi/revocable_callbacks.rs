//! Callbacks of C that can be revoked while databases still use them.
//!
//! Invariant: when `revoke` has returned, no callback runs, and none will run later. So the owner's
//! `destructor(state)` runs inside the `destroy` function, on the caller's thread, and the caller may unload
//! its code right after.
//!
//! `users` counts the running callbacks. Two of its bits say whether somebody waits for the value (WANTED),
//! and whether the value is taken (TAKEN). A callback may enter the database, which may call it again. So a
//! new user is admitted while others are inside, even if WANTED is set; after TAKEN is set, no user is
//! admitted.
//!
//! Thread rule: any thread. `revoke` waits for running callbacks, so it must not be called from inside one.
//! In a child of `fork`, callbacks may be counted as running on threads that the child does not have; they
//! never end, so `revoke` does not wait for them there.
#![allow(unsafe_code)]

use crate::util::fork::ProcessGeneration;
use crate::util::lock::{Condvar, Mutex};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicUsize, Ordering};

const WANTED: usize = 1 << (usize::BITS - 1);
const TAKEN: usize = WANTED >> 1;

/// A value that can be used from any thread until it is revoked.
pub(super) struct Revocable<T> {
    users: AtomicUsize,
    value: UnsafeCell<Option<T>>,
    /// `revoke` waits here, with `left`, for the last user to leave.
    waiting: Mutex<()>,
    left: Condvar,
    process: ProcessGeneration,
}

// SAFETY: through a shared reference, users get shared references to the value on any thread (so `T: Sync`),
// and one thread moves the value out (so `T: Send`).
unsafe impl<T: Send + Sync> Sync for Revocable<T> {}

/// A counted user. Dropping it, also by a panic, ends the use.
struct Use<'a, T>(&'a Revocable<T>);

impl<T> Drop for Use<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // Release: everything the callback did happens before everything that `revoke` does with the value.
        if self.0.users.fetch_sub(1, Ordering::Release) == WANTED | 1 {
            self.0.wake();
        }
    }
}

impl<T> Revocable<T> {
    pub(super) fn new(value: T) -> Self {
        Revocable {
            users: AtomicUsize::new(0),
            value: UnsafeCell::new(Some(value)),
            waiting: Mutex::new(()),
            left: Condvar::new(),
            process: ProcessGeneration::current(),
        }
    }

    /// Calls `body` with the value; returns `None` if the value has been revoked.
    #[inline]
    pub(super) fn with<R>(&self, body: impl FnOnce(&T) -> R) -> Option<R> {
        let before = self.users.fetch_add(1, Ordering::Acquire);
        let _user = Use(self);
        if before == WANTED || before & TAKEN != 0 {
            return None;
        }
        // SAFETY: the value is moved out only after one atomic step has seen `users` without any user and has
        // set TAKEN. This user was counted before that step, and stays counted until the body has run.
        unsafe { &*self.value.get() }.as_ref().map(body)
    }

    /// Waits for the users of the value and takes it. Returns `None` if it was taken before. In a child of
    /// the process that created it, returns `None` if there are users: the value is leaked, and not used any
    /// more.
    pub(super) fn revoke(&self) -> Option<T> {
        if self.users.fetch_or(WANTED, Ordering::Relaxed) & WANTED != 0 {
            return None;
        }
        if !self.process.is_current() {
            if self
                .users
                .compare_exchange(WANTED, WANTED | TAKEN, Ordering::Acquire, Ordering::Relaxed)
                .is_err()
            {
                self.users.fetch_or(TAKEN, Ordering::Relaxed);
                return None;
            }
        } else {
            let mut waiting = self.waiting.lock();
            while self
                .users
                .compare_exchange(WANTED, WANTED | TAKEN, Ordering::Acquire, Ordering::Relaxed)
                .is_err()
            {
                self.left.wait(&mut waiting);
            }
        }
        // SAFETY: there was no user when TAKEN was set, and none has been admitted since. Only the thread
        // that set WANTED gets here.
        unsafe { (*self.value.get()).take() }
    }

    /// Called when the last user has left and `revoke` waits for that, or is about to wait.
    #[cold]
    fn wake(&self) {
        drop(self.waiting.lock());
        self.left.notify_all();
    }
}
