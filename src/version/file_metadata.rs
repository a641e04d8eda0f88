//! One table file, as versions know it.
//!
//! A file's metadata is shared, by `Arc`, by every version that has the file, and a number has one metadata object for as
//! long as any version has it (`builder` sees to that, also when a file moves to another level). The last reference to
//! metadata that was marked deleted puts the number into [`ObsoleteFiles`]: so a number stands there only when no version,
//! and no iterator over one, has the file any more.
//!
//! All methods may be called from any thread at once. `being_compacted` is written under the state mutex.

use crate::error::{Error, Result};
use crate::format::file_name;
use crate::format::internal_key::{InternalKey, InternalKeyComparator};
use crate::table::cache::{PinPermit, TableCache};
use crate::table::properties::TableProperties;
use crate::table::reader::Table;
use crate::util::lock::Mutex;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Numbers of files no version refers to any more, waiting to be removed.
#[derive(Default)]
pub struct ObsoleteFiles {
    numbers: Mutex<Vec<u64>>,
    /// As many; written under the lock, and asked at the end of each iterator.
    count: AtomicUsize,
}

impl ObsoleteFiles {
    /// Takes the numbers that are waiting.
    pub fn take(&self) -> Vec<u64> {
        let mut numbers = self.numbers.lock();
        self.count.store(0, Ordering::Release);
        std::mem::take(&mut *numbers)
    }
    /// How many numbers are waiting?
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }
    /// Is any number waiting?
    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }
    /// Adds a number (called as the last reference to a deleted file's metadata goes away).
    pub fn push(&self, number: u64) {
        let mut numbers = self.numbers.lock();
        numbers.push(number);
        self.count.store(numbers.len(), Ordering::Release);
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
    /// The open table, once it is one of those that stay open with their file.
    pinned: OnceLock<(Arc<Table>, PinPermit)>,
    /// Seeks it may still waste before it had better be compacted.
    allowed_seeks: AtomicI64,
    being_compacted: AtomicBool,
    /// The smallest key was compared with the largest, and is not above it.
    bounds_are_checked: AtomicBool,
    /// Empty: not known yet; `None`: the table says nothing of itself.
    properties: OnceLock<Option<TableProperties>>,
    /// Where its number goes in the end; empty while a durable MANIFEST names the file.
    deleted: OnceLock<Arc<ObsoleteFiles>>,
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

/// A wasted seek costs about as much as compacting 40 KB; with LevelDB we take 16 KB for caution's sake.
const BYTES_PER_ALLOWED_SEEK: u64 = 16 << 10;

/// A file whose seeks are used up says so again after this many more.
const SEEKS_BETWEEN_REMINDERS: i64 = 50;

/// Files may waste so many seeks however small they are.
const MIN_ALLOWED_SEEKS: i64 = 100;

/// How many seeks a file may waste.
fn allowed_seeks(file_size: u64) -> i64 {
    i64::try_from(file_size / BYTES_PER_ALLOWED_SEEK).unwrap_or(i64::MAX).max(MIN_ALLOWED_SEEKS)
}

impl FileMetaData {
    /// Metadata of a file.
    pub fn new(number: u64, file_size: u64, smallest: InternalKey, largest: InternalKey) -> Self {
        FileMetaData {
            number,
            file_size,
            smallest,
            largest,
            pinned: OnceLock::new(),
            allowed_seeks: AtomicI64::new(allowed_seeks(file_size)),
            being_compacted: AtomicBool::new(false),
            bounds_are_checked: AtomicBool::new(false),
            properties: OnceLock::new(),
            deleted: OnceLock::new(),
        }
    }

    /// As `new`, for a table just built, whose properties are known.
    pub fn with_properties(
        number: u64,
        file_size: u64,
        smallest: InternalKey,
        largest: InternalKey,
        properties: TableProperties,
    ) -> Self {
        let mut file = Self::new(number, file_size, smallest, largest);
        file.properties = OnceLock::from(Some(properties));
        file
    }

    /// The open table: no lock and no look-up where it is pinned. Corruption where the file is missing.
    #[inline]
    pub fn table(&self, cache: &Arc<TableCache>) -> Result<TableRef<'_>> {
        match self.pinned.get() {
            Some((table, _)) => Ok(TableRef::Pinned(table)),
            None => self.open_table(cache),
        }
    }

    /// Is its table open for as long as the file is part of a version?
    #[inline]
    pub fn is_pinned(&self) -> bool {
        self.pinned.get().is_some()
    }

    /// Corruption where the smallest key is above the largest.
    pub fn check_bounds(&self, comparator: &InternalKeyComparator) -> Result<()> {
        if comparator.compare(self.smallest.encoded(), self.largest.encoded()).is_gt() {
            return Err(Error::corruption(format!(
                "table file {} is said to have a smallest key, {:?}, above its largest, {:?}; repair the database",
                self.number, self.smallest, self.largest
            )));
        }
        self.bounds_are_checked.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Gets the table from the cache, and pins it if there is room for one more.
    #[inline(never)]
    fn open_table(&self, cache: &Arc<TableCache>) -> Result<TableRef<'_>> {
        if !self.bounds_are_checked.load(Ordering::Relaxed) {
            self.check_bounds(&cache.options().comparator)?;
        }
        let table = cache.find(self.number, self.file_size).map_err(|error| self.explain(cache, error))?;
        self.properties.get_or_init(|| table.properties().cloned());
        if let Some(permit) = cache.try_pin(self.number, &table) {
            // Where another thread was faster, its table stays, and our permit is given back.
            let (table, _) = self.pinned.get_or_init(|| (table, permit));
            return Ok(TableRef::Pinned(table));
        }
        Ok(TableRef::Cached(table))
    }

    /// A file that a version names and that is not there is damage to the database, not a key that was not found.
    #[cold]
    fn explain(&self, cache: &TableCache, error: Error) -> Error {
        if !error.is_not_found() {
            return error;
        }
        let path = match error.path() {
            Some(path) => path.to_path_buf(),
            None => file_name::table(cache.db(), self.number),
        };
        Error::corruption_in(
            &path,
            "the table file is missing; restore it from a backup or repair the database",
        )
    }

    /// The table's properties, as far as they are known without opening it.
    pub fn properties(&self) -> Option<&TableProperties> {
        self.properties.get()?.as_ref()
    }

    /// Takes one from the seeks it may still waste; true when they are used up, and now and then after that: the first time
    /// there may be something more urgent.
    pub fn charge_seek(&self) -> bool {
        // The count may run on below zero: at one a nanosecond it would take centuries to wrap.
        let left = self.allowed_seeks.fetch_sub(1, Ordering::Relaxed) - 1;
        left <= 0 && left % SEEKS_BETWEEN_REMINDERS == 0
    }

    /// Is it on the way to be compacted for its seeks?
    pub fn has_wasted_half_its_seeks(&self) -> bool {
        self.allowed_seeks.load(Ordering::Relaxed) <= allowed_seeks(self.file_size) / 2
    }

    /// It may waste as many seeks as at first: it was not, or could not be, compacted for those it has wasted.
    pub fn forgive_seeks(&self) {
        self.allowed_seeks.store(allowed_seeks(self.file_size), Ordering::Relaxed);
    }

    /// Is a compaction reading it?
    pub fn is_being_compacted(&self) -> bool {
        self.being_compacted.load(Ordering::Relaxed)
    }

    /// Marks it as (not) being read by a compaction; under the state mutex.
    pub fn set_being_compacted(&self, yes: bool) {
        self.being_compacted.store(yes, Ordering::Relaxed);
    }

    /// A durable MANIFEST no longer names it (at any level): when the last version that has it goes, its number goes to
    /// `queue`.
    pub fn mark_deleted(&self, queue: &Arc<ObsoleteFiles>) {
        // Marked twice, the first queue keeps it.
        let _ = self.deleted.set(queue.clone());
    }

    /// Does `other` describe the same file in the same words?
    pub(super) fn describes_the_same(&self, other: &FileMetaData) -> bool {
        (self.number, self.file_size) == (other.number, other.file_size)
            && self.smallest == other.smallest
            && self.largest == other.largest
    }
}

