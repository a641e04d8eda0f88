//! Tests of iterators over runs of files.

use super::*;
use crate::iterator::InternalIterator;
use crate::iterator::test_support::{Entry, comparators};
use crate::version::test_support::{Directory, Files, READ, key, levels};

fn entries(range: std::ops::Range<u32>) -> Vec<Entry> {
    range.map(|n| (key(&format!("{n:04}"), 1).encoded().to_vec(), vec![n as u8; 100])).collect()
}

/// Three tables of a hundred entries each.
fn run(directory: &Directory) -> Files {
    (0..3).map(|n| directory.table(u64::from(n) + 1, &entries(n * 100..n * 100 + 100))).collect()
}

fn iterate(directory: &Directory, files: impl Into<Level>) -> LevelIterator {
    LevelIterator::new(comparators()[0].clone(), files, directory.cache.clone(), READ)
}

#[test]
fn a_run_of_tables_is_read_as_one_sequence() {
    let directory = Directory::new(&comparators()[0]);
    let version = directory.version(levels([(3, run(&directory))]));
    let all = entries(0..300);
    let mut iterator = iterate(&directory, version.levels[3].clone());
    iterator.seek_to_first();
    for entry in &all {
        assert_eq!((iterator.key(), iterator.value()), (&entry.0[..], &entry.1[..]));
        iterator.next();
    }
    assert!(!iterator.valid() && iterator.status().is_ok());
    iterator.seek_to_last();
    for entry in all.iter().rev() {
        assert_eq!((iterator.key(), iterator.value()), (&entry.0[..], &entry.1[..]));
        iterator.prev();
    }
    assert!(!iterator.valid() && iterator.status().is_ok());
    for (index, entry) in all.iter().enumerate().step_by(7) {
        iterator.seek(&entry.0);
        assert_eq!(iterator.key(), entry.0);
        if index > 0 {
            iterator.prev();
            assert_eq!(iterator.key(), all[index - 1].0);
        }
    }
    iterator.seek(key("9", 1).encoded());
    assert!(!iterator.valid() && iterator.status().is_ok());
}

#[test]
fn files_are_opened_when_they_are_reached_and_a_missing_one_ends_the_iteration() {
    let directory = Directory::new(&comparators()[0]);
    let files = run(&directory);
    directory.remove_table(2);
    let mut iterator = iterate(&directory, files);
    iterator.seek(key("0098", 1).encoded());
    iterator.next();
    assert!(iterator.valid() && iterator.status().is_ok());
    iterator.next();
    assert!(!iterator.valid());
    let error = iterator.status().unwrap_err();
    assert!(error.is_corruption() && error.message().contains("000002.ldb"), "{error}");
    iterator.seek_to_last();
    assert_eq!(iterator.key(), key("0299", 1).encoded());
    assert!(iterator.status().is_ok());
}

#[test]
fn no_files_are_an_empty_sequence() {
    let directory = Directory::new(&comparators()[0]);
    let mut iterator = iterate(&directory, Vec::new());
    iterator.seek_to_first();
    assert!(!iterator.valid() && iterator.status().is_ok());
    iterator.seek_to_last();
    assert!(!iterator.valid() && iterator.status().is_ok());
}
