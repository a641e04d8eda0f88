//! The C and C++ programs of `tests/c` and `examples/c`, compiled against Terrace as a user would, and run
//! bare and under valgrind.
//!
//! A program of `tests/c` takes no arguments, keeps its databases under `$TEST_TMPDIR`, and exits with 0 on
//! success. A program that mentions `GOOGLE` is also compiled against Google's LevelDB with `-DGOOGLE`, and
//! must pass there too: this shows that it expects LevelDB's behaviour. Google's library does not run under
//! valgrind, because it has leaks of its own.

use crate::support::{Tool, c_compiler, repository, scratch, terrace_path};
use std::fs;
use std::path::{Path, PathBuf};

/// The option that sets valgrind's exit status for errors.
const VALGRIND_FOUND: &str = "--error-exitcode=99";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Against {
    Terrace,
    Google,
}

/// Compiles `source` to `program`, with warnings as errors.
fn compile(source: &Path, program: &Path, against: Against) {
    let compiler = if source.extension().is_some_and(|ending| ending == "cc") {
        Tool::new("c++", "g++").args(["-std=c++17"])
    } else {
        c_compiler().args(["-std=gnu11"])
    };
    let compiler = compiler.args(["-g", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread"]);
    let compiler = match against {
        Against::Terrace => compiler.args(["-I".as_ref(), repository().join("include").as_os_str()]),
        Against::Google => compiler.args(["-DGOOGLE"]),
    };
    let compiler = compiler.args(["-o".as_ref(), program.as_os_str(), source.as_os_str()]);
    match against {
        Against::Terrace => compiler.args([terrace_by_soname(program).as_os_str(), "-lm".as_ref()]).run(),
        Against::Google => compiler.args(["-lleveldb", "-lm"]).run(),
    };
}

/// Puts the library beside the program, under the name for which the loader searches.
fn terrace_by_soname(program: &Path) -> PathBuf {
    let dynamic = Tool::new("readelf", "binutils").args(["-dW"]).args([terrace_path()]).run();
    let soname = dynamic.lines().find(|line| line.contains("(SONAME)"));
    let soname = soname.and_then(|line| line.split_once('[')?.1.split(']').next()).unwrap_or("libterrace.so");
    let link = program.with_file_name(soname);
    if !link.exists() {
        std::os::unix::fs::symlink(terrace_path(), &link).expect("a link to the library");
    }
    link
}

/// Compiles a program of `tests/c` in `directory`, and runs it with arguments.
pub fn run_with(source: &str, directory: &Path, arguments: &[&Path]) -> String {
    let program = directory.join("program");
    compile(&repository().join("tests/c").join(source), &program, Against::Terrace);
    run(&program, arguments, false)
}

fn run(program: &Path, arguments: &[&Path], valgrind: bool) -> String {
    let directory = program.parent().expect("a program in a directory");
    let scratch = tempfile::tempdir_in(directory).expect("a scratch directory for the program");
    let tool = if valgrind {
        Tool::new("valgrind", "valgrind")
            .args(["--quiet", "--leak-check=full", "--errors-for-leak-kinds=definite,possible"])
            .args(["--show-leak-kinds=definite,possible", VALGRIND_FOUND])
            .args([format!("--suppressions={}/tests/c_programs/valgrind.supp", repository().display())])
            .args([program])
    } else {
        Tool::new(program.to_str().expect("a path of a program"), "gcc")
    };
    let tool = tool.args(arguments).env("LD_LIBRARY_PATH", directory).env("TEST_TMPDIR", scratch.path());
    tool.current_dir(scratch.path()).run()
}

fn programs() -> Vec<PathBuf> {
    let directory = repository().join("tests/c");
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let paths = entries.map(|entry| entry.expect("an entry of tests/c").path());
    let mut programs: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|e| e == "c")).collect();
    programs.sort();
    assert!(!programs.is_empty(), "no C program in {}", directory.display());
    programs
}

