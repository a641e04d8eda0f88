//! Cases 25 to 34: operating systems that interrupt and refuse calls or do less than requested, and
//! directories that change. The tests use the shipped library on real files. (Full and failing disks are in
//! `disk_full` and `fault`, locks between processes in `processes`, fork in `tests/c/fork_test.c`.)

use super::child::{End, Story, child};
use crate::support::{c_compiler, repository, scratch, terrace_path};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use terrace::env::fault::{FaultEnv, FaultKind, FaultRule};
use terrace::env::posix::PosixEnv;
use terrace::{Db, Options, ReadOptions, WriteOptions};

const WRITE: WriteOptions = WriteOptions { sync: false };

fn place() -> (TempDir, PathBuf) {
    let scratch = scratch();
    let directory = scratch.path().canonicalize().expect("a path").join("db");
    (scratch, directory)
}

fn creating() -> Options {
    Options { create_if_missing: true, ..Options::default() }
}

fn fill(db: &Db, numbers: std::ops::Range<u32>) {
    for number in numbers {
        db.put(&WRITE, format!("key{number:04}").as_bytes(), &[b'v'; 300]).expect("a put");
    }
}

fn count(db: &Db) -> usize {
    let mut iterator = db.iter(&ReadOptions::default());
    iterator.seek_to_first();
    let mut count = 0;
    while iterator.valid() {
        count += 1;
        iterator.next();
    }
    iterator.status().expect("a whole scan");
    count
}

/// Compiles `system.c`, the library to preload.
fn system(scratch: &TempDir) -> PathBuf {
    let library = scratch.path().join("system.so");
    c_compiler()
        .args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-o"])
        .args([&library, &repository().join("tests/hostile/system.c")])
        .args(["-ldl"])
        .run();
    library
}

/// Runs a script with the preloaded system. Also returns the number of calls that it has changed.
fn under_a_bad_system(mode: &str, directory: &Path, script: &str) -> (Story, u32) {
    let scratch = scratch();
    let count = scratch.path().join("count");
    let story = child(&terrace_path(), directory, script)
        .env("LD_PRELOAD", system(&scratch))
        .env("SYSTEM_DIRECTORY", directory)
        .env("SYSTEM_MODE", mode)
        .env("SYSTEM_COUNT", &count)
        .run();
    let count = fs::read_to_string(count).unwrap_or_default().parse().unwrap_or(0);
    (story, count)
}

#[test]
fn interrupted_calls_are_repeated_and_short_ones_continued() {
    let (_scratch, directory) = place();
    let puts: String = (0..300).map(|number| format!("put key{number:03} 1000\n")).collect();
    let script = format!(
        "create\nbuffer 65536\nopen\n{puts}put large 300000\nsync last\nget key 300 1000\ncompact\nget key 300 1000\nclose\n\
         open\nget key 300 1000\nscan\nclose"
    );
    let (story, count) = under_a_bad_system("interrupted", &directory, &script);
    assert_eq!(story.end, End::Whole, "{story:?}");
    assert!(count > 100, "only {count} calls were interrupted");
    assert_eq!(story.succeeded("put "), 301, "{story:?}");
    assert_eq!(story.succeeded("sync "), 1);
    let gets: Vec<&String> = story.lines.iter().filter(|line| line.starts_with("get ")).collect();
    assert!(gets.len() == 3 && gets.iter().all(|line| line.contains(": 300 right")), "{gets:?}");
    assert_eq!(story.scanned().len(), 302);
    // The files can be read without the preloaded system.
    let story = child(&terrace_path(), &directory, "paranoid\nopen\nscan\nclose").run();
    assert_eq!(story.scanned().len(), 302, "{story:?}");
}

#[test]
fn a_write_of_nothing_is_an_error_and_no_endless_loop() {
    let (_scratch, directory) = place();
    let puts: String = (0..20).map(|number| format!("put key{number:03} 1000\n")).collect();
    let script = format!("create\nopen\n{puts}compact\nget key 20 1000\nput after\nclose");
    let (story, count) = under_a_bad_system("nothing", &directory, &script);
    assert_eq!(story.end, End::Whole, "{story:?}");
    assert!(count > 0, "no write of nothing");
    assert!(story.line("get key 20 1000").is_some_and(|line| line.starts_with("20 right")), "{story:?}");
    let story = child(&terrace_path(), &directory, "paranoid\nopen\nget key 20 1000\nclose").run();
    assert!(story.line("get key 20 1000").is_some_and(|line| line.starts_with("20 right")), "{story:?}");
}

