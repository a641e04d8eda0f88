//! The properties of a table: the meta block `rocksdb.properties`, which LevelDB ignores and RocksDB reads.
//!
//! A block whose every entry is a restart point; keys in bytewise order; numbers as varint64. Those with a
//! star are only in tables of RocksDB's language; its reader requires the type of the index.
//!
//! ```text
//! rocksdb.block.based.table.index.type  * fixed32: 0, one index block, searched in halves
//! rocksdb.column.family.id    * number
//! rocksdb.column.family.name  * bytes
//! rocksdb.comparator          bytes   name of the comparator of user keys
//! rocksdb.compression         * bytes  name of the compression
//! rocksdb.creation.time       number  seconds since the epoch
//! rocksdb.data.size           number  bytes of the data blocks, trailers included
//! rocksdb.deleted.keys        number  tombstones
//! rocksdb.filter.size         number  bytes
//! rocksdb.index.size          number  bytes, trailer included
//! rocksdb.merge.operator      * bytes  nullptr
//! rocksdb.num.data.blocks     number
//! rocksdb.num.entries         number  tombstones included
//! rocksdb.num.range-deletions * number  0
//! rocksdb.raw.key.size        number  bytes of the internal keys
//! rocksdb.raw.value.size      number  bytes
//! terrace.largest.sequence    number
//! terrace.smallest.sequence   number
//! ```

use super::block::Block;
use super::block_builder::BlockBuilder;
use crate::error::Result;
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::internal_key::{MAX_SEQUENCE, ValueType, trailer};
use crate::util::coding::{get_varint64, put_varint64};

/// The name of the meta block.
pub const PROPERTIES_BLOCK: &[u8] = b"rocksdb.properties";

/// The part of a table's `rocksdb.properties` meta block that this code reads, `terrace.*` keys included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableProperties {
    /// The number of entries, tombstones included.
    pub num_entries: u64,
    /// The number of tombstones.
    pub num_deletions: u64,
    /// The bytes of all internal keys, uncompressed.
    pub raw_key_size: u64,
    /// The bytes of all values, uncompressed.
    pub raw_value_size: u64,
    /// The bytes of the data blocks in the file, trailers included.
    pub data_size: u64,
    /// The number of data blocks.
    pub num_data_blocks: u64,
    /// The lowest sequence number of any entry.
    pub smallest_sequence: u64,
    /// The highest sequence number of any entry.
    pub largest_sequence: u64,
    /// Seconds since the epoch.
    pub creation_time: u64,
}

/// The properties that are only written, for RocksDB; nothing here reads them.
pub(super) struct OtherProperties<'a> {
    pub comparator_name: &'a [u8],
    pub index_size: u64,
    pub filter_size: u64,
    /// Of a table in RocksDB's language.
    pub rocksdb: Option<RocksDbProperties<'a>>,
}

/// What RocksDB's reader requires (the type of the index), or shows.
pub(super) struct RocksDbProperties<'a> {
    pub family: ColumnFamilyId,
    pub family_name: &'a [u8],
    pub compression: &'static str,
}

impl RocksDbProperties<'_> {
    fn entries(&self) -> [(&'static str, Vec<u8>); 6] {
        const BINARY_SEARCH: u32 = 0;
        let mut family = Vec::new();
        put_varint64(&mut family, u64::from(self.family.0));
        [
            ("rocksdb.block.based.table.index.type", BINARY_SEARCH.to_le_bytes().to_vec()),
            ("rocksdb.column.family.id", family),
            ("rocksdb.column.family.name", self.family_name.to_vec()),
            ("rocksdb.compression", self.compression.as_bytes().to_vec()),
            ("rocksdb.merge.operator", b"nullptr".to_vec()),
            ("rocksdb.num.range-deletions", vec![0]),
        ]
    }
}

impl TableProperties {
    /// The properties of no entries yet.
    pub(super) fn of_no_entries() -> Self {
        TableProperties { smallest_sequence: u64::MAX, ..TableProperties::default() }
    }

    /// Counts an entry.
    #[inline]
    pub(super) fn count(&mut self, internal_key: &[u8], value_length: usize) {
        let packed = trailer(internal_key);
        self.num_entries += 1;
        self.num_deletions += u64::from(packed as u8 == ValueType::Deletion as u8);
        self.raw_key_size += internal_key.len() as u64;
        self.raw_value_size += value_length as u64;
        self.smallest_sequence = self.smallest_sequence.min(packed >> 8);
        self.largest_sequence = self.largest_sequence.max(packed >> 8);
    }

    /// All entries are counted.
    pub(super) fn end_count(&mut self) {
        self.smallest_sequence = self.smallest_sequence.min(self.largest_sequence);
    }

