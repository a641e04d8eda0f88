//! For the tests of this folder: files, tables and versions made by hand.

use crate::compression::Compression;
use crate::env::posix::PosixEnv;
use crate::env::{CreateMode, ReadMode};
use crate::format::internal_key::{InternalKey, InternalKeyComparator, ValueType, append_internal_key};
use crate::format::{NUM_LEVELS, file_name};
use crate::iterator::test_support::TestRandom;
use crate::options::DEFAULT_TABLE_METADATA_BUDGET;
use crate::table::builder::TableBuilder;
use crate::table::cache::TableCache;
use crate::table::open_tables::OpenTables;
use crate::table::{TableOptions, TableReadOptions};
use crate::version::Version;
use crate::version::file_metadata::FileMetaData;
use std::sync::Arc;
use tempfile::TempDir;

pub(crate) mod edits;

pub(super) const READ: TableReadOptions = TableReadOptions { verify_checksums: true, fill_cache: false };

pub(super) type Files = Vec<Arc<FileMetaData>>;

/// A directory for tables, and a cache of the open ones.
pub(super) struct Directory {
    path: TempDir,
    pub(super) options: Arc<TableOptions>,
    pub(super) cache: Arc<TableCache>,
}

impl Directory {
    pub(super) fn new(comparator: &InternalKeyComparator) -> Self {
        Self::with(comparator, |_| ())
    }

    /// A directory whose table options were changed by `change`.
    pub(super) fn with(comparator: &InternalKeyComparator, change: impl FnOnce(&mut TableOptions)) -> Self {
        let mut options = TableOptions {
            family_name: b"default".to_vec(),
            compression_level: None,
            comparator: comparator.clone(),
            comparator_name: comparator.user_comparator().name(),
            filter_policy: None,
            whole_table_filter: false,
            block_cache: None,
            block_size: 1 << 10,
            block_restart_interval: 16,
            compression: Compression::None,
            paranoid_checks: true,
            max_meta_block_size: u32::MAX as usize,
        };
        change(&mut options);
        let (path, options) = (tempfile::tempdir().unwrap(), Arc::new(options));
        let directory = path.path().to_path_buf();
        let open_tables = OpenTables::new(PosixEnv::shared(), 1000, DEFAULT_TABLE_METADATA_BUDGET);
        let cache = TableCache::new(open_tables, directory, options.clone(), ReadMode::Positioned);
        Directory { path, options, cache }
    }

    /// A version of these files.
    pub(super) fn version(&self, levels: [Files; NUM_LEVELS]) -> Version {
        Version::from_levels(levels, self.options.comparator.clone(), self.cache.clone())
    }

    /// Writes table `number` with these (internal key, value) pairs, which must be in order.
    pub(super) fn table(&self, number: u64, entries: &[(Vec<u8>, Vec<u8>)]) -> Arc<FileMetaData> {
        let path = file_name::table(self.path.path(), number);
        let file = PosixEnv::shared().create_writable(&path, CreateMode::New).unwrap();
        let mut builder = TableBuilder::new(self.options.clone(), file, 0);
        for (key, value) in entries {
            builder.add(key, value).unwrap();
        }
        let size = builder.finish().unwrap().file_size;
        let bound = |entry: Option<&(Vec<u8>, Vec<u8>)>| InternalKey::decode(&entry.unwrap().0).unwrap();
        Arc::new(FileMetaData::new(number, size, bound(entries.first()), bound(entries.last())))
    }

    pub(super) fn remove_table(&self, number: u64) {
        PosixEnv::shared().remove_file(&file_name::table(self.path.path(), number)).unwrap();
    }
}

/// The levels of a version: these files, and no files at the other levels.
pub(super) fn levels(files: impl IntoIterator<Item = (usize, Files)>) -> [Files; NUM_LEVELS] {
    let mut levels: [Files; NUM_LEVELS] = Default::default();
    for (level, files) in files {
        levels[level] = files;
    }
    levels
}

/// Metadata of a file that does not exist.
pub(super) fn file(number: u64, size: u64, smallest: InternalKey, largest: InternalKey) -> Arc<FileMetaData> {
    Arc::new(FileMetaData::new(number, size, smallest, largest))
}

/// Metadata of a file that does not exist: 1000 bytes, with these user keys as bounds, both at sequence
/// number 100.
pub(super) fn plain_file(number: u64, smallest: &str, largest: &str) -> Arc<FileMetaData> {
    file(number, 1000, key(smallest, 100), key(largest, 100))
}

pub(super) fn key(user_key: &str, sequence: u64) -> InternalKey {
    InternalKey::new(user_key.as_bytes(), sequence, ValueType::Value)
}

/// The bytes of an internal key of any type.
pub(super) fn raw_key(user_key: &[u8], sequence: u64, type_number: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    append_internal_key(&mut bytes, user_key, sequence, type_number);
    bytes
}

/// Random internal keys, distinct and in order. All user keys begin with one prefix, and many share more.
pub(super) fn random_keys(
    random: &mut TestRandom,
    comparator: &InternalKeyComparator,
    count: usize,
) -> Vec<InternalKey> {
    let prefix = random.user_key(12);
    let length = 1 + random.below(14);
    let mut keys: Vec<_> = (0..count)
        .map(|_| {
            let user_key = [prefix.clone(), random.user_key(length)].concat();
            InternalKey::new(&user_key, random.below(5) as u64, ValueType::Value)
        })
        .collect();
    keys.sort_by(|a, b| comparator.compare(a.encoded(), b.encoded()));
    keys.dedup_by(|a, b| comparator.compare(a.encoded(), b.encoded()).is_eq());
    keys
}

/// A run made of the keys: files of one to four keys, numbered from `number`, with some keys left out between
/// files.
pub(super) fn random_run(random: &mut TestRandom, keys: &[InternalKey], mut number: u64) -> Files {
    let mut files = Files::new();
    let mut rest = keys;
    while !rest.is_empty() {
        let (of_file, after) = rest.split_at((1 + random.below(4)).min(rest.len()));
        if !random.one_in(4) {
            let (smallest, largest) = (of_file[0].clone(), of_file[of_file.len() - 1].clone());
            files.push(file(number, 1000 + random.below(5000) as u64, smallest, largest));
            number += 1;
        }
        rest = after;
    }
    files
}

/// A user key to look for: one of `keys`, a change of one, or any.
pub(super) fn random_target(random: &mut TestRandom, keys: &[InternalKey]) -> Vec<u8> {
    if keys.is_empty() || random.one_in(8) {
        return random.user_key(14);
    }
    let mut target = keys[random.below(keys.len())].user_key().to_vec();
    match random.below(4) {
        0 => target.truncate(random.below(target.len() + 1)),
        1 => target.extend(random.user_key(3)),
        _ => {}
    }
    target
}

pub(super) fn numbers<'a>(files: impl IntoIterator<Item = &'a Arc<FileMetaData>>) -> Vec<u64> {
    files.into_iter().map(|file| file.number).collect()
}
