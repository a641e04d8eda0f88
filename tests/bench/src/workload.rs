//! The rows: the operations that are measured.
//!
//! The threads share the operations of a row; its time is that of all of them. Keys come from random
//! generators whose seeds depend on row and thread alone, so that every engine gets the same operations.

use crate::engine::{Batch, Cursor, Engine, Store};
use crate::keys::{KEY_SIZE, Key, Random, Values};
use crate::measure::{
    Elapsed, Running, anonymous_bytes, cpu_micros, disk_bytes, peak_bytes, waits_for_disk, written,
};
use crate::plan::{Measurement, Plan, Round};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Number of entries of a batch of `fillbatch`.
const BATCH: u64 = 1000;

/// Largest number of writes of `fillsync`.
const SYNCED_WRITES: u64 = 2000;

/// Size of the WAL that `open` recovers, in bytes.
const RECOVERED_BYTES: u64 = 4 << 20;

/// Size of the WAL that `recover` finds beside the tables, in bytes.
const REOPENED_BYTES: u64 = 2 << 20;

/// Number of opens of the row `open`.
const OPENINGS: u64 = 10;

/// The longest wait for background work.
const LONGEST_SETTLE: Duration = Duration::from_secs(300);

/// A child's run of all rows of its plan.
pub struct Bench<'e, E: Engine> {
    engine: &'e E,
    plan: Plan,
    round: Round,
}

/// The read rows.
#[derive(Clone, Copy)]
enum Read {
    Random,
    Missing,
    Hot,
    Forward,
    Backward,
    Seek,
    NewIterator,
}

const READS: [(&str, Read); 7] = [
    ("readrandom", Read::Random),
    ("readmissing", Read::Missing),
    ("readhot", Read::Hot),
    ("readseq", Read::Forward),
    ("readreverse", Read::Backward),
    ("seekrandom", Read::Seek),
    ("newiter", Read::NewIterator),
];

/// The result of one thread of a row: its operations and what it found.
struct Done {
    operations: u64,
    found: u64,
}

impl<'e, E: Engine> Bench<'e, E> {
    pub fn new(engine: &'e E, plan: Plan) -> Self {
        Bench { engine, plan, round: Round::default() }
    }

    /// Runs all rows of the plan, and the rows that these need.
    pub fn run(mut self) -> Round {
        self.fresh_fills();
        self.main_database();
        if self.plan.wants("open") {
            self.open();
        }
        let written = written();
        self.round.written_bytes = written.calls;
        self.round.device_bytes = written.device;
        self.round.peak_bytes = peak_bytes();
        self.round
    }

    fn fresh(&self, name: &str) -> PathBuf {
        let path = self.plan.directory.join(name);
        let _ = fs::remove_dir_all(&path);
        path
    }

    fn record(&mut self, row: &str, operations: u64, elapsed: Elapsed, found: Option<u64>) {
        if self.plan.wants(row) {
            self.round.measurements.push(Measurement {
                row: row.to_owned(),
                operations,
                wall_micros: elapsed.wall_micros,
                cpu_micros: elapsed.cpu_micros,
                written_bytes: elapsed.written.calls,
                device_bytes: elapsed.written.device,
                anonymous_bytes: anonymous_bytes(),
                found,
            });
        }
    }

    /// Runs `work(thread, its share of the operations)` on all threads, and records the row.
    fn threads(
        &mut self,
        row: &str,
        operations: u64,
        agree: bool,
        work: impl Fn(u64, Range<u64>) -> Done + Sync,
    ) {
        let threads = self.plan.threads;
        let start = Barrier::new(threads as usize + 1);
        let (running, dones) = std::thread::scope(|scope| {
            let handles: Vec<_> = (0..threads)
                .map(|thread| {
                    let (work, start) = (&work, &start);
                    let share = operations * thread / threads..operations * (thread + 1) / threads;
                    scope.spawn(move || {
                        start.wait();
                        work(thread, share)
                    })
                })
                .collect();
            let running = Running::start();
            start.wait();
            let dones: Vec<Done> =
                handles.into_iter().map(|handle| handle.join().expect("a thread")).collect();
            (running.stop(), dones)
        });
        let total = dones.iter().map(|done| done.operations).sum();
        let found = dones.iter().map(|done| done.found).sum();
        self.record(row, total, running, agree.then_some(found));
    }

