//! Behaviours of a whole database that no lower floor can show.

mod background_errors;
mod basics;
mod lost_and_damaged;
mod repair_order;
mod rest;
mod review;

use crate::db::{Db, DbIterator, destroy};
use crate::error::Result;
use crate::options::{Options, ReadOptions, WriteOptions};
use std::path::{Path, PathBuf};

/// A database in a directory of its own, which goes with it.
pub(super) struct TestDb {
    directory: tempfile::TempDir,
    pub options: Options,
    db: Option<Db>,
}

impl TestDb {
    pub fn new(mut options: Options) -> Self {
        options.create_if_missing = true;
        options.idle_compaction = false; // it would change what tests look at
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut test = TestDb { directory, options, db: None };
        test.reopen();
        test
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("db")
    }

    pub fn db(&self) -> &Db {
        self.db.as_ref().expect("an open database")
    }

    pub fn close(&mut self) {
        if let Some(db) = self.db.take() {
            db.close().expect("close");
        }
    }

    pub fn try_reopen(&mut self) -> Result<()> {
        self.close();
        self.db = Some(Db::open(&self.options, &self.path())?);
        Ok(())
    }

    pub fn reopen(&mut self) {
        self.try_reopen().expect("open");
    }

    pub fn put(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.db().put(&WriteOptions::default(), key.as_ref(), value.as_ref()).expect("put");
    }

    pub fn delete(&self, key: impl AsRef<[u8]>) {
        self.db().delete(&WriteOptions::default(), key.as_ref()).expect("delete");
    }

    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<String> {
        self.get_at(key, None)
    }

    pub fn get_at(&self, key: impl AsRef<[u8]>, snapshot: Option<u64>) -> Option<String> {
        let options = ReadOptions { snapshot, ..ReadOptions::default() };
        let value = self.db().get(&options, key.as_ref()).expect("get");
        value.map(|value| String::from_utf8_lossy(&value).into_owned())
    }

    pub fn files_at(&self, level: usize) -> usize {
        self.db().property(format!("leveldb.num-files-at-level{level}").as_bytes()).unwrap().parse().unwrap()
    }

    pub fn files_per_level(&self) -> Vec<usize> {
        let mut files: Vec<usize> = (0..7).map(|level| self.files_at(level)).collect();
        while files.last() == Some(&0) {
            files.pop();
        }
        files
    }

    pub fn contents(&self) -> Vec<(String, String)> {
        let mut iterator = self.db().iter(&ReadOptions::default());
        let forward = collect_forward(&mut iterator);
        let mut backward = collect_backward(&mut iterator);
        backward.reverse();
        assert_eq!(forward, backward);
        forward
    }
}

fn entry(iterator: &DbIterator) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(iterator.key()), text(iterator.value()))
}

pub(super) fn collect_forward(iterator: &mut DbIterator) -> Vec<(String, String)> {
    let mut entries = Vec::new();
    iterator.seek_to_first();
    while iterator.valid() {
        entries.push(entry(iterator));
        iterator.next();
    }
    iterator.status().expect("iterator");
    entries
}

pub(super) fn collect_backward(iterator: &mut DbIterator) -> Vec<(String, String)> {
    let mut entries = Vec::new();
    iterator.seek_to_last();
    while iterator.valid() {
        entries.push(entry(iterator));
        iterator.prev();
    }
    iterator.status().expect("iterator");
    entries
}

pub(super) fn remove(path: &Path) {
    destroy(&Options::default(), path).expect("destroy");
}
