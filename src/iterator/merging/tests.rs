//! Tests of the union against a sorted vector, in both directions, with damaged and with growing children.

use super::*;
use crate::format::internal_key::{InternalKey, ValueType, user_key};
use crate::iterator::test_support::{Entry, GrowingIterator, TestRandom, VecIterator, comparators};
use std::cell::RefCell;
use std::rc::Rc;

mod case_files;

fn internal_key(user_key: &[u8], sequence: u64) -> Vec<u8> {
    InternalKey::new(user_key, sequence, ValueType::Value).encoded().to_vec()
}

fn sorted(comparator: &InternalKeyComparator, mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by(|a, b| comparator.compare(&a.0, &b.0));
    entries.dedup_by(|a, b| comparator.compare(&a.0, &b.0).is_eq());
    entries
}

/// Random children. The value of an entry names its child; several children often have equal keys.
fn random_children(random: &mut TestRandom, comparator: &InternalKeyComparator) -> Vec<Vec<Entry>> {
    let key_length = [1, 3, 10, 18, 40][random.below(5)];
    (0..random.below(8))
        .map(|child| {
            let entries = (0..random.below(40))
                .map(|_| {
                    let key = internal_key(&random.user_key(key_length), random.below(4) as u64);
                    (key, vec![child as u8])
                })
                .collect();
            sorted(comparator, entries)
        })
        .collect()
}

/// All entries in the order of the union: by key, then by child.
fn union(comparator: &InternalKeyComparator, children: &[Vec<Entry>]) -> Vec<Entry> {
    let mut all = children.concat();
    all.sort_by(|a, b| comparator.compare(&a.0, &b.0).then(a.1.cmp(&b.1)));
    all
}

fn merging(comparator: &InternalKeyComparator, children: Vec<Vec<Entry>>) -> MergingIterator<VecIterator> {
    let children = children.into_iter().map(|entries| VecIterator::new(comparator.clone(), entries));
    MergingIterator::new(comparator.clone(), children.collect())
}

fn entry<I: InternalIterator>(iterator: &I) -> Option<Entry> {
    iterator.valid().then(|| (iterator.key().to_vec(), iterator.value().to_vec()))
}

#[test]
fn random_moves_agree_with_a_sorted_vector() {
    let (mut plain_moves, mut put_off) = (0, 0);
    for seed in 0..600 {
        let random = &mut TestRandom::new(seed);
        let comparator = comparators()[random.below(2)].clone();
        let children = random_children(random, &comparator);
        let model = union(&comparator, &children);
        let mut iterator = merging(&comparator, children);
        assert!(!iterator.valid() && iterator.status().is_ok());
        let mut position = None;
        let turns = 1 + random.below(20);
        let mut forward = true;
        for step in 0..300 {
            if position.is_none() || random.one_in(40) {
                match random.below(3) {
                    0 => {
                        iterator.seek_to_first();
                        position = (!model.is_empty()).then_some(0);
                    }
                    1 => {
                        iterator.seek_to_last();
                        position = model.len().checked_sub(1);
                    }
                    _ => {
                        let any = random.user_key(18);
                        let user = match random.below(2) {
                            0 => model
                                .get(random.below(model.len()))
                                .map_or(&any[..], |entry| user_key(&entry.0)),
                            _ => &any,
                        };
                        let target = internal_key(user, random.below(4) as u64);
                        iterator.puts_off |= random.one_in(2);
                        iterator.seek(&target);
                        put_off += u32::from(iterator.deferred != 0);
                        let index =
                            model.partition_point(|entry| comparator.compare(&entry.0, &target).is_lt());
                        position = (index < model.len()).then_some(index);
                    }
                }
            } else if let Some(index) = position {
                forward ^= random.one_in(turns);
                let plain = if forward { iterator.try_next_user_key() } else { None };
                if let Some(trailer) = plain {
                    let [before, after] = [index, index + 1].map(|at| &model[at].0);
                    assert!(comparator.is_bytewise() && user_key(before) < user_key(after), "seed {seed}");
                    assert_eq!(trailer, super::trailer_of(after), "seed {seed}, step {step}");
                    plain_moves += 1;
                    position = Some(index + 1);
                } else if forward {
                    iterator.next();
                    position = (index + 1 < model.len()).then_some(index + 1);
                } else {
                    iterator.prev();
                    position = index.checked_sub(1);
                }
            }
            let expected = position.map(|index| model[index].clone());
            assert_eq!(entry(&iterator), expected, "seed {seed}, step {step}");
            assert!(iterator.status().is_ok(), "seed {seed}, step {step}");
        }
    }
    assert!(plain_moves > 10_000, "{plain_moves} plain moves");
    assert!(put_off > 200, "{put_off} seeks that put children off");
}

/// Moves in one direction until the iterator is no longer valid.
fn walk<I: InternalIterator>(iterator: &mut I, forward: bool) -> Vec<Entry> {
    let mut seen = Vec::new();
    while let Some(found) = entry(iterator) {
        seen.push(found);
        if forward { iterator.next() } else { iterator.prev() }
    }
    seen
}

