//! Tables of LevelDB's language become tables of RocksDB's: the same entries, blocks at the same offsets.

use super::*;
use crate::error::Error;
use crate::format::column_family_id::ColumnFamilyId;
use crate::language::Language;
use crate::table::block_builder::BlockBuilder;
use crate::table::footer::{BlockHandle, FOOTER_SIZE};
use crate::table::properties::{PROPERTIES_BLOCK, TableProperties};
use crate::table::whole_table_filter::WHOLE_TABLE_FILTER_BLOCK;
use crate::util::crc32c;

fn handles_in(contents: &[u8]) -> Vec<(Vec<u8>, BlockHandle)> {
    let mut entries = Block::parse(contents).unwrap().entries();
    let mut handles = Vec::new();
    while let Some((name, mut value)) = entries.next().unwrap() {
        handles.push((name.to_vec(), BlockHandle::decode(&mut value).unwrap()));
    }
    handles
}

fn block_of(bytes: &[u8], handle: BlockHandle) -> &[u8] {
    &bytes[handle.offset as usize..][..handle.size as usize]
}

fn meta_handle(bytes: &[u8], name: &[u8]) -> Option<BlockHandle> {
    let footer = Footer::decode(bytes).unwrap();
    let found = handles_in(block_of(bytes, footer.metaindex)).into_iter().find(|(other, _)| other == name);
    found.map(|(_, handle)| handle)
}

/// The uncompressed meta block with this name.
fn meta_block(bytes: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    meta_handle(bytes, name).map(|handle| block_of(bytes, handle).to_vec())
}

fn put_block(bytes: &mut Vec<u8>, contents: &[u8], type_byte: u8) -> BlockHandle {
    let handle = BlockHandle { offset: bytes.len() as u64, size: contents.len() as u64 };
    bytes.extend_from_slice(contents);
    bytes.push(type_byte);
    let crc = crc32c::mask(crc32c::extend(crc32c::value(contents), &[type_byte]));
    bytes.extend_from_slice(&crc.to_le_bytes());
    handle
}

/// The table as LevelDB writes it: with a filter block at most, and no properties.
fn as_leveldb_writes(bytes: &[u8]) -> Vec<u8> {
    let footer = Footer::decode(bytes).unwrap();
    let mut metaindex = BlockBuilder::new(1);
    for (name, handle) in handles_in(block_of(bytes, footer.metaindex)) {
        let mut value = Vec::new();
        handle.encode(&mut value);
        if name.starts_with(b"filter.") {
            metaindex.add(0, &name, &value).unwrap();
        }
    }
    let mut copy = bytes[..footer.metaindex.offset as usize].to_vec();
    let metaindex = put_block(&mut copy, metaindex.finish().unwrap(), 0);
    let type_byte = bytes[(footer.index.offset + footer.index.size) as usize];
    let index = put_block(&mut copy, block_of(bytes, footer.index), type_byte);
    Footer { language: Language::LevelDb, metaindex, index }.encode(&mut copy);
    copy
}

fn upgraded(table: &Arc<Table>) -> crate::error::Result<(Vec<u8>, TableProperties)> {
    upgraded_sharing(table, &[])
}

/// The file system can share these bytes.
fn upgraded_sharing(
    table: &Arc<Table>,
    shareable: &[u8],
) -> crate::error::Result<(Vec<u8>, TableProperties)> {
    assert!(table.is_copyable()?);
    let sink = MemorySink { shareable: shareable.to_vec(), ..MemorySink::default() };
    let (built, _) = table.copy_to(Box::new(sink.clone()), ColumnFamilyId(3), &|| Ok(()))?;
    let bytes = sink.bytes.lock().clone();
    assert_eq!(built.file_size, bytes.len() as u64);
    assert_eq!(built.language, Language::RocksDb);
    Ok((bytes, built.properties))
}

#[test]
fn an_upgraded_table_has_the_same_blocks_entries_filters_and_counts() {
    for (seed, options) in all_options().into_iter().enumerate() {
        for count in [1, 500] {
            let mut random = TestRandom(seed as u64);
            let entries = random_entries(&mut random, count, &options.comparator);
            let (bytes, built) = build(&options, &entries);
            for (bytes, is_ours) in [(bytes.clone(), true), (as_leveldb_writes(&bytes), false)] {
                for mapped in [true, false] {
                    let old = open(&options, &bytes, mapped).unwrap();
                    assert_eq!(old.properties().is_some(), is_ours);
                    let (new_bytes, properties) = upgraded(&old).unwrap();
                    let creation_time = if is_ours { built.properties.creation_time } else { 0 };
                    assert_eq!(properties, TableProperties { creation_time, ..built.properties.clone() });
                    let new = open(&options, &new_bytes, mapped).unwrap();
                    check_upgraded(&options, (&old, &bytes), (&new, &new_bytes));
                    assert_eq!(new.properties(), Some(&properties));
                    assert!(new.all_entries() == entries);
                }
            }
        }
    }
}

