//! Tables whose bytes contradict the format, with checksums recomputed where needed. They cause a clear error
//! or fewer entries, never a panic, a hang, or excessive use of memory.

use crate::compression::Compression;
use crate::env::RandomAccessFile;
use crate::error::{Error, Result};
use crate::filter_policy::BloomFilterPolicy;
use crate::format::internal_key::{LookupKey, MAX_SEQUENCE, user_key};
use crate::iterator::InternalIterator;
use crate::language::Language;
use crate::table::block_builder::BlockBuilder;
use crate::table::footer::{BlockHandle, FOOTER_SIZE, Footer};
use crate::table::reader::{Table, TableGet};
use crate::table::test_support::*;
use crate::table::{TableOptions, TableReadOptions};
use crate::util::crc32c;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A table that is put together byte by byte.
#[derive(Default)]
struct Forge {
    bytes: Vec<u8>,
}

impl Forge {
    fn block(&mut self, contents: &[u8], type_byte: u8) -> BlockHandle {
        let handle = BlockHandle { offset: self.bytes.len() as u64, size: contents.len() as u64 };
        self.bytes.extend_from_slice(contents);
        self.bytes.push(type_byte);
        let crc = crc32c::mask(crc32c::extend(crc32c::value(contents), &[type_byte]));
        self.bytes.extend_from_slice(&crc.to_le_bytes());
        handle
    }

    fn data_block(&mut self, entries: &[TestEntry]) -> BlockHandle {
        let mut builder = BlockBuilder::new(16);
        entries.iter().for_each(|(key, value)| builder.add(0, key, value).unwrap());
        self.block(builder.finish().unwrap(), 0)
    }

    /// Appends the index with these (separator, handle) entries, an empty metaindex and the footer.
    fn finish(mut self, index: &[(Vec<u8>, BlockHandle)]) -> Vec<u8> {
        let metaindex = self.block(BlockBuilder::new(1).finish().unwrap(), 0);
        let mut builder = BlockBuilder::new(1);
        for (separator, handle) in index {
            let mut value = Vec::new();
            handle.encode(&mut value);
            builder.add(0, separator, &value).unwrap();
        }
        let index = self.block(builder.finish().unwrap(), 0);
        self.footer(Footer { language: Language::LevelDb, metaindex, index })
    }

    fn footer(mut self, footer: Footer) -> Vec<u8> {
        footer.encode(&mut self.bytes);
        self.bytes
    }
}

fn abc() -> Vec<TestEntry> {
    ["a", "b", "c"].iter().map(|user| (internal(user.as_bytes(), 5), user.as_bytes().to_vec())).collect()
}

fn paranoid() -> TableOptions {
    TableOptions { paranoid_checks: true, ..options() }
}

#[track_caller]
fn open_error(bytes: &[u8]) -> Error {
    for options in [options(), paranoid()] {
        for mapped in [true, false] {
            let error = open(&options, bytes, mapped).err().expect("opened");
            assert!(error.is_corruption(), "{error}");
            assert!(error.to_string().starts_with("Corruption: db/000007.ldb: "), "{error}");
        }
    }
    open(&options(), bytes, true).err().unwrap()
}

/// Reads everything in every way. Returns the user keys of a forward scan, and the first error.
fn exercise(table: &Arc<Table>, users: &[&[u8]]) -> (Vec<Vec<u8>>, Option<Error>) {
    let bound = 100_000;
    let mut error = None;
    let mut keys = Vec::new();
    let mut iterator = table.iter(READ);
    iterator.seek_to_first();
    while iterator.valid() {
        assert!(iterator.key().len() >= 8);
        keys.push(user_key(iterator.key()).to_vec());
        assert!(keys.len() < bound);
        iterator.next();
    }
    error = error.or(iterator.status().err());
    iterator.seek_to_last();
    let mut count = 0;
    while iterator.valid() {
        count += 1;
        assert!(count < bound);
        iterator.prev();
    }
    error = error.or(iterator.status().err());
    for user in users {
        let target = LookupKey::new(user, MAX_SEQUENCE);
        iterator.seek(target.internal_key());
        for step in 0..6 {
            if iterator.valid() {
                if step % 3 == 2 { iterator.prev() } else { iterator.next() }
            }
        }
        error = error.or(iterator.status().err());
        error = error.or(value_of(table, user).err());
        table.approximate_offset_of(target.internal_key());
    }
    (keys, error)
}

