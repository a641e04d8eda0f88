//! `kill -9` of a process that writes through the shared library, at a random moment: while it opens, writes,
//! flushes or compacts. Then both libraries open the directory: no completed write is lost, synced or not,
//! and every batch is atomic.
//!
//! The writer is `writer.c`, which documents its writes. All kills of a test use one directory, and the two
//! libraries take turns at writing to it. `TERRACE_SEED` repeats the moments as exactly as a clock allows;
//! `TERRACE_KILLS` sets the number of kills, for the soak test.

mod families;

use crate::support::leveldb_c::{Db, Library, OpenOptions};
use crate::support::random::{Random, announce, count, first_seed, number_from_env};
use crate::support::{
    c_compiler, copy_database, google, google_path, repository, scratch, terrace, terrace_path,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Number of kills of one test; there are three such tests, and one with column families.
const KILLS: u64 = 20;

/// Number of slots, and of keys per slot, as in `writer.c`.
const SLOTS: u64 = 64;
const KEYS: u64 = 5;

/// Must agree with `padding` of `writer.c`.
fn padding(number: u64) -> usize {
    match number {
        _ if number.is_multiple_of(101) => 120_000 - 64,
        _ if number.is_multiple_of(7) => 3000,
        _ => (number * 37 % 400) as usize,
    }
}

/// How a writer writes.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Number of threads that write.
    pub threads: u64,
    /// Every how many writes one is synced; 0: none.
    pub sync_every: u64,
    /// In bytes.
    pub write_buffer_size: u64,
    /// With column families, by Terrace alone.
    pub has_families: bool,
}

/// The counters after those of the threads, see `writer.c`.
const MORE_COUNTERS: usize = 2;

/// The compiled writer and its directory.
pub struct Writer {
    program: PathBuf,
    database: PathBuf,
    counters: PathBuf,
    plan: Plan,
}

impl Writer {
    /// Compiles the writer in `directory`, and sets all counters to 0.
    pub fn new(directory: &Path, plan: Plan) -> Writer {
        let program = directory.join("writer");
        let source = repository().join("tests/kill/writer.c");
        c_compiler()
            .args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-o"])
            .args([program.as_os_str(), source.as_os_str(), "-ldl".as_ref()])
            .run();
        let counters = directory.join("counters");
        fs::write(&counters, vec![0; (plan.threads as usize + MORE_COUNTERS) * 8])
            .expect("a file of counters");
        Writer { program, database: directory.join("db"), counters, plan }
    }

    /// The directory of the database.
    pub fn database(&self) -> &Path {
        &self.database
    }

    /// The last completed write of each thread, by its counter.
    pub fn reported(&self) -> Vec<u64> {
        let mut counters = self.counters();
        counters.truncate(self.plan.threads as usize);
        counters
    }

