//! stub
use crate::env::{Env, LogFileOptions};
use crate::error::Result;
use std::path::Path;
use std::sync::Arc;

/// The log that is written to, and what is still not durable of it and of the logs before it.
pub struct WalWriter {
    number: u64,
}

impl WalWriter {
    /// Creates `<db>/<number>.log` (exclusively). `older` is the log it replaces, if any.
    pub fn create(env: &Arc<dyn Env>, db: &Path, number: u64, options: LogFileOptions) -> Result<Self> {
        todo!()
    }
    /// Goes on with the log `number` that was closed cleanly at `size` bytes (reuse_logs).
    pub fn reopen(env: &Arc<dyn Env>, db: &Path, number: u64, size: u64) -> Result<Self> {
        todo!()
    }
    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }
    /// Appends one batch; it has reached the system (survives `kill -9`) on return. After an error: poisoned.
    pub fn add_record(&mut self, payload: &[u8]) -> Result<()> {
        todo!()
    }
    /// Makes durable: every older log that is still dirty (H5), this log's name (H4), this log, in that order.
    pub fn sync(&mut self) -> Result<()> {
        todo!()
    }
    /// Goes over to a new log: the current one becomes an older log, which stays open until it is synced or released.
    pub fn rotate(&mut self, number: u64) -> Result<()> {
        todo!()
    }
    /// Forgets (closes) older logs with numbers below `min_log_number`: what they held is in durable tables.
    pub fn release_older(&mut self, min_log_number: u64) {
        todo!()
    }
    /// Closes all; the current log is cut to its length.
    pub fn close(&mut self) -> Result<()> {
        todo!()
    }
    /// Bytes of the current log.
    pub fn file_size(&self) -> u64 {
        todo!()
    }
}
