//! The sorted union of several iterators.
//!
//! Children stand in a binary heap of slots, best first: the lowest key going forward, the highest going backward. A slot
//! keeps the first 16 bytes of its child's user key as integers, so that with the bytewise comparator most comparisons
//! are of integers and touch no key. The order is total: of equal keys the earlier child's is the lower one, in both
//! directions.
//!
//! Invariants while `valid()`:
//! - the heap holds exactly the valid children, and `current` is the child of its root;
//! - going forward, every other child stands on its first entry after the current one, or is past its end;
//!   going backward, on its last entry before the current one, or before its beginning;
//! - no child has failed. The first failure empties the heap, so that a damaged child ends the union with an error
//!   instead of leaving a hole in it; unless damage is to be tolerated: then only the child ends, and the first error is kept.
//!
//! A seek puts off the children that plainly lack the key it seeks, if another has it: they all stand behind that key then, and whoever
//! just looks at it needs none of them. They are positioned before the first move. (`deferred`; an exception to the
//! invariants.)
//!
//! A child may be a memtable that grows while it is read: a turn of direction may then come upon entries that were not
//! there when their place was passed, and steps over them.
//!
//! One iterator is used by one thread at a time.

use super::{Failure, InternalIterator};
use crate::error::Result;
use crate::format::internal_key::{InternalKeyComparator, KeyPrefix, trailer as trailer_of, user_key};
use std::cmp::Ordering;

/// A valid child's place in the heap.
#[derive(Clone, Copy)]
struct Slot {
    /// The child's `key_prefix`; the default where the comparator is not the bytewise one. Stale while the heap has but
    /// one slot, when nothing compares it.
    prefix: KeyPrefix,
    /// Index into `children`.
    child: usize,
}

/// Among so many children some may be put off.
const MAX_DEFERRED: usize = u64::BITS as usize;

/// The sorted union of its children.
pub struct MergingIterator<I> {
    comparator: InternalKeyComparator,
    children: Vec<I>,
    heap: Vec<Slot>,
    /// The child of `heap[0]`; of no meaning while the heap is empty.
    current: usize,
    /// Which of the root's two heap children is the better one; 0: not known. It holds as long as the root stays, and then
    /// a move costs one comparison.
    runner_up: usize,
    forward: bool,
    failure: Failure,
    /// The children that the last seek, to `target`, has not positioned yet; a bit for each.
    deferred: u64,
    /// Does a seek put children off? Not once the iterator was moved from where one did: it will be again.
    puts_off: bool,
    target: Vec<u8>,
    /// The key stood on when the direction turned.
    turning_key: Vec<u8>,
}

/// A union that is not in use: what it needed memory for.
pub struct RestingUnion<I> {
    children: Vec<I>,
    heap: Vec<Slot>,
    target: Vec<u8>,
}

impl<I: InternalIterator> MergingIterator<I> {
    /// Merges `children`; where keys are equal, the earlier child comes first.
    pub fn new(comparator: InternalKeyComparator, children: Vec<I>) -> Self {
        let heap = Vec::with_capacity(children.len());
        Self::of_resting(comparator, RestingUnion { children, heap, target: Vec::new() })
    }

