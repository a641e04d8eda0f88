//! The order in which a repair places entries: no old value above a new one, no live table taken for a dead
//! one, and nothing dropped that was not lost.

use crate::comparator::Comparator;
use crate::db::repair;
use crate::db::tests::error_recovery::Faulty;
use crate::env::fault::{FaultKind, FaultRule};
use crate::env::{CreateMode, read_file};
use crate::error::Result;
use crate::options::Options;
use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const KEYS: usize = 2000;

fn key(i: usize) -> String {
    format!("k{i:05}")
}

/// The numbers of the tables, level by level.
fn tables(test: &Faulty) -> Vec<Vec<u64>> {
    let state = test.db().inner.state.lock();
    state
        .versions
        .current(crate::format::column_family_id::ColumnFamilyId::DEFAULT)
        .levels
        .iter()
        .map(|level| level.iter().map(|file| file.number).collect())
        .collect()
}

fn change_file(test: &Faulty, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let env = &test.options.env;
    let mut contents = read_file(&**env, path, 1 << 30).expect("read");
    change(&mut contents);
    let mut file = env.create_writable(path, CreateMode::Truncate).expect("create");
    file.append(&contents).expect("append");
    file.close().expect("close");
}

fn manifest(test: &Faulty) -> PathBuf {
    let current = read_file(&*test.options.env, Path::new("/db/CURRENT"), 100).expect("CURRENT");
    Path::new("/db").join(String::from_utf8(current).expect("text").trim_end())
}

/// Damages a byte of the last edit of the MANIFEST.
fn damage_last_edit(test: &Faulty) {
    change_file(test, &manifest(test), |contents| {
        let last = contents.len() - 1;
        contents[last] ^= 0x40;
    });
}

/// All keys at level 2, and a newer value of each tenth at level 1.
fn old_below_new(test: &Faulty) {
    (0..KEYS).for_each(|i| test.put(&key(i), "old").expect("put"));
    test.db().flush().expect("flush");
    (0..KEYS).step_by(10).for_each(|i| test.put(&key(i), "new").expect("put"));
    test.db().flush().expect("flush");
    let levels = tables(test);
    assert_eq!((levels[1].len(), levels[2].len()), (1, 1));
}

/// How many keys have their newest value, and how many have an older one.
fn right_and_wrong(test: &Faulty) -> (usize, usize) {
    let (mut right, mut wrong) = (0, 0);
    for i in 0..KEYS {
        match test.get(&key(i)).as_deref() {
            Some("new") if i % 10 == 0 => right += 1,
            Some("old") if i % 10 != 0 => right += 1,
            Some(_) => wrong += 1,
            None => {}
        }
    }
    (right, wrong)
}

#[test]
fn what_is_saved_of_a_deep_table_does_not_hide_newer_values() {
    let mut test = Faulty::new(Options::default());
    old_below_new(&test);
    let deep = tables(&test)[2][0];
    test.close();
    change_file(&test, &PathBuf::from(format!("/db/{deep:06}.ldb")), |contents| contents[100] ^= 1);
    repair(&test.options, Path::new("/db")).unwrap();
    test.reopen();
    let (right, wrong) = right_and_wrong(&test);
    assert_eq!(wrong, 0);
    assert!((KEYS * 3 / 4..KEYS).contains(&right), "{right}");
}

#[test]
fn a_table_that_only_the_damage_of_the_manifest_named_does_not_hide_newer_values() {
    let mut test = Faulty::new(Options::default());
    old_below_new(&test);
    test.db().inner.compact_level(2, None, None).unwrap();
    assert_eq!(tables(&test)[3].len(), 1);
    test.close();
    damage_last_edit(&test);
    repair(&test.options, Path::new("/db")).unwrap();
    test.reopen();
    assert_eq!(right_and_wrong(&test), (KEYS, 0));
}

#[test]
fn a_table_with_a_number_below_the_counter_may_be_named_behind_the_damage() {
    let mut test = Faulty::new(Options::default());
    old_below_new(&test);
    let held = test.faults.add(FaultRule::new([FaultKind::Create]).path_suffix(".ldb").once().hold());
    let db = test.db().clone();
    let compaction = std::thread::spawn(move || db.compact_range(None, None));
    assert!(held.wait_for_hits(1), "the compaction has taken its number");
    test.put("z", "flushed meanwhile").unwrap();
    test.db().flush().unwrap();
    held.release();
    compaction.join().unwrap().unwrap();
    test.close();
    damage_last_edit(&test);
    repair(&test.options, Path::new("/db")).unwrap();
    test.reopen();
    assert_eq!(right_and_wrong(&test), (KEYS, 0));
    assert_eq!(test.get("z").as_deref(), Some("flushed meanwhile"));
}

