//! Entries at the limits of the format, with a limit for tables that a test can reach.

use super::TestDb;
use crate::db::repair;
use crate::error::ErrorKind;
use crate::format::limits::testing::with_longest_block;
use crate::options::{Options, WriteOptions};

/// The longest block in these tests, in bytes.
const LIMIT: usize = 256 << 10;

/// A closed database as left by a version whose limit for writes was higher than its limit for tables: a
/// synced batch has an entry that no table can hold, among others.
fn with_an_entry_for_no_table(options: Options) -> TestDb {
    let mut test = TestDb::in_memory(options);
    test.put_synced("a", "before").expect("a put");
    let mut batch = crate::batch::write_batch::WriteBatch::new();
    batch.put(b"b", b"of the batch");
    batch.put(b"big", &vec![b'v'; LIMIT]);
    test.db().write(&WriteOptions { sync: true }, &batch).expect("a batch");
    test.put_synced("c", "behind").expect("a put");
    test.put_synced("near", "v".repeat(LIMIT - 100)).expect("a put");
    test.close();
    test
}

#[test]
fn an_entry_that_no_table_can_hold_is_set_aside_and_stands_in_nobodys_way() {
    for reuse_logs in [false, true] {
        let mut test = with_an_entry_for_no_table(Options { reuse_logs, ..Options::default() });
        let log = test.logs().pop().expect("a log");
        let contents = test.read_file(&log);
        with_longest_block(LIMIT, || {
            test.options.paranoid_checks = true;
            let error = test.try_reopen().unwrap_err();
            assert!(error.is_corruption() && error.message().contains("no table can hold"), "{error}");
            assert!(test.read_file(&log) == contents);
            test.options.paranoid_checks = false;
            for round in 0..3 {
                test.reopen();
                assert_eq!(test.get("a").as_deref(), Some("before"));
                assert_eq!((test.get("b"), test.get("big")), (None, None), "a batch by half");
                assert_eq!(test.get("c").as_deref(), Some("behind"));
                assert_eq!(test.get("near").map(|value| value.len()), Some(LIMIT - 100));
                test.put_synced(format!("{round}"), "new").expect("a put");
                test.flush();
                test.rewrite_all();
            }
        });
        let lost = test.path.join("lost").join(log.file_name().expect("a name"));
        assert!(test.read_file(&lost) == contents, "the log is not what it was");
    }
}

#[test]
fn a_repair_saves_all_but_what_no_table_can_hold() {
    let mut test = with_an_entry_for_no_table(Options::default());
    let log = test.logs().pop().expect("a log");
    let contents = test.read_file(&log);
    with_longest_block(LIMIT, || {
        repair(&test.options, &test.path).expect("a repair");
        test.reopen();
    });
    assert_eq!(test.contents().len(), 3);
    assert!(test.read_file(&test.path.join("lost").join(log.file_name().expect("a name"))) == contents);
}

#[test]
fn what_is_too_long_is_refused_before_the_log_is_touched() {
    let test = TestDb::in_memory(Options::default());
    test.put("key", "value");
    let log = test.logs().pop().expect("a log");
    let before = test.read_file(&log);
    let db = test.db();
    // Zeros that are never touched take no memory.
    let long = vec![0; 4 << 30];
    let write = WriteOptions::default();
    for (key, value) in [
        (&long[..8], &long[..(4 << 30) - 11]),
        (&long[..8], &long[..]),
        (&long[..5 << 29], &long[..5 << 29]),
        (&long[..(4 << 30) - (64 << 10)], &long[..0]),
    ] {
        let error = db.put(&write, key, value).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        let mut batch = crate::batch::write_batch::WriteBatch::new();
        batch.put(b"small", b"value");
        batch.put(key, value);
        assert_eq!(db.write(&write, &batch).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
    assert_eq!(db.delete(&write, &long).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert!(test.read_file(&log) == before, "the log has changed");
    test.put("key", "value 2");
}
