//! Small real databases, written by the engine: mutations start from them, and so did the fuzzer's corpus.
//! Their bytes are the same each time.

use super::archive::{Files, disk_with, files, path};
use super::exercise::Setting;
use super::mend;
use terrace::Compression;
use terrace::env::mem::MemOptions;
use terrace::{ColumnFamilyHandle, Db, Options, WriteBatch, WriteOptions};

/// A database, and the options it was opened with.
pub struct Base {
    pub name: &'static str,
    /// The files as a kill would leave them.
    pub files: Files,
    pub setting: Setting,
}

const WRITE: WriteOptions = WriteOptions { sync: false };

/// All bases.
pub fn all() -> Vec<Base> {
    let plain = Setting::default();
    let bloom = Setting { bloom: true, ..plain };
    vec![
        Base { name: "levels", files: build(bloom, Compression::None, levels), setting: bloom },
        Base { name: "snappy", files: build(plain, Compression::Snappy, levels), setting: plain },
        Base { name: "versions", files: build(bloom, Compression::Snappy, versions), setting: bloom },
        Base { name: "log alone", files: build(plain, Compression::None, log_alone), setting: plain },
        Base {
            name: "two logs",
            files: two_logs(build(plain, Compression::None, levels)),
            setting: Setting { reuse_logs: true, ..plain },
        },
        Base { name: "tiny", files: build(bloom, Compression::None, tiny), setting: bloom },
    ]
}

/// Bases with column families, in RocksDB's language.
pub fn with_families() -> Vec<Base> {
    let plain = Setting::default();
    let bloom = Setting { bloom: true, ..plain };
    vec![
        Base { name: "families", files: build(bloom, Compression::Snappy, families), setting: bloom },
        Base { name: "tiny families", files: build(plain, Compression::None, tiny_families), setting: plain },
        Base {
            name: "reused families",
            files: build(plain, Compression::None, tiny_families),
            setting: Setting { reuse_logs: true, ..plain },
        },
    ]
}

/// Runs `script` on a new database. Returns the files before the database is closed.
fn build(setting: Setting, compression: Compression, script: fn(&Db)) -> Files {
    // A manual clock: tables contain the time of their creation.
    let env = disk_with(&[], MemOptions { manual_clock: Some(1), ..MemOptions::default() });
    let options = Options {
        create_if_missing: true,
        compression,
        block_restart_interval: 4,
        level0_file_num_compaction_trigger: 100,
        ..setting.options(&env)
    };
    let db = Db::open(&options, &path()).expect("a new database");
    script(&db);
    let files = files(&env);
    db.close().expect("a close");
    files
}

fn put(db: &Db, numbers: impl Iterator<Item = u32>, what: &str) {
    for number in numbers {
        let value = format!("{what} {number} {}", "abcdefgh".repeat(number as usize % 5));
        db.put(&WRITE, format!("key{number:04}").as_bytes(), value.as_bytes()).expect("a put");
    }
}

/// Tables at several levels, overlapping ones at level 0, and a WAL.
fn levels(db: &Db) {
    put(db, (0..300).step_by(2), "old");
    db.flush().expect("a flush");
    put(db, (400..500).step_by(2), "other");
    db.flush().expect("a flush");
    db.compact_range(Some(b"key0400"), None).expect("a compaction");
    put(db, (100..450).step_by(5), "newer");
    db.flush().expect("a flush");
    for number in (0..450).step_by(7) {
        db.delete(&WRITE, format!("key{number:04}").as_bytes()).expect("a delete");
    }
    db.flush().expect("a flush");
    put(db, (200..260).step_by(3), "newest");
    db.flush().expect("a flush");
    log_alone(db);
}

/// A few entries in two tables and in a WAL: small enough for a fuzzer.
fn tiny(db: &Db) {
    for round in ["old", "new"] {
        put(db, 0..9, round);
        db.delete(&WRITE, b"key0003").expect("a delete");
        db.flush().expect("a flush");
    }
    put(db, 5..8, "logged");
}

