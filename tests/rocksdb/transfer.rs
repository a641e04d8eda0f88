//! The ways out and in: LevelDB opens what we export, and RocksDB what we import of a directory of LevelDB's.

use super::{Entries, Model, check_with, contents, options};
use crate::support::leveldb_c::{Db as LevelDb, OpenOptions, Order};
use crate::support::random::Random;
use crate::support::rocksdb_c::{Mode, RocksDb};
use crate::support::{self, database_files, google, rocksdbs, scratch};
use std::path::Path;
use terrace::{Db, ReadOptions, WriteOptions};

const ORDERS: [Order; 2] = [Order::Bytewise, Order::Reverse];

/// Puts and deletes in a small key space; the values make several tables of 1 MiB.
fn random_writes(seed: u64, count: u64, mut write: impl FnMut(&[u8], Option<&[u8]>)) -> Model {
    let mut random = Random::new(seed);
    let mut model = Model::new();
    for _ in 0..count {
        let key = format!("key{:05}", random.below(count / 2)).into_bytes();
        if random.one_in(4) {
            write(&key, None);
            model.remove(&key);
        } else {
            let value: Vec<u8> = (0..100 + random.below(4000)).map(|_| random.below(256) as u8).collect();
            write(&key, Some(&value));
            model.insert(key, value);
        }
    }
    model
}

fn sorted(order: Order, model: &Model) -> Entries {
    let mut entries: Entries = model.clone().into_iter().collect();
    entries.sort_by(|a, b| order.compare(&a.0, &b.0));
    entries
}

fn open_leveldb(path: &Path, order: Order) -> LevelDb {
    let options = OpenOptions {
        create_if_missing: false,
        paranoid_checks: true,
        write_buffer_size: 64 << 10,
        order,
        ..OpenOptions::default()
    };
    LevelDb::open(google(), path, &options).unwrap_or_else(|error| panic!("LevelDB: {}", error.0))
}

#[test]
fn leveldb_reads_every_entry_of_an_export() {
    for order in ORDERS {
        let scratch = scratch();
        let exported = scratch.path().join("exported");
        let small = terrace::Options { max_file_size: 1 << 20, ..options(order) };
        let db = Db::open(&options(Order::Bytewise), &scratch.path().join("db")).expect("open");
        let family = db.create_column_family("family", &small).expect("create");
        let write = WriteOptions::default();
        let mut model = random_writes(1, 4_000, |key, value| match value {
            Some(value) => db.put_cf(&family, &write, key, value).expect("put"),
            None => db.delete_cf(&family, &write, key).expect("delete"),
        });
        db.put(&write, b"of", b"another family").expect("put");
        db.export_leveldb(&family, &exported).expect("export");
        drop((family, db));
        std::fs::remove_dir_all(scratch.path().join("db")).expect("the source removed");

        let tables = std::fs::read_dir(&exported).expect("the export");
        let ending =
            |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().path().extension().map(|e| e == "ldb");
        assert!(tables.filter_map(ending).filter(|is_table| *is_table).count() >= 3);
        let leveldb = open_leveldb(&exported, order);
        assert_eq!(leveldb.property("leveldb.num-files-at-level0").as_deref(), Some("0"));
        assert!(support::contents(&leveldb) == sorted(order, &model), "{order:?}");
        for (key, value) in &model {
            assert_eq!(leveldb.get(key).expect("get").as_ref(), Some(value));
        }
        // LevelDB writes to it: what it writes comes before what was exported.
        for (count, (key, value)) in model.iter_mut().enumerate().step_by(3) {
            *value = format!("of LevelDB {count}").into_bytes();
            leveldb.put(key, value, false).expect("put");
        }
        let gone = model.keys().nth(1).expect("a key").clone();
        leveldb.delete(&gone, true).expect("delete");
        model.remove(&gone);
        assert!(support::contents(&leveldb) == sorted(order, &model));
        leveldb.compact_range(None, None);
        leveldb.close();
        assert!(support::contents(&open_leveldb(&exported, order)) == sorted(order, &model));
        let db = Db::open(&options(order), &exported).expect("ours opens it too");
        assert!(contents(&db, &db.default_column_family()) == sorted(order, &model));
    }
}

#[test]
fn leveldb_opens_the_export_of_an_empty_family_and_needs_its_comparator() {
    let scratch = scratch();
    let exported = scratch.path().join("exported");
    let db = Db::open(&options(Order::Reverse), &scratch.path().join("db")).expect("open");
    db.export_leveldb(&db.default_column_family(), &exported).expect("export");
    let wrong = LevelDb::open(google(), &exported, &OpenOptions::default()).err();
    assert!(wrong.is_some_and(|error| error.0.contains("comparator")));
    assert!(support::contents(&open_leveldb(&exported, Order::Reverse)).is_empty());
}