/// Compiles and runs every matching program. A failure does not hide later ones.
fn for_each_program(against: Against, valgrind: bool) {
    let scratch = scratch();
    let mut failures = Vec::new();
    for source in programs() {
        let text = fs::read_to_string(&source).expect("the source of a program");
        if against == Against::Google && !text.contains("GOOGLE") {
            continue;
        }
        let program = scratch.path().join(source.file_stem().expect("a file with a name"));
        let failed = std::panic::catch_unwind(|| {
            compile(&source, &program, against);
            run(&program, &[], valgrind);
        });
        if failed.is_err() {
            failures.push(source);
        }
    }
    assert!(failures.is_empty(), "{failures:?} failed; what they said is above");
}

#[test]
fn every_program_passes() {
    for_each_program(Against::Terrace, false);
}

#[test]
fn every_program_passes_under_valgrind() {
    for_each_program(Against::Terrace, true);
}

#[test]
fn programs_for_both_pass_with_googles_library() {
    for_each_program(Against::Google, false);
}

/// Runs the file index on a small tree twice, with changes in between, and runs all its queries.
fn run_file_index(against: Against, valgrind: bool) {
    let scratch = scratch();
    let program = scratch.path().join("fileindex");
    compile(&repository().join("examples/c/fileindex.c"), &program, against);

    let (tree, db) = (scratch.path().join("tree"), scratch.path().join("index"));
    for (name, size) in [("a/one", 10), ("a/two", 20_000), ("a-b", 0), ("a.c", 5), ("z/deep/er/three", 300)] {
        let file = tree.join(name);
        fs::create_dir_all(file.parent().expect("a file in a directory")).expect("a directory of the tree");
        fs::write(file, vec![b'x'; size]).expect("a file of the tree");
    }
    let call = |arguments: &[&Path]| run(&program, arguments, valgrind);
    let (index, biggest, list) = (Path::new("index"), Path::new("biggest"), Path::new("list"));

    let said = call(&[index, &db, &tree]);
    assert!(said.contains("5 added, 0 updated, 0 deleted, 0 unchanged"), "{said}");
    fs::remove_file(tree.join("a-b")).expect("a file removed");
    fs::write(tree.join("a/one"), "longer than before").expect("a file changed");
    fs::write(tree.join("m"), "new").expect("a file added");
    let said = call(&[index, &db, &tree]);
    assert!(said.contains("1 added, 1 updated, 1 deleted, 3 unchanged"), "{said}");
    let said = call(&[index, &db, &tree]);
    assert!(said.contains("0 added, 0 updated, 0 deleted, 5 unchanged"), "{said}");

    let names = |said: &str| -> Vec<String> {
        let lines = said.lines().filter_map(|line| line.rsplit_once(&format!("{}/", tree.display())));
        lines.map(|(_, name)| name.to_owned()).collect()
    };
    let said = call(&[list, &db, &tree]);
    assert_eq!(names(&said), ["a.c", "a/one", "a/two", "m", "z/deep/er/three"], "{said}");
    let said = call(&[list, Path::new("-r"), &db, &tree]);
    assert_eq!(names(&said), ["z/deep/er/three", "m", "a/two", "a/one", "a.c"], "{said}");
    let said = call(&[list, &db, &tree.join("a/")]);
    assert_eq!(names(&said), ["a/one", "a/two"], "{said}");
    let said = call(&[biggest, &db, &tree, Path::new("2")]);
    assert_eq!(names(&said), ["a/two", "z/deep/er/three"], "{said}");
    let said = call(&[Path::new("stats"), &db]);
    assert!(said.contains("Level"), "{said}");
}

#[test]
fn the_example_indexes_a_tree() {
    run_file_index(Against::Terrace, false);
}

#[test]
fn the_example_indexes_a_tree_under_valgrind() {
    run_file_index(Against::Terrace, true);
}

#[test]
fn the_example_indexes_a_tree_with_googles_library() {
    run_file_index(Against::Google, false);
}
