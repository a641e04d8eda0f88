//! A description of the machine that was measured: ratios can be compared across machines, times cannot.

use std::fs;
use std::path::Path;

/// Processor, cores, memory, file system of `directory`, kernel.
pub fn describe(directory: &Path) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let processor = after("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let memory = after("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split(' ').next()?.parse::<u64>().ok())
        .map_or(String::new(), |kibibytes| format!(", {} GiB of memory", kibibytes.div_ceil(1 << 20)));
    // Only the version: the suffix of the kernel's builder is meaningless to others.
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.split('-').next().unwrap_or_default();
    format!(
        "{processor}, {cores} cores{memory}, {} on {}, Linux {}",
        file_system(directory).0,
        file_system(directory).1,
        kernel.trim()
    )
}

/// The value after `name` and a colon, in the first such line.
fn after(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The type of the file system of a directory, and the kind of its device.
fn file_system(directory: &Path) -> (String, &'static str) {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mut best = (0, "an unknown file system".to_owned(), "");
    for line in mounts.lines() {
        let mut words = line.split(' ');
        if let (Some(device), Some(place), Some(kind)) = (words.next(), words.next(), words.next())
            && directory.starts_with(place)
            && place.len() >= best.0
        {
            best = (place.len(), kind.to_owned(), device_kind(device));
        }
    }
    (best.1, best.2)
}

fn device_kind(device: &str) -> &'static str {
    let name = device.trim_start_matches("/dev/");
    match name {
        _ if name.starts_with("vd") => "a virtual disk",
        _ if name.starts_with("nvme") => "NVMe",
        _ if device.starts_with("/dev/") => "a disk",
        _ => "no disk",
    }
}
