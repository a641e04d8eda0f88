//! How much of the process's address space mapped tables may take.
//!
//! Linux gives a process 65530 mappings (`vm.max_map_count`), and perhaps a limited number of addresses (RLIMIT_AS). The program around
//! us needs both: where the system refuses a mapping its allocations fail too. So tables take at most half of the mappings,
//! and half of the addresses that are not taken by anything else; beyond, they are read by `pread`. Without a limit a process of
//! 64 bits has more addresses than a disk has bytes; with 32 bits tables take a quarter of them.
//!
//! Thread rule: any thread.

use super::sys;
use std::fs;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where the system does not tell.
const USUAL_MAPPINGS: usize = 65530;

static TAKEN: Taken = Taken { mappings: AtomicUsize::new(0), bytes: AtomicUsize::new(0) };

/// What mapped tables take of this process.
struct Taken {
    mappings: AtomicUsize,
    bytes: AtomicUsize,
}

impl Taken {
    /// Adds a mapping of `bytes`, if there is room.
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

/// Room for one mapping of a table; dropping it gives the room back.
pub struct Room {
    bytes: usize,
}

impl Room {
    /// Room for `bytes`. ENOMEM where tables have taken their share.
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

/// How many bytes tables may take, where `in_use` are taken by anything else.
fn max_bytes(address_space_limit: Option<u64>, in_use: impl FnOnce() -> u64) -> usize {
    const MOST: usize = if usize::BITS < 64 { usize::MAX / 4 } else { usize::MAX / 2 };
    let Some(limit) = address_space_limit else { return MOST };
    usize::try_from(limit.saturating_sub(in_use()) / 2).unwrap_or(MOST).min(MOST)
}

/// Bytes of addresses that the process has given to anything but mapped tables, which have `tables`. 0 where the system does not tell.
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
