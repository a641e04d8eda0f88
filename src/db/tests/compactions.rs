//! What flushes and compactions do to the files, and that reads do not change.

use super::{TestDb, position, random_bytes, under_all_options, under_all_options_with_faults};
use crate::batch::write_batch::WriteBatch;
use crate::compression::Compression;
use crate::env::fault::{FaultKind, FaultRule};
use crate::format::column_family_id::ColumnFamilyId;
use crate::options::{Options, WriteOptions};
use crate::util::cache::BlockCache;
use crate::util::random::Random;
use std::collections::BTreeMap;
use std::sync::Arc;

fn key(i: usize) -> String {
    format!("key{i:06}")
}

#[test]
fn a_small_buffer_makes_tables() {
    under_all_options(&Options { write_buffer_size: 64 << 10, ..Options::default() }, |mut test| {
        let value = |i| key(i) + &"v".repeat(1000);
        let before = test.tables().len();
        for i in 0..500 {
            test.put(key(i), value(i));
        }
        test.wait_until_idle();
        assert!(test.tables().len() > before);
        for _ in 0..2 {
            for i in 0..500 {
                assert_eq!(test.get(key(i)), Some(value(i)));
            }
            test.reopen();
        }
    });
}

#[test]
fn a_compaction_splits_its_output() {
    let base = Options { write_buffer_size: 100 << 20, ..Options::default() };
    under_all_options(&base, |mut test| {
        let mut random = Random::new(301);
        let values: Vec<_> = (0..80).map(|_| random_bytes(&mut random, 100_000)).collect();
        for (i, value) in values.iter().enumerate() {
            test.put(key(i), value);
        }
        assert_eq!(test.files_per_level(), [0; 0]);
        test.reopen();
        test.flush(); // if the WAL was reused
        test.rewrite_all();
        let files = test.files_per_level();
        assert_eq!(files.iter().filter(|&&count| count > 0).count(), 1);
        assert!(*files.last().unwrap() >= 4, "{files:?}");
        for (i, value) in values.iter().enumerate() {
            assert!(test.get(key(i)).unwrap().as_bytes() == value);
        }
    });
}

#[test]
fn overwriting_one_key_keeps_the_number_of_files_bounded() {
    let base = Options { write_buffer_size: 100_000, ..Options::default() };
    under_all_options_with_faults(&base, |test| {
        // One file at each deeper level, and as many at level 0 as stop writes.
        let most = 7 + test.options.level0_stop_writes_trigger;
        let value = random_bytes(&mut Random::new(301), 2 * test.options.write_buffer_size);
        for i in 0..5 * most {
            test.put("key", &value);
            let files = test.files_per_level();
            assert!(files.iter().sum::<usize>() <= most, "after {i}: {files:?}");
        }
        test.wait_until_idle();
        let files = test.files_per_level();
        assert!(files.iter().sum::<usize>() <= 7 + 3, "{files:?}");
    });
}

/// The most bytes of the next level that one file of a level >= 1 overlaps.
fn max_next_level_overlap(test: &TestDb) -> u64 {
    let version = test.db().inner.state.lock().versions.current(ColumnFamilyId::DEFAULT).clone();
    let overlap = |level: usize| {
        version.levels[level]
            .iter()
            .map(|file| {
                let (smallest, largest) = (file.smallest.user_key(), file.largest.user_key());
                let below = version.overlapping_files(level + 1, Some(smallest), Some(largest));
                below.iter().map(|file| file.file_size).sum::<u64>()
            })
            .max()
            .unwrap_or(0)
    };
    (1..version.levels.len() - 1).map(overlap).max().unwrap_or(0)
}

