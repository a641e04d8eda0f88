//! The sorted union of several iterators.
//!
//! The children are in a binary heap of slots, the best first: the lowest key when moving forward, the
//! highest when moving backward. A slot has the first 16 bytes of its child's user key as integers, so that
//! with the bytewise comparator most comparisons are of integers and read no key. The order is total: of
//! equal keys the earlier child's is the lower one, in both directions.
//!
//! Invariants while `valid()`:
//! - The heap holds exactly the valid children, and `current` is the child of its root.
//! - When moving forward, every other child is positioned on its first entry after the current one, or is
//!   past its end. When moving backward, every other child is positioned on its last entry before the current
//!   one, or is before its beginning.
//! - No child has failed. The first failure empties the heap, so that a damaged child ends the union with an
//!   error instead of leaving a gap in it. If damage is to be tolerated, only the damaged child ends, and the
//!   first error is kept.
//!
//! A seek defers the children that certainly lack its key, if another child has that key. All deferred
//! children would be positioned after the key, so a caller that only reads the entry of the key needs none of
//! them. They are positioned before the first move (`deferred`). While children are deferred, the invariants
//! hold for the other children only.
//!
//! A child may be a memtable that grows while it is read. A change of direction may then meet entries that
//! were inserted after their place was passed, and steps over them.
//!
//! Thread rule: one thread at a time uses an iterator.

use super::{Failure, FastIterator, InternalIterator};
use crate::error::Result;
use crate::format::internal_key::{InternalKeyComparator, KeyPrefix, trailer as trailer_of, user_key};
use std::cmp::Ordering;

/// The place of a valid child in the heap.
#[derive(Clone, Copy)]
struct Slot {
    /// The child's `key_prefix`; the default value unless the comparator is the bytewise one. Stale while the
    /// heap has only one slot, since nothing compares it then.
    prefix: KeyPrefix,
    /// The index in `children`.
    child: usize,
}

/// Seeks defer children only in unions of at most this many children.
const MAX_DEFERRED: usize = u64::BITS as usize;

/// The sorted union of its children.
pub struct MergingIterator<I> {
    comparator: InternalKeyComparator,
    children: Vec<I>,
    heap: Vec<Slot>,
    /// The child of `heap[0]`; meaningless while the heap is empty.
    current: usize,
    /// The index of the better one of the root's two heap children; 0: not known. It stays correct as long as
    /// the root stays, and then a move costs one comparison.
    runner_up: usize,
    forward: bool,
    failure: Failure,
    /// A bit for each child that the last seek, to `target`, has not positioned yet.
    deferred: u64,
    /// True if seeks defer children. Cleared when the iterator is moved after a seek that did: further seeks
    /// will be followed by moves too.
    puts_off: bool,
    target: Vec<u8>,
    /// The current key when the direction changed.
    turning_key: Vec<u8>,
}

/// The memory and the children of a pooled union.
pub struct PooledUnion<I> {
    children: Vec<I>,
    heap: Vec<Slot>,
    target: Vec<u8>,
}

impl<I: FastIterator> MergingIterator<I> {
    /// The union of `children`. Of equal keys, the earlier child's comes first.
    pub fn new(comparator: InternalKeyComparator, children: Vec<I>) -> Self {
        let heap = Vec::with_capacity(children.len());
        Self::from_pooled(comparator, PooledUnion { children, heap, target: Vec::new() })
    }

    /// The union of the pooled children.
    pub fn from_pooled(comparator: InternalKeyComparator, pooled: PooledUnion<I>) -> Self {
        let PooledUnion { children, heap, target } = pooled;
        MergingIterator {
            comparator,
            heap,
            children,
            current: 0,
            runner_up: 0,
            forward: true,
            failure: Failure::default(),
            deferred: 0,
            puts_off: true,
            target,
            turning_key: Vec::new(),
        }
    }

