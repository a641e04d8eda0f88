//! A child process that uses one library through its C API, and may crash, hang or be killed: this test
//! binary again, with a script in its environment.
//!
//! Each step of a script prints a line. The parent gets these lines, the end of the process and its peak
//! memory.

use super::support::entry;
use crate::support::leveldb_c::{Db, Library, OpenOptions};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A child that prints nothing for this time counts as hanging, and is killed.
const PATIENCE: Duration = Duration::from_secs(30);

/// The limit of the address space of a child, in bytes: larger allocations due to a hostile file fail.
const ADDRESS_SPACE: u64 = 4 << 30;

const LIBRARY: &str = "TERRACE_CHILD_LIBRARY";
const DIRECTORY: &str = "TERRACE_CHILD_DIRECTORY";
const SCRIPT: &str = "TERRACE_CHILD_SCRIPT";

/// The prefix of each line of a script, which distinguishes it from the lines of the test harness.
const MARK: &str = "> ";

/// The prefix of a line about memory.
const PEAK: &str = "peak KiB: ";

/// How a child ended.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// The child ran its script to the end.
    Whole,
    /// The child killed itself, as its script says, to simulate a crash of the process.
    Killed,
    /// A signal that is not part of the script, or a failure of the child itself.
    Crashed(String),
    /// The child hung, and was killed.
    Hung,
}

/// The results of a child.
#[derive(Debug)]
pub struct Story {
    /// One line for each step that was reached.
    pub lines: Vec<String>,
    pub end: End,
    /// The peak memory at the end of the last step, in KiB.
    pub peak_kib: i64,
}

impl Story {
    /// The output of the step that begins with `step`.
    pub fn line(&self, step: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| line.strip_prefix(step)?.strip_prefix(": "))
    }

    /// The number of successful steps that begin with `step`.
    pub fn succeeded(&self, step: &str) -> usize {
        self.lines.iter().filter(|line| line.starts_with(step) && line.ends_with(": ok")).count()
    }

    /// The keys of the last scan.
    pub fn scanned(&self) -> Vec<String> {
        let shown = self.lines.iter().rev().find_map(|line| line.strip_prefix("scan: "));
        let shown = shown.and_then(|line| line.split(" | ").next()).unwrap_or_default();
        shown.split_whitespace().map(str::to_owned).collect()
    }
}

/// A child that is not started yet.
pub struct Child {
    command: Command,
}

/// A child that uses `library` on `directory` according to the script, which has one step per line.
pub fn child(library: &Path, directory: &Path, script: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("the path of this test"));
    command
        .args(["--exact", "hostile::child::one_script", "--ignored", "--nocapture", "--test-threads=1"])
        .env(LIBRARY, library)
        .env(DIRECTORY, directory)
        .env(SCRIPT, script)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    Child { command }
}

impl Child {
    /// Sets a variable of the child's environment.
    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Child {
        self.command.env(name, value);
        self
    }

    /// Runs the child to its end, or kills it.
    pub fn run(mut self) -> Story {
        // SAFETY: between fork and exec there is only one system call.
        unsafe {
            self.command.pre_exec(|| {
                let limit = libc::rlimit { rlim_cur: ADDRESS_SPACE, rlim_max: ADDRESS_SPACE };
                libc::setrlimit(libc::RLIMIT_AS, &limit);
                let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
                libc::setrlimit(libc::RLIMIT_CORE, &none);
                Ok(())
            });
        }
        let mut process = self.command.spawn().expect("a process of this test");
        let output = process.stdout.take().expect("its output");
        let (sender, receiver) = channel();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
            }
        });
        let (mut lines, mut peak_kib, mut hung) = (Vec::new(), 0, false);
        let deadline = Instant::now() + 2 * PATIENCE;
        loop {
            let wait = PATIENCE.min(deadline.saturating_duration_since(Instant::now()));
            match receiver.recv_timeout(wait) {
                Ok(line) => {
                    let Some((_, line)) = line.split_once(MARK) else { continue };
                    match line.strip_prefix(PEAK) {
                        Some(kib) => peak_kib = kib.parse().expect("a number of KiB"),
                        None => lines.push(line.to_owned()),
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    hung = true;
                    let _ = process.kill();
                    break;
                }
            }
        }
        let status = process.wait().expect("the process ends");
        drop(reader.join());
        let end = match status.signal() {
            _ if hung => End::Hung,
            Some(libc::SIGKILL) => End::Killed,
            Some(libc::SIGSEGV) => End::Crashed("SIGSEGV".into()),
            Some(libc::SIGBUS) => End::Crashed("SIGBUS".into()),
            Some(libc::SIGABRT) => End::Crashed("abort".into()),
            Some(signal) => End::Crashed(format!("signal {signal}")),
            None if status.success() => End::Whole,
            None => End::Crashed(format!("{status}: {lines:?}")),
        };
        Story { lines, end, peak_kib }
    }
}

