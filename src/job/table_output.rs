//! The tables that a job is writing: created, filled, made durable, checked, and removed again if the job
//! fails.
//!
//! The order for durability: write the table, fdatasync, close. After its last table a job syncs the
//! directory, once; only then may an edit name the tables. Nothing here touches state that readers see. Each
//! object is used by one thread at a time.

use crate::compression::Compression;
use crate::env::{CreateMode, WritableFile};
use crate::error::Result;
use crate::format::file_name;
use crate::format::internal_key::InternalKey;
use crate::job::context::JobContext;
use crate::table::TableOptions;
use crate::table::builder::TableBuilder;
use crate::version::file_metadata::FileMetaData;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The size at which a table should end, if the environment limits the size of files: the index and the
/// filters still follow. In bytes.
pub fn max_table_size(context: &JobContext<'_>) -> u64 {
    let limit = context.env.file_size_limit();
    limit - limit / 4
}

/// The tables that a job has created so far. Dropping it removes the files, whether the job failed, panicked
/// or forgot them; `keep` prevents that. None of the files may be open when it is dropped.
pub struct PendingTables<'a> {
    context: &'a JobContext<'a>,
    options: Arc<TableOptions>,
    numbers: Vec<u64>,
}

impl<'a> PendingTables<'a> {
    /// No tables yet. They will have the codec of the directory's tables.
    pub fn new(context: &'a JobContext<'a>) -> Self {
        Self::compressed(context, context.compression())
    }

    /// No tables yet. They will have this codec.
    pub fn compressed(context: &'a JobContext<'a>, compression: Compression) -> Self {
        let options = context.table_cache.options();
        let options = match options.compression == compression {
            true => options.clone(),
            false => Arc::new(TableOptions { compression, ..TableOptions::clone(options) }),
        };
        PendingTables { context, options, numbers: Vec::new() }
    }

    /// Creates the table file `number`, which must not exist. The output must be dropped or finished before
    /// `self` is dropped.
    pub fn create(&mut self, number: u64) -> Result<Box<TableOutput>> {
        let creation_time = self.context.env.now_micros() / 1_000_000;
        let builder = self.builder(number, creation_time)?;
        // Boxed because it is large, and a thread that repairs or opens a database may have a small stack.
        Ok(Box::new(TableOutput { number, builder, smallest: None, largest: Vec::new() }))
    }

    /// As `create`: the builder of the table. `creation_time`: seconds since the epoch.
    pub fn builder(&mut self, number: u64, creation_time: u64) -> Result<TableBuilder> {
        let file = self.create_file(number)?;
        let JobContext { language, family, .. } = *self.context;
        Ok(TableBuilder::in_language(language, family, self.options.clone(), file, creation_time))
    }

    /// Creates the file of the table `number`, which must not exist. It must not be open when `self` is
    /// dropped.
    pub fn create_file(&mut self, number: u64) -> Result<Box<dyn WritableFile>> {
        let path = file_name::new_table(self.context.db, number, self.context.language);
        let file = self.context.env.create_writable(&path, CreateMode::New)?;
        self.numbers.push(number); // not earlier: a file that existed already is not ours to remove
        Ok(file)
    }

    /// The type byte of single-entry blocks that may be copied to the tables in their stored form: that of
    /// new blocks. `None`: no block may be copied.
    pub fn passed_type(&self) -> Option<u8> {
        self.options.compression.passed_type()
    }

    /// Keeps the tables: the job has made them and their names durable.
    pub fn keep(mut self) {
        self.numbers.clear();
    }
}

impl Drop for PendingTables<'_> {
    fn drop(&mut self) {
        for &number in &self.numbers {
            self.context.table_cache.evict(number);
            let path = file_name::new_table(self.context.db, number, self.context.language);
            match self.context.env.remove_file(&path) {
                Err(error) if !error.is_not_found() => {
                    // No version has the file, so the next scan for obsolete files removes it.
                    self.context.info_log.log(format_args!("Table #{number} is left behind: {error}"));
                }
                _ => {}
            }
        }
    }
}

/// Tables that are filled one after the other from entries in order, each made durable when it is full.
pub struct TableRun<'a> {
    context: &'a JobContext<'a>,
    current: Option<Box<TableOutput>>, // before `pending`: no file may be open when that is dropped
    pending: PendingTables<'a>,
    files: Vec<Arc<FileMetaData>>,
    max_file_size: u64,
    /// The number of the first table, if it was taken before.
    first_number: Option<u64>,
}

