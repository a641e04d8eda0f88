//! Checks that the files of a folder form no circle: a file that uses another one, directly or through
//! others, is not used by it.
//!
//! A use is a path in the code, in a `use` or elsewhere. `super::`, and names that a folder re-exports, are
//! followed. A file and the files beneath it (`block.rs`, `block/iterator.rs`) are parent and child, and may
//! use each other.

use super::{code, group_members, sources};
use std::collections::{BTreeMap, BTreeSet};

/// The circles that are allowed: one subject in several files; and the reason.
const ALLOWED: [(&[&str], &str); 2] = [
    (
        &["env/mem/file", "env/mem/journal", "env/mem/tree"],
        "a disk in memory: files, names and the record of both",
    ),
    (&["table/iterator", "table/reader"], "a table makes its iterators"),
];

type Arrows = BTreeMap<String, BTreeSet<String>>;

/// The paths in the code, each as segments from the root of the crate.
fn paths(file: &str, code: &str) -> Vec<Vec<String>> {
    let module: Vec<&str> = file.split('/').collect();
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let mut rest = &code[at..];
            let mut ups = 0;
            while let Some(after) = rest.strip_prefix("super::") {
                (rest, ups) = (after, ups + 1);
            }
            let rest = rest.strip_prefix("crate::").unwrap_or(rest);
            let base = if start == "crate::" { &[][..] } else { &module[..module.len().saturating_sub(ups)] };
            let base: Vec<String> = base.iter().map(|&part| part.to_owned()).collect();
            expand(base, rest, &mut found);
        }
    }
    found
}

/// Follows a path, and each member of a group at the end of the path.
fn expand(mut base: Vec<String>, rest: &str, found: &mut Vec<Vec<String>>) {
    let mut rest = rest.trim_start();
    loop {
        if let Some(group) = rest.strip_prefix('{') {
            for member in group_members(group) {
                expand(base.clone(), member.trim(), found);
            }
            return;
        }
        let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if length > 0 {
            base.push(rest[..length].to_owned());
        }
        match rest[length..].strip_prefix("::") {
            Some(after) if length > 0 => rest = after,
            _ => break,
        }
    }
    found.push(base);
}

/// The file that a path leads to. A name that a folder re-exports leads to the file where the name is
/// defined.
pub(super) fn target(
    path: &[String],
    sources: &BTreeMap<String, String>,
    exports: &Exports,
) -> Option<String> {
    for length in (1..=path.len()).rev() {
        let file = path[..length].join("/");
        if sources.contains_key(&file) {
            let name = path.get(length);
            let exported = name.and_then(|name| exports.get(&(file.clone(), name.clone())));
            return Some(exported.cloned().unwrap_or(file));
        }
    }
    None
}

/// Maps a folder's file and a re-exported name to the file where the name is defined.
pub(super) type Exports = BTreeMap<(String, String), String>;

pub(super) fn exports(sources: &BTreeMap<String, String>) -> Exports {
    let mut exports = Exports::new();
    for (file, code) in sources {
        for item in code.split(';').filter_map(|item| item.trim().split("pub use ").nth(1)) {
            let mut names = Vec::new();
            expand(file.split('/').map(str::to_owned).collect(), item, &mut names);
            for path in names {
                let (name, of) = path.split_last().expect("a path");
                if sources.contains_key(&of.join("/")) {
                    exports.insert((file.clone(), name.clone()), of.join("/"));
                }
            }
        }
    }
    exports
}

fn is_kin(a: &str, b: &str) -> bool {
    let beneath = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
    a == b || beneath(a, b) || beneath(b, a)
}

fn is_test(file: &str) -> bool {
    file.split('/').any(|part| ["tests", "models", "test_support"].contains(&part))
}

fn arrows(sources: &BTreeMap<String, String>) -> Arrows {
    let exports = exports(sources);
    let mut arrows = Arrows::new();
    for (file, code) in sources.iter().filter(|(file, _)| !is_test(file)) {
        let code = code.split("\nmod tests {").next().expect("a first part");
        let folder = file.split('/').next();
        for path in paths(file, code) {
            if let Some(to) = target(&path, sources, &exports)
                && to.split('/').next() == folder
                && !is_kin(file, &to)
                && !is_test(&to)
            {
                arrows.entry(file.clone()).or_default().insert(to);
            }
        }
    }
    arrows
}

fn reaches(arrows: &Arrows, from: &str) -> BTreeSet<String> {
    let (mut reached, mut left) = (BTreeSet::new(), vec![from]);
    while let Some(file) = left.pop() {
        for to in arrows.get(file).into_iter().flatten() {
            if reached.insert(to.clone()) {
                left.push(to);
            }
        }
    }
    reached
}

/// The files that reach themselves, grouped into sets of files that reach each other.
fn circles(arrows: &Arrows) -> BTreeSet<BTreeSet<String>> {
    let reached: BTreeMap<&String, BTreeSet<String>> =
        arrows.keys().map(|file| (file, reaches(arrows, file))).collect();
    let mut circles = BTreeSet::new();
    for (&file, reach) in &reached {
        if reach.contains(file) {
            let both =
                reach.iter().filter(|other| reached.get(other).is_some_and(|back| back.contains(file)));
            circles.insert(both.cloned().collect());
        }
    }
    circles
}

#[test]
fn no_files_of_a_folder_use_each_other_in_a_circle() {
    let allowed = |circle: &BTreeSet<String>| {
        ALLOWED.iter().any(|(files, _)| circle.iter().all(|file| files.contains(&file.as_str())))
    };
    let found = circles(&arrows(&sources()));
    let wrong: Vec<_> = found.iter().filter(|circle| !allowed(circle)).collect();
    assert!(wrong.is_empty(), "files that use each other in a circle: {wrong:#?}");
}

#[test]
fn a_circle_is_noticed_in_every_spelling() {
    let files = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|&(file, text)| (file.to_owned(), code(text))).collect()
    };
    for (first, second) in [
        ("use crate::db::b::X;", "use crate::db::a::Y;"),
        ("use super::b;", "use super::a::{self, Y};"),
        ("fn f() { crate::db::b::g() }", "use crate::{db::{a::Y}};"),
        ("use crate::db::X;", "use super::a;"),
    ] {
        let sources = files(&[("db", "mod a; mod b; pub use b::X;"), ("db/a", first), ("db/b", second)]);
        assert_eq!(circles(&arrows(&sources)).len(), 1, "{first} {second}");
    }
    let through_a_third = files(&[
        ("db", ""),
        ("db/a", "use super::b::X;"),
        ("db/b", "use super::c::X;"),
        ("db/c", "use crate::db::a::X;"),
    ]);
    assert_eq!(circles(&arrows(&through_a_third)).first().map(BTreeSet::len), Some(3));
    for harmless in [
        files(&[("db", ""), ("db/a", "use super::b;"), ("db/b", "// use super::a;")]),
        files(&[("db/a", "mod tests; use super::a::tests::X;"), ("db/a/tests", "use super::*;")]),
        files(&[("db", ""), ("db/a", "use crate::wal::b;"), ("wal", ""), ("wal/b", "use crate::db::a;")]),
    ] {
        assert_eq!(circles(&arrows(&harmless)), BTreeSet::new());
    }
}
