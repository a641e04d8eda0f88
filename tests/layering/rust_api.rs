//! `doc/rust-api.txt` lists the public Rust API: what `src/lib.rs` re-exports and what its public modules
//! have, with all signatures, fields, variants and implemented traits. A change of the list is a change of
//! what programs may use; it is meant, or it is a mistake.
//!
//! The list is made from the source, which rustfmt has formatted. Items that only tests have (`#[cfg(...)]`),
//! and hidden ones, are not in it. The `impl` blocks of a type are looked for by its name, on its floor.

use super::circles::{Exports, exports, target};
use super::sources;
use crate::support::repository;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// `make rust-api` sets it.
const UPDATE: &str = "TERRACE_UPDATE_RUST_API";

/// How the list begins.
const HEADER: &str =
    "# The public Rust API, as tests/layering/rust_api.rs reads it from src; `make rust-api` renews it.";

type Sources = BTreeMap<String, String>;

/// One item: `pub fn f() -> u8`, `impl Db`. All in one line, without attributes.
struct Item<'a> {
    attributes: Vec<&'a str>,
    head: String,
    /// What its braces hold; nothing if it has none.
    body: &'a str,
}

/// The length of the text up to the first of `ends` that is in no bracket.
fn length_until(text: &str, ends: &[char]) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            _ if depth == 0 && ends.contains(&c) => return at,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

fn in_one_line(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.replace("( ", "(").replace(", )", ")").replace(" )", ")").replace(",)", ")").replace("< ", "<")
}

/// The items of a file, or of the body of an `impl` or a trait.
fn items(mut code: &str) -> Vec<Item<'_>> {
    let mut items = Vec::new();
    loop {
        let mut attributes = Vec::new();
        code = code.trim_start();
        while let Some(start) = code.find('[').filter(|_| code.starts_with('#')) {
            let end = start + 1 + length_until(&code[start + 1..], &[']']);
            attributes.push(&code[start + 1..end]);
            code = code[end + 1..].trim_start();
        }
        if code.is_empty() {
            return items;
        }
        let is_use = code.starts_with("use ") || code.starts_with("pub use ");
        let length = length_until(code, if is_use { &[';'] } else { &[';', '{'] });
        let (head, rest) = code.split_at(length);
        let mut body = "";
        code = rest.get(1..).unwrap_or("");
        if rest.starts_with('{') {
            let end = length_until(code, &['}']);
            body = &code[..end];
            code = code.get(end + 1..).unwrap_or("").trim_start().trim_start_matches(';');
        }
        let value = head.find(" = ").filter(|_| head.contains("const "));
        items.push(Item { attributes, head: in_one_line(&head[..value.unwrap_or(length)]), body });
    }
}

impl<'a> Item<'a> {
    fn is_shown(&self) -> bool {
        !self.attributes.iter().any(|attribute| attribute.starts_with("cfg(") || *attribute == "doc(hidden)")
    }

    /// The word after a keyword: of `pub struct Db {`, after `struct`, `Db`.
    fn name_after(&self, keyword: &str) -> Option<&str> {
        let after = self.head.strip_prefix("pub ")?.strip_prefix(keyword)?.strip_prefix(' ')?;
        after.split(|c: char| !c.is_alphanumeric() && c != '_').next()
    }

    fn name(&self) -> Option<&str> {
        let keywords = ["struct", "enum", "trait", "type", "fn", "const", "static", "mod"];
        keywords.iter().find_map(|keyword| self.name_after(keyword))
    }

    /// The type of an `impl`, and the trait if it is of one.
    fn implements(&self) -> Option<(&str, Option<&str>)> {
        let rest = self.head.strip_prefix("impl")?;
        let rest = match rest.strip_prefix('<') {
            Some(generics) => &generics[generics.find("> ")? + 1..],
            None => rest,
        };
        let (of, what) = match rest.trim_start().split_once(" for ") {
            Some((of, what)) => (Some(of), what),
            None => (None, rest.trim_start()),
        };
        // The type of `&'a WriteBatch` is `WriteBatch`.
        let what = match what.strip_prefix('&') {
            Some(borrowed) => borrowed.rsplit(' ').next()?,
            None => what,
        };
        let what = what.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
        Some((what, of))
    }

    /// The head; of a tuple struct without its private fields.
    fn shown_head(&self) -> String {
        match self.head.split_once('(') {
            Some((before, fields)) if self.name_after("struct").is_some() && !fields.contains("pub ") => {
                format!("{before}(..)")
            }
            _ => self.head.clone(),
        }
    }

