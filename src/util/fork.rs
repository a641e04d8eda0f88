//! Which process this is: the one that made something, or a child that inherited it by `fork`.
//!
//! A child has one thread, and a copy of everything else: mutexes that threads it does not have will never let go of, buffers
//! that its parent will write, descriptors whose files and locks are its parent's. So what must not be touched there
//! remembers the [`Generation`] it was made in. Asking whether that is still the current one costs a load of a word that never
//! changes but in a child.
//!
//! `env/posix` counts the forks; where nothing has been made yet that cares, nobody counts. A child made without
//! the C library's `fork` (by a bare system call, or by `_Fork`) is not noticed.
//!
//! Thread rule: any thread.

use std::sync::atomic::{AtomicU32, Ordering};

static CURRENT: AtomicU32 = AtomicU32::new(0);

/// The part of a line of processes between two forks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Generation(u32);

impl Generation {
    /// The one of this process.
    #[inline]
    pub fn current() -> Self {
        // Relaxed is enough: it only changes while the process has a single thread.
        Generation(CURRENT.load(Ordering::Relaxed))
    }

    /// Is this still the process in which `self` was the current one?
    #[inline]
    pub fn is_current(self) -> bool {
        self == Self::current()
    }

    /// Is this process a child of one that has counted forks?
    pub fn is_child(self) -> bool {
        self.0 != 0
    }

    /// Notes that this process is a new child. Async-signal-safe.
    pub fn begin_next() {
        CURRENT.fetch_add(1, Ordering::Relaxed);
    }
}
