//! Exchange of directories: each library opens, reads, writes and compacts a directory that the other one has
//! left.

use crate::fuzz::mend;
use crate::kill::{Plan, Writer};
use crate::support::leveldb_c::{Db, FilterPolicy, Library, OpenOptions, Order, WriteBatch};
use crate::support::random::Random;
use crate::support::{both_ways, contents, copy_database, google, scratch, terrace};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

fn small() -> OpenOptions {
    OpenOptions { write_buffer_size: 64 << 10, ..OpenOptions::default() }
}

fn open(library: &'static Library, path: &Path, options: &OpenOptions) -> Db {
    Db::open(library, path, options).unwrap_or_else(|error| panic!("{library:?}: {error}"))
}

fn refusal(library: &'static Library, path: &Path, options: &OpenOptions) -> String {
    match Db::open(library, path, options) {
        Ok(_) => panic!("{library:?} opened what it must refuse"),
        Err(error) => error.0,
    }
}

/// Writes `count` entries of a generation (puts and deletes in a shared key space), one by one and in
/// batches.
fn write_generation(db: &Db, generation: u64, count: u64) {
    let mut random = Random::new(generation);
    let mut batch = WriteBatch::new(db.library());
    for i in 0..count {
        let key = format!("key{:06}", random.below(count * 2)).into_bytes();
        let value =
            format!("generation {generation}, write {i} ").repeat(1 + random.below(8) as usize).into_bytes();
        match random.below(8) {
            0 => db.delete(&key, false).expect("delete"),
            1..=3 => batch.put(&key, &value),
            _ => db.put(&key, &value, i % 1000 == 0).expect("put"),
        }
        if i % 20 == 19 {
            db.write(&batch, false).expect("write");
            batch.clear();
        }
    }
    db.write(&batch, false).expect("write");
}

/// Writes a generation through `library` and closes the database. Returns its entries.
fn fill(library: &'static Library, path: &Path, options: &OpenOptions, generation: u64) -> Entries {
    let db = open(library, path, options);
    write_generation(&db, generation, 5_000);
    let entries = contents(&db);
    db.close();
    entries
}

fn read(library: &'static Library, path: &Path, options: &OpenOptions) -> Entries {
    let db = open(library, path, options);
    let entries = contents(&db);
    for (key, value) in &entries {
        assert_eq!(
            db.get(key).expect("get").as_deref(),
            Some(&value[..]),
            "{library:?}: {}",
            key.escape_ascii()
        );
    }
    db.close();
    entries
}

fn files_named(path: &Path, ending: &str) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(path).expect("a database directory");
    let paths = entries.map(|entry| entry.expect("an entry of the database directory").path());
    paths.filter(|path| path.extension().is_some_and(|found| found == ending)).collect()
}

#[test]
fn a_closed_database_reads_the_same_in_the_other_library() {
    for (writer, reader) in both_ways() {
        for options in [OpenOptions::default(), small(), OpenOptions { compression: 0, ..small() }] {
            let scratch = scratch();
            let path = scratch.path().join("db");
            let written = fill(writer, &path, &options, 1);
            assert!(read(reader, &path, &options) == written, "{writer:?} wrote, {reader:?} reads otherwise");
            assert!(read(writer, &path, &options) == written, "{reader:?} changed what {writer:?} wrote");
        }
    }
}

#[test]
fn a_database_grows_in_turns() {
    let scratch = scratch();
    let path = scratch.path().join("db");
    let mut expected = Entries::new();
    for (generation, (one, other)) in both_ways().into_iter().cycle().take(8).enumerate() {
        assert!(read(one, &path, &small()) == expected, "{one:?} reads otherwise at generation {generation}");
        expected = fill(one, &path, &small(), generation as u64);
        assert!(read(other, &path, &small()) == expected, "{other:?} reads otherwise after {generation}");
    }
}

#[test]
fn what_is_on_disk_of_an_open_database_is_all_that_was_written() {
    for (writer, reader) in both_ways() {
        let scratch = scratch();
        let (path, image) = (scratch.path().join("db"), scratch.path().join("image"));
        // The write buffer never fills: everything is in the WAL, which only a recovery reads.
        let db = open(writer, &path, &OpenOptions::default());
        write_generation(&db, 1, 3_000);
        let written = contents(&db);
        copy_database(&path, &image);
        assert!(
            read(reader, &image, &small()) == written,
            "{reader:?} recovers otherwise what {writer:?} logged"
        );
        db.close();
    }
}

#[test]
fn what_a_kill_leaves_is_compacted_by_the_other_library() {
    for (writer, other) in both_ways() {
        let scratch = scratch();
        let plan = Plan { threads: 2, sync_every: 0, write_buffer_size: 64 << 10, has_families: false };
        let killed = Writer::new(scratch.path(), plan);
        killed.run_until(&writer.path, 50);
        let db = open(other, killed.database(), &small());
        db.compact_range(None, None);
        db.close();
        assert_eq!(killed.check(writer), killed.check(other));
    }
}

