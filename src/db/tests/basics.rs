//! Puts, deletes, batches, reads, iterators, snapshots, reopening, compaction.

use super::{TestDb, collect_forward};
use crate::batch::write_batch::WriteBatch;
use crate::db::Db;
use crate::db::ReadOptions;
use crate::language::Language;
use crate::options::{Options, WriteOptions};
use crate::util::random::Random;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

fn small() -> Options {
    Options { write_buffer_size: 64 << 10, ..Options::default() }
}

#[test]
fn what_is_put_is_found_until_it_is_deleted() {
    let mut test = TestDb::new(Options::default());
    assert_eq!(test.get("foo"), None);
    test.put("foo", "v1");
    test.put("", "empty key");
    test.put("empty value", "");
    assert_eq!(test.get("foo").as_deref(), Some("v1"));
    test.put("foo", "v2");
    assert_eq!(test.get("foo").as_deref(), Some("v2"));
    for round in 0..3 {
        assert_eq!(test.get("").as_deref(), Some("empty key"), "{round}");
        assert_eq!(test.get("empty value").as_deref(), Some(""));
        test.reopen();
    }
    test.delete("foo");
    assert_eq!(test.get("foo"), None);
    test.db().flush().unwrap();
    assert_eq!(test.get("foo"), None);
    test.reopen();
    assert_eq!(test.get("foo"), None);
    assert_eq!(test.contents().len(), 2);
}

#[test]
fn a_flush_moves_the_memtable_to_a_table_and_removes_its_log() {
    let test = TestDb::new(Options::default());
    test.put("a", "1");
    test.put("z", "2");
    test.db().flush().unwrap();
    assert_eq!(test.files_per_level(), [0, 0, 1]);
    test.put("a", "3");
    test.db().flush().unwrap();
    assert_eq!(test.get("a").as_deref(), Some("3"));
    assert_eq!(test.files_per_level().iter().sum::<usize>(), 2);
    test.wait_until("the logs of what was flushed to be removed", |_| test.logs().len() <= 2);
}

#[test]
fn a_model_and_the_database_agree_over_flushes_compactions_and_reopenings() {
    let seed = 301;
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let mut test = TestDb::new(small());
    let mut model = BTreeMap::new();
    let mut held = Vec::new();
    for step in 0..30_000 {
        let key = format!("key{:05}", random.uniform(3000));
        match random.uniform(100) {
            0..60 => {
                let length = if random.one_in(200) { 20_000 } else { random.uniform(200) as usize };
                let value = format!("{step}-").repeat(length / 4 + 1);
                test.put(&key, &value);
                model.insert(key, value);
            }
            60..85 => {
                test.delete(&key);
                model.remove(&key);
            }
            85..98 => assert_eq!(test.get(&key), model.get(&key).cloned(), "step {step}"),
            98 if random.one_in(3) => {
                let snapshot = test.db().snapshot();
                held.push((snapshot, model.clone()));
                if held.len() > 3 {
                    let (snapshot, then) = held.remove(random.uniform(held.len() as u64) as usize);
                    let options = ReadOptions { snapshot: Some(&snapshot), ..ReadOptions::default() };
                    let seen = collect_forward(&mut test.db().iter(&options));
                    assert!(seen.into_iter().eq(then), "snapshot at step {step}");
                }
            }
            99 if random.one_in(20) => {
                held.clear();
                test.reopen();
            }
            _ if random.one_in(20) => test.db().compact_range(None, None).unwrap(),
            _ => {}
        }
    }
    held.clear();
    assert!(test.contents().into_iter().eq(model.clone()));
    test.db().compact_range(None, None).unwrap();
    assert!(test.contents().into_iter().eq(model.clone()));
    test.reopen();
    assert!(test.contents().into_iter().eq(model));
}