    /// `fillseq`, `fillbatch`, `fillsync`: each on a database of its own, removed afterwards.
    fn fresh_fills(&mut self) {
        let size = self.plan.profile.value_size;
        let (num, synced) = (self.plan.num, self.plan.num.min(SYNCED_WRITES));
        for (row, operations) in [("fillseq", num), ("fillbatch", num), ("fillsync", synced)] {
            if !self.plan.wants(row) {
                continue;
            }
            let path = self.fresh(row);
            let store = self.engine.open(&path, &self.plan.profile);
            match row {
                "fillbatch" => self.threads(row, operations, false, |thread, share| {
                    fill_batches(&store, share, &mut Values::new(size, thread))
                }),
                _ => self.threads(row, operations, false, |thread, share| {
                    let (mut key, mut values) = (Key::new(), Values::new(size, thread));
                    for number in share.clone() {
                        store.put(key.set(number), values.next(), row == "fillsync");
                    }
                    Done { operations: share.end - share.start, found: 0 }
                }),
            }
            self.round.user_bytes += operations * (KEY_SIZE + size) as u64;
            drop(store);
            let _ = fs::remove_dir_all(&path);
        }
    }

    /// Everything from `fillrandom` to `compact.deleted`, on one database.
    fn main_database(&mut self) {
        let reads: Vec<&str> = READS.iter().map(|(row, _)| *row).collect();
        let compacted: Vec<String> = reads.iter().map(|row| format!("{row}.compacted")).collect();
        let compacted: Vec<&str> = compacted.iter().map(|row| &**row).collect();
        let after = ["readwhilewriting", "deleterandom", "settle.deleted", "compact.deleted"];
        let wants_after = self.plan.wants_any(&after) || self.plan.wants("readwhilewriting.writer");
        let wants_reopened = self.plan.wants_any(&["recover", "reopen"]);
        let wants_compacted = self.plan.wants_any(&compacted);
        let wants_reads = self.plan.wants_any(&reads);
        let wants_writes = self.plan.wants_any(&["fillrandom", "overwrite", "settle", "compact"]);
        if !(wants_writes || wants_reads || wants_compacted || wants_reopened || wants_after) {
            return;
        }
        let path = self.fresh("main");
        let mut store = self.engine.open(&path, &self.plan.profile);
        self.write_randomly(&store, "fillrandom", 100);
        self.write_randomly(&store, "overwrite", 200);
        self.settle("settle");
        self.round.disk_bytes[0] = disk_bytes(&path);
        self.read_rows(&store, "");
        if self.plan.wants("compact") || wants_compacted || wants_reopened || wants_after {
            self.compact(&store, "compact");
            // An engine may remove obsolete files on a thread of its own.
            wait_until_idle();
            self.round.disk_bytes[1] = disk_bytes(&path);
        }
        self.read_rows(&store, ".compacted");
        if wants_reopened {
            store = self.reopen(store, &path);
        }
        if wants_after {
            self.read_while_writing(&store);
            self.delete_randomly(&store);
            self.settle("settle.deleted");
            self.compact(&store, "compact.deleted");
        }
        drop(store);
        let _ = fs::remove_dir_all(&path);
    }

    fn write_randomly(&mut self, store: &E::Store, row: &str, seed: u64) {
        let (num, size) = (self.plan.num, self.plan.profile.value_size);
        self.threads(row, num, false, |thread, share| {
            let (mut key, mut values) = (Key::new(), Values::new(size, seed + thread));
            let mut random = Random::new(seed + thread);
            for _ in share.clone() {
                store.put(key.set(random.below(num)), values.next(), false);
            }
            Done { operations: share.end - share.start, found: 0 }
        });
        self.round.user_bytes += num * (KEY_SIZE + size) as u64;
    }

    /// Waits until the process is idle: the row is the work that the writes have deferred.
    fn settle(&mut self, row: &str) {
        let elapsed = wait_until_idle();
        self.record(row, 1, elapsed, None);
        // The kernel's pending write-back belongs to this row, not to the reads.
        // SAFETY: no arguments; cannot fail.
        unsafe { libc::sync() };
    }

    fn compact(&mut self, store: &E::Store, row: &str) {
        let running = Running::start();
        store.compact();
        self.record(row, 1, running.stop(), None);
    }

