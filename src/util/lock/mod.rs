//! The locks of this crate, in one place: parking_lot's, or, under `--cfg loom`, the model checker's.
//!
//! A panic does not poison them: who guards an invariant says so itself. parking_lot keeps the threads that wait in a table of the
//! process. A child of fork may find a part of it locked for ever, if a thread of its parent was about to wait at that
//! moment; so a child's calls on its parent's databases are refused before any lock is touched (`util/fork.rs`), and a child
//! of a program with many threads should do no more than `exec`.

#[cfg(loom)]
mod model;

/// Atomics where they are part of a protocol that the model checker looks at.
#[cfg(loom)]
pub use loom::sync::atomic;
/// Atomics where they are part of a protocol that the model checker looks at.
#[cfg(not(loom))]
pub use std::sync::atomic;

#[cfg(loom)]
pub use model::{Condvar, Mutex, MutexGuard, RwLock};
#[cfg(not(loom))]
pub use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
