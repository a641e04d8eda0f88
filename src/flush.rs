//! Flushes: from memtables to tables. `policy` decides when immutable memtables are flushed, `job` writes the
//! tables.

pub mod job;
pub mod policy;
