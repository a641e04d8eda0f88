//! One WAL file that is open for appending.
//!
//! Thread rule: that of its owner, which is the WAL writer or the locked list of older WALs.

use crate::format::internal_key::SequenceNumber;
use crate::record::writer::RecordWriter;

/// One WAL file.
pub(super) struct Log {
    pub(super) number: u64,
    /// The last sequence number of the WALs before it.
    pub(super) logged_before: SequenceNumber,
    pub(super) writer: RecordWriter,
    /// True if it has records that are not synced, or may have.
    pub(super) is_dirty: bool,
    /// True if its name in the directory would survive a crash of the machine.
    pub(super) is_name_durable: bool,
}
