//! Kills of a process that writes to several column families, creates some and drops them.
//!
//! LevelDB cannot open such a directory: it must refuse it and change nothing. Both versions of RocksDB must
//! find the same entries as Terrace.

use super::{KEYS, PLAIN, Plan, View, Writer, kill_repeatedly, number_of};
use crate::rocksdb::{Entries, contents, options};
use crate::support::leveldb_c::{self, OpenOptions, Order};
use crate::support::rocksdb_c::{Mode, RocksDb};
use crate::support::{database_files, google, rocksdbs, scratch, terrace_path};
use std::collections::BTreeMap;
use std::path::Path;
use terrace::{Db, ReadOptions, WriteOptions};

/// The families of `writer.c`, in the order of their keys.
const NAMES: [&str; 3] = ["default", "one", "two"];

/// Every how many batches thread 0 creates or drops a family, as in `writer.c`.
const MADE_EVERY: u64 = 20;

const WITH_FAMILIES: Plan = Plan { has_families: true, ..PLAIN };

/// The entries of each family.
type Families = BTreeMap<String, Entries>;

/// All entries of the three families by key, each with its family.
struct Merged(BTreeMap<String, (String, Vec<u8>)>);

impl Merged {
    /// Checks that each key is in its family alone.
    fn new(families: &Families) -> Merged {
        let mut merged = BTreeMap::new();
        for (name, entries) in families.iter().filter(|(name, _)| NAMES.contains(&&***name)) {
            for (key, value) in entries {
                let key = String::from_utf8_lossy(key).into_owned();
                assert_eq!(*name, family_of(&key), "{key} is in another family");
                merged.insert(key, (name.clone(), value.clone()));
            }
        }
        Merged(merged)
    }
}

impl View for Merged {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.0.get(key).map(|(_, value)| value.clone())
    }

    fn keys(&self, prefix: &str) -> Vec<String> {
        let from = self.0.range(prefix.to_owned()..);
        from.map_while(|(key, _)| key.strip_prefix(prefix).map(str::to_owned)).collect()
    }
}

/// The family in which `writer.c` puts a key.
fn family_of(key: &str) -> &'static str {
    let (rest, last) = key.rsplit_once('/').expect("a key of the writer");
    let is_spread = rest.contains("/slot") || rest.ends_with("/gone");
    let number: u64 = if is_spread { last.parse().expect("a number") } else { 0 };
    assert!(!rest.contains("/slot") || number < KEYS, "{key}");
    NAMES[(number % 3) as usize]
}

/// The names of the families of a directory; only `default` where there is no database yet.
fn names(path: &Path) -> Vec<String> {
    if !path.join("CURRENT").exists() {
        return vec!["default".to_owned()];
    }
    let names = Db::list_column_families(&options(Order::Bytewise), path)
        .unwrap_or_else(|error| panic!("what a kill left does not list its families: {error}"));
    names.into_iter().map(|name| String::from_utf8(name).expect("a name of the writer")).collect()
}

/// What Terrace finds in a directory.
fn found(path: &Path, names: &[String]) -> Families {
    let options = options(Order::Bytewise);
    let named: Vec<_> = names.iter().map(|name| (&**name, &options)).collect();
    let (db, handles) = Db::open_with_families(&options, path, &named)
        .unwrap_or_else(|error| panic!("Terrace cannot open what a kill left: {error}"));
    let last = db.get(&ReadOptions::default(), b"0/last").expect("get");
    let families: Families =
        names.iter().zip(&handles).map(|(name, handle)| (name.clone(), contents(&db, handle))).collect();
    let listed = families["default"].iter().find(|(key, _)| key == b"0/last");
    assert_eq!(last.as_ref(), listed.map(|(_, value)| value), "get and iteration differ");
    families
}

impl Writer {
    /// Checks every promise, and returns the counters with which the next writer begins.
    fn check_families(&self) -> Vec<u64> {
        let path = self.copy();
        let names = names(&path);
        if names.len() > 1 {
            refused_by_leveldb(&path);
        }
        let families = found(&path, &names);
        if names.len() > 1 {
            for library in rocksdbs() {
                let named: Vec<_> = names.iter().map(|name| (name.clone(), Order::Bytewise)).collect();
                let theirs = RocksDb::open(library, &self.copy(), &named, Mode::ReadWrite)
                    .unwrap_or_else(|error| panic!("{library:?} cannot open what a kill left: {error}"));
                for (name, ours) in &families {
                    let found = theirs.contents(name).unwrap_or_else(|error| panic!("{library:?}: {error}"));
                    assert!(found == *ours, "{library:?} finds other entries in {name}");
                }
            }
        }
        let mut counters = self.check_view(&Merged::new(&families), "Terrace");
        let more = self.check_created(&families, counters[0]);
        counters.extend(more);
        counters
    }