#[test]
fn a_sparse_update_never_makes_a_file_overlap_much_of_the_next_level() {
    // A twentieth of LevelDB's sizes: the smallest possible files, and as many of them.
    let base = Options {
        max_file_size: 1 << 20,
        compression: Compression::None,
        max_bytes_for_level_base: 4 << 20,
        ..Options::default()
    };
    under_all_options_with_faults(&base, |test| {
        let most = 10 * base.max_file_size as u64;
        test.make_tables(7, "A", "Z");
        // A little of A and C, and a lot of B, each updated. A compaction of A and C must not rewrite all of
        // B at once.
        test.put("A", "va");
        let value = vec![b'x'; 4000];
        for i in 0..8000 {
            test.put(format!("B{i:010}"), &value);
        }
        test.put("C", "vc");
        test.flush();
        test.compact_level(0, None, None);
        for key in ["A", "B100", "C"] {
            test.put(key, "v2");
        }
        test.flush();
        test.wait_until_idle();
        for level in 0..3 {
            let overlap = max_next_level_overlap(&test);
            assert!(overlap <= 2 * most, "before level {level}: {overlap}, {:?}", test.files_per_level());
            test.compact_level(level, None, None);
        }
        for key in ["A", "B100", "C"] {
            assert_eq!(test.get(key).as_deref(), Some("v2"));
        }
    });
}

fn assert_between(value: u64, low: u64, high: u64) {
    assert!((low..=high).contains(&value), "{value} is not within {low}..={high}");
}

#[test]
fn approximate_sizes_are_within_five_percent() {
    const S1: u64 = 100_000;
    const S2: u64 = 105_000;
    let base = Options { write_buffer_size: 100 << 20, compression: Compression::None, ..Options::default() };
    under_all_options(&base, |mut test| {
        assert_eq!(test.size("", "xyz"), 0);
        test.reopen();
        assert_eq!(test.size("", "xyz"), 0);
        let mut random = Random::new(301);
        for i in 0..80 {
            test.put(key(i), random_bytes(&mut random, S1 as usize));
        }
        assert_eq!(test.size("", key(50)), 0, "what is in memory does not count");
        for _ in 0..3 {
            test.reopen();
            test.wait_until_idle();
            if test.options.reuse_logs && test.files_per_level().is_empty() {
                assert_eq!(test.size("", key(50)), 0, "it is still in memory");
                test.flush();
            }
            for compacted in (0..80).step_by(10) {
                for i in (0..80).step_by(10) {
                    let n = i as u64;
                    assert_between(test.size("", key(i)), S1 * n, S2 * n);
                    assert_between(test.size("", key(i) + ".suffix"), S1 * (n + 1), S2 * (n + 1));
                    assert_between(test.size(key(i), key(i + 10)), S1 * 10, S2 * 10);
                }
                assert_between(test.size("", key(50)), S1 * 50, S2 * 50);
                test.compact_level(0, Some(&key(compacted)), Some(&key(compacted + 9)));
            }
            assert_eq!(test.files_at(0), 0);
        }
        assert_eq!(test.size(key(50), key(20)), 0, "a range that ends before it begins");
    });
}

/// LevelDB has a table at that time: it flushes before the write that found the memtable full returns, and in
/// every open.
#[test]
fn approximate_sizes_count_what_waits_to_become_a_table() {
    const EACH: u64 = 10_000; // more than a block
    let base = Options { compression: Compression::None, ..Options::default() };
    under_all_options_with_faults(&base, |mut test| {
        let tables = FaultRule::new([FaultKind::Create]).path_suffix(".ldb");
        let blocked = test.faults().add(tables.clone().hold());
        for first in [0, 20] {
            let before = test.size("", "~");
            (first..first + 20).for_each(|i| test.put(key(i), vec![b'v'; EACH as usize]));
            assert_eq!(test.size("", "~"), before, "the memtable that is written to does not count");
            test.db().rotate_memtable().unwrap();
        }
        let check = |test: &TestDb| {
            for i in 0..=40 {
                assert_between(test.size("", key(i)), EACH * i as u64, EACH * i as u64 * 21 / 20);
            }
            assert_between(test.size(key(10), key(30)), EACH * 20, EACH * 21);
            assert_eq!(test.size(key(30), key(10)), 0);
        };
        check(&test);
        assert_eq!(test.files_per_level(), []);
        drop(blocked);
        test.flush();
        check(&test);
        // A WAL that the open has replayed and keeps in memory.
        test.put("zz", "x".repeat(5000));
        test.close();
        let blocked = test.faults().add(tables.hold());
        test.reopen();
        let last = test.size("z", "~");
        if test.options.reuse_logs {
            assert_eq!(last, 0, "it is written to");
        } else {
            assert_between(last, 5000, 6000);
        }
        drop(blocked);
        test.flush();
        assert_between(test.size("z", "~"), 5000, 6000);
    });
}

