//! Tables of other programs: worlds of Minecraft, whose blocks are zlib or raw deflate; zstd of LevelDB's
//! main branch; and tables that are not understood. Worlds must stay readable for the game. A table that is
//! not understood counts neither as damaged nor as lost, and is not changed.

use crate::compression::{Compression, decompress_streamed};
use crate::db::Db;
use crate::db::ReadOptions;
use crate::db::repair;
use crate::db::tests::error_recovery::Faulty;
#[cfg(any(feature = "zlib", feature = "zstd"))]
use crate::db::tests::error_recovery::until;
use crate::env::{CreateMode, read_file};
use crate::error::Error;
use crate::language::Language;
use crate::options::{Options, WriteOptions};
use crate::table::block::Block;
use crate::table::block_builder::BlockBuilder;
use crate::table::footer::{BLOCK_TRAILER_SIZE, BlockHandle, FOOTER_SIZE, Footer};
use crate::util::crc32c;
#[cfg(any(feature = "zlib", feature = "zstd"))]
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const DB: &str = "/db";
const KEYS: usize = 1200;

fn key(i: usize) -> String {
    format!("chunk{i:06}")
}

fn value(i: usize) -> String {
    format!("block data {i:06} ").repeat(12)
}

fn tables(test: &Faulty) -> Vec<(PathBuf, Vec<u8>)> {
    let files = test.mem.files().into_iter();
    files
        .filter(|(path, _)| {
            path.parent() == Some(Path::new(DB)) && path.extension().is_some_and(|e| e == "ldb")
        })
        .collect()
}

fn stored(table: &[u8], handle: BlockHandle) -> (&[u8], u8) {
    let start = handle.offset as usize;
    let end = start + handle.size as usize;
    (&table[start..end], table[end])
}

fn contents(table: &[u8], handle: BlockHandle) -> Vec<u8> {
    let (stored, type_byte) = stored(table, handle);
    let mut block = Vec::new();
    match type_byte {
        0 => block.extend_from_slice(stored),
        1 => block = snap::raw::Decoder::new().decompress_vec(stored).expect("snappy"),
        _ => decompress_streamed(Language::LevelDb, type_byte, stored, &mut block).expect("a stream"),
    }
    block
}

fn handles_in(block: &[u8]) -> Vec<(Vec<u8>, BlockHandle)> {
    let mut entries = Block::parse(block).expect("a block").entries();
    let mut handles = Vec::new();
    while let Some((key, mut value)) = entries.next().expect("an entry") {
        handles.push((key.to_vec(), BlockHandle::decode(&mut value).expect("a handle")));
    }
    handles
}

fn footer(table: &[u8]) -> Footer {
    Footer::decode(table.last_chunk::<FOOTER_SIZE>().expect("a footer")).expect("a footer")
}

/// The codecs of the blocks of all tables; uncompressed blocks are left out.
#[cfg(any(feature = "zlib", feature = "zstd"))]
fn compressions(test: &Faulty) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (path, table) in tables(test) {
        // A table that is being written has no footer yet.
        let Some(Ok(footer)) = table.last_chunk::<FOOTER_SIZE>().map(|end| Footer::decode(end)) else {
            continue;
        };
        let handles = [footer.index, footer.metaindex].into_iter();
        let data = handles_in(&contents(&table, footer.index)).into_iter().map(|(_, handle)| handle);
        let meta = handles_in(&contents(&table, footer.metaindex)).into_iter().map(|(_, handle)| handle);
        for handle in handles.chain(data).chain(meta) {
            let (stored, type_byte) = stored(&table, handle);
            let compression = Compression::of_block(Language::LevelDb, type_byte, stored);
            assert!(compression.is_some() || type_byte == 0, "{}: type {type_byte}", path.display());
            found.extend(compression.map(|compression| format!("{compression:?}")));
        }
    }
    found
}

