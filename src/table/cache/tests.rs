//! Tests of the table cache, over a file system in memory that counts open files.

use super::*;
use crate::env::{CreateMode, FileLock, LogFileOptions, RandomAccessFile, SequentialFile, WritableFile};
use crate::table::TableReadOptions;
use crate::table::reader::TableGet;
use crate::table::test_support::{MemoryFile, build, internal, options};
use crate::util::test_support::keep;
use std::ffi::OsString;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// Files that can only be read; all other calls fail with NotSupported.
#[derive(Default)]
struct Files {
    files: Mutex<HashMap<PathBuf, Vec<u8>>>,
    opened: AtomicUsize,
    open: Arc<AtomicUsize>,
}

struct Counted(Arc<MemoryFile>, Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::SeqCst);
    }
}

impl RandomAccessFile for Counted {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        self.0.read_at(offset, buffer)
    }
}

fn unsupported<T>() -> Result<T> {
    Err(Error::not_supported("a test's files are read only"))
}

impl Env for Files {
    fn open_random_access(&self, path: &Path, _mode: ReadMode) -> Result<Arc<dyn RandomAccessFile>> {
        let bytes = self.files.lock().get(path).cloned().ok_or_else(|| Error::from_errno(path, 2))?;
        self.opened.fetch_add(1, Ordering::SeqCst);
        self.open.fetch_add(1, Ordering::SeqCst);
        Ok(Arc::new(Counted(MemoryFile::new(bytes, false), self.open.clone())))
    }
    fn file_size(&self, path: &Path) -> Result<u64> {
        self.files.lock().get(path).map(|bytes| bytes.len() as u64).ok_or_else(|| Error::from_errno(path, 2))
    }
    fn exists(&self, path: &Path) -> bool {
        self.files.lock().contains_key(path)
    }
    fn open_sequential(&self, _: &Path) -> Result<Box<dyn SequentialFile>> {
        unsupported()
    }
    fn create_writable(&self, _: &Path, _: CreateMode) -> Result<Box<dyn WritableFile>> {
        unsupported()
    }
    fn create_log(&self, _: &Path, _: LogFileOptions) -> Result<Box<dyn WritableFile>> {
        unsupported()
    }
    fn children(&self, _: &Path) -> Result<Vec<OsString>> {
        unsupported()
    }
    fn remove_file(&self, _: &Path) -> Result<()> {
        unsupported()
    }
    fn create_dir(&self, _: &Path) -> Result<()> {
        unsupported()
    }
    fn remove_dir(&self, _: &Path) -> Result<()> {
        unsupported()
    }
    fn rename(&self, _: &Path, _: &Path) -> Result<()> {
        unsupported()
    }
    fn sync_dir(&self, _: &Path) -> Result<()> {
        unsupported()
    }
    fn lock_file(&self, _: &Path) -> Result<Box<dyn FileLock>> {
        unsupported()
    }
    fn now_micros(&self) -> u64 {
        0
    }
    fn sleep_micros(&self, _: u64) {}
    fn spawn(&self, _: &str, _: Box<dyn FnOnce() + Send>) -> Result<JoinHandle<()>> {
        unsupported()
    }
}

/// A cache over files 1 to 20 with room for this many tables; the file system; and the size of each file.
fn cache(tables: usize) -> (Arc<TableCache>, Arc<Files>, u64) {
    cache_with(tables, 1000)
}

fn cache_with(tables: usize, max_files: usize) -> (Arc<TableCache>, Arc<Files>, u64) {
    in_process(keep(MetadataBudget::default()), tables, max_files)
}

/// As `cache`, with the given budget of the process, which other caches may share.
fn in_process(
    process: &'static MetadataBudget,
    tables: usize,
    max_files: usize,
) -> (Arc<TableCache>, Arc<Files>, u64) {
    let env = Arc::new(Files::default());
    let bytes = build(&options(), &[(internal(b"k", 1), b"v".to_vec())]).0;
    let db = PathBuf::from("db");
    for number in 1..=20 {
        let path = if number == 13 { file_name::old_table(&db, 13) } else { file_name::table(&db, number) };
        env.files.lock().insert(path, bytes.clone());
    }
    let size = bytes.len() as u64;
    let open = |budget| {
        let (env, db, options, mode) = (env.clone(), db.clone(), Arc::new(options()), ReadMode::Positioned);
        TableCache::in_process(env, db, options, mode, max_files, budget, process)
    };
    let one_table = open(0).find(1, size).unwrap().memory_usage();
    opened(&env);
    (open(tables * one_table + one_table / 2), env, size)
}

