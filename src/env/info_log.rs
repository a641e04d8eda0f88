//! The info log: the file `LOG`, in which the engine reports to people; that of the previous open database is
//! `LOG.old`.
//!
//! A line is `2026/05/04-13:37:00.123456 3 message`: the local time, the number of the thread (1 is the first
//! that logged), the message. The line reaches the system before `log` returns, so that a crash loses none.
//! Logging never fails for the caller: after a failed write the file is left as it is, and later lines are
//! dropped.
//!
//! Thread rule: any number of threads may use a logger at the same time.

use super::posix::local_time;
use super::{CreateMode, Env, WritableFile};
use crate::error::Result;
use crate::util::fork::ProcessGeneration;
use crate::util::lock::Mutex;
use std::cell::Cell;
use std::fmt::{Arguments, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Receives the engine's reports (LevelDB's `Logger`).
pub trait Logger: Send + Sync {
    /// Logs one line. The logger appends the line feed.
    fn log(&self, line: Arguments<'_>);
}

/// Opens `<db>/LOG`, after renaming the existing one to `LOG.old`. Lines start with the local time and a
/// thread number, as LevelDB's do.
///
/// A database in a directory that refuses this may still be readable: after an error the caller continues
/// with [`null`].
pub(crate) fn open(env: &Arc<dyn Env>, db: &Path) -> Result<Arc<dyn Logger>> {
    let path = db.join("LOG");
    // Usually there is no LOG. If the rename fails, the existing file is appended to, so that nothing is
    // lost.
    let _ = env.rename(&path, &old_path(db));
    let file = env.create_writable(&path, CreateMode::Append)?;
    let process = ProcessGeneration::current();
    Ok(Arc::new(FileLogger { env: env.clone(), file: Mutex::new(file), process }))
}

/// The path of the info log of the previous open database.
pub(crate) fn old_path(db: &Path) -> PathBuf {
    db.join("LOG.old")
}

/// A logger that discards every line.
pub fn null() -> Arc<dyn Logger> {
    Arc::new(FnLogger(|_: Arguments<'_>| {}))
}

/// A logger that calls a function for each line: `Arc::new(FnLogger(|line: std::fmt::Arguments<'_>| ...))`.
pub struct FnLogger<F>(pub F);

impl<F: Fn(Arguments<'_>) + Send + Sync> Logger for FnLogger<F> {
    fn log(&self, line: Arguments<'_>) {
        (self.0)(line);
    }
}

struct FileLogger {
    env: Arc<dyn Env>,
    file: Mutex<Box<dyn WritableFile>>,
    /// A child of `fork` writes nothing to the file of its parent, and must not touch the mutex.
    process: ProcessGeneration,
}

impl Logger for FileLogger {
    fn log(&self, line: Arguments<'_>) {
        if !self.process.is_current() {
            return;
        }
        let text = format_line(self.env.now_micros(), thread_number(), line);
        let mut file = self.file.lock();
        if file.append(text.as_bytes()).is_ok() {
            let _ = file.flush();
        }
    }
}

fn format_line(micros: u64, thread: u64, line: Arguments<'_>) -> String {
    let time = local_time(micros / 1_000_000);
    let mut text = String::with_capacity(128);
    // Formatting into a string fails only if the displayed value fails; the line is then cut there.
    let _ = write!(
        text,
        "{:04}/{:02}/{:02}-{:02}:{:02}:{:02}.{:06} {thread} {line}",
        time.year,
        time.month,
        time.day,
        time.hour,
        time.minute,
        time.second,
        micros % 1_000_000,
    );
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// The number of the calling thread: 1, 2, 3... in the order in which threads first log. A plain integer,
/// since a thread-local with a destructor would tie the host program's threads to this library.
fn thread_number() -> u64 {
    static THREADS: AtomicU64 = AtomicU64::new(0);
    thread_local!(static NUMBER: Cell<u64> = const { Cell::new(0) });
    NUMBER.with(|number| {
        if number.get() == 0 {
            number.set(THREADS.fetch_add(1, Ordering::Relaxed) + 1);
        }
        number.get()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::fault::{FaultEnv, FaultKind, FaultRule};
    use crate::env::mem::MemEnv;
    use crate::env::read_file;

    fn text(env: &MemEnv, path: &str) -> String {
        String::from_utf8(read_file(env, Path::new(path), 1 << 20).unwrap()).unwrap()
    }

    #[test]
    fn lines_are_in_the_file_at_once_and_the_run_before_is_kept() {
        let mem = MemEnv::new();
        let env = mem.shared();
        for run in ["first", "second", "third"] {
            let log = open(&env, Path::new("/")).unwrap();
            log.log(format_args!("{run} run"));
            log.log(format_args!("it has {} lines\n", 2));
            let contents = text(&mem, "/LOG");
            let lines: Vec<&str> = contents.lines().collect();
            assert_eq!(lines.len(), 2);
            assert!(lines[0].ends_with(&format!(" {run} run")), "{contents}");
            assert!(lines[1].ends_with(" it has 2 lines"));
        }
        assert!(text(&mem, "/LOG.old").contains("second run"));
        assert_eq!(mem.files().len(), 2);
    }

    #[test]
    fn a_line_starts_with_the_local_time_and_the_thread() {
        let micros = 1_700_000_000_000_042;
        let line = format_line(micros, 7, format_args!("hello"));
        let time = local_time(1_700_000_000);
        assert!(line.starts_with(&format!("2023/11/{:02}-{:02}:", time.day, time.hour)), "{line}");
        assert!(line.ends_with(":20.000042 7 hello\n"), "{line}");
        assert_eq!(line.len(), "2023/11/14-22:13:20.000042 7 hello\n".len());
        let number = thread_number();
        assert_eq!(thread_number(), number);
        assert_ne!(std::thread::spawn(thread_number).join().unwrap(), number);
    }

    #[test]
    fn a_failing_disk_costs_lines_and_nothing_else() {
        let mem = MemEnv::new();
        let faults = FaultEnv::new(mem.shared());
        let env = faults.shared();
        let log = open(&env, Path::new("/")).unwrap();
        log.log(format_args!("kept"));
        let full = faults.add(FaultRule::new([FaultKind::Append, FaultKind::Flush]).errno(libc::ENOSPC));
        log.log(format_args!("dropped"));
        assert_eq!(full.hits(), 1);
        assert!(text(&mem, "/LOG").ends_with(" kept\n"));
        drop(full);
        let _creation = faults.add(FaultRule::new([FaultKind::Create]).path_suffix("LOG"));
        assert!(open(&env, Path::new("/")).is_err());
    }

    #[test]
    fn a_function_is_a_logger() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let copy = lines.clone();
        let log: Arc<dyn Logger> =
            Arc::new(FnLogger(move |line: Arguments<'_>| copy.lock().push(line.to_string())));
        log.log(format_args!("{}", 1));
        null().log(format_args!("{}", 2));
        assert_eq!(*lines.lock(), ["1"]);
    }
}
