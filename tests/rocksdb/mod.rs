//! Exchange of directories with RocksDB: what we write with column families, RocksDB reads entry by entry;
//! what RocksDB has written since, we read or refuse by name (`return_trips`).
//!
//! Two versions: Debian's, and one from 11 on, which does not read LevelDB's tables any more.

mod transfer;
mod upgrade;

use crate::support::leveldb_c::{OpenOptions, Order};
use crate::support::random::{Random, announce, number_from_env, seeds};
use crate::support::rocksdb_c::{Library, Mode, RocksDb};
use crate::support::{database_files, google, rocksdbs, scratch};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use terrace::{ColumnFamilyHandle, Comparator, Db, Options, ReadOptions, WriteBatch, WriteOptions};

mod return_trips;

/// The comparator of `Order::Reverse`.
struct Reverse;

impl Comparator for Reverse {
    fn name(&self) -> Vec<u8> {
        b"test.ReverseBytewise".to_vec()
    }

    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        b.cmp(a)
    }

    fn find_shortest_separator(&self, _: &mut Vec<u8>, _: &[u8]) {}

    fn find_short_successor(&self, _: &mut Vec<u8>) {}
}

/// The options of a database or a family with this order.
pub fn options(order: Order) -> Options {
    let options = Options { create_if_missing: true, write_buffer_size: 64 << 10, ..Options::default() };
    match order {
        Order::Bytewise => options,
        Order::Reverse => Options { comparator: Arc::new(Reverse), ..options },
    }
}

/// Keys and values.
pub type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// All entries of a family, in its order.
pub fn contents(db: &Db, family: &ColumnFamilyHandle) -> Entries {
    let mut iterator = db.iter_cf(family, &ReadOptions::default());
    let mut entries = Entries::new();
    iterator.seek_to_first();
    while let Some((key, value)) = iterator.entry() {
        entries.push((key.to_vec(), value.to_vec()));
        iterator.next();
    }
    iterator.status().expect("a whole iteration");
    entries
}

/// The names and orders of the families that tests use.
const FAMILIES: [(&str, Order); 3] =
    [("default", Order::Bytewise), ("index", Order::Bytewise), ("reverse", Order::Reverse)];

/// Checks that RocksDB reads these families of the directory.
fn check_with(library: &'static Library, path: &Path, expected: &[(String, Order, Entries)]) {
    let names = library.list_column_families(path).unwrap_or_else(|error| panic!("{library:?}: {error}"));
    assert_eq!(names, expected.iter().map(|(name, ..)| name.clone()).collect::<Vec<_>>(), "{library:?}");
    let named: Vec<_> = expected.iter().map(|(name, order, _)| (name.clone(), *order)).collect();
    let db = RocksDb::open(library, path, &named, Mode::ReadOnly)
        .unwrap_or_else(|error| panic!("{library:?} does not open {}: {error}", path.display()));
    for (name, _, entries) in expected {
        let found = db.contents(name).unwrap_or_else(|error| panic!("{library:?}: {name}: {error}"));
        assert!(
            found == *entries,
            "{library:?}: family {name} has {} entries, not {}",
            found.len(),
            entries.len()
        );
    }
}

