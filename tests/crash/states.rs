//! Every crash of a run: a crash after each change of the disk, with many of the states that may survive it.
//! Each state is opened and checked, used, crashed again and opened again.

use super::oracle::{Contents, History, key, show};
use super::run::contents;
use super::workload::Setup;
use crate::support::random::Random;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use terrace::env::mem::{CrashChoice, CrashPoint, MemEnv};
use terrace::internals::util::crc32c;
use terrace::{Db, Error, WriteOptions};

/// The largest depth of nested crashes within recoveries.
const DEPTH: u32 = 3;

/// The number of states to try.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Number of random subsets of the unsynced changes, for each crash.
    pub subsets: u64,
    /// Number of pairs of an earlier change that is lost and a later one that is kept, for each crash.
    pub pairs: usize,
    /// One in this many states also gets crashes within its recovery.
    pub one_recovered_in: u64,
}

/// The number of states so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// States tried; the same disk may be among them more than once.
    pub tried: u64,
    /// Different disks (in bytes, or in the permitted contents), each opened three times.
    pub opened: u64,
    /// Crashes within recoveries, each opened.
    pub within_recovery: u64,
}

impl Tally {
    pub fn add(&mut self, other: Tally) {
        self.tried += other.tried;
        self.opened += other.opened;
        self.within_recovery += other.within_recovery;
    }

    /// All states.
    pub fn states(&self) -> u64 {
        self.tried + self.within_recovery
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} states ({} disks that differ), {} within recoveries",
            self.tried, self.opened, self.within_recovery
        )
    }
}

/// A state that breaks a promise.
#[derive(Debug)]
pub struct Violation {
    /// The promise, and how it is broken.
    pub what: String,
    /// A description of the crash.
    pub crash: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.what, self.crash)
    }
}

/// What is checked, and how thoroughly.
pub struct Checker<'a> {
    /// How the databases are opened.
    pub setup: &'a Setup,
    /// The writes, which determine the permitted contents.
    pub history: &'a History,
    pub effort: Effort,
    /// The seed of the random subsets.
    pub seed: u64,
    pub tally: Tally,
    seen: HashSet<u64>,
}

impl<'a> Checker<'a> {
    pub fn new(setup: &'a Setup, history: &'a History, effort: Effort, seed: u64) -> Checker<'a> {
        Checker { setup, history, effort, seed, tally: Tally::default(), seen: HashSet::new() }
    }

    /// Checks a crash after each change of `disk` from `from` on.
    pub fn check_all(&mut self, disk: &MemEnv, from: usize) -> Result<(), Violation> {
        let mut point = disk.crash_point(from);
        for operations in from..=disk.operation_count() {
            point.advance_to(operations);
            self.check_point(disk, &point)?;
        }
        Ok(())
    }

    /// Checks the states that may survive a crash at one moment.
    pub fn check_point(&mut self, disk: &MemEnv, point: &CrashPoint) -> Result<(), Violation> {
        let mut random = Random::new(self.seed ^ (point.operations() as u64) << 20);
        for choice in choices(point, &self.effort, &mut random) {
            let recover = self.effort.one_recovered_in > 0 && random.one_in(self.effort.one_recovered_in);
            let seed = random.next();
            self.tally.tried += 1;
            self.check_state(point, choice, recover.then_some(seed))
                .map_err(|what| Violation { what, crash: describe(disk, point, choice) })?;
        }
        Ok(())
    }

    fn check_state(
        &mut self,
        point: &CrashPoint,
        choice: CrashChoice,
        recover: Option<u64>,
    ) -> Result<(), String> {
        let disk = point.disk(choice);
        let files = disk.files();
        // The permitted contents are part of the state.
        if !self.seen.insert(fingerprint(&files, self.history.bounds(point.operations()))) {
            return Ok(());
        }
        self.tally.opened += 1;
        let db = open(self.setup, &disk, false).map_err(|error| format!("I4: it does not open: {error}"))?;
        let found = contents(&db)?;
        let opened = if recover.is_some() { confirmed(&db, &disk)? } else { 0 };
        let gaps = matches!(choice, CrashChoice::Random { garbage: true, .. });
        self.history
            .explain(&found, point.operations(), gaps)
            .map_err(|error| format!("I1, I2 or I3: {error}"))?;
        self.check_second_life(&disk, db, found.clone())?;
        self.check_strict_opening(&point.disk(choice), files, &found)?;
        if let Some(seed) = recover {
            self.check_recovery(&disk, opened, &found, 1, &mut Random::new(seed))?;
        }
        Ok(())
    }

    /// Adds a synced write and crashes: the contents found and the write must still be there.
    fn check_second_life(&self, disk: &MemEnv, db: Db, mut found: Contents) -> Result<(), String> {
        let (key, value) = (key(0), b"after the crash".to_vec());
        db.put(&WriteOptions { sync: true }, &key, &value)
            .map_err(|error| format!("the recovered database takes no writes: {error}"))?;
        let crashed = disk.crash_clone(CrashChoice::OnlySynced);
        drop(db);
        found.insert(key, Arc::new(value));
        let db = open(self.setup, &crashed, false)
            .map_err(|error| format!("I4: it does not open after the next crash: {error}"))?;
        match contents(&db)? {
            again if again == found => Ok(()),
            again => Err(format!("I5: it held {}, and {} after the next crash", show(&found), show(&again))),
        }
    }

    /// An open with paranoid checks must find the same contents, or refuse and change nothing.
    fn check_strict_opening(
        &self,
        disk: &MemEnv,
        mut files: Vec<(PathBuf, Vec<u8>)>,
        found: &Contents,
    ) -> Result<(), String> {
        match open(self.setup, disk, true) {
            Ok(db) => match contents(&db)? {
                strictly if strictly == *found => Ok(()),
                strictly => Err(format!("I5: it holds {}, strictly opened {}", show(found), show(&strictly))),
            },
            Err(error) if !error.is_corruption() => {
                Err(format!("I4: a paranoid opening fails, not with Corruption: {error}"))
            }
            Err(error) => {
                let mut after = disk.files();
                for files in [&mut files, &mut after] {
                    files.retain(|(path, _)| path.file_name() != Some(OsStr::new("LOCK")));
                }
                if files == after { Ok(()) } else { Err(format!("I4: files changed although {error}")) }
            }
        }
    }

    /// If an open that has made `opened` changes has led to `found`, a crash after any of these changes must
    /// lead to `found` too.
    fn check_recovery(
        &mut self,
        disk: &MemEnv,
        opened: usize,
        found: &Contents,
        depth: u32,
        random: &mut Random,
    ) -> Result<(), String> {
        let effort = Effort { subsets: 2, pairs: 2, one_recovered_in: 0 };
        // All moments of the first recovery, one moment of each nested recovery.
        let one = random.below(opened as u64 + 1) as usize;
        let moments = if depth == 1 { 0..=opened } else { one..=one };
        let mut point = disk.crash_point(0);
        for operations in moments {
            point.advance_to(operations);
            let mut choices = choices(&point, &effort, random);
            if depth > 1 {
                choices = vec![random.pick(&choices)];
            }
            for choice in choices {
                let crashed = point.disk(choice);
                let explain =
                    |what: String| format!("{what}\nin the recovery, {}", describe(disk, &point, choice));
                self.tally.within_recovery += 1;
                let db = open(self.setup, &crashed, false)
                    .map_err(|error| explain(format!("I4: it does not open: {error}")))?;
                let again = contents(&db)?;
                let opened = if depth < DEPTH { confirmed(&db, &crashed)? } else { 0 };
                drop(db);
                if again != *found {
                    return Err(explain(format!("I5: it held {}, then {}", show(found), show(&again))));
                }
                if depth < DEPTH {
                    self.check_recovery(&crashed, opened, found, depth + 1, random).map_err(explain)?;
                }
            }
        }
        Ok(())
    }
}

