//! Checks of the documents: the files and folders that they name exist, no link between them is dead, and the
//! constants of doc/format.md are those of the code.

use crate::support::repository;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The first folder of a path of the repository.
const FOLDERS: [&str; 8] =
    ["src/", "tests/", "scripts/", "bindings/", "include/", "examples/", "packaging/", "tools/"];

/// Paths that begin with such a folder, but are meant below an installation prefix.
const INSTALLED: [&str; 1] = ["include/terrace/"];

/// A document without its fenced blocks of code.
struct Document {
    path: PathBuf,
    prose: String,
}

fn documents() -> Vec<Document> {
    let mut paths: Vec<PathBuf> =
        ["README.md", "CONTRIBUTING.md", "tests/README.md"].map(|name| repository().join(name)).into();
    for entry in fs::read_dir(repository().join("doc")).expect("the folder of documents") {
        paths.push(entry.expect("an entry of the folder of documents").path());
    }
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    paths.sort();
    let mut documents = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).expect("a document");
        documents.push(Document { prose: prose(&text), path });
    }
    documents
}

/// The text with fenced blocks of code replaced by empty lines.
fn prose(text: &str) -> String {
    let mut is_code = false;
    let mut prose = String::with_capacity(text.len());
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        if !is_code && !is_fence {
            prose.push_str(line);
        }
        prose.push('\n');
    }
    prose
}

/// The texts between backticks. Each paragraph is split alone, so that a missing backtick affects only one.
fn code_spans(prose: &str) -> impl Iterator<Item = &str> {
    prose.split("\n\n").flat_map(|paragraph| paragraph.split('`').skip(1).step_by(2))
}

/// The paths of the repository in the text between two backticks, without line numbers and function names.
fn paths_in(span: &str) -> Vec<String> {
    let words = span.split_whitespace().filter(|word| FOLDERS.iter().any(|folder| word.starts_with(*folder)));
    let paths = words.map(|word| word.split([':', '#', '(']).next().unwrap_or(word));
    paths.map(|path| path.trim_end_matches([',', ';', '.'])).flat_map(alternatives).collect()
}

/// The paths that `a/{b,c}` stands for.
fn alternatives(path: &str) -> Vec<String> {
    let Some((before, rest)) = path.split_once('{') else { return vec![path.to_owned()] };
    let Some((choices, after)) = rest.split_once('}') else { return vec![path.to_owned()] };
    choices.split(',').flat_map(|choice| alternatives(&format!("{before}{choice}{after}"))).collect()
}

/// Does the file or folder exist? For a pattern with a star: does the folder before the star exist?
fn exists(path: &str) -> bool {
    let fixed = match path.find('*') {
        Some(at) => path[..at].rfind('/').map_or("", |slash| &path[..slash]),
        None => path,
    };
    repository().join(fixed).exists()
}

/// The targets of relative links: the path (empty: the document itself) and the heading (empty: all of it).
fn links(prose: &str) -> Vec<(&str, &str)> {
    let texts = prose.split("\n\n").flat_map(|paragraph| paragraph.split('`').step_by(2));
    let rests = texts.flat_map(|text| text.split("](").skip(1));
    let targets = rests.filter_map(|rest| rest.split([')', ' ']).next());
    let relative = targets.filter(|target| !target.contains(':'));
    relative.map(|target| target.split_once('#').unwrap_or((target, ""))).collect()
}

/// Does the target of a link in the document at `from` exist?
fn leads_somewhere(from: &Path, path: &str, heading: &str) -> bool {
    let target = match path {
        "" => from.to_path_buf(),
        _ => from.parent().unwrap_or(from).join(path),
    };
    if heading.is_empty() {
        return target.exists();
    }
    let text = fs::read_to_string(&target).unwrap_or_default();
    prose(&text).lines().any(|line| line.starts_with('#') && anchor(line) == heading)
}

/// The anchor of a heading, as used in links.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    text.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

/// The rows of the table under the heading "Constants": name, value and file.
fn constants(document: &str) -> Vec<[&str; 3]> {
    let section = document.split("\n## ").find(|section| section.starts_with("Constants\n")).unwrap_or("");
    let mut rows = Vec::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let mut cells = row.split('|').skip(1).map(|cell| cell.trim().trim_matches('`'));
        rows.push(std::array::from_fn(|_| cells.next().unwrap_or("")));
    }
    rows
}

