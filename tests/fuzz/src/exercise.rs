//! All operations of a program, on a database that may be damaged in any way.

use super::archive::{Files, disk, files, path};
use std::sync::Arc;
use terrace::BloomFilterPolicy;
use terrace::env::info_log;
use terrace::env::mem::MemEnv;
use terrace::internals::util::cache::BlockCache;
use terrace::{ColumnFamilyHandle, Db, Error, Options, ReadOptions, Result, WriteOptions, repair};

/// Keys that a sweep looks up in addition to those it finds.
const PROBES: [&[u8]; 5] = [b"", b"\0", b"k", b"key0500", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff"];

/// Number of the found keys that are looked up again.
const ASKED_AGAIN: usize = 40;

/// The results of a sweep over a database.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contents {
    /// Keys and values, as far as the iterations got.
    pub entries: Vec<(Vec<u8>, Vec<u8>)>,
    /// The first error of each: of the iterations, then of the gets.
    pub errors: Vec<String>,
}

/// How a directory is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setting {
    /// `Options::paranoid_checks`.
    pub paranoid: bool,
    /// With the bloom filter policy.
    pub bloom: bool,
    /// `Options::reuse_logs`.
    pub reuse_logs: bool,
    /// Tables are read through mappings.
    pub mappings: bool,
}

impl Setting {
    /// One of the sixteen settings.
    pub fn from_bits(bits: u8) -> Setting {
        let bit = |n: u8| bits >> n & 1 != 0;
        Setting { paranoid: bit(0), bloom: bit(1), reuse_logs: bit(2), mappings: bit(3) }
    }

    /// The options to open a database on the disk with.
    pub fn options(&self, env: &MemEnv) -> Options {
        Options {
            env: env.shared(),
            paranoid_checks: self.paranoid,
            reuse_logs: self.reuse_logs,
            mmap_reads: self.mappings,
            filter_policy: self.bloom.then(|| Arc::new(BloomFilterPolicy::new(10)) as _),
            info_log: Some(info_log::null()),
            block_cache: Some(Arc::new(BlockCache::new(256 << 10))),
            block_size: 1 << 10,
            write_buffer_size: 64 << 10,
            ..Options::default()
        }
    }
}

/// Opens the directory with all its column families. Checks that a failed open changes no file, and that a
/// Corruption names its place.
pub fn open(env: &MemEnv, setting: Setting) -> Result<Db> {
    let before = files(env);
    let options = setting.options(env);
    let names = Db::list_column_families(&options, &path()).unwrap_or_default();
    let named: Vec<_> = names.iter().map(|name| (name, &options)).collect();
    let result = Db::open_with_families(&options, &path(), &named).map(|(db, _)| db);
    if let Err(error) = &result {
        assert!(files(env) == before, "an opening that failed has changed files: {error}");
        check_names_place(error);
    }
    result
}

/// Checks that a Corruption names a file of the database.
fn check_names_place(error: &Error) {
    let place = path();
    let place = place.to_str().expect("a path of ASCII");
    assert!(!error.is_corruption() || error.to_string().contains(place), "no place: {error}");
}

/// The families of an open database, the default one first.
fn families(db: &Db, env: &MemEnv) -> Vec<ColumnFamilyHandle> {
    let options = Setting::default().options(env);
    let names = Db::list_column_families(&options, &path()).expect("the families of an open database");
    let others = names.iter().skip(1).filter_map(|name| db.column_family(name));
    std::iter::once(db.default_column_family()).chain(others).collect()
}

/// Reads everything, in every way. Each family has at most `limit` entries.
pub fn sweep(db: &Db, env: &MemEnv, limit: usize) -> Contents {
    let mut contents = Contents::default();
    for family in families(db, env) {
        sweep_family(db, &family, limit, &mut contents);
    }
    contents
}

