//! Reads of entries in all places: the memtable, a memtable that is being flushed, a table of any level.

use super::{TestDb, position, under_all_options, under_all_options_with_faults};
use crate::db::ReadOptions;
use crate::env::fault::{FaultKind, FaultRule};
use crate::format::column_family_id::ColumnFamilyId;
use crate::options::Options;

#[test]
fn a_missing_key_has_no_value() {
    under_all_options(&Options::default(), |mut test| {
        test.at_every_stage(|test| {
            assert_eq!(test.get("foo"), None);
            assert_eq!(test.get(""), None);
        });
        test.put("fo", "shorter");
        test.put("fooo", "longer");
        test.at_every_stage(|test| assert_eq!(test.get("foo"), None));
    });
}

#[test]
fn the_empty_key_is_a_key() {
    under_all_options(&Options::default(), |mut test| {
        test.put("", "v1");
        assert_eq!(test.get("").as_deref(), Some("v1"));
        test.put("", "v2");
        test.at_every_stage(|test| {
            assert_eq!(test.get("").as_deref(), Some("v2"));
            assert_eq!(test.contents(), [(String::new(), "v2".to_owned())]);
        });
    });
}

#[test]
fn an_empty_value_is_found() {
    under_all_options(&Options::default(), |mut test| {
        test.put("key", "v1");
        test.put("key", "");
        test.at_every_stage(|test| assert_eq!(test.get("key").as_deref(), Some("")));
        test.put("key", "v2");
        test.at_every_stage(|test| assert_eq!(test.get("key").as_deref(), Some("v2")));
    });
}

#[test]
fn the_last_value_written_is_read() {
    under_all_options(&Options::default(), |mut test| {
        test.put("foo", "v1");
        test.put("bar", "v2");
        test.put("foo", "v3");
        test.at_every_stage(|test| {
            assert_eq!(test.get("foo").as_deref(), Some("v3"));
            assert_eq!(test.get("bar").as_deref(), Some("v2"));
        });
    });
}

#[test]
fn a_deleted_key_has_no_value_until_it_is_written_again() {
    under_all_options(&Options::default(), |mut test| {
        test.put("foo", "v1");
        test.put("foo", "v2");
        assert_eq!(test.get("foo").as_deref(), Some("v2"));
        test.delete("foo");
        test.delete("never there");
        test.at_every_stage(|test| {
            assert_eq!(test.get("foo"), None);
            assert_eq!(test.contents(), []);
        });
        test.put("foo", "v3");
        test.at_every_stage(|test| assert_eq!(test.get("foo").as_deref(), Some("v3")));
    });
}

#[test]
fn a_memtable_is_read_while_its_flush_is_blocked() {
    under_all_options_with_faults(&Options::default(), |test| {
        let blocked = test.faults().add(FaultRule::new([FaultKind::Sync]).path_suffix(".ldb").hold());
        test.put("foo", "v1");
        test.put("gone", "v1");
        test.db().rotate_memtable().unwrap();
        assert!(blocked.wait_for_hits(1));
        test.put("bar", "v2");
        test.delete("gone");
        let check = |test: &TestDb| {
            assert_eq!(test.get("foo").as_deref(), Some("v1"));
            assert_eq!(test.get("bar").as_deref(), Some("v2"));
            assert_eq!(test.get("gone"), None);
            assert_eq!(test.contents().len(), 2);
        };
        check(&test);
        assert!(test.files_per_level().is_empty());
        blocked.release();
        test.flush();
        check(&test);
    });
}

#[test]
fn a_flushed_key_is_found() {
    under_all_options(&Options::default(), |test| {
        test.put("foo", "v1");
        test.flush();
        assert_eq!(test.files_per_level(), [0, 0, 1]);
        assert_eq!(test.get("foo").as_deref(), Some("v1"));
    });
}

#[test]
fn memory_use_is_more_than_nothing_and_less_than_buffer_and_cache() {
    under_all_options(&Options::default(), |test| {
        let usage = || test.property("leveldb.approximate-memory-usage").parse::<u64>().unwrap();
        test.put("foo", "v1");
        let small = usage();
        assert!(small > 0 && small < 5 << 20, "{small}");
        test.put("big", vec![b'x'; 1 << 20]);
        assert!(usage() > small + (1 << 20));
        test.flush();
        assert!(usage() < small + (1 << 20), "a flushed memtable still counts");
    });
}

