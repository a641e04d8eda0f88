//! Directories that LevelDB has filled are switched, and their tables upgraded: RocksDB 11, which refuses
//! LevelDB's tables, then reads them entry by entry, and so does RocksDB 7.8, before and after.

use super::{Entries, check_with};
use crate::support::leveldb_c::{self, OpenOptions, Order};
use crate::support::random::Random;
use crate::support::rocksdb_c::{Library, Mode, RocksDb};
use crate::support::{contents, copy_database, google, rocksdbs, scratch};
use std::path::Path;
use std::sync::Arc;
use terrace::env::fault::{FaultEnv, FaultKind, FaultRule};
use terrace::{BloomFilterPolicy, Compression, Db, Options, WriteOptions};

/// Fills a directory, over several levels, with tables that overlap in level 0.
fn fill_with_leveldb(path: &Path, options: &OpenOptions) -> Entries {
    let db = leveldb_c::Db::open(google(), path, options).expect("LevelDB opens it");
    let mut random = Random::new(3);
    let put = |random: &mut Random, key: u64| {
        let value: Vec<u8> = (0..random.below(300)).map(|i| b'a' + (i % 7) as u8).collect();
        db.put(format!("key{key:06}").as_bytes(), &value, false).expect("put");
    };
    for _ in 0..8_000 {
        let key = random.below(6_000);
        put(&mut random, key);
    }
    db.put(b"", b"of the empty key", false).expect("put");
    db.put(b"empty value", b"", false).expect("put");
    db.compact_range(None, None);
    for round in 0..3 {
        for i in 0..600 {
            let key = random.below(6_000);
            match i % 5 {
                0 => db.delete(format!("key{key:06}").as_bytes(), false).expect("delete"),
                _ => put(&mut random, key),
            }
        }
        db.put(b"same", format!("{round}").as_bytes(), false).expect("put");
    }
    let entries = contents(&db);
    db.close();
    entries
}

/// How a table of RocksDB's language stands beside those of LevelDB's.
fn extensions(path: &Path) -> (usize, usize) {
    let names = std::fs::read_dir(path).expect("the directory").map(|entry| entry.expect("an entry").path());
    let extensions: Vec<_> = names.filter_map(|path| path.extension().map(|end| end.to_owned())).collect();
    let count = |end: &str| extensions.iter().filter(|&extension| extension == end).count();
    (count("ldb"), count("sst"))
}

fn refuses(library: &'static Library, path: &Path, families: &[(String, Order)]) -> bool {
    match RocksDb::open(library, path, families, Mode::ReadOnly) {
        Ok(db) => db.contents("default").is_err_and(|error| error.contains("legacy magic number")),
        Err(error) => {
            assert!(error.contains("legacy magic number"), "{error}");
            true
        }
    }
}

