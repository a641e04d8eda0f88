//! Opening, closing and destroying a database: what is refused, and the messages.

use super::{TestDb, remove, under_all_options, under_all_options_with_faults};
use crate::comparator::{BytewiseComparator, Comparator};
use crate::db::Db;
use crate::db::destroy;
use crate::env::Env;
use crate::env::fault::{FaultKind, FaultRule};
use crate::env::posix::PosixEnv;
use crate::format::file_name;
use crate::options::Options;
use std::cmp::Ordering;
use std::sync::Arc;

/// The bytewise order under another name.
struct Renamed;

impl Comparator for Renamed {
    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        BytewiseComparator.compare(a, b)
    }

    fn name(&self) -> Vec<u8> {
        b"leveldb.NewComparator".to_vec()
    }
}

#[test]
fn another_comparator_is_refused_by_name() {
    under_all_options(&Options::default(), |mut test| {
        test.put("foo", "bar");
        let own = std::mem::replace(&mut test.options.comparator, Arc::new(Renamed));
        let error = test.try_reopen().unwrap_err();
        assert_eq!(
            error.to_string(),
            "Invalid argument: leveldb.BytewiseComparator does not match existing comparator : \
             leveldb.NewComparator"
        );
        test.options.comparator = own;
        test.reopen();
        assert_eq!(test.get("foo").as_deref(), Some("bar"));
    });
}

/// Keys are numbers in brackets, decimal or hexadecimal: equal keys need not be equal bytes.
struct Numbers;

impl Numbers {
    fn number(key: &[u8]) -> u64 {
        let key = std::str::from_utf8(key).unwrap();
        let digits = key.strip_prefix('[').and_then(|key| key.strip_suffix(']')).expect("brackets");
        match digits.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => digits.parse(),
        }
        .expect("a number")
    }
}

impl Comparator for Numbers {
    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        Self::number(a).cmp(&Self::number(b))
    }

    fn name(&self) -> Vec<u8> {
        b"test.NumberComparator".to_vec()
    }
}

#[test]
fn a_comparator_of_the_user_decides_order_and_equality() {
    let base = Options { comparator: Arc::new(Numbers), write_buffer_size: 64 << 10, ..Options::default() };
    under_all_options(&base, |mut test| {
        // A Bloom filter hashes bytes, so it would miss keys that are equal but not the same bytes.
        test.options.filter_policy = None;
        test.reopen();
        test.put("[10]", "ten");
        test.put("[0x14]", "twenty");
        for _ in 0..2 {
            for (key, value) in [("[10]", "ten"), ("[0xa]", "ten"), ("[20]", "twenty"), ("[0x14]", "twenty")]
            {
                assert_eq!(test.get(key).as_deref(), Some(value));
            }
            for missing in ["[15]", "[0xf]"] {
                assert_eq!(test.get(missing), None);
            }
            test.compact("[0]", "[9999]");
        }
        for _ in 0..2 {
            for i in 0..1000 {
                let key = format!("[{}]", i * 10);
                test.put(&key, &key);
            }
            test.compact("[0]", "[1000000]");
        }
        let numbers = test.contents().into_iter().map(|(key, _)| Numbers::number(key.as_bytes()));
        assert!(numbers.eq((0..1000).map(|i| i * 10)));
    });
}

#[test]
fn an_absent_database_is_created_and_a_present_one_refused_as_asked() {
    under_all_options(&Options::default(), |mut test| {
        let path = test.path();
        test.put("foo", "bar");
        test.close();
        let refused = |options: &Options| Db::open(options, &path).unwrap_err().to_string();
        assert_eq!(
            refused(&Options { error_if_exists: true, ..test.options.clone() }),
            format!("Invalid argument: {}: exists (error_if_exists is true)", path.display())
        );
        test.options.create_if_missing = false;
        test.reopen();
        assert_eq!(test.get("foo").as_deref(), Some("bar"));
        test.close();
        remove(&path);
        assert_eq!(
            refused(&test.options),
            format!("Invalid argument: {}: does not exist (create_if_missing is false)", path.display())
        );
        test.options.create_if_missing = true;
        test.options.error_if_exists = true;
        test.reopen();
        assert_eq!(test.get("foo"), None);
    });
}

#[test]
fn an_empty_directory_is_destroyed() {
    under_all_options(&Options::default(), |mut test| {
        let (env, path) = (test.options.env.clone(), test.path());
        test.close();
        remove(&path);
        assert!(!env.exists(&path));
        env.create_dir(&path).unwrap();
        destroy(&test.options, &path).unwrap();
        assert!(!env.exists(&path));
        destroy(&test.options, &path).unwrap(); // a missing one too
    });
}

#[test]
fn an_open_database_is_not_destroyed() {
    under_all_options(&Options::default(), |mut test| {
        let path = test.path();
        test.put("foo", "bar");
        test.flush();
        test.wait_until("the log that is out of use to be removed", |_| test.logs().len() == 1);
        let before = test.files(|_| true);
        let error = destroy(&test.options, &path).unwrap_err();
        assert!(error.to_string().contains("LOCK: already held by process"), "{error}");
        assert_eq!(test.files(|_| true), before);
        assert_eq!(test.get("foo").as_deref(), Some("bar"));
        test.close();
        destroy(&test.options, &path).unwrap();
        assert!(!test.options.env.exists(&path));
    });
}

#[test]
fn a_database_is_opened_once_at_a_time() {
    under_all_options(&Options::default(), |mut test| {
        test.put("foo", "bar");
        for _ in 0..2 {
            let error = Db::open(&test.options, &test.path()).unwrap_err();
            assert!(error.to_string().contains("LOCK: already held by process"), "{error}");
        }
        test.put("foo", "baz");
        test.reopen();
        assert_eq!(test.get("foo").as_deref(), Some("baz"));
    });
}