/// Waits for the expected codecs, since replaced tables are removed a little later.
#[cfg(any(feature = "zlib", feature = "zstd"))]
fn becomes(test: &Faulty, expected: &[&str]) {
    until("old tables are gone", || {
        compressions(test).iter().map(String::as_str).eq(expected.iter().copied())
    });
}

fn put_all(test: &Faulty) {
    (0..KEYS).for_each(|i| test.put(&key(i), &value(i)).expect("put"));
    test.db().compact_range(None, None).expect("compact");
}

fn has_all(test: &Faulty) {
    (0..KEYS).for_each(|i| assert_eq!(test.get(&key(i)).as_deref(), Some(&*value(i)), "{i}"));
}

fn options(compression: Compression) -> Options {
    Options { compression, write_buffer_size: 64 << 10, ..Options::default() }
}

/// A database whose tables have this codec, opened with the usual options.
fn world(compression: Compression) -> Faulty {
    let mut test = Faulty::new(options(compression));
    put_all(&test);
    test.options.compression = Compression::Auto;
    test.reopen();
    test
}

#[cfg(feature = "zlib")]
#[test]
fn no_flush_and_no_compaction_makes_a_world_unreadable_for_the_game() {
    for compression in [Compression::Zlib, Compression::RawDeflate] {
        let expected = BTreeSet::from([format!("{compression:?}")]);
        let mut test = world(compression);
        assert_eq!(compressions(&test), expected);
        has_all(&test);
        // A flush, before anything was compacted.
        (0..50).for_each(|i| test.put(&format!("new{i}"), &value(i)).expect("put"));
        test.db().flush().expect("flush");
        assert_eq!(compressions(&test), expected, "flushed");
        // Compactions of tables that the game and this library wrote.
        (0..KEYS).step_by(2).for_each(|i| test.put(&key(i), &value(i)).expect("put"));
        test.db().flush().expect("flush");
        test.db().compact_range(None, None).expect("compact");
        assert_eq!(compressions(&test), expected, "compacted");
        // An open that writes a table.
        (0..400).for_each(|i| test.put(&format!("log{i:04}"), &value(i)).expect("put"));
        test.options.reuse_logs = true;
        test.reopen();
        test.put("last", "in the log").expect("put");
        test.options.reuse_logs = false;
        test.reopen();
        assert_eq!(compressions(&test), expected, "recovered");
        // A repair.
        test.close();
        test.mem.shared().remove_file(&Path::new(DB).join("CURRENT")).expect("remove");
        repair(&test.options, Path::new(DB)).expect("repair");
        assert_eq!(compressions(&test), expected, "repaired");
        test.reopen();
        has_all(&test);
        assert_eq!(test.get("log0399"), Some(value(399)));
        assert_eq!(test.get("last").as_deref(), Some("in the log"));
    }
}

#[cfg(feature = "zlib")]
#[test]
fn a_compression_that_is_asked_for_is_used_whatever_is_found() {
    for (asked, expected) in [
        (Compression::Snappy, vec!["Snappy"]),
        (Compression::None, vec![]),
        (Compression::Zlib, vec!["Zlib"]),
    ] {
        let mut test = world(Compression::RawDeflate);
        test.options.compression = asked;
        test.reopen();
        put_all(&test);
        becomes(&test, &expected);
        has_all(&test);
    }
}

#[cfg(feature = "zstd")]
#[test]
fn a_database_of_zstd_is_written_read_and_goes_on_with_snappy() {
    let mut test = Faulty::new(Options { compression_level: Some(9), ..options(Compression::Zstd) });
    put_all(&test);
    test.reopen();
    assert_eq!(compressions(&test), BTreeSet::from(["Zstd".to_string()]));
    has_all(&test);
    test.options.compression = Compression::Auto;
    test.reopen();
    put_all(&test);
    becomes(&test, &["Snappy"]);
    has_all(&test);
}