    /// Releases the blocks of all children and returns them for the pool. `self` becomes an empty union.
    pub fn take_pooled(&mut self) -> PooledUnion<I> {
        self.heap.clear();
        self.failure.clear();
        self.deferred = 0;
        self.children.iter_mut().for_each(I::release_blocks);
        PooledUnion {
            children: std::mem::take(&mut self.children),
            heap: std::mem::take(&mut self.heap),
            target: std::mem::take(&mut self.target),
        }
    }

    /// Makes the union continue without a child that ends with damage; `status` returns the first damage.
    /// Meant for children that skip their damage themselves.
    pub fn tolerating_damage(mut self, yes: bool) -> Self {
        self.failure.tolerates_damage = yes;
        self
    }

    /// True if an error ended the iteration: there may be more entries in the direction of the last move.
    #[inline]
    pub fn was_cut_short(&self) -> bool {
        self.failure.is_final
    }

    /// The child that stands on the current entry. Call only while valid.
    #[inline]
    pub(super) fn current_child(&self) -> &I {
        &self.children[self.current]
    }

    #[inline]
    fn prefix_of(&self, child: &I) -> KeyPrefix {
        if self.comparator.is_bytewise() { child.key_prefix() } else { KeyPrefix::default() }
    }

    /// True if the entry of heap index `a` comes before that of `b` in the current direction.
    #[inline]
    fn precedes(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.heap[a], &self.heap[b]);
        match a.prefix.order(b.prefix) {
            Ordering::Equal => {}
            order => return order.is_lt() == self.forward,
        }
        let order = self.comparator.compare(self.children[a.child].key(), self.children[b.child].key());
        order.then(a.child.cmp(&b.child)).is_lt() == self.forward
    }

    /// The better one of the heap children of `parent`, if it has any.
    #[inline]
    fn better_child(&self, parent: usize) -> Option<usize> {
        let left = 2 * parent + 1;
        if left + 1 < self.heap.len() {
            return Some(if self.precedes(left + 1, left) { left + 1 } else { left });
        }
        (left < self.heap.len()).then_some(left)
    }

    /// Moves a slot down to its place in the heap.
    fn sift_down(&mut self, mut slot: usize) {
        while let Some(child) = self.better_child(slot) {
            if !self.precedes(child, slot) {
                return;
            }
            self.heap.swap(child, slot);
            slot = child;
        }
    }

    /// Finds the runner-up if it is not known. False if the root is the only slot.
    #[inline]
    fn find_runner_up(&mut self) -> bool {
        if self.runner_up == 0 {
            self.runner_up = self.better_child(0).unwrap_or(0);
        }
        self.runner_up != 0
    }

    /// Restores the heap after the key of the root changed. No other slot may be out of place.
    #[inline]
    fn settle_root(&mut self) {
        if self.find_runner_up() && self.precedes(self.runner_up, 0) {
            self.replace_root();
        }
    }

    /// Swaps the runner-up with the root, and restores the heap.
    fn replace_root(&mut self) {
        self.heap.swap(0, self.runner_up);
        self.sift_down(self.runner_up);
        self.runner_up = 0;
        self.current = self.heap[0].child;
    }

    /// Restores the invariants after the current child moved.
    #[inline]
    fn after_move(&mut self) {
        let child = &self.children[self.current];
        if !child.valid() {
            return self.drop_root();
        }
        if self.heap.len() > 1 {
            self.heap[0].prefix = self.prefix_of(child);
            self.settle_root();
        }
    }

    /// Removes the current child from the heap: it is at its end, or it has failed.
    fn drop_root(&mut self) {
        if let Err(error) = self.children[self.current].status()
            && !self.failure.skips(error)
        {
            self.heap.clear();
            return;
        }
        self.heap.swap_remove(0);
        self.runner_up = 0;
        if let Some(root) = self.heap.first() {
            self.current = root.child;
            self.settle_root();
        }
    }

    /// Builds the heap from the children, which have all been positioned for the current direction (except
    /// deferred ones).
    fn rebuild(&mut self) {
        self.heap.clear();
        self.runner_up = 0;
        for index in 0..self.children.len() {
            if self.is_deferred(index) {
                continue;
            }
            let child = &self.children[index];
            if child.valid() {
                let slot = Slot { prefix: self.prefix_of(child), child: index };
                self.heap.push(slot);
            } else if let Err(error) = child.status()
                && !self.failure.skips(error)
            {
                self.heap.clear();
                return;
            }
        }
        for slot in (0..self.heap.len() / 2).rev() {
            self.sift_down(slot);
        }
        if let Some(root) = self.heap.first() {
            self.current = root.child;
        }
    }

    #[inline]
    fn is_deferred(&self, index: usize) -> bool {
        self.deferred != 0 && self.deferred >> index & 1 != 0
    }

    /// Seeks the children that may have the target's key. If none has it, seeks the deferred ones too.
    fn seek_who_may_have(&mut self, target: &[u8]) {
        let mut found = false;
        // Most keys are in the last child, the deepest level: it is not worth asking.
        let last = self.children.len() - 1;
        for (index, child) in self.children.iter_mut().enumerate() {
            if index != last && child.definitely_lacks(target) {
                self.deferred |= 1 << index;
            } else {
                child.seek(target);
                found |= child.valid() && user_key(child.key()) == user_key(target);
            }
        }
        if self.deferred == 0 {
            return;
        }
        self.target.clear();
        self.target.extend_from_slice(target);
        if !found {
            self.seek_deferred();
        }
    }

    fn seek_deferred(&mut self) {
        for index in 0..self.children.len() {
            if self.is_deferred(index) {
                self.children[index].seek(&self.target);
            }
        }
        self.deferred = 0;
    }

    /// Positions the deferred children. Afterwards the iterator is invalid if one of them has failed.
    #[inline(never)]
    fn position_deferred(&mut self) {
        self.puts_off = false;
        self.seek_deferred();
        self.rebuild();
    }

    /// `try_next_user_key` of several children. The next entry is the root's next one or the runner-up's, so
    /// both must have greater user keys than the current one.
    #[inline(never)]
    fn next_of_several_if_plain(&mut self) -> Option<u64> {
        if !self.find_runner_up() || self.heap[self.runner_up].prefix.order(self.heap[0].prefix).is_eq() {
            return None;
        }
        let child = &mut self.children[self.current];
        let trailer = child.try_next_user_key()?;
        self.heap[0].prefix = child.key_prefix();
        if self.precedes(self.runner_up, 0) {
            self.replace_root();
            return Some(trailer_of(self.key()));
        }
        Some(trailer)
    }

    /// The order of the current entry of child `index` relative to the entry at which the direction changed.
    fn compare_with_turning_point(&self, index: usize) -> Ordering {
        let order = self.comparator.compare(self.children[index].key(), &self.turning_key);
        order.then(index.cmp(&self.current))
    }

    /// Changes the direction to forward and moves to the entry after the current one.
    #[cold]
    fn turn_forward(&mut self) {
        if !self.begin_turn() {
            return;
        }
        for index in 0..self.children.len() {
            if index == self.current {
                self.children[index].next();
            } else {
                self.move_after_turning_point(index);
            }
        }
        self.forward = true;
        self.rebuild();
    }

    /// Changes the direction to backward and moves to the entry before the current one.
    #[cold]
    fn turn_backward(&mut self) {
        if !self.begin_turn() {
            return;
        }
        for index in 0..self.children.len() {
            if index == self.current {
                self.children[index].prev();
            } else {
                self.move_before_turning_point(index);
            }
        }
        self.forward = false;
        self.rebuild();
    }

    /// Saves the current key for the change of direction. False: a child has failed, and the iteration ends.
    fn begin_turn(&mut self) -> bool {
        for child in &self.children {
            // A child that has skipped damage may have to seek, which clears its status.
            if let Err(error) = child.status()
                && !self.failure.skips(error)
            {
                self.heap.clear();
                return false;
            }
        }
        self.turning_key.clear();
        self.turning_key.extend_from_slice(self.children[self.current].key());
        true
    }

    /// Moves child `index`, which is on its last entry before the turning point, to its first entry after it.
    /// One step suffices, unless entries were inserted in between; then the child seeks.
    fn move_after_turning_point(&mut self, index: usize) {
        if self.children[index].valid() {
            self.children[index].next();
        } else {
            self.children[index].seek_to_first();
        }
        if self.children[index].valid() && self.compare_with_turning_point(index).is_lt() {
            self.children[index].seek(&self.turning_key);
            while self.children[index].valid() && self.compare_with_turning_point(index).is_lt() {
                self.children[index].next();
            }
        }
    }

    /// The mirror image of [`Self::move_after_turning_point`].
    fn move_before_turning_point(&mut self, index: usize) {
        self.step_back(index);
        if self.children[index].valid() && self.compare_with_turning_point(index).is_gt() {
            self.children[index].seek(&self.turning_key);
            while self.children[index].valid() && self.compare_with_turning_point(index).is_lt() {
                self.children[index].next();
            }
            self.step_back(index);
            while self.children[index].valid() && self.compare_with_turning_point(index).is_gt() {
                self.children[index].prev();
            }
        }
    }

    /// Moves to the previous entry; from past the end, to the last one.
    fn step_back(&mut self, index: usize) {
        if self.children[index].valid() {
            self.children[index].prev();
        } else {
            self.children[index].seek_to_last();
        }
    }
}

