//! Several processes and one database: the lock, under any name of the directory and with any library; and
//! unloading the library. (`fork` is in `tests/c/fork_test.c`.)
//!
//! `opener.c` opens databases with any library in a process of its own. `unload.c` loads and unloads Terrace
//! with dlopen. `small_stack.c` calls it on threads with small stacks.

use crate::support::{Tool, c_compiler, google_path, repository, scratch, terrace_path};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Compiles a program of this theme.
fn compile(scratch: &TempDir, name: &str) -> PathBuf {
    let program = scratch.path().join(name);
    let source = repository().join("tests/processes").join(name).with_extension("c");
    c_compiler()
        .args(["-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-I"])
        .args([repository().join("include").as_os_str(), "-o".as_ref()])
        .args([program.as_os_str(), source.as_os_str(), "-ldl".as_ref()])
        .run();
    program
}

/// A process that opens a database, tries to open others, and keeps the first open until it is dropped (which
/// kills it) or closed.
struct Opener {
    process: Child,
    /// The result for each database: "open" or the error.
    said: Vec<String>,
}

impl Opener {
    /// Starts an opener and waits until it has tried all databases, each given by a library and a directory.
    fn start(program: &Path, databases: &[(&Path, &Path)]) -> Opener {
        let mut process = Command::new(program)
            .args(databases.iter().flat_map(|(library, directory)| [*library, *directory]))
            .current_dir(program.parent().expect("a program in a directory"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the opener");
        let output = BufReader::new(process.stdout.take().expect("its output"));
        let said = output.lines().take(databases.len()).map(|line| line.expect("a line of it")).collect();
        Opener { process, said }
    }

    /// Lets another process try to open one database. Returns the error, if it is refused.
    fn try_one(program: &Path, library: &Path, directory: &Path) -> Option<String> {
        let opener = Opener::start(program, &[(library, directory)]);
        let said = opener.said.first().expect("a word").clone();
        (said != "open").then_some(said)
    }

    fn has_opened(&self) -> bool {
        self.said.first().is_some_and(|said| said == "open")
    }

    /// Lets the process close its database, and waits for its end.
    fn close(mut self) {
        drop(self.process.stdin.take());
        assert!(self.process.wait().expect("its end").success());
    }
}

impl Drop for Opener {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Checks that the lock refuses the database to both libraries, in processes of their own.
fn assert_refused_to_all(program: &Path, directory: &Path, circumstance: &str) {
    for library in [terrace_path(), google_path()] {
        let error = Opener::try_one(program, &library, directory);
        let error = error.unwrap_or_else(|| panic!("{} opened it: {circumstance}", library.display()));
        assert!(error.starts_with("IO error: lock "), "{error}");
        assert!(error.contains("Resource temporarily unavailable"), "{error}");
    }
}

#[test]
fn each_library_is_refused_what_either_has_open_until_it_closes_it_or_is_killed() {
    let scratch = scratch();
    let (program, database) = (compile(&scratch, "opener"), scratch.path().join("db"));
    for holder in [terrace_path(), google_path()] {
        let opener = Opener::start(&program, &[(&holder, &database)]);
        assert!(opener.has_opened(), "{:?}", opener.said);
        assert_refused_to_all(&program, &database, "another process has it open");
        opener.close();
        for library in [terrace_path(), google_path()] {
            let opener = Opener::start(&program, &[(&library, &database)]);
            assert!(opener.has_opened(), "after a close: {:?}", opener.said);
            drop(opener); // kills the process
            assert_eq!(Opener::try_one(&program, &library, &database), None, "after a kill");
        }
    }
}

#[test]
fn a_second_open_under_any_name_is_refused_and_frees_nothing() {
    let scratch = scratch();
    let (program, at) = (compile(&scratch, "opener"), |name: &str| scratch.path().join(name));
    let database = at("db");
    Opener::start(&program, &[(&terrace_path(), &database)]).close();
    symlink(&database, at("link")).expect("a link to the directory");
    symlink(at("link"), at("link to link")).expect("a link to the link");
    // Another directory, whose LOCK is a hard link to the same file.
    fs::create_dir(at("hard")).expect("another directory");
    fs::hard_link(database.join("LOCK"), at("hard/LOCK")).expect("another name of the LOCK file");

    let (library, names) =
        (terrace_path(), ["db", "./db", "db/", "link", "link to link", "hard/../link/../db", "hard"]);
    let names: Vec<PathBuf> = names.iter().map(PathBuf::from).chain([database.clone()]).collect();
    let mut attempts = vec![(&*library, &*database)];
    attempts.extend(names.iter().map(|name| (&*library, &**name)));
    let opener = Opener::start(&program, &attempts);
    assert!(opener.has_opened() && opener.said.len() == attempts.len(), "{:?}", opener.said);
    for said in &opener.said[1..] {
        assert!(said.starts_with("IO error: lock ") && said.ends_with("already held by process"), "{said}");
    }
    assert_refused_to_all(&program, &database, "a second open in the process that has it has failed");
    opener.close();
    assert_eq!(Opener::try_one(&program, &library, &database), None);
}

#[test]
fn a_library_that_is_refused_does_not_free_the_lock_of_the_other_in_its_process() {
    let scratch = scratch();
    let (program, database) = (compile(&scratch, "opener"), scratch.path().join("db"));
    for (holder, other) in [(google_path(), terrace_path()), (terrace_path(), google_path())] {
        let opener = Opener::start(&program, &[(&holder, &database), (&other, &database)]);
        assert!(opener.has_opened() && opener.said.len() == 2, "{:?}", opener.said);
        assert!(opener.said[1].starts_with("IO error: lock "), "{:?}", opener.said);
        assert_refused_to_all(&program, &database, "the other library in the process that has it has failed");
        opener.close();
    }
}

#[test]
fn who_takes_flock_alone_excludes_us_and_is_excluded() {
    let scratch = scratch();
    let (program, database) = (compile(&scratch, "opener"), scratch.path().join("db"));
    let (library, flock) = (terrace_path(), Path::new("flock"));
    Opener::start(&program, &[(&library, &database)]).close();
    let holder = Opener::start(&program, &[(flock, &database)]);
    assert!(holder.has_opened());
    let error = Opener::try_one(&program, &library, &database).expect("a refusal");
    assert!(error.starts_with("IO error: lock "), "{error}");
    drop(holder);
    let holder = Opener::start(&program, &[(&library, &database)]);
    assert!(holder.has_opened());
    assert!(!Opener::start(&program, &[(flock, &database)]).has_opened());
}

/// Runs `unload`, bare or under valgrind.
fn unload(valgrind: bool) {
    let scratch = scratch();
    let (program, library) = (compile(&scratch, "unload"), terrace_path());
    let tool = if valgrind {
        let suppressions = repository().join("tests/c_programs/valgrind.supp");
        Tool::new("valgrind", "valgrind")
            .args(["--quiet", "--error-exitcode=99", "--leak-check=full"])
            .args([format!("--suppressions={}", suppressions.display())])
            .args([&program])
    } else {
        Tool::new(program.to_str().expect("a path of a program"), "gcc")
    };
    assert_eq!(tool.args([library, scratch.path().join("db")]).run(), "PASS\n");
}

#[test]
fn a_library_is_unloaded_right_after_close_while_threads_that_used_it_live() {
    unload(false);
}

#[test]
fn a_library_is_unloaded_right_after_close_under_valgrind() {
    unload(true);
}

/// LevelDB's functions need no more than 16 KiB of stack (the least that a thread can have). An unoptimised
/// build needs several times as much, so the test shows less for such a build.
#[test]
fn sixteen_kibibytes_of_stack_are_enough_for_every_function() {
    let scratch = scratch();
    let library = terrace_path();
    let is_unoptimised = library.ancestors().any(|directory| directory.ends_with("debug"));
    let bytes = if is_unoptimised { 128 << 10 } else { 16 << 10 };
    let program = compile(&scratch, "small_stack");
    let output = Tool::new(program.to_str().expect("a path of a program"), "gcc")
        .args([library.as_os_str(), scratch.path().join("db").as_os_str()])
        .args([bytes.to_string()])
        .run();
    assert!(output.ends_with("PASS\n"), "{output}");
}
