//! Writes a table of user keys.
//!
//! A builder is used by one thread.

use crate::comparator::Comparator;
use crate::compression::Compressor;
use crate::env::WritableFile;
use crate::error::{Error, Result};
use crate::format::common_prefix::common_prefix_length;
use crate::format::limits::{MAX_BLOCK_SIZE, check_entry};
use crate::language::Language;
use crate::options::Options;
use crate::table::block_writer::MetaindexForm;
use crate::table::table_writer::{Layout, TableWriter};
use std::cmp::Ordering;
use std::sync::Arc;

/// Writes one table of user keys.
pub struct UserKeyTableBuilder {
    comparator: Arc<dyn Comparator>,
    writer: TableWriter,
    num_entries: u64,
    error: Option<Error>,
    finished: bool,
}

impl UserKeyTableBuilder {
    /// A builder that writes to `file`, which must be empty. It uses those of the options that concern
    /// tables.
    pub fn new(options: &Options, file: Box<dyn WritableFile>) -> Self {
        let options = options.sanitized();
        let layout = Layout {
            block_size: options.block_size,
            restart_interval: options.block_restart_interval,
            filter_policy: options.filter_policy.clone(),
            max_meta_block_size: MAX_BLOCK_SIZE,
            language: Language::LevelDb,
        };
        UserKeyTableBuilder {
            writer: TableWriter::new(file, compressor(&options), layout),
            comparator: options.comparator,
            num_entries: 0,
            error: options.compression.check().err(),
            finished: false,
        }
    }

    /// Takes block size, restart interval and compression from `options`, from the next block on.
    /// InvalidArgument if the comparator is another one.
    pub fn change_options(&mut self, options: &Options) -> Result<()> {
        if options.comparator.name() != self.comparator.name() {
            return Err(Error::invalid_argument("changing comparator while building table"));
        }
        options.compression.check()?;
        let options = options.sanitized();
        self.writer.change_blocks(compressor(&options), options.block_size, options.block_restart_interval);
        Ok(())
    }

    /// Adds an entry. Its key must be greater than all keys added before. After an error nothing more is
    /// written.
    pub fn add(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.run(|this| this.flushing(|this| this.try_add(key, value)))
    }

    fn run(&mut self, body: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        if self.finished {
            return Err(Error::invalid_argument("the table is finished"));
        }
        let result = body(self);
        self.error = result.as_ref().err().cloned();
        result
    }

    /// Runs `body`, and flushes the file if that has written data blocks.
    fn flushing(&mut self, body: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let blocks = self.writer.num_data_blocks();
        body(self)?;
        if self.writer.num_data_blocks() == blocks { Ok(()) } else { self.writer.flush() }
    }

    fn try_add(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        check_entry(key.len(), value.len())?;
        if self.num_entries > 0 && self.comparator.compare(key, self.writer.last_key()) != Ordering::Greater {
            return Err(Error::invalid_argument("a key added to a table is not behind the one before"));
        }
        let shared = common_prefix_length(self.writer.last_key(), key);
        self.writer.begin_entry(shared, key, key, key.len() + value.len(), |last_key| {
            self.comparator.find_shortest_separator(last_key, key);
        })?;
        self.num_entries += 1;
        self.writer.put(shared, key, value)
    }

    /// Ends the data block; the next entry begins another one.
    pub fn flush(&mut self) -> Result<()> {
        self.run(|this| this.flushing(|this| this.writer.flush_data_block()))
    }

    /// Writes all that follows the data blocks. The file is flushed, but neither synced nor closed.
    pub fn finish(&mut self) -> Result<()> {
        self.run(|this| {
            this.finished = true;
            this.writer.end_data(|last_key| this.comparator.find_short_successor(last_key))?;
            this.writer.write_filter_block()?;
            this.writer.finish(MetaindexForm::Compressed)?;
            this.writer.flush()
        })
    }

    /// The first error of any call.
    pub fn status(&self) -> Result<()> {
        self.error.clone().map_or(Ok(()), Err)
    }

    /// The number of entries added so far.
    pub fn num_entries(&self) -> u64 {
        self.num_entries
    }

    /// Bytes written so far.
    pub fn file_size(&self) -> u64 {
        self.writer.offset()
    }
}

fn compressor(options: &Options) -> Compressor {
    Compressor::with_level(options.compression, options.compression_level, Language::LevelDb)
}