impl<I: FastIterator> InternalIterator for MergingIterator<I> {
    #[inline]
    fn valid(&self) -> bool {
        !self.heap.is_empty()
    }

    fn seek_to_first(&mut self) {
        self.failure.clear();
        self.deferred = 0;
        for child in &mut self.children {
            child.seek_to_first();
        }
        self.forward = true;
        self.rebuild();
    }

    fn seek_to_last(&mut self) {
        self.failure.clear();
        self.deferred = 0;
        for child in &mut self.children {
            child.seek_to_last();
        }
        self.forward = false;
        self.rebuild();
    }

    fn seek(&mut self, target: &[u8]) {
        self.failure.clear();
        self.deferred = 0;
        if self.puts_off && self.comparator.is_bytewise() && (2..=MAX_DEFERRED).contains(&self.children.len())
        {
            self.seek_who_may_have(target);
        } else {
            self.children.iter_mut().for_each(|child| child.seek(target));
        }
        self.forward = true;
        self.rebuild();
    }

    #[inline]
    fn next(&mut self) {
        debug_assert!(self.valid());
        if !self.forward {
            return self.turn_forward();
        }
        if self.deferred != 0 {
            self.position_deferred();
            if !self.valid() {
                return;
            }
        }
        self.children[self.current].next();
        self.after_move();
    }

