//! Write-ahead log files (WALs): create, append, sync, switch, replay.
//!
//! A WAL is a record file (`record/`) whose records are write batches (`batch/`).

pub mod marker;
pub mod older_logs;
pub mod replay;
mod wal_file;
pub mod writer;
