//! A super version: one reference to all that a read of one column family needs, which is the active
//! memtable, the immutable memtables, and the version.
//!
//! A super version never changes. A memtable switch, or the installation of a version, publishes another one.
//! Whoever holds a super version keeps its memtables and files alive. The fields are in the order in which a
//! reader must search, newest data first.
//!
//! A reader takes the super version first and the sequence number after it. Every entry up to that sequence
//! number is then in the super version, or was written after the memtable switch that replaced it. In both
//! cases the view is a state that the database was in.

pub use crate::column_family::iterator_pool::IteratorKind;
use crate::column_family::iterator_pool::IteratorPool;
use crate::column_family::read_iterator::ReadIterator;
use crate::error::Result;
use crate::format::internal_key::{InternalKey, InternalKeyComparator, LookupKey, MAX_SEQUENCE, ValueType};
use crate::iterator::merging::MergingIterator;
use crate::memtable::{Memtable, MemtableGet};
use crate::table::TableReadOptions;
use crate::version::Version;
use crate::version::file_metadata::{FileMetaData, TableRef};
use crate::version::get::SeekCharge;
use crate::version::level_iterator::LevelIterator;
use std::sync::Arc;

/// The state of one column family that reads see.
pub struct SuperVersion {
    /// The memtable that writes go to.
    pub memtable: Arc<Memtable>,
    /// The memtables that wait to be flushed, newest first.
    pub immutables: Vec<Arc<Memtable>>,
    /// The table files.
    pub version: Arc<Version>,
    /// Used iterators, kept for reuse.
    pool: IteratorPool,
}

impl SuperVersion {
    /// A super version of these memtables and this version, with an empty pool.
    pub fn new(memtable: Arc<Memtable>, immutables: Vec<Arc<Memtable>>, version: Arc<Version>) -> Self {
        SuperVersion { memtable, immutables, version, pool: IteratorPool::default() }
    }

    /// Hands the value of the key as of the look-up's sequence number to `found`, without a copy; `None` if
    /// it has no value. Also returns the file to charge a seek to, if `charge_seeks` is set.
    #[inline]
    pub fn get<R>(
        &self,
        read: TableReadOptions,
        key: &LookupKey,
        charge_seeks: bool,
        found: impl FnOnce(&[u8]) -> R,
    ) -> Result<(Option<R>, SeekCharge)> {
        for memtable in std::iter::once(&self.memtable).chain(&self.immutables) {
            // An entry that is written to an empty memtable from now on is newer than the look-up.
            if memtable.is_empty() {
                continue;
            }
            match memtable.get(key) {
                MemtableGet::Value(value) => return Ok((Some(found(value)), None)),
                MemtableGet::Deleted => return Ok((None, None)),
                MemtableGet::Missing => {}
            }
        }
        self.version.get(read, key, charge_seeks, found)
    }

    /// An iterator over all entries of the family, merged. An empty active memtable is left out: entries
    /// written to it later are newer than the iterator's sequence number, which the caller takes after this
    /// super version.
    ///
    /// Without `paranoid_checks`, damage is skipped, as in LevelDB: the first damage stays in `status` until
    /// the next seek. An entry that is lost this way may expose an older version of its key. I/O errors end
    /// the iteration.
    pub fn iter(
        &self,
        comparator: &InternalKeyComparator,
        read: TableReadOptions,
    ) -> (MergingIterator<ReadIterator>, IteratorKind) {
        let kind = IteratorKind { read, has_memtable: !self.memtable.is_empty() };
        let union = match self.pool.take(kind) {
            Some(pooled) => MergingIterator::from_pooled(comparator.clone(), pooled),
            None => MergingIterator::new(comparator.clone(), self.children(comparator, kind)),
        };
        (union.tolerating_damage(self.tolerates_damage()), kind)
    }

    /// Returns an iterator from [`SuperVersion::iter`] to the pool, for the next caller that wants the same
    /// kind. Do not call it if a move has panicked. `union` has no children afterwards.
    pub fn take_back(&self, union: &mut MergingIterator<ReadIterator>, kind: IteratorKind) {
        self.pool.put(kind, union.take_pooled());
    }

    fn children(&self, comparator: &InternalKeyComparator, kind: IteratorKind) -> Vec<ReadIterator> {
        let read = kind.read;
        let mut children = Vec::with_capacity(self.immutables.len() + 2 + self.version.levels[0].len());
        if kind.has_memtable {
            children.push(ReadIterator::Memtable(self.memtable.iter()));
        }
        let immutables = self.immutables.iter().filter(|memtable| !memtable.is_empty());
        children.extend(immutables.map(|memtable| ReadIterator::Memtable(memtable.iter())));
        for level in 0..self.version.levels.len() {
            let files = &self.version.levels[level];
            if level == 0 {
                children.extend(files.iter().map(|file| self.level0_iterator(comparator, file, read)));
            } else if !files.is_empty() {
                let run = LevelIterator::new(
                    comparator.clone(),
                    files.clone(),
                    self.version.table_cache.clone(),
                    read,
                );
                children.push(ReadIterator::Level(run.tolerating_damage(self.tolerates_damage())));
            }
        }
        children
    }

    /// The approximate number of bytes before a user key, in the files and in the immutable memtables. The
    /// active memtable does not count.
    pub fn approximate_bytes_before(&self, user_key: &[u8]) -> u64 {
        let key = InternalKey::new(user_key, MAX_SEQUENCE, ValueType::Value);
        let waiting = self.immutables.iter().map(|memtable| memtable.approximate_bytes_before(key.encoded()));
        waiting.fold(self.version.approximate_offset_of(key.encoded()), u64::saturating_add)
    }

    /// Do reads skip damage, as LevelDB's do?
    fn tolerates_damage(&self) -> bool {
        !self.version.table_cache.options().paranoid_checks
    }
}

impl SuperVersion {
    /// The iterator over a file of level 0. If the file cannot be opened, the iterator reports the error when
    /// it is positioned. If its table cannot be pinned, the iterator opens the table when it is positioned.
    fn level0_iterator(
        &self,
        comparator: &InternalKeyComparator,
        file: &Arc<FileMetaData>,
        read: TableReadOptions,
    ) -> ReadIterator {
        let cache = &self.version.table_cache;
        match file.table(cache) {
            Ok(TableRef::Pinned(table)) => ReadIterator::Table(table.iter(read)),
            Ok(TableRef::Cached(_)) | Err(_) => {
                let alone = vec![file.clone()];
                let run = LevelIterator::new(comparator.clone(), alone, cache.clone(), read);
                ReadIterator::Level(run.tolerating_damage(self.tolerates_damage()))
            }
        }
    }
}
