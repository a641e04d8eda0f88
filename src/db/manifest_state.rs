//! The MANIFEST that edits are appended to, and the right to append.
//!
//! One group of edits at a time. The installing thread marks the MANIFEST busy, takes the writer, releases
//! the mutex for the I/O, and gives the writer back. After a failure the outcome on disk is unknown. Then no
//! writer is given back, so that the next edit goes to a new MANIFEST, and the tables that the failed edits
//! would have added stay until that MANIFEST is durable.
//!
//! Thread rule: guarded by the state mutex.

use crate::version::manifest::ManifestWriter;

/// A MANIFEST is replaced by a new one when it is longer than this and longer than twice its initial length.
/// The second condition is there because the description of a large database may alone be longer than this.
/// In bytes.
const MIN_LIMIT: u64 = 16 << 20;

/// The state of the current MANIFEST.
pub struct ManifestState {
    /// `None` while a thread writes, before this process has written anything, and after a failure.
    writer: Option<ManifestWriter>,
    is_busy: bool,
    /// The length in bytes at which a new MANIFEST replaces this one.
    limit: u64,
    /// New tables of edits whose writing has failed. An existing MANIFEST may name them. The next MANIFEST
    /// does not, so they become obsolete when it is durable.
    unreferenced_outputs: Vec<u64>,
}

impl ManifestState {
    /// `writer` belongs to a MANIFEST that describes the whole state. `None`: recovery has written no
    /// MANIFEST.
    pub fn new(writer: Option<ManifestWriter>) -> Self {
        let limit = Self::limit_of(writer.as_ref().map_or(0, ManifestWriter::file_size));
        ManifestState { writer, is_busy: false, limit, unreferenced_outputs: Vec::new() }
    }

    /// The length at which a MANIFEST is replaced whose description of the whole state took `bytes` bytes.
    fn limit_of(bytes: u64) -> u64 {
        MIN_LIMIT.max(bytes.saturating_mul(2))
    }

    /// Does a thread prepare, write or commit edits?
    pub fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// Would the next edit begin a new MANIFEST?
    pub fn is_missing(&self) -> bool {
        self.writer.is_none() && !self.is_busy
    }

    /// A thread begins to prepare edits. No other thread may do so until `end`.
    pub fn begin(&mut self) {
        debug_assert!(!self.is_busy);
        self.is_busy = true;
    }

    /// The edits were written, or writing them has failed.
    pub fn end(&mut self) {
        self.is_busy = false;
    }

    /// Takes the writer, if its MANIFEST may grow. `file_size_limit`: the longest file that the system
    /// allows, in bytes. `None`: the caller must create a new MANIFEST.
    pub fn take_writer(&mut self, file_size_limit: u64) -> Option<ManifestWriter> {
        // The MANIFEST is replaced before it reaches the system's limit, so that no append fails because of
        // that.
        let limit = self.limit.min(file_size_limit / 2);
        self.writer.take().filter(|writer| writer.file_size() < limit)
    }

    /// A new MANIFEST, whose description of the whole state takes `bytes` bytes, is durable. Returns the
    /// tables of failed edits: the current MANIFEST does not name them.
    pub fn replaced(&mut self, bytes: u64) -> Vec<u64> {
        self.limit = Self::limit_of(bytes);
        std::mem::take(&mut self.unreferenced_outputs)
    }

    /// The edits are durable: the next ones are appended to the same MANIFEST.
    pub fn written(&mut self, writer: Option<ManifestWriter>) {
        self.writer = writer;
    }

    /// It is unknown whether an edit that adds these tables is on disk.
    pub fn failed(&mut self, new_tables: impl Iterator<Item = u64>) {
        self.unreferenced_outputs.extend(new_tables);
    }

    /// Closes the file. Called when the database is closed.
    pub fn close(&mut self) {
        self.writer = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_replaced_at_twice_its_beginning_but_not_below_16_mib() {
        assert_eq!(ManifestState::limit_of(0), 16 << 20);
        assert_eq!(ManifestState::limit_of(8 << 20), 16 << 20);
        assert_eq!(ManifestState::limit_of(9 << 20), 18 << 20);
        assert_eq!(ManifestState::limit_of(u64::MAX), u64::MAX);
    }

    #[test]
    fn tables_of_failed_edits_wait_for_the_next_manifest() {
        let mut manifest = ManifestState::new(None);
        assert!(manifest.is_missing());
        manifest.begin();
        assert!(manifest.is_busy() && !manifest.is_missing());
        manifest.failed([7, 8].into_iter());
        manifest.end();
        manifest.begin();
        manifest.failed([9].into_iter());
        manifest.end();
        assert_eq!(manifest.replaced(100), [7, 8, 9]);
        assert_eq!(manifest.replaced(100), []);
    }
}
