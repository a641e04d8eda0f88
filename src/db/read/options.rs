//! The options of a read in the Rust API.

use crate::db::read::snapshot::Snapshot;
use crate::db::shared::DbShared;
use crate::error::{Error, Result};
use crate::options::ReadAt;

/// How one read is done.
#[derive(Clone, Copy, Debug)]
pub struct ReadOptions<'a> {
    /// Verify the checksum of every block read, even of one that was verified before. Default: no.
    pub verify_checksums: bool,
    /// Keep the blocks read in the block cache. Bulk scans turn it off. Default: yes.
    pub fill_cache: bool,
    /// Read the state of this snapshot. A snapshot of another database is refused with InvalidArgument.
    /// Default: the newest state.
    pub snapshot: Option<&'a Snapshot>,
}

impl Default for ReadOptions<'_> {
    fn default() -> Self {
        ReadOptions { verify_checksums: false, fill_cache: true, snapshot: None }
    }
}

impl ReadOptions<'_> {
    /// The same options, with the sequence number of the snapshot.
    #[inline]
    pub(in crate::db) fn resolve(&self, db: &DbShared) -> Result<ReadAt> {
        let sequence = match self.snapshot {
            None => None,
            Some(snapshot) if snapshot.is_of(db) => Some(snapshot.sequence()),
            Some(_) => return Err(foreign_snapshot()),
        };
        let ReadOptions { verify_checksums, fill_cache, .. } = *self;
        Ok(ReadAt { verify_checksums, fill_cache, sequence })
    }
}

/// The error of a read that is given another database's snapshot.
#[cold]
pub(in crate::db) fn foreign_snapshot() -> Error {
    Error::invalid_argument("the snapshot is of another database")
}
