//! Exchange of directories with RocksDB: what we write with column families, RocksDB reads entry by entry;
//! what RocksDB has written since, we read or refuse by name.
//!
//! Two versions: Debian's, and one from 11 on, which does not read LevelDB's tables any more.

use crate::support::leveldb_c::Order;
use crate::support::random::Random;
use crate::support::rocksdb_c::{Library, Mode, RocksDb};
use crate::support::{rocksdbs, scratch};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use terrace::{ColumnFamilyHandle, Comparator, Db, Options, ReadOptions, WriteBatch, WriteOptions};

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

fn options(order: Order) -> Options {
    let options = Options { create_if_missing: true, write_buffer_size: 64 << 10, ..Options::default() };
    match order {
        Order::Bytewise => options,
        Order::Reverse => Options { comparator: Arc::new(Reverse), ..options },
    }
}

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

fn contents(db: &Db, family: &ColumnFamilyHandle) -> Entries {
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