#[test]
fn what_flushed_memtables_leave_is_given_back_when_writes_end() {
    let test = TestDb::in_memory(Options { write_buffer_size: 2 << 20, ..Options::default() });
    let idle = || test.db().inner.memtable_store.idle_bytes();
    let mut most_idle = 0;
    for i in 0..2_000 {
        test.put(format!("key{i:04}"), vec![b'x'; 8 << 10]);
        most_idle = most_idle.max(idle());
    }
    test.flush();
    most_idle = most_idle.max(idle());
    assert!(most_idle > 0, "no memory is kept for the next memtable");
    assert!(most_idle <= 12 << 20, "{most_idle}");
    // The flush worker frees it a second later.
    test.wait_until("no idle memory", |_| idle() == 0);
    assert!(test.property("leveldb.approximate-memory-usage").parse::<u64>().unwrap() < 1 << 20);
}

#[test]
fn the_newest_file_of_level_0_wins() {
    under_all_options(&Options::default(), |test| {
        // The older file begins before the newer one.
        test.make_tables(2, "a", "z"); // so that later tables stay at level 0
        test.put("bar", "b");
        test.put("foo", "v1");
        test.flush();
        test.put("foo", "v2");
        test.flush();
        assert_eq!(test.files_per_level(), [2, 1, 1]);
        assert_eq!(test.get("foo").as_deref(), Some("v2"));
        assert_eq!(test.get("bar").as_deref(), Some("b"));
    });
}

#[test]
fn an_upper_level_wins_over_a_deeper_one() {
    under_all_options(&Options::default(), |test| {
        test.put("foo", "v1");
        test.compact("a", "z");
        assert_eq!(test.get("foo").as_deref(), Some("v1"));
        test.put("foo", "v2");
        assert_eq!(test.get("foo").as_deref(), Some("v2"));
        test.flush();
        assert_eq!(test.files_per_level(), [0, 1, 1]);
        assert_eq!(test.get("foo").as_deref(), Some("v2"));
        test.delete("foo");
        test.flush();
        assert_eq!(test.files_per_level(), [1, 1, 1]);
        assert_eq!(test.get("foo"), None);
    });
}

#[test]
fn the_right_one_of_several_files_is_picked() {
    under_all_options(&Options::default(), |mut test| {
        for (key, end) in [("a", "b"), ("x", "y"), ("f", "g")] {
            test.put(key, format!("v{key}"));
            test.compact(key, end);
        }
        let files = test.files_per_level();
        assert_eq!(files.iter().sum::<usize>(), 3);
        assert!(files.contains(&3), "one level has them all: {files:?}");
        for _ in 0..2 {
            for key in ["a", "f", "x"] {
                assert_eq!(test.get(key), Some(format!("v{key}")));
            }
            for missing in ["", "b", "e", "g", "w", "z"] {
                assert_eq!(test.get(missing), None);
            }
            test.reopen();
        }
    });
}

/// Reads that probe a file of level 0 without a hit and continue at level 2 compact the file of level 0, not
/// one of the empty level 1.
#[test]
fn reads_across_an_empty_level_compact_the_file_they_began_in() {
    under_all_options(&Options { seek_compaction: true, ..Options::default() }, |test| {
        test.put("a", "old");
        let before = test.db().snapshot();
        test.make_tables(3, "a", "z");
        test.compact_level(1, None, None);
        assert_eq!(test.files_per_level(), [1, 0, 1]);
        let seen = test.files_at(0);
        assert_eq!(seen, 1);
        // Reads a key that the upper file has too (so no filter excludes it), as it was before.
        for _ in 0..1000 {
            assert_eq!(test.get_at("a", Some(before.sequence())).as_deref(), Some("old"));
            assert_eq!(test.get("missing"), None);
        }
        test.wait_until("the compaction of level 0", |state| {
            state.versions.current(ColumnFamilyId::DEFAULT).num_files(0) == 0
        });
        test.wait_until_idle();
        assert_eq!(test.get("a").as_deref(), Some("begin"));
        assert_eq!(test.get_at("a", Some(before.sequence())).as_deref(), Some("old"));
    });
}

