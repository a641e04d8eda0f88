//! The life of log files: create, append, sync, rotate, replay.
//!
//! A log is a record file (`record/`) whose records are write batches (`batch/`).

pub mod marker;
pub mod older_logs;
pub mod replay;
pub mod writer;
