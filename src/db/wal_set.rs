//! The WALs that exist, and which of them recovery would need.
//!
//! A WAL is needed while some family has entries of it only in memory. The MANIFEST says the number of the
//! oldest needed WAL (its log number), and the last sequence number before that WAL's first entry, so that
//! recovery can tell whether the WAL has lost its beginning.
//!
//! Thread rule: guarded by the state mutex.

/// An existing WAL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WalFile {
    /// The number in its name.
    pub number: u64,
    /// The last sequence number before the first entry of the WAL.
    pub begins_after: u64,
    /// The length of the file in bytes; 0 while it is appended to.
    pub size: u64,
}

/// The existing WALs, oldest first; the last one is appended to.
pub struct WalSet {
    files: Vec<WalFile>,
    /// The last sequence number of the entries in tables, as the last durable edit says it.
    flushed_sequence: u64,
}

impl WalSet {
    /// `files` is sorted, oldest first, and not empty.
    pub fn new(files: Vec<WalFile>, flushed_sequence: u64) -> Self {
        debug_assert!(files.is_sorted_by_key(|file| file.number));
        WalSet { files, flushed_sequence }
    }

    /// Adds a new WAL, which is appended to from now on. The one before it has `size` bytes.
    pub fn add(&mut self, file: WalFile, size: u64) {
        debug_assert!(self.files.last().is_none_or(|last| last.number < file.number));
        if let Some(last) = self.files.last_mut() {
            last.size = size;
        }
        self.files.push(file);
    }

    /// The number of the WAL that is appended to.
    pub fn newest(&self) -> u64 {
        self.files.last().map_or(0, |file| file.number)
    }

    /// The bytes of the WALs that are not appended to any more.
    pub fn bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size))
    }

    /// The last sequence number of the entries in tables once WALs below `oldest_needed` are not needed. An
    /// edit stores it.
    pub fn sequence_before(&self, oldest_needed: u64) -> u64 {
        let oldest = self.files.iter().find(|file| file.number >= oldest_needed);
        oldest.map_or(self.flushed_sequence, |file| file.begins_after)
    }

    /// The last sequence number of the entries in tables, as the last durable edit says it.
    pub fn flushed_sequence(&self) -> u64 {
        self.flushed_sequence
    }

    /// An edit with this last sequence number has become durable.
    pub fn set_flushed_sequence(&mut self, sequence: u64) {
        self.flushed_sequence = sequence;
    }

    /// Takes out the WALs below `oldest_needed`, which a durable edit has made obsolete. Returns their
    /// numbers.
    pub fn remove_before(&mut self, oldest_needed: u64) -> Vec<u64> {
        self.files.extract_if(.., |file| file.number < oldest_needed).map(|file| file.number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> WalSet {
        let file = |number, begins_after| WalFile { number, begins_after, size: 0 };
        WalSet::new(vec![file(4, 10), file(7, 20)], 10)
    }

    #[test]
    fn an_edit_says_the_sequence_before_the_oldest_wal_that_is_needed() {
        let mut wals = set();
        wals.add(WalFile { number: 9, begins_after: 30, size: 0 }, 500);
        assert_eq!((wals.newest(), wals.bytes()), (9, 500));
        for (oldest_needed, sequence) in [(0, 10), (4, 10), (5, 20), (7, 20), (8, 30), (9, 30), (10, 10)] {
            assert_eq!(wals.sequence_before(oldest_needed), sequence, "{oldest_needed}");
        }
    }

    #[test]
    fn wals_that_are_not_needed_are_taken_out_once() {
        let mut wals = set();
        assert_eq!(wals.remove_before(7), [4]);
        assert_eq!(wals.remove_before(7), []);
        assert_eq!(wals.sequence_before(0), 20);
        assert_eq!(wals.flushed_sequence(), 10);
        wals.set_flushed_sequence(20);
        assert_eq!(wals.flushed_sequence(), 20);
    }
}