fn value_of(table: &Table, user: &[u8]) -> Result<Option<Vec<u8>>> {
    let target = LookupKey::new(user, MAX_SEQUENCE);
    match look_up(table, READ, target.internal_key(), |_, value| value.to_vec())? {
        TableGet::Found(value) => Ok(Some(value)),
        TableGet::Missing { .. } => Ok(None),
    }
}

#[test]
fn files_too_short_or_of_another_kind_are_told() {
    assert_eq!(open_error(b"").to_string(), "Corruption: db/000007.ldb: 0 bytes are too few to be a table");
    open_error(&[0; FOOTER_SIZE - 1]);
    assert_eq!(
        open_error(&[0; FOOTER_SIZE]).to_string(),
        "Corruption: db/000007.ldb: not a table (bad magic number)"
    );
    open_error(&[0xab; 1000]);
    let good = build(&options(), &abc()).0;
    for cut in 1..good.len() {
        open_error(&good[..good.len() - cut]);
    }
    // The file is shorter than the caller said.
    let file = MemoryFile::new(good[..good.len() - 10].to_vec(), false);
    let error = Table::open(Arc::new(options()), file, "t".into(), good.len() as u64).err().unwrap();
    assert!(error.is_corruption());
}

#[test]
fn footers_that_point_astray_are_corruption() {
    let mut forge = Forge::default();
    let metaindex = forge.block(BlockBuilder::new(1).finish().unwrap(), 0);
    let length = forge.bytes.len() as u64 + FOOTER_SIZE as u64;
    let (offset, size) = (metaindex.offset, metaindex.size);
    for index in [
        BlockHandle { offset: u64::MAX, size: 1 },
        BlockHandle { offset: 0, size: u64::MAX },
        BlockHandle { offset: 0, size: u64::MAX - 4 },
        BlockHandle { offset: 1 << 40, size: 8 },
        BlockHandle { offset: length, size: 0 },
        BlockHandle { offset: length - FOOTER_SIZE as u64, size: 8 },
        BlockHandle { offset, size: size + 1 },
        BlockHandle { offset, size: 1 << 32 },
    ] {
        let bytes = Forge { bytes: forge.bytes.clone() }.footer(Footer {
            language: Language::LevelDb,
            metaindex,
            index,
        });
        open_error(&bytes);
        // A metaindex that cannot be read is tolerated unless `paranoid_checks` is set.
        let bytes = Forge { bytes: forge.bytes.clone() }.footer(Footer {
            language: Language::LevelDb,
            metaindex: index,
            index: metaindex,
        });
        assert!(exercise(&open(&options(), &bytes, false).unwrap(), &[b"a"]).0.is_empty());
        assert!(open(&paranoid(), &bytes, false).is_err());
    }
}

#[test]
fn index_entries_that_point_astray_are_corruption() {
    let good = {
        let mut forge = Forge::default();
        let handle = forge.data_block(&abc());
        (handle, forge)
    };
    let limit = good.1.bytes.len() as u64 + 500;
    for handle in [
        BlockHandle { offset: u64::MAX, size: 1 },
        BlockHandle { offset: 3, size: u64::MAX - 3 },
        BlockHandle { offset: 3, size: u64::MAX - 8 },
        BlockHandle { offset: limit, size: 0 },
        BlockHandle { offset: 0, size: 1 << 33 },
        // The same block again: a scan would read it as often as the index names it.
        good.0,
    ] {
        let forge = Forge { bytes: good.1.bytes.clone() };
        open_error(&forge.finish(&[(internal(b"c", 5), good.0), (internal(b"d", 5), handle)]));
    }
    let forge = Forge { bytes: good.1.bytes.clone() };
    open_error(&forge.finish(&[(b"short".to_vec(), good.0)]));
}