#[test]
fn a_compaction_by_the_other_library_changes_no_answer() {
    for (writer, compactor) in both_ways() {
        let scratch = scratch();
        let path = scratch.path().join("db");
        let written = fill(writer, &path, &small(), 1);
        let db = open(compactor, &path, &small());
        db.compact_range(Some(b"key000100"), Some(b"key004000"));
        assert!(contents(&db) == written, "{compactor:?}: part compacted");
        db.compact_range(None, None);
        assert!(contents(&db) == written, "{compactor:?}: all compacted");
        assert_eq!(db.property("leveldb.num-files-at-level0").as_deref(), Some("0"));
        assert!(db.approximate_size(b"key", b"kez") > 10_000, "{compactor:?}: sizes of a compacted database");
        db.close();
        assert!(
            read(writer, &path, &small()) == written,
            "{compactor:?} compacted, {writer:?} reads otherwise"
        );
    }
}

#[test]
fn bloom_filters_of_one_library_serve_the_other() {
    for (writer, reader) in both_ways() {
        for bits in [1, 10, 50] {
            let scratch = scratch();
            let path = scratch.path().join("db");
            let options = OpenOptions { bloom_bits: Some(bits), ..small() };
            let written = fill(writer, &path, &options, 1);
            assert!(read(reader, &path, &options) == written, "{bits} bits: a filter hides keys");
            let db = open(reader, &path, &options);
            for i in 0..1_000 {
                let missing = format!("key{i:06}x").into_bytes();
                assert_eq!(db.get(&missing).expect("get"), None);
            }
            db.close();
        }
    }
}

/// A policy whose filter has a checksum of one byte per key. It counts the calls of `may_match`.
#[derive(Default)]
struct Watched {
    created: AtomicU64,
    asked: AtomicU64,
    denied: AtomicU64,
}

impl Watched {
    fn byte(key: &[u8]) -> u8 {
        key.iter().fold(7, |sum: u8, byte| sum.wrapping_mul(31).wrapping_add(*byte))
    }
}

impl FilterPolicy for Watched {
    fn create(&self, keys: &[&[u8]]) -> Vec<u8> {
        self.created.fetch_add(1, Ordering::Relaxed);
        keys.iter().map(|key| Watched::byte(key)).collect()
    }

    fn may_match(&self, key: &[u8], filter: &[u8]) -> bool {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let may = filter.contains(&Watched::byte(key));
        self.denied.fetch_add((!may).into(), Ordering::Relaxed);
        may
    }
}

#[test]
fn a_filter_of_the_host_is_stored_by_one_library_and_asked_by_the_other() {
    for (writer, reader) in both_ways() {
        let scratch = scratch();
        let path = scratch.path().join("db");
        let writing = Arc::new(Watched::default());
        let db = open(writer, &path, &OpenOptions { filter: Some(writing.clone()), ..small() });
        write_generation(&db, 1, 5_000);
        db.compact_range(None, None);
        let written = contents(&db);
        db.close();
        assert!(writing.created.load(Ordering::Relaxed) > 0, "{writer:?} made no filter");

        let reading = Arc::new(Watched::default());
        let options = OpenOptions { filter: Some(reading.clone()), ..small() };
        assert!(read(reader, &path, &options) == written, "{reader:?} reads otherwise with a filter");
        assert!(reading.asked.load(Ordering::Relaxed) >= 1_000, "{reader:?} does not ask the filter");
        let db = open(reader, &path, &options);
        for i in 0..1_000 {
            assert_eq!(db.get(format!("key{i:06}x").as_bytes()).expect("get"), None);
        }
        assert!(reading.denied.load(Ordering::Relaxed) > 0, "{reader:?}: no filter ever denied a key");
        db.close();
    }
}

#[test]
fn another_comparator_is_refused_in_the_same_words() {
    let mut messages = Vec::new();
    for (writer, reader) in both_ways() {
        let scratch = scratch();
        let path = scratch.path().join("db");
        fill(writer, &path, &small(), 1);
        messages.push(refusal(reader, &path, &OpenOptions { order: Order::Reverse, ..small() }));
    }
    let expected = "Invalid argument: leveldb.BytewiseComparator does not match existing comparator : test.ReverseBytewise";
    assert_eq!(messages, [expected, expected]);
}