#[test]
fn rocksdb_reads_what_we_write_with_families() {
    let scratch = scratch();
    let path = scratch.path().join("db");
    let mut models: Vec<BTreeMap<Vec<u8>, Vec<u8>>> = vec![BTreeMap::new(); FAMILIES.len()];
    {
        let db = Db::open(&options(Order::Bytewise), &path).expect("open");
        let mut handles = vec![db.default_column_family()];
        for (name, order) in &FAMILIES[1..] {
            handles.push(db.create_column_family(name, &options(*order)).expect("create"));
        }
        let mut random = Random::new(7);
        for round in 0..3_000u64 {
            let key = format!("key{:05}", random.below(2_000)).into_bytes();
            let value = format!("value {round} ").repeat(1 + random.below(6) as usize).into_bytes();
            let mut batch = WriteBatch::new();
            for (family, model) in models.iter_mut().enumerate() {
                match random.below(4) {
                    0 => {
                        batch.delete_cf(&handles[family], &key);
                        model.remove(&key);
                    }
                    1 => {}
                    _ => {
                        batch.put_cf(&handles[family], &key, &value);
                        model.insert(key.clone(), value.clone());
                    }
                }
            }
            db.write(&WriteOptions::default(), &batch).expect("write");
            match round {
                1_000 => db.flush().expect("flush"),
                1_500 => db.compact_range_cf(&handles[2], None, None).expect("compact"),
                2_000 => db.flush_cf(&handles[1]).expect("flush"),
                _ => {}
            }
        }
        for (handle, ((_, order), model)) in handles.iter().zip(FAMILIES.iter().zip(&models)) {
            let mut expected: Entries = model.clone().into_iter().collect();
            expected.sort_by(|a, b| order.compare(&a.0, &b.0));
            assert!(contents(&db, handle) == expected);
        }
    }
    let expected: Vec<_> = FAMILIES
        .iter()
        .zip(models)
        .map(|((name, order), model)| {
            let mut entries: Entries = model.into_iter().collect();
            entries.sort_by(|a, b| order.compare(&a.0, &b.0));
            ((*name).to_owned(), *order, entries)
        })
        .collect();
    for library in rocksdbs() {
        check_with(library, &path, &expected);
    }
}

#[test]
fn rocksdbs_tools_find_options_and_an_identity() {
    let scratch = scratch();
    let path = scratch.path().join("db");
    let db = Db::open(&options(Order::Bytewise), &path).expect("open");
    let index = db.create_column_family("index", &options(Order::Bytewise)).expect("create");
    db.create_column_family("words", &options(Order::Bytewise)).expect("create");
    let identity = std::fs::read_to_string(path.join("IDENTITY")).expect("an identity");
    assert_eq!(identity.len(), 36, "{identity}");
    for library in rocksdbs() {
        assert_eq!(library.families_of_options(&path).expect("options"), ["default", "index", "words"]);
    }
    db.drop_column_family(&index).expect("drop");
    for library in rocksdbs() {
        assert_eq!(library.families_of_options(&path).expect("options"), ["default", "words"]);
    }
    let named = |name: &str| {
        let entries = std::fs::read_dir(&path).expect("the directory");
        entries
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(name))
            .count()
    };
    assert_eq!((named("OPTIONS-"), named("IDENTITY")), (1, 1));
    assert_eq!(std::fs::read_to_string(path.join("IDENTITY")).expect("an identity"), identity);
    drop(index);
    drop(db);
    terrace::destroy(&Options::default(), &path).expect("destroy");
    assert!(!path.exists(), "destroy removes every file");
}