#[test]
fn blocks_that_point_at_themselves_are_read_once() {
    // The index names itself as a data block.
    let empty = BlockBuilder::new(1).finish().unwrap().to_vec();
    let mut forge = Forge::default();
    let metaindex = forge.block(&empty, 0);
    let offset = forge.bytes.len() as u64;
    let mut builder = BlockBuilder::new(1);
    let mut value = Vec::new();
    // One entry: 3 bytes of lengths, 9 of key, 2 of handle. Then one restart point and the count.
    BlockHandle { offset, size: 22 }.encode(&mut value);
    builder.add(0, &internal(b"k", 5), &value).unwrap();
    let index = forge.block(builder.finish().unwrap(), 0);
    assert_eq!(index, BlockHandle { offset, size: 22 });
    let table =
        open(&options(), &forge.footer(Footer { language: Language::LevelDb, metaindex, index }), true)
            .unwrap();
    let (keys, error) = exercise(&table, &[b"k"]);
    assert_eq!((keys, error.is_none()), (vec![b"k".to_vec()], true));

    // The metaindex names itself as the filter and as the properties.
    let mut forge = Forge::default();
    let mut builder = BlockBuilder::new(1);
    let mut value = Vec::new();
    BlockHandle { offset: 0, size: 74 }.encode(&mut value);
    builder.add(0, b"filter.leveldb.BuiltinBloomFilter2", &value).unwrap();
    builder.add(0, b"rocksdb.properties", &value).unwrap();
    let metaindex = forge.block(builder.finish().unwrap(), 0);
    assert_eq!(metaindex.size, 74);
    let index = forge.block(&empty, 0);
    let bytes = forge.footer(Footer { language: Language::LevelDb, metaindex, index });
    let policy = Some(Arc::new(BloomFilterPolicy::new(10)) as _);
    let table = open(&TableOptions { filter_policy: policy, ..paranoid() }, &bytes, true).unwrap();
    assert_eq!(table.properties(), None);
    assert!(exercise(&table, &[b"k"]).0.is_empty());
}

#[test]
fn a_compressed_block_claims_no_more_than_it_can_hold() {
    let claims = [
        vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0, b'a'],
        vec![0x80, 0x80, 0x80, 0x80, 0x10],
        vec![0xff; 12],
        vec![0xe8, 0x07, 0, b'a'],
        vec![],
        vec![0],
    ];
    for contents in claims {
        for type_byte in [1, 2, 4, 7, 0xff] {
            let mut forge = Forge::default();
            let bad = forge.block(&contents, type_byte);
            let good = forge.data_block(&abc()[2..]);
            let bytes = forge.finish(&[(internal(b"b", 5), bad), (internal(b"c", 5), good)]);
            for mapped in [true, false] {
                let table = open(&options(), &bytes, mapped).unwrap();
                let (keys, error) = exercise(&table, &[b"a"]);
                assert_eq!(keys, [b"c"]);
                let error = error.unwrap().to_string();
                // Any other type is not understood, so that nothing is known to be damaged.
                if matches!(type_byte, 1 | 2 | 4) {
                    let streams = (cfg!(feature = "zlib"), "cargo feature 'zlib'");
                    let expected = if type_byte == 1 || streams.0 { "Corruption" } else { "Not implemented" };
                    assert!(error.starts_with(&format!("{expected}: db/000007.ldb: ")), "{error}");
                    assert!(expected == "Corruption" || error.contains(streams.1), "{error}");
                } else {
                    let expected = format!("Not implemented: db/000007.ldb: bad block type {type_byte}");
                    assert!(error.starts_with(&expected), "{error}");
                }
                assert!(error.contains("at offset 0"), "{error}");
                assert!(value_of(&table, b"a").is_err());
                assert_eq!(value_of(&table, b"c").unwrap().unwrap(), b"c");
            }
        }
    }
    // An index that expands: each key shares a long prefix with the key before.
    let mut forge = Forge::default();
    let mut contents = Vec::new();
    let long = 1 << 16;
    let mut handle = Vec::new();
    BlockHandle { offset: 0, size: 0 }.encode(&mut handle);
    contents.extend_from_slice(&[0, 0x80, 0x80, 0x04, handle.len() as u8]);
    contents.extend(std::iter::repeat_n(0, long));
    contents.extend_from_slice(&handle);
    for offset in 1..60_000u64 {
        let mut handle = Vec::new();
        BlockHandle { offset: offset * 5, size: 0 }.encode(&mut handle);
        contents.extend_from_slice(&[0x80, 0x80, 0x04, 0, handle.len() as u8]);
        contents.extend_from_slice(&handle);
    }
    contents.extend_from_slice(&[0, 0, 0, 0, 1, 0, 0, 0]);
    let index = forge.block(&contents, 0);
    assert!(
        open_error(&forge.footer(Footer { language: Language::LevelDb, metaindex: index, index }))
            .to_string()
            .contains("index")
    );
}