/// A directory that LevelDB has written and closed, with tables and a WAL.
fn leveldb_directory(path: &Path, order: Order, seed: u64) -> Model {
    drop(LevelDb::open(google(), path, &OpenOptions { order, ..OpenOptions::default() }).expect("created"));
    let leveldb = open_leveldb(path, order);
    let model = random_writes(seed, 4_000, |key, value| match value {
        Some(value) => leveldb.put(key, value, false).expect("put"),
        None => leveldb.delete(key, false).expect("delete"),
    });
    leveldb.close();
    model
}

#[test]
fn rocksdb_reads_every_entry_of_an_import_from_leveldb() {
    for order in ORDERS {
        let scratch = scratch();
        let (path, source) = (scratch.path().join("db"), scratch.path().join("source"));
        let mut model = leveldb_directory(&source, order, 2);
        let before = database_files(&source);
        let small = terrace::Options { max_file_size: 1 << 20, ..options(order) };
        let db = Db::open(&options(Order::Bytewise), &path).expect("open");
        let imported = db.import_leveldb("imported", &small, &source).expect("import");
        assert!(database_files(&source) == before, "the source does not change");
        assert!(contents(&db, &imported) == sorted(order, &model));
        let none = db.property_cf(&imported, b"leveldb.num-files-at-level0");
        assert_eq!(none.as_deref(), Some("0"));
        drop((imported, db));
        let expected = |model: &Model| {
            let default_family = ("default".to_owned(), Order::Bytewise, Entries::new());
            vec![default_family, ("imported".to_owned(), order, sorted(order, model))]
        };
        for library in rocksdbs() {
            check_with(library, &path, &expected(&model));
        }
        // Later writes, in tables and in the WAL.
        let (db, families) =
            Db::open_with_families(&options(Order::Bytewise), &path, &[("imported", &small)]).expect("open");
        let write = WriteOptions::default();
        for (count, (key, value)) in model.iter_mut().enumerate().step_by(5) {
            *value = format!("ours {count}").into_bytes();
            db.put_cf(&families[0], &write, key, value).expect("put");
            if count == 500 {
                db.flush().expect("flush");
            }
        }
        drop((families, db));
        for library in rocksdbs() {
            check_with(library, &path, &expected(&model));
        }
        assert!(support::contents(&open_leveldb(&source, order)).len() == model.len());
    }
}

/// The sequence number 0 of imported entries is the oldest for RocksDB too.
#[test]
fn rocksdb_goes_on_with_an_import() {
    for library in rocksdbs() {
        let scratch = scratch();
        let (path, source) = (scratch.path().join("db"), scratch.path().join("source"));
        let mut model = leveldb_directory(&source, Order::Bytewise, 3);
        let db = Db::open(&options(Order::Bytewise), &path).expect("open");
        drop(db.import_leveldb("imported", &options(Order::Bytewise), &source).expect("import"));
        drop(db);
        let named = ["default", "imported"].map(|name| (name.to_owned(), Order::Bytewise));
        let theirs = RocksDb::open(library, &path, &named, Mode::ReadWrite).expect("RocksDB opens it");
        for (key, value) in model.iter_mut().step_by(2) {
            *value = b"of RocksDB".to_vec();
            theirs.put("imported", key, value).expect("put");
        }
        let gone = model.keys().nth(1).expect("a key").clone();
        theirs.delete("imported", &gone).expect("delete");
        model.remove(&gone);
        let check = |when: &str| {
            let found = theirs.contents("imported").expect("contents");
            assert!(found == sorted(Order::Bytewise, &model), "{library:?}: {when}");
        };
        check("in memory");
        theirs.flush("imported").expect("flush");
        check("flushed");
        theirs.compact("imported");
        check("compacted");
    }
}

#[test]
fn what_leveldb_has_open_is_not_imported() {
    let scratch = scratch();
    let source = scratch.path().join("source");
    drop(leveldb_directory(&source, Order::Bytewise, 4));
    let db = Db::open(&options(Order::Bytewise), &scratch.path().join("db")).expect("open");
    let leveldb = open_leveldb(&source, Order::Bytewise);
    leveldb.compact_range(None, None); // LevelDB changes nothing by itself any more
    let before = database_files(&source);
    let error = db.import_leveldb("imported", &options(Order::Bytewise), &source).expect_err("it is open");
    assert!(error.to_string().contains("LOCK"), "{error}");
    assert!(database_files(&source) == before && db.column_family("imported").is_none());
    drop(leveldb);
    let imported = db.import_leveldb("imported", &options(Order::Bytewise), &source).expect("import");
    let read = ReadOptions::default();
    assert!(db.iter_cf(&imported, &read).status().is_ok());
}