    fn counters(&self) -> Vec<u64> {
        let bytes = fs::read(&self.counters).expect("the file of counters");
        bytes.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().expect("eight bytes"))).collect()
    }

    /// Sets the first counters, so that the next writer continues after these writes.
    fn go_on_from(&self, first: &[u64]) {
        let mut counters = self.counters();
        counters[..first.len()].copy_from_slice(first);
        let bytes: Vec<u8> = counters.iter().flat_map(|number| number.to_ne_bytes()).collect();
        fs::write(&self.counters, bytes).expect("the file of counters");
    }

    /// Runs a writer through `library`, and kills it after `delay`.
    pub fn run_and_kill(&self, library: &Path, delay: Duration) {
        let plan = &self.plan;
        let mut child = Command::new(&self.program)
            .args([library, &self.database, &self.counters])
            .args([plan.threads, plan.sync_every, plan.write_buffer_size].map(|number| number.to_string()))
            .arg(u8::from(plan.has_families).to_string())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the writer just compiled");
        // Not a wait for a condition: the random delay is the moment of the kill.
        std::thread::sleep(delay);
        let ended = child.try_wait().expect("the state of a child");
        child.kill().expect("a kill of a child");
        let output = child.wait_with_output().expect("the end of a child");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(ended.is_none(), "the writer ended by itself ({:?}): {complaint}", output.status);
    }

    /// Runs a writer until each thread has completed `writes` more writes, and kills it.
    pub fn run_until(&self, library: &Path, writes: u64) {
        let before = self.reported();
        let done = || self.reported().iter().zip(&before).all(|(now, then)| *now >= then + writes);
        for _ in 0..600 {
            self.run_and_kill(library, Duration::from_millis(100));
            let db = Db::open(google(), &self.database, &OpenOptions::default()).expect("open");
            let last = self.last_found(&db);
            db.close();
            self.go_on_from(&last);
            if done() {
                return;
            }
        }
        panic!("the writer does not get on: {:?} after {before:?}", self.reported());
    }

    fn last_found(&self, view: &impl View) -> Vec<u64> {
        let last = |thread| view.get(&format!("{thread}/last"));
        (0..self.plan.threads).map(|thread| last(thread).map_or(0, |value| number_of(&value))).collect()
    }

    /// A copy of the directory.
    fn copy(&self) -> PathBuf {
        let copy = self.database.with_extension("copy");
        let _ = fs::remove_dir_all(&copy);
        if self.database.exists() {
            copy_database(&self.database, &copy);
        }
        copy
    }

    /// Opens a copy of the directory with `library`, checks every promise, and returns the last write of each
    /// thread.
    pub fn check(&self, library: &'static Library) -> Vec<u64> {
        let db = Db::open(library, &self.copy(), &OpenOptions::default())
            .unwrap_or_else(|error| panic!("{library:?} cannot open what a kill left: {error}"));
        let last = self.check_view(&db, &format!("{library:?}"));
        db.close();
        last
    }

    /// Checks every promise of the threads, and returns the last write of each.
    fn check_view(&self, view: &impl View, name: &str) -> Vec<u64> {
        let reported = self.reported();
        let last = self.last_found(view);
        for (thread, (&found, &reported)) in last.iter().zip(&reported).enumerate() {
            assert!(
                found >= reported,
                "{name}: thread {thread}: write {reported} is lost: {found} is the last"
            );
            assert!(found <= reported + 1, "{name}: thread {thread}: {found} was never written ({reported})");
            check_thread(view, name, thread as u64, found);
        }
        last
    }
}

/// What a library shows of a database.
trait View {
    /// The value of a key.
    fn get(&self, key: &str) -> Option<Vec<u8>>;
    /// What follows the prefix in the keys that begin with it.
    fn keys(&self, prefix: &str) -> Vec<String>;
}

impl View for Db {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.get(key.as_bytes()).unwrap_or_else(|error| panic!("get {key}: {error}"))
    }

    fn keys(&self, prefix: &str) -> Vec<String> {
        let mut iterator = self.iterator(None);
        iterator.seek(prefix.as_bytes());
        let mut keys = Vec::new();
        while iterator.valid() && iterator.key().starts_with(prefix.as_bytes()) {
            keys.push(String::from_utf8_lossy(&iterator.key()[prefix.len()..]).into_owned());
            iterator.next();
        }
        iterator.status().expect("a whole iteration");
        keys
    }
}

fn number_of(value: &[u8]) -> u64 {
    let text = value.split(|byte| *byte == b':').next().expect("a split has a first part");
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).expect("a value begins with its number")
}

/// Checks that the database has all writes of a thread up to `last`, and no later one.
fn check_thread(view: &impl View, name: &str, thread: u64, last: u64) {
    for slot in 0..SLOTS {
        let expected =
            (0..=last).rev().take(SLOTS as usize).find(|number| number % SLOTS == slot && *number > 0);
        for key in 0..KEYS {
            let key = format!("{thread}/slot{slot:02}/{key}");
            let value = view.get(&key);
            let found = value.as_deref().map(number_of);
            assert_eq!(found, expected, "{name}: {key}, after write {last}");
            if let (Some(value), Some(number)) = (value, expected) {
                let head = number.to_string().len() + 1;
                assert_eq!(value.len(), head + padding(number), "{name}: the length of {key}");
                let letter = b'a' + (number % 26) as u8;
                assert!(value[head..].iter().all(|byte| *byte == letter), "{name}: the bytes of {key}");
            }
        }
    }
    let left = view.keys(&format!("{thread}/gone/"));
    let expected: Vec<String> = (last > 0).then(|| last.to_string()).into_iter().collect();
    assert_eq!(left, expected, "{name}: what thread {thread} deleted came back, or its last write is split");
}