    fn read_rows(&mut self, store: &E::Store, suffix: &str) {
        let (num, reads) = (self.plan.num, self.plan.reads);
        for (base, read) in READS {
            let row = format!("{base}{suffix}");
            if !self.plan.wants(&row) {
                continue;
            }
            let operations = match read {
                Read::Seek | Read::NewIterator => (reads / 4).max(10),
                _ => reads,
            };
            self.threads(&row, operations, true, |thread, share| {
                let random = Random::new(1000 + thread);
                let count = share.end - share.start;
                match read {
                    Read::Random => get(store, count, num, random),
                    Read::Missing => get_missing(store, count, num, random),
                    Read::Hot => get(store, count, num.div_ceil(100), random),
                    Read::Forward => scan(store, count, true),
                    Read::Backward => scan(store, count, false),
                    Read::Seek => seek(store, count, num, random),
                    Read::NewIterator => new_iterators(store, count, num, random),
                }
            });
        }
    }

    /// `recover`: opens the database with 2 MiB of writes in its WAL alone. `reopen`: opens it again, without
    /// these writes.
    fn reopen(&mut self, store: E::Store, path: &Path) -> E::Store {
        let (num, size) = (self.plan.num, self.plan.profile.value_size);
        let entries = (REOPENED_BYTES / (KEY_SIZE + size) as u64).max(1);
        let (mut key, mut values, mut random) = (Key::new(), Values::new(size, 600), Random::new(600));
        for _ in 0..entries {
            store.put(key.set(random.below(num)), values.next(), false);
        }
        self.round.user_bytes += entries * (KEY_SIZE + size) as u64;
        drop(store);
        let mut opened = None;
        for row in ["recover", "reopen"] {
            drop(opened.take());
            let running = Running::start();
            opened = Some(self.engine.open(path, &self.plan.profile));
            self.record(row, 1, running.stop(), None);
        }
        opened.expect("it was opened twice")
    }

    /// All threads read while another one overwrites as fast as possible.
    fn read_while_writing(&mut self, store: &E::Store) {
        let (num, reads, size) = (self.plan.num, self.plan.reads, self.plan.profile.value_size);
        if !self.plan.wants("readwhilewriting") && !self.plan.wants("readwhilewriting.writer") {
            return;
        }
        let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
        let running = Running::start();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut key, mut values, mut random) =
                    (Key::new(), Values::new(size, 300), Random::new(300));
                let mut count = 0;
                while !stop.load(Ordering::Relaxed) {
                    store.put(key.set(random.below(num)), values.next(), false);
                    count += 1;
                }
                written.store(count, Ordering::Relaxed);
            });
            self.threads("readwhilewriting", reads, false, |thread, share| {
                get(store, share.end - share.start, num, Random::new(2000 + thread))
            });
            stop.store(true, Ordering::Relaxed);
        });
        let written = written.into_inner();
        self.record("readwhilewriting.writer", written, running.stop(), None);
        self.round.user_bytes += written * (KEY_SIZE + size) as u64;
    }

    fn delete_randomly(&mut self, store: &E::Store) {
        let num = self.plan.num;
        self.threads("deleterandom", num, false, |thread, share| {
            let (mut key, mut random) = (Key::new(), Random::new(400 + thread));
            for _ in share.clone() {
                store.delete(key.set(random.below(num)));
            }
            Done { operations: share.end - share.start, found: 0 }
        });
        self.round.user_bytes += num * KEY_SIZE as u64;
    }

    /// Opens a crash image: a copy of an open database whose last 4 MiB are in the WAL alone.
    fn open(&mut self) {
        let (path, image) = (self.fresh("open"), self.fresh("open-image"));
        let mut roomy = self.plan.profile.clone();
        roomy.write_buffer_size = 64 << 20;
        let size = roomy.value_size;
        let entries = (RECOVERED_BYTES / (KEY_SIZE + size) as u64).max(1);
        let store = self.engine.open(&path, &roomy);
        let (mut key, mut values, mut random) = (Key::new(), Values::new(size, 500), Random::new(500));
        for _ in 0..entries {
            store.put(key.set(random.below(self.plan.num)), values.next(), false);
        }
        copy(&path, &image);
        drop(store);

        let mut total = Elapsed::default();
        for _ in 0..OPENINGS {
            let _ = fs::remove_dir_all(&path);
            copy(&image, &path);
            let running = Running::start();
            let store = self.engine.open(&path, &self.plan.profile);
            let elapsed = running.stop();
            drop(store);
            total.add(elapsed);
        }
        self.record("open", OPENINGS, total, None);
        let _ = fs::remove_dir_all(&path);
        let _ = fs::remove_dir_all(&image);
    }
}