#[test]
fn approximate_sizes_of_small_and_large_values_add_up() {
    let base = Options { compression: Compression::None, ..Options::default() };
    under_all_options(&base, |mut test| {
        let mut random = Random::new(301);
        let sizes = [10_000, 10_000, 100_000, 10_000, 100_000, 10_000, 300_000, 10_000];
        for (i, size) in sizes.into_iter().enumerate() {
            test.put(key(i), random_bytes(&mut random, size));
        }
        test.flush();
        for _ in 0..3 {
            test.reopen();
            let mut before = 0;
            for (i, size) in sizes.into_iter().enumerate() {
                assert_between(test.size("", key(i)), before, before + 1000);
                before += size as u64;
            }
            assert_between(test.size("", key(8)), 550_000, 560_000);
            assert_between(test.size(key(3), key(5)), 110_000, 111_000);
            test.compact_level(0, None, None);
        }
    });
}

#[test]
fn a_deletion_never_sinks_below_level_0_files_that_it_overlaps() {
    under_all_options(&Options::default(), |test| {
        // Files at levels 1 and 2, so that flushes stay at level 0.
        test.put("100", "v100");
        test.put("999", "v999");
        test.flush();
        test.delete("100");
        test.delete("999");
        test.flush();
        assert_eq!(test.files_per_level(), [0, 1, 1]);
        for keys in [&["300", "500"][..], &["200", "600", "900"]] {
            for key in keys {
                test.put(key, format!("v{key}"));
            }
            test.flush();
        }
        assert_eq!(test.files_per_level(), [2, 1, 1]);
        // Compacting levels 1 and 2 removes their files, which have only tombstones and the values that they
        // hide.
        test.compact_level(1, None, None);
        test.compact_level(2, None, None);
        assert_eq!(test.files_per_level(), [2]);
        test.delete("600");
        test.flush();
        assert_eq!(test.files_per_level(), [3]);
        assert_eq!(test.get("600"), None);
        test.compact_all();
        assert_eq!(test.get("600"), None);
        assert_eq!(test.contents().len(), 4);
    });
}

/// LevelDB's issue 44: a compaction of level 0 left out files that overlapped, and deleted keys became
/// visible again.
#[test]
fn deleted_keys_do_not_come_back_over_many_openings() {
    /// `+key` puts the key (its value is its name), `-key` deletes it, `.` reopens the database.
    fn play(test: &mut TestDb, script: &str) {
        for word in script.split_ascii_whitespace() {
            match (word, word.split_at(1)) {
                (".", _) => {
                    test.flush(); // one table per open, as when the WAL is not reused
                    test.reopen();
                }
                (_, ("+", key)) => test.put(key, key),
                (_, (_, key)) => test.delete(key),
            }
        }
    }
    let pair = |key: &str| (key.to_owned(), key.to_owned());
    under_all_options(&Options::default(), |mut test| {
        play(&mut test, ". +b . -b -a . -a . +a . .");
        assert_eq!(test.contents(), [pair("a")]);
        test.wait_until_idle();
        assert_eq!(test.contents(), [pair("a")]);
    });
    under_all_options(&Options::default(), |mut test| {
        play(&mut test, ". + . -e + . +c . + . +");
        test.wait_until_idle();
        play(&mut test, ". +d . + . -d -b .");
        assert_eq!(test.contents(), [pair(""), pair("c")]);
        test.wait_until_idle();
        assert_eq!(test.contents(), [pair(""), pair("c")]);
    });
}

