//! An estimate of the bytes of a list before a key.
//!
//! A short list is walked node by node, and the answer is exact. In a longer list, the nodes of a higher
//! level are walked. Each of them stands for as many nodes of the lowest level as there are per node of that
//! level on average: a random sample, which is the same at every call. The answer never decreases as the key
//! increases, so that no range has a negative size. The work is bounded whatever the size of the list. The
//! comparator is called as often as for one search.
//!
//! Thread rule: that of the list's readers.
#![allow(unsafe_code)]

use super::{NodePtr, SkipList, TRAILER_SIZE, next};
use crate::util::lock::atomic::Ordering;
use std::ptr;

/// A list of more nodes than this is sampled.
const MOST_STEPS: u64 = if cfg!(miri) { 64 } else { 4096 };

impl SkipList {
    /// The approximate number of bytes of the internal keys and values before an internal key.
    pub fn approximate_bytes_before(&self, internal_key: &[u8]) -> u64 {
        let height = self.height.load(Ordering::Relaxed);
        let (level, stands_for) = sampled_level(self.len(), height);
        let target = self.target(internal_key);
        let (mut last, mut after) = (self.head, ptr::null_mut());
        for level in (level..height).rev() {
            (last, after) = self.walk(last, after, level, &target);
        }
        let mut bytes = 0;
        let mut node = self.head;
        while node != last {
            // SAFETY: the head has all levels, and the others were reached by links of this level.
            node = unsafe { next(node, level) };
            if node.is_null() {
                break; // unreachable: a node that a higher link leads to is linked at this level too
            }
            // SAFETY: the node is one of this list, and not the head.
            bytes += unsafe { size_of_entry(node) };
        }
        bytes.saturating_mul(stands_for).min(self.memory_usage() as u64)
    }
}

/// The level to walk in a list of that many entries, and the number of entries that each node there stands
/// for.
fn sampled_level(entries: u64, height: usize) -> (usize, u64) {
    let (mut level, mut stands_for) = (0, 1);
    while entries / stands_for > MOST_STEPS && level + 1 < height {
        level += 1;
        stands_for *= 4;
    }
    (level, stands_for)
}

/// The bytes of a node's internal key and value.
///
/// # Safety
/// `node` is a node of a live list, but not the head.
unsafe fn size_of_entry(node: NodePtr) -> u64 {
    // SAFETY: as the caller promises; the lengths never change.
    let (user_key, value) = unsafe { ((*node).user_key_length, (*node).value_length) };
    u64::from(user_key) + u64::from(value) + TRAILER_SIZE as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparator::bytewise;
    use crate::format::internal_key::{InternalKey, InternalKeyComparator, MAX_SEQUENCE, ValueType};
    use crate::util::random::Random;
    use std::sync::Arc;

    fn list_of(entries: impl IntoIterator<Item = (u64, usize)>) -> Arc<SkipList> {
        let (list, mut writer) =
            SkipList::new(InternalKeyComparator::new(bytewise()), 1 << 20, None).unwrap();
        for (sequence, (number, value_length)) in entries.into_iter().enumerate() {
            let value = vec![b'v'; value_length];
            writer.insert(sequence as u64 + 1, ValueType::Value, &number.to_be_bytes(), &value);
            writer.settle();
        }
        list
    }

    fn before(list: &SkipList, number: u64) -> u64 {
        let key = InternalKey::new(&number.to_be_bytes(), MAX_SEQUENCE, ValueType::Value);
        list.approximate_bytes_before(key.encoded())
    }

    #[test]
    fn a_short_list_is_counted_exactly() {
        let list = list_of([(5, 100), (1, 7), (3, 0), (3, 10)]);
        assert_eq!([0, 1, 2, 3, 4, 5, 6].map(|number| before(&list, number)), [0, 0, 23, 23, 65, 65, 181]);
        assert_eq!(before(&list_of([]), 7), 0);
    }

    #[test]
    fn of_a_long_list_the_sizes_are_near_and_never_fall() {
        const ENTRIES: u64 = if cfg!(miri) { 1_000 } else { 60_000 };
        let mut random = Random::new(301);
        let mut numbers: Vec<u64> = (0..ENTRIES).collect();
        for i in (1..numbers.len()).rev() {
            numbers.swap(i, random.uniform(i as u64 + 1) as usize);
        }
        let list = list_of(numbers.into_iter().map(|number| (number, 20)));
        let (mut last, whole) = (0, ENTRIES * 36);
        for number in (0..=ENTRIES).step_by(ENTRIES as usize / 200) {
            let (found, exact) = (before(&list, number), number * 36);
            assert!(found >= last, "{number}: {found} after {last}");
            let most = whole / if cfg!(miri) { 3 } else { 20 };
            assert!(found.abs_diff(exact) <= most, "{number}: {found}, not {exact}");
            last = found;
        }
        assert!(before(&list, ENTRIES / 2) > 0);
    }

    #[test]
    fn the_level_that_is_walked_is_short() {
        assert_eq!(sampled_level(0, 1), (0, 1));
        assert_eq!(sampled_level(MOST_STEPS, 12), (0, 1));
        assert_eq!(sampled_level(MOST_STEPS * 4, 12), (1, 4));
        assert_eq!(sampled_level(u64::MAX, 12).0, 11);
        assert_eq!(sampled_level(u64::MAX, 2), (1, 4));
    }
}