#[test]
fn an_order_of_the_host_is_kept() {
    for (writer, reader) in both_ways() {
        let scratch = scratch();
        let path = scratch.path().join("db");
        let options = OpenOptions { order: Order::Reverse, ..small() };
        let written = fill(writer, &path, &options, 1);
        assert!(written.is_sorted_by(|a, b| a.0 > b.0), "{writer:?} does not keep the order of the host");
        assert!(read(reader, &path, &options) == written, "{reader:?} does not read the order of the host");
        let db = open(reader, &path, &options);
        db.compact_range(None, None);
        db.close();
        assert!(
            read(writer, &path, &options) == written,
            "{reader:?} does not compact in the order of the host"
        );
    }
}

#[test]
fn an_empty_database_is_one() {
    for (writer, reader) in both_ways() {
        let scratch = scratch();
        let path = scratch.path().join("db");
        open(writer, &path, &small()).close();
        let there = OpenOptions { create_if_missing: false, ..small() };
        assert!(read(reader, &path, &there).is_empty());
        assert!(read(writer, &path, &there).is_empty());
        let refused = refusal(reader, &path, &OpenOptions { error_if_exists: true, ..small() });
        let expected = format!("Invalid argument: {}: exists (error_if_exists is true)", path.display());
        assert_eq!(refused, expected);
    }
}

#[test]
fn an_absent_database_is_refused_in_the_same_words() {
    for (library, _) in both_ways() {
        let scratch = scratch();
        let path = scratch.path().join("db");
        let refused = refusal(library, &path, &OpenOptions { create_if_missing: false, ..small() });
        let expected =
            format!("Invalid argument: {}: does not exist (create_if_missing is false)", path.display());
        assert_eq!(refused, expected, "{library:?}");
    }
}

#[test]
fn large_and_empty_values_and_keys_cross() {
    for (writer, reader) in both_ways() {
        let scratch = scratch();
        let path = scratch.path().join("db");
        let noise: Vec<u8> = {
            let mut random = Random::new(5);
            (0..10 << 20).map(|_| random.next() as u8).collect()
        };
        let mut expected: Entries = vec![
            (Vec::new(), b"the empty key".to_vec()),
            (b"empty value".to_vec(), Vec::new()),
            (vec![0xff; 100_000], b"a large key".to_vec()),
            (b"noise".to_vec(), noise),
            (b"zeros".to_vec(), vec![0; 20 << 20]),
        ];
        let db = open(writer, &path, &small());
        for (key, value) in &expected {
            db.put(key, value, false).expect("put");
        }
        db.close();
        expected.sort();
        assert!(read(reader, &path, &small()) == expected, "{writer:?} wrote, {reader:?} reads otherwise");
        let db = open(reader, &path, &small());
        db.compact_range(None, None);
        db.close();
        assert!(
            read(writer, &path, &small()) == expected,
            "{reader:?} compacted, {writer:?} reads otherwise"
        );
    }
}

#[test]
fn tables_of_the_old_name_are_read() {
    for (writer, reader) in both_ways() {
        let scratch = scratch();
        let path = scratch.path().join("db");
        let written = fill(writer, &path, &small(), 1);
        let tables = files_named(&path, "ldb");
        assert!(!tables.is_empty(), "{writer:?} wrote no table named .ldb");
        for table in &tables {
            fs::rename(table, table.with_extension("sst")).expect("a renamed table");
        }
        assert!(read(reader, &path, &small()) == written, "{reader:?} reads .sst tables otherwise");
        let db = open(reader, &path, &small());
        db.compact_range(None, None);
        // Overwrite all keys, so that the next compaction replaces every old table.
        for (key, _) in &written {
            db.put(key, b"new", false).expect("put");
        }
        db.compact_range(None, None);
        db.close();
        open(reader, &path, &small()).close();
        let left = files_named(&path, "sst");
        assert!(left.is_empty(), "{reader:?} leaves .sst tables that a compaction replaced: {left:?}");
        let written: Entries = written.into_iter().map(|(key, _)| (key, b"new".to_vec())).collect();
        assert!(read(writer, &path, &small()) == written, "{reader:?} compacted, {writer:?} reads otherwise");
    }
}

#[test]
fn a_database_that_one_library_holds_is_refused_by_the_other() {
    for (holder, other) in both_ways() {
        let scratch = scratch();
        let path = scratch.path().join("db");
        let db = open(holder, &path, &small());
        if holder.path != other.path {
            let refused = refusal(other, &path, &small());
            assert!(refused.starts_with("IO error:") && refused.contains("LOCK"), "{other:?}: {refused}");
        }
        let refused = refusal(holder, &path, &small());
        assert_eq!(refused, format!("IO error: lock {}/LOCK: already held by process", path.display()));
        db.close();
        assert!(read(other, &path, &small()).is_empty());
    }
}

#[test]
fn a_destroyed_database_leaves_nothing() {
    for (writer, destroyer) in both_ways() {
        let scratch = scratch();
        let path = scratch.path().join("db");
        fill(writer, &path, &OpenOptions { bloom_bits: Some(10), ..small() }, 1);
        destroyer.destroy_db(&path, &small()).expect("destroy");
        assert!(!path.exists(), "{destroyer:?} leaves files of {writer:?}");
    }
}

