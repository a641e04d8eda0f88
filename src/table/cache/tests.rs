//! Tests of how the tables of a family are found and opened.

use super::*;
use crate::env::mem::MemEnv;
use crate::env::{CreateMode, Env};
use crate::options::DEFAULT_TABLE_METADATA_BUDGET;
use crate::table::test_support::{build, internal, options};

const DB: &str = "/db";

/// A directory with table 1; the tables of a family in it; and the bytes of table 1.
fn cache() -> (Arc<TableCache>, MemEnv, Vec<u8>) {
    let env = MemEnv::new();
    env.create_dir(Path::new(DB)).unwrap();
    let bytes = build(&options(), &[(internal(b"k", 1), b"v".to_vec())]).0;
    write(&env, &file_name::table(Path::new(DB), 1), &bytes);
    let open_tables = OpenTables::new(env.shared(), 100, DEFAULT_TABLE_METADATA_BUDGET);
    (TableCache::new(open_tables, DB.into(), Arc::new(options()), ReadMode::Positioned), env, bytes)
}

fn write(env: &MemEnv, path: &Path, bytes: &[u8]) {
    let mut file = env.create_writable(path, CreateMode::Truncate).unwrap();
    file.append(bytes).unwrap();
    file.close().unwrap();
}

#[test]
fn old_names_are_found_and_missing_files_are_named() {
    let (cache, env, bytes) = cache();
    let size = bytes.len() as u64;
    write(&env, &file_name::old_table(Path::new(DB), 13), &bytes);
    assert_eq!(cache.find(13, size).unwrap().path(), Path::new("/db/000013.sst"));
    let error = cache.find(99, size).err().unwrap();
    assert!(error.is_not_found());
    assert_eq!(error.to_string(), "NotFound: /db/000099.ldb: No such file or directory");
    // An error is not cached.
    write(&env, &file_name::table(Path::new(DB), 99), &bytes);
    assert!(cache.find(99, size).is_ok());
}

#[test]
fn a_file_of_another_size_is_corruption() {
    let (cache, env, mut bytes) = cache();
    let size = bytes.len() as u64;
    for wrong in [0, size - 1, size + 1, u64::MAX] {
        let error = cache.find(1, wrong).err().unwrap();
        assert!(error.is_corruption(), "{error}");
        assert!(error.to_string().starts_with("Corruption: /db/000001.ldb: "), "{error}");
    }
    assert!(cache.find(1, size).is_ok());
    // Bytes that follow the footer would not be noticed by reading the table.
    bytes.push(0);
    write(&env, &file_name::table(Path::new(DB), 2), &bytes);
    assert!(cache.find(2, size).err().unwrap().is_corruption());
}
