//! Directories of ours in which RocksDB has written since: read entry by entry, or refused by the name of the
//! feature.

use super::{Model, contents, options};
use crate::support::leveldb_c::Order;
use crate::support::random::Random;
use crate::support::rocksdb_c::{Library, Mode, RocksDb, TableForm};
use crate::support::{database_files, rocksdbs, scratch};
use std::collections::BTreeMap;
use std::path::Path;
use terrace::{Db, Options, ReadOptions, WriteOptions};

const NONE: i32 = 0;
const SNAPPY: i32 = 1;
const ZLIB: i32 = 2;
const ZSTD: i32 = 7;

type Models = BTreeMap<String, (Order, Model)>;

/// Opens the directory with the families of the models.
fn open(path: &Path, models: &Models) -> (Db, Vec<terrace::ColumnFamilyHandle>) {
    let of_families: Vec<(&str, Options)> =
        models.iter().map(|(name, (order, _))| (name.as_str(), options(*order))).collect();
    let named: Vec<_> = of_families.iter().map(|(name, options)| (*name, options)).collect();
    let database = Options { paranoid_checks: true, ..options(Order::Bytewise) };
    Db::open_with_families(&database, path, &named).expect("open")
}

fn check_ours(path: &Path, models: &Models) -> (Db, Vec<terrace::ColumnFamilyHandle>) {
    let (db, handles) = open(path, models);
    for (handle, (name, (order, model))) in handles.iter().zip(models) {
        let mut expected: Vec<_> = model.clone().into_iter().collect();
        expected.sort_by(|a, b| order.compare(&a.0, &b.0));
        let found = contents(&db, handle);
        assert!(found == expected, "{name}: {} entries, not {}", found.len(), expected.len());
        for (key, value) in model.iter().step_by(7) {
            let found = db.get_cf(handle, &ReadOptions::default(), key).expect("get");
            assert_eq!(found.as_ref(), Some(value), "{name}");
        }
    }
    (db, handles)
}

/// What is done to a key: a value, or its deletion.
fn random_change(random: &mut Random) -> (Vec<u8>, Option<Vec<u8>>) {
    let key = format!("key{:05}", random.below(1_500)).into_bytes();
    let value = format!("value {} ", random.below(1 << 20)).repeat(1 + random.below(12) as usize);
    (key, (random.below(4) != 0).then(|| value.into_bytes()))
}

/// RocksDB changes the families, with flushes and compactions, so that its tables are at several levels.
fn change_theirs(theirs: &RocksDb, models: &mut Models, random: &mut Random) {
    for round in 0..2_500u64 {
        for (name, (_, model)) in models.iter_mut() {
            let (key, value) = random_change(random);
            match value {
                Some(value) => {
                    theirs.put(name, &key, &value).expect("put");
                    model.insert(key, value);
                }
                None => {
                    theirs.delete(name, &key).expect("delete");
                    model.remove(&key);
                }
            }
        }
        for name in models.keys() {
            match random.below(400) {
                0 => theirs.flush(name).expect("flush"),
                1 if round > 2_000 => theirs.compact(name),
                _ => {}
            }
        }
    }
}

fn change_ours(db: &Db, handles: &[terrace::ColumnFamilyHandle], models: &mut Models, random: &mut Random) {
    for _ in 0..500 {
        for (handle, (_, (_, model))) in handles.iter().zip(models.iter_mut()) {
            let (key, value) = random_change(random);
            match value {
                Some(value) => {
                    db.put_cf(handle, &WriteOptions::default(), &key, &value).expect("put");
                    model.insert(key, value);
                }
                None => {
                    db.delete_cf(handle, &WriteOptions::default(), &key).expect("delete");
                    model.remove(&key);
                }
            }
        }
    }
}

/// We and RocksDB write in turn to one directory, and each finds what the other one wrote.
fn return_trips(library: &'static Library, forms: &[TableForm]) {
    let scratch = scratch();
    let path = scratch.path().join("db");
    let mut random = Random::new(11);
    let mut models = Models::new();
    models.insert("default".into(), (Order::Bytewise, Model::new()));
    models.insert("index".into(), (Order::Bytewise, Model::new()));
    models.insert("reverse".into(), (Order::Reverse, Model::new()));
    {
        let db = Db::open(&options(Order::Bytewise), &path).expect("open");
        for (name, (order, _)) in models.iter().filter(|(name, _)| *name != "default") {
            db.create_column_family(name, &options(*order)).expect("create");
        }
    }
    for (turn, form) in forms.iter().enumerate() {
        let named: Vec<_> = models.iter().map(|(name, (order, _))| (name.clone(), *order)).collect();
        let mut theirs = RocksDb::open(library, &path, &named, Mode::Writing(*form))
            .unwrap_or_else(|error| panic!("{library:?} before {form:?}: {error}"));
        for (name, (order, model)) in &models {
            let mut expected: Vec<_> = model.clone().into_iter().collect();
            expected.sort_by(|a, b| order.compare(&a.0, &b.0));
            assert!(theirs.contents(name).expect("contents") == expected, "{library:?}: {name}");
        }
        let new = format!("theirs{turn}");
        theirs.create(&new, Order::Bytewise).expect("create");
        theirs.put(&new, b"key", b"value").expect("put");
        change_theirs(&theirs, &mut models, &mut random);
        models.insert(new, (Order::Bytewise, Model::from([(b"key".to_vec(), b"value".to_vec())])));
        if let Some(oldest) = models.keys().find(|name| name.starts_with("theirs") && turn > 1).cloned() {
            theirs.drop_family(&oldest).expect("drop");
            models.remove(&oldest);
        }
        drop(theirs);
        let (db, handles) = check_ours(&path, &models);
        change_ours(&db, &handles, &mut models, &mut random);
        match turn % 3 {
            0 => {}
            1 => db.flush().expect("flush"),
            _ => handles.iter().for_each(|family| db.compact_range_cf(family, None, None).expect("compact")),
        }
        drop((handles, db));
        drop(check_ours(&path, &models));
    }
}

