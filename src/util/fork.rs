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

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

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

/// What this process never drops: a link of a list.
struct Kept<T> {
    _value: T,
    next: AtomicPtr<()>,
}

/// Never drops `value`, which the process has inherited, and whose drop would touch what must not be touched. Unlike what is
/// forgotten, it stays where a leak checker finds it.
#[cold]
pub fn keep_for_ever<T: Send + 'static>(value: T) {
    static LAST: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());
    let kept: &'static Kept<T> =
        Box::leak(Box::new(Kept { _value: value, next: AtomicPtr::new(ptr::null_mut()) }));
    let next = LAST.swap(ptr::from_ref(kept).cast_mut().cast(), Ordering::AcqRel);
    kept.next.store(next, Ordering::Release);
}