/// Batches over the default family and others.
fn put_into(db: &Db, families: &[ColumnFamilyHandle], numbers: impl Iterator<Item = u32>, what: &str) {
    for number in numbers {
        let mut batch = WriteBatch::new();
        let (key, value) = (format!("key{number:04}"), format!("{what} {number}"));
        batch.put(key.as_bytes(), value.as_bytes());
        for family in families {
            match number % 7 {
                3 => batch.delete_cf(family, key.as_bytes()),
                _ => batch.put_cf(family, key.as_bytes(), value.as_bytes()),
            }
        }
        db.write(&WRITE, &batch).expect("a write");
    }
}

/// Levels, then three families with tables at several levels, one of which was dropped, and two WALs.
fn families(db: &Db) {
    levels(db);
    let new = |name: &str| db.create_column_family(name, &small()).expect("a new family");
    let handles = [new("index"), new("log"), new("dropped")];
    put_into(db, &handles, (0..200).step_by(3), "spread");
    db.flush().expect("a flush");
    db.compact_range_cf(&handles[0], None, None).expect("a compaction");
    db.drop_column_family(&handles[2]).expect("a drop");
    put_into(db, &handles[..2], (100..300).step_by(9), "newer");
    db.flush_cf(&handles[0]).expect("a flush");
    put_into(db, &handles[..2], 500..520, "logged");
    new("late");
}

/// A few entries in two families: small enough for a fuzzer.
fn tiny_families(db: &Db) {
    let handles = ["a", "b"].map(|name| db.create_column_family(name, &small()).expect("a new family"));
    put_into(db, &handles, 0..9, "old");
    db.flush_cf(&handles[0]).expect("a flush");
    put_into(db, &handles, 2..5, "new");
    db.flush().expect("a flush");
    put_into(db, &handles, 4..7, "logged");
}

/// The options of a family.
fn small() -> Options {
    Options {
        write_buffer_size: 64 << 10,
        block_size: 1 << 10,
        block_restart_interval: 4,
        ..Options::default()
    }
}

/// A WAL: puts, deletes, batches, one of which takes several blocks.
fn log_alone(db: &Db) {
    put(db, (490..510).step_by(1), "logged");
    let mut batch = WriteBatch::new();
    for number in 0..20 {
        batch.put(format!("batch{number}").as_bytes(), &[number; 30]);
        batch.delete(format!("key{:04}", 495 + u32::from(number)).as_bytes());
    }
    db.write(&WRITE, &batch).expect("a write");
    db.put(&WRITE, b"large", &vec![b'l'; 40_000]).expect("a put");
    db.put(&WRITE, b"", b"").expect("a put");
}

/// Few keys with many versions that snapshots keep: the empty key, long keys, and keys that share most of
/// their bytes.
fn versions(db: &Db) {
    let long = [vec![b'p'; 700], vec![0xff; 9]].concat();
    let keys: [&[u8]; 8] =
        [b"", b"\0", b"k", b"key", b"key0500", b"key0500\0\0\0\0\0\0\0\0\0", &long[..700], &long];
    let mut snapshots = Vec::new();
    for round in 0..12u8 {
        for (index, key) in keys.iter().enumerate() {
            if (usize::from(round) + index).is_multiple_of(5) {
                db.delete(&WRITE, key).expect("a delete");
            } else {
                db.put(&WRITE, key, &vec![round; index * 20]).expect("a put");
            }
        }
        snapshots.push(db.snapshot());
        if round % 4 == 3 {
            db.flush().expect("a flush");
        }
        if round == 7 {
            db.compact_range(None, None).expect("a compaction");
        }
    }
    db.put(&WRITE, b"key", b"logged").expect("a put");
}

/// Moves the second half of the WAL's batches into a WAL of its own.
fn two_logs(mut files: Files) -> Files {
    let log = files.iter().position(|(name, _)| name.ends_with(".log")).expect("a log");
    let mut batches = mend::parse_records(&files[log].1);
    let rest = batches.split_off(batches.len() / 2);
    files[log].1 = mend::frame_records(&batches);
    files.push(("000900.log".to_owned(), mend::frame_records(&rest)));
    files
}