    /// The contents of the meta block.
    pub(super) fn encode(&self, other: &OtherProperties<'_>) -> Result<Vec<u8>> {
        let number = |value| {
            let mut bytes = Vec::new();
            put_varint64(&mut bytes, value);
            bytes
        };
        let mut all = vec![
            ("rocksdb.comparator", other.comparator_name.to_vec()),
            ("rocksdb.creation.time", number(self.creation_time)),
            ("rocksdb.data.size", number(self.data_size)),
            ("rocksdb.deleted.keys", number(self.num_deletions)),
            ("rocksdb.filter.size", number(other.filter_size)),
            ("rocksdb.index.size", number(other.index_size)),
            ("rocksdb.num.data.blocks", number(self.num_data_blocks)),
            ("rocksdb.num.entries", number(self.num_entries)),
            ("rocksdb.raw.key.size", number(self.raw_key_size)),
            ("rocksdb.raw.value.size", number(self.raw_value_size)),
            ("terrace.largest.sequence", number(self.largest_sequence)),
            ("terrace.smallest.sequence", number(self.smallest_sequence)),
        ];
        all.extend(other.rocksdb.iter().flat_map(RocksDbProperties::entries));
        all.sort_unstable_by_key(|&(key, _)| key);
        let mut block = BlockBuilder::new(1);
        for (key, value) in all {
            block.add(0, key.as_bytes(), &value)?;
        }
        Ok(block.finish()?.to_vec())
    }

    /// Parses the meta block. `None` if it is damaged, or lacks the number of entries or a possible range of
    /// sequence numbers, as blocks of other writers do.
    pub(super) fn decode(contents: &[u8]) -> Option<Self> {
        let mut properties = TableProperties::default();
        let mut essential = 0;
        let mut entries = Block::parse(contents).ok()?.entries();
        while let Some((key, mut value)) = entries.next().ok()? {
            let field = match key {
                b"rocksdb.creation.time" => &mut properties.creation_time,
                b"rocksdb.data.size" => &mut properties.data_size,
                b"rocksdb.deleted.keys" => &mut properties.num_deletions,
                b"rocksdb.num.data.blocks" => &mut properties.num_data_blocks,
                b"rocksdb.num.entries" => &mut properties.num_entries,
                b"rocksdb.raw.key.size" => &mut properties.raw_key_size,
                b"rocksdb.raw.value.size" => &mut properties.raw_value_size,
                b"terrace.largest.sequence" => &mut properties.largest_sequence,
                b"terrace.smallest.sequence" => &mut properties.smallest_sequence,
                _ => continue,
            };
            *field = get_varint64(&mut value)?;
            essential += u32::from(key == b"rocksdb.num.entries" || key.starts_with(b"terrace."));
        }
        let (smallest, largest) = (properties.smallest_sequence, properties.largest_sequence);
        (essential == 3 && smallest <= largest && largest <= MAX_SEQUENCE).then_some(properties)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: OtherProperties<'_> = OtherProperties {
        comparator_name: b"leveldb.BytewiseComparator",
        index_size: 11,
        filter_size: 12,
        rocksdb: None,
    };

    fn sample() -> TableProperties {
        TableProperties {
            num_entries: 1,
            num_deletions: 2,
            raw_key_size: 300,
            raw_value_size: u64::MAX,
            data_size: 5,
            num_data_blocks: 6,
            smallest_sequence: 7,
            largest_sequence: (1 << 56) - 1,
            creation_time: 1_700_000_000,
        }
    }

    #[test]
    fn properties_round_trip_in_bytewise_order() {
        let contents = sample().encode(&OTHER).unwrap();
        assert_eq!(TableProperties::decode(&contents), Some(sample()));
        let mut entries = Block::parse(&contents).unwrap().entries();
        let mut keys = Vec::new();
        while let Some((key, _)) = entries.next().unwrap() {
            keys.push(key.to_vec());
        }
        assert_eq!(keys.len(), 12);
        assert!(keys.is_sorted());
    }

    #[test]
    fn damaged_or_foreign_properties_are_none() {
        let contents = sample().encode(&OTHER).unwrap();
        for length in 0..contents.len() {
            assert_eq!(TableProperties::decode(&contents[..length]), None);
        }
        let mut block = BlockBuilder::new(1);
        block.add(0, b"rocksdb.num.entries", &[5]).unwrap();
        assert_eq!(TableProperties::decode(block.finish().unwrap()), None);
    }

    /// A MANIFEST of RocksDB's language would get them, and no opening would take it.
    #[test]
    fn sequence_numbers_that_cannot_be_are_none() {
        for (smallest, largest) in [(8, 7), (1, 1 << 56), (u64::MAX, u64::MAX)] {
            let impossible =
                TableProperties { smallest_sequence: smallest, largest_sequence: largest, ..sample() };
            assert_eq!(TableProperties::decode(&impossible.encode(&OTHER).unwrap()), None);
        }
    }
}