fn sweep_family(db: &Db, family: &ColumnFamilyHandle, limit: usize, contents: &mut Contents) {
    let read = ReadOptions { verify_checksums: true, ..ReadOptions::default() };
    let Contents { entries, errors } = contents;
    let first = entries.len();
    let mut note = |result: Result<()>| {
        if let Err(error) = result {
            check_names_place(&error);
            errors.push(error.to_string());
        }
    };
    let mut iterator = db.iter_cf(family, &read);
    iterator.seek_to_first();
    while iterator.valid() {
        entries.push((iterator.key().to_vec(), iterator.value().to_vec()));
        assert!(entries.len() - first <= limit, "an iteration without end");
        iterator.next();
    }
    note(iterator.status());
    iterator.seek_to_last();
    let mut left = limit;
    while iterator.valid() {
        left = left.checked_sub(1).expect("an iteration backwards without end");
        iterator.prev();
    }
    note(iterator.status());
    let found = &entries[first..];
    let step = found.len() / ASKED_AGAIN + 1;
    let found: Vec<&[u8]> = found.iter().step_by(step).map(|(key, _)| &key[..]).collect();
    for key in PROBES.into_iter().chain(found) {
        note(db.get_cf(family, &read, key).map(|_| ()));
        iterator.seek(key);
        for forward in [true, true, false, false, false, true] {
            if iterator.valid() {
                if forward { iterator.next() } else { iterator.prev() }
            }
        }
        note(iterator.status());
    }
    let _ = db.approximate_sizes_cf(family, &[(b"", b"\xff"), (b"key0100", b"key0400")]);
    for name in ["leveldb.sstables", "leveldb.stats", "terrace.recovery-damage"] {
        let _ = db.property_cf(family, name.as_bytes());
    }
}

/// Opens, reads, writes, compacts, closes and opens again.
pub fn live(env: &MemEnv, setting: Setting, limit: usize) -> Result<Contents> {
    let db = open(env, setting)?;
    let contents = sweep(&db, env, limit);
    let write = WriteOptions::default();
    // A damaged table may stop compactions, and these the writes; that is a correct result.
    let families = families(&db, env);
    for family in &families {
        let put = db.put_cf(family, &write, b"key0500", b"new");
        let _ = put.and_then(|()| db.delete_cf(family, &write, b"key0501"));
    }
    let _ = db.flush();
    for family in &families {
        let _ = db.compact_range_cf(family, None, None);
    }
    drop(families);
    sweep(&db, env, limit + 1);
    // Workers catch their panics; no contents of a file may cause one.
    let error = db.background_error().map(|error| error.to_error().to_string()).unwrap_or_default();
    assert!(!error.contains("internal error"), "{error}");
    let _ = db.close();
    // A directory that could be opened once can be opened again, whatever has happened meanwhile.
    let db = open(env, setting).unwrap_or_else(|error| panic!("the second opening failed: {error}"));
    sweep(&db, env, limit + 1);
    db.close().expect("a close without writes");
    Ok(contents)
}

/// Repairs the directory. Checks that it can be opened then, and read from one end to the other.
pub fn mend_and_read(env: &MemEnv, setting: Setting, limit: usize) -> Result<Contents> {
    repair(&setting.options(env), &path())?;
    let db = open(env, Setting { paranoid: true, ..setting })
        .unwrap_or_else(|error| panic!("what was repaired does not open: {error}"));
    let contents = sweep(&db, env, limit);
    assert!(contents.errors.is_empty(), "what was repaired is damaged: {:?}", contents.errors);
    db.compact_range(None, None).expect("a compaction of what was repaired");
    assert_eq!(sweep(&db, env, limit).entries, contents.entries, "a compaction changed what was repaired");
    db.close().expect("a close");
    Ok(contents)
}

/// The largest number of entries that the files can contain: an entry has at least three bytes, and a block
/// decompresses to at most 22 times its length.
pub fn max_entries(files: &[(String, Vec<u8>)]) -> usize {
    files.iter().map(|(_, content)| content.len()).sum::<usize>() * 8 + 1000
}

/// Which operations on a directory succeeded.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// The open without paranoid checks succeeded.
    pub opened: bool,
    /// Reading it then reported damage.
    pub was_damaged: bool,
    /// The open with paranoid checks succeeded.
    pub opened_paranoidly: bool,
    /// The repair succeeded.
    pub repaired: bool,
}

/// Opens the directory with `setting` and with paranoid checks, and repairs it.
pub fn directory(content: &Files, setting: Setting) -> Outcome {
    let limit = max_entries(content);
    let [plain, paranoid] = [false, true]
        .map(|paranoid| live(&disk(content, setting.mappings), Setting { paranoid, ..setting }, limit));
    Outcome {
        opened: plain.is_ok(),
        was_damaged: plain.is_ok_and(|contents| !contents.errors.is_empty()),
        opened_paranoidly: paranoid.is_ok(),
        repaired: mend_and_read(&disk(content, setting.mappings), setting, limit).is_ok(),
    }
}
