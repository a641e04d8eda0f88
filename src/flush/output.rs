//! Tables that a flush or a compaction is making: created, filled, made durable, checked, and removed again if the job fails.
//!
//! Order (RELIABILITY): table write, fdatasync, close; after the last table of a job the directory is synced, once, by the job; only
//! then may an edit name them. Nothing here touches state that readers see. Each thing is used by one thread at a time.

use super::job::JobContext;
use crate::compression::Compression;
use crate::env::{CreateMode, WritableFile};
use crate::error::Result;
use crate::format::file_name;
use crate::format::internal_key::InternalKey;
use crate::table::TableOptions;
use crate::table::builder::TableBuilder;
use crate::version::file_metadata::FileMetaData;
use std::sync::Arc;

/// The size at which a table is to end at the latest, where files may not become larger than the environment says: index and filters
/// follow what it has then.
pub fn max_table_size(context: &JobContext<'_>) -> u64 {
    let limit = context.env.file_size_limit();
    limit - limit / 4
}

/// The tables a job has created so far. Dropping it removes them, whether the job failed, panicked or forgot them; `keep` does
/// not. No file of theirs may be open any more then.
pub struct PendingTables<'a> {
    context: &'a JobContext<'a>,
    options: Arc<TableOptions>,
    numbers: Vec<u64>,
}

impl<'a> PendingTables<'a> {
    /// None yet. They will be compressed as those of the directory are.
    pub fn new(context: &'a JobContext<'a>) -> Self {
        Self::compressed(context, context.compression())
    }

    /// None yet. They will be compressed so.
    pub fn compressed(context: &'a JobContext<'a>, compression: Compression) -> Self {
        let options = context.table_cache.options();
        let options = match options.compression == compression {
            true => options.clone(),
            false => Arc::new(TableOptions { compression, ..TableOptions::clone(options) }),
        };
        PendingTables { context, options, numbers: Vec::new() }
    }

    /// Creates the table file `number`, which must not exist. To be dropped or finished before the tables themselves are.
    pub fn create(&mut self, number: u64) -> Result<Box<TableOutput>> {
        let path = file_name::table(self.context.db, number);
        let file = self.context.env.create_writable(&path, CreateMode::New)?;
        self.numbers.push(number); // not before: a file that was there already is not ours to remove
        let creation_time = self.context.env.now_micros() / 1_000_000;
        // (It is large, and who repairs or opens a database may have little stack.)
        Ok(Box::new(TableOutput {
            number,
            builder: TableBuilder::new(self.options.clone(), file, creation_time),
            smallest: None,
            largest: Vec::new(),
        }))
    }

    /// May a block be passed on as it is that is compressed as the options say? It must be what a new one would be.
    pub fn pass_stored(&self) -> bool {
        let of_options = self.context.table_cache.options().compression;
        self.options.compression.passed_type() == of_options.passed_type()
    }

    /// The tables stay: the job has made them, and their names, durable.
    pub fn keep(mut self) {
        self.numbers.clear();
    }
}

impl Drop for PendingTables<'_> {
    fn drop(&mut self) {
        for &number in &self.numbers {
            self.context.table_cache.evict(number);
            let path = file_name::table(self.context.db, number);
            match self.context.env.remove_file(&path) {
                Err(error) if !error.is_not_found() => {
                    // It is in no version, so it goes with the next clean-up of the directory.
                    self.context.info_log.log(format_args!("Table #{number} is left behind: {error}"));
                }
                _ => {}
            }
        }
    }
}

/// One table being written.
pub struct TableOutput {
    number: u64,
    builder: TableBuilder,
    smallest: Option<InternalKey>,
    /// The key added last.
    largest: Vec<u8>,
}

impl TableOutput {
    /// Adds an entry, greater than any before.
    #[inline]
    pub fn add(&mut self, internal_key: &[u8], value: &[u8]) -> Result<()> {
        self.widen(internal_key)?;
        self.builder.add(internal_key, value)
    }

    /// As `add`, of an entry whose value is in `stored`: see `TableBuilder::add_stored`.
    pub fn add_stored(&mut self, internal_key: &[u8], stored: &[u8], value_length: u32) -> Result<()> {
        self.widen(internal_key)?;
        self.builder.add_stored(internal_key, stored, value_length)
    }

    #[inline]
    fn widen(&mut self, internal_key: &[u8]) -> Result<()> {
        if self.smallest.is_none() {
            self.smallest = Some(InternalKey::decode(internal_key)?);
        }
        self.largest.clear();
        self.largest.extend_from_slice(internal_key);
        Ok(())
    }

    /// Is there room for an entry with this internal key? See `TableBuilder::has_room_for`.
    #[inline]
    pub fn has_room_for(&self, internal_key: &[u8]) -> bool {
        self.builder.has_room_for(internal_key)
    }

    /// Bytes it would take if it were finished now, about.
    #[inline]
    pub fn estimated_file_size(&self) -> u64 {
        self.builder.estimated_file_size()
    }

    /// Writes the rest, and makes the table durable. At least one entry was added.
    pub fn finish(self: Box<Self>, context: &JobContext<'_>) -> Result<Arc<FileMetaData>> {
        self.finish_unsynced()?.make_durable(context)
    }

    /// Writes the rest. At least one entry was added.
    pub fn finish_unsynced(self: Box<Self>) -> Result<UnsyncedTable> {
        let TableOutput { number, builder, smallest, largest } = *self;
        let (built, file) = builder.finish_unsynced()?;
        let largest = InternalKey::decode(&largest)?;
        let smallest = smallest.unwrap_or_else(|| largest.clone());
        let metadata =
            FileMetaData::with_properties(number, built.file_size, smallest, largest, built.properties);
        Ok(UnsyncedTable { file, metadata: Arc::new(metadata) })
    }
}

/// A table that is written and not yet durable.
pub struct UnsyncedTable {
    file: Box<dyn WritableFile>,
    metadata: Arc<FileMetaData>,
}

impl UnsyncedTable {
    /// What it will be.
    pub fn metadata(&self) -> &Arc<FileMetaData> {
        &self.metadata
    }

    /// Makes the content durable, and opens the table once, so that one that can't be read never gets into a version.
    pub fn make_durable(mut self, context: &JobContext<'_>) -> Result<Arc<FileMetaData>> {
        self.file.sync()?;
        self.file.close()?;
        self.metadata.table(context.table_cache)?;
        Ok(self.metadata)
    }
}