#[test]
fn an_iterator_over_nothing_is_never_valid() {
    under_all_options(&Options::default(), |mut test| {
        test.at_every_stage(|test| {
            let mut iterator = test.iter();
            iterator.seek_to_first();
            assert_eq!(position(&iterator), "(invalid)");
            iterator.seek_to_last();
            assert_eq!(position(&iterator), "(invalid)");
            iterator.seek(b"foo");
            assert_eq!(position(&iterator), "(invalid)");
            iterator.status().unwrap();
        });
    });
}

/// Moves as in a script: `<` first, `>` last, `+` next, `-` previous, anything else a seek. After each `=`
/// comes the expected entry.
fn follow(test: &TestDb, script: &[&str]) {
    let mut iterator = test.iter();
    for (step, word) in script.iter().enumerate() {
        match (*word, word.strip_prefix('=')) {
            ("<", _) => iterator.seek_to_first(),
            (">", _) => iterator.seek_to_last(),
            ("+", _) => iterator.next(),
            ("-", _) => iterator.prev(),
            (_, Some("")) => assert_eq!(position(&iterator), "(invalid)", "step {step}"),
            (_, Some(key)) => assert_eq!(position(&iterator), format!("{key}->v{key}"), "step {step}"),
            (target, None) => iterator.seek(target.trim_matches('\'').as_bytes()),
        }
        iterator.status().unwrap();
    }
}

#[test]
fn an_iterator_over_one_entry_ends_on_either_side() {
    under_all_options(&Options::default(), |mut test| {
        test.put("a", "va");
        test.at_every_stage(|test| {
            follow(test, &["<", "=a", "+", "=", "<", "=a", "-", "="]);
            follow(test, &[">", "=a", "+", "=", ">", "=a", "-", "="]);
            follow(test, &["''", "=a", "+", "=", "a", "=a", "+", "=", "b", "="]);
        });
    });
}

#[test]
fn an_iterator_over_several_entries_goes_and_turns_either_way() {
    under_all_options(&Options::default(), |mut test| {
        for key in ["a", "b", "c"] {
            test.put(key, format!("v{key}"));
        }
        test.at_every_stage(|test| {
            follow(test, &["<", "=a", "+", "=b", "+", "=c", "+", "=", "<", "=a", "-", "="]);
            follow(test, &[">", "=c", "-", "=b", "-", "=a", "-", "=", ">", "=c", "+", "="]);
            follow(test, &["''", "=a", "a", "=a", "ax", "=b", "b", "=b", "z", "="]);
            follow(test, &[">", "-", "-", "=a", "+", "=b"]);
            follow(test, &["<", "+", "+", "=c", "-", "=b"]);
        });
    });
}

#[test]
fn an_iterator_stays_at_the_state_it_was_made_in() {
    under_all_options(&Options::default(), |test| {
        for key in ["a", "b", "c"] {
            test.put(key, format!("v{key}"));
        }
        let mut iterator = test.iter();
        for key in ["a", "a2", "b", "c"] {
            test.put(key, "later");
        }
        test.delete("b");
        for flushed in [false, true] {
            if flushed {
                test.compact_all();
            }
            iterator.seek_to_first();
            for shown in ["a->va", "b->vb", "c->vc", "(invalid)"] {
                assert_eq!(position(&iterator), shown, "flushed: {flushed}");
                iterator.next();
            }
            iterator.seek_to_last();
            for shown in ["c->vc", "b->vb", "a->va", "(invalid)"] {
                assert_eq!(position(&iterator), shown, "flushed: {flushed}");
                iterator.prev();
            }
        }
    });
}

#[test]
fn tiny_and_large_values_are_iterated_together() {
    under_all_options(&Options::default(), |mut test| {
        let value = |key: &str| match key {
            "a" | "c" => format!("v{key}"),
            _ => key.repeat(100_000),
        };
        for key in ["a", "b", "c", "d", "e"] {
            test.put(key, value(key));
        }
        test.at_every_stage(|test| {
            let expected = ["a", "b", "c", "d", "e"].map(|key| (key.to_owned(), value(key)));
            assert!(test.contents() == expected);
        });
    });
}

