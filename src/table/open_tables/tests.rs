//! Tests of the bounds on open tables, over a disk in memory that counts how often files are opened.

use super::*;
use crate::comparator::Comparator;
use crate::env::fault::{FaultEnv, FaultKind};
use crate::env::mem::MemEnv;
use crate::env::{CreateMode, ReadMode};
use crate::format::file_name;
use crate::format::internal_key::InternalKeyComparator;
use crate::table::cache::TableCache;
use crate::table::reader::TableGet;
use crate::table::test_support::{build, internal, look_up, options};
use crate::table::{TableOptions, TableReadOptions};
use crate::util::test_support::keep;
use std::path::Path;

/// Tables 1 to 20 of a database, and what keeps them open.
struct Fixture {
    env: FaultEnv,
    open_tables: Arc<OpenTables>,
    cache: Arc<TableCache>,
    /// The size of each table's file.
    size: u64,
    opened: AtomicU64,
}

impl Fixture {
    /// Room for this many tables.
    fn new(tables: usize) -> Fixture {
        Self::with_files(tables, 1000)
    }

    fn with_files(tables: usize, max_files: usize) -> Fixture {
        Self::in_process(keep(MetadataBudget::default()), tables, max_files)
    }

    /// As `new`, with the given budget of the process, which others may share.
    fn in_process(process: &'static MetadataBudget, tables: usize, max_files: usize) -> Fixture {
        let env = FaultEnv::new(MemEnv::new().shared());
        let options = Arc::new(options());
        let bytes = build(&options, &[(internal(b"k", 1), b"v".to_vec())]).0;
        let db = Path::new("/db");
        env.create_dir(db).unwrap();
        for number in 1..=20 {
            let path = file_name::table(db, number);
            let mut file = env.create_writable(&path, CreateMode::New).unwrap();
            file.append(&bytes).unwrap();
            file.close().unwrap();
        }
        let size = bytes.len() as u64;
        let open = |budget| {
            let open_tables = OpenTables::in_process(env.shared(), max_files, budget, process);
            let cache = family(&open_tables, options.clone());
            (open_tables, cache)
        };
        let one_table = open(0).1.find(1, size).unwrap().memory_usage();
        let (open_tables, cache) = open(tables * one_table + one_table / 2);
        let opened = AtomicU64::new(env.count(FaultKind::Open));
        Fixture { env, open_tables, cache, size, opened }
    }

    fn find(&self, number: u64) -> Arc<Table> {
        self.cache.find(number, self.size).unwrap()
    }

    /// Finds one table after the other and keeps none.
    fn find_all(&self, numbers: impl IntoIterator<Item = u64>) {
        numbers.into_iter().for_each(|number| drop(self.find(number)));
    }

    fn pin(&self, number: u64) -> Option<PinPermit> {
        self.cache.try_pin(number, &self.find(number))
    }

    /// How often files were opened since the last call.
    fn opened(&self) -> u64 {
        let count = self.env.count(FaultKind::Open);
        count - self.opened.swap(count, Ordering::Relaxed)
    }

    fn open_files(&self) -> usize {
        self.open_tables.usage().descriptors
    }
}

/// The tables of a family with these options.
fn family(open_tables: &Arc<OpenTables>, options: Arc<TableOptions>) -> Arc<TableCache> {
    TableCache::new(open_tables.clone(), PathBuf::from("/db"), options, ReadMode::Positioned)
}

#[test]
fn the_least_recently_used_table_is_closed() {
    let fixture = Fixture::new(3);
    fixture.find_all([1, 2, 3, 1, 4]);
    assert_eq!((fixture.opened(), fixture.open_files()), (4, 3));
    fixture.find_all([1, 3, 4]);
    assert_eq!(fixture.opened(), 0);
    fixture.find(2);
    assert_eq!(fixture.opened(), 1);
}

#[test]
fn a_table_in_use_outlives_its_place() {
    let fixture = Fixture::new(1);
    let table = fixture.find(1);
    fixture.find(2);
    assert_eq!(fixture.open_files(), 2);
    assert_eq!(table.path(), Path::new("/db/000001.ldb"));
    drop(table);
    assert_eq!(fixture.open_files(), 1);
}