#[test]
fn with_any_number_of_descriptors_too_few_an_opening_fails_cleanly_or_works() {
    let (scratch, directory) = place();
    let db = Db::open(&creating(), &directory).expect("open");
    for round in 0..4 {
        fill(&db, round * 40..round * 40 + 50);
        db.flush().expect("a flush");
    }
    fill(&db, 160..180);
    drop(db);
    let (mut refused, mut opened) = (0, 0);
    for more in 1..24 {
        let copy = scratch.path().join(format!("with {more}"));
        crate::support::copy_database(&directory, &copy);
        let script = format!("descriptors {more}\ntry\nscan\ndescriptors 0\nopen\nscan\nclose");
        let story = child(&terrace_path(), &copy, &script).run();
        assert_eq!(story.end, End::Whole, "{more}: {story:?}");
        match story.line("try").expect("an answer") {
            "ok" => {
                // A failed open is reported.
                let scan = story.line("scan").expect("a scan");
                assert!(
                    story.scanned().len() == 180 || scan.contains("Too many open files"),
                    "{more}: {scan}"
                );
                opened += 1;
            }
            error => {
                refused += 1;
                assert!(
                    error.starts_with("IO error: ") && error.contains("Too many open files"),
                    "{more}: {error}"
                );
                assert!(error.contains(copy.to_str().expect("a path")), "no path: {error}");
            }
        }
        assert_eq!(story.line("open"), Some("ok"), "{more}: {story:?}");
        assert_eq!(story.scanned().len(), 180, "{more}: {story:?}");
    }
    assert!(refused > 1 && opened > 3, "{refused} refused, {opened} opened");
}

#[test]
fn a_file_that_may_not_be_made_is_named_and_the_log_for_people_is_dispensable() {
    for errno in [libc::EROFS, libc::EACCES, libc::ENOLCK] {
        let (_scratch, directory) = place();
        let faults = FaultEnv::new(PosixEnv::shared());
        let options = Options { env: faults.shared(), ..creating() };
        let db = Db::open(&options, &directory).expect("open");
        fill(&db, 0..100);
        drop(db);
        for (kind, part) in
            [(FaultKind::Lock, "LOCK"), (FaultKind::Create, "MANIFEST-"), (FaultKind::Create, ".log")]
        {
            let rule = faults.add(FaultRule::new([kind]).path_contains(part).errno(errno));
            // A MANIFEST is not created before it is needed.
            let outcome = Db::open(&options, &directory).and_then(|db| db.flush());
            let error = outcome.expect_err("refused").to_string();
            assert!(rule.hits() > 0, "{part}");
            assert!(error.contains(part) && error.contains(directory.to_str().expect("a path")), "{error}");
            drop(rule);
        }
        let rule = faults
            .add(FaultRule::new([FaultKind::Create, FaultKind::Rename]).path_suffix("LOG").errno(errno));
        let db = Db::open(&options, &directory).expect("LOG is for people");
        assert!(rule.hits() > 0);
        assert_eq!(count(&db), 100);
    }
}

#[test]
fn paths_of_any_bytes_work_and_those_that_lead_nowhere_are_told() {
    let scratch = scratch();
    let at = |name: &[u8]| scratch.path().join(OsStr::from_bytes(name));
    for name in [&b"plain"[..], b"\xff\xfe not UTF-8", b"new\nline", b" ", "ä ü".as_bytes(), b"-rf"] {
        let db = Db::open(&creating(), &at(name)).unwrap_or_else(|error| panic!("{error}"));
        fill(&db, 0..10);
        drop(db);
        let db = Db::open(&Options::default(), &at(name)).expect("open");
        assert_eq!(count(&db), 10);
        assert!(at(name).join("CURRENT").exists(), "{} was not taken as it is", name.escape_ascii());
    }
    fs::write(at(b"file"), "mine").expect("a file");
    symlink(at(b"nowhere"), at(b"dangling")).expect("a link");
    symlink(at(b"loop"), at(b"loop")).expect("a link");
    symlink(at(b"plain"), at(b"link")).expect("a link");
    let long = at(&vec![b'x'; 300]);
    let longer = scratch.path().join("d/".repeat(3000));
    let paths: [PathBuf; 7] =
        [at(b"file"), at(b"file/db"), at(b"dangling"), at(b"loop"), long, longer, PathBuf::new()];
    for path in &paths {
        for options in [creating(), Options::default()] {
            let error = Db::open(&options, path).expect_err("refused").to_string();
            assert!(error.len() > 10, "{error}");
        }
    }
    assert_eq!(fs::read(at(b"file")).expect("a file"), b"mine");
    assert_eq!(count(&Db::open(&Options::default(), &at(b"link")).expect("by its link")), 10);
}