/// The peak memory of this process, in KiB, from `status`, which is `/proc/self/status`. (The kernel's figure
/// for an ended child cannot be used: it is at least the memory of the parent at the fork, as a child begins
/// with the pages of its parent.)
fn peak_kib(status: &File) -> i64 {
    let mut text = [0; 8192];
    let length = status.read_at(&mut text, 0).expect("/proc");
    let text = String::from_utf8_lossy(&text[..length]);
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a high-water mark");
    line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
}

/// Prints the result of a step.
fn say(step: &str, outcome: &str) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{MARK}{step}: {outcome}").and_then(|()| output.flush()).expect("the parent listens");
}

fn outcome<E: std::fmt::Display>(result: Result<(), E>) -> String {
    result.map_or_else(|error| error.to_string(), |()| "ok".into())
}

/// The first entries of a group: see `support`.
fn entries(group: &str, count: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let group = group.chars().next().expect("a group");
    (0..count as u32).map(|number| entry(group, number)).collect()
}

/// Numbered keys with values of `length` bytes, as the step `put` writes them.
fn values(prefix: &str, count: usize, length: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let keys = (0..count).map(|number| format!("{prefix}{number:03}"));
    keys.map(|key| (key.clone().into_bytes(), value(&key, length))).collect()
}

/// The state of a running script.
struct Stage {
    library: &'static Library,
    directory: PathBuf,
    options: OpenOptions,
    db: Option<Db>,
}

/// The value of `length` bytes that every script writes at a key.
pub fn value(key: &str, length: usize) -> Vec<u8> {
    key.bytes().chain(b"=value;".iter().copied()).cycle().take(length).collect()
}

impl Stage {
    fn db(&self) -> &Db {
        self.db.as_ref().expect("an open database")
    }

    fn open(&mut self) -> String {
        self.db = None;
        match Db::open(self.library, &self.directory, &self.options) {
            Ok(db) => self.db = Some(db),
            Err(error) => return error.to_string(),
        }
        "ok".into()
    }

    /// All keys in order, and how the scan ended; the same backward.
    fn scan(&self) -> String {
        let Some(db) = &self.db else { return "not open".into() };
        let mut iterator = db.iterator(None);
        let (mut keys, mut wrong) = (Vec::new(), 0);
        iterator.seek_to_first();
        while iterator.valid() && keys.len() < 100_000 {
            let key = iterator.key().escape_ascii().to_string();
            wrong += usize::from(*iterator.value() != value(&key, iterator.value().len())[..]);
            keys.push(key);
            iterator.next();
        }
        let (forward, mut backward) = (outcome(iterator.status()), 0);
        iterator.seek_to_last();
        while iterator.valid() && backward < 100_000 {
            backward += 1;
            iterator.prev();
        }
        let back = outcome(iterator.status());
        format!("{} | {wrong} wrong | {forward} | {backward} backwards | {back}", keys.join(" "))
    }

    /// Look-ups: the number of keys with their value, with another one, without one, with an error; and the
    /// first error.
    fn look_up(&self, entries: Vec<(Vec<u8>, Vec<u8>)>) -> String {
        let (mut right, mut wrong, mut absent, mut errors) = (0, 0, 0, Vec::new());
        for (key, value) in entries {
            match self.db().get(&key) {
                Ok(Some(found)) if found == value => right += 1,
                Ok(Some(_)) => wrong += 1,
                Ok(None) => absent += 1,
                Err(error) => errors.push(error.to_string()),
            }
        }
        let first = errors.first().cloned().unwrap_or_default();
        format!("{right} right, {wrong} wrong, {absent} absent, {} errors: {first}", errors.len())
    }

    /// All calls with a NULL database.
    fn null(&self) {
        let f = &self.library.functions;
        let (mut error, mut length) = (std::ptr::null_mut(), 0);
        // SAFETY: not sound with LevelDB, which crashes: this is the test, in a process of its own.
        unsafe {
            let (read, write) = ((f.readoptions_create)(), (f.writeoptions_create)());
            (f.put)(std::ptr::null_mut(), write, b"k".as_ptr(), 1, b"v".as_ptr(), 1, &mut error);
            assert!((f.get)(std::ptr::null_mut(), read, b"k".as_ptr(), 1, &mut length, &mut error).is_null());
            (f.close)(std::ptr::null_mut());
        }
    }

