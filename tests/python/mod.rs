//! The Python package: its own tests, plyvel's tests, its types, its wheel in an empty environment, and its
//! examples.
//!
//! `scripts/python-env.sh` creates the environment in which they run, under `target/python`.

use crate::support::{Tool, repository, scratch, terrace_path};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The directory with the environment and plyvel's source.
fn environment() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let script = repository().join("scripts/python-env.sh");
        let printed = Tool::new("sh", "dash").args([script]).run();
        PathBuf::from(printed.trim_end())
    })
}

/// A program of the environment, with the library under test and the package's source.
fn tool(program: &str) -> Tool {
    let path = environment().join("env/bin").join(program);
    Tool::new(path.to_str().expect("a path in UTF-8"), "python3-venv")
        .env("PYTHONPATH", package().join("src"))
        .env("TERRACE_LIBRARY", terrace_path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
}

fn package() -> PathBuf {
    repository().join("bindings/python")
}

/// The number before `what` in pytest's last line: "2 failed, 93 passed in 4.70s".
fn count(printed: &str, what: &str) -> u32 {
    let last = printed.trim_end().lines().last().unwrap_or("");
    let words: Vec<&str> = last.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let number = words.windows(2).find(|pair| pair[1] == what).map(|pair| pair[0].parse());
    number.map_or(0, |number| number.expect("a number before what it counts"))
}

#[test]
fn the_packages_tests_pass() {
    let scratch = scratch();
    let printed = tool("python")
        .args(["-m", "pytest", "--basetemp"])
        .args([scratch.path().join("pytest")])
        .current_dir(&package())
        .run();
    println!("{}", printed.trim_end().lines().last().unwrap_or(""));
    assert!(count(&printed, "passed") >= 140, "{printed}");
    assert_eq!(count(&printed, "skipped") + count(&printed, "xfailed"), 0, "{printed}");
}

/// The tests of plyvel 1.5.1 with another import. As root, one of them cannot pass, not even with plyvel: it
/// expects that a directory without write permission cannot be written to.
#[test]
fn plyvels_own_tests_pass() {
    let scratch = scratch();
    let source = environment().join("plyvel/plyvel-1.5.1/test/test_plyvel.py");
    let text = fs::read_to_string(&source).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
    assert!(text.contains("\nimport plyvel\n"));
    let changed = scratch.path().join("test_plyvel.py");
    fs::write(&changed, text.replace("\nimport plyvel\n", "\nimport terrace as plyvel\n")).expect("a file");

    let pytest = || tool("python").args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]).args([&changed]);
    let read_only = "test_open_read_only_dir";
    let is_root = Tool::new("id", "coreutils").args(["-u"]).run().trim() == "0";
    let tests = if is_root { pytest().args(["-k", &format!("not {read_only}")]) } else { pytest() };
    let printed = tests.current_dir(scratch.path()).run();
    println!("{}", printed.trim_end().lines().last().unwrap_or(""));
    assert_eq!(count(&printed, "passed"), if is_root { 53 } else { 54 }, "{printed}");
    assert_eq!(count(&printed, "deselected"), u32::from(is_root), "{printed}");
}

#[test]
fn mypy_finds_nothing_in_the_package() {
    let scratch = scratch();
    let printed = tool("mypy").args(["--cache-dir"]).args([scratch.path()]).current_dir(&package()).run();
    assert!(printed.contains("no issues found"), "{printed}");
}

/// Builds a wheel as `make wheel` does, and installs it into an empty environment.
#[test]
fn the_wheel_works_in_an_empty_environment() {
    let scratch = scratch();
    let wheels = scratch.path().join("wheels");
    environment();
    let script = repository().join("scripts/wheel.sh");
    let printed =
        Tool::new("sh", "dash").args([script, wheels.clone()]).env("TERRACE_LIB", terrace_path()).run();
    let wheel = Path::new(printed.trim_end());
    let name = wheel.file_name().and_then(|name| name.to_str()).expect("the name of a wheel");
    println!("{name}: {} bytes", fs::metadata(wheel).expect("a wheel").len());
    assert!(name.starts_with("terrace-0.1.0-py3-none-manylinux_2_") || name.contains("-linux_"), "{name}");

    let empty = scratch.path().join("empty");
    tool("python").args(["-m", "venv"]).args([&empty]).run();
    let run = |program: &str, arguments: &[&str]| {
        let program = empty.join("bin").join(program);
        Tool::new(program.to_str().expect("a path in UTF-8"), "python3-venv")
            .args(arguments)
            .env_remove("TERRACE_LIBRARY")
            .env_remove("PYTHONPATH")
            .current_dir(scratch.path())
            .run()
    };
    let wheel = wheel.to_str().expect("a path in UTF-8");
    run("pip", &["--disable-pip-version-check", "install", "-q", "--no-index", "--no-deps", wheel]);
    let program = "import terrace\n\
        with terrace.DB('db', create_if_missing=True) as db:\n    \
            db.put(b'a', b'1'); print(list(db), terrace.library_path)";
    let printed = run("python", &["-c", program]);
    assert!(printed.starts_with("[(b'a', b'1')] "), "{printed}");
    assert!(printed.trim_end().ends_with("site-packages/terrace/libterrace.so.0"), "{printed}");
}

