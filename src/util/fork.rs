//! Detects whether an object was made by this process or was inherited from the parent process by `fork`.
//!
//! A child of `fork` has one thread and a copy of all memory: mutexes locked by threads that do not exist in
//! the child and will never unlock them, buffers that the parent will write, descriptors whose files and
//! locks belong to the parent. So every object that a child must not touch remembers the
//! [`ProcessGeneration`] in which it was made. Comparing that with the current generation costs one load of a
//! word that changes only in a child.
//!
//! `env/posix` counts the forks, from the moment on at which the first object exists that has to know. A
//! child made without the C library's `fork` (by a bare system call, or by `_Fork`) is not detected.
//!
//! Thread rule: any thread.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

static CURRENT: AtomicU32 = AtomicU32::new(0);

/// The number of counted forks between the first process and this one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProcessGeneration(u32);

impl ProcessGeneration {
    /// The generation of this process.
    #[inline]
    pub fn current() -> Self {
        // Relaxed is enough: the number only changes while the process has a single thread.
        ProcessGeneration(CURRENT.load(Ordering::Relaxed))
    }

    /// True if no fork was counted between the process of `self` and this one: they are the same process.
    #[inline]
    pub fn is_current(self) -> bool {
        self == Self::current()
    }

    /// True if this process is a child of one that counts forks.
    pub fn is_child(self) -> bool {
        self.0 != 0
    }

    /// Starts the next generation, in a new child. Async-signal-safe.
    pub fn begin_next() {
        CURRENT.fetch_add(1, Ordering::Relaxed);
    }
}

/// A value that this process never drops, linked into a list.
struct Kept<T> {
    _value: T,
    next: AtomicPtr<()>,
}

/// Never drops `value`, which this process inherited and whose drop would touch what belongs to the parent.
/// Unlike a value passed to `mem::forget`, this one stays reachable, so that leak checkers do not report it.
#[cold]
pub fn leak_in_child<T: Send + 'static>(value: T) {
    static LAST: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());
    let kept: &'static Kept<T> =
        Box::leak(Box::new(Kept { _value: value, next: AtomicPtr::new(ptr::null_mut()) }));
    let next = LAST.swap(ptr::from_ref(kept).cast_mut().cast(), Ordering::AcqRel);
    kept.next.store(next, Ordering::Release);
}