#[test]
fn the_other_library_repairs_a_database_without_manifest() {
    for (writer, repairer) in both_ways() {
        let scratch = scratch();
        let path = scratch.path().join("db");
        let db = open(writer, &path, &small());
        let mut expected = Entries::new();
        for i in 0..3_000 {
            let (key, value) =
                (format!("key{i:06}").into_bytes(), format!("value {i} ").repeat(6).into_bytes());
            db.put(&key, &value, false).expect("put");
            expected.push((key, value));
        }
        db.close();
        for entry in fs::read_dir(&path).expect("a database directory") {
            let file = entry.expect("an entry of the database directory").path();
            if file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("MANIFEST")) {
                fs::remove_file(file).expect("a removed MANIFEST");
            }
        }
        repairer.repair_db(&path, &small()).expect("repair");
        assert!(
            read(repairer, &path, &small()) == expected,
            "{repairer:?} repairs what {writer:?} wrote otherwise"
        );
        assert!(
            read(writer, &path, &small()) == expected,
            "{writer:?} reads otherwise what {repairer:?} repaired"
        );
    }
}

/// LevelDB's WAL switch: the older WAL was not synced, the younger one was. A power loss takes any end of the
/// older one.
#[test]
fn after_a_power_cut_at_least_what_leveldb_finds_is_found() {
    let scratch = scratch();
    let path = scratch.path().join("made");
    let db = open(google(), &path, &OpenOptions::default());
    let key = |number: u32| format!("key{number:02}").into_bytes();
    (0..20).for_each(|number| db.put(&key(number), &[b'v'; 100], number >= 10).expect("put"));
    let image = scratch.path().join("image");
    copy_database(&path, &image);
    db.close();
    let older = files_named(&image, "log").pop().expect("a log");
    let number: u64 =
        older.file_stem().and_then(|stem| stem.to_str()).expect("a name").parse().expect("a number");
    // Split the records of one WAL into two: byte for byte what LevelDB would have written.
    let records = mend::parse_records(&fs::read(&older).expect("the log"));
    assert_eq!(records.len(), 20);
    let unsynced = mend::frame_records(&records[..10]);
    let younger = image.join(format!("{:06}.log", number + 1));
    fs::write(&younger, mend::frame_records(&records[10..])).expect("a log");
    for cut in (0..=unsynced.len()).step_by(37).chain([unsynced.len()]) {
        let mut zeroed = unsynced.clone();
        zeroed[cut..].fill(0);
        let mut garbage = unsynced.clone();
        garbage[cut..].iter_mut().for_each(|byte| *byte ^= 0x5a);
        for (case, bytes) in [("cut", unsynced[..cut].to_vec()), ("zeroed", zeroed), ("garbage", garbage)] {
            fs::write(&older, &bytes).expect("a log");
            let found = [google(), terrace()].map(|library| {
                let copy = scratch.path().join("copy");
                copy_database(&image, &copy);
                let found = [(), ()].map(|()| read(library, &copy, &OpenOptions::default()));
                assert!(found[0] == found[1], "{library:?} finds something else the second time");
                fs::remove_dir_all(&copy).expect("a removed copy");
                found.into_iter().next().expect("what was found")
            });
            let [theirs, ours] = found;
            let synced = ours.iter().filter(|(found, _)| *found >= key(10)).count();
            assert_eq!(synced, 10, "synced entries found where the older log is {case} at {cut}");
            let missing = theirs.iter().find(|entry| !ours.contains(entry));
            assert!(missing.is_none(), "{case} at {cut}: LevelDB finds {missing:?}");
        }
    }
}

/// The marker at the beginning of our WALs: LevelDB ignores it, and we read what LevelDB appends to such a
/// directory.
#[test]
fn logs_are_leveldbs_but_for_a_marker_which_leveldb_passes_over() {
    let scratch = scratch();
    let (path, image) = (scratch.path().join("db"), scratch.path().join("image"));
    let db = open(terrace(), &path, &OpenOptions::default());
    let keys: Vec<_> = (0..10).map(|number| format!("key{number}").into_bytes()).collect();
    keys.iter().for_each(|key| db.put(key, b"v", true).expect("put"));
    copy_database(&path, &image);
    db.close();
    let log = fs::read(files_named(&image, "log").pop().expect("a log")).expect("the log");
    let records = mend::parse_records(&log);
    assert_eq!(records[0], [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "an empty batch");
    assert_eq!(records.len(), 1 + keys.len());
    let found: Vec<_> =
        read(google(), &image, &OpenOptions::default()).into_iter().map(|(key, _)| key).collect();
    assert_eq!(found, keys);
}