#[test]
fn a_range_is_compacted_and_nothing_beside_it() {
    under_all_options(&Options::default(), |test| {
        test.make_tables(3, "p", "q");
        assert_eq!(test.files_per_level(), [1, 1, 1]);
        test.compact("", "c"); // before the files
        assert_eq!(test.files_per_level(), [1, 1, 1]);
        test.compact("r", "z"); // after them
        assert_eq!(test.files_per_level(), [1, 1, 1]);
        test.compact("z", "a"); // not a range
        assert_eq!(test.files_per_level(), [1, 1, 1]);
        test.compact("p1", "p9"); // among them
        assert_eq!(test.files_per_level(), [0, 0, 1]);
        test.make_tables(3, "c", "e");
        assert_eq!(test.files_per_level(), [1, 1, 2]);
        test.compact("b", "f");
        assert_eq!(test.files_per_level(), [0, 0, 2]);
        test.make_tables(1, "a", "z");
        assert_eq!(test.files_per_level(), [0, 1, 2]);
        test.compact_all();
        assert_eq!(test.files_per_level(), [0, 0, 1]);
        assert_eq!(test.contents().len(), 6);
    });
}

#[test]
fn the_number_of_files_stays_the_same_over_compactions() {
    under_all_options(&Options::default(), |test| {
        test.put("foo", "v2");
        test.compact("a", "z");
        test.wait_until("the log that is out of use to be removed", |_| test.logs().len() == 1);
        let before = test.files(|_| true).len();
        for _ in 0..10 {
            test.put("foo", "v2");
            test.compact("a", "z");
        }
        test.wait_until("the files to be removed", |_| test.files(|_| true).len() == before);
    });
}

#[test]
fn bloom_filters_spare_table_reads() {
    const N: usize = 10_000;
    let base = Options {
        block_cache: Some(Arc::new(BlockCache::new(0))),
        level0_file_num_compaction_trigger: 100,
        ..Options::default()
    };
    under_all_options_with_faults(&base, |test| {
        for i in 0..N {
            test.put(key(i), key(i));
        }
        test.compact("a", "z");
        for i in (0..N).step_by(100) {
            test.put(key(i), key(i));
        }
        test.flush();
        let reads = |suffix: &str| {
            let before = test.faults().count(FaultKind::Read);
            for i in 0..N {
                let expected = suffix.is_empty().then(|| key(i));
                assert_eq!(test.get(key(i) + suffix), expected);
            }
            (test.faults().count(FaultKind::Read) - before) as usize
        };
        reads(""); // opens the tables
        if test.options.filter_policy.is_some() {
            let present = reads("");
            assert!((N..=N + 2 * N / 100).contains(&present), "{present} reads of present keys");
            let missing = reads(".missing");
            assert!(missing <= 3 * N / 100, "{missing} reads of missing keys");
        } else {
            assert!(reads("") >= N);
            reads(".missing");
        }
    });
}

