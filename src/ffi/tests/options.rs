//! The common header of the three kinds of options, and the setters.

use super::super::option_header::{OptionHeader, read_options, write_options};
use super::super::options::*;
use super::super::read_options::*;
use super::super::snapshot::*;
use super::super::write_options::*;
use crate::compression::Compression;
use crate::db::Db;
use crate::env::mem::MemEnv;
use crate::options::Options;
use std::collections::HashSet;
use std::path::Path;
use std::ptr;

#[test]
fn the_boolean_comes_first_and_the_kind_second() {
    // SAFETY: handles of the functions above, each destroyed once; a header has more than two bytes.
    unsafe {
        let read = leveldb_readoptions_create();
        leveldb_readoptions_set_verify_checksums(read, 200);
        assert_eq!(std::slice::from_raw_parts(read.cast::<u8>(), 2), [1, 2]);
        leveldb_readoptions_destroy(read);
        let write = leveldb_writeoptions_create();
        assert_eq!(std::slice::from_raw_parts(write.cast::<u8>(), 2), [0, 3]);
        leveldb_writeoptions_set_sync(write, 1);
        assert_eq!(*write.cast::<u8>(), 1);
        leveldb_writeoptions_destroy(write);
        let options = leveldb_options_create();
        leveldb_writeoptions_set_sync(options.cast(), 1);
        assert_eq!(std::slice::from_raw_parts(options.cast::<u8>(), 2), [0, 1]);
        leveldb_options_destroy(options);
    }
}

#[test]
fn any_kind_serves_where_another_belongs() {
    // SAFETY: handles of the functions above, each destroyed once, by a function of another kind.
    unsafe {
        let read = leveldb_readoptions_create();
        leveldb_readoptions_set_verify_checksums(read, 1);
        leveldb_readoptions_set_fill_cache(read, 0);
        assert!(write_options(read).sync);
        assert!(read_options(read).verify_checksums && !read_options(read).fill_cache);
        let write = leveldb_writeoptions_create();
        assert!(read_options(write).fill_cache && !read_options(write).verify_checksums);
        assert_eq!(read_options(write).sequence, None);
        let options = leveldb_options_create();
        assert!(!write_options(options).sync && read_options(options).fill_cache);
        for wrong in [read.cast(), write.cast()] {
            let error = core_options(wrong).err().expect("another kind").to_string();
            assert!(error.starts_with("Invalid argument: options is a handle of "), "{error}");
            leveldb_options_set_create_if_missing(wrong, 1);
        }
        leveldb_options_destroy(read.cast());
        leveldb_readoptions_destroy(write.cast());
        leveldb_writeoptions_destroy(options.cast());
    }
}

#[test]
fn null_means_the_default_options() {
    let none = ptr::null::<leveldb_options_t>();
    // SAFETY: NULL.
    unsafe {
        assert!(read_options(none).fill_cache && !write_options(none).sync);
        assert!(!core_options(none).expect("the default options").create_if_missing);
        leveldb_options_set_create_if_missing(none.cast_mut(), 1);
        leveldb_options_destroy(none.cast_mut());
        assert!(OptionHeader::of(none).is_none());
    }
}

/// A database in memory, and a handle to a snapshot of it.
fn snapshot_of_new_database() -> (Db, *const leveldb_snapshot_t) {
    let options = Options { create_if_missing: true, env: MemEnv::new().shared(), ..Options::default() };
    let db = Db::open(&options, Path::new("/db")).expect("a database");
    let snapshot = leveldb_snapshot_t::create(db.snapshot());
    (db, snapshot)
}

#[test]
fn a_released_snapshot_reads_the_latest_state_and_its_handle_is_used_again_later() {
    let (db, snapshot) = snapshot_of_new_database();
    // SAFETY: handles of the functions above, each destroyed once; handles of snapshots are never freed.
    unsafe {
        let (before, after) = (leveldb_readoptions_create(), leveldb_readoptions_create());
        leveldb_readoptions_set_snapshot(before, snapshot);
        assert!(read_options(before).sequence.is_some());
        for _ in 0..3 {
            leveldb_release_snapshot(ptr::null_mut(), snapshot);
            leveldb_readoptions_set_snapshot(after, snapshot);
            assert_eq!((read_options(before).sequence, read_options(after).sequence), (None, None));
        }
        // A handle that was released three times is pooled once: 600 snapshots held at the same time have 600
        // handles.
        let held: Vec<_> =
            (0..600).map(|_| ptr::from_ref(leveldb_snapshot_t::create(db.snapshot()))).collect();
        assert_eq!(held.iter().collect::<HashSet<_>>().len(), 600);
        held.into_iter().for_each(|snapshot| leveldb_release_snapshot(ptr::null_mut(), snapshot));
        leveldb_readoptions_destroy(before);
        leveldb_readoptions_destroy(after);
    }
    // Memory is bounded by the number of snapshots held at one time.
    let mut handles = HashSet::new();
    for _ in 0..100_000 {
        let snapshot = ptr::from_ref(leveldb_snapshot_t::create(db.snapshot()));
        handles.insert(snapshot);
        // SAFETY: a handle that is not released.
        unsafe { leveldb_release_snapshot(ptr::null_mut(), snapshot) };
    }
    assert!((256..=602).contains(&handles.len()), "{}", handles.len());
}

