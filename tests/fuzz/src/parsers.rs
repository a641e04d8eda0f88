//! The parsers of the engine, each alone.

use super::archive::{disk, files, path, write};
use super::exercise::{self, Setting};
use super::mend;
use std::path::Path;
use std::sync::Arc;
use terrace::env::ReadMode;
use terrace::env::mem::MemEnv;
use terrace::env::{Env, RandomAccessFile};
use terrace::internals::batch::decode::{BatchEntry, validate};
use terrace::internals::comparator::{Comparator, bytewise};
use terrace::internals::compression::{
    Compression, DECODER_SLACK, PartialDecoder, TYPE_SNAPPY, decompress, decompress_beginning,
    decompressed_length,
};
use terrace::internals::format::column_family_id::ColumnFamilyId;
use terrace::internals::format::internal_key::{
    InternalKeyComparator, LookupKey, MAX_SEQUENCE, ParsedInternalKey, trailer, user_key,
};
use terrace::internals::iterator::InternalIterator;
use terrace::internals::iterator::compaction_input::{CompactionInput, Payload};
use terrace::internals::language::Language;
use terrace::internals::table::block::{
    Block, BlockBytes, BlockOwner, LazyBlockIterator, LazyBlockOwner, LookupTarget, WholeOrPart,
    get_by_lookup_index, lookup_index_of,
};
use terrace::internals::table::cache::TableCache;
use terrace::internals::table::filter_block::FilterBlockLayout;
use terrace::internals::table::footer::BlockHandle;
use terrace::internals::table::open_tables::OpenTables;
use terrace::internals::table::reader::Table;
use terrace::internals::table::whole_table_filter::KeyHash;
use terrace::internals::table::{TableOptions, TableReadOptions};
use terrace::internals::version::Version;
use terrace::internals::version::manifest;
use terrace::internals::version::version_edit::VersionEdit;
use terrace::internals::version::version_set::{EditCounters, FamilyBase, VersionRecovery};
use terrace::internals::wal::replay::{ExpectedFirstSequence, ReplayOptions, replay};
use terrace::{BloomFilterPolicy, FilterPolicy};
use terrace::{Db, Options, Result, WriteBatch, WriteOptions};

/// The descending order of bytes: an order that is not the bytewise one.
struct Descending;

impl Comparator for Descending {
    fn compare(&self, a: &[u8], b: &[u8]) -> std::cmp::Ordering {
        b.cmp(a)
    }
    fn name(&self) -> Vec<u8> {
        b"fuzz.Descending".to_vec()
    }
}

fn comparators() -> [InternalKeyComparator; 2] {
    [InternalKeyComparator::new(bytewise()), InternalKeyComparator::new(Arc::new(Descending))]
}

/// The table of a block iterator, as far as the iterator needs it.
struct Owner(InternalKeyComparator);

impl BlockOwner for Owner {
    fn comparator(&self) -> &InternalKeyComparator {
        &self.0
    }
}

impl LazyBlockOwner for Owner {
    fn stored(&self, _: BlockHandle) -> &[u8] {
        unreachable!("its blocks are whole")
    }
}

