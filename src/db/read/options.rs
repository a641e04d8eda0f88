//! The options of a read in the Rust API.

use crate::db::read::snapshot::Snapshot;
use crate::db::shared::DbShared;
use crate::error::{Error, Result};
use crate::options::ReadAt;

/// How one read is done. Write `..ReadOptions::default()` for the fields that are not named: more will be
/// added.
///
/// ```
/// # use terrace::{Db, Options, ReadOptions};
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("db");
/// # let options = Options { create_if_missing: true, ..Options::default() };
/// # let db = Db::open(&options, &path)?;
/// // A scan of everything: blocks that nobody reads again would take the place of others in the cache.
/// let scan = ReadOptions { fill_cache: false, ..ReadOptions::default() };
/// let mut iterator = db.iter(&scan);
/// iterator.seek_to_first();
/// assert!(!iterator.valid()); // an empty database
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
