//! Noticing that the process was forked, and what a child does about it at once.
//!
//! In a child `pthread_atfork` runs one handler, which begins the next [`Generation`] and closes the child's copies of the LOCK
//! files: a database whose process was killed may be opened again although a child of it lives on. The locks themselves
//! stay with the parent, since they belong to the open file that both share.
//!
//! Thread rule: any thread. The handler touches only atomics and makes one system call a descriptor: a child may do no
//! more, since all else may be in the middle of a change by a thread that it does not have.

#![allow(unsafe_code)]

use crate::util::fork::Generation;
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering};

/// LOCK files that a child closes, at most. It keeps those beyond: they matter only once the parent was killed.
const MAX_DESCRIPTORS: usize = 256;

/// Each 0 (free) or a descriptor and 1.
static DESCRIPTORS: [AtomicI32; MAX_DESCRIPTORS] = [const { AtomicI32::new(0) }; MAX_DESCRIPTORS];

extern "C" fn enter_child() {
    Generation::begin_next();
    for slot in &DESCRIPTORS {
        let kept = slot.swap(0, Ordering::Relaxed);
        if kept != 0 {
            // SAFETY: who put the descriptor into the slot owned it and takes it out before it is closed, so it is
            // open here, and the copies of it that its owner has in this process know by the generation that they
            // are to do nothing with it.
            unsafe { libc::close(kept - 1) };
        }
    }
}

/// Counts forks from now on.
pub fn watch() -> io::Result<()> {
    static WATCHING: AtomicBool = AtomicBool::new(false);
    if WATCHING.load(Ordering::Acquire) {
        return Ok(());
    }
    // Two threads may both come here. A child that goes through the handler twice is no worse off.
    // SAFETY: the handler is a function of this library, which is not unloaded (or else the C library forgets its handlers
    // with it), and does only what a child of a process with threads may do.
    match unsafe { libc::pthread_atfork(None, None, Some(enter_child)) } {
        0 => {
            WATCHING.store(true, Ordering::Release);
            Ok(())
        }
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Children close the descriptor at once, until its owner calls `keep`, which it does before it closes it itself.
pub fn close_in_children(descriptor: RawFd) {
    for slot in &DESCRIPTORS {
        if slot.compare_exchange(0, descriptor + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            return;
        }
    }
}

/// Ends what `close_in_children` began.
pub fn keep(descriptor: RawFd) {
    for slot in &DESCRIPTORS {
        if slot.compare_exchange(descriptor + 1, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            return;
        }
    }
}

/// A value that every process has for itself, as a static: the first use in a child starts a new one. The parent's stays where
/// it is, whatever its threads were doing with it.
pub struct PerProcess<T: 'static>(AtomicPtr<OneProcess<T>>);

struct OneProcess<T> {
    generation: Generation,
    value: T,
    /// The parent's, so that leak checkers find it.
    _inherited: AtomicPtr<OneProcess<T>>,
}

impl<T: Default + Send + Sync> PerProcess<T> {
    /// None yet.
    #[allow(clippy::new_without_default)] // a static is made by a constant
    pub const fn new() -> Self {
        PerProcess(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// This process's value.
    pub fn get(&self) -> &'static T {
        let generation = Generation::current();
        let mut known = self.0.load(Ordering::Acquire);
        loop {
            // SAFETY: null, or a value that was leaked below before its address was stored with release order.
            match unsafe { known.as_ref() } {
                Some(one) if one.generation == generation => return &one.value,
                _ => {}
            }
            let (value, _inherited) = (T::default(), AtomicPtr::new(known));
            let new = Box::into_raw(Box::new(OneProcess { generation, value, _inherited }));
            match self.0.compare_exchange(known, new, Ordering::AcqRel, Ordering::Acquire) {
                // SAFETY: leaked above, and never freed, since it has become the one in use.
                Ok(_) => return unsafe { &(*new).value },
                Err(other) => {
                    // SAFETY: made above, and nobody has seen it.
                    drop(unsafe { Box::from_raw(new) });
                    known = other;
                }
            }
        }
    }
}
