//! FIFOs, devices, sockets, directories and dead links in the place of each file of a database: no call waits
//! for them or reads them endlessly, and an error names the file and its kind.

use super::child::{End, Story, child};
use crate::support::{copy_database, scratch, terrace_path};
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use terrace::{Db, Options, WriteOptions};

/// The replacements of a file, each with its name in errors.
const KINDS: [(&str, &str); 6] = [
    ("fifo", "is a FIFO"),
    ("/dev/zero", "is a character device"),
    ("/dev/full", "is a character device"),
    ("socket", "is a socket"),
    ("directory", "Is a directory"),
    ("dangling", ""),
];

fn make(kind: &str, path: &Path) {
    match kind {
        "fifo" => {
            let name = CString::new(path.as_os_str().as_bytes()).expect("a path");
            // SAFETY: a plain system call with a NUL-terminated path.
            assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o644) }, 0);
        }
        "socket" => drop(UnixListener::bind(path).expect("a socket")),
        "directory" => fs::create_dir(path).expect("a directory"),
        "dangling" => symlink("nowhere/at/all", path).expect("a link"),
        device => symlink(device, path).expect("a link"),
    }
}

/// A database with twenty entries in a table and ten in a WAL.
fn create(directory: &Path) {
    let db = Db::open(&Options { create_if_missing: true, ..Options::default() }, directory).expect("open");
    let fill = |numbers: std::ops::Range<u32>| {
        for number in numbers {
            let key = format!("key{number:03}");
            db.put(&WriteOptions::default(), key.as_bytes(), b"value").expect("a put");
        }
    };
    fill(0..20);
    db.flush().expect("a flush");
    fill(20..30);
    db.close().expect("close");
    // Creates LOG.old.
    drop(Db::open(&Options::default(), directory).expect("open"));
}

fn run(directory: &Path, script: &str, case: &str) -> Story {
    let story = child(&terrace_path(), directory, script).run();
    assert_eq!(story.end, End::Whole, "{case}: {story:?}");
    story
}

#[test]
fn no_call_waits_for_or_reads_without_end_what_is_no_regular_file() {
    let scratch = scratch();
    let directory = scratch.path().join("db");
    create(&directory);
    let entries = fs::read_dir(&directory).expect("a directory").map(|entry| entry.expect("an entry"));
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().into_string().expect("a name")).collect();
    names.sort();
    for ending in [".log", ".ldb", "LOG.old", "LOCK", "CURRENT"] {
        assert!(names.iter().any(|name| name.ends_with(ending)), "no {ending} among {names:?}");
    }
    names.extend(["000999.dbtmp".into(), "lost".into()]);
    let place = scratch.path().join("c");
    for name in &names {
        for (kind, what) in KINDS {
            let case = format!("{name} is {kind}");
            for script in ["open\nscan\nput new\ncompact\nscan\nclose", "repair\ntry\nscan\nclose"] {
                copy_database(&directory, &place);
                let _ = fs::remove_file(place.join(name));
                make(kind, &place.join(name));
                let story = run(&place, script, &case);
                let said = story.lines.join("\n");
                let is_dispensable = ["LOG", "LOG.old", "000999.dbtmp", "lost"].contains(&name.as_str());
                if is_dispensable && script.starts_with("open") {
                    assert_eq!(story.line("open"), Some("ok"), "{case}: {said}");
                    assert_eq!(story.scanned().len(), 31, "{case}: {said}");
                } else if script.starts_with("open") {
                    assert!(
                        said.contains(&format!("{name}: {what}")) || kind == "dangling",
                        "{case}: {said}"
                    );
                    assert!(said.contains(name.as_str()), "{case}: {said}");
                }
                fs::remove_dir_all(&place).expect("a removal");
            }
        }
    }
}
