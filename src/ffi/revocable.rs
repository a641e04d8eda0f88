//! Callbacks of C that can be taken away while databases still use them.
//!
//! Invariant: once `revoke` has returned, no callback runs and none will. So the owner's `destructor(state)` runs inside
//! the `destroy` function, on the caller's thread, and the caller may unload its code right after.
//!
//! Thread rule: any thread. A callback runs under a read lock, taken recursively (a callback may enter the database,
//! which may call it again); `revoke` waits for the callbacks that run, so it must not be called from inside one.

use parking_lot::RwLock;

/// A value until it is revoked.
pub(super) struct Revocable<T>(RwLock<Option<T>>);

impl<T> Revocable<T> {
    /// Not revoked yet.
    pub(super) fn new(value: T) -> Self {
        Revocable(RwLock::new(Some(value)))
    }

    /// Uses the value; `None` once it is revoked.
    pub(super) fn with<R>(&self, body: impl FnOnce(&T) -> R) -> Option<R> {
        self.0.read_recursive().as_ref().map(body)
    }

    /// Takes the value away, waiting for its users; `None` if it was taken before.
    pub(super) fn revoke(&self) -> Option<T> {
        self.0.write().take()
    }
}
