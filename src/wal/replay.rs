//! stub
use crate::env::Env;
use crate::error::{Error, Result};
use crate::format::internal_key::SequenceNumber;
use std::path::Path;
use std::sync::Arc;

/// How a replay went.
#[derive(Debug, Default)]
pub struct ReplaySummary {
    /// Batches handed over.
    pub batches: u64,
    /// One past... the highest sequence number of any entry (0 for none).
    pub last_sequence: SequenceNumber,
    /// What was damaged and skipped, in order (empty for a clean log).
    pub damage: Vec<Error>,
    /// The offset behind the last whole record, and the file's length: equal only after a clean close.
    pub end_of_last_record: u64,
    /// The length of the file, in bytes.
    pub file_size: u64,
}

/// Hands every whole, valid batch of a log to `apply(rep)`, in order. `strict` (paranoid_checks): the first damage is the error.
pub fn replay(
    env: &Arc<dyn Env>,
    path: &Path,
    strict: bool,
    apply: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<ReplaySummary> {
    todo!()
}
