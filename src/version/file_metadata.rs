//! stub
use crate::error::Result;
use crate::format::internal_key::InternalKey;
use crate::table::cache::TableCache;
use crate::table::properties::TableProperties;
use crate::table::reader::Table;
use parking_lot::Mutex;
use std::sync::Arc;

/// Numbers of files no version refers to any more, waiting to be removed.
#[derive(Default)]
pub struct ObsoleteFiles {
    numbers: Mutex<Vec<u64>>,
}

impl ObsoleteFiles {
    /// Takes the numbers that are waiting.
    pub fn take(&self) -> Vec<u64> {
        std::mem::take(&mut *self.numbers.lock())
    }
    /// Is any number waiting?
    pub fn is_empty(&self) -> bool {
        self.numbers.lock().is_empty()
    }
    /// Adds a number (called as the last reference to a deleted file's metadata goes away).
    pub fn push(&self, number: u64) {
        self.numbers.lock().push(number);
    }
}

/// One table file of a version; shared by all versions that have it. Dropping the last reference to metadata that was
/// marked deleted (`mark_deleted`) puts the number into `ObsoleteFiles`.
pub struct FileMetaData {
    /// The file's number.
    pub number: u64,
    /// Bytes.
    pub file_size: u64,
    /// First key.
    pub smallest: InternalKey,
    /// Last key.
    pub largest: InternalKey,
    // + allowed_seeks: AtomicI64, being_compacted: AtomicBool, deleted: OnceLock<Arc<ObsoleteFiles>>,
    //   properties: OnceLock<Option<TableProperties>>, pinned: OnceLock<(Arc<Table>, PinPermit)>
}

/// A table borrowed from a file's metadata, or from the table cache.
pub enum TableRef<'a> {
    /// Hangs off the file.
    Pinned(&'a Arc<Table>),
    /// From the cache's list.
    Cached(Arc<Table>),
}

impl std::ops::Deref for TableRef<'_> {
    type Target = Arc<Table>;
    #[inline]
    fn deref(&self) -> &Arc<Table> {
        match self {
            TableRef::Pinned(table) => table,
            TableRef::Cached(table) => table,
        }
    }
}

impl FileMetaData {
    /// Metadata of a file.
    pub fn new(number: u64, file_size: u64, smallest: InternalKey, largest: InternalKey) -> Self {
        todo!()
    }
    /// As `new`, for a table just built, whose properties are known.
    pub fn with_properties(
        number: u64,
        file_size: u64,
        smallest: InternalKey,
        largest: InternalKey,
        properties: TableProperties,
    ) -> Self {
        todo!()
    }
    /// The open table: no lock and no look-up where it is pinned.
    #[inline]
    pub fn table(&self, cache: &Arc<TableCache>) -> Result<TableRef<'_>> {
        todo!()
    }
    /// The table's properties, as far as they are known without opening it.
    pub fn properties(&self) -> Option<&TableProperties> {
        todo!()
    }
    /// Takes one from the seeks it may still waste; true once, when they are used up.
    pub fn charge_seek(&self) -> bool {
        todo!()
    }
    /// Is a compaction reading it?
    pub fn is_being_compacted(&self) -> bool {
        todo!()
    }
    /// Marks it as (not) being read by a compaction; under the state mutex.
    pub fn set_being_compacted(&self, yes: bool) {
        todo!()
    }
    /// A durable MANIFEST no longer names it: when the last version that has it goes, its number goes to `queue`.
    pub fn mark_deleted(&self, queue: &Arc<ObsoleteFiles>) {
        todo!()
    }
}
