//! A pool of iterators for reuse. A program that creates an iterator for one seek and destroys it pays for
//! the iterator's components only the first time.
//!
//! The pool belongs to a super version, which holds everything that the iterators refer to (memtables, pinned
//! tables, levels). So pooled iterators keep nothing else alive. They hold no block. The pool has a few
//! slots, assigned by thread number; a slot is used by one thread at a time.
//!
//! Thread rule: any thread. No thread waits: a busy slot counts as empty.

use crate::column_family::read_iterator::ReadIterator;
use crate::iterator::merging::PooledUnion;
use crate::table::TableReadOptions;
use crate::util::lock::Mutex;
use crate::util::sync::{CachePadded, thread_number};
use std::sync::OnceLock;

/// The number of slots; a power of two.
const PLACES: usize = 16;

/// The properties in which iterators over one super version differ.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IteratorKind {
    /// The read options of the iterator.
    pub(super) read: TableReadOptions,
    /// Does the iterator contain the active memtable? It does not if that was empty when the iterator was
    /// created.
    pub(super) has_memtable: bool,
}

type Place = CachePadded<Mutex<Option<(IteratorKind, PooledUnion<ReadIterator>)>>>;

/// At most one iterator per slot. The slots are allocated at the first `put`.
#[derive(Default)]
pub(super) struct IteratorPool {
    places: OnceLock<Box<[Place; PLACES]>>,
}

impl IteratorPool {
    #[inline]
    fn place(places: &[Place; PLACES]) -> &Place {
        &places[thread_number() & (PLACES - 1)]
    }

    #[cold]
    fn make() -> Box<[Place; PLACES]> {
        Box::new(std::array::from_fn(|_| CachePadded::new(Mutex::new(None))))
    }

    /// Takes the iterator out of this thread's slot, if it is of this kind.
    #[inline]
    pub fn take(&self, kind: IteratorKind) -> Option<PooledUnion<ReadIterator>> {
        let mut place = Self::place(self.places.get()?).try_lock()?;
        match &*place {
            Some((here, _)) if *here == kind => place.take().map(|(_, union)| union),
            _ => None,
        }
    }

    /// Puts an iterator into this thread's slot. An iterator that is there already is dropped.
    #[inline]
    pub fn put(&self, kind: IteratorKind, union: PooledUnion<ReadIterator>) {
        let place = Self::place(self.places.get_or_init(Self::make));
        let old = place.try_lock().and_then(|mut place| place.replace((kind, union)));
        drop(old); // after the lock is released
    }
}