#[test]
fn a_deleted_key_does_not_come_back_from_a_deep_table() {
    let mut test = Faulty::new(Options::default());
    (0..KEYS).for_each(|i| test.put(&key(i), "old").expect("put"));
    test.db().flush().unwrap();
    test.db().delete(&Default::default(), key(1000).as_bytes()).unwrap();
    test.put(&key(0), "new").unwrap();
    test.db().flush().unwrap();
    let deep = tables(&test)[2][0];
    test.close();
    change_file(&test, &PathBuf::from(format!("/db/{deep:06}.ldb")), |contents| contents[100] ^= 1);
    repair(&test.options, Path::new("/db")).unwrap();
    test.reopen();
    assert_eq!(test.get(&key(1000)), None);
    assert_eq!(test.get(&key(1001)).as_deref(), Some("old"));
}

#[derive(Debug)]
struct Backwards;

impl Comparator for Backwards {
    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        b.cmp(a)
    }
    fn name(&self) -> Vec<u8> {
        b"backwards".to_vec()
    }
}

fn files(test: &Faulty) -> Vec<(PathBuf, Vec<u8>)> {
    test.mem.files().into_iter().filter(|(path, _)| !path.ends_with("LOCK")).collect()
}

fn refused(test: &Faulty, options: &Options) -> crate::error::Error {
    let before = files(test);
    let result: Result<()> = repair(options, Path::new("/db"));
    assert!(files(test) == before, "something was changed");
    result.unwrap_err()
}

#[test]
fn a_repair_with_another_comparator_is_refused() {
    let mut test = Faulty::new(Options::default());
    old_below_new(&test);
    test.close();
    let error = refused(&test, &Options { comparator: Arc::new(Backwards), ..test.options.clone() });
    assert!(
        error.kind() == crate::error::ErrorKind::InvalidArgument && error.to_string().contains("Bytewise"),
        "{error}"
    );
}

#[test]
fn a_table_that_could_not_be_opened_for_want_of_descriptors_is_not_given_up() {
    let mut test = Faulty::new(Options::default());
    old_below_new(&test);
    test.close();
    let fault = test.faults.add(FaultRule::new([FaultKind::Open]).path_suffix(".ldb").errno(libc::EMFILE));
    let error = refused(&test, &test.options);
    assert_eq!(error.errno(), Some(libc::EMFILE));
    drop(fault);
    repair(&test.options, Path::new("/db")).unwrap();
    test.reopen();
    assert_eq!(right_and_wrong(&test), (KEYS, 0));
}

/// The files in `lost/`, by name.
fn lost(test: &Faulty) -> Vec<(PathBuf, Vec<u8>)> {
    let files = test.mem.files().into_iter();
    files.filter(|(path, _)| path.starts_with("/db/lost")).collect()
}

#[test]
fn a_second_repair_writes_over_nothing_that_the_first_one_saved() {
    let mut test = Faulty::new(Options::default());
    let mut saved: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    for round in 0..3 {
        let value = format!("round {round}");
        test.reopen();
        test.put("in a table", &value).expect("put");
        test.db().compact_range(None, None).expect("compact");
        test.put("in the log", &value).expect("put");
        test.close();
        repair(&test.options, Path::new("/db")).expect("repair");
        let now = lost(&test);
        // An undamaged table may stay; a WAL and a MANIFEST are replaced each time.
        assert!(now.len() >= saved.len() + 2, "{now:?}");
        for (path, contents) in &saved {
            let kept = now.iter().find(|(name, _)| name == path);
            assert!(kept.is_some_and(|(_, now)| now == contents), "{} was written over", path.display());
        }
        saved = now;
        // Numbers begin again.
        crate::db::destroy(&test.options, Path::new("/db")).expect("destroy");
    }
    let in_logs = |round: usize| {
        let value = format!("round {round}").into_bytes();
        saved.iter().any(|(_, contents)| contents.windows(value.len()).any(|part| part == value))
    };
    assert!((0..3).all(in_logs));
}
