//! LevelDB's functions by name, for programs in which another library defines the same names.
//!
//! Invariant: the table has each function of `leveldb/c.h` under its own name. A test compares the table with
//! the header.
#![allow(unsafe_code)]

use super::boundary::contain;
use super::bytes;
use super::db::get;
use super::{
    cache, comparator, db, env, filter_policy, iterator, options, read_options, snapshot, version,
    write_batch, write_options,
};
use std::ffi::{c_char, c_void};
use std::ptr;

/// Expands to (name, address) pairs.
macro_rules! table {
    ($($module:ident: $($name:ident)+;)+) => {
        &[$($((stringify!($name), Address($module::$name as *const ())),)+)+]
    };
}

/// The address of a function.
#[derive(Clone, Copy)]
struct Address(*const ());

// SAFETY: the address of code is immutable.
unsafe impl Sync for Address {}

static FUNCTIONS: &[(&str, Address)] = table! {
    db:
        leveldb_open leveldb_close leveldb_put leveldb_delete leveldb_write
        leveldb_property_value leveldb_approximate_sizes leveldb_compact_range leveldb_destroy_db
        leveldb_repair_db;
    get:
        leveldb_get;
    iterator:
        leveldb_create_iterator leveldb_iter_destroy leveldb_iter_valid leveldb_iter_seek_to_first
        leveldb_iter_seek_to_last leveldb_iter_seek leveldb_iter_next leveldb_iter_prev leveldb_iter_key
        leveldb_iter_value leveldb_iter_get_error;
    snapshot:
        leveldb_create_snapshot leveldb_release_snapshot;
    write_batch:
        leveldb_writebatch_create leveldb_writebatch_destroy leveldb_writebatch_clear leveldb_writebatch_put
        leveldb_writebatch_delete leveldb_writebatch_iterate leveldb_writebatch_append;
    options:
        leveldb_options_create leveldb_options_destroy leveldb_options_set_comparator
        leveldb_options_set_filter_policy leveldb_options_set_create_if_missing
        leveldb_options_set_error_if_exists leveldb_options_set_paranoid_checks leveldb_options_set_env
        leveldb_options_set_info_log leveldb_options_set_write_buffer_size
        leveldb_options_set_max_open_files leveldb_options_set_cache leveldb_options_set_block_size
        leveldb_options_set_block_restart_interval leveldb_options_set_max_file_size
        leveldb_options_set_compression;
    comparator:
        leveldb_comparator_create leveldb_comparator_destroy;
    filter_policy:
        leveldb_filterpolicy_create leveldb_filterpolicy_destroy leveldb_filterpolicy_create_bloom;
    read_options:
        leveldb_readoptions_create leveldb_readoptions_destroy leveldb_readoptions_set_verify_checksums
        leveldb_readoptions_set_fill_cache leveldb_readoptions_set_snapshot;
    write_options:
        leveldb_writeoptions_create leveldb_writeoptions_destroy leveldb_writeoptions_set_sync;
    cache:
        leveldb_cache_create_lru leveldb_cache_destroy;
    env:
        leveldb_create_default_env leveldb_env_destroy leveldb_env_get_test_directory;
    version:
        leveldb_free leveldb_major_version leveldb_minor_version;
};

/// Returns this library's function of the given name, for example "leveldb_open". This matters in a process
/// that has loaded another library with the same function names: there, the dynamic linker binds a call to
/// the library that was loaded first. Cast the result to the type of the function's declaration in
/// leveldb/c.h. Returns NULL if `name` is NULL or not the name of a function in leveldb/c.h.
///
/// # Safety
/// `name` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_leveldb_function(name: *const c_char) -> *const c_void {
    let address = contain(None, || {
        // SAFETY: as the caller promises.
        let name = unsafe { bytes::c_string(name, "name") }.ok()?;
        let (_, address) = FUNCTIONS.iter().find(|(known, _)| known.as_bytes() == name)?;
        Some(address.0.cast())
    });
    address.unwrap_or(ptr::null())
}

#[cfg(test)]
mod tests {
    use super::FUNCTIONS;
    use std::collections::BTreeSet;

    #[test]
    fn every_function_of_the_header_is_in_the_table() {
        let header = include_str!("../../include/leveldb/c.h");
        let words = header.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '(');
        let declared: BTreeSet<&str> = words
            .filter_map(|word| word.split_once('(').map(|(name, _)| name))
            .filter(|name| name.starts_with("leveldb_"))
            .collect();
        // Comments of the header name functions too (`leveldb_open()`), but only declared ones.
        let known: BTreeSet<&str> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
        assert_eq!(known, declared);
        assert_eq!(known.len(), FUNCTIONS.len());
    }
}
