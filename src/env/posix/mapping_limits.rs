//! How much of the process's address space mapped tables may take.
//!
//! Linux gives a process 65530 mappings (`vm.max_map_count`), and perhaps a limited number of addresses (RLIMIT_AS). The program around
//! us needs both: where the system refuses a mapping its allocations fail too. So tables take at most half of each;
//! beyond, they are read by `pread`. Without a limit on addresses, one of 64 bits has more than any disk; with 32 bits tables
//! take a quarter.
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
        if TAKEN.take(bytes, max_mappings(), max_bytes(sys::address_space_limit())) {
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

fn max_bytes(address_space_limit: Option<u64>) -> usize {
    let addresses = if usize::BITS < 64 { usize::MAX / 2 } else { usize::MAX };
    match address_space_limit {
        Some(limit) => usize::try_from(limit / 2).unwrap_or(usize::MAX).min(addresses / 2),
        None => addresses / 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_take_at_most_half_of_the_mappings_and_addresses() {
        assert_eq!(max_bytes(Some(1 << 30)), 1 << 29);
        assert!(max_bytes(None) > 1 << 28 && max_bytes(Some(u64::MAX)) == max_bytes(None));
        assert!(max_mappings() > 0);
        let taken = Taken { mappings: AtomicUsize::new(0), bytes: AtomicUsize::new(0) };
        assert!(taken.take(60, 3, 100) && !taken.take(41, 3, 100) && taken.take(40, 3, 100));
        assert!(taken.take(0, 3, 100) && !taken.take(0, 3, 100), "three mappings");
        taken.give_back(60);
        assert!(taken.take(60, 3, 100) && !taken.take(usize::MAX, 9, 100));
    }
}
