//! The names that the shared library exports: LevelDB's, its own `terrace_` names, and no others.

use crate::support::{Tool, repository, terrace_path};
use std::collections::BTreeSet;
use std::fs;

/// Functions of LevelDB 1.23's `leveldb/c.h`.
const LEVELDB_FUNCTIONS: usize = 68;

/// The symbols that the library exports.
fn exported() -> BTreeSet<String> {
    let listing = Tool::new("nm", "binutils").args(["-D", "--defined-only"]).args([terrace_path()]).run();
    // "0000000000001234 T leveldb_open", with "@@VERSION" after the name if symbols are versioned.
    let names = listing.lines().filter_map(|line| line.split_whitespace().nth(2));
    names.map(|name| name.split('@').next().unwrap_or(name).to_owned()).collect()
}

/// The functions that a header declares: every `leveldb_...(` and `terrace_...(` outside of comments.
fn declared(header: &str) -> BTreeSet<String> {
    let path = repository().join("include").join(header);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    functions_in(&text)
}

fn functions_in(header: &str) -> BTreeSet<String> {
    let mut text = String::new();
    let mut rest = header;
    while let Some(start) = rest.find("/*") {
        text.push_str(&rest[..start]);
        rest = rest[start..].split_once("*/").map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    let text: String =
        text.lines().map(|line| line.split("//").next().unwrap_or("").to_owned() + "\n").collect();
    let mut functions = BTreeSet::new();
    for (parenthesis, _) in text.match_indices('(') {
        let before = text[..parenthesis].trim_end();
        let start = before.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |at| at + 1);
        let name = &before[start..];
        if name.starts_with("leveldb_") || name.starts_with("terrace_") {
            functions.insert(name.to_owned());
        }
    }
    functions
}

#[test]
fn only_leveldb_and_terrace_names_are_exported() {
    let foreign: Vec<String> = exported()
        .into_iter()
        .filter(|name| !name.starts_with("leveldb_") && !name.starts_with("terrace_"))
        .collect();
    assert!(foreign.is_empty(), "the library exports {foreign:?}");
}

#[test]
fn every_function_of_the_headers_is_exported_and_the_reverse() {
    let mut declared = declared("terrace.h");
    declared.extend(self::declared("leveldb/c.h"));
    let exported = exported();
    let missing: Vec<_> = declared.difference(&exported).collect();
    let undeclared: Vec<_> = exported.difference(&declared).collect();
    assert!(missing.is_empty(), "declared, but not exported: {missing:?}");
    assert!(undeclared.is_empty(), "exported, but declared in no header: {undeclared:?}");
}

#[test]
fn the_functions_of_leveldb_are_all_there() {
    let ours = declared("leveldb/c.h");
    assert_eq!(ours.len(), LEVELDB_FUNCTIONS, "{ours:?}");
    let path = "/usr/include/leveldb/c.h";
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}: install libleveldb-dev"));
    assert_eq!(ours, functions_in(&text), "our leveldb/c.h declares other functions than LevelDB's own");
}

#[test]
fn functions_are_told_from_types_callbacks_and_comments() {
    let header = "/* leveldb_old( */ typedef struct leveldb_t leveldb_t;\n// terrace_gone(\n\
        LEVELDB_EXPORT void leveldb_put(leveldb_t* db,\n  int (*compare)(void*), void (*leveldb_t)(int));\n\
        char* terrace_version (void);";
    let expected = ["leveldb_put", "terrace_version"].map(String::from);
    assert_eq!(functions_in(header), BTreeSet::from(expected));
}

#[test]
fn the_soname_carries_the_version_of_the_interface() {
    let dynamic = Tool::new("readelf", "binutils").args(["-dW"]).args([terrace_path()]).run();
    let soname = dynamic.lines().find(|line| line.contains("(SONAME)"));
    let soname = soname.and_then(|line| line.split_once('[')?.1.split(']').next());
    let version = env!("CARGO_PKG_VERSION_MAJOR");
    assert_eq!(soname, Some(&*format!("libterrace.so.{version}")));
    assert!(
        dynamic.contains("NODELETE"),
        "the library must stay loaded after dlclose: link it with -z nodelete"
    );
}