    /// Merges the children of `resting`, as it did before.
    pub fn of_resting(comparator: InternalKeyComparator, resting: RestingUnion<I>) -> Self {
        let RestingUnion { children, heap, target } = resting;
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

    /// Lets go of all places, and gives up the children: this becomes a union of none.
    pub fn take_resting(&mut self) -> RestingUnion<I> {
        self.heap.clear();
        self.failure.clear();
        self.deferred = 0;
        self.children.iter_mut().for_each(I::rest);
        RestingUnion {
            children: std::mem::take(&mut self.children),
            heap: std::mem::take(&mut self.heap),
            target: std::mem::take(&mut self.target),
        }
    }

    /// Goes on without a child that ends with damage, and keeps the first in `status`. (Children that pass over their damage
    /// themselves are what this is for.)
    pub fn tolerating_damage(mut self, yes: bool) -> Self {
        self.failure.tolerates_damage = yes;
        self
    }

    /// Has an error ended the iteration, so that there may be more entries in the direction of travel?
    #[inline]
    pub fn was_cut_short(&self) -> bool {
        self.failure.is_final
    }

    #[inline]
    fn prefix_of(&self, child: &I) -> KeyPrefix {
        if self.comparator.is_bytewise() { child.key_prefix() } else { KeyPrefix::default() }
    }

    /// Does the entry under heap index `a` come before the one under `b`, in the direction of travel?
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

    /// The better of the one or two heap children of `parent`, if it has any.
    #[inline]
    fn better_child(&self, parent: usize) -> Option<usize> {
        let left = 2 * parent + 1;
        if left + 1 < self.heap.len() {
            return Some(if self.precedes(left + 1, left) { left + 1 } else { left });
        }
        (left < self.heap.len()).then_some(left)
    }

    /// Moves the slot down to where the heap is in order again.
    fn sift_down(&mut self, mut slot: usize) {
        while let Some(child) = self.better_child(slot) {
            if !self.precedes(child, slot) {
                return;
            }
            self.heap.swap(child, slot);
            slot = child;
        }
    }

    /// Makes the runner-up known; false where the root is alone.
    #[inline]
    fn find_runner_up(&mut self) -> bool {
        if self.runner_up == 0 {
            self.runner_up = self.better_child(0).unwrap_or(0);
        }
        self.runner_up != 0
    }

    /// Restores the heap after the root's key changed. Only the root may be out of place.
    #[inline]
    fn settle_root(&mut self) {
        if self.find_runner_up() && self.precedes(self.runner_up, 0) {
            self.replace_root();
        }
    }

    /// The runner-up takes the root's place.
    fn replace_root(&mut self) {
        self.heap.swap(0, self.runner_up);
        self.sift_down(self.runner_up);
        self.runner_up = 0;
        self.current = self.heap[0].child;
    }

    /// The current child has moved: finds the one to stand on now.
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

    /// The current child has come to its end, or has failed.
    fn drop_root(&mut self) {
        if let Err(error) = self.children[self.current].status()
            && !self.failure.passes_over(error)
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

    /// Builds the heap from children that have all been positioned for the direction of travel.
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
                && !self.failure.passes_over(error)
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

    /// Seeks those children that do not plainly lack the target's key; the others too, unless one has it.
    fn seek_who_may_have(&mut self, target: &[u8]) {
        let mut found = false;
        // Most of all keys are in the last child, the deepest level: it is not asked.
        let last = self.children.len() - 1;
        for (index, child) in self.children.iter_mut().enumerate() {
            if index != last && child.lacks(target) {
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

    /// Positions the children that were put off. Not valid afterwards: one has failed.
    #[inline(never)]
    fn position_deferred(&mut self) {
        self.puts_off = false;
        self.seek_deferred();
        self.rebuild();
    }

    /// `next_if_plain` among several children: the next entry is the root's next one or the runner-up's, so both must be of later
    /// user keys.
    #[inline(never)]
    fn next_of_several_if_plain(&mut self) -> Option<u64> {
        if !self.find_runner_up() || self.heap[self.runner_up].prefix.order(self.heap[0].prefix).is_eq() {
            return None;
        }
        let child = &mut self.children[self.current];
        let trailer = child.next_if_plain()?;
        self.heap[0].prefix = child.key_prefix();
        if self.precedes(self.runner_up, 0) {
            self.replace_root();
            return Some(trailer_of(self.key()));
        }
        Some(trailer)
    }

    /// How the entry that child `index` stands on compares with the one that the turn began on.
    fn compare_with_turning_point(&self, index: usize) -> Ordering {
        let order = self.comparator.compare(self.children[index].key(), &self.turning_key);
        order.then(index.cmp(&self.current))
    }

    /// Turns to travel forward and moves to the entry after the current one.
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

    /// Turns to travel backward and moves to the entry before the current one.
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

    /// Notes what the turn needs to know. False: it ends with an error.
    fn begin_turn(&mut self) -> bool {
        for child in &self.children {
            // A child that has passed over damage may have to seek, and forgets it then.
            if let Err(error) = child.status()
                && !self.failure.passes_over(error)
            {
                self.heap.clear();
                return false;
            }
        }
        self.turning_key.clear();
        self.turning_key.extend_from_slice(self.children[self.current].key());
        true
    }

    /// Child `index` stands on its last entry before the turning point: one step takes it past, unless entries were
    /// inserted in between; then it seeks.
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

    /// To the entry before; from past the end, to the last one.
    fn step_back(&mut self, index: usize) {
        if self.children[index].valid() {
            self.children[index].prev();
        } else {
            self.children[index].seek_to_last();
        }
    }
}

impl<I: InternalIterator> InternalIterator for MergingIterator<I> {
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

    #[inline(always)]
    fn next_if_plain(&mut self) -> Option<u64> {
        if !self.forward || self.deferred != 0 {
            return None;
        }
        if self.heap.len() <= 1 {
            return self.children[self.current].next_if_plain_alone();
        }
        self.next_of_several_if_plain()
    }

    #[inline]
    fn key_prefix(&self) -> KeyPrefix {
        self.children[self.current].key_prefix()
    }

    #[inline]
    fn key(&self) -> &[u8] {
        self.children[self.current].key()
    }

    #[inline]
    fn value(&self) -> &[u8] {
        self.children[self.current].value()
    }

    #[inline]
    fn stored_value_length(&self) -> Option<u32> {
        self.children[self.current].stored_value_length()
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

#[cfg(test)]
mod tests;