    /// The lines of the item itself: its head, what is derived, its public fields, its variants, a trait's
    /// functions.
    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.attributes.iter().filter(|a| **a == "non_exhaustive").map(|a| format!("#[{a}]")).collect();
        lines.push(self.shown_head());
        if let Some(derived) = self.attributes.iter().find_map(|attribute| attribute.strip_prefix("derive("))
        {
            let traits = in_one_line(derived.trim_end_matches(')'));
            lines.extend(traits.trim_end_matches(',').split(", ").map(|name| format!("    impl {name}")));
        }
        if self.name_after("trait").is_some() {
            lines.extend(items(self.body).iter().map(|item| format!("    {}", item.head)));
        } else if self.name_after("struct").is_some() || self.name_after("enum").is_some() {
            let is_enum = self.name_after("enum").is_some();
            let mut rest = self.body;
            while !rest.trim().is_empty() {
                let length = length_until(rest, &[',']);
                // A field or a variant is read as an item that ends with a comma.
                let member = format!("{};", &rest[..length]);
                let shown = items(&member).into_iter().filter(Item::is_shown);
                for member in shown.filter(|member| is_enum || member.head.starts_with("pub ")) {
                    let fields = match member.body.trim() {
                        "" => String::new(),
                        fields => format!(" {{ {} }}", in_one_line(&without_attributes(fields))),
                    };
                    lines.push(format!("    {}{fields}", member.head));
                }
                rest = rest.get(length + 1..).unwrap_or("");
            }
        }
        lines
    }
}

fn without_attributes(fields: &str) -> String {
    fields.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n")
}

/// Has the file, and each file that it stands under, a place in the shipped library?
fn is_shipped(sources: &Sources, file: &str) -> bool {
    let Some((parent, name)) = file.rsplit_once('/') else { return true };
    let declared = sources.get(parent).map(|code| items(code)).unwrap_or_default();
    let is_it = |item: &&Item<'_>| item.head.rsplit_once("mod ").is_some_and(|(_, module)| module == name);
    declared.iter().find(is_it).is_none_or(Item::is_shown) && is_shipped(sources, parent)
}

/// What the `impl` blocks of a floor have for a type.
fn implementations(sources: &Sources, file: &str, name: &str) -> BTreeSet<String> {
    let floor = |file: &str| file.split('/').next().map(str::to_owned);
    let files = sources.iter().filter(|(other, _)| floor(other) == floor(file));
    let mut found = BTreeSet::new();
    for (_, code) in files.filter(|(file, _)| is_shipped(sources, file)) {
        for item in items(code).into_iter().filter(Item::is_shown) {
            match item.implements() {
                Some((what, None)) if what == name => {
                    let functions = items(item.body).into_iter().filter(Item::is_shown);
                    found.extend(
                        functions.filter(|f| f.head.starts_with("pub ")).map(|f| format!("    {}", f.head)),
                    );
                }
                Some((what, Some(of))) if what == name => {
                    found.insert(format!("    impl {of}"));
                }
                _ => {}
            }
        }
    }
    found
}

/// The lines of an item of a file, and of what is implemented for it.
fn describe(sources: &Sources, file: &str, item: &Item<'_>) -> String {
    let mut lines = item.lines();
    let name = item.name().unwrap_or("");
    let is_type = ["struct", "enum"].iter().any(|keyword| item.name_after(keyword).is_some());
    if is_type {
        lines.extend(implementations(sources, file, name));
    }
    // An alias is followed: its type may have no public name.
    if let Some((_, of)) = item.head.split_once(" = ").filter(|_| item.name_after("type").is_some()) {
        lines.extend(implementations(sources, file, of.split('<').next().unwrap_or(of)));
    }
    lines.join("\n")
}

/// What a public module has, and its public modules.
fn module(sources: &Sources, file: &str, path: &str, into: &mut Vec<String>) {
    into.push(format!("mod {path}"));
    for item in items(&sources[file]).iter().filter(|item| item.is_shown()) {
        match (item.name_after("mod"), item.head.starts_with("pub ")) {
            (Some(name), _) => module(sources, &format!("{file}/{name}"), &format!("{path}::{name}"), into),
            (None, true) => into.push(describe(sources, file, item)),
            _ => {}
        }
    }
}

