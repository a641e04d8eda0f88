//! Tests of the real system: files, WALs, locks, held directories, limits.

#![allow(unsafe_code)]

mod logs;

use super::*;
use crate::env::read_file;
use crate::error::ErrorKind;
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

fn env() -> Arc<dyn Env> {
    PosixEnv::shared()
}

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// `length` non-zero bytes that differ from those of another `seed`.
fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as u8 | 1
        })
        .collect()
}

const MAPPED: LogFileOptions = LogFileOptions { mapped: true, expected_size: 100 << 10 };
const PLAIN: LogFileOptions = LogFileOptions { mapped: false, expected_size: 100 << 10 };

#[test]
fn what_is_appended_is_read_back_in_pieces_of_any_size() {
    let (env, dir) = (env(), dir());
    let path = dir.path().join("file");
    let mut expected = Vec::new();
    let mut file = env.create_writable(&path, CreateMode::New).unwrap();
    for (seed, length) in [1, 65_535, 2, 65_536, 65_537, 0, 200_000, 7].into_iter().enumerate() {
        let piece = bytes(seed as u64, length);
        file.append(&piece).unwrap();
        expected.extend_from_slice(&piece);
    }
    file.close().unwrap();
    file.close().unwrap();
    assert_eq!(file.append(b"x").unwrap_err().kind(), ErrorKind::IoError);
    assert_eq!(env.file_size(&path).unwrap(), expected.len() as u64);
    assert_eq!(read_file(&*env, &path, 1 << 20).unwrap(), expected);
    assert!(read_file(&*env, &path, 1000).unwrap_err().is_corruption());

    let mut file = env.open_sequential(&path).unwrap();
    let mut buffer = vec![0; 100_000];
    file.skip(1000).unwrap();
    assert_eq!(file.read(&mut buffer).unwrap(), 100_000);
    assert_eq!(buffer, expected[1000..101_000]);
    file.skip(u64::MAX).unwrap();
    assert_eq!(file.read(&mut buffer).unwrap(), 0);
}

#[test]
fn random_access_reads_alike_in_both_modes() {
    let (env, dir) = (env(), dir());
    let path = dir.path().join("table");
    let contents = bytes(3, 100_000);
    std::fs::write(&path, &contents).unwrap();
    std::fs::write(dir.path().join("empty"), b"").unwrap();
    for mode in [ReadMode::Mapped, ReadMode::Positioned] {
        let file = env.open_random_access(&path, mode).unwrap();
        assert_eq!(file.mapping(), (mode == ReadMode::Mapped).then_some(contents.as_slice()));
        let mut buffer = [0; 5000];
        assert_eq!(file.read_at(50_000, &mut buffer).unwrap(), 5000);
        assert_eq!(buffer, contents[50_000..55_000]);
        assert_eq!(file.read_at(99_990, &mut buffer).unwrap(), 10);
        assert_eq!(buffer[..10], contents[99_990..]);
        for past in [100_000, 100_001, i64::MAX as u64, u64::MAX] {
            assert_eq!(file.read_at(past, &mut buffer).unwrap(), 0);
        }
        for (offset, length) in [(0, 10), (50_001, 3000), (99_999, 100), (u64::MAX, u64::MAX), (0, u64::MAX)]
        {
            file.will_need(offset, length);
        }
        let empty = env.open_random_access(&dir.path().join("empty"), mode).unwrap();
        assert_eq!(empty.mapping(), None);
        assert_eq!(empty.read_at(0, &mut buffer).unwrap(), 0);
    }
}

#[test]
fn a_mapping_outlives_the_name_of_its_file() {
    let (env, dir) = (env(), dir());
    let path = dir.path().join("table");
    std::fs::write(&path, b"still here").unwrap();
    let file = env.open_random_access(&path, ReadMode::Mapped).unwrap();
    env.remove_file(&path).unwrap();
    assert_eq!(file.mapping().unwrap(), b"still here");
}

#[test]
fn create_modes_do_what_they_say() {
    let (env, dir) = (env(), dir());
    let path = dir.path().join("file");
    let write = |mode, data: &[u8]| -> Result<()> {
        let mut file = env.create_writable(&path, mode)?;
        file.append(data)?;
        file.close()
    };
    write(CreateMode::New, b"one").unwrap();
    assert_eq!(write(CreateMode::New, b"two").unwrap_err().errno(), Some(libc::EEXIST));
    assert_eq!(env.create_log(&path, MAPPED).err().unwrap().errno(), Some(libc::EEXIST));
    assert_eq!(std::fs::read(&path).unwrap(), b"one");
    write(CreateMode::Append, b"two").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"onetwo");
    write(CreateMode::Truncate, b"3").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"3");
}

