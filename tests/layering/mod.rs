//! The structure rules that a compiler does not check. A folder uses only folders of its own floor and of
//! lower floors, by the list in doc/architecture.md. Unsafe code is only in the places listed there. The
//! files of a folder form no circle (`circles`).

mod circles;
mod rust_api;

use crate::support::repository;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The lines of the first fenced block under this heading of `doc/architecture.md`.
fn listed(heading: &str) -> Vec<String> {
    let path = repository().join("doc/architecture.md");
    let text = fs::read_to_string(&path).expect("doc/architecture.md");
    let section = text.split_once(&format!("\n## {heading}\n")).expect(heading).1;
    let block = section.split("\n```").nth(1).expect("a fenced block");
    let lines = block.lines().skip(1).map(|line| line.trim().to_owned());
    lines.filter(|line| !line.is_empty()).collect()
}

/// The floors, lowest first. Names on one line share a floor and may use each other.
fn floors() -> Vec<Vec<String>> {
    let names = |line: String| line.split_whitespace().map(str::to_owned).collect();
    listed("Floors").into_iter().map(names).collect()
}

/// The source files under `src`. The key is the path from there without the ending.
fn sources() -> BTreeMap<String, String> {
    fn collect(directory: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).expect("a source directory") {
            let path = entry.expect("an entry of a source directory").path();
            if path.is_dir() {
                collect(&path, into);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                into.push(path);
            }
        }
    }
    let root = repository().join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    let sources = paths.into_iter().map(|path| {
        let name = path.strip_prefix(&root).expect("a path under the root").with_extension("");
        (name.to_string_lossy().into_owned(), code(&fs::read_to_string(&path).expect("a source file")))
    });
    sources.collect()
}

/// The text without its comments, and with empty string and character literals.
fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if rest.starts_with("/*") {
            rest = &rest[block_comment_length(rest)..];
        } else if first == '"' {
            code.push_str("\"\"");
            rest = &rest[1 + string_length(&rest[1..])..];
        } else if let Some(hashes) = raw_string_hashes(rest) {
            let end = format!("\"{}", "#".repeat(hashes));
            let body = &rest[hashes + 2..];
            code.push_str("\"\"");
            rest = &body[body.find(&end).map_or(body.len(), |at| at + end.len())..];
        } else if first == '\'' && character_length(rest).is_some() {
            code.push_str("' '");
            rest = &rest[character_length(rest).expect("just looked at")..];
        } else {
            // A whole word is copied at once, so that an `r` inside of a word does not begin a raw string.
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let length = if word == 0 { first.len_utf8() } else { word };
            code.push_str(&rest[..length]);
            rest = &rest[length..];
        }
    }
    code
}

fn block_comment_length(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let here = &text.as_bytes()[at..];
        let step = match here {
            [b'/', b'*', ..] => {
                depth += 1;
                2
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                2
            }
            _ => 1,
        };
        at += step;
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of the rest of a string literal, including its closing quote.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The number of hashes, if a raw string begins here.
fn raw_string_hashes(text: &str) -> Option<usize> {
    let after = text.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].starts_with('"').then_some(hashes)
}

/// The length of a character literal; `None` for a lifetime.
fn character_length(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    if let Some(escape) = body.strip_prefix('\\') {
        let end = escape.char_indices().skip(1).find(|(_, c)| *c == '\'')?.0;
        return Some(2 + end + 1);
    }
    let first = body.chars().next()?;
    body[first.len_utf8()..].starts_with('\'').then_some(2 + first.len_utf8())
}

/// The first name of each path from the crate's root, as in `crate::table::Reader` and `use crate::{env,
/// util::x}`.
fn names_used(code: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let mut names = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let after = &code[at + "crate::".len()..];
        // `$crate::` of a macro counts; `mycrate::` does not.
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        match after.trim_start().strip_prefix('{') {
            Some(group) => names.extend(group_members(group).iter().map(|member| word(member))),
            None => names.push(word(after)),
        }
    }
    names
}

/// The members of a `{...}` group without its opening brace, split at the group's own commas.
fn group_members(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut members) = (0, 0, Vec::new());
    for (at, byte) in group.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => {
                members.push(&group[start..at]);
                break;
            }
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                members.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    members.retain(|member| !member.trim().is_empty());
    members
}

/// The folder from which `lib.rs` re-exports each name.
fn re_exports(lib: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for line in lib.split(';').filter_map(|item| item.trim().strip_prefix("pub use ")) {
        let (path, names) = line.rsplit_once("::").unwrap_or((line, line));
        let folder = path.trim_start_matches("crate::").split("::").next().unwrap_or_default();
        for name in names.trim_matches(['{', '}']).split(',') {
            let name = name.rsplit(" as ").next().unwrap_or(name).trim();
            found.insert(name.to_owned(), folder.to_owned());
        }
    }
    found
}

fn floor_of(floors: &[Vec<String>], folder: &str) -> Option<usize> {
    floors.iter().position(|floor| floor.iter().any(|name| name == folder))
}