    #[inline]
    fn prev(&mut self) {
        debug_assert!(self.valid());
        if self.deferred != 0 {
            self.position_deferred();
            if !self.valid() {
                return;
            }
        }
        if self.forward {
            return self.turn_backward();
        }
        self.children[self.current].prev();
        self.after_move();
    }

    #[inline]
    fn key(&self) -> &[u8] {
        self.children[self.current].key()
    }

    #[inline]
    fn value(&self) -> &[u8] {
        self.children[self.current].value()
    }

    #[inline(always)]
    fn entry(&self) -> (&[u8], &[u8]) {
        self.children[self.current].entry()
    }

    fn status(&self) -> Result<()> {
        match &self.failure.error {
            Some(error) => Err(error.clone()),
            None => {
                let mut positioned = (0..self.children.len()).filter(|&index| !self.is_deferred(index));
                positioned.try_for_each(|index| self.children[index].status())
            }
        }
    }
}

impl<I: FastIterator> FastIterator for MergingIterator<I> {
    #[inline(always)]
    fn try_next_user_key(&mut self) -> Option<u64> {
        if !self.forward || self.deferred != 0 {
            return None;
        }
        if self.heap.len() <= 1 {
            return self.children[self.current].try_next_user_key_without_prefix();
        }
        self.next_of_several_if_plain()
    }

    #[inline]
    fn key_prefix(&self) -> KeyPrefix {
        self.children[self.current].key_prefix()
    }
}

#[cfg(test)]
mod tests;
