//! The share of the process's address space that mapped tables may take.
//!
//! Linux gives a process 65530 mappings by default (`vm.max_map_count`), and possibly a limited address space
//! (RLIMIT_AS). The host program needs both: when the system refuses a mapping, the program's allocations
//! fail too. So tables take at most half of the mappings, and half of the address space that nothing else
//! takes; further tables are read by `pread`. Without a limit, a 64-bit process has more addresses than a
//! disk has bytes; in a 32-bit process tables take a quarter of them.
//!
//! Thread rule: any thread.

use super::sys;
use std::fs;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Assumed if the system does not tell.
const USUAL_MAPPINGS: usize = 65530;

static TAKEN: Taken = Taken { mappings: AtomicUsize::new(0), bytes: AtomicUsize::new(0) };

/// The mappings and bytes that mapped tables take in this process.
struct Taken {
    mappings: AtomicUsize,
    bytes: AtomicUsize,
}

impl Taken {
    /// Adds a mapping of `bytes`, if it stays within both limits.
    fn take(&self, bytes: usize, max_mappings: usize, max_bytes: usize) -> bool {
        let below = |limit: usize, more: usize| {
            move |taken: usize| taken.checked_add(more).filter(|&sum| sum <= limit)
        };
        let (relaxed, one_more) = (Ordering::Relaxed, below(max_mappings, 1));
        if self.mappings.fetch_update(relaxed, relaxed, one_more).is_err() {
            return false;
        }
        if self.bytes.fetch_update(relaxed, relaxed, below(max_bytes, bytes)).is_err() {
            self.mappings.fetch_sub(1, relaxed);
            return false;
        }
        true
    }

    fn give_back(&self, bytes: usize) {
        self.mappings.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The right to one mapping of a table. Dropping it gives the mapping and its bytes back.
pub struct Room {
    bytes: usize,
}

impl Room {
    /// The right to map `bytes`. ENOMEM if tables have taken their share.
    pub fn take(bytes: usize) -> io::Result<Room> {
        let taken = TAKEN.bytes.load(Ordering::Relaxed);
        if TAKEN.take(bytes, max_mappings(), max_bytes(sys::address_space_limit(), || in_use(taken))) {
            Ok(Room { bytes })
        } else {
            Err(io::Error::from_raw_os_error(libc::ENOMEM))
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        TAKEN.give_back(self.bytes);
    }
}

fn max_mappings() -> usize {
    static MAX_MAPPINGS: OnceLock<usize> = OnceLock::new();
    *MAX_MAPPINGS.get_or_init(|| {
        let told = fs::read_to_string("/proc/sys/vm/max_map_count").ok();
        told.and_then(|text| text.trim().parse::<usize>().ok()).unwrap_or(USUAL_MAPPINGS) / 2
    })
}

/// The bytes that tables may take in a process in which everything else takes `in_use`.
fn max_bytes(address_space_limit: Option<u64>, in_use: impl FnOnce() -> u64) -> usize {
    const MOST: usize = if usize::BITS < 64 { usize::MAX / 4 } else { usize::MAX / 2 };
    let Some(limit) = address_space_limit else { return MOST };
    usize::try_from(limit.saturating_sub(in_use()) / 2).unwrap_or(MOST).min(MOST)
}

/// The bytes of address space that the process uses for anything except mapped tables, which use `tables`
/// bytes. 0 if the system does not tell.
fn in_use(tables: usize) -> u64 {
    let told = fs::read_to_string("/proc/self/statm").ok();
    let pages: Option<u64> = told.and_then(|text| text.split_whitespace().next()?.parse().ok());
    pages.map_or(0, |pages| pages.saturating_mul(sys::page_size()).saturating_sub(tables as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_take_at_most_half_of_the_mappings_and_addresses() {
        assert_eq!(max_bytes(Some(1 << 30), || 1 << 20), (1 << 29) - (1 << 19));
        assert_eq!(max_bytes(Some(1 << 30), || 1 << 31), 0);
        assert!(max_bytes(None, || 0) > 1 << 28 && max_bytes(Some(u64::MAX), || 0) == max_bytes(None, || 0));
        assert!(max_mappings() > 0 && in_use(0) > in_use(1 << 20) && in_use(usize::MAX) == 0);
        let taken = Taken { mappings: AtomicUsize::new(0), bytes: AtomicUsize::new(0) };
        assert!(taken.take(60, 3, 100) && !taken.take(41, 3, 100) && taken.take(40, 3, 100));
        assert!(taken.take(0, 3, 100) && !taken.take(0, 3, 100), "three mappings");
        taken.give_back(60);
        assert!(taken.take(60, 3, 100) && !taken.take(usize::MAX, 9, 100));
    }
}