/// The differences between that table and the code, as messages. `read` returns the text of a file.
fn wrong_constants(document: &str, read: impl Fn(&str) -> String) -> Vec<String> {
    let mut wrong = Vec::new();
    for [name, value, file] in constants(document) {
        let source = read(file);
        let declared = declared(&source, name);
        if declared.is_empty() {
            wrong.push(format!("{file} has no constant {name}"));
        }
        let others = declared.into_iter().filter(|other| normalised(other) != normalised(value));
        wrong.extend(others.map(|other| format!("{file}: {name} is {other}, not {value}")));
    }
    wrong
}

/// The values of all constants of this name.
fn declared<'a>(source: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!("const {name}: ");
    let declarations = source.match_indices(&start).map(|(at, _)| &source[at..]);
    let values = declarations.filter_map(|text| text.split_once('=')?.1.split_once(';'));
    values.map(|(value, _)| value.trim()).collect()
}

/// A value, or the elements of an array, as decimal numbers. Other text is kept, without spaces.
fn normalised(value: &str) -> String {
    let elements = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(value);
    let elements = elements.split(',').map(str::trim).filter(|element| !element.is_empty());
    let decimal = |text: &str| match evaluate(text) {
        Some(number) => number.to_string(),
        None => text.replace(' ', ""),
    };
    elements.map(decimal).collect::<Vec<_>>().join(",")
}

/// The value of an expression of numbers, `+`, `-`, `*`, `<<`, parentheses and casts.
fn evaluate(text: &str) -> Option<i128> {
    for operators in [&["<<"][..], &["+", "-"], &["*"]] {
        if let Some((left, operator, right)) = split_at_last(text, operators) {
            let (left, right) = (evaluate(left)?, evaluate(right)?);
            return match operator {
                "<<" => left.checked_shl(u32::try_from(right).ok()?),
                "+" => left.checked_add(right),
                "-" => left.checked_sub(right),
                _ => left.checked_mul(right),
            };
        }
    }
    let text = text.trim();
    if let Some(inner) = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        return evaluate(inner);
    }
    if let Some((number, _)) = text.split_once(" as ") {
        return evaluate(number);
    }
    let digits = text.replace('_', "");
    match (digits.as_str(), digits.strip_prefix("0x")) {
        ("u32::MAX", _) => Some(u32::MAX.into()),
        ("i64::MAX", _) => Some(i64::MAX.into()),
        (_, Some(hex)) => i128::from_str_radix(hex, 16).ok(),
        (decimal, None) => decimal.parse().ok(),
    }
}

/// Splits the text at the last of these operators that is not in parentheses.
fn split_at_last<'a>(text: &'a str, operators: &[&'a str]) -> Option<(&'a str, &'a str, &'a str)> {
    let mut depth = 0;
    for (at, c) in text.char_indices().rev() {
        match c {
            ')' => depth += 1,
            '(' => depth -= 1,
            _ => {}
        }
        let found = operators.iter().find(|operator| text[at..].starts_with(**operator));
        if let (0, Some(operator)) = (depth, found) {
            return Some((&text[..at], *operator, &text[at + operator.len()..]));
        }
    }
    None
}

#[test]
fn what_a_document_names_is_there() {
    let mut missing = Vec::new();
    for document in documents() {
        let named = code_spans(&document.prose).flat_map(paths_in);
        let gone = named.filter(|path| !exists(path) && !INSTALLED.contains(&path.as_str()));
        missing.extend(gone.map(|path| format!("{}: {path}", document.path.display())));
    }
    assert!(missing.is_empty(), "named, but not there:\n{}", missing.join("\n"));
}

#[test]
fn no_link_of_a_document_is_dead() {
    let mut dead = Vec::new();
    for document in documents() {
        let links = links(&document.prose).into_iter();
        let gone = links.filter(|(path, heading)| !leads_somewhere(&document.path, path, heading));
        dead.extend(gone.map(|(path, heading)| format!("{}: {path}#{heading}", document.path.display())));
    }
    assert!(dead.is_empty(), "dead links:\n{}", dead.join("\n"));
}