#[test]
fn a_failing_child_ends_the_union_with_its_error() {
    for seed in 0..300 {
        let random = &mut TestRandom::new(seed);
        let comparator = comparators()[0].clone();
        let children = random_children(random, &comparator);
        let Some(failing) = children.iter().position(|entries| !entries.is_empty()) else { continue };
        let bad = random.below(children[failing].len());
        let bad_key = children[failing][bad].0.clone();
        let model = union(&comparator, &children);
        let bad_index = model.iter().position(|e| e.0 == bad_key && e.1 == [failing as u8]).unwrap();
        let mut iterator = merging(&comparator, children);
        iterator.children[failing].fails_at = Some(bad);

        iterator.seek_to_first();
        let seen = walk(&mut iterator, true);
        // The child fails when it is moved onto the bad entry, which happens while the union is on the entry
        // before it.
        assert!(seen.len() <= bad_index && seen == model[..seen.len()], "seed {seed}");
        assert!(!model[seen.len()..bad_index].iter().any(|e| e.1 == [failing as u8]), "seed {seed}");
        assert!(iterator.status().unwrap_err().is_corruption(), "seed {seed}");

        iterator.seek_to_last();
        let seen = walk(&mut iterator, false);
        let mut expected = model[model.len() - seen.len()..].to_vec();
        expected.reverse();
        assert!(seen == expected && model.len() - seen.len() > bad_index, "seed {seed}");
        assert!(iterator.status().is_err(), "seed {seed}");
    }
}

#[test]
fn tolerated_damage_ends_its_child_only_and_is_told_whichever_way_one_turns() {
    for seed in 0..300 {
        let random = &mut TestRandom::new(seed);
        let comparator = comparators()[random.below(2)].clone();
        let children = random_children(random, &comparator);
        let Some(failing) = children.iter().position(|entries| !entries.is_empty()) else { continue };
        let bad = random.below(children[failing].len());
        let cut = |range: std::ops::Range<usize>| {
            let mut children = children.clone();
            children[failing] = children[failing][range].to_vec();
            union(&comparator, &children)
        };
        let (before, mut behind) = (cut(0..bad), cut(bad + 1..children[failing].len()));
        let mut iterator = merging(&comparator, children.clone()).tolerating_damage(true);
        iterator.children[failing].fails_at = Some(bad);

        iterator.seek_to_first();
        assert_eq!(walk(&mut iterator, true), before, "seed {seed}");
        assert!(iterator.status().unwrap_err().is_corruption() && !iterator.was_cut_short(), "seed {seed}");
        iterator.seek_to_last();
        behind.reverse();
        assert_eq!(walk(&mut iterator, false), behind, "seed {seed}");
        assert!(iterator.status().unwrap_err().is_corruption(), "seed {seed}");

        // Once the damage was met, `status` returns it until the next seek.
        let mut met = false;
        iterator.seek_to_first();
        for _ in 0..100 {
            met |= iterator.status().is_err();
            assert_eq!(iterator.status().is_err(), met, "seed {seed}");
            if !iterator.valid() {
                break;
            }
            if random.below(3) > 0 { iterator.next() } else { iterator.prev() }
        }
    }
}

/// A memtable grows while it is read. Whatever is inserted, the union stays sorted and returns every entry
/// that existed at the last seek.
#[test]
fn entries_added_meanwhile_never_disorder_the_union() {
    for seed in 0..400 {
        let random = &mut TestRandom::new(seed);
        let comparator = comparators()[random.below(2)].clone();
        let lists: Vec<_> = random_children(random, &comparator)
            .into_iter()
            .map(|list| Rc::new(RefCell::new(list)))
            .collect();
        if lists.is_empty() {
            continue;
        }
        let children = lists.iter().map(|entries| GrowingIterator {
            comparator: comparator.clone(),
            entries: entries.clone(),
            current: None,
        });
        let mut iterator = MergingIterator::new(comparator.clone(), children.collect());
        let order = |a: &Entry, b: &Entry| comparator.compare(&a.0, &b.0).then(a.1.cmp(&b.1));
        let now = || union(&comparator, &lists.iter().map(|list| list.borrow().clone()).collect::<Vec<_>>());
        let mut settled = now();
        iterator.seek_to_first();
        for step in 0..200 {
            for _ in 0..random.below(3) {
                let child = random.below(lists.len());
                let added = (internal_key(&random.user_key(18), 5 + step), vec![child as u8]);
                let mut list = lists[child].borrow_mut();
                list.push(added);
                *list = sorted(&comparator, std::mem::take(&mut *list));
            }
            let Some(from) = entry(&iterator) else {
                settled = now();
                iterator.seek(&internal_key(&random.user_key(3), 1 << 40));
                continue;
            };
            let forward = random.one_in(2);
            if forward {
                iterator.next()
            } else {
                iterator.prev()
            }
            let to = entry(&iterator);
            let context = format!("seed {seed}, step {step}");
            // A move reaches the neighbour among the entries that existed at the last seek, or a nearer entry
            // inserted later.
            let neighbour = if forward {
                settled.iter().find(|e| order(e, &from).is_gt())
            } else {
                settled.iter().rfind(|e| order(e, &from).is_lt())
            };
            match (&to, neighbour) {
                (Some(to), neighbour) => {
                    assert_eq!(order(&from, to).is_lt(), forward, "{context}");
                    assert!(
                        neighbour.is_none_or(|n| order(n, to).is_eq() || order(n, to).is_gt() == forward),
                        "{context}"
                    );
                }
                (None, neighbour) => assert_eq!(neighbour, None, "{context}"),
            }
        }
    }
}
