//! The life of log files: create, append, sync, rotate, replay.
pub mod replay;
pub mod writer;
