//! The locks of this crate, in one place: parking_lot's, or, under `--cfg loom`, the model checker's.
//!
//! A panic does not poison a lock: code that guards an invariant reports itself that the invariant is broken.
//!
//! parking_lot keeps waiting threads in a table of the process. If a thread of the parent is about to wait at
//! the moment of a `fork`, the child may inherit a part of that table permanently locked. So a child's calls
//! on databases of its parent are refused before any lock is touched (`util/fork.rs`), and a child of a
//! program with many threads should do nothing but `exec`.
//!
//! Thread rule: any thread.

#[cfg(loom)]
mod model;

/// The model checker's atomics, for protocols that are model-checked.
#[cfg(loom)]
pub use loom::sync::atomic;
/// The standard library's atomics, under the name by which model-checked protocols import them.
#[cfg(not(loom))]
pub use std::sync::atomic;

#[cfg(loom)]
pub use model::{Condvar, Mutex, MutexGuard, RwLock};
#[cfg(not(loom))]
pub use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