fn opened(env: &Files) -> usize {
    env.opened.swap(0, Ordering::SeqCst)
}

#[test]
fn the_least_recently_used_table_is_closed() {
    let (cache, env, size) = cache(3);
    for number in [1, 2, 3, 1, 4] {
        cache.find(number, size).unwrap();
    }
    assert_eq!(opened(&env), 4);
    assert_eq!(env.open.load(Ordering::SeqCst), 3);
    for number in [1, 3, 4] {
        cache.find(number, size).unwrap();
    }
    assert_eq!(opened(&env), 0);
    cache.find(2, size).unwrap();
    assert_eq!(opened(&env), 1);
}

#[test]
fn a_table_in_use_outlives_its_place() {
    let (cache, env, size) = cache(1);
    let table = cache.find(1, size).unwrap();
    cache.find(2, size).unwrap();
    assert_eq!(env.open.load(Ordering::SeqCst), 2);
    assert_eq!(table.path(), Path::new("db/000001.ldb"));
    drop(table);
    assert_eq!(env.open.load(Ordering::SeqCst), 1);
}

#[test]
fn old_names_are_found_and_missing_files_are_named() {
    let (cache, env, size) = cache(10);
    assert_eq!(cache.find(13, size).unwrap().path(), Path::new("db/000013.sst"));
    let error = cache.find(99, size).err().unwrap();
    assert!(error.is_not_found());
    assert_eq!(error.to_string(), "NotFound: db/000099.ldb: No such file or directory");
    // An error is not cached.
    let bytes = env.files.lock()[Path::new("db/000001.ldb")].clone();
    env.files.lock().insert("db/000099.ldb".into(), bytes);
    assert!(cache.find(99, size).is_ok());
}

#[test]
fn a_file_of_another_size_is_corruption() {
    let (cache, env, size) = cache(10);
    for wrong in [0, size - 1, size + 1, u64::MAX] {
        let error = cache.find(1, wrong).err().unwrap();
        assert!(error.is_corruption(), "{error}");
        assert!(error.to_string().starts_with("Corruption: db/000001.ldb: "), "{error}");
    }
    assert!(cache.find(1, size).is_ok());
    // Bytes that follow the footer would not be noticed by reading the table.
    env.files.lock().get_mut(Path::new("db/000002.ldb")).unwrap().push(0);
    assert!(cache.find(2, size).err().unwrap().is_corruption());
}

#[test]
fn pins_take_places_from_the_list_and_give_them_back() {
    let (cache, env, size) = cache(8);
    let mut pinned = Vec::new();
    for number in 1.. {
        let table = cache.find(number, size).unwrap();
        let Some(permit) = cache.try_pin(number, &table) else { break };
        pinned.push((table, permit));
    }
    assert_eq!(pinned.len(), 6);
    assert_eq!(cache.list.lock().tables.keys().collect::<Vec<_>>(), [&7], "pinned tables left the list");
    for number in 10..=20 {
        cache.find(number, size).unwrap();
    }
    assert_eq!(env.open.load(Ordering::SeqCst), 8);
    drop(pinned);
    assert_eq!(env.open.load(Ordering::SeqCst), 2);
    opened(&env);
    for number in (1..=8).chain(1..=8) {
        cache.find(number, size).unwrap();
    }
    assert_eq!(opened(&env), 8);
    assert!(cache.try_pin(1, &cache.find(1, size).unwrap()).is_some());
}

#[test]
fn a_pinned_table_is_not_kept_twice() {
    let (cache, env, size) = cache(8);
    let permit = cache.try_pin(1, &cache.find(1, size).unwrap()).unwrap();
    let table = cache.find(1, size).unwrap();
    drop(table);
    assert_eq!(env.open.load(Ordering::SeqCst), 0);
    drop(permit);
    cache.find(1, size).unwrap();
    assert_eq!(env.open.load(Ordering::SeqCst), 1);
}

#[test]
fn an_evicted_table_is_closed() {
    let (cache, env, size) = cache(8);
    cache.find(1, size).unwrap();
    cache.evict(1);
    cache.evict(1);
    assert_eq!(env.open.load(Ordering::SeqCst), 0);
}

