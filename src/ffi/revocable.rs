//! Callbacks of C that can be taken away while databases still use them.
//!
//! Invariant: once `revoke` has returned, no callback runs and none will. So the owner's `destructor(state)` runs inside
//! the `destroy` function, on the caller's thread, and the caller may unload its code right after.
//!
//! `users` counts the callbacks that run, and says in two bits whether somebody wants the value, and whether it is taken. A
//! callback may enter the database, which may call it again: who comes while others are in is let in until it is taken.
//!
//! Thread rule: any thread. `revoke` waits for the callbacks that run, so it must not be called from inside one. In a child
//! of `fork` callbacks may run that never end, on threads it does not have: there `revoke` does not wait for them.
#![allow(unsafe_code)]

use crate::util::fork::Generation;
use crate::util::lock::{Condvar, Mutex};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicUsize, Ordering};

const WANTED: usize = 1 << (usize::BITS - 1);
const TAKEN: usize = WANTED >> 1;

/// A value until it is revoked.
pub(super) struct Revocable<T> {
    users: AtomicUsize,
    value: UnsafeCell<Option<T>>,
    /// Who wants the value waits here for the last user to leave.
    waiting: Mutex<()>,
    left: Condvar,
    process: Generation,
}

// SAFETY: by shared reference, users get shared references to the value on any thread (so `T: Sync`), and one thread
// moves it out (so `T: Send`).
unsafe impl<T: Send + Sync> Sync for Revocable<T> {}

/// A user that is in; leaves when it is dropped, by a panic too.
struct Use<'a, T>(&'a Revocable<T>);

impl<T> Drop for Use<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // What the callback did comes before what happens once the value is taken.
        if self.0.users.fetch_sub(1, Ordering::Release) == WANTED | 1 {
            self.0.wake();
        }
    }
}

impl<T> Revocable<T> {
    /// Not revoked yet.
    pub(super) fn new(value: T) -> Self {
        Revocable {
            users: AtomicUsize::new(0),
            value: UnsafeCell::new(Some(value)),
            waiting: Mutex::new(()),
            left: Condvar::new(),
            process: Generation::current(),
        }
    }

    /// Uses the value; `None` once it is revoked.
    #[inline]
    pub(super) fn with<R>(&self, body: impl FnOnce(&T) -> R) -> Option<R> {
        let before = self.users.fetch_add(1, Ordering::Acquire);
        let _user = Use(self);
        if before == WANTED || before & TAKEN != 0 {
            return None;
        }
        // SAFETY: the value is moved out only after `users` was seen without any user and TAKEN was set in one step. This
        // user came before that, and is counted until the body has run.
        unsafe { &*self.value.get() }.as_ref().map(body)
    }

    /// Takes the value away, waiting for its users; `None` if it was taken before. In a child of the process that made it, with
    /// users in it, `None` too: it stays where it is, and is not used any more.
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
        // SAFETY: there was no user when TAKEN was set, and none has been let in since; and only the thread that set
        // WANTED comes here.
        unsafe { (*self.value.get()).take() }
    }

    /// The last user has left, and somebody waits for that, or is about to.
    #[cold]
    fn wake(&self) {
        drop(self.waiting.lock());
        self.left.notify_all();
    }
}
