//! stub
use crate::env::SequentialFile;
use crate::error::{Error, Result};
use std::path::PathBuf;

/// What was wrong with a part of the file.
#[derive(Clone, Debug)]
pub struct Damage {
    /// Where it begins.
    pub offset: u64,
    /// Bytes given up.
    pub bytes: u64,
    /// Why; names the file.
    pub error: Error,
}

/// What the next piece of the file is.
pub enum ReadOutcome {
    /// A whole record is in the buffer.
    Record,
    /// Something was damaged and skipped; reading may go on behind it.
    Damage(Damage),
    /// The end: clean, or a torn or zero-filled tail (which is not damage).
    End,
}

/// Reads the records of a file.
pub struct RecordReader {
    file: Box<dyn SequentialFile>,
}

impl RecordReader {
    /// Reads `file` from its beginning; `path` is for messages.
    pub fn new(file: Box<dyn SequentialFile>, path: PathBuf) -> Self {
        todo!()
    }
    /// Reads the next record into `record` (which it clears).
    pub fn read_record(&mut self, record: &mut Vec<u8>) -> Result<ReadOutcome> {
        todo!()
    }
    /// The offset behind the last whole record: equal to the file's length only after a clean end.
    pub fn end_of_last_record(&self) -> u64 {
        todo!()
    }
}
