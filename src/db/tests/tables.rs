//! Many tables: how many are open, by which means, and how often they must be opened.

use super::*;

/// The number of tables. Each has one key, and none overlaps another.
const TABLES: usize = 150;

fn key(number: usize) -> String {
    format!("key{number:05}")
}

/// A database of many tables that may have the fewest possible files open.
fn many_tables(options: Options) -> TestDb {
    // Only real files can be mapped here.
    let open = if options.mmap_reads { TestDb::new } else { TestDb::in_memory };
    let mut test = open(Options { max_open_files: 1, ..options });
    for number in 0..TABLES {
        test.put(key(number), key(number));
        test.flush();
    }
    test.reopen();
    assert_eq!(test.tables().len(), TABLES);
    test
}

fn count(test: &TestDb, property: &str) -> usize {
    test.property(property).parse().unwrap()
}

/// Reads everything: existing and missing keys, a seek for each, and scans in both directions.
fn read_all(test: &TestDb) {
    for number in (0..TABLES).map(|number| number * 77 % TABLES) {
        assert_eq!(test.get(key(number)), Some(key(number)));
        assert_eq!(test.get(key(number) + "."), None);
        let mut iterator = test.iter();
        iterator.seek(key(number).as_bytes());
        assert_eq!(iterator.key(), key(number).as_bytes());
    }
    assert_eq!(test.contents().len(), TABLES);
}

#[test]
fn more_tables_than_open_files_are_not_opened_again_and_again() {
    for mmap_reads in [true, false] {
        let test = many_tables(Options { mmap_reads, ..Options::default() });
        assert_eq!(count(&test, "terrace.open-tables"), 0);
        for _ in 0..3 {
            read_all(&test);
        }
        assert_eq!(count(&test, "terrace.table-openings"), TABLES, "mmap_reads {mmap_reads}");
        assert_eq!(count(&test, "terrace.open-tables"), TABLES);
        let descriptors = count(&test, "terrace.table-descriptors");
        assert!(if mmap_reads { descriptors == 0 } else { (1..=64).contains(&descriptors) }, "{descriptors}");
        assert!(count(&test, "terrace.table-metadata-bytes") > TABLES * 100);
    }
}

#[test]
fn an_iterator_over_many_tables_holds_few_descriptors() {
    let test = many_tables(Options { mmap_reads: false, ..Options::default() });
    // Adds tables at level 0, where an iterator has all tables at once.
    for _ in 0..3 {
        test.make_tables(3, &key(0), &key(TABLES));
    }
    let mut iterators: Vec<_> = (0..20).map(|_| test.iter()).collect();
    for (at, iterator) in iterators.iter_mut().enumerate() {
        iterator.seek(key(at * 7).as_bytes());
        assert!(iterator.valid());
    }
    assert!(count(&test, "terrace.table-descriptors") <= 64);
    for (at, iterator) in iterators.iter_mut().enumerate() {
        assert_eq!(collect_forward_from(iterator).len(), TABLES + 1 - at * 7);
    }
    assert!(count(&test, "terrace.table-descriptors") <= 64);
}

fn collect_forward_from(iterator: &mut DbIterator) -> Vec<String> {
    let mut keys = Vec::new();
    while iterator.valid() {
        keys.push(String::from_utf8_lossy(iterator.key()).into_owned());
        iterator.next();
    }
    iterator.status().unwrap();
    keys
}

#[test]
fn where_the_metadata_of_all_tables_does_not_fit_its_budget_everything_is_still_read() {
    const BUDGET: usize = 1 << 20;
    // One block per entry.
    let options = Options {
        table_metadata_budget: BUDGET,
        block_size: 1 << 10,
        compression: Compression::None,
        write_buffer_size: 64 << 20,
        ..Options::default()
    };
    let mut test = TestDb::in_memory(options);
    let key = |table: usize, number: usize| format!("key{table:02}{number:04}");
    let (tables, keys) = (40, 800);
    for table in 0..tables {
        (0..keys).for_each(|number| test.put(key(table, number), key(table, number).repeat(120)));
        test.flush();
    }
    test.reopen();
    for round in 0..2 {
        for at in (0..tables * 50).map(|at| at * 17 % (tables * 50)) {
            let key = key(at % tables, at % keys);
            assert_eq!(test.get(&key), Some(key.repeat(120)), "round {round}");
        }
        assert!(count(&test, "terrace.table-metadata-bytes") <= BUDGET);
    }
    let open = count(&test, "terrace.open-tables");
    assert!(open > tables / 2 && open < test.tables().len(), "{open} of {}", test.tables().len());
    assert!(count(&test, "terrace.table-openings") > 2 * open);
}