#[test]
fn pins_take_places_from_the_list_and_give_them_back() {
    let fixture = Fixture::new(8);
    let mut pinned = Vec::new();
    for number in 1.. {
        let table = fixture.find(number);
        let Some(permit) = fixture.cache.try_pin(number, &table) else { break };
        pinned.push((table, permit));
    }
    assert_eq!(pinned.len(), 6);
    let list = fixture.open_tables.list.lock();
    assert_eq!(list.tables.keys().collect::<Vec<_>>(), [&7], "pinned tables left the list");
    drop(list);
    (10..=20).for_each(|number| drop(fixture.find(number)));
    assert_eq!(fixture.open_files(), 8);
    drop(pinned);
    assert_eq!(fixture.open_files(), 2);
    fixture.opened();
    fixture.find_all((1..=8).chain(1..=8));
    assert_eq!(fixture.opened(), 8);
    assert!(fixture.pin(1).is_some());
}

#[test]
fn a_pinned_table_is_not_kept_twice() {
    let fixture = Fixture::new(8);
    let permit = fixture.pin(1).unwrap();
    let table = fixture.find(1);
    drop(table);
    assert_eq!(fixture.open_files(), 0);
    drop(permit);
    fixture.find(1);
    assert_eq!(fixture.open_files(), 1);
}

#[test]
fn an_evicted_table_is_closed() {
    let fixture = Fixture::new(8);
    fixture.find(1);
    fixture.cache.evict(1);
    fixture.cache.evict(1);
    assert_eq!(fixture.open_files(), 0);
}

#[test]
fn threads_share_the_open_tables() {
    let fixture = Fixture::new(4);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let fixture = &fixture;
            scope.spawn(move || {
                for round in 0..300 {
                    let number = 1 + (round * 7 + thread * 3) % 12;
                    let table = fixture.find(number);
                    assert!(table.properties().is_some());
                    if round % 5 == 0 {
                        fixture.cache.evict(number);
                    }
                    drop(fixture.cache.try_pin(number, &table));
                }
            });
        }
    });
    assert!(fixture.open_files() <= 4);
    assert_eq!(fixture.open_tables.list.lock().pinned_bytes, 0);
    assert!(fixture.open_tables.list.lock().pinned.is_empty());
}

#[test]
fn a_table_keeps_its_index_where_its_descriptor_had_to_go() {
    let fixture = Fixture::with_files(20, 2);
    let read = TableReadOptions { verify_checksums: true, fill_cache: false };
    for round in 0..5 {
        for number in 1..=20 {
            let table = fixture.find(number);
            let value = look_up(&table, read, &internal(b"k", 1), |_, value| value.to_vec()).unwrap();
            assert!(matches!(value, TableGet::Found(value) if value == b"v"), "{number} in round {round}");
            assert!(fixture.open_files() <= 2);
        }
    }
    let usage = fixture.open_tables.usage();
    assert_eq!((usage.openings, usage.tables, usage.descriptors), (20, 20, 2), "none was parsed again");
    assert!(fixture.opened() > 20, "and many were opened again");
}

/// The descending order of bytes.
struct Descending;

impl Comparator for Descending {
    fn compare(&self, a: &[u8], b: &[u8]) -> std::cmp::Ordering {
        b.cmp(a)
    }

    fn name(&self) -> Vec<u8> {
        b"test.Descending".to_vec()
    }
}

