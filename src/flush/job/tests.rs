//! Tests of flushes, on real files.

use super::*;
use crate::comparator::bytewise;
use crate::error::ErrorKind;
use crate::format::internal_key::{InternalKey, InternalKeyComparator, ValueType};
use crate::job::table_output::PendingTables;
use crate::job::test_support::*;
use crate::util::test_support::keep;
use std::sync::atomic::Ordering;

fn memtable(entries: &[Entry]) -> Arc<Memtable> {
    let (memtable, mut writer) =
        Memtable::new(InternalKeyComparator::new(bytewise()), 1 << 20, None).unwrap();
    for (user_key, sequence, value) in entries {
        let value_type = if value.is_some() { ValueType::Value } else { ValueType::Deletion };
        writer.insert(*sequence, value_type, user_key.as_bytes(), value.unwrap_or_default().as_bytes());
    }
    memtable
}

#[test]
fn memtables_become_one_table_of_what_is_still_seen() {
    let fixture = JobFixture::new();
    let memtables = [
        memtable(&[("a", 1, Some("old")), ("b", 2, Some("deleted later")), ("c", 3, Some("v"))]),
        memtable(&[("a", 4, Some("new")), ("b", 5, None), ("d", 6, None)]),
    ];
    let file = run(&memtables, 7, &fixture.context(&[6])).unwrap().pop().unwrap();
    // Tombstones are kept: the entries that they hide may be in deeper levels.
    let expected = [("a", 4, Some("new")), ("b", 5, None), ("c", 3, Some("v")), ("d", 6, None)];
    assert_eq!(fixture.entries(&file), owned(&expected));
    assert_eq!(file.number, 7);
    assert_eq!(file.smallest, InternalKey::new(b"a", 4, ValueType::Value));
    assert_eq!(file.largest, InternalKey::new(b"d", 6, ValueType::Deletion));
    assert_eq!(file.file_size, std::fs::metadata(fixture.table_path(7)).unwrap().len());
    let properties = file.properties().unwrap();
    assert_eq!((properties.num_entries, properties.num_deletions), (4, 2));
    assert_eq!((properties.smallest_sequence, properties.largest_sequence), (3, 6));
    let done = format!("Level-0 table #7: {} bytes OK", file.file_size);
    assert_eq!(fixture.log_lines(), ["Level-0 table #7: started", &done]);
}

#[test]
fn what_a_snapshot_sees_is_flushed_too() {
    let fixture = JobFixture::new();
    let memtables = [
        memtable(&[("a", 1, Some("1")), ("a", 2, Some("2"))]),
        memtable(&[("a", 3, Some("3")), ("a", 4, None)]),
    ];
    let file = run(&memtables, 7, &fixture.context(&[2, 4])).unwrap().pop().unwrap();
    assert_eq!(fixture.entries(&file), owned(&[("a", 4, None), ("a", 2, Some("2"))]));
}

#[test]
fn empty_memtables_leave_no_table() {
    let fixture = JobFixture::new();
    assert!(run(&[memtable(&[])], 7, &fixture.context(&[0])).unwrap().is_empty());
    assert!(run(&[], 7, &fixture.context(&[0])).unwrap().is_empty());
    assert!(fixture.tables_on_disk().is_empty());
}

#[test]
fn a_table_that_exists_is_neither_overwritten_nor_removed() {
    let fixture = JobFixture::new();
    std::fs::write(fixture.table_path(7), b"someone else's").unwrap();
    let error = run(&[memtable(&[("a", 1, Some("v"))])], 7, &fixture.context(&[1])).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::IoError);
    assert!(error.message().starts_with("flush to table #7: "), "{error}");
    assert_eq!(std::fs::read(fixture.table_path(7)).unwrap(), b"someone else's");
    assert_eq!(fixture.log_lines().len(), 2);
}