/// Reads the first `n` keys repeatedly until they are compacted, which shows in the space they take.
fn reads_compact_what_they_read(whole: bool) {
    const COUNT: usize = 240;
    const VALUE: usize = 100_000;
    let base = Options {
        seek_compaction: true,
        max_file_size: 1 << 20,
        write_buffer_size: 1 << 20,
        block_cache: Some(Arc::new(BlockCache::new(0))),
        ..Options::default()
    };
    under_all_options_with_faults(&base, |test| {
        let n = if whole { COUNT } else { COUNT / 2 };
        let mut random = Random::new(301);
        for i in 0..COUNT {
            test.put(key(i), random_bytes(&mut random, VALUE));
        }
        test.flush();
        test.wait_until_idle();
        test.rewrite_levels_above(2);
        // Only reads can trigger a compaction of these.
        for i in 0..COUNT {
            test.put(key(i), "");
        }
        test.flush();
        test.wait_until_idle();
        let (read, other) = (|| test.size(key(0), key(n)), || test.size(key(n), key(COUNT)));
        let (read_before, other_before) = (read(), other());
        assert!(read_before as usize > n * VALUE * 9 / 10, "{read_before}");
        let mut rounds = 0;
        while read() > read_before / 10 {
            rounds += 1;
            assert!(rounds < 200, "{} bytes left of {read_before}", read());
            let mut iterator = test.iter();
            iterator.seek_to_first();
            while iterator.valid() && *iterator.key() < *key(n).as_bytes() {
                assert!(iterator.value().is_empty());
                iterator.next();
            }
            test.wait_until_idle();
        }
        let other_after = other();
        assert!(other_after <= other_before + (1 << 20), "{other_before} -> {other_after}");
        if !whole {
            assert!(other_after >= other_before / 5, "{other_before} -> {other_after}");
        }
    });
}

#[test]
fn reading_everything_compacts_everything() {
    reads_compact_what_they_read(true);
}

#[test]
fn reading_half_leaves_most_of_the_other_half() {
    reads_compact_what_they_read(false);
}

/// LevelDB's issue 178: a manual compaction of a range in which deleted keys alternate with others lost
/// entries.
#[test]
fn compacting_over_deleted_keys_loses_no_others() {
    const COUNT: usize = 110_000;
    let base = Options { write_buffer_size: 1 << 20, ..Options::default() };
    under_all_options(&base, |test| {
        let write = |suffix: &str, delete: bool| {
            let mut batch = WriteBatch::new();
            for i in 0..COUNT {
                let key = format!("my_key_{i}{suffix}");
                match delete {
                    true => batch.delete(key.as_bytes()),
                    false => batch.put(key.as_bytes(), b"value for a key of its range"),
                }
            }
            test.db().write(&WriteOptions::default(), &batch).unwrap();
        };
        write("", false);
        write("_xxx", false);
        write("_xxx", true);
        test.compact("my_key_0", &format!("my_key_{}", COUNT - 1));
        let mut iterator = test.iter();
        iterator.seek_to_first();
        let mut count = 0;
        while iterator.valid() {
            count += 1;
            iterator.next();
        }
        iterator.status().unwrap();
        assert_eq!(count, COUNT);
    });
}

/// LevelDB's issue 320: versions of one user key, kept for snapshots, were split over two files of a level. A
/// compaction moved only one of the files down, and reads found an old value before the newer one.
#[test]
fn versions_kept_for_snapshots_never_show_an_old_value() {
    const KEYS: usize = 2000;
    let base = Options { write_buffer_size: 256 << 10, max_file_size: 1 << 20, ..Options::default() };
    under_all_options_with_faults(&base, |test| {
        let mut random = Random::new(320);
        let name = |i: usize| format!("{i:08}{}", "k".repeat(1016));
        let mut model: Vec<Option<String>> = vec![None; KEYS];
        let mut snapshots = (0..100).map(|_| None).collect::<Vec<_>>();
        for step in 0..20_000 {
            let i = random.uniform(KEYS as u64) as usize;
            assert!(test.get(name(i)) == model[i], "step {step}");
            if model[i].is_some() && random.one_in(3) {
                test.delete(name(i));
                model[i] = None;
            } else {
                let value = String::from_utf8(random_bytes(&mut random, 1024)).unwrap();
                test.put(name(i), &value);
                model[i] = Some(value);
            }
            if random.one_in(100) {
                snapshots[random.uniform(100) as usize] = Some(test.db().snapshot());
            }
        }
        drop(snapshots);
        let mut iterator = test.iter();
        iterator.seek_to_first();
        for (i, value) in model.iter().enumerate().filter_map(|(i, value)| Some((i, value.as_ref()?))) {
            assert!(position(&iterator) == format!("{}->{value}", name(i)));
            iterator.next();
        }
        assert!(!iterator.valid());
    });
}