/// Compares a table with its upgrade.
fn check_upgraded(options: &TableOptions, old: (&Arc<Table>, &[u8]), new: (&Arc<Table>, &[u8])) {
    let ((old, old_bytes), (new, new_bytes)) = (old, new);
    assert_eq!((old.language(), new.language()), (Language::LevelDb, Language::RocksDb));
    assert!(new.damage_when_opened().is_none());
    let handles =
        |table: &Table| (0..table.index().len()).map(|at| table.index().handle(at)).collect::<Vec<_>>();
    assert_eq!(handles(new), handles(old));
    let data = handles(old).last().map_or(0, |last| last.end().unwrap()) as usize;
    assert!(new_bytes[..data] == old_bytes[..data], "the data blocks are the same bytes");
    let filter = options.filter_policy.as_ref().map(|policy| [b"filter.", &policy.name()[..]].concat());
    let filter = filter.unwrap_or_else(|| b"filter".to_vec());
    assert!(meta_block(new_bytes, &filter) == meta_block(old_bytes, &filter));
    let has = |bytes| meta_block(bytes, WHOLE_TABLE_FILTER_BLOCK).is_some();
    assert_eq!(has(new_bytes), has(old_bytes));
    for i in 0..500u64 {
        let absent = internal(&[&b"absent"[..], &i.to_le_bytes()].concat(), 7);
        assert_eq!(new.definitely_lacks(&absent), old.definitely_lacks(&absent));
    }
    if let Some(filter) = meta_handle(new_bytes, WHOLE_TABLE_FILTER_BLOCK) {
        let lines = crate::table::whole_table_filter::lines(block_of(new_bytes, filter)).unwrap();
        assert_eq!((filter.offset as usize + lines.start) % 64, 0, "lines are on cache lines");
    }
    let properties = handles_or_values(&meta_block(new_bytes, PROPERTIES_BLOCK).unwrap());
    let property =
        |name: &str| properties.iter().find(|(key, _)| key == name.as_bytes()).map(|(_, value)| &value[..]);
    let is_compressed = new_bytes.len() > data && {
        let types = handles(new).into_iter().chain([Footer::decode(new_bytes).unwrap().index]);
        types.into_iter().any(|handle| new_bytes[(handle.offset + handle.size) as usize] == 1)
    };
    let compression: &[u8] = if is_compressed { b"Snappy" } else { b"NoCompression" };
    assert_eq!(property("rocksdb.compression"), Some(compression));
    assert_eq!(property("rocksdb.block.based.table.index.type"), Some(&[0; 4][..]));
    assert_eq!(property("rocksdb.column.family.id"), Some(&[3][..]));
    assert_eq!(property("rocksdb.comparator"), Some(&options.comparator_name[..]));
}

fn handles_or_values(contents: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut entries = Block::parse(contents).unwrap().entries();
    let mut values = Vec::new();
    while let Some((key, value)) = entries.next().unwrap() {
        values.push((key.to_vec(), value.to_vec()));
    }
    values
}

#[test]
fn only_tables_whose_blocks_mean_the_same_are_copyable() {
    let incompressible = TestRandom(1);
    let mut random = incompressible;
    let mut entries: Vec<TestEntry> =
        (0..50).map(|i| (internal(format!("{i:04}").as_bytes(), 1), b"value".repeat(500))).collect();
    entries[0].1 = (0..8000).map(|_| random.next() as u8).collect(); // is stored uncompressed
    for compression in compressions() {
        let (bytes, _) = build(&TableOptions { compression, ..options() }, &entries);
        for mapped in [true, false] {
            let table = open(&options(), &bytes, mapped).unwrap();
            let is_common = matches!(compression, Compression::None | Compression::Snappy);
            assert_eq!(table.is_copyable().unwrap(), is_common, "{compression:?}");
        }
    }
    // A gap between two blocks: the offsets would change.
    let (bytes, _) = build(&options(), &entries[..1]);
    let table = open(&options(), &bytes, true).unwrap();
    let handle = table.index().handle(0);
    let mut apart = vec![0; 7];
    let data = put_block(&mut apart, block_of(&bytes, handle), 0);
    let mut index = BlockBuilder::new(1);
    let mut value = Vec::new();
    data.encode(&mut value);
    index.add(0, &entries[0].0, &value).unwrap();
    let metaindex = put_block(&mut apart, BlockBuilder::new(1).finish().unwrap(), 0);
    let index = put_block(&mut apart, index.finish().unwrap(), 0);
    Footer { language: Language::LevelDb, metaindex, index }.encode(&mut apart);
    let table = open(&options(), &apart, true).unwrap();
    assert!(table.all_entries() == entries[..1] && !table.is_copyable().unwrap());
}