#[test]
fn clearing_the_snapshot_reads_the_latest_state() {
    // SAFETY: a handle of the functions above.
    unsafe {
        let read = leveldb_readoptions_create();
        let (db, snapshot) = snapshot_of_new_database();
        leveldb_readoptions_set_snapshot(read, snapshot);
        assert_eq!(read_options(read).sequence, Some((*snapshot).sequence()));
        leveldb_readoptions_set_snapshot(read, ptr::null::<leveldb_snapshot_t>());
        assert_eq!(read_options(read).sequence, None);
        leveldb_release_snapshot(ptr::null_mut(), snapshot);
        drop(db);
        leveldb_readoptions_destroy(read);
    }
}

/// The core's options after a change through C.
fn changed(change: impl FnOnce(*mut leveldb_options_t)) -> Options {
    let options = leveldb_options_create();
    change(options);
    // SAFETY: a handle of the function above, destroyed once.
    unsafe {
        let resolved = core_options(options).expect("options");
        leveldb_options_destroy(options);
        resolved
    }
}

#[test]
fn every_setter_reaches_the_core() {
    use super::super::terrace_options::*;
    // SAFETY: `changed` passes a live handle.
    let options = changed(|options| unsafe {
        leveldb_options_set_create_if_missing(options, 255);
        leveldb_options_set_error_if_exists(options, 1);
        leveldb_options_set_paranoid_checks(options, 1);
        leveldb_options_set_write_buffer_size(options, 12345);
        leveldb_options_set_max_open_files(options, 321);
        leveldb_options_set_block_size(options, 2222);
        leveldb_options_set_block_restart_interval(options, 3);
        leveldb_options_set_max_file_size(options, 4444);
        leveldb_options_set_compression(options, 0);
        terrace_options_set_reuse_logs(options, 1);
        terrace_options_set_seek_compaction(options, 1);
        terrace_options_set_idle_compaction(options, 0);
        terrace_options_set_whole_table_filter(options, 0);
        terrace_options_set_max_write_buffer_number(options, 5);
        terrace_options_set_level0_file_num_compaction_trigger(options, 6);
        terrace_options_set_level0_slowdown_writes_trigger(options, 7);
        terrace_options_set_level0_stop_writes_trigger(options, 8);
        terrace_options_set_max_bytes_for_level_base(options, 9);
        terrace_options_set_max_background_compactions(options, 10);
        terrace_options_set_max_subcompactions(options, 11);
        terrace_options_set_mmap_reads(options, 0);
        terrace_options_set_mmap_wal(options, 0);
        terrace_options_set_table_metadata_budget(options, 12);
    });
    assert!(options.create_if_missing && options.error_if_exists && options.paranoid_checks);
    assert!(!options.idle_compaction);
    assert!(options.reuse_logs && options.seek_compaction && !options.mmap_reads && !options.mmap_wal);
    assert!(!options.whole_table_filter);
    assert_eq!((options.write_buffer_size, options.max_open_files, options.block_size), (12345, 321, 2222));
    assert_eq!((options.block_restart_interval, options.max_file_size), (3, 4444));
    assert_eq!(options.compression, Compression::None);
    assert_eq!((options.max_write_buffer_number, options.level0_file_num_compaction_trigger), (5, 6));
    assert_eq!((options.level0_slowdown_writes_trigger, options.level0_stop_writes_trigger), (7, 8));
    assert_eq!((options.max_bytes_for_level_base, options.max_background_compactions), (9, 10));
    assert_eq!((options.max_subcompactions, options.table_metadata_budget), (11, 12));
    assert_eq!(options.sanitized().table_metadata_budget, 1 << 20);
}

#[test]
fn negative_numbers_and_unknown_compressions_are_tamed() {
    // SAFETY: `changed` passes a live handle.
    let options = changed(|options| unsafe {
        leveldb_options_set_max_open_files(options, -1);
        leveldb_options_set_block_restart_interval(options, i32::MIN);
        leveldb_options_set_compression(options, 7);
    });
    assert_eq!((options.max_open_files, options.block_restart_interval), (0, 0));
    assert_eq!(options.compression, Compression::None);
    let sanitized = options.sanitized();
    assert_eq!((sanitized.max_open_files, sanitized.block_restart_interval), (74, 1));
    // SAFETY: as above.
    let options = changed(|options| unsafe { leveldb_options_set_compression(options, 1) });
    assert_eq!(options.compression, Compression::Auto);
}

#[test]
fn compressions_have_their_numbers() {
    use super::super::terrace_options::*;
    let of_leveldb =
        [(0, Compression::None), (1, Compression::Auto), (2, Compression::Zstd), (3, Compression::None)];
    for (number, compression) in of_leveldb {
        // SAFETY: `changed` passes a live handle.
        let options = changed(|options| unsafe {
            terrace_options_set_compression(options, 7, 9);
            leveldb_options_set_compression(options, number);
        });
        assert_eq!((options.compression, options.compression_level), (compression, None), "{number}");
    }
    let own = [
        (-1, Compression::Auto),
        (0, Compression::None),
        (1, Compression::Snappy),
        (2, Compression::Zlib),
        (7, Compression::Zstd),
        (128, Compression::RawDeflate),
        (4, Compression::NotOffered(4)),
    ];
    for (number, compression) in own {
        // SAFETY: as above.
        let options = changed(|options| unsafe { terrace_options_set_compression(options, number, 5) });
        assert_eq!((options.compression, options.compression_level), (compression, Some(5)), "{number}");
        // SAFETY: as above.
        let options = changed(|options| unsafe { terrace_options_set_compression(options, number, 32767) });
        assert_eq!((options.compression, options.compression_level), (compression, None), "{number}");
    }
}