/// A block of internal keys, or of a meta block.
pub fn block(bytes: &[u8]) {
    for comparator in comparators() {
        let mut keys = Vec::new();
        if let Ok(block) = Block::parse(bytes) {
            let mut entries = block.entries();
            while let Ok(Some((key, _))) = entries.next() {
                if key.len() >= 8 && keys.len() < 50 {
                    keys.push(key.to_vec());
                }
            }
        }
        let mut iterator = LazyBlockIterator::new(Arc::new(Owner(comparator.clone())));
        let _ = iterator.open(|_| Ok(WholeOrPart::Whole(BlockBytes::Loaded(bytes.into()))));
        let mut forward = 0;
        iterator.seek_to_first();
        while iterator.valid() {
            forward += 1;
            assert!(forward <= bytes.len() && ParsedInternalKey::parse(iterator.key()).is_some());
            std::hint::black_box(iterator.value().iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte)));
            iterator.next();
        }
        let mut backward = 0;
        iterator.seek_to_last();
        while iterator.valid() {
            backward += 1;
            assert!(backward <= bytes.len() && ParsedInternalKey::parse(iterator.key()).is_some());
            iterator.prev();
        }
        let notes = lookup_index_of(bytes);
        for key in keys {
            let target = LookupTarget { user_key: user_key(&key), trailer: trailer(&key) };
            let _ = get_by_lookup_index(bytes, &notes, target, |key, value| {
                assert!(key.starts_with(target.user_key) && value.len() <= bytes.len());
            });
            iterator.seek(&key);
            for forward in [true, true, false, false] {
                if iterator.valid() {
                    assert!(ParsedInternalKey::parse(iterator.key()).is_some());
                    if forward { iterator.next() } else { iterator.prev() }
                }
            }
            if let Ok(block) = Block::parse(bytes) {
                let _ = block.get(&comparator, &key, |key, value| key.len() + value.len());
            }
        }
    }
}

fn table_options(comparator: &InternalKeyComparator, paranoid_checks: bool) -> Arc<TableOptions> {
    Arc::new(TableOptions {
        family_name: b"default".to_vec(),
        compression_level: None,
        comparator: comparator.clone(),
        comparator_name: comparator.user_comparator().name(),
        filter_policy: Some(Arc::new(BloomFilterPolicy::new(10))),
        block_cache: None,
        block_size: 1 << 10,
        block_restart_interval: 16,
        compression: Compression::None,
        paranoid_checks,
        whole_table_filter: true,
        max_meta_block_size: u32::MAX as usize,
    })
}

/// A table file: footer, index, metaindex, filter, properties, blocks.
pub fn table(bytes: &[u8], mended: bool) {
    let mut bytes = bytes.to_vec();
    if mended {
        mend::table(&mut bytes);
    }
    let limit = bytes.len() * 8 + 100;
    let [ascending, descending] = comparators();
    for (comparator, paranoid, mappings) in
        [(&ascending, false, true), (&ascending, true, false), (&descending, false, false)]
    {
        let env = disk(&[("000005.ldb".into(), bytes.clone())], mappings);
        let path = path().join("000005.ldb");
        let file: Arc<dyn RandomAccessFile> =
            env.open_random_access(&path, ReadMode::Mapped).expect("the file");
        let options = table_options(comparator, paranoid);
        let Ok(table) = Table::open(options, file, path, bytes.len() as u64) else { continue };
        read_table(&table, limit);
    }
}

fn read_table(table: &Arc<Table>, limit: usize) {
    let read = TableReadOptions { verify_checksums: true, fill_cache: true };
    let mut input = table.compaction_iter(read, Some(0));
    let mut blocks = 0;
    input.seek_to_first();
    while input.valid() {
        blocks += 1;
        assert!(blocks <= limit, "a table without end");
        assert!(input.key().len() >= 8);
        assert!(!matches!(input.payload(), Payload::RawBlock { stored, .. } if stored.len() <= 5));
        input.next();
    }
    let mut iterator = table.iter(read);
    let (mut count, mut keys) = (0, vec![b"k".to_vec()]);
    iterator.seek_to_first();
    while iterator.valid() {
        count += 1;
        assert!(count <= limit, "a table without end");
        if keys.len() < 30 {
            keys.push(user_key(iterator.key()).to_vec());
        }
        iterator.next();
    }
    let _ = iterator.status();
    iterator.seek_to_last();
    while iterator.valid() {
        count = count.checked_add(1).filter(|&count| count <= 2 * limit).expect("a table without beginning");
        iterator.prev();
    }
    for key in keys {
        let target = LookupKey::new(&key, MAX_SEQUENCE);
        let _ =
            table.get(read, &target, KeyHash::of(target.user_key()), |key, value| key.len() + value.len());
        table.approximate_offset_of(target.internal_key());
        iterator.seek(target.internal_key());
        for forward in [true, false, false] {
            if iterator.valid() {
                if forward { iterator.next() } else { iterator.prev() }
            }
        }
    }
}