/// Switches the directory, upgrades its tables, and has every RocksDB read it before (if RocksDB knows the
/// compression of LevelDB's tables by the same number) and after.
fn switch_and_upgrade(path: &Path, options: Options, order: Order, entries: Entries) {
    let is_common = !matches!(options.compression, Compression::Zstd | Compression::Zlib);
    let faults = FaultEnv::new(options.env.clone());
    let options = Options { env: faults.shared(), ..options };
    let db = Db::open(&options, path).expect("open");
    let held = faults.add(FaultRule::new([FaultKind::Create]).path_suffix(".sst").hold());
    let more = db.create_column_family("more", &options).expect("create");
    db.put_cf(&more, &WriteOptions::default(), b"key", b"of the family").expect("put");
    let left = || db.property(b"terrace.tables-to-upgrade").expect("a property");
    let before = extensions(path);
    assert!(before.0 > 3 && before.1 == 0, "{before:?}");
    assert_eq!(left(), before.0.to_string());

    let families = vec![("default".to_owned(), order), ("more".to_owned(), order)];
    let expected = vec![
        ("default".to_owned(), order, entries),
        ("more".to_owned(), order, vec![(b"key".to_vec(), b"of the family".to_vec())]),
    ];
    let copy = path.with_extension("copy");
    copy_database(path, &copy);
    let [rocksdb_7, rocksdb_11] = rocksdbs();
    if is_common {
        check_with(rocksdb_7, &copy, &expected);
    } else {
        let db = RocksDb::open(rocksdb_7, &copy, &families, Mode::ReadOnly);
        let read = db.and_then(|db| db.contents("default"));
        read.expect_err("RocksDB has another number for this compression");
    }
    assert!(refuses(rocksdb_11, &copy, &families), "RocksDB 11 reads LevelDB's tables");

    held.release();
    db.upgrade_tables().expect("upgrade");
    assert_eq!(left(), "0");
    drop(more);
    db.close().expect("close");
    let after = extensions(path);
    assert!(after.0 == 0 && after.1 >= before.0, "{after:?}");
    for library in rocksdbs() {
        check_with(library, path, &expected);
    }
    // And RocksDB writes to it.
    let db = RocksDb::open(rocksdb_11, path, &families, Mode::ReadWrite).expect("RocksDB opens it");
    db.put("default", b"same", b"by RocksDB").expect("put");
    db.flush("default").expect("flush");
    db.compact("default");
    let after = db.contents("default").expect("an iteration");
    assert_eq!(after.len(), expected[0].2.len());
    assert!(after.contains(&(b"same".to_vec(), b"by RocksDB".to_vec())));
}

#[test]
fn rocksdb_11_reads_what_leveldb_wrote_after_the_upgrade() {
    for (compression, bloom_bits, block_size, block_restart_interval) in
        [(1, None, 4096, 16), (0, Some(10), 1024, 1), (1, Some(10), 16 << 10, 7)]
    {
        let scratch = scratch();
        let path = scratch.path().join("db");
        let theirs = OpenOptions {
            create_if_missing: true,
            write_buffer_size: 64 << 10,
            max_file_size: 1 << 20,
            compression,
            bloom_bits,
            block_size,
            block_restart_interval,
            ..OpenOptions::default()
        };
        let entries = fill_with_leveldb(&path, &theirs);
        let options = Options {
            filter_policy: bloom_bits.map(|bits| Arc::new(BloomFilterPolicy::new(bits as usize)) as _),
            level0_file_num_compaction_trigger: 100,
            idle_compaction: false,
            reuse_logs: true, // the open makes no table
            ..Options::default()
        };
        switch_and_upgrade(&path, options, Order::Bytewise, entries);
    }
}

#[test]
fn rocksdb_reads_upgraded_tables_of_every_compression_that_is_written() {
    for compression in [Compression::None, Compression::Snappy, Compression::Zstd, Compression::Zlib] {
        let scratch = scratch();
        let path = scratch.path().join("db");
        let options = Options {
            create_if_missing: true,
            compression,
            write_buffer_size: 64 << 10,
            max_file_size: 1 << 20,
            idle_compaction: false,
            ..Options::default()
        };
        let db = Db::open(&options, &path).expect("open");
        let mut random = Random::new(9);
        for i in 0..4_000u64 {
            let key = format!("key{:05}", random.below(3_000));
            let value = format!("value {i} ").repeat(1 + random.below(30) as usize);
            db.put(&WriteOptions::default(), key.as_bytes(), value.as_bytes()).expect("put");
            match i {
                1_500 => db.compact_range(None, None).expect("compact"),
                _ if i % 700 == 0 => db.flush().expect("flush"),
                _ => {}
            }
        }
        db.put(&WriteOptions::default(), b"same", b"value").expect("put");
        db.flush().expect("flush");
        let entries = super::contents(&db, &db.default_column_family());
        db.close().expect("close");
        switch_and_upgrade(&path, options, Order::Bytewise, entries);
    }
}