#[test]
fn families_with_other_options_share_the_bounds() {
    let fixture = Fixture::with_files(6, 2);
    let mut other_options = options();
    other_options.comparator = InternalKeyComparator::new(Arc::new(Descending));
    other_options.comparator_name = Descending.name();
    let other_options = Arc::new(other_options);
    let other = family(&fixture.open_tables, other_options.clone());
    // The tables with even numbers are of the other family, and in its order.
    let entries = [b"k", b"a"].map(|key| (internal(key, 1), b"of the other".to_vec()));
    let bytes = build(&other_options, &entries).0;
    for number in (2..=20).step_by(2) {
        let path = file_name::table(Path::new("/db"), number);
        let mut file = fixture.env.create_writable(&path, CreateMode::Truncate).unwrap();
        file.append(&bytes).unwrap();
        file.close().unwrap();
    }
    let read = TableReadOptions { verify_checksums: true, fill_cache: false };
    let get = |number: u64, key: &[u8]| {
        let (cache, size) = if number.is_multiple_of(2) {
            (&other, bytes.len() as u64)
        } else {
            (&fixture.cache, fixture.size)
        };
        let table = cache.find(number, size).unwrap();
        match look_up(&table, read, &internal(key, 1), |_, value| value.to_vec()).unwrap() {
            TableGet::Found(value) => Some(value),
            TableGet::Missing { .. } => None,
        }
    };
    for number in (1..=20_u64).chain(1..=20) {
        let is_of_other = number.is_multiple_of(2);
        let expected: &[u8] = if is_of_other { b"of the other" } else { b"v" };
        assert_eq!(get(number, b"k").unwrap(), expected);
        assert_eq!(get(number, b"a").is_some(), is_of_other, "found in the order of its family");
        let usage = fixture.open_tables.usage();
        assert!(usage.bytes <= fixture.open_tables.budget && usage.descriptors <= 2, "{usage:?}");
    }
    let usage = fixture.open_tables.usage();
    assert!((5..=6).contains(&usage.tables), "both families are in the one list: {usage:?}");
    // What one family has pinned leaves no room for pins of the other.
    let pins: Vec<_> = (1..=19).step_by(2).map_while(|number| fixture.pin(number)).collect();
    assert!((3..=5).contains(&pins.len()));
    let pin_other = || other.try_pin(2, &other.find(2, bytes.len() as u64).unwrap());
    assert!(pin_other().is_none());
    drop(pins);
    assert!(pin_other().is_some());
}

#[test]
fn usage_is_what_tables_take() {
    let fixture = Fixture::new(8);
    let bytes = fixture.find(1).memory_usage();
    let usage = || fixture.open_tables.usage();
    assert_eq!(usage(), TableUsage { tables: 1, bytes, descriptors: 1, openings: 1 });
    let permit = fixture.pin(1).unwrap();
    assert_eq!(usage(), TableUsage { tables: 1, bytes, descriptors: 0, openings: 1 });
    drop(permit);
    assert_eq!(usage(), TableUsage { tables: 0, bytes: 0, descriptors: 0, openings: 1 });
}

#[test]
fn what_dropped_open_tables_held_is_free() {
    let fixture = Fixture::new(8);
    let process = fixture.open_tables.process;
    let permit = fixture.pin(1).unwrap();
    let bytes = fixture.find(2).memory_usage();
    assert_eq!(process.shared.used(), 2 * bytes);
    drop(fixture);
    assert_eq!(process.shared.used(), 2 * bytes, "a pin keeps the open tables");
    drop(permit);
    assert_eq!(process.shared.used(), 0);
    assert!(!process.try_pin(1), "nor is it a database of the process any more");
}

#[test]
fn all_databases_of_a_process_together_take_what_the_largest_may() {
    let process: &'static MetadataBudget = keep(MetadataBudget::default());
    let large = Fixture::in_process(process, 8, 100);
    let others: Vec<_> = (0..10).map(|_| Fixture::in_process(process, 3, 100)).collect();
    let bytes = large.find(1).memory_usage();
    large.find_all(2..=8);
    assert_eq!((large.open_tables.usage().tables, process.excess()), (8, 0));
    for other in &others {
        other.find_all([1, 2]);
    }
    assert!(process.shared.used() <= 11 * bytes, "one table of each stays: {}", process.shared.used());
    assert_eq!(large.open_tables.usage().tables, 1);
    drop(others);
    large.opened();
    large.find_all((1..=8).chain(1..=8));
    assert!(large.opened() <= 8);
    assert_eq!(large.open_tables.usage().tables, 8);
}

#[test]
fn the_oldest_tables_are_given_back_and_one_is_kept() {
    let fixture = Fixture::new(8);
    let bytes = fixture.find(1).memory_usage();
    fixture.find_all(2..=6);
    let open_tables = &fixture.open_tables;
    assert!(open_tables.holds_any());
    assert_eq!(open_tables.give_back(bytes + 1), 2 * bytes);
    fixture.opened();
    fixture.find_all(3..=6);
    assert_eq!(fixture.opened(), 0);
    assert_eq!(open_tables.give_back(usize::MAX), 3 * bytes);
    assert!(!open_tables.holds_any());
    assert_eq!(open_tables.usage().tables, 1);
}
