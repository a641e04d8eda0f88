//! Measurements of this process by the system: CPU time, bytes written, memory; and the size of a directory.

use std::fs;
use std::path::Path;
use std::time::Instant;

/// CPU time of the process so far, in microseconds: all threads, user and system.
pub fn cpu_micros() -> f64 {
    // SAFETY: the structure consists of plain numbers, and the call fills it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let micros = |time: libc::timeval| time.tv_sec as f64 * 1e6 + time.tv_usec as f64;
    micros(usage.ru_utime) + micros(usage.ru_stime)
}

/// Does a thread of the process wait for a disk? It then uses no CPU time, but is not idle.
pub fn waits_for_disk() -> bool {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return false };
    threads.flatten().any(|thread| {
        // `number (name) state ...`; the name may contain any character.
        let line = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        line.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('D'))
    })
}

/// Bytes that the process has written so far.
#[derive(Clone, Copy, Default)]
pub struct Written {
    /// Bytes passed to write calls.
    pub calls: u64,
    /// Bytes that go to the device: pages made dirty, by calls or by stores.
    pub device: u64,
}

/// Bytes written so far; zeros if the system does not count them.
pub fn written() -> Written {
    let text = fs::read_to_string("/proc/self/io").unwrap_or_default();
    Written { calls: field(&text, "wchar:"), device: field(&text, "write_bytes:") }
}

/// Peak resident memory of the process, in bytes.
pub fn peak_bytes() -> u64 {
    status("VmHWM:")
}

/// Anonymous memory (not mapped from files), in bytes.
pub fn anonymous_bytes() -> u64 {
    status("RssAnon:")
}

fn status(name: &str) -> u64 {
    field(&fs::read_to_string("/proc/self/status").unwrap_or_default(), name) * 1024
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Size on disk of the files of a directory and its subdirectories, in bytes.
pub fn disk_bytes(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let bytes = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
        Ok(metadata) => metadata.blocks() * 512,
        Err(_) => 0, // removed meanwhile
    };
    entries.map(bytes).sum()
}

/// The clocks of a measurement.
pub struct Running {
    started: Instant,
    cpu_micros: f64,
    written: Written,
}

/// The result of a measurement.
#[derive(Clone, Copy, Default)]
pub struct Elapsed {
    pub wall_micros: f64,
    pub cpu_micros: f64,
    pub written: Written,
}

impl Elapsed {
    pub fn add(&mut self, other: Elapsed) {
        self.wall_micros += other.wall_micros;
        self.cpu_micros += other.cpu_micros;
        self.written.calls += other.written.calls;
        self.written.device += other.written.device;
    }
}

impl Running {
    /// Starts the clocks.
    pub fn start() -> Running {
        Running { written: written(), cpu_micros: cpu_micros(), started: Instant::now() }
    }

    /// Reads the clocks.
    pub fn stop(&self) -> Elapsed {
        let wall_micros = self.started.elapsed().as_secs_f64() * 1e6;
        let cpu_micros = cpu_micros() - self.cpu_micros;
        let now = written();
        let written =
            Written { calls: now.calls - self.written.calls, device: now.device - self.written.device };
        Elapsed { wall_micros, cpu_micros, written }
    }
}
