//! Tests of iterators over parts, some of which cannot be opened or are damaged inside.

use super::*;
use crate::error::Error;
use crate::format::internal_key::{InternalKey, InternalKeyComparator, ValueType};
use crate::iterator::test_support::{Entry, TestRandom, VecIterator, comparators};
use std::cell::RefCell;

/// Parts in memory that record which were opened. Some cannot be opened, some are damaged inside.
struct FakeParts {
    comparator: InternalKeyComparator,
    parts: Vec<Vec<Entry>>,
    unopenable: Option<usize>,
    /// True if the parts fail because of damage.
    is_damage: bool,
    /// The damaged entry: (part, entry).
    damaged: Option<(usize, usize)>,
    opened: RefCell<Vec<usize>>,
}

impl Parts for FakeParts {
    type Iter = VecIterator;
    fn count(&self) -> usize {
        self.parts.len()
    }
    fn find(&self, target: &[u8]) -> usize {
        self.parts.partition_point(|part| {
            part.last().is_some_and(|last| self.comparator.compare(&last.0, target).is_lt())
        })
    }
    fn open(&self, index: usize) -> Result<VecIterator> {
        self.opened.borrow_mut().push(index);
        if self.unopenable == Some(index) {
            return Err(if self.is_damage { Error::corruption("bad part") } else { Error::io("can't open") });
        }
        let mut part = VecIterator::new(self.comparator.clone(), self.parts[index].clone());
        part.fails_at = self.damaged.and_then(|(part, entry)| (part == index).then_some(entry));
        Ok(part)
    }
}

fn key(number: usize) -> Vec<u8> {
    InternalKey::new(format!("{number:04}").as_bytes(), 1, ValueType::Value).encoded().to_vec()
}

/// Parts of these sizes. The keys are even numbers.
fn over(sizes: &[usize]) -> TwoLevelIterator<FakeParts> {
    let mut number = 0;
    let parts = sizes.iter().map(|&size| {
        let part = (number..number + size).map(|n| (key(2 * n), vec![n as u8])).collect();
        number += size;
        part
    });
    TwoLevelIterator::over(FakeParts {
        comparator: comparators()[0].clone(),
        parts: parts.collect(),
        unopenable: None,
        is_damage: false,
        damaged: None,
        opened: RefCell::new(Vec::new()),
    })
}

fn opened(iterator: &TwoLevelIterator<FakeParts>) -> Vec<usize> {
    std::mem::take(&mut *iterator.parts.opened.borrow_mut())
}

#[test]
fn random_moves_agree_with_the_concatenation() {
    for seed in 0..200 {
        let random = &mut TestRandom::new(seed);
        let sizes: Vec<usize> = (0..random.below(6)).map(|_| 1 + random.below(4)).collect();
        let total: usize = sizes.iter().sum();
        let mut iterator = over(&sizes);
        let mut position: Option<usize> = None;
        for step in 0..200 {
            match (position, random.below(8)) {
                (Some(at), 0..=2) => {
                    iterator.next();
                    position = (at + 1 < total).then_some(at + 1);
                }
                (Some(at), 3..=5) => {
                    iterator.prev();
                    position = at.checked_sub(1);
                }
                (_, 6) => {
                    iterator.seek_to_first();
                    position = (total > 0).then_some(0);
                }
                (_, 7) => {
                    iterator.seek_to_last();
                    position = total.checked_sub(1);
                }
                _ => {
                    let target = random.below(2 * total + 3);
                    iterator.seek(&key(target));
                    position = Some(target.div_ceil(2)).filter(|&at| at < total);
                }
            }
            let found = iterator.valid().then(|| (iterator.key().to_vec(), iterator.value().to_vec()));
            assert_eq!(found, position.map(|n| (key(2 * n), vec![n as u8])), "seed {seed}, step {step}");
            assert!(iterator.status().is_ok());
        }
    }
}

#[test]
fn a_part_is_opened_when_it_is_reached_and_kept_while_moves_stay_inside() {
    let mut iterator = over(&[3, 3, 3]);
    assert!(!iterator.valid() && opened(&iterator).is_empty());
    iterator.seek(&key(8));
    iterator.seek(&key(6));
    iterator.next();
    assert_eq!(opened(&iterator), [1]);
    iterator.next();
    iterator.next();
    assert_eq!((iterator.key().to_vec(), opened(&iterator)), (key(12), vec![2]));
    iterator.prev();
    assert_eq!((iterator.key().to_vec(), opened(&iterator)), (key(10), vec![1]));
    iterator.seek(&key(100));
    assert!(!iterator.valid() && opened(&iterator).is_empty());
}