/// What a family has to contain.
type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// A random history of a database with families: writes, batches over families, flushes, compactions,
/// reopening, creation and drop. Afterwards every RocksDB reads the directory entry by entry.
fn random_history(seed: u64, operations: u64) {
    let scratch = scratch();
    let path = scratch.path().join("db");
    let mut random = Random::new(seed);
    let mut models: BTreeMap<String, (Order, Model)> = BTreeMap::new();
    models.insert("default".into(), (Order::Bytewise, BTreeMap::new()));
    models.insert("index".into(), (Order::Bytewise, BTreeMap::new()));
    models.insert("reverse".into(), (Order::Reverse, BTreeMap::new()));
    let database = Options { create_missing_column_families: true, ..options(Order::Bytewise) };
    let open = |models: &BTreeMap<String, (Order, _)>| {
        let of_families: Vec<_> =
            models.iter().map(|(name, (order, _))| (name.clone(), options(*order))).collect();
        let named: Vec<_> = of_families.iter().map(|(name, options)| (name.as_str(), options)).collect();
        let (db, handles) = Db::open_with_families(&database, &path, &named).expect("open");
        let names = models.keys().cloned();
        (db, names.zip(handles).collect::<BTreeMap<String, ColumnFamilyHandle>>())
    };
    let (mut db, mut handles) = open(&models);
    for operation in 0..operations {
        let names: Vec<String> = models.keys().cloned().collect();
        let name = random.pick(&names);
        match random.below(200) {
            0 => db.flush().expect("flush"),
            1 => db.flush_cf(&handles[&name]).expect("flush"),
            2 => db.compact_range_cf(&handles[&name], None, None).expect("compact"),
            3 => {
                handles.clear();
                drop(db);
                (db, handles) = open(&models);
            }
            4 if name != "default" => {
                let (order, _) = models[&name];
                db.drop_column_family(&handles[&name]).expect("drop");
                models.remove(&name);
                handles.remove(&name);
                let again = format!("family {operation}");
                handles
                    .insert(again.clone(), db.create_column_family(&again, &options(order)).expect("create"));
                models.insert(again, (order, BTreeMap::new()));
            }
            _ => {
                let mut batch = WriteBatch::new();
                for _ in 0..1 + random.below(4) {
                    let name = random.pick(&names);
                    let key = format!("key{}", random.below(300)).into_bytes();
                    let model = &mut models.get_mut(&name).expect("a family").1;
                    if random.one_in(4) {
                        batch.delete_cf(&handles[&name], &key);
                        model.remove(&key);
                    } else {
                        let value =
                            format!("value {operation} ").repeat(1 + random.below(20) as usize).into_bytes();
                        batch.put_cf(&handles[&name], &key, &value);
                        model.insert(key, value);
                    }
                }
                db.write(&WriteOptions { sync: random.one_in(50) }, &batch).expect("write");
            }
        }
    }
    let sorted = |order: Order, model: &BTreeMap<Vec<u8>, Vec<u8>>| {
        let mut entries: Entries = model.clone().into_iter().collect();
        entries.sort_by(|a, b| order.compare(&a.0, &b.0));
        entries
    };
    for (name, (order, model)) in &models {
        assert!(contents(&db, &handles[name]) == sorted(*order, model), "seed {seed}: {name}");
    }
    let ids: BTreeMap<String, u32> =
        handles.iter().map(|(name, handle)| (name.clone(), handle.id())).collect();
    handles.clear();
    drop(db);
    let mut expected: Vec<_> =
        models.iter().map(|(name, (order, model))| (name.clone(), *order, sorted(*order, model))).collect();
    expected.sort_by_key(|(name, ..)| ids[name]);
    for library in rocksdbs() {
        check_with(library, &path, &expected);
    }
}

#[test]
fn rocksdb_reads_random_histories_with_families() {
    let seeds = seeds(number_from_env("TERRACE_HISTORIES").unwrap_or(40));
    let count = seeds.end - seeds.start;
    seeds.for_each(|seed| random_history(seed, 2_000));
    announce(&format!("rocksdb: {count} histories of 2000 operations"));
}

#[test]
fn leveldb_refuses_a_switched_directory_and_changes_nothing() {
    let scratch = scratch();
    let path = scratch.path().join("db");
    let db = Db::open(&options(Order::Bytewise), &path).expect("open");
    db.put(&WriteOptions::default(), b"key", b"value").expect("put");
    db.flush().expect("flush");
    drop(db.create_column_family("index", &options(Order::Bytewise)).expect("create"));
    db.put(&WriteOptions::default(), b"key", b"later").expect("put");
    drop(db);
    let before = database_files(&path);
    let error = crate::support::leveldb_c::Db::open(google(), &path, &OpenOptions::default()).err();
    assert!(error.is_some_and(|error| error.0.contains("unknown tag")), "LevelDB opens a switched directory");
    assert!(database_files(&path) == before);
}