#[test]
fn buffered_bytes_reach_the_file_at_flush_and_at_drop() {
    let (env, dir) = (env(), dir());
    let path = dir.path().join("file");
    let mut file = env.create_writable(&path, CreateMode::New).unwrap();
    file.append(b"abc").unwrap();
    assert_eq!(env.file_size(&path).unwrap(), 0);
    file.flush().unwrap();
    assert_eq!(env.file_size(&path).unwrap(), 3);
    file.append(b"def").unwrap();
    drop(file);
    assert_eq!(std::fs::read(&path).unwrap(), b"abcdef");
}

#[test]
fn errors_name_the_path_and_a_missing_file_is_not_found() {
    let (env, dir) = (env(), dir());
    let missing = dir.path().join("missing");
    let expected = format!("NotFound: {}: No such file or directory", missing.display());
    let inside = missing.join("x");
    let errors = [
        env.open_sequential(&missing).err(),
        env.open_random_access(&missing, ReadMode::Mapped).err(),
        env.children(&missing).err(),
        env.remove_file(&missing).err(),
        env.remove_dir(&missing).err(),
        env.file_size(&missing).err(),
        env.rename(&missing, &dir.path().join("y")).err(),
        env.sync_dir(&missing).err(),
    ];
    for error in errors {
        assert_eq!(error.unwrap().to_string(), expected);
    }
    for error in [
        env.create_writable(&inside, CreateMode::New).err(),
        env.create_log(&inside, MAPPED).err(),
        env.create_dir(&inside).err(),
        env.lock_file(&inside).err(),
    ] {
        let expected = format!("NotFound: {}: No such file or directory", inside.display());
        assert_eq!(error.unwrap().to_string(), expected);
    }
    assert!(!env.exists(&missing));
    let nul = Path::new("a\0b");
    assert!(env.open_sequential(nul).is_err() && env.lock_file(nul).is_err() && !env.exists(nul));
}

#[test]
fn directories_are_created_listed_synced_and_removed() {
    use std::os::unix::ffi::OsStringExt;
    let (env, dir) = (env(), dir());
    let sub = dir.path().join("sub");
    env.create_dir(&sub).unwrap();
    env.create_dir(&sub).unwrap();
    // Names are bytes, not UTF-8.
    let odd = OsString::from_vec(b"odd\xff\xfe".to_vec());
    std::fs::write(sub.join(&odd), b"").unwrap();
    std::fs::write(sub.join("file"), b"").unwrap();
    let mut names = env.children(&sub).unwrap();
    names.sort();
    assert_eq!(names, [OsString::from("file"), odd.clone()]);
    env.sync_dir(&sub).unwrap();
    env.sync_dir(Path::new("")).unwrap();
    assert_eq!(env.sync_dir(&sub.join("file")).unwrap_err().errno(), Some(libc::ENOTDIR));
    assert_eq!(env.create_dir(&sub.join("file")).unwrap_err().errno(), Some(libc::EEXIST));
    assert_eq!(env.remove_dir(&sub).unwrap_err().errno(), Some(libc::ENOTEMPTY));
    env.rename(&sub.join(&odd), &sub.join("file")).unwrap();
    env.remove_file(&sub.join("file")).unwrap();
    env.remove_dir(&sub).unwrap();
    assert!(!env.exists(&sub));
}

#[test]
fn every_descriptor_is_closed_on_exec() {
    let (env, dir) = (env(), dir());
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("data"), b"x").unwrap();
    let _open = (
        env.create_writable(&at("table"), CreateMode::New).unwrap(),
        env.create_log(&at("plain"), PLAIN).unwrap(),
        env.create_log(&at("mapped"), MAPPED).unwrap(),
        env.open_sequential(&at("data")).unwrap(),
        env.open_random_access(&at("data"), ReadMode::Positioned).unwrap(),
        env.lock_file(&at("LOCK")).unwrap(),
    );
    let mut seen = 0;
    for entry in std::fs::read_dir("/proc/self/fd").unwrap().flatten() {
        let ours = std::fs::read_link(entry.path()).is_ok_and(|target| target.starts_with(dir.path()));
        if ours {
            let info =
                std::fs::read_to_string(Path::new("/proc/self/fdinfo").join(entry.file_name())).unwrap();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
            let flags = i32::from_str_radix(flags.trim(), 8).unwrap();
            assert_ne!(flags & libc::O_CLOEXEC, 0, "{info}");
            seen += 1;
        }
    }
    assert_eq!(seen, 6);
}