/// The uses in one file that point to a higher floor, or to none.
fn arrows_up(
    floors: &[Vec<String>],
    file: &str,
    code: &str,
    re_exports: &BTreeMap<String, String>,
) -> Vec<String> {
    let own = file.split('/').next().expect("a split has a first part");
    let Some(own_floor) = floor_of(floors, own) else {
        return vec![format!("src/{file}.rs is on no floor: add {own} to the list of doc/architecture.md")];
    };
    let mut wrong = Vec::new();
    for name in names_used(code) {
        let folder = re_exports.get(&name).unwrap_or(&name);
        match floor_of(floors, folder) {
            Some(floor) if floor <= own_floor => {}
            Some(_) => {
                wrong.push(format!("src/{file}.rs uses crate::{name}, which is on a floor above {own}"))
            }
            None => wrong.push(format!("src/{file}.rs uses crate::{name}, which is on no floor")),
        }
    }
    wrong
}

#[test]
fn no_arrow_points_back_up() {
    let (floors, sources) = (floors(), sources());
    let re_exports = re_exports(&sources["lib"]);
    let wrong: Vec<String> = sources
        .iter()
        .filter(|(file, _)| *file != "lib")
        .flat_map(|(file, code)| arrows_up(&floors, file, code, &re_exports))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_stays_where_it_may_be() {
    let places = listed("Unsafe code");
    let allowed = |file: &str| {
        places.iter().any(|place| {
            file.strip_prefix(place.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '_']))
        })
    };
    let is_unsafe = |code: &str| {
        code.split(|c: char| !c.is_alphanumeric() && c != '_')
            .any(|word| word == "unsafe" || word == "no_mangle")
    };
    let sources = sources();
    let wrong: Vec<&String> = sources
        .iter()
        .filter(|(file, code)| !allowed(file) && is_unsafe(code))
        .map(|(file, _)| file)
        .collect();
    assert!(wrong.is_empty(), "unsafe code in {wrong:?}, where doc/architecture.md does not list it");
}

/// Calls for the system's clocks and threads. Only an `Env` may make them, so that a test can replace the
/// time and the threads.
const CLOCKS_AND_THREADS: [&str; 5] =
    ["Instant::now(", "SystemTime::now(", "thread::spawn(", "thread::Builder::", "thread::sleep("];

/// Where these calls are allowed. The timers of workers wait on a condition variable, which only has the
/// system's clock.
const MAY_HAVE_CLOCKS: [&str; 2] = ["env", "background/pool"];

#[test]
fn clocks_and_threads_come_from_the_env() {
    let is_allowed = |file: &str| {
        let parts = |part| ["tests", "models", "test_support", "model"].contains(&part);
        MAY_HAVE_CLOCKS.iter().any(|place| file.starts_with(place)) || file.split('/').any(parts)
    };
    let sources = sources();
    let wrong: Vec<String> = sources
        .iter()
        .filter(|(file, _)| !is_allowed(file))
        .flat_map(|(file, code)| {
            let code = code.split("\nmod tests {").next().expect("a first part");
            let found = CLOCKS_AND_THREADS.iter().filter(|name| code.contains(**name));
            found.map(move |name| format!("src/{file}.rs calls {name}), not the Env"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_line_of_a_comment_is_longer_than_110_columns() {
    let root = repository().join("src");
    let mut wrong = Vec::new();
    for file in sources().keys() {
        let text = fs::read_to_string(root.join(file).with_extension("rs")).expect("a source file");
        let is_too_long = |line: &&str| line.trim_start().starts_with("//") && line.chars().count() > 110;
        wrong.extend(text.lines().filter(is_too_long).map(|line| format!("src/{file}.rs: {line}")));
    }
    assert!(wrong.is_empty(), "rustfmt does not wrap comments:\n{}", wrong.join("\n"));
}

#[test]
fn an_arrow_up_is_noticed_in_every_spelling() {
    let floors = floors();
    let re_exports = BTreeMap::from([("Db".to_owned(), "db".to_owned())]);
    for bad in [
        "use crate::db::Db;",
        "use crate::{error, db::{self, Db}};",
        "fn f() -> crate::version::Version {}",
        "use crate::Db;",
        "use crate::{\n    util::x,\n    Db,\n};",
        "use crate::nowhere::X;",
    ] {
        assert_eq!(arrows_up(&floors, "table/x", &code(bad), &re_exports).len(), 1, "{bad}");
    }
    for good in [
        "use crate::{error::Error, table::block::Block};",
        "// use crate::db::Db;",
        "/* use crate::db; /* nested */ crate::db */",
        "const S: &str = \"use crate::db\"; const R: &str = r#\"a \" crate::db\"#; const C: char = '\"';",
        "fn f<'a>(x: &'a u8) -> mycrate::db::X {}",
    ] {
        assert_eq!(arrows_up(&floors, "table/x", &code(good), &re_exports), Vec::<String>::new(), "{good}");
    }
}