    /// A call with an impossible length and an unreadable address. Returns the error.
    fn huge(&self, what: &str) -> String {
        let f = &self.library.functions;
        let (huge, nowhere) = ((1usize << 32) + 1, 16 as *const u8);
        let (mut error, mut length) = (std::ptr::null_mut(), 0);
        // SAFETY: not sound with LevelDB: see `null`.
        unsafe {
            let (read, write) = ((f.readoptions_create)(), (f.writeoptions_create)());
            let db = self.db().raw();
            match what {
                "put" => (f.put)(db, write, b"k".as_ptr(), 1, nowhere, huge, &mut error),
                "get" => drop((f.get)(db, read, nowhere, huge, &mut length, &mut error)),
                _ => {
                    let batch = (f.writebatch_create)();
                    (f.writebatch_put)(batch, b"k".as_ptr(), 1, nowhere, huge);
                    (f.write)(db, write, batch, &mut error);
                }
            }
            match error.is_null() {
                true => "no error".into(),
                false => std::ffi::CStr::from_ptr(error).to_string_lossy().into_owned(),
            }
        }
    }

    /// Limits the open files to `more` above the current number; 0: no limit.
    fn limit_descriptors(&self, more: usize) {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the pointers point to an rlimit.
        let result = unsafe {
            libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
            limit.rlim_cur = limit.rlim_max;
            if more > 0 {
                let lowest = std::fs::File::open("/dev/null").expect("a descriptor");
                limit.rlim_cur = std::os::fd::AsRawFd::as_raw_fd(&lowest) as u64 + more as u64 - 1;
            }
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit)
        };
        assert_eq!(result, 0);
    }

    /// Limits the size of files to that of the WAL and ten more bytes, or removes the limit.
    fn limit(&self, is_on: bool) {
        let logs =
            std::fs::read_dir(&self.directory).expect("the directory").map(|entry| entry.expect("a file"));
        let log = logs.filter(|entry| entry.path().extension().is_some_and(|end| end == "log"));
        let length = log.map(|entry| entry.metadata().expect("a log").len()).max().unwrap_or(0);
        let soft = if is_on { length + 10 } else { libc::RLIM_INFINITY };
        let limit = libc::rlimit { rlim_cur: soft, rlim_max: libc::RLIM_INFINITY };
        // SAFETY: the pointer points to an rlimit; ignoring a signal has no preconditions.
        let result = unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            libc::setrlimit(libc::RLIMIT_FSIZE, &limit)
        };
        assert_eq!(result, 0);
    }

    fn step(&mut self, step: &str) -> String {
        let words: Vec<&str> = step.split_whitespace().collect();
        let number = |at: usize| words.get(at).map_or(0, |word| word.parse().expect("a number"));
        match words[0] {
            "create" => self.options.create_if_missing = true,
            "paranoid" => self.options.paranoid_checks = true,
            "bloom" => self.options.bloom_bits = Some(14),
            "buffer" => self.options.write_buffer_size = number(1),
            "open" | "try" => return self.open(),
            "null" => self.null(),
            "huge" => return self.huge(words[1]),
            "group" => return self.look_up(entries(words[1], number(2))),
            "descriptors" => self.limit_descriptors(number(1)),
            "repair" => return outcome(self.library.repair_db(&self.directory, &self.options)),
            "put" | "sync" => {
                let length = words.get(2).map_or(20, |length| length.parse().expect("a length"));
                let key = words[1];
                return outcome(self.db().put(key.as_bytes(), &value(key, length), words[0] == "sync"));
            }
            "get" => return self.look_up(values(words[1], number(2), number(3))),
            "scan" => return self.scan(),
            "compact" => self.db().compact_range(None, None),
            "limit" => self.limit(true),
            "unlimit" => self.limit(false),
            "close" => self.db = None,
            "kill" => {
                // SAFETY: it ends this process, as the script says.
                unsafe { libc::raise(libc::SIGKILL) };
            }
            other => panic!("no step `{other}`"),
        }
        "ok".into()
    }
}

/// The body of a child: the tests of this theme run it in a process of its own.
#[test]
#[ignore = "run by other tests, in a process of its own"]
fn one_script() {
    let path = |name: &str| PathBuf::from(std::env::var_os(name).unwrap_or_else(|| panic!("no {name}")));
    // Opened now, because the script may leave no descriptors.
    let status = File::open("/proc/self/status").expect("/proc");
    let library = Library::open(path(LIBRARY)).expect("the library");
    let options = OpenOptions { create_if_missing: false, compression: 0, ..OpenOptions::default() };
    let mut stage = Stage { library, directory: path(DIRECTORY), options, db: None };
    for step in std::env::var(SCRIPT).expect("a script").lines().filter(|step| !step.trim().is_empty()) {
        let outcome = stage.step(step.trim());
        say(step.trim(), &outcome);
        say(PEAK.trim_end_matches(": "), &peak_kib(&status).to_string());
        if outcome != "ok" && step.trim() == "open" {
            return; // the open failed, so the remaining steps are skipped
        }
    }
}