fn lock_error(path: &Path) -> String {
    env().lock_file(path).err().expect("the lock is held").to_string()
}

#[test]
fn a_lock_is_refused_while_this_process_has_it_under_any_name() {
    let (env, dir) = (env(), dir());
    let (db, link) = (dir.path().join("db"), dir.path().join("link"));
    env.create_dir(&db).unwrap();
    std::os::unix::fs::symlink(&db, &link).unwrap();
    let lock = env.lock_file(&db.join("LOCK")).unwrap();
    for path in [db.join("LOCK"), link.join("LOCK"), db.join("../link/LOCK")] {
        assert_eq!(lock_error(&path), format!("IO error: lock {}: already held by process", path.display()));
    }
    drop(lock);
    drop(env.lock_file(&link.join("LOCK")).unwrap());
}

#[test]
fn a_refused_lock_does_not_even_open_the_file() {
    let dir = dir();
    let path: PathBuf = dir.path().join("LOCK");
    let _lock = env().lock_file(&path).unwrap();
    // SAFETY: plain system calls on a descriptor that the test owns and a path that ends with a zero byte.
    let mut events = unsafe {
        use std::os::fd::FromRawFd;
        let events = libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC);
        assert!(events >= 0);
        let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        assert!(libc::inotify_add_watch(events, name.as_ptr(), libc::IN_OPEN | libc::IN_CLOSE) >= 0);
        std::fs::File::from_raw_fd(events)
    };
    assert!(lock_error(&path).ends_with("already held by process"));
    let seen = io::Read::read(&mut events, &mut [0; 256]);
    assert_eq!(seen.unwrap_err().kind(), io::ErrorKind::WouldBlock, "the file was opened");
}