/// The number of changes that an open makes to the disk, including the work that it defers (settling the
/// recovery debt).
fn confirmed(db: &Db, disk: &MemEnv) -> Result<usize, String> {
    db.flush().map_err(|error| format!("what was found is not written down: {error}"))?;
    Ok(disk.operation_count())
}

/// Opens a database on a disk.
pub fn open(setup: &Setup, disk: &MemEnv, paranoid_checks: bool) -> Result<Db, Error> {
    let mut options = setup.options(setup.env(disk.shared()));
    options.paranoid_checks = paranoid_checks;
    setup.open(&options)
}

/// The states that may survive a crash at this moment, as far as they are tried.
pub fn choices(point: &CrashPoint, effort: &Effort, random: &mut Random) -> Vec<CrashChoice> {
    let unsynced = point.unsynced();
    let mut choices = vec![CrashChoice::OnlySynced, CrashChoice::Everything];
    choices.extend(
        (0..effort.subsets).map(|n| CrashChoice::Random { seed: random.next(), garbage: n % 2 == 1 }),
    );
    choices.extend(unsynced.iter().map(|&index| CrashChoice::DropOne(index)));
    let mut pairs: Vec<_> = unsynced
        .iter()
        .enumerate()
        .flat_map(|(at, &earlier)| unsynced[at + 1..].iter().map(move |&later| (earlier, later)))
        .collect();
    for _ in 0..effort.pairs.min(pairs.len()) {
        let (earlier, later) = pairs.swap_remove(random.below(pairs.len() as u64) as usize);
        choices.push(CrashChoice::DropEarlierKeepLater(earlier, later));
    }
    choices
}

fn fingerprint(files: &[(PathBuf, Vec<u8>)], bounds: (usize, usize)) -> u64 {
    let mut print = (bounds.0 as u64) << 32 | bounds.1 as u64;
    for (path, bytes) in files {
        let name = crc32c::value(path.as_os_str().as_encoded_bytes());
        let sum = u64::from(name) << 32 | u64::from(crc32c::value(bytes));
        print = Random::new(print ^ sum).next() ^ bytes.len() as u64;
    }
    print
}

/// A description of the crash: the changes just before it, and which unsynced changes survived.
pub fn describe(disk: &MemEnv, point: &CrashPoint, choice: CrashChoice) -> String {
    let operations = point.operations();
    let list = |indexes: &[usize]| {
        let lines: Vec<_> =
            indexes.iter().map(|&index| format!("    {}", disk.describe_operation(index))).collect();
        lines.join("\n")
    };
    let recent: Vec<usize> = (operations.saturating_sub(12)..operations).collect();
    let unsynced = point.unsynced();
    let shown = &unsynced[unsynced.len().saturating_sub(20)..];
    format!(
        "crash after {operations} changes, {choice:?}; the last were\n{}\n  not synced ({}) were\n{}",
        list(&recent),
        unsynced.len(),
        list(shown)
    )
}
