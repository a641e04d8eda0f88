//! What tests of several floors need.

use std::any::Any;
use std::sync::Mutex;

/// Keeps `value` until the process ends. It stays reachable, so that a leak checker does not take it for lost.
pub(crate) fn keep<T: Any + Send + Sync>(value: T) -> &'static T {
    static KEPT: Mutex<Vec<&'static (dyn Any + Send + Sync)>> = Mutex::new(Vec::new());
    let kept: &'static T = Box::leak(Box::new(value));
    KEPT.lock().unwrap().push(kept);
    kept
}