/// Bytes to compress: our decoder gives them back.
pub fn compressed(block: &[u8]) {
    let stored = snap::raw::Encoder::new().compress_vec(block).expect("a short block");
    let mut ours = vec![0; block.len()];
    decompress(TYPE_SNAPPY, &stored, &mut ours).expect("a stream");
    assert!(ours == block);
}

/// Decodes a snappy stream in steps and at once, with our decoder and with the crate's: all return the same
/// block, or all refuse it.
pub fn snappy(stored: &[u8], step: usize) {
    let Ok(length) = decompressed_length(TYPE_SNAPPY, stored) else { return };
    let mut whole = vec![0; length];
    let mut beginning = vec![0; length.min(100)];
    let begins = decompress_beginning(TYPE_SNAPPY, stored, &mut beginning).is_ok();
    let expected = snap::raw::Decoder::new().decompress(stored, &mut whole) == Ok(length);
    let mut ours = vec![0; length];
    assert_eq!(decompress(TYPE_SNAPPY, stored, &mut ours).is_ok(), expected, "all at once");
    assert!(!expected || ours == whole, "all at once");
    assert!(!expected || (begins && whole.starts_with(&beginning)), "its beginning");
    for behind in [0, DECODER_SLACK] {
        let source = [stored, &vec![0xa5; behind]].concat();
        for step in [length, 1 + step * 7] {
            let Some(mut decoder) = PartialDecoder::new(stored) else {
                assert!(!expected, "a length that one of them takes");
                continue;
            };
            assert_eq!(decoder.length(), length);
            let mut block = vec![0; length + behind];
            let mut wanted = 0;
            let outcome = loop {
                wanted = length.min(wanted + step);
                if decoder.decode(&source, stored.len(), &mut block, wanted).is_err() {
                    break false;
                }
                assert!(wanted <= decoder.done() && decoder.done() <= length);
                if wanted == length {
                    break true;
                }
            };
            assert_eq!(outcome, expected, "in steps of {step}");
            assert!(!outcome || block[..length] == whole[..], "in steps of {step}");
        }
    }
}

/// Reads a filter block, and its first bytes as a filter.
pub fn filter(bytes: &[u8]) {
    let policy = BloomFilterPolicy::new(10);
    let keys: [&[u8]; 3] = [b"", b"key", b"a longer key than the others are"];
    for key in keys {
        policy.key_may_match(key, bytes);
    }
    let Some(layout) = FilterBlockLayout::parse(bytes) else { return };
    for offset in [0, 1, 2047, 2048, 4096, 1 << 20, 1 << 40, u64::MAX] {
        if let Some(range) = layout.filter(bytes, offset) {
            keys.iter().for_each(|key| {
                policy.key_may_match(key, &bytes[range.clone()]);
            });
        }
    }
}

/// Replays a WAL, strictly and leniently, alone and after another one.
pub fn log(bytes: &[u8], mended: bool) {
    let mut bytes = bytes.to_vec();
    if mended {
        mend::records(&mut bytes);
    }
    let disk = MemEnv::new();
    write(&disk, Path::new(LOG), &bytes);
    let env = disk.shared();
    for strict in [false, true] {
        for (before, language) in [
            (ExpectedFirstSequence::Unknown, Language::LevelDb),
            (ExpectedFirstSequence::Logged(0), Language::LevelDb),
            (ExpectedFirstSequence::Counted(99), Language::LevelDb),
            (ExpectedFirstSequence::Unknown, Language::RocksDb),
        ] {
            let mut batches = 0;
            let options = ReplayOptions { strict, before, language };
            let result = replay(&env, Path::new(LOG), options, &mut |batch| {
                batches += 1;
                let (sequence, count) = validate(batch, language).expect("a whole batch");
                assert!(sequence + u64::from(count) <= MAX_SEQUENCE);
                Ok(())
            });
            match result {
                Ok(summary) => {
                    assert_eq!(summary.batches, batches);
                    assert!(summary.last_sequence <= MAX_SEQUENCE);
                    assert!(summary.end_of_last_record <= bytes.len() as u64 && summary.damage.len() <= 100);
                }
                Err(error) => {
                    let is_beyond = language == Language::RocksDb && error.is_not_supported();
                    assert!(strict && error.is_corruption() || is_beyond, "{error}");
                }
            }
        }
    }
}