#[test]
fn an_iterator_passes_over_deleted_keys() {
    under_all_options(&Options::default(), |mut test| {
        for key in ["a", "b", "c"] {
            test.put(key, format!("v{key}"));
        }
        test.delete("b");
        let check = |test: &TestDb| {
            assert_eq!(test.get("b"), None);
            follow(test, &["c", "=c", "-", "=a", "+", "=c"]);
            follow(test, &["<", "=a", "+", "=c", "+", "="]);
            follow(test, &["b", "=c"]);
        };
        test.at_every_stage(check);
        // The same if the tombstone is in a level above the value that it hides.
        test.put("b", "hidden");
        test.flush();
        test.delete("b");
        test.flush();
        check(&test);
    });
}

/// The iterator turns back at an entry that was inserted after its creation, which it must not show.
#[test]
fn turning_round_a_later_insertion_misses_nothing() {
    under_all_options(&Options::default(), |test| {
        for (key, value) in [("1", "b"), ("2", "c"), ("3", "d"), ("4", "e"), ("5", "f")] {
            test.put(key, value);
        }
        let mut iterator = test.iter();
        test.put("25", "cd");
        iterator.seek(b"5");
        assert_eq!(position(&iterator), "5->f");
        for (forward, shown) in [
            (false, "4->e"),
            (false, "3->d"),
            (true, "4->e"),
            (true, "5->f"),
            (false, "4->e"),
            (false, "3->d"),
        ] {
            if forward {
                iterator.next()
            } else {
                iterator.prev()
            }
            assert_eq!(position(&iterator), shown);
        }
        iterator.prev();
        assert_eq!(position(&iterator), "2->c");
        iterator.next();
        assert_eq!(position(&iterator), "3->d");
    });
}

/// The next iterator reuses the components of the previous one. That must not show in what it reads.
#[test]
fn an_iterator_made_after_another_was_dropped_sees_what_was_written_in_between() {
    under_all_options(&Options::default(), |test| {
        test.put("b", "table");
        test.put("d", "table");
        test.flush();
        let walk_half = || {
            let mut iterator = test.iter();
            iterator.seek(b"b");
            iterator.next();
            position(&iterator)
        };
        assert_eq!(walk_half(), "d->table");
        test.put("c", "first in memory");
        assert_eq!(walk_half(), "c->first in memory");
        test.put("bb", "second in memory");
        assert_eq!(walk_half(), "bb->second in memory");
        test.delete("bb");
        assert_eq!(walk_half(), "c->first in memory");
        let old = test.iter();
        test.flush();
        test.delete("c");
        assert_eq!(walk_half(), "d->table");
        drop(old); // its components belong to an old super version
        assert_eq!(walk_half(), "d->table");
        test.compact_all();
        assert_eq!(walk_half(), "d->table");
    });
}

#[test]
fn an_iterator_made_after_another_was_dropped_keeps_to_its_own_options() {
    let mut options = Options { ..Options::default() };
    let cache = std::sync::Arc::new(crate::util::cache::BlockCache::new(1 << 20));
    options.block_cache = Some(cache.clone());
    let test = TestDb::new(options);
    test.put("a", "x".repeat(1000));
    test.put("b", "x".repeat(1000));
    test.flush();
    let read = |fill_cache| {
        let mut iterator = test.db().iter(&ReadOptions { fill_cache, ..ReadOptions::default() });
        iterator.seek_to_first();
        assert!(iterator.valid());
    };
    read(false);
    assert_eq!(cache.total_charge(), 0);
    read(false);
    assert_eq!(cache.total_charge(), 0);
    read(true);
    assert_ne!(cache.total_charge(), 0);
    cache.clear();
    read(false);
    assert_eq!(cache.total_charge(), 0);
}

/// The components of the last iterator are kept for the next one. They must not keep obsolete files alive.
#[test]
fn a_dropped_iterator_keeps_no_file_that_was_compacted_away() {
    let test = TestDb::new(Options::default());
    test.make_tables(4, "a", "z");
    let mut iterator = test.iter();
    iterator.seek(b"a");
    drop(iterator);
    test.compact_all();
    let files = test.files_per_level().iter().sum::<usize>();
    assert_eq!(files, 1);
    test.wait_until("files out of use to be removed", |_| test.tables().len() == 1);
}