#[test]
fn what_three_levels_hold_is_compacted_at_once_and_reads_the_same() {
    under_all_options(&Options::default(), |mut test| {
        let seed = 4711;
        println!("seed {seed}");
        let mut random = Random::new(seed);
        let mut model = BTreeMap::new();
        let mut change = |test: &TestDb, model: &mut BTreeMap<String, String>| {
            for _ in 0..300 {
                let key = format!("{:03}", random.uniform(400));
                if random.one_in(3) {
                    test.delete(&key);
                    model.remove(&key);
                } else {
                    let value = format!("{} of {key}", random.uniform(1000));
                    test.put(&key, &value);
                    model.insert(key, value);
                }
            }
            test.flush();
        };
        // The first table goes to level 2; the others stay above the tables that they overlap.
        (0..2).for_each(|_| change(&test, &mut model));
        test.rewrite_levels_above(2);
        change(&test, &mut model);
        test.compact_level(0, None, None);
        let (snapshot, then) = (test.db().snapshot(), model.clone());
        change(&test, &mut model);
        assert!((0..3).all(|level| test.files_at(level) > 0), "{:?}", test.files_per_level());
        let written_to_level_1 =
            test.db().inner.state.lock().families.default_family().stats[1].bytes_written;
        test.compact_all();
        assert_eq!(test.files_per_level()[..2], [0, 0]);
        assert_eq!(
            test.db().inner.state.lock().families.default_family().stats[1].bytes_written,
            written_to_level_1
        );
        let read = |test: &TestDb| test.contents().into_iter().collect::<BTreeMap<_, _>>();
        assert_eq!(read(&test), model);
        for number in 0..400 {
            let key = format!("{number:03}");
            assert_eq!(test.get_at(&key, Some(snapshot.sequence())), then.get(&key).cloned(), "{key}");
        }
        drop(snapshot);
        test.rewrite_all();
        // Level 2 was the last level with files, so no tombstone is left, and no entry that a tombstone
        // hides.
        let left = (0..400).map(|number| test.all_entries_for(&format!("{number:03}")).len()).sum::<usize>();
        assert_eq!(left, model.len());
        test.reopen();
        assert_eq!(read(&test), model);
    });
}

#[test]
fn a_manual_compaction_writes_what_lies_above_the_last_level_once() {
    under_all_options(&Options::default(), |mut test| {
        test.put("z", "far behind");
        test.flush();
        (0..3).for_each(|level| test.compact_level(level, None, None));
        for i in 0..200 {
            test.put(key(i), "old");
        }
        test.flush();
        (0..2).for_each(|level| test.compact_level(level, None, None));
        for i in 0..200 {
            test.put(key(i), "new");
        }
        test.flush();
        let deep = test.files_at(3);
        let written =
            |test: &TestDb| test.db().inner.state.lock().families.default_family().stats[3].bytes_written;
        let before = written(&test);
        assert!(deep > 0 && test.files_at(2) > 0, "{:?}", test.files_per_level());
        test.compact_all();
        assert_eq!(test.files_per_level()[..3], [0, 0, 0]);
        assert!(test.files_at(3) > deep);
        assert_eq!(written(&test), before);
        let expected = (0..200).map(|i| (key(i), "new".to_owned()));
        let expected: BTreeMap<_, _> = expected.chain([("z".to_owned(), "far behind".to_owned())]).collect();
        assert_eq!(test.contents().into_iter().collect::<BTreeMap<_, _>>(), expected);
        test.reopen();
        assert_eq!(test.contents().into_iter().collect::<BTreeMap<_, _>>(), expected);
        (0..200).for_each(|i| assert_eq!(test.all_entries_for(&key(i)).len(), 1));
    });
}