#[test]
fn a_lock_of_another_holder_is_the_systems_error_whichever_lock_it_has() {
    let (env, dir) = (env(), dir());
    let path = dir.path().join("LOCK");
    let refused = format!("IO error: lock {}: Resource temporarily unavailable", path.display());
    // A separate open file description excludes ours as another process would.
    let other = std::fs::File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    let owner = record_lock::lock_exclusive(&other).unwrap();
    assert_eq!(lock_error(&path), refused);
    record_lock::unlock(&other, owner);

    // SAFETY: plain system calls on an open descriptor; struct flock is plain integers.
    let posix_lock = |kind: i32| unsafe {
        let mut lock: libc::flock = std::mem::zeroed();
        lock.l_type = kind as libc::c_short;
        libc::fcntl(other.as_raw_fd(), libc::F_SETLK, &lock)
    };
    // LevelDB's lock. It is lost when `lock_file` closes its own descriptor, so it is tested once.
    assert_eq!(posix_lock(libc::F_WRLCK), 0);
    assert_eq!(lock_error(&path), refused);
    posix_lock(libc::F_UNLCK);
    // goleveldb's lock.
    // SAFETY: as above.
    assert_eq!(unsafe { libc::flock(other.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }, 0);
    assert_eq!(lock_error(&path), refused);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::flock(other.as_raw_fd(), libc::LOCK_UN) }, 0);

    // Our lock excludes both, until it is dropped.
    let lock = env.lock_file(&path).unwrap();
    // SAFETY: as above.
    let flock = || unsafe { libc::flock(other.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
    assert_eq!((posix_lock(libc::F_WRLCK), flock()), (-1, -1));
    drop(lock);
    assert_eq!((posix_lock(libc::F_WRLCK), flock()), (0, 0));
}

#[test]
fn a_lock_is_released_for_those_who_inherited_it_too() {
    let (env, dir) = (env(), dir());
    let path = dir.path().join("LOCK");
    let lock = env.lock_file(&path).unwrap();
    let descriptor = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .flatten()
        .find(|entry| std::fs::read_link(entry.path()).is_ok_and(|target| target == path))
        .unwrap();
    let descriptor = descriptor.file_name().to_str().unwrap().parse().unwrap();
    // A child of fork has such a duplicate, and may run for long.
    // SAFETY: a plain system call on a descriptor that `lock` keeps open.
    let inherited = unsafe { libc::dup(descriptor) };
    assert!(inherited >= 0);
    drop(lock);
    drop(env.lock_file(&path).unwrap());
    // SAFETY: closes what dup opened.
    unsafe { libc::close(inherited) };
}

#[test]
fn threads_have_names_and_clocks_go_on() {
    let env = env();
    let (send, receive) = crossbeam_channel::bounded(1);
    let body = move || send.send(std::thread::current().name().map(str::to_owned)).unwrap();
    env.spawn("terrace-test", Box::new(body)).unwrap().join().unwrap();
    assert_eq!(receive.recv().unwrap().as_deref(), Some("terrace-test"));
    assert!(env.spawn("zero\0byte", Box::new(|| {})).is_err());

    let before = env.now_micros();
    env.sleep_micros(1);
    assert!(env.now_micros() > before && before > 1_700_000_000_000_000);
    let time = local_time(before / 1_000_000);
    assert!(time.year >= 2023 && (1..=12).contains(&time.month) && (1..=31).contains(&time.day));
    assert!(time.hour < 24 && time.minute < 60 && time.second <= 60);
}

#[test]
fn a_held_directory_stays_the_same_when_it_is_renamed_and_another_takes_its_name() {
    let dir = dir();
    let (db, moved) = (dir.path().join("db"), dir.path().join("moved"));
    std::fs::create_dir(&db).unwrap();
    std::fs::write(db.join("old"), b"ours").unwrap();
    let env = env().hold_dir(&db).unwrap().unwrap();
    std::fs::rename(&db, &moved).unwrap();
    std::fs::create_dir(&db).unwrap();
    for name in ["old", "theirs"] {
        std::fs::write(db.join(name), b"another's").unwrap();
    }

    assert_eq!(read_file(&*env, &db.join("old"), 100).unwrap(), b"ours");
    assert_eq!(env.file_size(&db.join("old")).unwrap(), 4);
    let mut buffer = [0; 4];
    env.open_random_access(&db.join("old"), ReadMode::Mapped).unwrap().read_at(0, &mut buffer).unwrap();
    assert_eq!(&buffer, b"ours");
    assert!(!env.exists(&db.join("theirs")) && env.exists(&db));
    drop(env.create_writable(&db.join("table"), CreateMode::New).unwrap());
    drop(env.create_log(&db.join("log"), MAPPED).unwrap());
    env.rename(&db.join("table"), &db.join("renamed")).unwrap();
    env.create_dir(&db.join("lost")).unwrap();
    env.rename(&db.join("renamed"), &db.join("lost/table")).unwrap();
    env.remove_file(&db.join("old")).unwrap();
    env.sync_dir(&db).unwrap();
    drop(env.lock_file(&db.join("LOCK")).unwrap());
    let mut names = env.children(&db).unwrap();
    names.sort();
    assert_eq!(names, ["LOCK", "log", "lost"]);
    assert_eq!(env.children(&db.join("lost")).unwrap(), ["table"]);
    // The directory that has the name now is another one. It is not removed although it may be empty.
    assert!(env.remove_dir(&db).is_err());

    let mut theirs = PosixEnv::default().children(&db).unwrap();
    theirs.sort();
    assert_eq!(theirs, ["old", "theirs"]);
    let missing = env.open_sequential(&db.join("theirs")).err().unwrap().to_string();
    assert_eq!(missing, format!("NotFound: {}/theirs: No such file or directory", db.display()));
    // Paths outside of the held directory are resolved as paths.
    assert!(env.exists(&moved) && env.exists(&db.join("../db/theirs")));
    let empty = dir.path().join("empty");
    env.create_dir(&empty).unwrap();
    let holding = PosixEnv::default().hold_dir(&empty).unwrap().unwrap();
    holding.remove_dir(&empty).unwrap();
    assert!(!env.exists(&empty));
}

/// Makes a file of each kind that is not regular, and calls `check` with its path and the name of the kind.
fn for_each_odd_file(mut check: impl FnMut(&Path, &str)) {
    let dir = dir();
    let at = |name: &str| dir.path().join(name);
    let fifo = std::ffi::CString::new(at("fifo").to_str().unwrap()).unwrap();
    // SAFETY: a plain system call with a path that ends with a zero byte.
    assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o644) }, 0);
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    std::fs::create_dir(at("directory")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", at("zero")).unwrap();
    std::os::unix::fs::symlink("/dev/full", at("full")).unwrap();
    std::os::unix::fs::symlink("fifo", at("link")).unwrap();
    for (name, what) in [
        ("fifo", "is a FIFO, not a regular file"),
        ("link", "is a FIFO, not a regular file"),
        ("socket", "is a socket, not a regular file"),
        ("zero", "is a character device, not a regular file"),
        ("full", "is a character device, not a regular file"),
        ("directory", "Is a directory"),
    ] {
        check(&at(name), what);
    }
}