    /// Checks the family of thread 0: what was created and dropped before the kill, and its entry.
    fn check_created(&self, families: &Families, last: u64) -> [u64; 2] {
        let counters = self.counters();
        let [.., state, began] = counters[..] else { panic!("too few counters") };
        let (number, is_there) = (state / 2, state % 2 == 1);
        let made: Vec<_> = families.iter().filter(|(name, _)| !NAMES.contains(&&***name)).collect();
        let expected = if is_there { format!("made{number}") } else { format!("made{}", number + 1) };
        let is_between = (counters[0] + 1).is_multiple_of(MADE_EVERY);
        match made[..] {
            [] => {
                assert!(!is_there || is_between, "{expected} is lost");
                [number * 2, began]
            }
            [(name, entries)] => {
                assert_eq!(*name, expected, "it was dropped, or never created");
                assert!(is_there || is_between, "{name} was not to be created yet");
                let written = entries.first().map(|(key, value)| (&key[..], number_of(value)));
                let expected = (last >= began).then_some((&b"0/made"[..], last));
                assert_eq!(written, expected, "the entry of {name}, which was created before {began}");
                assert!(entries.len() <= 1);
                [(number + u64::from(!is_there)) * 2 + 1, began]
            }
            _ => panic!("several families: {:?}", families.keys()),
        }
    }
}

/// Checks that LevelDB does not open the directory, and changes none of its files.
fn refused_by_leveldb(path: &Path) {
    let before = database_files(path);
    let opened = leveldb_c::Db::open(google(), path, &OpenOptions::default());
    assert!(opened.is_err(), "LevelDB opens a directory with families");
    assert!(database_files(path) == before, "LevelDB has changed what it does not open");
}

fn kill_repeatedly_with(plan: Plan) {
    kill_repeatedly(plan, 8, |_| terrace_path(), Writer::check_families);
}

#[test]
fn a_kill_loses_no_write_to_families_and_no_family() {
    kill_repeatedly_with(WITH_FAMILIES);
}

#[test]
fn a_kill_during_flushes_of_families_splits_no_batch_over_them() {
    kill_repeatedly_with(Plan { threads: 3, sync_every: 30, write_buffer_size: 64 << 10, ..WITH_FAMILIES });
}

#[test]
fn a_lost_family_and_a_batch_without_one_of_its_families_are_noticed() {
    let scratch = scratch();
    let writer = Writer::new(scratch.path(), WITH_FAMILIES);
    let mut counters = vec![0; 3];
    while counters[0] < counters[2].max(3 * MADE_EVERY) || counters[1].is_multiple_of(2) {
        writer.run_and_kill(&terrace_path(), std::time::Duration::from_millis(50));
        counters = writer.check_families();
        writer.go_on_from(&counters);
    }
    let [last, state, began] = counters[..] else { panic!("three counters") };
    let is_noticed = |lie: &[u64]| {
        writer.go_on_from(lie);
        let noticed = std::panic::catch_unwind(|| writer.check_families()).is_err();
        writer.go_on_from(&counters);
        noticed
    };
    assert!(is_noticed(&[last + 1, state, began]), "a lost write");
    assert!(is_noticed(&[last, state + 2, began]), "a lost creation");
    assert!(is_noticed(&[last, state - 1, began]), "a lost drop");
    assert!(is_noticed(&[last, state, last + 1]), "an entry in a family from before it was created");
    let options = options(Order::Bytewise);
    let names = names(writer.database());
    let named: Vec<_> = names.iter().map(|name| (&**name, &options)).collect();
    let (db, handles) = Db::open_with_families(&options, writer.database(), &named).expect("open");
    let key = format!("0/slot{:02}/1", last % 64);
    let one = handles.iter().find(|handle| handle.name() == b"one").expect("a family");
    db.delete_cf(one, &WriteOptions::default(), key.as_bytes()).expect("delete");
    drop((handles, db));
    assert!(is_noticed(&counters), "a batch without its entries in one family");
}
