//! All that a read needs of one family, in one reference: the memtable, the immutable ones, the version.
//!
//! A super version never changes; another one is published when a memtable is rotated or a version installed. Who holds one
//! holds its memtables and its files. The order in which a reader must look, the newest first, is the order of the fields.
//!
//! A reader takes the super version first and the sequence number after it: all that the sequence number covers is then in
//! the super version or newer than it, so the view is a state the database was in.

pub use super::resting::IteratorKind;
use super::resting::RestingIterators;
use crate::error::Result;
use crate::format::internal_key::{
    InternalKey, InternalKeyComparator, KeyPrefix, LookupKey, MAX_SEQUENCE, ValueType,
};
use crate::iterator::InternalIterator;
use crate::iterator::merging::MergingIterator;
use crate::memtable::memtable::{Memtable, MemtableGet, MemtableIterator};
use crate::table::TableReadOptions;
use crate::table::iterator::TableIterator;
use crate::version::file_metadata::{FileMetaData, TableRef};
use crate::version::get::SeekCharge;
use crate::version::level_iterator::LevelIterator;
use crate::version::version::Version;
use std::sync::Arc;

/// The state of one family that reads see.
pub struct SuperVersion {
    /// The memtable that is written to.
    pub memtable: Arc<Memtable>,
    /// Memtables that wait for their flush, newest first.
    pub immutables: Vec<Arc<Memtable>>,
    /// The files.
    pub version: Arc<Version>,
    /// Iterators that were used, for those that come.
    resting: RestingIterators,
}

impl SuperVersion {
    /// The super version of these.
    pub fn new(memtable: Arc<Memtable>, immutables: Vec<Arc<Memtable>>, version: Arc<Version>) -> Self {
        SuperVersion { memtable, immutables, version, resting: RestingIterators::default() }
    }

    /// The value of the key as of the look-up's sequence number, handed to `found` uncopied; `None` where it has none.
    #[inline]
    pub fn get<R>(
        &self,
        read: TableReadOptions,
        key: &LookupKey,
        charge_seeks: bool,
        found: impl FnOnce(&[u8]) -> R,
    ) -> Result<(Option<R>, SeekCharge)> {
        for memtable in std::iter::once(&self.memtable).chain(&self.immutables) {
            // What is written to an empty one from now on is newer than the look-up.
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

    /// Everything of the family, merged. An empty memtable is left out: what is written to it later is newer than the
    /// iterator's sequence number, which the caller took after this super version.
    ///
    /// Without `paranoid_checks` damage is passed over, as in LevelDB: the first stays in `status` until the next seek. An entry
    /// that is lost so may uncover an older one of its key. I/O errors end the iteration.
    pub fn iter(
        &self,
        comparator: &InternalKeyComparator,
        read: TableReadOptions,
    ) -> (MergingIterator<ReadIterator>, IteratorKind) {
        let kind = IteratorKind { read, has_memtable: !self.memtable.is_empty() };
        let union = match self.resting.take(kind) {
            Some(resting) => MergingIterator::of_resting(comparator.clone(), resting),
            None => MergingIterator::new(comparator.clone(), self.children(comparator, kind)),
        };
        (union.tolerating_damage(self.tolerates_damage()), kind)
    }

    /// Takes back what [`SuperVersion::iter`] gave, if no move panicked, for the next who wants the same. The union is one of no
    /// children then.
    pub fn take_back(&self, union: &mut MergingIterator<ReadIterator>, kind: IteratorKind) {
        self.resting.put(kind, union.take_resting());
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

    /// About how many bytes come before a user key: of the files, and of the memtables that wait for their flush. The memtable
    /// that is written to does not count.
    pub fn approximate_bytes_before(&self, user_key: &[u8]) -> u64 {
        let key = InternalKey::new(user_key, MAX_SEQUENCE, ValueType::Value);
        let waiting = self.immutables.iter().map(|memtable| memtable.approximate_bytes_before(key.encoded()));
        waiting.fold(self.version.approximate_offset_of(key.encoded()), u64::saturating_add)
    }

    /// Do reads pass over damage, as LevelDB's do?
    fn tolerates_damage(&self) -> bool {
        !self.version.table_cache.options().paranoid_checks
    }
}

impl SuperVersion {
    /// A file of level 0. One that can't be opened becomes an iterator that shows the error when it is positioned; one whose table
    /// can't stay open, an iterator that opens it when it is.
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

/// One source of a read.
pub enum ReadIterator {
    /// Memory.
    Memtable(MemtableIterator),
    /// One file of level 0.
    Table(TableIterator),
    /// The files of a deeper level (or one file of level 0 that is opened when it is read).
    Level(LevelIterator),
}

macro_rules! each {
    ($self:ident, $iterator:ident => $body:expr) => {
        match $self {
            ReadIterator::Memtable($iterator) => $body,
            ReadIterator::Table($iterator) => $body,
            ReadIterator::Level($iterator) => $body,
        }
    };
}

impl InternalIterator for ReadIterator {
    #[inline]
    fn valid(&self) -> bool {
        each!(self, iterator => iterator.valid())
    }
    fn seek_to_first(&mut self) {
        each!(self, iterator => iterator.seek_to_first())
    }
    fn seek_to_last(&mut self) {
        each!(self, iterator => iterator.seek_to_last())
    }
    fn seek(&mut self, target: &[u8]) {
        each!(self, iterator => iterator.seek(target))
    }
    #[inline]
    fn lacks(&self, target: &[u8]) -> bool {
        each!(self, iterator => iterator.lacks(target))
    }
    #[inline]
    fn next(&mut self) {
        each!(self, iterator => iterator.next())
    }
    #[inline]
    fn next_if_plain(&mut self) -> Option<u64> {
        each!(self, iterator => iterator.next_if_plain())
    }
    #[inline(always)]
    fn next_if_plain_alone(&mut self) -> Option<u64> {
        each!(self, iterator => iterator.next_if_plain_alone())
    }
    #[inline]
    fn prev(&mut self) {
        each!(self, iterator => iterator.prev())
    }
    #[inline]
    fn key(&self) -> &[u8] {
        each!(self, iterator => iterator.key())
    }
    #[inline]
    fn key_prefix(&self) -> KeyPrefix {
        each!(self, iterator => iterator.key_prefix())
    }
    #[inline]
    fn value(&self) -> &[u8] {
        each!(self, iterator => iterator.value())
    }
    #[inline(always)]
    fn entry(&self) -> (&[u8], &[u8]) {
        each!(self, iterator => iterator.entry())
    }
    fn rest(&mut self) {
        each!(self, iterator => iterator.rest())
    }
    fn status(&self) -> Result<()> {
        each!(self, iterator => iterator.status())
    }
}