#[test]
fn an_iterator_keeps_its_view_and_outlives_the_database() {
    let mut test = TestDb::new(small());
    for i in 0..1000 {
        test.put(format!("k{i:04}"), "old");
    }
    let mut iterator = test.db().iter(&ReadOptions::default());
    for i in 0..1000 {
        test.put(format!("k{i:04}"), "new".repeat(100));
    }
    test.db().compact_range(None, None).unwrap();
    let seen = collect_forward(&mut iterator);
    assert_eq!(seen.len(), 1000);
    assert!(seen.iter().all(|(_, value)| value == "old"));
    iterator.seek(b"k0500");
    assert!(iterator.valid());
    test.close();
    iterator.next();
    assert!(!iterator.valid());
    assert!(iterator.status().unwrap_err().to_string().contains("closed"));
    iterator.seek_to_first();
    assert!(!iterator.valid());
}

#[test]
fn many_writers_lose_nothing_and_batches_stay_whole() {
    let test = TestDb::new(small());
    let stop = AtomicBool::new(false);
    let written = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let (test, stop, written) = (&test, &stop, &written);
        let reader = scope.spawn(move || {
            let mut checks = 0;
            while !stop.load(Ordering::Relaxed) || checks == 0 {
                let snapshot = test.db().snapshot();
                let at = Some(snapshot.sequence());
                for thread in 0..4 {
                    let pair = [format!("a{thread}"), format!("b{thread}")].map(|key| test.get_at(key, at));
                    assert_eq!(pair[0], pair[1]);
                }
                checks += 1;
            }
        });
        let writers: Vec<_> = (0..4)
            .map(|thread| {
                scope.spawn(move || {
                    for i in 0..3000u32 {
                        let mut batch = WriteBatch::new();
                        batch.put(format!("a{thread}").as_bytes(), i.to_string().as_bytes());
                        batch.put(format!("b{thread}").as_bytes(), i.to_string().as_bytes());
                        batch.put(format!("t{thread}-{i:05}").as_bytes(), &[b'x'; 100]);
                        test.db().write(&WriteOptions { sync: i % 1000 == 0 }, &batch).unwrap();
                        written.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        reader.join().unwrap();
    });
    assert_eq!(written.into_inner(), 12_000);
    assert_eq!(test.contents().len(), 12_000 + 8);
}

#[test]
fn space_of_overwritten_and_deleted_keys_is_given_back() {
    let test = TestDb::new(small());
    for round in 0..5 {
        for i in 0..2000 {
            test.put(format!("k{i:05}"), format!("{round}").repeat(100));
        }
    }
    test.db().compact_range(None, None).unwrap();
    let full = test.db().approximate_sizes(&[(b"", b"z")]).unwrap()[0];
    assert!(full > 0);
    for i in 0..2000 {
        test.delete(format!("k{i:05}"));
    }
    test.db().compact_range(None, None).unwrap();
    assert_eq!(test.db().approximate_sizes(&[(b"", b"z")]).unwrap()[0], 0);
    assert_eq!(test.contents(), []);
}

#[test]
fn opening_says_what_is_wrong() {
    let mut test = TestDb::new(Options::default());
    let path = test.path();
    let second = Db::open(&test.options, &path).unwrap_err();
    assert_eq!(
        second.to_string(),
        format!("IO error: lock {}/LOCK: already held by process", path.display())
    );
    test.close();
    let exists = Db::open(&Options { error_if_exists: true, ..test.options.clone() }, &path).unwrap_err();
    assert_eq!(
        exists.to_string(),
        format!("Invalid argument: {}: exists (error_if_exists is true)", path.display())
    );
    super::remove(&path);
    assert!(!path.exists());
    let absent = Db::open(&Options::default(), &path).unwrap_err();
    assert_eq!(
        absent.to_string(),
        format!("Invalid argument: {}: does not exist (create_if_missing is false)", path.display())
    );
    let no_parent = Db::open(&test.options, &path.join("x/y")).unwrap_err();
    assert_eq!(
        no_parent.to_string(),
        format!("NotFound: {}/x/y/LOCK: No such file or directory", path.display())
    );
}

#[test]
fn a_database_that_lost_its_current_file_is_refused_and_repaired() {
    let mut test = TestDb::new(small());
    for i in 0..3000 {
        test.put(format!("k{i:05}"), format!("value {i}"));
    }
    test.delete("k00007");
    test.db().compact_range(None, None).unwrap();
    test.put("late", "in the log");
    test.close();
    std::fs::remove_file(test.path().join("CURRENT")).unwrap();
    let before = std::fs::read_dir(test.path()).unwrap().count();
    let error = test.try_reopen().unwrap_err();
    assert!(error.is_corruption() && error.to_string().contains("CURRENT"), "{error}");
    assert_eq!(std::fs::read_dir(test.path()).unwrap().count(), before);
    crate::db::repair(&test.options, &test.path()).unwrap();
    test.reopen();
    assert_eq!(test.contents().len(), 3000);
    assert_eq!(test.get("late").as_deref(), Some("in the log"));
    assert_eq!(test.get("k00007"), None);
}

/// LevelDB's compactions write the last sequence number of all entries in memory to the MANIFEST, so the
/// MANIFEST may be ahead of the WAL that is replayed first. The WAL after that one was once taken for one
/// that follows a loss, and dropped.
#[test]
fn a_log_is_replayed_behind_one_that_ends_before_the_manifests_last_sequence() {
    use crate::env::LogFileOptions;
    use crate::version::manifest::ManifestWriter;
    use crate::version::version_edit::VersionEdit;
    use crate::wal::writer::WalWriter;

    let mut test = TestDb::new(Options::default());
    test.close();
    super::remove(&test.path());
    std::fs::create_dir(test.path()).unwrap();
    let env = &test.options.env;
    let options = LogFileOptions { mapped: false, expected_size: 0 };
    for (number, sequence) in [(3, 1), (4, 3)] {
        let mut log = WalWriter::create(env, &test.path(), number, options, sequence - 1).unwrap();
        let mut batch = WriteBatch::new();
        batch.put(format!("first of {number}").as_bytes(), b"1");
        batch.put(format!("second of {number}").as_bytes(), b"2");
        batch.set_sequence(sequence);
        log.add_record(batch.rep()).unwrap();
        log.close().unwrap();
    }
    let edit = VersionEdit {
        comparator: Some(test.options.comparator.name()),
        log_number: Some(3),
        next_file_number: Some(5),
        last_sequence: Some(4),
        ..VersionEdit::default()
    };
    assert!(ManifestWriter::create(env, &test.path(), 2, Language::LevelDb, &[edit]).is_ok());
    test.reopen();
    assert_eq!(test.contents().len(), 4);
    assert_eq!(test.db().property(b"terrace.recovery-damage").as_deref(), Some(""));
}

#[test]
fn what_is_left_in_level_0_is_merged_once_nothing_is_written() {
    let test = TestDb::new(Options::default());
    let path = test.path().with_extension("idle");
    let options = Options { create_if_missing: true, ..Options::default() };
    assert!(options.idle_compaction);
    let db = Db::open(&options, &path).unwrap();
    let files = |level: usize| {
        let name = format!("leveldb.num-files-at-level{level}");
        db.property(name.as_bytes()).unwrap().parse::<usize>().unwrap()
    };
    for value in ["old", "new"] {
        for i in 0..1000 {
            db.put(&WriteOptions::default(), format!("k{i:04}").as_bytes(), value.as_bytes()).unwrap();
        }
        db.flush().unwrap();
    }
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while files(0) > 0 {
        assert!(std::time::Instant::now() < deadline, "{} files in level 0", files(0));
        std::thread::yield_now();
    }
    assert_eq!(db.get(&ReadOptions::default(), b"k0500").unwrap().as_deref(), Some(&b"new"[..]));
}