#[test]
fn a_compression_that_cannot_be_written_is_refused_by_the_opening() {
    let mut refused = vec![Compression::NotOffered(4), Compression::NotOffered(-7)];
    if !cfg!(feature = "zlib") {
        refused.extend([Compression::Zlib, Compression::RawDeflate]);
    }
    if !cfg!(feature = "zstd") {
        refused.push(Compression::Zstd);
    }
    let mut test = world(Compression::None);
    test.close();
    let before = test.mem.files();
    for compression in refused {
        test.options.compression = compression;
        let refusals =
            [Db::open(&test.options, Path::new(DB)).map(drop), repair(&test.options, Path::new(DB))];
        for refusal in refusals {
            let error = refusal.expect_err("refused");
            assert!(error.is_not_supported() && error.to_string().contains("compression"), "{error}");
        }
        assert!(test.mem.files() == before);
    }
}

/// Makes a stored block and its type byte from the contents of a block. `None`: the block stays.
pub(super) type Recode<'a> = &'a mut dyn FnMut(&[u8]) -> Option<(Vec<u8>, u8)>;

/// The table (of uncompressed blocks) with its data blocks, and perhaps its index, recoded. The file keeps
/// its length: the meta blocks are dropped to make room.
pub(super) fn recoded(table: &[u8], recode: Recode<'_>, recode_index: bool) -> Vec<u8> {
    let mut file = Vec::new();
    let append = |file: &mut Vec<u8>, contents: &[u8], recode: Option<Recode<'_>>| {
        let coded = recode.and_then(|recode| recode(contents));
        let (stored, type_byte) = coded.unwrap_or_else(|| (contents.to_vec(), 0));
        let handle = BlockHandle { offset: file.len() as u64, size: stored.len() as u64 };
        file.extend_from_slice(&stored);
        file.push(type_byte);
        let sum = crc32c::mask(crc32c::value(&file[handle.offset as usize..]));
        file.extend_from_slice(&sum.to_le_bytes());
        handle
    };
    let mut index = BlockBuilder::new(1);
    for (key, handle) in handles_in(&contents(table, footer(table).index)) {
        let handle = append(&mut file, &contents(table, handle), Some(&mut *recode));
        let mut value = Vec::new();
        handle.encode(&mut value);
        index.add(0, &key, &value).unwrap();
    }
    let index = append(&mut file, index.finish().unwrap(), if recode_index { Some(recode) } else { None });
    let metaindex = append(&mut file, BlockBuilder::new(1).finish().unwrap(), None);
    assert!(file.len() + FOOTER_SIZE <= table.len(), "{} of {}", file.len(), table.len());
    file.resize(table.len() - FOOTER_SIZE, 0);
    Footer { language: Language::LevelDb, metaindex, index }.encode(&mut file);
    file
}

fn write(test: &Faulty, path: &Path, contents: &[u8]) {
    let mut file = test.options.env.create_writable(path, CreateMode::Truncate).expect("create");
    file.append(contents).expect("append");
    file.close().expect("close");
}

/// A stream of raw deflate that only stores.
fn raw_deflate(contents: &[u8]) -> Vec<u8> {
    let length = u16::try_from(contents.len()).expect("a short block");
    [&[1][..], &length.to_le_bytes(), &(!length).to_le_bytes(), contents].concat()
}

/// A stream in zlib's format that only stores.
fn zlib(contents: &[u8]) -> Vec<u8> {
    let (mut a, mut b) = (1u32, 0u32);
    for &byte in contents {
        a = (a + u32::from(byte)) % 65521;
        b = (b + a) % 65521;
    }
    [&[0x78, 0x01][..], &raw_deflate(contents), &(b << 16 | a).to_be_bytes()].concat()
}

/// A frame of zstd that only stores.
fn zstd(contents: &[u8]) -> Vec<u8> {
    let length = u32::try_from(contents.len()).expect("a short block");
    let header = (length << 3 | 1).to_le_bytes();
    [&[0x28, 0xb5, 0x2f, 0xfd, 0xa0][..], &length.to_le_bytes(), &header[..3], contents].concat()
}

