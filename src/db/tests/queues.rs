//! Queues: entries are put at one end and deleted at the other. Seeks must not step over all tombstones.

use super::{TestDb, under_all_options};
use crate::batch::write_batch::WriteBatch;
use crate::options::{Options, WriteOptions};
use crate::util::random::Random;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

fn key(number: u64) -> String {
    format!("{number:08}")
}

fn stepped_over(test: &TestDb) -> u64 {
    test.property("terrace.entries-stepped-over").parse().expect("a number")
}

/// Takes the first entry out of the queue, with a new iterator.
fn take_first(test: &TestDb) -> Option<String> {
    let mut iterator = test.iter();
    iterator.seek_to_first();
    iterator.status().expect("a seek");
    let first = iterator.valid().then(|| String::from_utf8(iterator.key().to_vec()).expect("text"))?;
    test.delete(&first);
    Some(first)
}

#[test]
fn a_seek_of_a_queue_steps_over_few_tombstones() {
    const ENTRIES: u64 = 5_000;
    under_all_options(&Options::default(), |test| {
        // One in, one out.
        for number in 0..ENTRIES {
            test.put(key(number), "value");
            assert_eq!(take_first(&test), Some(key(number)));
        }
        // All in, then all out, with a snapshot that keeps every tombstone.
        let snapshot = test.db().snapshot();
        (0..ENTRIES).for_each(|number| test.put(key(number), "value"));
        for number in 0..ENTRIES {
            assert_eq!(take_first(&test), Some(key(number)));
            if number % 1000 == 500 {
                test.flush();
            }
        }
        assert_eq!(take_first(&test), None);
        drop(snapshot);
        // In an earlier version it was 50 million.
        assert!(stepped_over(&test) < 150 * ENTRIES, "{} entries", stepped_over(&test));
    });
}

#[test]
fn a_seek_of_one_queue_of_many_steps_over_few_tombstones() {
    let test = TestDb::in_memory(Options::default());
    for number in 0..500 {
        for queue in 0..20 {
            test.put(format!("{queue:02}/{}", key(number)), "value");
            let mut iterator = test.iter();
            iterator.seek(format!("{queue:02}/").as_bytes());
            assert_eq!(iterator.key(), format!("{queue:02}/{}", key(number)).as_bytes());
            test.delete(iterator.key());
        }
    }
    assert!(stepped_over(&test) < 150 * 500 * 20, "{} entries", stepped_over(&test));
}

#[test]
fn what_is_put_where_all_was_deleted_is_found() {
    let test = TestDb::in_memory(Options::default());
    let find = |from: &str| {
        let mut iterator = test.iter();
        iterator.seek(from.as_bytes());
        iterator.valid().then(|| String::from_utf8(iterator.key().to_vec()).expect("text"))
    };
    let refill = || {
        (0..200).for_each(|number| test.put(key(number), "value"));
        (0..200).for_each(|number| test.delete(key(number)));
        test.put("z", "last");
        (0..3).for_each(|_| assert_eq!(find("").as_deref(), Some("z")));
    };
    refill();
    test.put(key(100), "put");
    assert_eq!(find(""), Some(key(100)));
    refill();
    let mut batch = WriteBatch::new();
    batch.delete(key(5).as_bytes());
    batch.put(key(50).as_bytes(), b"in a batch");
    test.db().write(&WriteOptions::default(), &batch).expect("a batch");
    assert_eq!(find(""), Some(key(50)));
    refill();
    // A snapshot from before the deletions sees the same as before, with seeks at the same places.
    test.put(key(7), "kept");
    let snapshot = test.db().snapshot();
    refill();
    let mut iterator = test.iter_at(snapshot.sequence());
    iterator.seek_to_first();
    assert_eq!(iterator.key(), key(7).as_bytes());
}

#[test]
fn older_versions_of_a_key_that_is_shown_hide_it_from_nobody() {
    let test = TestDb::in_memory(Options::default());
    for round in 0..100 {
        test.put("key", format!("{round}"));
    }
    (0..100).for_each(|number| test.put(format!("l{number:03}"), "value"));
    (0..100).for_each(|number| test.delete(format!("l{number:03}")));
    test.put("m", "value");
    for _ in 0..3 {
        let mut iterator = test.iter();
        iterator.seek_to_first();
        assert_eq!(iterator.key(), b"key");
        iterator.next();
        assert_eq!(iterator.key(), b"m");
        iterator.prev();
        assert_eq!(iterator.key(), b"key");
        iterator.next();
        assert_eq!(iterator.key(), b"m");
    }
    assert_eq!(test.contents().len(), 2);
}

/// Compares a database of few keys, most of them deleted, with a model, through seeks and steps of iterators
/// of any age.
#[test]
fn iterators_over_many_deletions_show_what_a_model_shows() {
    for seed in 1..=20 {
        let test = TestDb::in_memory(Options { write_buffer_size: 64 << 10, ..Options::default() });
        let mut random = Random::new(seed);
        let mut model = std::collections::BTreeMap::new();
        let mut older = Vec::new();
        for step in 0..3000u32 {
            let number = u64::from(random.uniform(300) as u32);
            match random.uniform(10) {
                0 => {
                    test.put(key(number), step.to_string());
                    model.insert(key(number), step.to_string());
                }
                1..=6 => {
                    let next = model.range(key(number)..).next().map(|(key, _)| key.clone());
                    let number = next.unwrap_or_else(|| key(number));
                    test.delete(&number);
                    model.remove(&number);
                }
                7 if older.len() < 3 => older.push((test.iter(), model.clone())),
                _ => {
                    let index = random.uniform(older.len() as u64 + 1) as usize;
                    let mut fresh = (test.iter(), model.clone());
                    let (iterator, model) = older.get_mut(index).unwrap_or(&mut fresh);
                    iterator.seek(key(number).as_bytes());
                    for (expected, value) in model.range(key(number)..).take(3) {
                        assert!(iterator.valid(), "seed {seed}, step {step}: no {expected}");
                        assert_eq!(
                            (iterator.key(), iterator.value()),
                            (expected.as_bytes(), value.as_bytes())
                        );
                        iterator.next();
                    }
                    assert_eq!(
                        iterator.valid(),
                        model.range(key(number)..).count() > 3,
                        "seed {seed}, step {step}"
                    );
                    if random.uniform(3) == 0 {
                        older.clear();
                    }
                }
            }
        }
        assert_eq!(test.contents(), model.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn what_one_thread_has_put_another_finds_among_deletions() {
    let test = TestDb::in_memory(Options::default());
    let (put, taken, done) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..20_000 {
                test.put(key(number), "value");
                put.store(number + 1, Ordering::Release);
            }
            done.store(true, Ordering::Release);
        });
        // An entry that the other thread has put before the seek must be found: nobody else takes entries.
        loop {
            let (is_done, there) = (done.load(Ordering::Acquire), put.load(Ordering::Acquire));
            let next = taken.load(Ordering::Relaxed);
            match take_first(&test) {
                Some(found) => {
                    assert_eq!(found, key(next));
                    taken.store(next + 1, Ordering::Relaxed);
                }
                // (The last entry may have been taken before the other thread could report it.)
                None => assert!(next >= there, "{next} taken of {there}"),
            }
            if is_done && next == there {
                break;
            }
        }
    });
    assert_eq!(taken.load(Ordering::Relaxed), 20_000);
}
