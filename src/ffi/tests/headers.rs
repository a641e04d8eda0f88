//! The committed headers equal those generated from the source, and declare LevelDB's functions.
//! `make headers` updates them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const GENERATED: [(&str, &str); 2] = [
    ("include/leveldb/c.h", include_str!(concat!(env!("OUT_DIR"), "/include/leveldb/c.h"))),
    ("include/terrace.h", include_str!(concat!(env!("OUT_DIR"), "/include/terrace.h"))),
];

/// All functions of LevelDB 1.23's `leveldb/c.h`, without their `leveldb_`.
const LEVELDB: &str = "open close put delete write get create_iterator create_snapshot release_snapshot property_value \
    approximate_sizes compact_range destroy_db repair_db \
    iter_destroy iter_valid iter_seek_to_first iter_seek_to_last iter_seek iter_next iter_prev iter_key iter_value \
    iter_get_error \
    writebatch_create writebatch_destroy writebatch_clear writebatch_put writebatch_delete writebatch_iterate \
    writebatch_append \
    options_create options_destroy options_set_comparator options_set_filter_policy options_set_create_if_missing \
    options_set_error_if_exists options_set_paranoid_checks options_set_env options_set_info_log \
    options_set_write_buffer_size options_set_max_open_files options_set_cache options_set_block_size \
    options_set_block_restart_interval options_set_max_file_size options_set_compression \
    comparator_create comparator_destroy \
    filterpolicy_create filterpolicy_destroy filterpolicy_create_bloom \
    readoptions_create readoptions_destroy readoptions_set_verify_checksums readoptions_set_fill_cache \
    readoptions_set_snapshot \
    writeoptions_create writeoptions_destroy writeoptions_set_sync \
    cache_create_lru cache_destroy \
    create_default_env env_destroy env_get_test_directory \
    free major_version minor_version";

/// The names of all declared functions: of each line that starts in the first column, the word before the
/// parenthesis.
fn functions(header: &str) -> BTreeSet<String> {
    let lines = header.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
    let names = lines.filter_map(|line| {
        let before = line.split_once('(')?.0;
        before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().map(str::to_owned)
    });
    names.collect()
}

#[test]
fn committed_headers_are_what_the_source_says() {
    for (path, generated) in GENERATED {
        let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        if std::env::var_os("TERRACE_UPDATE_HEADERS").is_some() {
            fs::write(&committed, generated).expect("a header written");
        }
        let text = fs::read_to_string(&committed).unwrap_or_default();
        assert!(text == generated, "{path} is not what src/ffi says: run `make headers` and commit it");
    }
}

#[test]
fn leveldbs_functions_are_all_there_and_no_other() {
    let expected: BTreeSet<String> =
        LEVELDB.split_whitespace().map(|name| format!("leveldb_{name}")).collect();
    assert_eq!(expected.len(), 68);
    assert_eq!(functions(GENERATED[0].1), expected);
}

#[test]
fn what_leveldb_does_not_have_is_named_so() {
    let functions = functions(GENERATED[1].1);
    assert!(functions.len() > 20, "{functions:?}");
    assert!(functions.iter().all(|name| name.starts_with("terrace_")), "{functions:?}");
}

#[test]
fn every_function_says_what_it_does_and_requires() {
    for (path, header) in GENERATED {
        let is_function = |part: &&str| part.contains(");") && !part.contains("typedef ");
        for declaration in header.split("\n\n").filter(is_function) {
            assert!(declaration.contains("/*\n * "), "{path}: undocumented: {declaration}");
            let takes_nothing = declaration.contains("(void);");
            let takes_numbers =
                ["create_lru(size_t", "create_bloom(int"].iter().any(|s| declaration.contains(s));
            assert!(
                takes_nothing || takes_numbers || declaration.contains(" * Requires: "),
                "{path}: requires nothing: {declaration}"
            );
        }
    }
}