/// A closed database of uncompressed blocks, and its largest table.
fn plain() -> (Faulty, PathBuf, Vec<u8>) {
    let mut test = Faulty::new(Options { block_size: 32 << 10, ..options(Compression::None) });
    put_all(&test);
    test.options.compression = Compression::Auto;
    test.close();
    let (path, table) = tables(&test).into_iter().max_by_key(|(_, table)| table.len()).expect("a table");
    (test, path, table)
}

/// Streams of other encoders are read by everything that reads. In a build without the codec they are not
/// understood.
#[test]
fn streams_of_other_encoders_are_read_or_not_understood() {
    type Code = fn(&[u8]) -> Vec<u8>;
    let codes: [(Code, u8, bool, &str); 3] = [
        (zlib, 2, cfg!(feature = "zlib"), "zlib"),
        (raw_deflate, 4, cfg!(feature = "zlib"), "zlib"),
        (zstd, 2, cfg!(feature = "zstd"), "zstd"),
    ];
    for (code, type_byte, is_built, feature) in codes {
        let (mut test, path, table) = plain();
        let coded = recoded(&table, &mut |contents| Some((code(contents), type_byte)), true);
        write(&test, &path, &coded);
        if is_built {
            test.reopen();
            has_all(&test);
            put_all(&test);
            has_all(&test);
            test.close();
            repair(&test.options, Path::new(DB)).expect("repair");
            test.reopen();
            has_all(&test);
        } else {
            is_left_alone(&mut test, &path, &coded, &format!("cargo feature '{feature}'"));
        }
    }
}

fn not_understood(error: &Error, path: &Path, word: &str) {
    let text = error.to_string();
    let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
    assert!(error.is_not_supported() && text.contains(name) && text.contains(word), "{text}");
}

/// Checks that the table at `path`, parts of which are not understood, is reported and not changed, whatever
/// is done.
fn is_left_alone(test: &mut Faulty, path: &Path, table: &[u8], word: &str) {
    let is_as_it_was = |test: &Faulty, when: &str| {
        let now = read_file(&*test.options.env, path, 1 << 30).expect("the table");
        assert!(now == table, "changed {when}");
    };
    for paranoid_checks in [false, true] {
        test.options.paranoid_checks = paranoid_checks;
        test.reopen();
        let read = ReadOptions::default();
        let told = (0..KEYS).filter_map(|i| test.db().get(&read, key(i).as_bytes()).err());
        let told: Vec<Error> = told.collect();
        assert!(!told.is_empty());
        told.iter().for_each(|error| not_understood(error, path, word));
        let mut iterator = test.db().iter(&read);
        iterator.seek_to_first();
        while iterator.valid() {
            iterator.next();
        }
        not_understood(&iterator.status().expect_err("the end of a scan"), path, word);
        drop(iterator);
        [0, KEYS - 1].iter().for_each(|&i| test.put(&key(i), &value(i)).expect("put"));
        let error = test.db().compact_range(None, None).expect_err("compact");
        not_understood(&error, path, word);
        is_as_it_was(test, "by a compaction");
        // Writes and flushes continue.
        for round in 0..6 {
            (0..200).for_each(|i| test.put(&format!("new{round}.{i}"), &value(i)).expect("put"));
            test.db().flush().expect("flush");
        }
        assert_eq!(test.get("new5.199"), Some(value(199)));
        is_as_it_was(test, "by writes");
        test.close();
        is_as_it_was(test, "by closing");
    }
    test.options.paranoid_checks = false;
    let files = |test: &Faulty| {
        let mut files = test.mem.files();
        files.retain(|(path, _)| !path.ends_with("LOCK"));
        files
    };
    let before = files(test);
    let error = repair(&test.options, Path::new(DB)).expect_err("repair");
    not_understood(&error, path, word);
    assert!(error.to_string().contains("nothing changed"), "{error}");
    assert!(files(test) == before, "changed by a repair");
}

