//! States that stay readable, and which entries are dropped when nobody reads them any more.

use super::{collect_forward, position, random_bytes, under_all_options};
use crate::options::Options;
use crate::util::random::Random;

#[test]
fn a_snapshot_is_read_before_and_after_a_flush() {
    under_all_options(&Options::default(), |mut test| {
        for key in ["foo".to_owned(), "x".repeat(200)] {
            test.put(&key, "v1");
            let snapshot = test.db().snapshot();
            test.put(&key, "v2");
            for _ in 0..3 {
                assert_eq!(test.get(&key).as_deref(), Some("v2"));
                assert_eq!(test.get_at(&key, Some(snapshot.sequence())).as_deref(), Some("v1"));
                test.compact_all();
            }
        }
        test.reopen();
        assert_eq!(test.get("foo").as_deref(), Some("v2"));
    });
}

#[test]
fn identical_snapshots_are_released_in_any_order() {
    under_all_options(&Options::default(), |test| {
        for (key, order) in [("foo", [0, 1, 2]), ("bar", [2, 0, 1]), ("a longer key than those", [1, 2, 0])] {
            test.put(key, "v1");
            let mut snapshots = [0; 3].map(|_| Some(test.db().snapshot()));
            test.put(key, "v2");
            for released in order {
                assert_eq!(test.get(key).as_deref(), Some("v2"));
                for snapshot in snapshots.iter().flatten() {
                    assert_eq!(test.get_at(key, Some(snapshot.sequence())).as_deref(), Some("v1"));
                }
                snapshots[released] = None;
                test.rewrite_all();
            }
            assert_eq!(test.all_entries_for(key), ["v2"]);
        }
    });
}

#[test]
fn a_snapshot_of_nothing_stays_empty() {
    under_all_options(&Options::default(), |test| {
        let snapshot = test.db().snapshot();
        test.put("foo", "v1");
        test.put("foo", "v2");
        for _ in 0..3 {
            assert_eq!(collect_forward(&mut test.iter_at(snapshot.sequence())), []);
            assert_eq!(test.get_at("foo", Some(snapshot.sequence())), None);
            test.compact_all();
        }
        assert_eq!(test.get("foo").as_deref(), Some("v2"));
    });
}

#[test]
fn an_iterator_pins_its_state_through_flushes_and_compactions() {
    under_all_options(&Options { write_buffer_size: 1 << 20, ..Options::default() }, |test| {
        test.put("foo", "hello");
        let mut iterator = test.iter();
        test.put("foo", "newvalue1");
        for i in 0..100 {
            test.put(format!("key{i:06}"), format!("key{i:06}").repeat(10_000));
        }
        test.put("foo", "newvalue2");
        test.compact_all();
        iterator.seek_to_first();
        assert_eq!(position(&iterator), "foo->hello");
        iterator.next();
        assert_eq!(position(&iterator), "(invalid)");
        iterator.status().unwrap();
    });
}

#[test]
fn each_snapshot_keeps_its_own_value_until_it_is_released() {
    under_all_options(&Options::default(), |test| {
        let mut snapshots = Vec::new();
        for value in ["v1", "v2", "v3", "v4"] {
            test.put("foo", value);
            snapshots.push((value, test.db().snapshot()));
        }
        test.put("foo", "v5");
        // The newest, the oldest, then those in between.
        for released in [3, 0, 1, 0] {
            for (value, snapshot) in &snapshots {
                assert_eq!(test.get_at("foo", Some(snapshot.sequence())).as_deref(), Some(*value));
            }
            assert_eq!(test.get("foo").as_deref(), Some("v5"));
            snapshots.remove(released);
            test.rewrite_all();
            let kept = snapshots.iter().rev().map(|(value, _)| *value);
            assert!(
                test.all_entries_for("foo").iter().map(String::as_str).eq(["v5"].into_iter().chain(kept))
            );
        }
        assert_eq!(test.all_entries_for("foo"), ["v5"]);
    });
}

#[test]
fn hidden_values_go_when_no_snapshot_sees_them() {
    under_all_options(&Options::default(), |test| {
        test.make_tables(7, "a", "z");
        test.wait_until_idle();
        let big = String::from_utf8(random_bytes(&mut Random::new(301), 50_000)).unwrap();
        test.put("foo", &big);
        test.put("pastfoo", "v");
        let snapshot = test.db().snapshot();
        test.put("foo", "tiny");
        test.put("pastfoo2", "v2");
        test.flush();
        assert!(test.files_at(0) > 0);

        assert!(test.get_at("foo", Some(snapshot.sequence())).as_deref() == Some(&big));
        let size = test.size("", "pastfoo");
        assert!((50_000..60_000).contains(&size), "{size}");
        drop(snapshot);
        assert!(test.all_entries_for("foo") == ["tiny", &big]);
        test.compact_level(0, None, Some("x"));
        assert_eq!(test.all_entries_for("foo"), ["tiny"]);
        assert_eq!(test.files_at(0), 0);
        assert!(test.files_at(1) >= 1);
        test.compact_level(1, None, Some("x"));
        assert_eq!(test.all_entries_for("foo"), ["tiny"]);
        let size = test.size("", "pastfoo");
        assert!(size < 1000, "{size}");
    });
}

/// Values at level 2, and a table over the same range at level 1. The next tables go to level 0.
fn with_a_value_below(test: &super::TestDb) {
    test.put("foo", "v1");
    test.flush();
    test.make_tables(1, "a", "z");
    assert_eq!(test.files_per_level(), [0, 1, 1]);
}

#[test]
fn a_deletion_under_a_new_value_goes_before_what_it_hides() {
    under_all_options(&Options::default(), |test| {
        with_a_value_below(&test);
        test.delete("foo");
        test.put("foo", "v2");
        assert_eq!(test.all_entries_for("foo"), ["v2", "DEL", "v1"]);
        test.flush();
        // A flush drops entries that a newer entry of the same memtable hides.
        assert_eq!(test.all_entries_for("foo"), ["v2", "v1"]);
        test.compact_level(0, None, Some("z"));
        assert_eq!(test.all_entries_for("foo"), ["v2", "v1"]);
        test.compact_level(1, None, None);
        assert_eq!(test.all_entries_for("foo"), ["v2"]);
    });
}

#[test]
fn a_deletion_stays_until_nothing_below_can_hold_its_key() {
    under_all_options(&Options::default(), |test| {
        with_a_value_below(&test);
        test.delete("foo");
        assert_eq!(test.all_entries_for("foo"), ["DEL", "v1"]);
        test.flush();
        assert_eq!(test.all_entries_for("foo"), ["DEL", "v1"]);
        test.compact_level(0, None, None);
        assert_eq!(test.all_entries_for("foo"), ["DEL", "v1"]);
        test.compact_level(1, None, None);
        assert_eq!(test.all_entries_for("foo"), [] as [&str; 0]);
        assert_eq!(test.get("foo"), None);
    });
}