#[test]
fn damage_of_data_or_index_is_an_error_and_a_damaged_filter_is_left_out() {
    let with_filters = TableOptions {
        filter_policy: Some(Arc::new(BloomFilterPolicy::new(20))),
        whole_table_filter: true,
        compression: Compression::Snappy,
        ..options()
    };
    let entries = random_entries(&mut TestRandom(9), 400, &with_filters.comparator);
    let (ours, _) = build(&with_filters, &entries);
    for bytes in [as_leveldb_writes(&ours), ours] {
        let table = open(&with_filters, &bytes, true).unwrap();
        let blocks: Vec<_> = (0..table.index().len()).map(|at| table.index().handle(at)).collect();
        let footer = Footer::decode(&bytes).unwrap();
        let outcome = |at: u64, paranoid_checks, mapped| -> crate::error::Result<Vec<u8>> {
            let mut bytes = bytes.clone();
            bytes[at as usize] ^= 4;
            let table = open(&TableOptions { paranoid_checks, ..with_filters.clone() }, &bytes, mapped)?;
            upgraded(&table).map(|(bytes, _)| bytes)
        };
        let fails = |at, paranoid_checks, mapped| {
            let error: Error = outcome(at, paranoid_checks, mapped).unwrap_err();
            assert!(error.is_corruption() && error.to_string().contains("000007.ldb"), "{error}");
        };
        for mapped in [true, false] {
            for block in [&blocks[0], &blocks[blocks.len() / 2], &blocks[blocks.len() - 1]] {
                fails(block.offset + block.size / 2, false, mapped);
                fails(block.offset + block.size + 2, false, mapped); // the checksum
            }
            fails(footer.index.offset + 3, false, mapped);
            for (name, handle) in handles_in(block_of(&bytes, footer.metaindex)) {
                fails(handle.offset + 1, true, mapped);
                let without = outcome(handle.offset + 1, false, mapped).unwrap();
                let table = open(&with_filters, &without, mapped).unwrap();
                assert!(table.all_entries() == entries && table.properties().is_some());
                assert_eq!(meta_block(&without, &name).is_some(), name == PROPERTIES_BLOCK);
            }
            let without = outcome(footer.metaindex.offset + 1, false, mapped).unwrap();
            assert!(open(&with_filters, &without, mapped).unwrap().all_entries() == entries);
        }
    }
}

#[test]
fn a_full_disk_and_a_closing_database_end_the_copying() {
    let entries = random_entries(&mut TestRandom(5), 300, &options().comparator);
    let (bytes, _) = build(&options(), &entries);
    let table = open(&options(), &bytes, true).unwrap();
    for full_at in [0, 1, bytes.len() / 2, bytes.len() - FOOTER_SIZE] {
        let sink = MemorySink { full_at: Some(full_at), ..MemorySink::default() };
        let result = table.copy_to(Box::new(sink), ColumnFamilyId::DEFAULT, &|| Ok(()));
        assert!(result.map(drop).unwrap_err().is_no_space());
    }
    let closing = || Err(Error::io("closing"));
    for bytes in [as_leveldb_writes(&bytes), bytes.clone()] {
        let table = open(&options(), &bytes, true).unwrap();
        let result = table.copy_to(Box::new(MemorySink::default()), ColumnFamilyId::DEFAULT, &closing);
        assert_eq!(result.map(drop).unwrap_err().message(), "closing");
    }
}

#[test]
fn data_blocks_that_are_shared_in_part_are_written_in_part() {
    let entries = random_entries(&mut TestRandom(6), 300, &options().comparator);
    let (bytes, _) = build(&options(), &entries);
    let table = open(&options(), &bytes, true).unwrap();
    let whole = upgraded(&table).unwrap();
    let data = table.index().handle(table.index().len() - 1).end().unwrap() as usize;
    let first = table.index().handle(0).end().unwrap() as usize;
    for shared in [1, first - 3, first, first + 1, 4096, data - 1, data, bytes.len()] {
        assert!(upgraded_sharing(&table, &bytes[..shared]).unwrap() == whole, "{shared} bytes");
    }
    // A shared block is verified all the same.
    let mut damaged = bytes.clone();
    damaged[1] ^= 1;
    let table = open(&options(), &damaged, true).unwrap();
    assert!(upgraded_sharing(&table, &damaged).unwrap_err().is_corruption());
}

/// RocksDB reads a compressed block of a table "without compression" as if it were uncompressed.
#[test]
fn a_table_whose_index_alone_is_compressed_says_so() {
    let with_snappy = TableOptions { compression: Compression::Snappy, block_size: 1024, ..options() };
    let mut random = TestRandom(3);
    let entries: Vec<TestEntry> = (0..300)
        .map(|i| {
            let key = format!("a long and repeated beginning of all keys {i:06}");
            (internal(key.as_bytes(), 1), (0..2000).map(|_| random.next() as u8).collect())
        })
        .collect();
    let (bytes, _) = build(&with_snappy, &entries);
    let table = open(&with_snappy, &bytes, true).unwrap();
    let types: Vec<u8> = (0..table.index().len())
        .map(|at| table.index().handle(at))
        .map(|handle| bytes[(handle.offset + handle.size) as usize])
        .collect();
    assert!(types.iter().all(|&type_byte| type_byte == 0));
    let (new, _) = upgraded(&table).unwrap();
    let new_table = open(&with_snappy, &new, true).unwrap();
    check_upgraded(&with_snappy, (&table, &bytes), (&new_table, &new));
    assert!(new.windows(6).any(|window| window == b"Snappy"));
}
