//! The metadata of one table file, as versions have it.
//!
//! A file's metadata is shared, by `Arc`, by every version that has the file. A file number has one metadata
//! object for as long as any version has the file (`builder` ensures that, also when a file moves to another
//! level). Dropping the last reference to metadata that was marked deleted puts the number into
//! [`ObsoleteFiles`]. So a number is there only when no version, and no iterator over a version, has the file
//! any more.
//!
//! All methods may be called from any thread at once. `being_compacted` is only written under the state
//! mutex.

use crate::error::{Error, Result};
use crate::format::file_name;
use crate::format::internal_key::{InternalKey, InternalKeyComparator, SequenceNumber};
use crate::language::Language;
use crate::table::builder::BuiltTable;
use crate::table::cache::TableCache;
use crate::table::open_tables::PinPermit;
use crate::table::properties::TableProperties;
use crate::table::reader::Table;
use crate::util::lock::Mutex;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// The numbers of files that no version has any more and that wait to be removed.
#[derive(Default)]
pub struct ObsoleteFiles {
    numbers: Mutex<Vec<u64>>,
    /// The length of `numbers`. Written under the lock, read without it at the end of each iterator.
    count: AtomicUsize,
}

impl ObsoleteFiles {
    /// Takes all waiting numbers out.
    pub fn take(&self) -> Vec<u64> {
        let mut numbers = self.numbers.lock();
        self.count.store(0, Ordering::Release);
        std::mem::take(&mut *numbers)
    }
    /// How many numbers are waiting.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }
    /// Is any number waiting?
    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }
    /// Adds a number. Called when the last reference to a deleted file's metadata is dropped.
    pub fn push(&self, number: u64) {
        let mut numbers = self.numbers.lock();
        numbers.push(number);
        self.count.store(numbers.len(), Ordering::Release);
    }
}

/// One table file of a version, shared by all versions that have it. Dropping the last reference after
/// `mark_deleted` puts the number into `ObsoleteFiles`.
pub struct FileMetaData {
    /// The file number.
    pub number: u64,
    /// The size of the file, in bytes.
    pub file_size: u64,
    /// The smallest internal key.
    pub smallest: InternalKey,
    /// The largest internal key.
    pub largest: InternalKey,
    /// The lowest and the highest sequence number, as a MANIFEST of RocksDB's language says them, or as they
    /// were found out.
    sequences: OnceLock<(SequenceNumber, SequenceNumber)>,
    /// The place in the order of level 0 that a MANIFEST of RocksDB's language gives the file.
    epoch: Option<u64>,
    /// The language of the table, as far as it is known: one of the constants below.
    language: AtomicU8,
    /// The open table, if it is pinned: then it stays open as long as this metadata exists.
    pinned: OnceLock<(Arc<Table>, PinPermit)>,
    /// The number of wasted seeks left until the file should be compacted. May be negative.
    allowed_seeks: AtomicI64,
    being_compacted: AtomicBool,
    /// Was the smallest key compared with the largest, and found not to be above it?
    bounds_are_checked: AtomicBool,
    /// Not set: not known yet. `None`: the table has no usable properties.
    properties: OnceLock<Option<TableProperties>>,
    /// Where the number is put by the drop of this metadata. Not set while a durable MANIFEST names the file.
    deleted: OnceLock<Arc<ObsoleteFiles>>,
}

const UNKNOWN: u8 = 0;
const LEVELDB: u8 = 1;
const ROCKSDB: u8 = 2;