/// Waits until the process is idle. Returns how long it was busy.
fn wait_until_idle() -> Elapsed {
    const GLANCE: Duration = Duration::from_millis(10);
    const QUIET_GLANCES: u32 = 20;
    const QUIET_CPU_MICROS: f64 = 500.0;
    let running = Running::start();
    let started = Instant::now();
    let (mut quiet, mut seen) = (0, cpu_micros());
    let mut last_busy = running.stop();
    while quiet < QUIET_GLANCES && started.elapsed() < LONGEST_SETTLE {
        // The C API alone gives no other way to find out that an engine is idle.
        std::thread::sleep(GLANCE);
        let now = cpu_micros();
        if now - seen < QUIET_CPU_MICROS && !waits_for_disk() {
            quiet += 1;
        } else {
            quiet = 0;
            last_busy = running.stop();
        }
        seen = now;
    }
    last_busy
}

/// Copies a database directory, without LOCK: a crash releases the lock.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a database directory") {
        let entry = entry.expect("an entry of the database directory");
        let copied = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &copied);
        } else if entry.file_name() != "LOCK" {
            fs::copy(entry.path(), copied).expect("a copy of a file");
        }
    }
}

fn fill_batches<S: Store>(store: &S, share: Range<u64>, values: &mut Values) -> Done {
    let (mut key, mut batch) = (Key::new(), store.batch());
    let mut number = share.start;
    while number < share.end {
        let end = (number + BATCH).min(share.end);
        batch.clear();
        for number in number..end {
            batch.put(key.set(number), values.next());
        }
        store.write(&mut batch);
        number = end;
    }
    Done { operations: share.end - share.start, found: 0 }
}

fn get<S: Store>(store: &S, count: u64, keys: u64, mut random: Random) -> Done {
    let (mut key, mut found) = (Key::new(), 0);
    for _ in 0..count {
        found += u64::from(store.get(key.set(random.below(keys))));
    }
    Done { operations: count, found }
}

fn get_missing<S: Store>(store: &S, count: u64, keys: u64, mut random: Random) -> Done {
    let (mut key, mut found) = (Key::new(), 0);
    for _ in 0..count {
        found += u64::from(store.get(key.set_missing(random.below(keys))));
    }
    Done { operations: count, found }
}

/// Scans `count` entries from one end, and starts again if there are fewer. `found` is the number of their
/// bytes.
fn scan<S: Store>(store: &S, count: u64, forward: bool) -> Done {
    let (mut found, mut left) = (0, count);
    while left > 0 {
        let mut cursor = store.cursor();
        if forward {
            cursor.seek_to_first()
        } else {
            cursor.seek_to_last()
        }
        assert!(cursor.valid(), "the database is empty");
        while left > 0 && cursor.valid() {
            found += cursor.entry() as u64;
            if forward {
                cursor.next()
            } else {
                cursor.prev()
            }
            left -= 1;
        }
    }
    Done { operations: count, found }
}

/// One iterator: seek, then ten times next.
fn seek<S: Store>(store: &S, count: u64, keys: u64, mut random: Random) -> Done {
    let (mut key, mut found) = (Key::new(), 0);
    let mut cursor = store.cursor();
    for _ in 0..count {
        cursor.seek(key.set(random.below(keys)));
        for _ in 0..10 {
            if !cursor.valid() {
                break;
            }
            found += cursor.entry() as u64;
            cursor.next();
        }
    }
    Done { operations: count, found }
}

/// A new iterator each time: create, seek, read the entry, destroy.
fn new_iterators<S: Store>(store: &S, count: u64, keys: u64, mut random: Random) -> Done {
    let (mut key, mut found) = (Key::new(), 0);
    for _ in 0..count {
        let mut cursor = store.cursor();
        cursor.seek(key.set(random.below(keys)));
        if cursor.valid() {
            found += cursor.entry() as u64;
        }
    }
    Done { operations: count, found }
}