/// A table that is truncated while it is mapped ends the process, as in LevelDB; without mappings it is an
/// error.
#[test]
fn a_table_cut_under_its_reader_is_an_error_where_mappings_are_off() {
    let (_scratch, directory) = place();
    let options = Options {
        mmap_reads: false,
        mmap_wal: false,
        block_cache: None,
        write_buffer_size: 1 << 20,
        ..creating()
    };
    let db = Db::open(&options, &directory).expect("open");
    fill(&db, 0..1000);
    db.flush().expect("a flush");
    let entries = fs::read_dir(&directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    let table =
        entries.into_iter().find(|path| path.extension() == Some(OsStr::new("ldb"))).expect("a table");
    drop(db);
    let db = Db::open(&options, &directory).expect("open");
    assert!(db.get(&ReadOptions::default(), b"key0000").expect("a get").is_some());
    fs::OpenOptions::new().write(true).open(&table).and_then(|file| file.set_len(100)).expect("cut");
    let errors = (0..1000).filter_map(|number| {
        db.get(&ReadOptions::default(), format!("key{number:04}").as_bytes())
            .err()
            .map(|error| error.to_string())
    });
    let errors: Vec<String> = errors.collect();
    assert!(errors.len() > 900, "{} errors", errors.len());
    let name = table.file_name().expect("a name").to_str().expect("a name");
    assert!(errors.iter().all(|error| error.contains(name)), "{}", errors[0]);
    db.put(&WRITE, b"after", b"v").expect("a put");
    assert!(db.get(&ReadOptions::default(), b"after").expect("a get").is_some());
}

/// A database with a table and a WAL, which needs new files soon.
fn small_database(directory: &Path) -> Db {
    let db = Db::open(&Options { write_buffer_size: 64 << 10, ..creating() }, directory).expect("open");
    fill(&db, 0..400);
    db.flush().expect("a flush");
    fill(&db, 400..500);
    db
}

#[test]
fn a_directory_that_is_removed_under_its_database_ends_in_errors() {
    let (_scratch, directory) = place();
    let db = small_database(&directory);
    fs::remove_dir_all(&directory).expect("a removal");
    // At some point a new file is needed.
    let mut written = 500;
    let error = loop {
        match db.put(&WRITE, format!("key{written:04}").as_bytes(), &[b'v'; 300]) {
            Ok(()) => written += 1,
            Err(error) => break error.to_string(),
        }
        assert!(written < 100_000, "no write ever needs a file");
    };
    assert!(error.contains(directory.to_str().expect("a path")), "{error}");
    assert!(db.flush().is_err());
    for number in [0, 399, 450, 499] {
        let found = db.get(&ReadOptions::default(), format!("key{number:04}").as_bytes());
        assert!(found.expect("a get of what was read or is mapped").is_some());
    }
    let _ = db.close();
}

/// All operations that create, open and remove files.
fn use_thoroughly(db: &Db, numbers: std::ops::Range<u32>) {
    for round in 0..3 {
        fill(db, numbers.clone());
        db.flush().unwrap_or_else(|error| panic!("flush {round}: {error}"));
    }
    db.compact_range(None, None).expect("a compaction");
}

fn contents(directory: &Path) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry"));
    let mut files: Vec<_> =
        entries.map(|entry| (entry.file_name(), fs::read(entry.path()).expect("a file"))).collect();
    files.sort();
    files
}

#[test]
fn what_is_acknowledged_after_a_directory_was_renamed_is_in_it_and_not_in_the_one_that_took_its_name() {
    for other_is_open in [false, true] {
        let (scratch, directory) = place();
        let db = small_database(&directory);
        let elsewhere = scratch.path().join("elsewhere");
        fs::rename(&directory, &elsewhere).expect("a renaming");
        let other = Db::open(&creating(), &directory).expect("another database of that name");
        other.put(&WRITE, b"other", b"v").expect("a put");
        other.flush().expect("a flush");
        other.put(&WRITE, b"other", b"w").expect("a put");
        let other = other_is_open.then_some(other);
        let before = contents(&directory);

        use_thoroughly(&db, 500..2500);
        assert_eq!(count(&db), 2500);
        db.close().expect("close");
        // If the other database is open, it removes files itself.
        assert!(other_is_open || contents(&directory) == before, "the other's files have changed");
        drop(other);
        assert_eq!(count(&Db::open(&Options::default(), &elsewhere).expect("by its new name")), 2500);
        assert_eq!(count(&Db::open(&Options::default(), &directory).expect("the other")), 1);
    }
}

#[test]
fn a_directory_that_was_renamed_is_open_under_its_new_name_only() {
    let (scratch, directory) = place();
    let db = small_database(&directory);
    let elsewhere = scratch.path().join("elsewhere");
    fs::rename(&directory, &elsewhere).expect("a renaming");
    let refused = Db::open(&creating(), &elsewhere).expect_err("refused").to_string();
    assert!(refused.ends_with("already held by process"), "{refused}");
    assert!(terrace::destroy(&Options::default(), &elsewhere).is_err());
    assert!(terrace::repair(&Options::default(), &elsewhere).is_err());
    terrace::destroy(&Options::default(), &directory).expect("nothing is there");
    use_thoroughly(&db, 500..600);
    assert_eq!(count(&db), 600);
}