#[test]
fn a_block_of_an_unknown_compression_is_neither_damaged_nor_lost() {
    for (which, type_byte) in [("first", 3), ("middle", 7), ("last", 255), ("index", 9), ("all", 5)] {
        let (mut test, path, table) = plain();
        let blocks = handles_in(&contents(&table, footer(&table).index)).len();
        let mut at = 0;
        let mut recode = |contents: &[u8]| {
            let is_meant = match which {
                "first" => at == 0,
                "middle" => at == blocks / 2,
                "last" => at == blocks - 1,
                "index" => at == blocks,
                _ => true,
            };
            at += 1;
            is_meant.then(|| (contents.to_vec(), type_byte))
        };
        let odd = recoded(&table, &mut recode, true);
        write(&test, &path, &odd);
        is_left_alone(&mut test, &path, &odd, &format!("bad block type {type_byte}"));
        // A program that understands the table still has all of it.
        write(&test, &path, &table);
        test.reopen();
        has_all(&test);
    }
}

#[test]
fn a_repair_moves_no_table_that_is_not_understood_even_a_dead_one() {
    // A table that no MANIFEST names, with blocks of an unknown codec; and a table of RocksDB's.
    let (test, path, table) = plain();
    let odd = recoded(&table, &mut |contents| Some((contents.to_vec(), 12)), false);
    let mut rocksdb = table.clone();
    let magic = rocksdb.len() - 8;
    rocksdb[magic..].copy_from_slice(&0x88e2_41b7_85f4_cff7_u64.to_le_bytes());
    // A table whose metaindex alone has an unknown codec: its entries can be read.
    let mut odd_meta = table.clone();
    let metaindex = footer(&table).metaindex;
    let (start, end) = (metaindex.offset as usize, (metaindex.offset + metaindex.size) as usize);
    odd_meta[end] = 13;
    let sum = crc32c::mask(crc32c::value(&odd_meta[start..=end]));
    odd_meta[end + 1..end + BLOCK_TRAILER_SIZE].copy_from_slice(&sum.to_le_bytes());
    let strangers = [(odd, "bad block type 12"), (rocksdb, "RocksDB"), (odd_meta, "bad block type 13")];
    for (stranger, word) in strangers {
        let dead = path.with_file_name("000001.ldb");
        write(&test, &dead, &stranger);
        let before = test.mem.files();
        let error = repair(&test.options, Path::new(DB)).expect_err("repair");
        not_understood(&error, &dead, word);
        assert!(test.mem.files() == before, "{word}");
        // The same if CURRENT is lost.
        test.mem.shared().remove_file(&Path::new(DB).join("CURRENT")).expect("remove");
        let error = repair(&test.options, Path::new(DB)).expect_err("repair");
        not_understood(&error, &dead, word);
        write(&test, &Path::new(DB).join("CURRENT"), &before_current(&before));
    }
}

fn before_current(files: &[(PathBuf, Vec<u8>)]) -> Vec<u8> {
    files.iter().find(|(path, _)| path.ends_with("CURRENT")).expect("CURRENT").1.clone()
}

#[test]
fn a_block_with_an_odd_type_and_a_wrong_checksum_is_damaged() {
    let (mut test, path, mut table) = plain();
    let (_, first) = handles_in(&contents(&table, footer(&table).index))[0];
    table[first.offset as usize + first.size as usize + BLOCK_TRAILER_SIZE - 5] = 9;
    write(&test, &path, &table);
    test.reopen();
    let told = (0..KEYS).find_map(|i| test.db().get(&ReadOptions::default(), key(i).as_bytes()).err());
    assert!(told.expect("an error").is_corruption());
    test.close();
    repair(&test.options, Path::new(DB)).expect("repair");
    test.reopen();
    test.db().put(&WriteOptions::default(), b"k", b"v").expect("put");
    assert!(test.mem.files().iter().any(|(path, _)| path.starts_with("/db/lost")));
}
