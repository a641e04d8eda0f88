//! Detects `fork`, and does what a child must do at once.
//!
//! In a child `pthread_atfork` runs one handler. It begins the next [`ProcessGeneration`] and closes the
//! child's copies of the LOCK files, so that a database whose process was killed can be opened again although
//! a child of that process still runs. The locks stay with the parent: they belong to the open file
//! description, which parent and child share.
//!
//! Thread rule: any thread. The handler touches only atomics and makes one system call per descriptor. A
//! child may do no more: everything else may be in the middle of a change by a thread that does not exist in
//! the child.

#![allow(unsafe_code)]

use crate::util::fork::ProcessGeneration;
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering};

/// The largest number of LOCK files that a child closes. A child keeps the others; these matter only if the
/// parent is killed.
const MAX_DESCRIPTORS: usize = 256;

/// Each is 0 (free) or a descriptor plus 1.
static DESCRIPTORS: [AtomicI32; MAX_DESCRIPTORS] = [const { AtomicI32::new(0) }; MAX_DESCRIPTORS];

extern "C" fn enter_child() {
    ProcessGeneration::begin_next();
    for slot in &DESCRIPTORS {
        let kept = slot.swap(0, Ordering::Relaxed);
        if kept != 0 {
            // SAFETY: the owner of the descriptor put it into the slot and takes it out before closing it, so
            // it is open here. The owner's copies in this process compare their generation and do nothing
            // with the descriptor.
            unsafe { libc::close(kept - 1) };
        }
    }
}

/// Starts counting forks, if that has not happened yet.
pub fn watch() -> io::Result<()> {
    static WATCHING: AtomicBool = AtomicBool::new(false);
    if WATCHING.load(Ordering::Acquire) {
        return Ok(());
    }
    // Two threads may both register the handler. Running it twice in a child does no harm.
    // SAFETY: the handler is a function of this library, which is not unloaded (if it is, the C library
    // removes its handlers), and it does only what a child of a process with threads may do.
    match unsafe { libc::pthread_atfork(None, None, Some(enter_child)) } {
        0 => {
            WATCHING.store(true, Ordering::Release);
            Ok(())
        }
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Makes children close the descriptor at once, until its owner calls `keep`, which the owner does before
/// closing it.
pub fn close_in_children(descriptor: RawFd) {
    for slot in &DESCRIPTORS {
        if slot.compare_exchange(0, descriptor + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            return;
        }
    }
}

/// Undoes `close_in_children`.
pub fn keep(descriptor: RawFd) {
    for slot in &DESCRIPTORS {
        if slot.compare_exchange(descriptor + 1, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            return;
        }
    }
}

/// A static value of which every process has its own: the first use in a child makes a new one. The parent's
/// copy is left untouched, whatever state the parent's threads left it in.
pub struct PerProcess<T: 'static>(AtomicPtr<OneProcess<T>>);

struct OneProcess<T> {
    generation: ProcessGeneration,
    value: T,
    /// The parent's value, reachable so that leak checkers do not report it.
    _inherited: AtomicPtr<OneProcess<T>>,
}

impl<T: Default + Send + Sync> PerProcess<T> {
    /// No value yet; the first `get` makes one.
    #[allow(clippy::new_without_default)] // a static is made by a constant
    pub const fn new() -> Self {
        PerProcess(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// This process's value.
    pub fn get(&self) -> &'static T {
        let generation = ProcessGeneration::current();
        let mut known = self.0.load(Ordering::Acquire);
        loop {
            // SAFETY: null, or a value that was leaked below before its address was stored with release
            // ordering.
            match unsafe { known.as_ref() } {
                Some(one) if one.generation == generation => return &one.value,
                _ => {}
            }
            let (value, _inherited) = (T::default(), AtomicPtr::new(known));
            let new = Box::into_raw(Box::new(OneProcess { generation, value, _inherited }));
            match self.0.compare_exchange(known, new, Ordering::AcqRel, Ordering::Acquire) {
                // SAFETY: leaked above, and never freed, since it is now the current value.
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
