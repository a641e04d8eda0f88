//! For the tests of this folder: files in memory, and random entries.

use super::builder::{BuiltTable, TableBuilder};
use super::reader::{Table, TableGet};
use super::whole_table_filter::KeyHash;
use super::{TableOptions, TableReadOptions};
use crate::comparator::{Comparator, bytewise};
use crate::compression::Compression;
use crate::env::{RandomAccessFile, WritableFile};
use crate::error::Result;
use crate::format::internal_key::{InternalKey, InternalKeyComparator, LookupKey, ValueType, user_key};
use crate::util::lock::Mutex;
use std::cmp::Ordering;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{self, AtomicUsize};

/// Numbers that look random and depend only on the seed.
pub struct TestRandom(pub u64);

impl TestRandom {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn bytes(&mut self, length: u64) -> Vec<u8> {
        // Half of the bytes repeat, so that Snappy can compress them.
        let byte = self.next() as u8;
        (0..length).map(|i| if i % 16 < 8 { byte } else { self.next() as u8 }).collect()
    }
}

/// A file in memory, with or without a mapping; counts reads and hints.
pub struct MemoryFile {
    bytes: Vec<u8>,
    mapped: bool,
    pub reads: AtomicUsize,
    pub hints: AtomicUsize,
}

impl MemoryFile {
    pub fn new(bytes: Vec<u8>, mapped: bool) -> Arc<Self> {
        Arc::new(MemoryFile { bytes, mapped, reads: AtomicUsize::new(0), hints: AtomicUsize::new(0) })
    }
}

impl RandomAccessFile for MemoryFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        self.reads.fetch_add(1, atomic::Ordering::Relaxed);
        let rest = self.bytes.get(offset as usize..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
    fn mapping(&self) -> Option<&[u8]> {
        self.mapped.then_some(&self.bytes)
    }
    fn will_need(&self, _offset: u64, _length: u64) {
        self.hints.fetch_add(1, atomic::Ordering::Relaxed);
    }
}

/// A file that is written to memory, which other handles can read.
#[derive(Clone, Default)]
pub struct MemorySink {
    pub bytes: Arc<Mutex<Vec<u8>>>,
    /// The calls so far, in order: `s` for sync, `c` for close.
    pub calls: Arc<Mutex<String>>,
    /// Appends that would make the file longer than this fail.
    pub full_at: Option<usize>,
    /// What `share_beginning` finds at any path: that many bytes can be shared, these.
    pub shareable: Vec<u8>,
}

impl WritableFile for MemorySink {
    fn append(&mut self, data: &[u8]) -> Result<()> {
        let mut bytes = self.bytes.lock();
        if self.full_at.is_some_and(|limit| bytes.len() + data.len() > limit) {
            return Err(crate::error::Error::from_errno(std::path::Path::new("t.ldb"), 28));
        }
        bytes.extend_from_slice(data);
        Ok(())
    }
    fn share_beginning(&mut self, _: &std::path::Path, length: u64) -> Result<u64> {
        let shared = self.shareable.len().min(length as usize);
        self.bytes.lock().extend_from_slice(&self.shareable[..shared]);
        Ok(shared as u64)
    }
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
    fn sync(&mut self) -> Result<()> {
        self.calls.lock().push('s');
        Ok(())
    }
    fn close(&mut self) -> Result<()> {
        self.calls.lock().push('c');
        Ok(())
    }
}

/// The bytewise order, reversed.
pub struct Reverse;

impl Comparator for Reverse {
    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        b.cmp(a)
    }
    fn name(&self) -> Vec<u8> {
        b"test.Reverse".to_vec()
    }
}

/// All codecs that this build can write.
pub fn compressions() -> Vec<Compression> {
    use Compression::*;
    [None, Snappy, Zlib, RawDeflate, Zstd]
        .into_iter()
        .filter(|compression| compression.check().is_ok())
        .collect()
}

