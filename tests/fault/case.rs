//! One run of a workload in which an operation fails.

use super::workloads::Named;
use crate::crash::run::{Driver, contents, prepare};
use crate::crash::states::{Checker, Effort, open};
use crate::crash::workload::{Operation, Setup};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use terrace::env::fault::{FaultEnv, FaultKind, FaultRule};
use terrace::env::mem::MemEnv;
use terrace::internals::db::Severity;

/// How an operation fails, and with which error number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Only this operation fails.
    Once(i32),
    /// This operation and all later ones fail, until the workload has ended.
    Sticky(i32),
    /// Only this operation fails, but it is carried out.
    CarriedOut(i32),
    /// Only this write (the nth of all writes) fails, after a part of it was made.
    ShortWrite(i32),
}

impl Mode {
    /// All modes, each with EIO and ENOSPC.
    pub fn all() -> Vec<Mode> {
        let modes: [fn(i32) -> Mode; 4] = [Mode::Once, Mode::Sticky, Mode::CarriedOut, Mode::ShortWrite];
        modes.iter().flat_map(|mode| [mode(libc::EIO), mode(libc::ENOSPC)]).collect()
    }

    fn errno(self) -> i32 {
        match self {
            Mode::Once(errno) | Mode::Sticky(errno) | Mode::CarriedOut(errno) | Mode::ShortWrite(errno) => {
                errno
            }
        }
    }

    fn rule(self, nth: u64) -> FaultRule {
        let rule = match self {
            Mode::Once(_) => FaultRule::any().nth(nth).once(),
            Mode::Sticky(_) => FaultRule::any().nth(nth),
            Mode::CarriedOut(_) => FaultRule::any().nth(nth).once().after(),
            // Within the header of a record, and after it.
            Mode::ShortWrite(_) => {
                let bytes = 1 + (nth as usize * 5) % 23;
                FaultRule::new([FaultKind::Append]).nth(nth).once().short_write(bytes)
            }
        };
        rule.errno(self.errno())
    }
}

impl std::fmt::Debug for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self {
            Mode::Once(_) => "once",
            Mode::Sticky(_) => "sticky",
            Mode::CarriedOut(_) => "carried-out",
            Mode::ShortWrite(_) => "short-write",
        };
        write!(f, "{name}-{}", if self.errno() == libc::EIO { "EIO" } else { "ENOSPC" })
    }
}

/// A case: the nth operation fails in a given mode.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Counted from 1.
    pub nth: u64,
    pub mode: Mode,
}

/// How the database recovered from the failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The workload has fewer operations.
    NothingFailed,
    /// The database was not open any more, and could be opened.
    Opened,
    /// Writes succeeded again without any action.
    WentOn,
    /// Writes succeeded again after `Db::resume`.
    Resumed,
    /// The database refused writes until it was opened again.
    Reopened,
}

/// The operations that failed, and the number of changes of the disk at the first failure.
#[derive(Default)]
struct Failures {
    list: Vec<(FaultKind, PathBuf)>,
    first_at: Option<usize>,
}

impl Failures {
    /// May the database need to be reopened? After a failed sync of a WAL always, and after another permanent
    /// error of a WAL.
    fn may_need_reopening(&self, errno: i32) -> bool {
        self.list.iter().any(|(kind, path)| {
            let is_log = path.extension().is_some_and(|extension| extension == "log");
            let kinds = [FaultKind::Append, FaultKind::Flush];
            is_log && (matches!(kind, FaultKind::Sync | FaultKind::Close) || (errno == libc::EIO && kinds.contains(kind)))
                // The sync of a synced write also syncs the directory.
                || *kind == FaultKind::SyncDir
        })
    }
}

impl Failures {
    /// Did a sync of a file fail, and then the marking of the file as torn?
    fn mark_failed(&self) -> bool {
        self.list.iter().enumerate().any(|(at, (kind, path))| {
            let is_mark = |(other, marked): &(FaultKind, PathBuf)| {
                marked == path && matches!(other, FaultKind::Create | FaultKind::Append | FaultKind::Close)
            };
            *kind == FaultKind::Sync && self.list[at + 1..].iter().any(is_mark)
        })
    }
}

/// The number of file operations of a workload without failures.
pub fn count_operations(named: &Named) -> Result<u64, String> {
    let (disk, base) =
        prepare(&named.workload.setup, &named.workload.before).map_err(|error| error.to_string())?;
    let faults = FaultEnv::new(disk.shared());
    let mut driver = Driver::new(&named.workload.setup, &disk, faults.shared(), base);
    let operations = &named.workload.operations;
    operations.iter().try_for_each(|operation| driver.apply(operation)).map_err(|error| error.to_string())?;
    driver.close().map_err(|error| error.to_string())?;
    Ok(faults.operations())
}