/// Five control records, and the fourth a second time.
const RECORDS: &str = "\
Package: libstore1\nVersion: 1.0\nSection: libs\nInstalled-Size: 300\nDescription: fast key value store\n A long text.\n\n\
Package: store-tools\nVersion: 1.0\nSection: contrib/utils\nInstalled-Size: 2048\nDepends: libstore1 (>= 1.0), libc6\n\
Description: tools for the fast store\n\n\
Package: libother\nSection: libs\nInstalled-Size: 5000\nDepends: libc6 | musl\nDescription: value <added> & nothing\n\n\
Package: viewer\nSection: utils\nDepends: libstore1\nDescription: shows a store\n\n\
Package: libc6\nSection: libs\nInstalled-Size: 13000\nDescription: GNU C Library\n\n\
Package: viewer\nSection: x11\nInstalled-Size: 7\nDepends: libother\nDescription: shows a key value store\n";

#[test]
fn the_example_answers_questions_and_makes_a_page() {
    let scratch = scratch();
    let records = scratch.path().join("records");
    fs::write(&records, RECORDS).expect("a file");
    let program = repository().join("examples/python/packages.py");
    let call = |arguments: &[&str]| {
        tool("python").args([&program]).args(arguments).current_dir(scratch.path()).run()
    };
    for _ in 0..2 {
        // Loading the same records again changes nothing.
        assert_eq!(call(&["load", "db", "records"]), "6 packages, 37 entries\n");
        let found = "libstore1: fast key value store\nviewer: shows a key value store\n";
        assert_eq!(call(&["search", "db", "store", "KEY"]), found);
        assert_eq!(call(&["search", "db", "store", "nothing"]), "");
        assert_eq!(call(&["search", "db", "tools"]), "store-tools: tools for the fast store\n");
        assert_eq!(call(&["needs", "db", "libc6"]), "libother\nstore-tools\n");
        assert_eq!(call(&["needs", "db", "libstore1"]), "store-tools\n", "an old record is still there");
        call(&["report", "db", "page.html"]);
        let page = fs::read_to_string(scratch.path().join("page.html")).expect("a page");
        assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"), "{page}");
        for part in [
            "5 packages, 20 MiB when installed",
            ">18 MiB, 3 packages<",
            ">libc6<",
            ">2 packages<",
            ">1 MiB<",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert_eq!(page.matches("<svg").count(), 4);
        // The page is well-formed, except for what HTML permits.
        let check = "import sys, re, xml.dom.minidom\n\
            for svg in re.findall('<svg.*?</svg>', open('page.html').read(), re.S): xml.dom.minidom.parseString(svg)";
        tool("python").args(["-c", check]).current_dir(scratch.path()).run();
    }
}

/// Five control records: four packages of `RECORDS`, one of them newer, and a new one.
const NEWER: &str = "\
Package: libstore1\nVersion: 2.0\n\n\
Package: store-tools\nVersion: 1.0\n\n\
Package: viewer\n\n\
Package: libnew\nVersion: 0.1\n\n\
Package: libother\n";

#[test]
fn the_example_of_families_compares_releases() {
    let scratch = scratch();
    fs::write(scratch.path().join("records"), RECORDS).expect("a file");
    fs::write(scratch.path().join("newer"), NEWER).expect("a file");
    let program = repository().join("examples/python/releases.py");
    let call = |arguments: &[&str]| {
        tool("python").args([&program]).args(arguments).current_dir(scratch.path()).run()
    };
    for _ in 0..2 {
        // Loading a list again changes nothing.
        assert_eq!(call(&["load", "db", "old", "records"]), "old: 5 packages\n");
        assert_eq!(call(&["load", "db", "new", "newer"]), "new: 5 packages\n");
        assert_eq!(call(&["list", "db"]), "new: 5 packages\nold: 5 packages\n");
        let differences = "- libc6 \n+ libnew 0.1\n~ libstore1 1.0 -> 2.0\n";
        assert_eq!(call(&["compare", "db", "old", "new"]), differences);
        assert_eq!(call(&["compare", "db", "new", "new"]), "");
    }
    call(&["drop", "db", "old"]);
    assert_eq!(call(&["list", "db"]), "new: 5 packages\n");
}