/// The public API of the crate.
fn rust_api(sources: &Sources) -> String {
    let exports: Exports = exports(sources);
    let mut parts = Vec::new();
    for item in items(&sources["lib"]).iter().filter(|item| item.is_shown()) {
        if let Some(name) = item.name_after("mod") {
            module(sources, name, name, &mut parts);
        }
        let Some(path) = item.head.strip_prefix("pub use ") else { continue };
        let (folder, names) = path.rsplit_once("::").expect("a path");
        for name in names.trim_matches(['{', '}']).split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let mut path: Vec<String> = folder.split("::").map(str::to_owned).collect();
            path.push(name.to_owned());
            let file = target(&path, sources, &exports).unwrap_or_else(|| panic!("{path:?} is in no file"));
            let items = items(&sources[&file]);
            let item = items.iter().find(|item| item.name() == Some(name));
            parts.push(describe(sources, &file, item.unwrap_or_else(|| panic!("{file} has no {name}"))));
        }
    }
    format!("{HEADER}\n\n{}\n", parts.join("\n\n"))
}

#[test]
fn the_public_rust_api_is_the_listed_one() {
    let path = repository().join("doc/rust-api.txt");
    let found = rust_api(&sources());
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, &found).expect("doc/rust-api.txt");
    }
    let listed = fs::read_to_string(&path).unwrap_or_default();
    let only = |a: &str, b: &str| {
        let others: BTreeSet<&str> = b.lines().collect();
        a.lines().filter(|line| !others.contains(line)).map(|line| format!("\n  {line}")).collect::<String>()
    };
    assert!(
        found == listed,
        "the public Rust API is not that of doc/rust-api.txt; if that is meant, run `make rust-api` and \
         commit it\n\
         not listed:{}\nonly listed:{}",
        only(&found, &listed),
        only(&listed, &found)
    );
}

#[test]
fn each_change_of_the_public_api_is_noticed() {
    let library = |store: &str| -> Sources {
        let lib = "mod store; pub mod env; #[cfg(test)] pub mod t; pub use store::{Alias, Handle, Tuple};";
        let env =
            "pub(crate) mod inner; pub trait Env { fn a(&self); fn b(&self) {} } fn c() {} pub fn d<'a>() {}";
        let tests = "impl Handle<'_> { pub fn k() {} }";
        let inner = "pub fn hidden() {}";
        let files = [("lib", lib), ("store", store), ("store/t", tests), ("env", env), ("env/inner", inner)];
        files.iter().map(|(file, text)| ((*file).to_owned(), super::code(text))).collect()
    };
    let store = "#[cfg(test)]\nmod t; use x::{y, z}; pub struct Tuple(u8, u16);\n\
        #[derive(Clone)]\n#[non_exhaustive]\n\
        pub struct Handle<'a> { pub a: Vec<(u8, u8)>, b: u8, #[cfg(test)] pub t: u8 }\n\
        impl Handle<'_> { pub fn f(\n    &self,\n    x: [u8; 3],\n) -> u8 { if true { 1 } else { 2 } } \
        fn g() {} \
        #[cfg(test)] pub fn t() {} pub(crate) fn h() {} pub const N: u8 = 1; }\n\
        impl Drop for Handle<'_> { fn drop(&mut self) {} }\n\
        impl<'a, 'b: 'a> Send for &'a Handle<'b> {}\n\
        pub type Alias = Generic<u8>; struct Generic<V>(V);\n\
        impl<V: Clone> Generic<V> { pub fn new() -> Self {} }";
    let api = rust_api(&library(store));
    let expected = "mod env\n\npub trait Env\n    fn a(&self)\n    fn b(&self)\n\npub fn d<'a>()\n\n\
        pub type Alias = Generic<u8>\n    pub fn new() -> Self\n\n\
        #[non_exhaustive]\npub struct Handle<'a>\n    impl Clone\n    pub a: Vec<(u8, u8)>\n    impl Drop\n    \
        impl Send\n    pub const N: u8\n    pub fn f(&self, x: [u8; 3]) -> u8\n\n\
        pub struct Tuple(..)\n";
    let expected = format!("{HEADER}\n\n{expected}");
    assert_eq!(api, expected);
    for (from, to) in [
        ("#[non_exhaustive]", ""),
        ("pub a", "a"),
        ("x: [u8; 3]", "x: [u8; 4]"),
        ("fn g()", "pub fn g()"),
        ("#[cfg(test)] pub fn t", "pub fn t"),
        ("Clone)", "Clone, Copy)"),
        ("fn new() -> Self", "fn new() -> u8"),
        ("Drop for", "Sync for"),
        ("#[cfg(test)]\nmod", "mod"),
        ("Tuple(u8", "Tuple(pub u8"),
    ] {
        assert!(store.contains(from) && rust_api(&library(&store.replace(from, to))) != expected, "{from}");
    }
}