#[test]
fn damaged_entries_name_file_and_offset() {
    let mut unknown_type = internal(b"b", 5);
    unknown_type[1] = 9;
    for (key, what) in [(b"short".to_vec(), "shorter than 8 bytes"), (unknown_type, "unknown type")] {
        let mut forge = Forge::default();
        let first = forge.data_block(&abc()[..1]);
        let bad = forge.data_block(&[(key, vec![])]);
        let last = forge.data_block(&abc()[2..]);
        let bytes =
            forge.finish(&[(internal(b"a", 5), first), (internal(b"b", 5), bad), (internal(b"c", 5), last)]);
        let table = open(&options(), &bytes, true).unwrap();
        let (keys, error) = exercise(&table, &[b"b"]);
        assert_eq!(keys, [b"a", b"c"]);
        let error = error.unwrap().to_string();
        assert!(error.starts_with("Corruption: db/000007.ldb: bad block: "), "{error}");
        assert!(error.contains(what), "{error}");
        assert!(error.ends_with(&format!("in the block at offset {}", bad.offset)), "{error}");
        assert_eq!(exercise(&open(&paranoid(), &bytes, true).unwrap(), &[b"b"]).0, [b"a"]);
    }
}

#[test]
fn blocks_out_of_order_are_corruption_on_a_scan() {
    let mut forge = Forge::default();
    let first = forge.data_block(&abc()[1..2]);
    let second = forge.data_block(&abc()[..1]);
    let third = forge.data_block(&abc()[2..]);
    let bytes =
        forge.finish(&[(internal(b"b", 5), first), (internal(b"bb", 5), second), (internal(b"c", 5), third)]);
    let (keys, error) = exercise(&open(&options(), &bytes, true).unwrap(), &[]);
    assert_eq!(keys, [b"b", b"c"]);
    assert!(error.unwrap().to_string().contains("keys out of order"));
    assert_eq!(exercise(&open(&paranoid(), &bytes, true).unwrap(), &[]).0, [b"b"]);
}

fn thousand() -> Vec<TestEntry> {
    (0..1000).map(|i| (internal(format!("{i:05}").as_bytes(), 7), vec![b'v'; 100])).collect()
}

#[test]
fn a_damaged_block_costs_its_own_entries() {
    for compression in compressions() {
        for mapped in [true, false] {
            let options = TableOptions { compression, ..options() };
            let mut bytes = build(&options, &thousand()).0;
            bytes[50] ^= 0x80;
            let table = open(&options, &bytes, mapped).unwrap();
            let (keys, error) = exercise(&table, &[b"00001"]);
            assert!((850..1000).contains(&keys.len()), "{}", keys.len());
            let error = error.unwrap().to_string();
            assert_eq!(error, "Corruption: db/000007.ldb: block checksum mismatch at offset 0");
            assert_eq!(value_of(&table, b"00001").unwrap_err().to_string(), error);
            assert!(value_of(&table, b"00999").unwrap().is_some());
            let mut iterator = table.iter(READ);
            iterator.seek(&internal(b"00999", 7));
            assert!(iterator.valid() && iterator.status().is_ok(), "a seek starts afresh");
            let paranoid = TableOptions { paranoid_checks: true, ..options };
            let table = open(&paranoid, &bytes, mapped).unwrap();
            assert!(exercise(&table, &[]).0.is_empty());
        }
    }
}

/// A mapping whose contents change when `turned` is set.
struct Turncoat {
    good: Vec<u8>,
    damaged: Vec<u8>,
    turned: AtomicBool,
}

impl RandomAccessFile for Turncoat {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        buffer.copy_from_slice(&self.good[offset as usize..][..buffer.len()]);
        Ok(buffer.len())
    }
    fn mapping(&self) -> Option<&[u8]> {
        Some(if self.turned.load(Ordering::Relaxed) { &self.damaged } else { &self.good })
    }
}

#[test]
fn a_block_verified_once_is_verified_again_only_on_request() {
    let good = build(&options(), &thousand()).0;
    let mut damaged = good.clone();
    damaged[50] ^= 1; // in the first value
    let size = good.len() as u64;
    let file = Arc::new(Turncoat { good, damaged, turned: AtomicBool::new(false) });
    let table = Table::open(Arc::new(options()), file.clone(), "t".into(), size).unwrap();
    assert!(value_of(&table, b"00001").is_ok());
    file.turned.store(true, Ordering::Relaxed);
    assert!(value_of(&table, b"00001").is_ok());
    let read = TableReadOptions { verify_checksums: true, fill_cache: true };
    assert!(look_up(&table, read, &internal(b"00001", 9), |_, _| ()).is_err());
    let unread = Table::open(Arc::new(options()), file, "t".into(), size).unwrap();
    assert!(value_of(&unread, b"00001").is_err());
}