#[test]
fn a_flush_that_is_cut_short_leaves_no_file() {
    let fixture = JobFixture::new();
    let many: Vec<String> = (0..5_000).map(|i| format!("{i:05}")).collect();
    let (memtable, mut writer) =
        Memtable::new(InternalKeyComparator::new(bytewise()), 1 << 20, None).unwrap();
    for (sequence, key) in many.iter().enumerate() {
        writer.insert(sequence as u64 + 1, ValueType::Value, key.as_bytes(), b"value");
    }
    fixture.shutting_down.store(true, Ordering::Release);
    let error = run(&[memtable], 7, &fixture.context(&[5_000])).err().unwrap();
    assert_eq!(error.to_string(), "IO error: flush to table #7: database is closing");
    assert!(fixture.tables_on_disk().is_empty());
}

#[test]
fn a_table_whose_name_is_not_durable_is_removed() {
    let fixture = JobFixture::new();
    let memtables = [memtable(&[("a", 1, Some("v"))])];
    run(&memtables, 7, &fixture.context(&[1])).unwrap();
    assert_eq!(fixture.failing_env.directory_syncs.load(Ordering::Relaxed), 1);
    fixture.failing_env.fails_to_sync_directory.store(true, Ordering::Relaxed);
    assert!(run(&memtables, 8, &fixture.context(&[1])).is_err());
    assert_eq!(fixture.tables_on_disk(), [7]);
}

#[test]
fn pending_tables_are_removed_unless_kept() {
    let fixture = JobFixture::new();
    let context = fixture.context(&[]);
    let mut pending = PendingTables::new(&context);
    let finished = {
        let mut output = pending.create(1).unwrap();
        output.add(InternalKey::new(b"k", 1, ValueType::Value).encoded(), b"v").unwrap();
        output.finish(&context).unwrap()
    };
    let unfinished = pending.create(2).unwrap();
    assert_eq!(fixture.tables_on_disk(), [1, 2]);
    drop((finished, unfinished, pending));
    assert!(fixture.tables_on_disk().is_empty());
    assert!(fixture.table_cache.find(1, 0).is_err(), "nor is it open any more");

    let mut pending = PendingTables::new(&context);
    drop(pending.create(3).unwrap());
    pending.keep();
    assert_eq!(fixture.tables_on_disk(), [3]);
}

#[test]
fn a_damaged_key_that_no_table_can_hold_is_refused() {
    let fixture = JobFixture::new();
    let context = fixture.context(&[]);
    let mut pending = PendingTables::new(&context);
    let mut output = pending.create(1).unwrap();
    assert!(output.add(b"short", b"").unwrap_err().is_corruption());
    drop(output);
    drop(pending);
    assert!(fixture.tables_on_disk().is_empty());
}

#[test]
fn keys_that_are_too_long_for_the_index_of_one_table_go_to_several() {
    let fixture = JobFixture::with_table_options(|options| {
        options.max_meta_block_size = 60_000;
        options.filter_policy = Some(Arc::new(crate::filter_policy::BloomFilterPolicy::new(10)));
    });
    let names: Vec<&str> =
        (0..20).map(|number| keep(format!("{}{number:04}", "k".repeat(5000))).as_str()).collect();
    // A snapshot keeps two versions of each key. They must stay in one table: level 0 is searched by file
    // number.
    let mut entries: Vec<Entry> = names.iter().map(|&name| (name, 1, Some("old"))).collect();
    entries.extend(names.iter().map(|&name| (name, 2, Some("new"))));
    entries.sort_by_key(|&(name, sequence, _)| (name, std::cmp::Reverse(sequence)));
    let files = run(&[memtable(&entries)], 7, &fixture.context(&[1, 2])).unwrap();
    assert!(files.len() > 2 && files.len() < 15, "{} tables", files.len());
    assert_eq!(files.iter().map(|file| file.number).collect::<Vec<_>>(), {
        [7].into_iter().chain(100..99 + files.len() as u64).collect::<Vec<_>>()
    });
    let found: Vec<_> = files.iter().flat_map(|file| fixture.entries(file)).collect();
    assert_eq!(found, owned(&entries));
    for pair in files.windows(2) {
        assert_ne!(pair[0].largest.user_key(), pair[1].smallest.user_key());
    }
}