#[test]
fn a_missing_table_is_told_at_open_and_nothing_is_touched() {
    under_all_options(&Options::default(), |mut test| {
        test.put("foo", "bar");
        test.flush();
        test.put("later", "in the log");
        test.close();
        let table = test.tables().pop().unwrap();
        let contents = test.read_file(&table);
        std::fs::remove_file(&table).unwrap();
        let before = test.files_but_info_log();
        for paranoid_checks in [true, false] {
            test.options.paranoid_checks = paranoid_checks;
            let error = test.try_reopen().unwrap_err();
            assert!(error.is_corruption() && error.to_string().contains("1 missing files"), "{error}");
            assert!(error.to_string().contains(&*table.to_string_lossy()), "{error}");
        }
        assert_eq!(test.files_but_info_log(), before);
        test.write_file(&table, &contents);
        test.reopen();
        assert_eq!(test.get("foo").as_deref(), Some("bar"));
        assert_eq!(test.get("later").as_deref(), Some("in the log"));
    });
}

#[test]
fn tables_of_the_old_name_are_read_and_removed_in_time() {
    under_all_options(&Options::default(), |mut test| {
        test.put("foo", "bar");
        test.flush();
        test.close();
        for table in test.tables() {
            std::fs::rename(&table, table.with_extension("sst")).unwrap();
        }
        let old = test.tables();
        test.options.paranoid_checks = true;
        test.reopen();
        assert_eq!(test.get("foo").as_deref(), Some("bar"));
        assert_eq!(test.tables(), old);
        test.rewrite_all();
        assert_eq!(test.get("foo").as_deref(), Some("bar"));
        test.wait_until("the old table to go", |_| {
            let left = test.tables();
            left.len() == 1 && left[0].extension().is_some_and(|name| name == "ldb")
        });
    });
}

/// A child process must not inherit the database's files, and with them its lock.
#[test]
fn every_open_file_is_closed_on_exec() {
    under_all_options(&Options { write_buffer_size: 64 << 10, ..Options::default() }, |test| {
        for i in 0..1000 {
            test.put(format!("k{i:04}"), vec![b'v'; 300]);
        }
        test.put_synced("synced", "").unwrap();
        test.wait_until_idle();
        let iterator = test.contents();
        assert_eq!(iterator.len(), 1001);
        let mut kinds = Vec::new();
        for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
            let entry = entry.unwrap();
            let Ok(target) = std::fs::read_link(entry.path()) else { continue };
            if !target.starts_with(test.path()) {
                continue;
            }
            let info = std::path::Path::new("/proc/self/fdinfo").join(entry.file_name());
            let Ok(info) = std::fs::read_to_string(info) else { continue }; // closed in the meantime
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
            const O_CLOEXEC: u32 = 0o2_000_000;
            assert!(u32::from_str_radix(flags, 8).unwrap() & O_CLOEXEC != 0, "{}", target.display());
            kinds.push(target.file_name().unwrap().to_string_lossy().into_owned());
        }
        for kind in ["LOCK", "LOG", "MANIFEST-", ".log"] {
            assert!(kinds.iter().any(|name| name.contains(kind)), "no {kind} among {kinds:?}");
        }
    });
}

#[test]
fn closing_while_a_flush_is_under_way_loses_nothing() {
    under_all_options_with_faults(
        &Options { write_buffer_size: 1 << 20, ..Options::default() },
        |mut test| {
            let blocked = test.faults().add(FaultRule::new([FaultKind::Sync]).path_suffix(".ldb").hold());
            test.put("foo", "v1"); // in the first WAL
            test.put("big1", "x".repeat(2 << 20)); // fills the memtable
            test.put("big2", "y".repeat(1000)); // begins another
            test.put("bar", "v2"); // in the second WAL
            assert!(blocked.wait_for_hits(1));
            blocked.release();
            test.close();
            drop(blocked);
            // The second time as if the flush had not begun.
            for _ in 0..2 {
                test.reopen();
                assert_eq!(test.get("foo").as_deref(), Some("v1"));
                assert_eq!(test.get("bar").as_deref(), Some("v2"));
                assert!(test.get("big1") == Some("x".repeat(2 << 20)));
                assert_eq!(test.get("big2"), Some("y".repeat(1000)));
            }
        },
    );
}

#[test]
fn a_lock_file_left_behind_is_no_lock() {
    let mut test = TestDb::new(Options::default());
    test.close();
    assert!(PosixEnv::default().exists(&file_name::lock(&test.path())));
    test.reopen();
}

#[test]
fn an_opening_whose_manifest_cannot_be_created_leaves_no_tables() {
    under_all_options_with_faults(&Options::default(), |mut test| {
        (0..200).for_each(|i| test.put(format!("{i:04}"), "v".repeat(1000)));
        test.close();
        test.options.write_buffer_size = 64 << 10; // the WAL holds more: it becomes tables
        let rule = FaultRule::new([FaultKind::Create]).path_contains("MANIFEST");
        let failing = test.faults().add(rule);
        for _ in 0..3 {
            assert!(test.try_reopen().is_err());
            assert_eq!(test.tables(), [] as [std::path::PathBuf; 0]);
        }
        drop(failing);
        // From the rename of CURRENT on the MANIFEST may count, and its tables stay.
        let failing = test.faults().add(FaultRule::new([FaultKind::Rename]).path_contains("CURRENT"));
        if !test.options.reuse_logs {
            assert!(test.try_reopen().is_err());
            assert!(!test.tables().is_empty());
        }
        drop(failing);
        test.reopen();
        assert_eq!(test.contents().len(), 200);
    });
}