const LOG: &str = "/000003.log";

/// Reads a MANIFEST, and builds the version that it describes.
pub fn manifest(bytes: &[u8], mended: bool) {
    let mut bytes = bytes.to_vec();
    if mended {
        mend::records(&mut bytes);
    }
    for record in mend::parse_records(&bytes) {
        // An edit that was decoded is encoded to an equal edit.
        if let Ok(edit) = VersionEdit::decode(&record) {
            let mut encoded = Vec::new();
            let language = if edit.beyond.was_read { Language::RocksDb } else { Language::LevelDb };
            edit.encode(language, &mut encoded);
            let again = VersionEdit::decode(&encoded).expect("an edit of our own writing");
            assert_eq!(format!("{again:?}"), format!("{edit:?}"));
        }
    }
    let env =
        disk(&[("CURRENT".into(), b"MANIFEST-000002\n".to_vec()), ("MANIFEST-000002".into(), bytes)], false);
    let shared = env.shared();
    let mut edits = Vec::new();
    let recovered = manifest::recover(&shared, &path(), &mut |edit| {
        edits.push(edit);
        Ok(())
    });
    match recovered {
        Ok(_) => {
            for comparator in comparators() {
                let _ = version(&shared, &comparator, &edits);
            }
        }
        Err(error) => assert!(error.is_corruption() || error.is_not_supported(), "{error}"),
    }
}

/// Builds the version of these edits, and the edit that describes it.
fn version(env: &Arc<dyn Env>, comparator: &InternalKeyComparator, edits: &[VersionEdit]) -> Result<()> {
    let open_tables = OpenTables::new(env.clone(), 10, 512 << 20);
    let cache = TableCache::new(open_tables, path(), table_options(comparator, false), ReadMode::Positioned);
    let name = comparator.user_comparator().name();
    let empty = || Version::empty(comparator.clone(), cache.clone());
    let recover = |edits: &[VersionEdit]| {
        let base_of = |_: &[u8]| Some(FamilyBase { comparator_name: name.clone(), version: empty() });
        let mut recovery = VersionRecovery::new(&base_of);
        edits.iter().try_for_each(|edit| recovery.apply(edit.clone()))?;
        recovery.finish()
    };
    let (versions, counters) = recover(edits)?;
    assert!(counters.last_sequence <= MAX_SEQUENCE);
    let snapshot = versions.snapshot(EditCounters {
        next_file_number: counters.next_file_number,
        logged_before: counters.last_sequence,
        min_log_number: counters.log_number,
    });
    let (again, _) = recover(&snapshot).expect("a MANIFEST of our own writing");
    assert_eq!(
        again.current(ColumnFamilyId::DEFAULT).debug_string(),
        versions.current(ColumnFamilyId::DEFAULT).debug_string()
    );
    for key in [&b""[..], b"key", b"\xff\xff"] {
        let target = LookupKey::new(key, MAX_SEQUENCE);
        for level in 1..7 {
            versions.current(ColumnFamilyId::DEFAULT).find_file(level, target.internal_key());
        }
        versions.current(ColumnFamilyId::DEFAULT).overlapping_files(0, Some(key), None);
        versions.current(ColumnFamilyId::DEFAULT).level_for_flush(key, b"z", 2 << 20);
        versions.current(ColumnFamilyId::DEFAULT).approximate_offset_of(target.internal_key());
    }
    Ok(())
}

