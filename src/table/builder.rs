//! stub
use super::TableOptions;
use super::properties::TableProperties;
use crate::env::WritableFile;
use crate::error::Result;
use std::sync::Arc;

/// Writes one table, from entries in increasing order.
pub struct TableBuilder {
    file: Box<dyn WritableFile>,
}

/// What was built.
#[derive(Clone, Debug)]
pub struct BuiltTable {
    /// Bytes.
    pub file_size: u64,
    /// Of the table.
    pub properties: TableProperties,
}

impl TableBuilder {
    /// Writes to `file`, which is empty. `creation_time`: seconds since the epoch.
    pub fn new(options: Arc<TableOptions>, file: Box<dyn WritableFile>, creation_time: u64) -> Self {
        todo!()
    }
    /// Adds an entry; its internal key is greater than any added before. After an error nothing more is written.
    pub fn add(&mut self, internal_key: &[u8], value: &[u8]) -> Result<()> {
        todo!()
    }
    /// Entries so far.
    pub fn num_entries(&self) -> u64 {
        todo!()
    }
    /// Bytes written so far, and what the unfinished block would add.
    pub fn estimated_file_size(&self) -> u64 {
        todo!()
    }
    /// Writes the rest (filter, properties, metaindex, index, footer), syncs and closes the file.
    pub fn finish(self) -> Result<BuiltTable> {
        todo!()
    }
}