/// Kills a writer `kills` times (or `TERRACE_KILLS` times) after random delays. `library` names the library
/// of each round. `check` checks what the kill has left, and returns the counters with which the next writer
/// begins.
fn kill_repeatedly(
    plan: Plan,
    kills: u64,
    library: impl Fn(u64) -> PathBuf,
    check: impl Fn(&Writer) -> Vec<u64>,
) {
    let scratch = scratch();
    let writer = Writer::new(scratch.path(), plan);
    let seed = number_from_env("TERRACE_SEED").or_else(first_seed);
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    announce(&format!("kill: {plan:?}, TERRACE_SEED={seed}"));
    let mut random = Random::new(seed);
    let mut written = 0;
    let kills = number_from_env("TERRACE_KILLS").unwrap_or(kills);
    for kill in 0..kills {
        let longest = if random.one_in(4) { 20_000 } else { 250_000 };
        let delay = Duration::from_micros(2_000 + random.below(longest));
        writer.run_and_kill(&library(kill), delay);
        let counters = check(&writer);
        writer.go_on_from(&counters);
        written = counters[..plan.threads as usize].iter().sum();
    }
    assert!(written > 0, "no writer lived long enough to write");
    announce(&format!("kill: {kills} kills, {written} writes found again"));
    count('E', kills, "kills");
}

/// Terrace writes in two of three rounds; the writes of Google's library in between must be recovered too.
fn kill_both(plan: Plan) {
    let library = |kill: u64| if kill % 3 == 1 { google_path() } else { terrace_path() };
    kill_repeatedly(plan, KILLS, library, |writer| {
        let (ours, theirs) = (writer.check(terrace()), writer.check(google()));
        assert_eq!(ours, theirs, "the two libraries recover different last writes from one directory");
        ours
    });
}

/// A writer without column families.
const PLAIN: Plan = Plan { threads: 1, sync_every: 0, write_buffer_size: 4 << 20, has_families: false };

#[test]
fn a_kill_loses_no_write_of_one_thread() {
    kill_both(PLAIN);
}

#[test]
fn a_kill_during_flushes_and_compactions_loses_nothing() {
    kill_both(Plan { sync_every: 10, write_buffer_size: 64 << 10, ..PLAIN });
}

#[test]
fn a_kill_splits_no_batch_of_a_crowd_of_writers() {
    kill_both(Plan { threads: 4, sync_every: 50, write_buffer_size: 1 << 20, ..PLAIN });
}

#[test]
fn a_lost_write_and_a_split_batch_are_noticed() {
    let scratch = scratch();
    let writer = Writer::new(scratch.path(), PLAIN);
    writer.run_until(&google_path(), 100);
    let last = writer.check(google())[0];
    let lies = [last + 1, last.saturating_sub(2)];
    for lie in lies {
        writer.go_on_from(&[lie]);
        let noticed = std::panic::catch_unwind(|| writer.check(google()));
        assert!(noticed.is_err(), "a report of {lie} writes where {last} were found passes");
    }
    writer.go_on_from(&[last]);
    let db = Db::open(google(), writer.database(), &OpenOptions::default()).expect("open");
    let key = format!("0/slot{:02}/3", last % SLOTS);
    db.delete(key.as_bytes(), false).expect("delete");
    db.close();
    let noticed = std::panic::catch_unwind(|| writer.check(google()));
    assert!(noticed.is_err(), "a batch without one of its keys passes");
}