pub const READ: TableReadOptions = TableReadOptions { verify_checksums: false, fill_cache: true };

pub fn options() -> TableOptions {
    TableOptions {
        family_name: b"default".to_vec(),
        comparator: InternalKeyComparator::new(bytewise()),
        comparator_name: bytewise().name(),
        filter_policy: None,
        whole_table_filter: false,
        block_cache: None,
        block_size: 4096,
        block_restart_interval: 16,
        compression: Compression::None,
        compression_level: None,
        paranoid_checks: false,
        max_meta_block_size: u32::MAX as usize,
    }
}

/// An internal key and a value.
pub type TestEntry = (Vec<u8>, Vec<u8>);

pub fn internal(user_key: &[u8], sequence: u64) -> Vec<u8> {
    InternalKey::new(user_key, sequence, ValueType::Value).encoded().to_vec()
}

/// Builds a table with these entries. Returns its bytes and the builder's result.
pub fn build(options: &TableOptions, entries: &[TestEntry]) -> (Vec<u8>, BuiltTable) {
    let sink = MemorySink::default();
    let mut builder = TableBuilder::new(Arc::new(options.clone()), Box::new(sink.clone()), 1_700_000_000);
    for (key, value) in entries {
        builder.add(key, value).unwrap();
    }
    assert_eq!(builder.num_entries(), entries.len() as u64);
    let estimate = builder.estimated_file_size();
    let built = builder.finish().unwrap();
    assert!(built.file_size >= estimate || options.compression != Compression::None);
    assert_eq!(*sink.calls.lock(), "sc");
    let bytes = std::mem::take(&mut *sink.bytes.lock());
    assert_eq!(built.file_size, bytes.len() as u64);
    (bytes, built)
}

pub fn open(options: &TableOptions, bytes: &[u8], mapped: bool) -> Result<Arc<Table>> {
    let file = MemoryFile::new(bytes.to_vec(), mapped);
    Table::open(Arc::new(options.clone()), file, PathBuf::from("db/000007.ldb"), bytes.len() as u64)
}

/// `count` entries in the order of `comparator`: user keys of several shapes, some with several versions,
/// some tombstones.
pub fn random_entries(
    random: &mut TestRandom,
    count: usize,
    comparator: &InternalKeyComparator,
) -> Vec<TestEntry> {
    let mut entries = Vec::new();
    while entries.len() < count {
        let user_key = match random.below(4) {
            0 => format!("{:010}", random.below(100_000)).into_bytes(),
            1 => (0..random.below(6)).map(|_| b'a' + random.below(3) as u8).collect(),
            2 => [&b"a common prefix of many keys "[..], &random.next().to_be_bytes()].concat(),
            _ => (0..random.below(20)).map(|_| [0, 1, 0x7f, 0xff][random.below(4) as usize]).collect(),
        };
        let versions = if random.below(4) == 0 { random.below(40) } else { 1 };
        for _ in 0..versions {
            let value_type = if random.below(5) == 0 { ValueType::Deletion } else { ValueType::Value };
            let sequence = random.below(if versions > 1 { 300 } else { 1 << 40 });
            let key = InternalKey::new(&user_key, sequence, value_type).encoded().to_vec();
            let length = if random.below(20) == 0 { 3000 } else { 150 };
            let length = random.below(length);
            entries.push((key, random.bytes(length)));
        }
    }
    entries.sort_by(|a, b| comparator.compare(&a.0, &b.0));
    entries.dedup_by(|a, b| a.0 == b.0);
    entries
}

/// Looks up an internal key.
pub fn look_up<R>(
    table: &Table,
    read: TableReadOptions,
    internal_key: &[u8],
    found: impl FnOnce(&[u8], &[u8]) -> R,
) -> Result<TableGet<R>> {
    table.get(read, &LookupKey::of(internal_key), KeyHash::of(user_key(internal_key)), found)
}