#[test]
fn the_constants_of_the_format_are_those_of_the_code() {
    let document = fs::read_to_string(repository().join("doc/format.md")).expect("doc/format.md");
    assert!(constants(&document).len() > 50, "the table of constants is gone, or has another form");
    let read = |file: &str| fs::read_to_string(repository().join(file)).unwrap_or_default();
    let wrong = wrong_constants(&document, read);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_case_file_is_listed() {
    let listed = fs::read_to_string(repository().join("tests/README.md")).expect("the document of the tests");
    let files = |path: &Path| -> Vec<String> {
        let entries = fs::read_dir(repository().join(path)).expect("a folder of case files");
        entries.map(|entry| format!("{}/{}", path.display(), entry.unwrap().file_name().display())).collect()
    };
    let folders = files(Path::new("tests/testdata"));
    let missing: Vec<_> = folders
        .iter()
        .flat_map(|folder| files(Path::new(folder)))
        .filter(|file| !listed.contains(&format!("`{file}`")))
        .collect();
    assert!(missing.is_empty(), "tests/README.md does not list {missing:?}");
}

#[test]
fn a_wrong_constant_is_noticed() {
    let source = [
        "pub const SIZE: usize = 32_768;",
        "const MOST: u64 = (1 << 56) - 1;",
        "const SEED: u32 = 0xbc9f_1d34;",
        "const LONG: usize = u32::MAX as usize - (64 << 10);",
        "const TWO: [u8; 2] = [0x28, 0xb5];",
        "const NAME: &[u8] = b\"a.b\";",
        "const SUM: usize = 2 * SIZE + OTHER;",
    ]
    .join("\n");
    let count_wrong = |name: &str, value: &str| {
        let row = format!("| `{name}` | `{value}` | `src/x.rs` |");
        let document = format!("# Page\n\n## Constants\n\n| name |\n|---|\n{row}\n\n## More\n\n{row}\n");
        assert_eq!(constants(&document), [[name, value, "src/x.rs"]]);
        wrong_constants(&document, |_| source.clone()).len()
    };
    for (name, value, other) in [
        ("SIZE", "32768", "32767"),
        ("SIZE", "1 << 15", "1 << 14"),
        ("SIZE", "32 * 1024", "32 + 1024"),
        ("MOST", "0xffffffffffffff", "1 << 56"),
        ("SEED", "0xbc9f1d34", "0xbc9f1d35"),
        ("LONG", "4294901759", "4294967295"),
        ("TWO", "[40, 181]", "[181, 40]"),
        ("NAME", "b\"a.b\"", "b\"a.c\""),
        ("SUM", "2 * SIZE + OTHER", "SIZE + OTHER"),
    ] {
        assert_eq!((count_wrong(name, value), count_wrong(name, other)), (0, 1), "{name}, {value}, {other}");
    }
    assert_eq!(count_wrong("IZE", "32768"), 1, "no such constant");
}

#[test]
fn what_is_missing_is_noticed() {
    let text = [
        "See `src/lib.rs:7`, `src/db/{get,no}.rs`",
        "and `make x tests/*.no`.",
        "",
        "```",
        "`src/y`",
        "```",
        "",
        "[a](tests/no.md) `[b](c)`",
        "[d](https://x.y/) [`e`](README.md#two-commands) [f](#g)",
    ];
    let prose = prose(&text.join("\n"));
    let named: Vec<String> = code_spans(&prose).flat_map(paths_in).collect();
    assert_eq!(named, ["src/lib.rs", "src/db/get.rs", "src/db/no.rs", "tests/*.no"]);
    let there: Vec<bool> = named.iter().map(|path| exists(path)).collect();
    assert!(there[0] && !there[2] && there[3], "{there:?}");
    assert_eq!(links(&prose), [("tests/no.md", ""), ("README.md", "two-commands"), ("", "g")]);
    let readme = repository().join("README.md");
    assert!(leads_somewhere(&readme, "README.md", "two-commands") && leads_somewhere(&readme, "tests", ""));
    assert!(!leads_somewhere(&readme, "tests/no.md", "") && !leads_somewhere(&readme, "", "g"));
}

/// Is it a name of Rust code: with an underscore, a capital within, or a path?
fn is_name(span: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let has_hump =
        span.as_bytes().windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
    span.chars().all(is_word) && (span.contains('_') || span.contains("::") || has_hump)
}

/// Names of functions and types under doc/ that no source has. Names of other projects stand in a section for
/// their readers.
fn unknown_names(prose: &str, words: &BTreeSet<String>) -> Vec<String> {
    let sections = prose.split("\n## ").filter(|section| !section.starts_with("If you know another engine"));
    let spans = sections.flat_map(code_spans).map(|span| span.trim_end_matches("()"));
    let parts = spans.filter(|span| is_name(span)).flat_map(|span| span.split("::"));
    parts.filter(|part| !part.is_empty() && !words.contains(*part)).map(str::to_owned).collect()
}

/// All words of all sources.
fn words() -> BTreeSet<String> {
    fn collect(path: &Path, words: &mut BTreeSet<String>) {
        if path.is_dir() {
            for entry in fs::read_dir(path).expect("a folder") {
                collect(&entry.expect("an entry").path(), words);
            }
        } else if let Ok(text) = fs::read_to_string(path) {
            words.extend(text.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned));
        }
    }
    let mut words = BTreeSet::new();
    for place in ["src", "tests", "bindings", "scripts", "include", "build.rs", "Cargo.toml", "Makefile"] {
        collect(&repository().join(place), &mut words);
    }
    words
}

