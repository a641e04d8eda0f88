//! stub

/// What a table's `rocksdb.properties` meta block says (and our `terrace.*` keys in it).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableProperties {
    /// Entries, deletions included.
    pub num_entries: u64,
    /// Deletions.
    pub num_deletions: u64,
    /// Bytes of the internal keys.
    pub raw_key_size: u64,
    /// Bytes of the values.
    pub raw_value_size: u64,
    /// Bytes of data blocks on disk.
    pub data_size: u64,
    /// Data blocks.
    pub num_data_blocks: u64,
    /// Lowest and highest sequence number of any entry.
    pub smallest_sequence: u64,
    /// See above.
    pub largest_sequence: u64,
    /// Seconds since the epoch.
    pub creation_time: u64,
}
