//! stub
use super::memtable::Memtable;
use std::sync::Arc;

/// A memtable that is no longer written to, and the log that holds it.
#[derive(Clone)]
pub struct ImmutableMemtable {
    /// The entries.
    pub memtable: Arc<Memtable>,
    /// Logs below this number hold nothing of it.
    pub log_number: u64,
}

/// The immutable memtables of a family, oldest first.
#[derive(Default)]
pub struct MemtableList {
    list: Vec<ImmutableMemtable>,
}