#[test]
fn functions_and_types_that_documents_name_are_in_the_source() {
    let words = words();
    let mut wrong = Vec::new();
    for document in
        documents().iter().filter(|document| document.path.parent().is_some_and(|dir| dir.ends_with("doc")))
    {
        let names = unknown_names(&document.prose, &words);
        wrong.extend(names.iter().map(|name| format!("{}: {name}", document.path.display())));
    }
    assert!(wrong.is_empty(), "no source has these names:\n{}", wrong.join("\n"));
}

#[test]
fn a_name_that_is_gone_is_noticed() {
    let words = BTreeSet::from(["WalWriter".to_owned(), "mark_torn".to_owned()]);
    let prose = "`WalWriter::mark_torn()` and `WalWriter::gone`, not `word` or `a b_c`\n\n`goneToo`";
    assert_eq!(unknown_names(prose, &words), ["gone", "goneToo"]);
    assert!(unknown_names("x\n## If you know another engine\n`DBImpl::Get`", &words).is_empty());
}

/// The text of a file, and of the files of the folder with its name.
fn text_of(path: &str) -> String {
    let path = repository().join(path);
    let mut text = fs::read_to_string(&path).unwrap_or_default();
    for entry in fs::read_dir(path.with_extension("")).into_iter().flatten() {
        text.push_str(&fs::read_to_string(entry.expect("an entry").path()).unwrap_or_default());
    }
    text
}

/// The names that a document says are in a file: `path:name`, and `path` (`name`, `name`).
fn names_in_files(prose: &str) -> Vec<(&str, &str)> {
    let is_source = |path: &str| path.starts_with("src/") && path.ends_with(".rs");
    let mut found = Vec::new();
    for paragraph in prose.split("\n\n") {
        let pieces: Vec<&str> = paragraph.split('`').collect();
        let mut list_of = None;
        for (at, piece) in pieces.iter().enumerate() {
            if at % 2 == 0 {
                // Between two spans: a list begins with a parenthesis, and continues with commas.
                let opens = piece.trim() == "(" && at > 0 && is_source(pieces[at - 1]);
                list_of = if opens { Some(pieces[at - 1]) } else { list_of.filter(|_| piece.trim() == ",") };
            } else if let Some(path) = list_of {
                found.push((path, *piece));
            } else if let Some((path, name)) = piece.split_once(':')
                && is_source(path)
            {
                found.push((path, name));
            }
        }
    }
    found
}

#[test]
fn names_are_in_the_files_that_documents_say() {
    let mut wrong = Vec::new();
    for document in documents() {
        for (path, name) in names_in_files(&document.prose) {
            let last = name.trim_end_matches("()").rsplit("::").next().unwrap_or_default();
            let is_word = !last.is_empty() && last.chars().all(|c| c.is_alphanumeric() || c == '_');
            let has =
                |text: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == last);
            if is_word && !has(&text_of(path)) {
                wrong.push(format!("{}: {path} has no {name}", document.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_in_files_are_found_in_every_spelling() {
    let prose = "See `src/a.rs:f`, `src/b.rs` (`G::h`, `i`) and `src/c.rs`, `j` (`k`).\n\n`x` (`y`)";
    assert_eq!(names_in_files(prose), [("src/a.rs", "f"), ("src/b.rs", "G::h"), ("src/b.rs", "i")]);
}