impl<'a> TableRun<'a> {
    /// No tables yet. A table ends when it has about `max_file_size` bytes, or as many as the environment
    /// allows.
    pub fn new(context: &'a JobContext<'a>, max_file_size: u64) -> Self {
        TableRun {
            context,
            current: None,
            pending: PendingTables::new(context),
            files: Vec::new(),
            max_file_size: max_file_size.min(max_table_size(context)),
            first_number: None,
        }
    }

    /// The same run, whose first table gets this number.
    pub fn beginning_with(mut self, number: u64) -> Self {
        self.first_number = Some(number);
        self
    }

    /// Adds an entry. Its key must be greater than all keys added before. Another table begins only at the
    /// first entry of a user key.
    #[inline]
    pub fn add(&mut self, internal_key: &[u8], value: &[u8], is_first_of_user_key: bool) -> Result<()> {
        let max_file_size = self.max_file_size;
        let is_full = |output: &mut Box<TableOutput>| {
            let is_large = output.estimated_file_size() >= max_file_size;
            is_first_of_user_key && (is_large || !output.has_room_for(internal_key))
        };
        if let Some(full) = self.current.take_if(is_full) {
            self.files.push(full.finish(self.context)?);
        }
        let output = match &mut self.current {
            Some(output) => output,
            None => {
                let next = || self.context.next_file_number.fetch_add(1, Ordering::Relaxed);
                let number = self.first_number.take().unwrap_or_else(next);
                self.current.insert(self.pending.create(number)?)
            }
        };
        output.add(internal_key, value)
    }

    /// Finishes the last table, and makes the names of all tables durable. Returns the tables, and the guard
    /// that removes them unless `keep` is called.
    pub fn finish(mut self) -> Result<(Vec<Arc<FileMetaData>>, PendingTables<'a>)> {
        if let Some(output) = self.current.take() {
            self.files.push(output.finish(self.context)?);
            self.context.env.sync_dir(self.context.db)?;
        }
        Ok((self.files, self.pending))
    }
}

/// One table that is being written.
pub struct TableOutput {
    number: u64,
    builder: TableBuilder,
    smallest: Option<InternalKey>,
    /// The internal key added last.
    largest: Vec<u8>,
}

impl TableOutput {
    /// Adds an entry. Its key must be greater than all keys added before.
    #[inline]
    pub fn add(&mut self, internal_key: &[u8], value: &[u8]) -> Result<()> {
        self.widen(internal_key)?;
        self.builder.add(internal_key, value)
    }

    /// As `add`, for an entry in its stored form: see `TableBuilder::add_raw_block`.
    pub fn add_raw_block(&mut self, internal_key: &[u8], stored: &[u8], value_length: u32) -> Result<()> {
        self.widen(internal_key)?;
        self.builder.add_raw_block(internal_key, stored, value_length)
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

    /// Does an entry with this internal key fit the table? See `TableBuilder::has_room_for`.
    #[inline]
    pub fn has_room_for(&self, internal_key: &[u8]) -> bool {
        self.builder.has_room_for(internal_key)
    }

    /// The approximate size of the file if it were finished now, in bytes.
    #[inline]
    pub fn estimated_file_size(&self) -> u64 {
        self.builder.estimated_file_size()
    }

    /// Finishes the table and makes it durable. At least one entry must have been added.
    pub fn finish(self: Box<Self>, context: &JobContext<'_>) -> Result<Arc<FileMetaData>> {
        self.finish_unsynced()?.make_durable(context)
    }

    /// Finishes the table without syncing it. At least one entry must have been added.
    pub fn finish_unsynced(self: Box<Self>) -> Result<UnsyncedTable> {
        let TableOutput { number, builder, smallest, largest } = *self;
        let (built, file) = builder.finish_unsynced()?;
        let largest = InternalKey::decode(&largest)?;
        let smallest = smallest.unwrap_or_else(|| largest.clone());
        Ok(UnsyncedTable::new(FileMetaData::of_built(number, smallest, largest, built), file))
    }
}

/// A table that is complete but not yet durable.
pub struct UnsyncedTable {
    file: Box<dyn WritableFile>,
    metadata: Arc<FileMetaData>,
}

impl UnsyncedTable {
    /// The table with this metadata, all of which was written to `file`.
    pub fn new(metadata: FileMetaData, file: Box<dyn WritableFile>) -> Self {
        UnsyncedTable { file, metadata: Arc::new(metadata) }
    }

    /// The metadata of the table.
    pub fn metadata(&self) -> &Arc<FileMetaData> {
        &self.metadata
    }

    /// Syncs and closes the file, then opens the table once, so that a table that cannot be read never gets
    /// into a version.
    pub fn make_durable(mut self, context: &JobContext<'_>) -> Result<Arc<FileMetaData>> {
        self.file.sync()?;
        self.file.close()?;
        self.metadata.table(context.table_cache)?;
        Ok(self.metadata)
    }
}