#[test]
fn what_is_no_regular_file_is_refused_at_once_by_its_name() {
    for_each_odd_file(|path, what| {
        let env = env().hold_dir(path.parent().unwrap()).unwrap().unwrap();
        let expected = format!("IO error: {}: {what}", path.display());
        for error in [
            env.open_sequential(path).err(),
            env.open_random_access(path, ReadMode::Mapped).err(),
            env.open_random_access(path, ReadMode::Positioned).err(),
            env.create_writable(path, CreateMode::Append).err(),
            env.create_writable(path, CreateMode::Truncate).err(),
            env.lock_file(path).err(),
        ] {
            let error = error.unwrap_or_else(|| panic!("{} was opened", path.display()));
            assert_eq!((error.to_string(), error.path()), (expected.clone(), Some(path)));
        }
        for error in [env.create_writable(path, CreateMode::New).err(), env.create_log(path, MAPPED).err()] {
            assert_eq!(error.unwrap().errno(), Some(libc::EEXIST));
        }
    });
}

/// LevelDB's Env lets programs open devices, for a log to be discarded for example. A FIFO would block them.
#[test]
fn a_device_is_opened_by_a_path_of_the_programs_own() {
    let env = env();
    let mut zeros = env.open_sequential(Path::new("/dev/zero")).unwrap();
    let mut bytes = [1; 4];
    assert_eq!((zeros.read(&mut bytes).unwrap(), bytes), (4, [0; 4]));
    for mode in [CreateMode::Append, CreateMode::Truncate] {
        let mut nowhere = env.create_writable(Path::new("/dev/null"), mode).unwrap();
        nowhere.append(b"nothing").unwrap();
        nowhere.close().unwrap();
    }
    for_each_odd_file(|path, what| {
        let is_device = what.contains("device");
        assert_eq!(env.open_sequential(path).is_ok(), is_device, "{what}");
        assert_eq!(env.create_writable(path, CreateMode::Append).is_ok(), is_device, "{what}");
    });
}

#[test]
fn a_link_to_a_regular_file_is_followed() {
    let (env, dir) = (env(), dir());
    let (file, link) = (dir.path().join("file"), dir.path().join("link"));
    std::fs::write(&file, b"there").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    assert_eq!(read_file(&*env, &link, 100).unwrap(), b"there");
    let mut appended = env.create_writable(&link, CreateMode::Append).unwrap();
    appended.append(b" too").unwrap();
    appended.close().unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), b"there too");
    drop(env.lock_file(&link).unwrap());
}

/// Most file systems share nothing; then nothing has changed.
#[test]
fn a_file_begins_with_shared_blocks_of_another_one_or_is_empty() {
    let dir = dir();
    let (source, path) = (dir.path().join("source"), dir.path().join("copy"));
    let contents: Vec<u8> = (0..50_000u32).map(|i| (i / 7) as u8).collect();
    std::fs::write(&source, &contents).unwrap();
    for length in [0, 1, 4096, 10_000, 50_000] {
        let mut file = env().create_writable(&path, CreateMode::Truncate).unwrap();
        assert_eq!(file.share_beginning(&dir.path().join("missing"), length).unwrap(), 0);
        let shared = file.share_beginning(&source, length).unwrap();
        assert!(shared <= length, "{shared} of {length}");
        file.append(&contents[shared as usize..]).unwrap();
        assert_eq!(file.share_beginning(&source, length).unwrap(), 0, "the file is not empty");
        file.close().unwrap();
        assert!(std::fs::read(&path).unwrap() == contents);
    }
}
