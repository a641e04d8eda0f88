//! stub
use crate::env::WritableFile;
use crate::error::Result;

/// Frames records into a file.
pub struct RecordWriter {
    file: Box<dyn WritableFile>,
}

impl RecordWriter {
    /// Writes to `file`, which holds `offset` bytes already.
    pub fn new(file: Box<dyn WritableFile>, offset: u64) -> Self {
        todo!()
    }
    /// Appends one record and hands it to the system. After an error the writer is poisoned: every later call fails.
    pub fn add_record(&mut self, payload: &[u8]) -> Result<()> {
        todo!()
    }
    /// Makes all records durable (fdatasync).
    pub fn sync(&mut self) -> Result<()> {
        todo!()
    }
    /// Closes the file.
    pub fn close(&mut self) -> Result<()> {
        todo!()
    }
    /// Bytes of the file so far.
    pub fn file_size(&self) -> u64 {
        todo!()
    }
}
