//! A position in a list. Forward moves follow the links; backward moves retrace the path of a search from the
//! top.
//!
//! Thread rule: an iterator belongs to one thread at a time. Any number of iterators may exist while the
//! writer inserts.
#![allow(unsafe_code)]

use super::{Entry, NodePtr, SkipList, Target, key, next, prefetch, value};
use crate::util::lock::atomic::Ordering;
use std::ptr;
use std::sync::Arc;

/// A position in a list, which it keeps alive. It sees entries that are inserted later when it reaches them.
pub struct SkipListIterator {
    node: NodePtr,
    /// The path to the node if the last move was backward; else empty.
    behind: Way,
    list: Arc<SkipList>,
}

// SAFETY: the nodes belong to the list, which may be shared between threads and is kept alive here.
unsafe impl Send for SkipListIterator {}
// SAFETY: by shared reference only fields that never change are read.
unsafe impl Sync for SkipListIterator {}

impl SkipListIterator {
    /// An iterator that is not valid until it is positioned.
    pub fn new(list: Arc<SkipList>) -> Self {
        SkipListIterator { node: ptr::null_mut(), behind: Way::default(), list }
    }

    /// True if the iterator is positioned on an entry.
    #[inline]
    pub fn valid(&self) -> bool {
        !self.node.is_null()
    }

    /// The current entry; `None` if the iterator is not valid.
    #[inline]
    pub fn entry(&self) -> Option<Entry<'_>> {
        // SAFETY: the node belongs to the list, which lives as long as the iterator, and is not the head.
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
        // SAFETY: the path was just made with this list.
        self.node = unsafe { self.behind.step_back(&self.list, ptr::null_mut()) };
    }

    /// Moves to the first entry that is not before `internal_key`.
    #[inline]
    pub fn seek(&mut self, internal_key: &[u8]) {
        self.stand_on(self.list.find_at_or_after(&self.list.target(internal_key)));
    }

    /// Moves to the next entry. An invalid iterator stays invalid.
    #[inline]
    pub fn next(&mut self) {
        if self.valid() {
            // SAFETY: every node has a level 0.
            self.stand_on(unsafe { next(self.node, 0) });
            if self.valid() {
                // Prefetch the following entry, while the caller uses this one.
                // SAFETY: as above.
                prefetch(unsafe { next(self.node, 0) });
            }
        }
    }

    /// Moves to the next entry if `wanted`, called with the current and the next entry, returns `Some`.
    /// Otherwise, and if there is no next entry or the order is not the bytewise one, does not move.
    #[inline]
    pub fn next_if<R>(&mut self, wanted: impl FnOnce(Entry<'_>, Entry<'_>) -> Option<R>) -> Option<R> {
        if !self.valid() || !self.list.order.is_bytewise() {
            return None;
        }
        // The link is loaded once: an entry inserted now is not seen.
        // SAFETY: every node has a level 0.
        let after = unsafe { next(self.node, 0) };
        if after.is_null() {
            return None;
        }
        // SAFETY: both nodes belong to the list, which lives as long as the iterator, and are not the head.
        let [here, there] =
            [self.node, after].map(|node| unsafe { Entry { key: key(node), value: value(node) } });
        let result = wanted(here, there)?;
        self.stand_on(after);
        // SAFETY: as above.
        prefetch(unsafe { next(after, 0) });
        Some(result)
    }

    /// Moves to the previous entry. An invalid iterator stays invalid. An entry that was inserted after the
    /// iterator began to move backward may not be seen.
    pub fn prev(&mut self) {
        if !self.valid() {
            return;
        }
        if self.behind.is_empty() {
            // SAFETY: the node belongs to the list, which is borrowed for longer than the key, and is not the
            // head.
            let target = self.list.target(unsafe { key(self.node) });
            let found = self.behind.retrace(&self.list, &target);
            // With a comparator that contradicts itself the search may end anywhere, also after the node:
            // then the iteration ends.
            if found != self.node {
                return self.stand_on(ptr::null_mut());
            }
        }
        // SAFETY: the path leads to the node, or was just found to.
        self.node = unsafe { self.behind.step_back(&self.list, self.node) };
    }

    /// Moves to a node or to null, by any move except a backward one.
    #[inline(always)]
    fn stand_on(&mut self, node: NodePtr) {
        self.node = node;
        self.behind.clear();
    }
}

/// The path from the head to a node, for backward moves: nodes have no backward links, and a search for each
/// move would cost many cache misses. The path is a stack of nodes, each with a level. A node with level 0 on
/// top of the stack is the previous node. A node with a higher level stands for itself and for all nodes
/// between it and the current node, which is its successor at that level; when it gets to the top, these
/// nodes are pushed. So a backward move costs one more visit of each node than a forward move, and no key is
/// compared.
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

    /// Searches for `target`, and makes this the path to the first node that is not before it. Returns that
    /// node (null after the end).
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

    /// Makes this the path to the end of the list.
    fn lead_to_end(&mut self, list: &SkipList) {
        self.stack.clear();
        self.stack.push(Step { node: list.head, level: list.height.load(Ordering::Relaxed) });
    }

    /// Returns the node before `here` (null if there is none), and makes this the path to that node. `here`
    /// is null at the end of the list.
    ///
    /// # Safety
    /// The path was made with this list, and leads to `here`.
    unsafe fn step_back(&mut self, list: &SkipList, here: NodePtr) -> NodePtr {
        while let Some(Step { mut node, level }) = self.stack.pop() {
            if level == 0 {
                if let Some(before) = self.stack.last() {
                    // The first cache line is present, since the path visited the node. The lines of its key
                    // and value that follow may not be.
                    (1..3).for_each(|line| prefetch(before.node.wrapping_byte_add(64 * line)));
                }
                return if node == list.head { ptr::null_mut() } else { node };
            }
            // Push the nodes in between, at the level below. Nodes are never unlinked, so the loop reaches
            // `here`.
            loop {
                self.stack.push(Step { node, level: level - 1 });
                // SAFETY: the node has `level` and so the level below, or was reached by a link of the level
                // below.
                node = unsafe { next(node, level - 1) };
                if node == here || node.is_null() {
                    break;
                }
            }
        }
        ptr::null_mut()
    }
}
