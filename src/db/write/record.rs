//! What a commit needs of the write that it commits: how it becomes one record of the WAL, and where its
//! entries go. `commit` has the implementations for the default family, `spread` those for other families.
//!
//! Thread rule: the methods that take the writer's state run with the writer lock held.

use crate::batch::write_batch::{self, HEADER_SIZE};
use crate::db::shared::DbShared;
use crate::db::write::group::WriterState;
use crate::error::Result;

/// A value, or the entries of a batch, of at least this many bytes is not copied on its way to the WAL.
pub(super) const LONG_TAIL: usize = 64 << 10;

/// The content of one WAL record: a single write, or the writes of a group.
pub(in crate::db) trait Record {
    /// The number of entries.
    fn count(&self) -> u32;
    /// The end of the record, if it is long: appended to the WAL from where it is.
    fn tail(&self) -> &[u8];
    /// Returns when the active memtables can take the entries.
    fn make_room(&self, db: &DbShared, writer: &mut WriterState, sync: bool) -> Result<()>;
    /// Is there memory for the entries in the memtables?
    fn has_memory(&self, writer: &mut WriterState, size: usize) -> bool;
    /// Memory for the entries in the memtables, which may be switched.
    fn find_memory(&self, db: &DbShared, writer: &mut WriterState, size: usize) -> Result<()>;
    /// Encodes everything but the tail, after space for the header. If this fails, nothing was appended to
    /// the WAL.
    fn encode(&self, buffer: &mut Vec<u8>) -> Result<()>;
    /// Inserts the entries into the memtable. The first one gets the sequence number `first`.
    fn insert(&self, db: &DbShared, writer: &mut WriterState, first: u64, encoded: &[u8]);
}

/// A write: the content of one record, which may also join a group.
pub(in crate::db) trait Write: Record {
    /// Is any entry for another family than the default one?
    const IS_SPREAD: bool;
    /// Not less than the bytes of all keys and values.
    fn size(&self) -> usize;
    /// Appends the encoded entries.
    fn append_to(&self, record: &mut Vec<u8>);
}

/// Reduces the record to the space of its header.
#[inline]
pub(super) fn keep_header(record: &mut Vec<u8>) -> Result<()> {
    if record.len() < HEADER_SIZE {
        make_header(record)?;
    }
    record.truncate(HEADER_SIZE);
    Ok(())
}

#[cold]
fn make_header(record: &mut Vec<u8>) -> Result<()> {
    write_batch::reserve_entry(record, HEADER_SIZE, 0)?;
    record.resize(HEADER_SIZE, 0);
    Ok(())
}
