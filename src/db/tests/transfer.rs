//! Export of a family to a directory of LevelDB's, and import of one. Here is what the tests of both share.

mod export;
mod import;

use super::families::eventually;
use super::*;
use crate::db::ColumnFamilyHandle;
use crate::env::Env;
use crate::env::fault::{FaultKind, FaultRule};
use crate::env::mem::CrashPoint;
use crate::error::{Error, ErrorKind};
use crate::iterator::test_support::CaselessReverse;
use crate::options::LanguagePolicy;

const EXPORT: &str = "/export";

/// More than one table, at the smallest limit of a table's size.
fn large_entries() -> Vec<(String, String)> {
    let mut random = Random::new(17);
    let value = |random: &mut Random| String::from_utf8(random_bytes(random, 100 << 10)).unwrap();
    (0..12).map(|number| (format!("key {number:03}"), value(&mut random))).collect()
}

fn small_entries() -> Vec<(String, String)> {
    (0..50).map(|number| (format!("key {number:03}"), format!("value {number}"))).collect()
}

fn put_all(db: &Db, family: &ColumnFamilyHandle, entries: &[(String, String)]) {
    for (key, value) in entries {
        db.put_cf(family, &WriteOptions::default(), key.as_bytes(), value.as_bytes()).unwrap();
    }
}

fn contents_of(db: &Db, family: &ColumnFamilyHandle) -> Vec<(String, String)> {
    collect_forward(&mut db.iter_cf(family, &ReadOptions::default()))
}

/// The contents of the database in a directory, which has no families.
fn contents_at(options: &Options, path: &Path) -> Result<Vec<(String, String)>> {
    let options = Options { create_if_missing: false, paranoid_checks: true, ..options.clone() };
    let db = Db::open(&options, path)?;
    Ok(contents_of(&db, &db.default_column_family()))
}

/// The names in a directory, sorted; `None`: there is no such directory.
fn names(env: &Arc<dyn Env>, path: &Path) -> Option<Vec<String>> {
    let mut names: Vec<String> =
        env.children(path).ok()?.into_iter().map(|name| name.into_string().unwrap()).collect();
    names.sort();
    Some(names)
}

fn export(test: &TestDb, family: &ColumnFamilyHandle) -> Result<()> {
    test.db().export_leveldb(family, Path::new(EXPORT))
}

/// A database with these entries in the family `index`: old ones in tables, new ones in the WAL, with
/// overwritten keys and tombstones.
fn with_family(options: Options, entries: &[(String, String)]) -> (TestDb, ColumnFamilyHandle) {
    let test = TestDb::crashable(options);
    let index = test.db().create_column_family("index", &test.options).unwrap();
    fill(&test, &index, entries);
    (test, index)
}

fn fill(test: &TestDb, family: &ColumnFamilyHandle, entries: &[(String, String)]) {
    let old: Vec<_> = entries.iter().map(|(key, _)| (key.clone(), "old".to_owned())).collect();
    put_all(test.db(), family, &old);
    let deleted = [("key 000a".to_owned(), "gone".to_owned()), ("z".to_owned(), "gone".to_owned())];
    put_all(test.db(), family, &deleted);
    test.flush();
    put_all(test.db(), family, entries);
    for (key, _) in deleted {
        test.db().delete_cf(family, &WriteOptions::default(), key.as_bytes()).unwrap();
    }
}

/// The kind and the text of an error.
fn refused(result: Result<()>, kind: ErrorKind, text: &str) {
    let error = result.unwrap_err();
    assert!(error.kind() == kind && error.to_string().contains(text), "{error}");
}

/// Disks that a crash at this point may leave.
fn choices(point: &CrashPoint) -> Vec<CrashChoice> {
    let mut choices = vec![CrashChoice::OnlySynced, CrashChoice::Everything];
    choices.extend((0..4).map(|seed| CrashChoice::Random { seed, garbage: true }));
    choices.extend(point.unsynced().into_iter().map(CrashChoice::DropOne));
    choices
}

/// Makes each operation in turn fail, among those of `run` whose path has `part`. `check` looks at what is
/// there afterwards. Returns the number of operations.
fn with_every_fault<T>(
    test: &TestDb,
    part: &str,
    mut run: impl FnMut(u64) -> Result<T>,
    mut check: impl FnMut(Result<T>),
) -> u64 {
    for nth in 1.. {
        let rule = FaultRule::any().path_contains(part).nth(nth).once().errno(libc::ENOSPC);
        let fault = test.faults().add(rule);
        let result = run(nth);
        let hit = fault.last_hit();
        drop(fault);
        test.recover();
        if let Err(error) = &result {
            assert!(hit.is_some() && error.is_no_space(), "{nth}: {error}, {hit:?}");
        }
        check(result);
        if hit.is_none() {
            return nth - 1;
        }
    }
    0
}
