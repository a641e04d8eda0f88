//! stub
use super::InternalIterator;
use crate::error::Result;
use crate::format::internal_key::InternalKeyComparator;

/// The sorted union of its children.
pub struct MergingIterator<I> {
    children: Vec<I>,
}

impl<I: InternalIterator> MergingIterator<I> {
    /// Merges `children`; where keys are equal, the earlier child comes first.
    pub fn new(comparator: InternalKeyComparator, children: Vec<I>) -> Self {
        todo!()
    }
}
