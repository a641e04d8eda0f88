//! A position in a list that goes forward along its links, and back along the way it came from the top.
//!
//! Thread rule: an iterator belongs to one thread at a time, any number of them to any threads, while the writer inserts.
#![allow(unsafe_code)]

use super::{Entry, NodePtr, SkipList, Target, key, next, prefetch, value};
use crate::util::lock::atomic::Ordering;
use std::ptr;
use std::sync::Arc;

/// A position in a list, which it keeps alive. Entries inserted later are seen when it gets there.
pub struct SkipListIterator {
    node: NodePtr,
    /// The way to the node, where the last step was one back; else it is empty.
    behind: Way,
    list: Arc<SkipList>,
}

// SAFETY: the nodes are of the list, which may be shared between threads and is kept alive here.
unsafe impl Send for SkipListIterator {}
// SAFETY: by shared reference only what never changes is read.
unsafe impl Sync for SkipListIterator {}

impl SkipListIterator {
    /// An iterator that is not valid until positioned.
    pub fn new(list: Arc<SkipList>) -> Self {
        SkipListIterator { node: ptr::null_mut(), behind: Way::default(), list }
    }

    /// Does it stand on an entry?
    #[inline]
    pub fn valid(&self) -> bool {
        !self.node.is_null()
    }

    /// The entry it stands on; `None` where it is not valid.
    #[inline]
    pub fn entry(&self) -> Option<Entry<'_>> {
        // SAFETY: the node is one of the list, which lives as long as the iterator, and not the head.
        self.valid().then(|| unsafe { Entry { key: key(self.node), value: value(self.node) } })
    }

    /// Moves to the first entry.
    pub fn seek_to_first(&mut self) {
        // SAFETY: the head has a level 0.
        self.stand_on(unsafe { next(self.list.head, 0) });
    }

    /// Moves to the last entry.
    pub fn seek_to_last(&mut self) {
        self.behind.lead_to_end(&self.list);
        // SAFETY: the way was just made with this list.
        self.node = unsafe { self.behind.step_back(&self.list, ptr::null_mut()) };
    }

    /// Moves to the first entry at or after an internal key.
    #[inline]
    pub fn seek(&mut self, internal_key: &[u8]) {
        self.stand_on(self.list.find_at_or_after(&self.list.target(internal_key)));
    }

    /// Moves to the next entry; stays invalid where it is.
    #[inline]
    pub fn next(&mut self) {
        if self.valid() {
            // SAFETY: every node has a level 0.
            self.stand_on(unsafe { next(self.node, 0) });
            if self.valid() {
                // The entry after this one, while the caller is busy with this one.
                // SAFETY: as above.
                prefetch(unsafe { next(self.node, 0) });
            }
        }
    }

    /// Moves to the next entry if `wanted`, which gets this entry and that, gives something. Else, and where there is no
    /// next entry or the order is not the bytewise one, it does not move.
    #[inline]
    pub fn next_if<R>(&mut self, wanted: impl FnOnce(Entry<'_>, Entry<'_>) -> Option<R>) -> Option<R> {
        if !self.valid() || !self.list.order.is_bytewise() {
            return None;
        }
        // The link is looked at once: an entry inserted now goes unseen.
        // SAFETY: every node has a level 0.
        let after = unsafe { next(self.node, 0) };
        if after.is_null() {
            return None;
        }
        // SAFETY: both are nodes of the list, which lives as long as the iterator, and not the head.
        let [here, there] =
            [self.node, after].map(|node| unsafe { Entry { key: key(node), value: value(node) } });
        let result = wanted(here, there)?;
        self.stand_on(after);
        // SAFETY: as above.
        prefetch(unsafe { next(after, 0) });
        Some(result)
    }

    /// Moves to the previous entry; stays invalid where it is. An entry inserted since the iterator began to go back may go
    /// unseen.
    pub fn prev(&mut self) {
        if !self.valid() {
            return;
        }
        if self.behind.is_empty() {
            // SAFETY: the node is one of the list, which is borrowed for longer than the key, and not the head.
            let target = self.list.target(unsafe { key(self.node) });
            let found = self.behind.retrace(&self.list, &target);
            // With a comparator that contradicts itself the search may end anywhere, also behind: then the walk ends.
            if found != self.node {
                return self.stand_on(ptr::null_mut());
            }
        }
        // SAFETY: the way leads to the node, or was just found to.
        self.node = unsafe { self.behind.step_back(&self.list, self.node) };
    }

    /// Moves to a node, or to none, on another way than back.
    #[inline(always)]
    fn stand_on(&mut self, node: NodePtr) {
        self.node = node;
        self.behind.clear();
    }
}

/// The way to a node from the head, for going back: nodes have no links back, and a search for each would cost many cache
/// misses. It is a stack of nodes with a level each. A node with level 0 at the top is the one before. One with a higher level
/// stands for itself and for all between it and the node one stands on, which is its next at that level: these are pushed
/// when it gets to the top. So each node is visited once more than in going forward, and no key is compared.
#[derive(Default)]
struct Way {
    stack: Vec<Step>,
}

#[derive(Clone, Copy)]
struct Step {
    node: NodePtr,
    level: usize,
}

impl Way {
    #[inline(always)]
    fn is_empty(&self) -> bool {
        self.stack.is_empty()
    }

    #[inline(always)]
    fn clear(&mut self) {
        self.stack.clear();
    }

    /// Searches for `target`, and makes this the way to the first node at or after it, which is returned (null past the end).
    fn retrace(&mut self, list: &SkipList, target: &Target<'_>) -> NodePtr {
        self.stack.clear();
        let (mut node, mut after) = (list.head, ptr::null_mut());
        for level in (0..list.height.load(Ordering::Relaxed)).rev() {
            loop {
                // SAFETY: the node is the head or was reached by a link of this level or one above it.
                let next = unsafe { next(node, level) };
                // SAFETY: a node that a link leads to is one of this list, and never the head.
                if next.is_null() || next == after || !unsafe { list.is_before(next, target) } {
                    after = next;
                    break;
                }
                self.stack.push(Step { node, level });
                node = next;
            }
        }
        self.stack.push(Step { node, level: 0 });
        after
    }

    /// Makes this the way to the end of the list.
    fn lead_to_end(&mut self, list: &SkipList) {
        self.stack.clear();
        self.stack.push(Step { node: list.head, level: list.height.load(Ordering::Relaxed) });
    }

    /// The node before `here`, to which this is the way, and which is null at the end of the list; null where it is the first.
    /// Then this is the way to that node.
    ///
    /// # Safety
    /// The way was made with this list, and leads to `here`.
    unsafe fn step_back(&mut self, list: &SkipList, here: NodePtr) -> NodePtr {
        while let Some(Step { mut node, level }) = self.stack.pop() {
            if level == 0 {
                if let Some(before) = self.stack.last() {
                    // Its first line is there, since the way went over it; what follows of its key and value may not be.
                    (1..3).for_each(|line| prefetch(before.node.wrapping_byte_add(64 * line)));
                }
                return if node == list.head { ptr::null_mut() } else { node };
            }
            // What lies between at the level below. Nodes are never unlinked, so that `here` is met.
            loop {
                self.stack.push(Step { node, level: level - 1 });
                // SAFETY: the node has `level` and so the one below, or was reached by a link of that one.
                node = unsafe { next(node, level - 1) };
                if node == here || node.is_null() {
                    break;
                }
            }
        }
        ptr::null_mut()
    }
}