/// Reads a CURRENT beside a MANIFEST that it may or may not name.
pub fn current(bytes: &[u8]) {
    let edit = VersionEdit {
        comparator: Some(bytewise().name()),
        log_number: Some(0),
        next_file_number: Some(3),
        last_sequence: Some(0),
        ..VersionEdit::default()
    };
    let mut record = Vec::new();
    edit.encode(Language::LevelDb, &mut record);
    let manifest = mend::frame_records(&[record]);
    let env = disk(&[("CURRENT".into(), bytes.to_vec()), ("MANIFEST-000002".into(), manifest)], false);
    let line = bytes.strip_suffix(b"\r\n").or(bytes.strip_suffix(b"\n")).unwrap_or(bytes);
    let number = line.strip_prefix(b"MANIFEST-").unwrap_or_default();
    let is_number = !number.is_empty() && number.iter().all(u8::is_ascii_digit);
    match manifest::current_number(&env.shared(), &path()) {
        Ok(_) => assert!(is_number),
        Err(error) => assert!(error.is_corruption(), "{error}"),
    }
    match exercise::open(&env, Setting::default()) {
        Ok(_) => assert_eq!(line, b"MANIFEST-000002"),
        Err(error) => assert!(error.is_corruption() && files(&env).len() == 2, "{error}"),
    }
}

/// Checks a batch, decodes it, builds it again, and writes it.
pub fn write_batch(bytes: &[u8]) {
    let valid = validate(bytes, Language::LevelDb).or_else(|_| validate(bytes, Language::RocksDb));
    let Ok(batch) = WriteBatch::from_rep(bytes.to_vec()) else {
        assert!(valid.is_err() || validate(bytes, Language::LevelDb).is_err());
        return;
    };
    let sequence = bytes.first_chunk().copied().map(u64::from_le_bytes).expect("a header");
    assert_eq!(valid.expect("a batch that was taken"), (sequence, batch.count()));
    let mut copy = WriteBatch::new();
    for entry in &batch {
        match entry.expect("a whole entry") {
            BatchEntry::Put(key, value) => copy.put(key, value),
            BatchEntry::Delete(key) => copy.delete(key),
            _ => return write_to_families(&batch),
        }
    }
    assert!(copy.count() == batch.count() && copy.iter().flatten().eq(batch.iter().flatten()));
    copy.append(&batch);
    assert_eq!(u64::from(copy.count()), 2 * u64::from(batch.count()));
    let (env, db) = new_database();
    db.write(&WriteOptions::default(), &copy).expect("a write");
    check_reopened(&env, db, copy.approximate_size() + 10);
}

fn new_database() -> (MemEnv, Db) {
    let env = disk(&[], false);
    let options = Options { create_if_missing: true, ..Setting::default().options(&env) };
    let db = Db::open(&options, &path()).expect("a new database");
    (env, db)
}

/// Checks that the database shows the same after it was opened again.
fn check_reopened(env: &MemEnv, db: Db, limit: usize) {
    let written = exercise::sweep(&db, env, limit);
    db.close().expect("a close");
    let db = exercise::open(env, Setting { paranoid: true, ..Setting::default() }).expect("open");
    assert_eq!(exercise::sweep(&db, env, limit), written);
}

/// Writes a batch over column families to a database with three: as it is, which fails if it is for others,
/// and with its families replaced by those.
fn write_to_families(batch: &WriteBatch) {
    let (env, db) = new_database();
    let options = Setting::default().options(&env);
    let named = ["a", "b"].map(|name| db.create_column_family(name, &options).expect("a new family"));
    let families = [db.default_column_family(), named[0].clone(), named[1].clone()];
    let is_known = batch.iter().flatten().all(|entry| entry.column_family_id() <= 2);
    assert_eq!(db.write(&WriteOptions::default(), batch).is_ok(), is_known);
    let mut copy = WriteBatch::new();
    for entry in batch {
        let entry = entry.expect("a whole entry");
        let family = &families[entry.column_family_id() as usize % 3];
        let (key, value) = entry.key_and_value();
        match entry {
            BatchEntry::Put(..) | BatchEntry::PutCf(..) => copy.put_cf(family, key, value),
            _ => copy.delete_cf(family, key),
        }
    }
    db.write(&WriteOptions::default(), &copy).expect("a write");
    check_reopened(&env, db, copy.approximate_size() + batch.approximate_size() + 10);
}