#[test]
fn what_rocksdb_writes_is_read_and_written_to_in_turn() {
    for (index, library) in rocksdbs().into_iter().enumerate() {
        let mut forms = vec![
            TableForm::plain(2, 1, SNAPPY),
            TableForm { index_restart_interval: 4, ..TableForm::plain(3, 2, NONE) },
            TableForm { index_restart_interval: 16, ..TableForm::plain(4, 3, ZLIB) },
            TableForm { index_restart_interval: 16, ..TableForm::plain(5, 4, ZSTD) },
            TableForm::plain(5, 0, SNAPPY),
        ];
        if index == 1 {
            forms.push(TableForm { index_restart_interval: 3, ..TableForm::plain(6, 4, SNAPPY) });
            forms.push(TableForm::plain(7, 1, ZSTD));
            forms.push(TableForm { index_restart_interval: 8, ..TableForm::plain(7, 4, NONE) });
        }
        return_trips(library, &forms);
    }
}

/// A directory of ours with one family, after RocksDB has written in it.
fn written_by(library: &'static Library, path: &Path, form: TableForm, write: impl Fn(&RocksDb)) {
    let db = Db::open(&options(Order::Bytewise), path).expect("open");
    let index = db.create_column_family("index", &options(Order::Bytewise)).expect("create");
    db.put_cf(&index, &WriteOptions::default(), b"ours", b"1").expect("put");
    drop((index, db));
    let named: Vec<_> = ["default", "index"].map(|name| (name.to_owned(), Order::Bytewise)).into();
    let theirs = RocksDb::open(library, path, &named, Mode::Writing(form)).expect("RocksDB opens it");
    for key in 0..100 {
        theirs.put("index", format!("theirs{key:03}").as_bytes(), &[b'x'; 200]).expect("put");
    }
    write(&theirs);
}

/// What an opening says, or the first error of a scan.
fn refusal(path: &Path) -> terrace::Error {
    let options = Options { paranoid_checks: true, ..options(Order::Bytewise) };
    let (db, handles) = match Db::open_with_families(&options, path, &[("index", &options)]) {
        Ok(opened) => opened,
        Err(error) => return error,
    };
    let mut iterator = db.iter_cf(&handles[0], &ReadOptions::default());
    iterator.seek_to_first();
    while iterator.valid() {
        iterator.next();
    }
    iterator.status().expect_err("what is not supported")
}

#[test]
fn features_of_rocksdb_that_are_not_read_are_refused_by_name() {
    let plain = TableForm::plain(5, 4, SNAPPY);
    type Write = fn(&RocksDb);
    let flush: Write = |theirs| theirs.flush("index").expect("flush");
    let cases: [(&str, TableForm, Write); 5] = [
        ("partitioned index", TableForm { index_type: 2, ..plain }, flush),
        ("hash index", TableForm { data_block_index_type: 1, ..plain }, flush),
        ("compression", TableForm { compression: 4, ..plain }, flush),
        ("range deletion", plain, |theirs| {
            theirs.delete_range("index", b"theirs0", b"theirs05").expect("delete");
            theirs.flush("index").expect("flush");
        }),
        ("single delete", plain, |theirs| {
            theirs.single_delete("index", b"theirs001").expect("delete");
            theirs.delete_range("index", b"y", b"z").expect("delete");
        }),
    ];
    for library in rocksdbs() {
        for (feature, form, write) in &cases {
            let scratch = scratch();
            let path = scratch.path().join("db");
            written_by(library, &path, *form, write);
            let before = database_files(&path);
            let error = refusal(&path);
            assert!(error.is_not_supported() && error.to_string().contains(feature), "{feature}: {error}");
            assert!(
                database_files(&path) == before,
                "{library:?}, {feature}: a refused open changes nothing"
            );
        }
    }
}