#[test]
fn empty_parts_are_passed() {
    let mut iterator = over(&[0, 2, 0, 0, 1, 0]);
    iterator.seek_to_first();
    for number in 0..3 {
        assert_eq!(iterator.value(), [number]);
        iterator.next();
    }
    assert!(!iterator.valid() && iterator.status().is_ok());
    iterator.seek_to_last();
    for number in (0..3).rev() {
        assert_eq!(iterator.value(), [number]);
        iterator.prev();
    }
    assert!(!iterator.valid() && iterator.status().is_ok());
}

#[test]
fn a_part_that_cannot_be_opened_ends_the_iteration() {
    let mut iterator = over(&[2, 2, 2]);
    iterator.parts.unopenable = Some(1);
    iterator.seek_to_first();
    iterator.next();
    iterator.next();
    assert!(!iterator.valid() && iterator.status().is_err());
    iterator.seek_to_last();
    assert!(iterator.status().is_ok());
    iterator.prev();
    iterator.prev();
    assert!(!iterator.valid() && iterator.status().is_err());
    iterator.seek(&key(5));
    assert!(!iterator.valid() && iterator.status().is_err());
    iterator.seek(&key(8));
    assert!(iterator.valid() && iterator.status().is_ok());
}

#[test]
fn damage_inside_a_part_ends_the_iteration() {
    let mut iterator = over(&[2, 2, 2]);
    iterator.parts.damaged = Some((1, 0));
    iterator.seek_to_first();
    iterator.next();
    iterator.next();
    assert!(!iterator.valid() && iterator.status().unwrap_err().is_corruption());
    iterator.seek(&key(6));
    assert_eq!(iterator.key(), key(6));
    iterator.prev();
    assert!(!iterator.valid() && iterator.status().unwrap_err().is_corruption());
    iterator.seek_to_first();
    assert!(iterator.valid() && iterator.status().is_ok());
}

#[test]
fn tolerated_damage_costs_its_own_entries_and_is_told() {
    let numbers = |iterator: &mut TwoLevelIterator<FakeParts>, forward: bool| {
        let mut seen = Vec::new();
        if forward {
            iterator.seek_to_first()
        } else {
            iterator.seek_to_last()
        }
        while iterator.valid() {
            seen.push(iterator.value()[0]);
            if forward { iterator.next() } else { iterator.prev() }
        }
        seen
    };
    // A part that is damaged inside ends there, and the next part follows.
    let mut iterator = over(&[2, 3, 2]).tolerating_damage(true);
    iterator.parts.damaged = Some((1, 1));
    assert_eq!(numbers(&mut iterator, true), [0, 1, 2, 5, 6]);
    assert!(iterator.status().unwrap_err().is_corruption());
    assert_eq!(numbers(&mut iterator, false), [6, 5, 4, 1, 0]);
    assert!(iterator.status().unwrap_err().is_corruption());
    iterator.seek(&key(10));
    assert!(iterator.valid() && iterator.status().is_ok());
    // A part that cannot be read at all is skipped wherever it is, unless the reason is not damage.
    for unreadable in 0..3 {
        let mut iterator = over(&[2, 2, 2]).tolerating_damage(true);
        iterator.parts.unopenable = Some(unreadable);
        iterator.parts.is_damage = true;
        let left: Vec<u8> = (0..6).filter(|n| usize::from(n / 2) != unreadable).collect();
        assert_eq!(numbers(&mut iterator, true), left);
        assert!(iterator.status().unwrap_err().is_corruption());
        assert!(numbers(&mut iterator, false).into_iter().rev().eq(left.iter().copied()));
        assert!(iterator.status().unwrap_err().is_corruption());
        iterator.seek(&key(4 * unreadable));
        assert_eq!(iterator.valid(), unreadable < 2);
        iterator.parts.is_damage = false;
        assert_eq!(numbers(&mut iterator, true).len(), 2 * unreadable);
        assert!(!iterator.status().unwrap_err().is_corruption());
    }
}
