//! Iterators between two uses. Whoever creates an iterator to seek once and destroy it pays for its parts only the first time.
//!
//! They belong to a super version, which has all they refer to (memtables, tables that are pinned, levels), so that they keep
//! nothing alive that it does not. They hold no block. A few places, by thread: one place is used by one thread at a time.
//!
//! Thread rule: from any thread; nobody waits.

use super::super_version::ReadIterator;
use crate::iterator::merging::RestingUnion;
use crate::table::TableReadOptions;
use crate::util::lock::Mutex;
use crate::util::sync::{CachePadded, thread_number};
use std::sync::OnceLock;

/// A power of two.
const PLACES: usize = 16;

/// What makes iterators over one super version differ.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IteratorKind {
    /// How it reads.
    pub(super) read: TableReadOptions,
    /// Does it have the memtable that is written to? Not if that was empty.
    pub(super) has_memtable: bool,
}

type Place = CachePadded<Mutex<Option<(IteratorKind, RestingUnion<ReadIterator>)>>>;

/// At most one iterator a place. Empty until the first comes.
#[derive(Default)]
pub(super) struct RestingIterators {
    places: OnceLock<Box<[Place; PLACES]>>,
}

impl RestingIterators {
    #[inline]
    fn place(places: &[Place; PLACES]) -> &Place {
        &places[thread_number() & (PLACES - 1)]
    }

    #[cold]
    fn make() -> Box<[Place; PLACES]> {
        Box::new(std::array::from_fn(|_| CachePadded::new(Mutex::new(None))))
    }

    /// The iterator that this thread left, if it is of this kind.
    #[inline]
    pub fn take(&self, kind: IteratorKind) -> Option<RestingUnion<ReadIterator>> {
        let mut place = Self::place(self.places.get()?).try_lock()?;
        match &*place {
            Some((here, _)) if *here == kind => place.take().map(|(_, union)| union),
            _ => None,
        }
    }

    /// Keeps an iterator for the next; one that is there already is replaced.
    #[inline]
    pub fn put(&self, kind: IteratorKind, union: RestingUnion<ReadIterator>) {
        let place = Self::place(self.places.get_or_init(Self::make));
        let old = place.try_lock().and_then(|mut place| place.replace((kind, union)));
        drop(old); // with nothing locked
    }
}