impl Drop for FileMetaData {
    fn drop(&mut self) {
        // The table is closed before anyone learns that its file can be removed.
        drop(self.pinned.take());
        if let Some(queue) = self.deleted.take() {
            queue.push(self.number);
        }
    }
}

impl fmt::Debug for FileMetaData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}[{:?} .. {:?}]", self.number, self.file_size, self.smallest, self.largest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::internal_key::ValueType;

    fn file(number: u64, file_size: u64) -> Arc<FileMetaData> {
        let key = |user: &[u8]| InternalKey::new(user, 1, ValueType::Value);
        Arc::new(FileMetaData::new(number, file_size, key(b"a"), key(b"b")))
    }

    #[test]
    fn a_number_is_queued_when_the_last_holder_of_a_deleted_file_goes() {
        let queue = Arc::new(ObsoleteFiles::default());
        let file_7 = file(7, 1);
        let held_by_a_version = file_7.clone();
        file_7.mark_deleted(&queue);
        file_7.mark_deleted(&Arc::new(ObsoleteFiles::default()));
        drop(file_7);
        assert!(queue.is_empty());
        drop(held_by_a_version);
        assert_eq!(queue.take(), [7]);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_file_that_is_not_deleted_is_not_queued() {
        let queue = Arc::new(ObsoleteFiles::default());
        drop(file(7, 1));
        assert!(queue.is_empty());
    }

    #[test]
    fn used_up_seeks_are_told_again_and_large_files_have_more_of_them() {
        for (file_size, seeks) in [(0, 100), (1 << 20, 100), (16384 * 500 + 16383, 500)] {
            let file = file(1, file_size);
            let used_up: Vec<i32> = (1..2000).filter(|_| file.charge_seek()).collect();
            assert!(used_up.iter().copied().eq((seeks..2000).step_by(50)));
        }
        assert!(!file(1, u64::MAX).charge_seek());
    }

    #[test]
    fn wasted_seeks_are_noticed_halfway_and_can_be_forgiven() {
        let file = file(1, 16384 * 300);
        for _ in 0..149 {
            file.charge_seek();
        }
        assert!(!file.has_wasted_half_its_seeks());
        file.charge_seek();
        assert!(file.has_wasted_half_its_seeks());
        file.forgive_seeks();
        assert!(!file.has_wasted_half_its_seeks());
        assert_eq!((1..).find(|_| file.charge_seek()), Some(300));
    }

    #[test]
    fn properties_are_known_of_tables_just_built() {
        let key = InternalKey::new(b"a", 1, ValueType::Value);
        let properties = TableProperties { num_entries: 3, ..TableProperties::default() };
        let built = FileMetaData::with_properties(1, 2, key.clone(), key, properties.clone());
        assert_eq!(built.properties(), Some(&properties));
        assert_eq!(file(1, 2).properties(), None);
    }
}