/// A table borrowed from a file's metadata, or from the table cache.
pub enum TableRef<'a> {
    /// Pinned in the file's metadata.
    Pinned(&'a Arc<Table>),
    /// In the list of the table cache.
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

/// A wasted seek costs about as much as the compaction of 40 KB. LevelDB uses 16 KB to be conservative, and
/// so does this code.
const BYTES_PER_ALLOWED_SEEK: u64 = 16 << 10;

/// A file whose seeks are used up reports this again after so many more wasted seeks.
const SEEKS_BETWEEN_REMINDERS: i64 = 50;

/// The number of seeks that even the smallest file may waste.
const MIN_ALLOWED_SEEKS: i64 = 100;

/// The number of seeks that a file of this size may waste.
fn allowed_seeks(file_size: u64) -> i64 {
    i64::try_from(file_size / BYTES_PER_ALLOWED_SEEK).unwrap_or(i64::MAX).max(MIN_ALLOWED_SEEKS)
}

impl FileMetaData {
    /// The metadata of a file about whose contents nothing else is known.
    pub fn new(number: u64, file_size: u64, smallest: InternalKey, largest: InternalKey) -> Self {
        FileMetaData {
            number,
            file_size,
            smallest,
            largest,
            sequences: OnceLock::new(),
            epoch: None,
            language: AtomicU8::new(UNKNOWN),
            pinned: OnceLock::new(),
            allowed_seeks: AtomicI64::new(allowed_seeks(file_size)),
            being_compacted: AtomicBool::new(false),
            bounds_are_checked: AtomicBool::new(false),
            properties: OnceLock::new(),
            deleted: OnceLock::new(),
        }
    }

    /// As `new`, for a table that was just built, whose properties are known.
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

    /// The metadata of the table that was just built.
    pub fn of_built(number: u64, smallest: InternalKey, largest: InternalKey, built: BuiltTable) -> Self {
        let file = Self::with_properties(number, built.file_size, smallest, largest, built.properties);
        file.with_language(built.language)
    }

    /// The same file, whose sequence numbers are known.
    pub fn with_sequences(self, lowest: SequenceNumber, highest: SequenceNumber) -> Self {
        self.set_sequences(lowest, highest);
        self
    }

    /// The same file, with this epoch number, if it has one.
    pub fn with_epoch(mut self, epoch: Option<u64>) -> Self {
        self.epoch = epoch;
        self
    }

    /// A file that is the same but for its epoch number. What was found out about the table is not copied.
    pub fn with_other_epoch(&self, epoch: u64) -> Self {
        let file = Self::new(self.number, self.file_size, self.smallest.clone(), self.largest.clone());
        let file = match self.sequence_range() {
            Some((lowest, highest)) => file.with_sequences(lowest, highest),
            None => file,
        };
        let file = match self.language() {
            Some(language) => file.with_language(language),
            None => file,
        };
        file.with_epoch(Some(epoch))
    }

    /// Does the MANIFEST give an epoch number?
    pub fn has_epoch(&self) -> bool {
        self.epoch.is_some()
    }

    /// The same file, whose table is in that language.
    pub fn with_language(self, language: Language) -> Self {
        self.note_language(language);
        self
    }

    /// Records the language of the table.
    pub fn note_language(&self, language: Language) {
        let number = match language {
            Language::LevelDb => LEVELDB,
            Language::RocksDb => ROCKSDB,
        };
        self.language.store(number, Ordering::Relaxed);
    }

    /// The language of the table, if it is known without opening it.
    pub fn language(&self) -> Option<Language> {
        match self.language.load(Ordering::Relaxed) {
            LEVELDB => Some(Language::LevelDb),
            ROCKSDB => Some(Language::RocksDb),
            _ => None,
        }
    }

    /// May the table be in LevelDB's language?
    pub fn is_old(&self) -> bool {
        self.language() != Some(Language::RocksDb)
    }

    /// Records the lowest and the highest sequence number of the file's entries.
    pub fn set_sequences(&self, lowest: SequenceNumber, highest: SequenceNumber) {
        let _ = self.sequences.set((lowest, highest)); // whoever was first found the same
    }

    /// The lowest and the highest sequence number of the file's entries, if they are known without opening
    /// it.
    pub fn sequence_range(&self) -> Option<(SequenceNumber, SequenceNumber)> {
        let of_properties =
            || self.properties().map(|known| (known.smallest_sequence, known.largest_sequence));
        self.sequences.get().copied().or_else(of_properties)
    }

    /// The place in the order of level 0: the file with the higher one is newer. Ours get their number, and
    /// numbers are taken in the order of memtables.
    #[inline]
    pub fn epoch(&self) -> u64 {
        self.epoch.unwrap_or(self.number)
    }

    /// The open table. If it is pinned, that takes no lock and no search. Corruption if the file is missing.
    #[inline]
    pub fn table(&self, cache: &Arc<TableCache>) -> Result<TableRef<'_>> {
        match self.pinned.get() {
            Some((table, _)) => Ok(TableRef::Pinned(table)),
            None => self.open_table(cache),
        }
    }

    /// Does the table stay open as long as the file is part of a version?
    #[inline]
    pub fn is_pinned(&self) -> bool {
        self.pinned.get().is_some()
    }

    /// Corruption if the smallest key is above the largest.
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

    /// Gets the table from the cache, and pins it if there is room.
    #[inline(never)]
    fn open_table(&self, cache: &Arc<TableCache>) -> Result<TableRef<'_>> {
        if !self.bounds_are_checked.load(Ordering::Relaxed) {
            self.check_bounds(&cache.options().comparator)?;
        }
        let table = cache.find(self.number, self.file_size).map_err(|error| self.explain(cache, error))?;
        self.properties.get_or_init(|| table.properties().cloned());
        self.note_language(table.language());
        if let Some(permit) = cache.try_pin(self.number, &table) {
            // If another thread was faster, its table stays and the permit is returned.
            let (table, _) = self.pinned.get_or_init(|| (table, permit));
            return Ok(TableRef::Pinned(table));
        }
        Ok(TableRef::Cached(table))
    }

    /// Turns NotFound into Corruption: a missing file that a version names is damage to the database, not a
    /// missing key.
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

    /// The table's properties, if they are known without opening the table.
    pub fn properties(&self) -> Option<&TableProperties> {
        self.properties.get()?.as_ref()
    }

    /// Counts one wasted seek. Returns true when the allowed seeks are used up, and again after every 50
    /// more, because the first report may be ignored in favour of more urgent work.
    pub fn charge_seek(&self) -> bool {
        // The count may go below zero: at one seek per nanosecond it would take centuries to wrap.
        let left = self.allowed_seeks.fetch_sub(1, Ordering::Relaxed) - 1;
        left <= 0 && left % SEEKS_BETWEEN_REMINDERS == 0
    }

    /// Has the file wasted at least half of its allowed seeks, so that a seek compaction of it is near?
    pub fn has_wasted_half_its_seeks(&self) -> bool {
        self.allowed_seeks.load(Ordering::Relaxed) <= allowed_seeks(self.file_size) / 2
    }

    /// Restores the initial number of allowed seeks, because the file was not, or could not be, compacted for
    /// the seeks that it wasted.
    pub fn reset_allowed_seeks(&self) {
        self.allowed_seeks.store(allowed_seeks(self.file_size), Ordering::Relaxed);
    }

    /// Does a compaction read the file?
    pub fn is_being_compacted(&self) -> bool {
        self.being_compacted.load(Ordering::Relaxed)
    }

    /// Marks the file as (not) read by a compaction. Call under the state mutex.
    pub fn set_being_compacted(&self, yes: bool) {
        self.being_compacted.store(yes, Ordering::Relaxed);
    }

    /// Records that a durable MANIFEST no longer names the file at any level. When the last version that has
    /// it is dropped, its number is put into `queue`.
    pub fn mark_deleted(&self, queue: &Arc<ObsoleteFiles>) {
        // If the file is marked twice, the first queue stays.
        let _ = self.deleted.set(queue.clone());
    }

    /// Does `other` describe the same file, with the same number, size and bounds?
    pub(super) fn describes_the_same(&self, other: &FileMetaData) -> bool {
        (self.number, self.file_size) == (other.number, other.file_size)
            && self.smallest == other.smallest
            && self.largest == other.largest
    }
}

impl Drop for FileMetaData {
    fn drop(&mut self) {
        // The table must be closed before anybody learns that its file can be removed.
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
        file.reset_allowed_seeks();
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