/// Runs one case. The error says which promise was broken.
pub fn run(named: &Named, case: Case) -> Result<Outcome, String> {
    let setup = &named.workload.setup;
    let (disk, base) = prepare(setup, &named.workload.before).map_err(|error| error.to_string())?;
    let faults = FaultEnv::new(disk.shared());
    let failures: Arc<Mutex<Failures>> = Arc::default();
    let rule = faults.add(case.mode.rule(case.nth).on_hit(note_failure(&disk, &failures, case.mode)));
    let mut driver = Driver::new(setup, &disk, faults.shared(), base);
    for operation in &named.workload.operations {
        let result = driver.apply(operation);
        if rule.hits() > 0 {
            // Reads may fail too; their results must be correct.
            check_live(&driver, false).map_err(|what| format!("after {operation:?} ({result:?}): {what}"))?;
        } else if let Err(error) = result {
            return Err(format!("{operation:?} fails before anything else does: {error}"));
        }
    }
    let hits = rule.hits();
    drop(rule);
    let failed_by = disk.operation_count();
    let failures = std::mem::take(&mut *failures.lock().expect("no panic"));
    let explain = |what: String| format!("{what}\nfailed: {:?}", failures.list);
    let outcome = match hits {
        0 => Outcome::NothingFailed,
        _ => recover(&mut driver, &failures, case.mode.errno()).map_err(explain)?,
    };
    check_live(&driver, true).map_err(explain)?;
    let closed = driver.close();
    if let (Err(error), false) = (closed, outcome == Outcome::Reopened) {
        return Err(explain(format!("it does not close: {error}")));
    }
    let db =
        open(setup, &disk, false).map_err(|error| explain(format!("I4: it does not open again: {error}")))?;
    driver.history.explain_whole(&contents(&db)?).map_err(|what| explain(format!("I7: {what}")))?;
    drop(db);
    // A file that could not be marked after a failed sync may be treated as cleanly closed.
    let is_marked = !setup.reuse_logs || !failures.mark_failed();
    if hits > 0 && is_marked {
        let moments = [failures.first_at.unwrap_or(failed_by), failed_by, disk.operation_count()];
        check_crashes(&driver, &disk, setup, &moments).map_err(explain)?;
    }
    Ok(outcome)
}

/// Records a failure. A failed sync makes nothing durable, and neither does a later one.
fn note_failure(
    disk: &MemEnv,
    failures: &Arc<Mutex<Failures>>,
    mode: Mode,
) -> impl Fn(FaultKind, &Path) + Send + Sync + 'static {
    let (disk, failures) = (disk.clone(), failures.clone());
    move |kind, path| {
        if kind == FaultKind::Sync && !matches!(mode, Mode::CarriedOut(_)) {
            disk.forget_unsynced(path);
        }
        let mut failures = failures.lock().expect("no panic");
        failures.list.push((kind, path.to_path_buf()));
        failures.first_at.get_or_insert_with(|| disk.operation_count());
    }
}

/// Checks that the open database has every write that did not fail, and none that failed.
fn check_live(driver: &Driver, must_read: bool) -> Result<(), String> {
    let Some(db) = driver.db() else { return Ok(()) };
    match contents(db) {
        Ok(found) => driver.check_live(&found).map_err(|what| format!("I7: {what}")),
        Err(error) if must_read => Err(error),
        Err(_) => Ok(()),
    }
}

/// After the disk works again: makes the database accept writes again, in the documented ways.
fn recover(driver: &mut Driver, failures: &Failures, errno: i32) -> Result<Outcome, String> {
    let Some(db) = driver.db() else {
        driver.open().map_err(|error| format!("I4: it does not open: {error}"))?;
        return write_again(driver).map(|()| Outcome::Opened);
    };
    if db.background_error().is_none() && write_again(driver).is_ok() {
        return Ok(Outcome::WentOn);
    }
    // A failure may be reported a little later: a retry that has started before may still report the old
    // error.
    for _ in 0..3 {
        let db = driver.db().expect("it was open");
        match db.background_error() {
            Some(error) if error.error.message().contains("internal error") => {
                return Err(format!("a background thread panicked: {}", error.error));
            }
            Some(error) if error.severity == Severity::UntilReopened => {
                if !failures.may_need_reopening(errno) {
                    return Err(format!("it asks for a reopening, without need: {}", error.error));
                }
                if write_again(driver).is_ok() {
                    return Err("it takes a write, although it says that it does not".to_owned());
                }
                return Ok(Outcome::Reopened);
            }
            _ => {}
        }
        if db.resume().is_ok() && write_again(driver).is_ok() {
            return Ok(Outcome::Resumed);
        }
    }
    let db = driver.db().expect("it was open");
    Err(format!("it does not resume: {:?}", db.background_error()))
}

fn write_again(driver: &mut Driver) -> Result<(), String> {
    let put = Operation::Put { key: 0, length: 33, sync: true };
    driver.apply(&put).map_err(|error| format!("it takes no writes: {error}"))
}

/// Checks that a crash at these moments loses no acknowledged write.
fn check_crashes(driver: &Driver, disk: &MemEnv, setup: &Setup, moments: &[usize]) -> Result<(), String> {
    let effort = Effort { subsets: 2, pairs: 1, one_recovered_in: 0 };
    let mut checker = Checker::new(setup, &driver.history, effort, moments[0] as u64);
    let mut point = disk.crash_point(0);
    for &moment in moments {
        point.advance_to(moment);
        checker.check_point(disk, &point).map_err(|violation| violation.to_string())?;
    }
    Ok(())
}