#[test]
fn a_damaged_index_keeps_what_comes_before_and_hides_nothing() {
    let (bytes, _) = build(&options(), &thousand());
    let index_size = 30 * 30;
    let at = bytes.len() - FOOTER_SIZE - index_size / 2;
    let mut damaged = bytes.clone();
    damaged[at..at + 60].iter_mut().for_each(|byte| *byte ^= 0x80);
    let table = open(&options(), &damaged, true).unwrap();
    let (keys, error) = exercise(&table, &[]);
    assert!((100..900).contains(&keys.len()), "{}", keys.len());
    assert!(error.unwrap().to_string().contains("block checksum mismatch"));
    assert!(value_of(&table, b"00001").unwrap().is_some());
    assert!(value_of(&table, b"00999").is_err(), "a key that is there is not said to be missing");
    assert!(value_of(&table, b"00001x").is_err());
    assert!(open(&paranoid(), &damaged, true).err().unwrap().is_corruption());
}

#[test]
fn damaged_filters_and_properties_are_done_without() {
    let policy = Some(Arc::new(BloomFilterPolicy::new(10)) as _);
    let options = TableOptions { filter_policy: policy, whole_table_filter: true, ..options() };
    let (bytes, built) = build(&options, &thousand());
    let data_end = built.properties.data_size as usize;
    for at in data_end..bytes.len() - 1000 {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0xff;
        let table = open(&options, &damaged, true).unwrap();
        for i in (0..1000).step_by(333) {
            assert!(value_of(&table, format!("{i:05}").as_bytes()).unwrap().is_some(), "byte {at}");
        }
        assert!(open(&TableOptions { paranoid_checks: true, ..options.clone() }, &damaged, true).is_err());
    }
}

#[test]
fn every_flipped_byte_of_a_table_is_survived() {
    let policy = Some(Arc::new(BloomFilterPolicy::new(10)) as _);
    for (compression, whole_table_filter) in [(Compression::None, false), (Compression::Snappy, true)] {
        let filter_policy = policy.clone();
        let options =
            TableOptions { filter_policy, whole_table_filter, compression, block_size: 200, ..options() };
        let entries: Vec<TestEntry> =
            (0..40).map(|i| (internal(format!("key{i:03}").as_bytes(), i + 1), vec![b'v'; 30])).collect();
        let bytes = build(&options, &entries).0;
        for at in 0..bytes.len() {
            for change in [1, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= change;
                for mapped in [true, false] {
                    let Ok(table) = open(&options, &damaged, mapped) else { continue };
                    let (keys, error) = exercise(&table, &[b"", b"key000", b"key017", b"key039", b"zzz"]);
                    assert!(keys.len() == 40 || error.is_some(), "byte {at} hides entries");
                }
            }
        }
    }
}

#[test]
fn mended_mutations_of_data_blocks_are_survived() {
    let seed = 42;
    let mut random = TestRandom(seed);
    for round in 0..2000 {
        let entries = random_entries(&mut random, 12, &options().comparator);
        let mut builder = BlockBuilder::new(4);
        let mut last: &[u8] = b"";
        for (key, value) in &entries {
            builder
                .add(
                    crate::format::common_prefix::common_prefix_length(last, key),
                    key,
                    &value[..value.len().min(20)],
                )
                .unwrap();
            last = key;
        }
        let mut contents = builder.finish().unwrap().to_vec();
        for _ in 0..random.below(4) + 1 {
            let at = random.below(contents.len() as u64) as usize;
            contents[at] = [0, 1, 0x7f, 0x80, 0xff, random.next() as u8][random.below(6) as usize];
        }
        let mut forge = Forge::default();
        let handle = forge.block(&contents, 0);
        let bytes = forge.finish(&[(internal(&[0xff; 50], 0), handle)]);
        let table = open(&options(), &bytes, round % 2 == 0).unwrap();
        let users: Vec<&[u8]> = entries.iter().map(|entry| user_key(&entry.0)).collect();
        exercise(&table, &users);
    }
}
