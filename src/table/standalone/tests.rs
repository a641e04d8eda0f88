//! Tables of user keys: written, read back, and damaged.

use crate::env::Env;
use crate::env::mem::MemEnv;
use crate::env::{CreateMode, ReadMode};
use crate::error::Result;
use crate::options::{Options, ReadAt};
use crate::table::standalone::{UserKeyTable, UserKeyTableBuilder};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn build(env: &dyn Env, options: &Options, entries: &[(Vec<u8>, Vec<u8>)]) -> u64 {
    let file = env.create_writable(Path::new("/t"), CreateMode::New).unwrap();
    let mut builder = UserKeyTableBuilder::new(options, file);
    for (key, value) in entries {
        builder.add(key, value).unwrap();
    }
    builder.finish().unwrap();
    assert_eq!(builder.num_entries(), entries.len() as u64);
    builder.file_size()
}

fn open(env: &dyn Env, options: &Options, size: u64) -> Result<Arc<UserKeyTable>> {
    let file = env.open_random_access(Path::new("/t"), ReadMode::Positioned)?;
    UserKeyTable::open(options, file, PathBuf::from("/t"), size)
}

fn some_entries() -> Vec<(Vec<u8>, Vec<u8>)> {
    (0..2000).map(|i| (format!("key{i:05}").into_bytes(), vec![b'v'; i % 100])).collect()
}

#[test]
fn what_was_added_comes_back_in_both_directions() {
    let (env, options) = (MemEnv::new(), Options { block_size: 1024, ..Options::default() });
    let entries = some_entries();
    let size = build(&env, &options, &entries);
    let table = open(&env, &options, size).unwrap();
    let mut iterator = table.iter(ReadAt::default());
    let mut found = Vec::new();
    iterator.seek_to_first();
    while iterator.valid() {
        found.push((iterator.key().to_vec(), iterator.value().to_vec()));
        iterator.next();
    }
    assert!(found == entries);
    found.clear();
    iterator.seek_to_last();
    while iterator.valid() {
        found.push((iterator.key().to_vec(), iterator.value().to_vec()));
        iterator.prev();
    }
    found.reverse();
    assert!(found == entries);
    iterator.status().unwrap();
}

#[test]
fn a_seek_finds_the_first_key_at_or_after_the_target() {
    let (env, options) = (MemEnv::new(), Options { block_size: 1024, ..Options::default() });
    let entries = some_entries();
    let size = build(&env, &options, &entries);
    let table = open(&env, &options, size).unwrap();
    let mut iterator = table.iter(ReadAt::default());
    for (i, (key, _)) in entries.iter().enumerate() {
        iterator.seek(key);
        assert_eq!(iterator.key(), key);
        iterator.seek(&[key.as_slice(), b"!"].concat());
        assert_eq!(iterator.valid(), i + 1 < entries.len());
        assert_eq!(iterator.key(), entries.get(i + 1).map_or(&b""[..], |(key, _)| key));
    }
    let offsets: Vec<u64> = entries.iter().map(|(key, _)| table.approximate_offset_of(key)).collect();
    assert!(offsets.is_sorted() && offsets[0] == 0 && offsets[1999] > 0);
    assert!(table.approximate_offset_of(b"z") > offsets[1999]);
}

#[test]
fn a_damaged_block_is_passed_over_and_told() {
    let (env, options) = (MemEnv::new(), Options { block_size: 1024, ..Options::default() });
    let entries = some_entries();
    let size = build(&env, &options, &entries);
    let mut bytes = env.files().into_iter().find(|(path, _)| path == Path::new("/t")).unwrap().1;
    bytes[10] ^= 1;
    let mut file = env.create_writable(Path::new("/t"), CreateMode::Truncate).unwrap();
    file.append(&bytes).unwrap();
    file.close().unwrap();
    let table = open(&env, &options, size).unwrap();
    let mut iterator = table.iter(ReadAt { verify_checksums: true, ..ReadAt::default() });
    iterator.seek_to_first();
    assert!(iterator.valid() && iterator.key() > &entries[0].0[..]);
    assert!(iterator.status().unwrap_err().is_corruption());
    iterator.seek_to_last();
    assert_eq!(iterator.key(), entries[1999].0);
    iterator.status().unwrap();
}

#[test]
fn any_changed_byte_is_an_error_or_harmless_and_never_a_panic() {
    let (env, options) = (MemEnv::new(), Options { block_size: 1024, ..Options::default() });
    let size = build(&env, &options, &some_entries()[..60]);
    let bytes = env.files().into_iter().find(|(path, _)| path == Path::new("/t")).unwrap().1;
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] = damaged[at].wrapping_add(0x81);
        let mut file = env.create_writable(Path::new("/t"), CreateMode::Truncate).unwrap();
        file.append(&damaged).unwrap();
        file.close().unwrap();
        let Ok(table) = open(&env, &options, size) else { continue };
        let mut iterator = table.iter(ReadAt::default());
        iterator.seek_to_first();
        let mut entries = 0;
        while iterator.valid() && entries < 1000 {
            iterator.next();
            entries += 1;
        }
        iterator.seek(b"key00030");
        iterator.seek_to_last();
        iterator.prev();
        table.approximate_offset_of(b"key00030");
    }
}

#[test]
fn keys_out_of_order_and_a_truncated_file_are_refused() {
    let (env, options) = (MemEnv::new(), Options::default());
    let file = env.create_writable(Path::new("/t"), CreateMode::New).unwrap();
    let mut builder = UserKeyTableBuilder::new(&options, file);
    builder.add(b"b", b"").unwrap();
    assert!(builder.add(b"b", b"").is_err());
    assert!(builder.add(b"c", b"").is_err(), "an error stays");
    assert!(builder.status().is_err() && builder.finish().is_err());
    assert!(open(&env, &options, 10).is_err_and(|error| error.is_corruption()));
}