#[test]
fn threads_share_the_cache() {
    let (cache, env, size) = cache(4);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let cache = &cache;
            scope.spawn(move || {
                for round in 0..300 {
                    let number = 1 + (round * 7 + thread * 3) % 12;
                    let table = cache.find(number, size).unwrap();
                    assert!(table.properties().is_some());
                    if round % 5 == 0 {
                        cache.evict(number);
                    }
                    drop(cache.try_pin(number, &table));
                }
            });
        }
    });
    assert!(env.open.load(Ordering::SeqCst) <= 4);
    assert_eq!(cache.list.lock().pinned_bytes, 0);
    assert!(cache.list.lock().pinned.is_empty());
}

#[test]
fn a_table_keeps_its_index_where_its_descriptor_had_to_go() {
    let (cache, env, size) = cache_with(20, 2);
    let read = TableReadOptions { verify_checksums: true, fill_cache: false };
    for round in 0..5 {
        for number in 1..=20 {
            let table = cache.find(number, size).unwrap();
            let value = table.get(read, &internal(b"k", 1), |_, value| value.to_vec()).unwrap();
            assert!(matches!(value, TableGet::Found(value) if value == b"v"), "{number} in round {round}");
            assert!(env.open.load(Ordering::SeqCst) <= 2);
        }
    }
    let usage = cache.usage();
    assert_eq!((usage.openings, usage.tables, usage.descriptors), (20, 20, 2), "none was parsed again");
    assert!(opened(&env) > 20, "and many were opened again");
}

#[test]
fn usage_is_what_tables_take() {
    let (cache, _, size) = cache(8);
    let bytes = cache.find(1, size).unwrap().memory_usage();
    assert_eq!(cache.usage(), TableUsage { tables: 1, bytes, descriptors: 1, openings: 1 });
    let permit = cache.try_pin(1, &cache.find(1, size).unwrap()).unwrap();
    assert_eq!(cache.usage(), TableUsage { tables: 1, bytes, descriptors: 0, openings: 1 });
    drop(permit);
    assert_eq!(cache.usage(), TableUsage { tables: 0, bytes: 0, descriptors: 0, openings: 1 });
}

#[test]
fn what_a_dropped_cache_held_is_free() {
    let (cache, _, size) = cache(8);
    let process = cache.process;
    let permit = cache.try_pin(1, &cache.find(1, size).unwrap()).unwrap();
    let bytes = cache.find(2, size).unwrap().memory_usage();
    assert_eq!(process.shared.used(), 2 * bytes);
    drop(cache);
    assert_eq!(process.shared.used(), 2 * bytes, "a pin keeps the cache");
    drop(permit);
    assert_eq!(process.shared.used(), 0);
    assert!(!process.try_pin(1), "nor is it a database of the process any more");
}

#[test]
fn all_caches_of_a_process_together_take_what_the_largest_may() {
    let process: &'static MetadataBudget = keep(MetadataBudget::default());
    let (large, large_env, size) = in_process(process, 8, 100);
    let others: Vec<_> = (0..10).map(|_| in_process(process, 3, 100).0).collect();
    let bytes = large.find(1, size).unwrap().memory_usage();
    for number in 2..=8 {
        large.find(number, size).unwrap();
    }
    assert_eq!((large.usage().tables, process.excess()), (8, 0));
    for cache in &others {
        for number in 1..=2 {
            cache.find(number, size).unwrap();
        }
    }
    assert!(process.shared.used() <= 11 * bytes, "one table of each stays: {}", process.shared.used());
    assert_eq!(large.usage().tables, 1);
    drop(others);
    opened(&large_env);
    for number in (1..=8).chain(1..=8) {
        large.find(number, size).unwrap();
    }
    assert!(opened(&large_env) <= 8);
    assert_eq!(large.usage().tables, 8);
}

#[test]
fn a_cache_gives_back_its_oldest_tables_and_keeps_one() {
    let (cache, env, size) = cache(8);
    let bytes = cache.find(1, size).unwrap().memory_usage();
    for number in 2..=6 {
        cache.find(number, size).unwrap();
    }
    assert!(cache.holds_any());
    assert_eq!(cache.give_back(bytes + 1), 2 * bytes);
    opened(&env);
    for number in 3..=6 {
        cache.find(number, size).unwrap();
    }
    assert_eq!(opened(&env), 0);
    assert_eq!(cache.give_back(usize::MAX), 3 * bytes);
    assert!(!cache.holds_any());
    assert_eq!(cache.usage().tables, 1);
}
