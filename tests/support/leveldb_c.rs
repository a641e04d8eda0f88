//! A small safe interface for any library with LevelDB's C API, loaded by `dlopen`.
//!
//! A [`Library`] is loaded with `RTLD_LOCAL`, so that Terrace and Google's LevelDB can be in one process
//! although they export the same names. A library is never unloaded.
//!
//! Lifetimes: [`Snapshot`] and [`Iterator`] share ownership of their database, so that it is closed when the
//! last of them is gone. [`Db::close`] panics if it is not the last owner.
//!
//! Threads: [`Db`] may be shared; everything else belongs to one thread at a time.
//!
//! This file depends on `libloading` only: the benchmark includes it by path.
#![allow(dead_code)]

use libloading::os::unix::{Library as DynamicLibrary, RTLD_LOCAL, RTLD_NOW};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex};

macro_rules! opaque {
    ($($name:ident)*) => { $(
        /// An opaque handle of the C API.
        #[repr(C)]
        pub struct $name([u8; 0]);
    )* };
}

opaque! {
    RawDb RawOptions RawReadOptions RawWriteOptions RawWriteBatch RawIterator RawSnapshot RawCache RawFilterPolicy
    RawComparator
}

type ErrorPointer = *mut *mut c_char;
type PutCallback = unsafe extern "C" fn(*mut c_void, *const c_char, usize, *const c_char, usize);
type DeletedCallback = unsafe extern "C" fn(*mut c_void, *const c_char, usize);
type Destructor = unsafe extern "C" fn(*mut c_void);
type Compare = unsafe extern "C" fn(*mut c_void, *const c_char, usize, *const c_char, usize) -> c_int;
type Name = unsafe extern "C" fn(*mut c_void) -> *const c_char;
type CreateFilter =
    unsafe extern "C" fn(*mut c_void, *const *const c_char, *const usize, c_int, *mut usize) -> *mut c_char;
type KeyMayMatch = unsafe extern "C" fn(*mut c_void, *const c_char, usize, *const c_char, usize) -> u8;

macro_rules! functions {
    ($($name:ident($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions of the C API, each under its name without `leveldb_`, for loops without overhead.
        #[derive(Clone, Copy)]
        pub struct Functions {
            $(
                /// The function of this name in `leveldb/c.h`.
                pub $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,
            )*
        }

        impl Functions {
            fn load(library: &DynamicLibrary) -> Result<Functions, libloading::Error> {
                Ok(Functions { $(
                    // SAFETY: the type is that of the function of this name in leveldb/c.h.
                    $name: *unsafe { library.get(concat!("leveldb_", stringify!($name), "\0").as_bytes()) }?,
                )* })
            }
        }
    };
}

functions! {
    open(*const RawOptions, *const c_char, ErrorPointer) -> *mut RawDb;
    close(*mut RawDb);
    put(*mut RawDb, *const RawWriteOptions, *const u8, usize, *const u8, usize, ErrorPointer);
    delete(*mut RawDb, *const RawWriteOptions, *const u8, usize, ErrorPointer);
    write(*mut RawDb, *const RawWriteOptions, *mut RawWriteBatch, ErrorPointer);
    get(*mut RawDb, *const RawReadOptions, *const u8, usize, *mut usize, ErrorPointer) -> *mut u8;
    create_iterator(*mut RawDb, *const RawReadOptions) -> *mut RawIterator;
    create_snapshot(*mut RawDb) -> *const RawSnapshot;
    release_snapshot(*mut RawDb, *const RawSnapshot);
    property_value(*mut RawDb, *const c_char) -> *mut c_char;
    approximate_sizes(
        *mut RawDb, c_int, *const *const u8, *const usize, *const *const u8, *const usize, *mut u64
    );
    compact_range(*mut RawDb, *const u8, usize, *const u8, usize);
    destroy_db(*const RawOptions, *const c_char, ErrorPointer);
    repair_db(*const RawOptions, *const c_char, ErrorPointer);
    iter_destroy(*mut RawIterator);
    iter_valid(*const RawIterator) -> u8;
    iter_seek_to_first(*mut RawIterator);
    iter_seek_to_last(*mut RawIterator);
    iter_seek(*mut RawIterator, *const u8, usize);
    iter_next(*mut RawIterator);
    iter_prev(*mut RawIterator);
    iter_key(*const RawIterator, *mut usize) -> *const u8;
    iter_value(*const RawIterator, *mut usize) -> *const u8;
    iter_get_error(*const RawIterator, ErrorPointer);
    writebatch_create() -> *mut RawWriteBatch;
    writebatch_destroy(*mut RawWriteBatch);
    writebatch_clear(*mut RawWriteBatch);
    writebatch_put(*mut RawWriteBatch, *const u8, usize, *const u8, usize);
    writebatch_delete(*mut RawWriteBatch, *const u8, usize);
    writebatch_iterate(*const RawWriteBatch, *mut c_void, PutCallback, DeletedCallback);
    writebatch_append(*mut RawWriteBatch, *const RawWriteBatch);
    options_create() -> *mut RawOptions;
    options_destroy(*mut RawOptions);
    options_set_comparator(*mut RawOptions, *mut RawComparator);
    options_set_filter_policy(*mut RawOptions, *mut RawFilterPolicy);
    options_set_create_if_missing(*mut RawOptions, u8);
    options_set_error_if_exists(*mut RawOptions, u8);
    options_set_paranoid_checks(*mut RawOptions, u8);
    options_set_write_buffer_size(*mut RawOptions, usize);
    options_set_max_open_files(*mut RawOptions, c_int);
    options_set_cache(*mut RawOptions, *mut RawCache);
    options_set_block_size(*mut RawOptions, usize);
    options_set_block_restart_interval(*mut RawOptions, c_int);
    options_set_max_file_size(*mut RawOptions, usize);
    options_set_compression(*mut RawOptions, c_int);
    comparator_create(*mut c_void, Destructor, Compare, Name) -> *mut RawComparator;
    comparator_destroy(*mut RawComparator);
    filterpolicy_create(*mut c_void, Destructor, CreateFilter, KeyMayMatch, Name) -> *mut RawFilterPolicy;
    filterpolicy_create_bloom(c_int) -> *mut RawFilterPolicy;
    filterpolicy_destroy(*mut RawFilterPolicy);
    readoptions_create() -> *mut RawReadOptions;
    readoptions_destroy(*mut RawReadOptions);
    readoptions_set_verify_checksums(*mut RawReadOptions, u8);
    readoptions_set_fill_cache(*mut RawReadOptions, u8);
    readoptions_set_snapshot(*mut RawReadOptions, *const RawSnapshot);
    writeoptions_create() -> *mut RawWriteOptions;
    writeoptions_destroy(*mut RawWriteOptions);
    writeoptions_set_sync(*mut RawWriteOptions, u8);
    cache_create_lru(usize) -> *mut RawCache;
    cache_destroy(*mut RawCache);
    free(*mut c_void);
    major_version() -> c_int;
    minor_version() -> c_int;
}

/// The message of a library in `*errptr`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(pub String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// The result of a call that has an `errptr`.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A loaded library.
pub struct Library {
    /// The path from which the library was loaded.
    pub path: PathBuf,
    /// The functions, for callers that measure nanoseconds.
    pub functions: Functions,
    _loaded: DynamicLibrary,
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())
    }
}

impl Library {
    /// Loads the library at `path` (a name without a slash is searched by the loader), once per process.
    ///
    /// # Errors
    /// The message of the dynamic linker, or the function of LevelDB's C API that is missing.
    pub fn open(path: impl AsRef<Path>) -> Result<&'static Library> {
        static LOADED: Mutex<Vec<&'static Library>> = Mutex::new(Vec::new());
        let path = path.as_ref();
        let mut loaded = LOADED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(library) = loaded.iter().find(|library| library.path == path) {
            return Ok(library);
        }
        let failed = |error: libloading::Error| Error(format!("cannot load {}: {error}", path.display()));
        // SAFETY: the initialisers of a LevelDB library do not affect this process.
        let dynamic = unsafe { DynamicLibrary::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(failed)?;
        let functions = Functions::load(&dynamic).map_err(failed)?;
        let library = Box::leak(Box::new(Library { path: path.to_owned(), functions, _loaded: dynamic }));
        loaded.push(library);
        Ok(library)
    }

    /// The version of LevelDB whose API the library has.
    pub fn version(&self) -> (i32, i32) {
        // SAFETY: both have no arguments and cannot fail.
        unsafe { ((self.functions.major_version)(), (self.functions.minor_version)()) }
    }

    /// Removes the database at `path`.
    pub fn destroy_db(&'static self, path: &Path, options: &OpenOptions) -> Result<()> {
        let handles = Handles::new(self, options);
        let name = c_path(path);
        let mut error = ptr::null_mut();
        // SAFETY: live handles, a NUL-terminated name, a valid place for the error.
        unsafe { (self.functions.destroy_db)(handles.options, name.as_ptr(), &mut error) };
        self.check(error)
    }

    /// Repairs the database at `path`.
    pub fn repair_db(&'static self, path: &Path, options: &OpenOptions) -> Result<()> {
        let handles = Handles::new(self, options);
        let name = c_path(path);
        let mut error = ptr::null_mut();
        // SAFETY: as in `destroy_db`.
        unsafe { (self.functions.repair_db)(handles.options, name.as_ptr(), &mut error) };
        self.check(error)
    }

    fn check(&self, error: *mut c_char) -> Result<()> {
        match self.take_string(error) {
            Some(message) => Err(Error(message)),
            None => Ok(()),
        }
    }

    /// Takes ownership of a NUL-terminated string that the library returned, or of NULL.
    fn take_string(&self, string: *mut c_char) -> Option<String> {
        if string.is_null() {
            return None;
        }
        // SAFETY: the library returned a NUL-terminated string, which we own and free.
        unsafe {
            let copy = CStr::from_ptr(string).to_string_lossy().into_owned();
            (self.functions.free)(string.cast());
            Some(copy)
        }
    }
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("a path has no NUL byte")
}

/// The order of keys in a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `leveldb.BytewiseComparator`.
    Bytewise,
    /// A comparator of the host, `test.ReverseBytewise`.
    Reverse,
}

impl Order {
    /// Compares two keys as a database of this order does.
    pub fn compare(self, a: &[u8], b: &[u8]) -> std::cmp::Ordering {
        match self {
            Order::Bytewise => a.cmp(b),
            Order::Reverse => b.cmp(a),
        }
    }
}

unsafe extern "C" fn no_destructor(_: *mut c_void) {}

unsafe extern "C" fn reverse_compare(
    _: *mut c_void,
    a: *const c_char,
    a_length: usize,
    b: *const c_char,
    b_length: usize,
) -> c_int {
    // SAFETY: the library lends two keys for the duration of this call.
    let (a, b) = unsafe { (bytes_at(a.cast(), a_length), bytes_at(b.cast(), b_length)) };
    b.cmp(a) as c_int
}

unsafe extern "C" fn reverse_name(_: *mut c_void) -> *const c_char {
    c"test.ReverseBytewise".as_ptr()
}

/// # Safety
/// `data` points to `length` readable bytes that stay unchanged for `'a`, or `length` is 0.
unsafe fn bytes_at<'a>(data: *const u8, length: usize) -> &'a [u8] {
    if length == 0 {
        return &[];
    }
    // SAFETY: as the caller promises.
    unsafe { std::slice::from_raw_parts(data, length) }
}

/// A filter policy of the host, through which a test observes which filters a library creates and consults.
pub trait FilterPolicy: Send + Sync {
    /// Creates the filter of these keys.
    fn create(&self, keys: &[&[u8]]) -> Vec<u8>;
    /// May the filter have been made from the key?
    fn may_match(&self, key: &[u8], filter: &[u8]) -> bool;
}

type FilterState = Arc<dyn FilterPolicy>;

unsafe extern "C" fn filter_destructor(state: *mut c_void) {
    // SAFETY: `Handles::new` made the state with `Box::into_raw`, and a destructor is called once.
    drop(unsafe { Box::from_raw(state.cast::<FilterState>()) });
}

unsafe extern "C" fn filter_create(
    state: *mut c_void,
    keys: *const *const c_char,
    lengths: *const usize,
    count: c_int,
    filter_length: *mut usize,
) -> *mut c_char {
    unsafe extern "C" {
        fn malloc(size: usize) -> *mut c_void;
    }
    // SAFETY: the library lends the state, `count` keys with their lengths, and a place for the length of the
    // filter.
    unsafe {
        let policy = &*state.cast::<FilterState>();
        let keys: Vec<&[u8]> =
            (0..count as usize).map(|i| bytes_at((*keys.add(i)).cast(), *lengths.add(i))).collect();
        let filter = policy.create(&keys);
        let copy = malloc(filter.len().max(1)).cast::<u8>();
        assert!(!copy.is_null(), "out of memory");
        ptr::copy_nonoverlapping(filter.as_ptr(), copy, filter.len());
        *filter_length = filter.len();
        copy.cast()
    }
}

unsafe extern "C" fn filter_may_match(
    state: *mut c_void,
    key: *const c_char,
    key_length: usize,
    filter: *const c_char,
    filter_length: usize,
) -> u8 {
    // SAFETY: the library lends the state, a key and a filter for the duration of this call.
    unsafe {
        let policy = &*state.cast::<FilterState>();
        policy.may_match(bytes_at(key.cast(), key_length), bytes_at(filter.cast(), filter_length)).into()
    }
}

unsafe extern "C" fn filter_name(_: *mut c_void) -> *const c_char {
    c"test.WatchedFilter".as_ptr()
}

/// How a database is opened. The defaults are LevelDB's, except that a missing database is created.
#[derive(Clone)]
pub struct OpenOptions {
    /// Create the database if it is missing.
    pub create_if_missing: bool,
    /// Refuse a database that exists.
    pub error_if_exists: bool,
    /// Stop at the first damaged record or block.
    pub paranoid_checks: bool,
    /// Size of a memtable, in bytes.
    pub write_buffer_size: usize,
    /// Number of files kept open.
    pub max_open_files: i32,
    /// Size of the block cache, in bytes; `None`: the library's default.
    pub cache_bytes: Option<usize>,
    /// Size of a block, in bytes before compression.
    pub block_size: usize,
    /// Number of entries between restart points.
    pub block_restart_interval: i32,
    /// Size of a table, in bytes.
    pub max_file_size: usize,
    /// 0: none, 1: snappy.
    pub compression: i32,
    /// Bits per key of LevelDB's bloom filter; `None`: no bloom filter.
    pub bloom_bits: Option<i32>,
    /// A filter policy of the host, instead of a bloom filter.
    pub filter: Option<FilterState>,
    pub order: Order,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions {
            create_if_missing: true,
            error_if_exists: false,
            paranoid_checks: false,
            write_buffer_size: 4 << 20,
            max_open_files: 1000,
            cache_bytes: None,
            block_size: 4 << 10,
            block_restart_interval: 16,
            max_file_size: 2 << 20,
            compression: 1,
            bloom_bits: None,
            filter: None,
            order: Order::Bytewise,
        }
    }
}

impl fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenOptions")
            .field("paranoid_checks", &self.paranoid_checks)
            .field("write_buffer_size", &self.write_buffer_size)
            .field("max_open_files", &self.max_open_files)
            .field("cache_bytes", &self.cache_bytes)
            .field("block_size", &self.block_size)
            .field("block_restart_interval", &self.block_restart_interval)
            .field("max_file_size", &self.max_file_size)
            .field("compression", &self.compression)
            .field("bloom_bits", &self.bloom_bits)
            .field("order", &self.order)
            .finish_non_exhaustive()
    }
}

/// The C handles that an opened database borrows; destroyed after it is closed.
struct Handles {
    library: &'static Library,
    options: *mut RawOptions,
    cache: Option<NonNull<RawCache>>,
    filter: Option<NonNull<RawFilterPolicy>>,
    comparator: Option<NonNull<RawComparator>>,
}

impl Handles {
    fn new(library: &'static Library, from: &OpenOptions) -> Handles {
        let f = &library.functions;
        // SAFETY: every handle is used as leveldb/c.h requires, and destroyed in `drop`.
        unsafe {
            let options = (f.options_create)();
            (f.options_set_create_if_missing)(options, from.create_if_missing.into());
            (f.options_set_error_if_exists)(options, from.error_if_exists.into());
            (f.options_set_paranoid_checks)(options, from.paranoid_checks.into());
            (f.options_set_write_buffer_size)(options, from.write_buffer_size);
            (f.options_set_max_open_files)(options, from.max_open_files);
            (f.options_set_block_size)(options, from.block_size);
            (f.options_set_block_restart_interval)(options, from.block_restart_interval);
            (f.options_set_max_file_size)(options, from.max_file_size);
            (f.options_set_compression)(options, from.compression);
            let cache = from.cache_bytes.and_then(|bytes| NonNull::new((f.cache_create_lru)(bytes)));
            if let Some(cache) = cache {
                (f.options_set_cache)(options, cache.as_ptr());
            }
            let filter = match (&from.filter, from.bloom_bits) {
                (Some(policy), _) => {
                    let state = Box::into_raw(Box::new(policy.clone())).cast();
                    NonNull::new((f.filterpolicy_create)(
                        state,
                        filter_destructor,
                        filter_create,
                        filter_may_match,
                        filter_name,
                    ))
                }
                (None, Some(bits)) => NonNull::new((f.filterpolicy_create_bloom)(bits)),
                (None, None) => None,
            };
            if let Some(filter) = filter {
                (f.options_set_filter_policy)(options, filter.as_ptr());
            }
            let comparator = match from.order {
                Order::Bytewise => None,
                Order::Reverse => NonNull::new((f.comparator_create)(
                    ptr::null_mut(),
                    no_destructor,
                    reverse_compare,
                    reverse_name,
                )),
            };
            if let Some(comparator) = comparator {
                (f.options_set_comparator)(options, comparator.as_ptr());
            }
            Handles { library, options, cache, filter, comparator }
        }
    }
}

impl Drop for Handles {
    fn drop(&mut self) {
        let f = &self.library.functions;
        // SAFETY: we own the handles, and no database uses them any more.
        unsafe {
            (f.options_destroy)(self.options);
            if let Some(cache) = self.cache {
                (f.cache_destroy)(cache.as_ptr());
            }
            if let Some(filter) = self.filter {
                (f.filterpolicy_destroy)(filter.as_ptr());
            }
            if let Some(comparator) = self.comparator {
                (f.comparator_destroy)(comparator.as_ptr());
            }
        }
    }
}

struct Opened {
    library: &'static Library,
    db: *mut RawDb,
    read: *mut RawReadOptions,
    write: *mut RawWriteOptions,
    write_synced: *mut RawWriteOptions,
    _handles: Handles,
}

// SAFETY: the C API lets any thread use a database, and the option handles are never changed after `open`.
unsafe impl Send for Opened {}
// SAFETY: as above.
unsafe impl Sync for Opened {}

impl Drop for Opened {
    fn drop(&mut self) {
        let f = &self.library.functions;
        // SAFETY: this is the last owner of the database and of the handles.
        unsafe {
            (f.close)(self.db);
            (f.readoptions_destroy)(self.read);
            (f.writeoptions_destroy)(self.write);
            (f.writeoptions_destroy)(self.write_synced);
        }
    }
}

/// An open database. A clone is the same database.
#[derive(Clone)]
pub struct Db(Arc<Opened>);

impl Db {
    /// Opens the database in the directory `path`.
    ///
    /// # Errors
    /// The library's message.
    pub fn open(library: &'static Library, path: &Path, options: &OpenOptions) -> Result<Db> {
        let handles = Handles::new(library, options);
        let f = &library.functions;
        let name = c_path(path);
        let mut error = ptr::null_mut();
        // SAFETY: live handles, a NUL-terminated name, a valid place for the error.
        let db = unsafe { (f.open)(handles.options, name.as_ptr(), &mut error) };
        library.check(error)?;
        assert!(!db.is_null(), "leveldb_open returned neither a database nor an error");
        // SAFETY: the first two have no arguments; the third sets a boolean of a live handle.
        let (read, write, write_synced) = unsafe {
            let write_synced = (f.writeoptions_create)();
            (f.writeoptions_set_sync)(write_synced, 1);
            ((f.readoptions_create)(), (f.writeoptions_create)(), write_synced)
        };
        Ok(Db(Arc::new(Opened { library, db, read, write, write_synced, _handles: handles })))
    }

    /// Closes the database.
    ///
    /// # Panics
    /// If a snapshot, an iterator or a clone still exists.
    pub fn close(self) {
        assert_eq!(Arc::strong_count(&self.0), 1, "something still uses the database that is to be closed");
    }

    /// The library that opened the database.
    pub fn library(&self) -> &'static Library {
        self.0.library
    }

    /// The C handle, for loops without overhead.
    pub fn raw(&self) -> *mut RawDb {
        self.0.db
    }

    /// The C handles of default read options, and of write options without and with `sync`.
    pub fn raw_options(&self) -> (*const RawReadOptions, *const RawWriteOptions, *const RawWriteOptions) {
        (self.0.read, self.0.write, self.0.write_synced)
    }

    fn functions(&self) -> &'static Functions {
        &self.0.library.functions
    }

    fn write_options(&self, sync: bool) -> *const RawWriteOptions {
        if sync { self.0.write_synced } else { self.0.write }
    }

    pub fn put(&self, key: &[u8], value: &[u8], sync: bool) -> Result<()> {
        let mut error = ptr::null_mut();
        let options = self.write_options(sync);
        // SAFETY: live handles, and slices that outlive the call.
        unsafe {
            (self.functions().put)(
                self.0.db,
                options,
                key.as_ptr(),
                key.len(),
                value.as_ptr(),
                value.len(),
                &mut error,
            );
        }
        self.0.library.check(error)
    }

    pub fn delete(&self, key: &[u8], sync: bool) -> Result<()> {
        let mut error = ptr::null_mut();
        let options = self.write_options(sync);
        // SAFETY: as in `put`.
        unsafe { (self.functions().delete)(self.0.db, options, key.as_ptr(), key.len(), &mut error) };
        self.0.library.check(error)
    }

    /// Writes a batch atomically.
    pub fn write(&self, batch: &WriteBatch, sync: bool) -> Result<()> {
        assert!(ptr::eq(batch.library, self.0.library), "a batch belongs to the library that made it");
        let mut error = ptr::null_mut();
        // SAFETY: as in `put`; the batch is live.
        unsafe { (self.functions().write)(self.0.db, self.write_options(sync), batch.raw, &mut error) };
        self.0.library.check(error)
    }

    /// The current value of a key.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.get_with(self.0.read, key)
    }

    /// The value of a key in a snapshot.
    pub fn get_at(&self, snapshot: &Snapshot, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let options = ReadOptions::new(self.0.library);
        // SAFETY: live handles; the snapshot outlives the options.
        unsafe { (self.functions().readoptions_set_snapshot)(options.raw, snapshot.raw) };
        self.get_with(options.raw, key)
    }

    fn get_with(&self, options: *const RawReadOptions, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut error = ptr::null_mut();
        let mut length = 0;
        // SAFETY: live handles, a slice that outlives the call; we own the returned buffer of `length` bytes.
        unsafe {
            let value =
                (self.functions().get)(self.0.db, options, key.as_ptr(), key.len(), &mut length, &mut error);
            let copy = (!value.is_null()).then(|| bytes_at(value, length).to_vec());
            (self.functions().free)(value.cast());
            self.0.library.check(error)?;
            Ok(copy)
        }
    }

    /// Creates a snapshot.
    pub fn snapshot(&self) -> Snapshot {
        // SAFETY: a live database.
        Snapshot { db: self.clone(), raw: unsafe { (self.functions().create_snapshot)(self.0.db) } }
    }

    /// Creates an iterator over the current state of the database, or over a snapshot.
    pub fn iterator(&self, snapshot: Option<&Snapshot>) -> Iterator {
        let options = ReadOptions::new(self.0.library);
        // SAFETY: live handles. The library copies the options and keeps the state of the snapshot.
        unsafe {
            if let Some(snapshot) = snapshot {
                (self.functions().readoptions_set_snapshot)(options.raw, snapshot.raw);
            }
            Iterator { db: self.clone(), raw: (self.functions().create_iterator)(self.0.db, options.raw) }
        }
    }

    /// A property by its name.
    pub fn property(&self, name: &str) -> Option<String> {
        let name = CString::new(name).expect("a property name has no NUL byte");
        // SAFETY: a live database and a NUL-terminated name; we own the returned string.
        let value = unsafe { (self.functions().property_value)(self.0.db, name.as_ptr()) };
        self.0.library.take_string(value)
    }

    /// Compacts the keys from `start` to `limit`; `None` is unbounded.
    pub fn compact_range(&self, start: Option<&[u8]>, limit: Option<&[u8]>) {
        let part = |bound: Option<&[u8]>| bound.map_or((ptr::null(), 0), |key| (key.as_ptr(), key.len()));
        let ((start, start_length), (limit, limit_length)) = (part(start), part(limit));
        // SAFETY: a live database, and slices that outlive the call.
        unsafe { (self.functions().compact_range)(self.0.db, start, start_length, limit, limit_length) };
    }

    /// The approximate size on disk of the keys from `start` (included) to `limit` (excluded), in bytes.
    pub fn approximate_size(&self, start: &[u8], limit: &[u8]) -> u64 {
        let mut size = 0;
        // SAFETY: one range: each pointer is to one element that outlives the call.
        unsafe {
            (self.functions().approximate_sizes)(
                self.0.db,
                1,
                &start.as_ptr(),
                &start.len(),
                &limit.as_ptr(),
                &limit.len(),
                &mut size,
            );
        }
        size
    }
}

struct ReadOptions {
    library: &'static Library,
    raw: *mut RawReadOptions,
}

impl ReadOptions {
    fn new(library: &'static Library) -> ReadOptions {
        // SAFETY: no arguments.
        ReadOptions { library, raw: unsafe { (library.functions.readoptions_create)() } }
    }
}

impl Drop for ReadOptions {
    fn drop(&mut self) {
        // SAFETY: we own the handle.
        unsafe { (self.library.functions.readoptions_destroy)(self.raw) };
    }
}

/// A state of a database.
pub struct Snapshot {
    db: Db,
    raw: *const RawSnapshot,
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // SAFETY: we own the snapshot, and the database is open as long as we hold it.
        unsafe { (self.db.functions().release_snapshot)(self.db.0.db, self.raw) };
    }
}

/// An iterator over a database in key order; invalid until it is positioned.
pub struct Iterator {
    db: Db,
    raw: *mut RawIterator,
}

impl Iterator {
    /// Does the iterator stand on an entry?
    pub fn valid(&self) -> bool {
        // SAFETY: a live iterator.
        unsafe { (self.db.functions().iter_valid)(self.raw) != 0 }
    }

    /// Moves to the first entry.
    pub fn seek_to_first(&mut self) {
        // SAFETY: a live iterator.
        unsafe { (self.db.functions().iter_seek_to_first)(self.raw) };
    }

    /// Moves to the last entry.
    pub fn seek_to_last(&mut self) {
        // SAFETY: a live iterator.
        unsafe { (self.db.functions().iter_seek_to_last)(self.raw) };
    }

    /// Moves to the first entry at or after `key`.
    pub fn seek(&mut self, key: &[u8]) {
        // SAFETY: a live iterator, and a slice that outlives the call.
        unsafe { (self.db.functions().iter_seek)(self.raw, key.as_ptr(), key.len()) };
    }

    pub fn next(&mut self) {
        assert!(self.valid(), "next on an iterator that stands nowhere");
        // SAFETY: a live iterator that is valid.
        unsafe { (self.db.functions().iter_next)(self.raw) };
    }

    pub fn prev(&mut self) {
        assert!(self.valid(), "prev on an iterator that stands nowhere");
        // SAFETY: a live iterator that is valid.
        unsafe { (self.db.functions().iter_prev)(self.raw) };
    }

    /// The key of the current entry.
    pub fn key(&self) -> &[u8] {
        assert!(self.valid(), "key of an iterator that stands nowhere");
        let mut length = 0;
        // SAFETY: a live iterator that is valid; the bytes are valid until the next move, which needs
        // `&mut self`.
        unsafe {
            let key = (self.db.functions().iter_key)(self.raw, &mut length);
            assert!(!key.is_null(), "an empty key is not NULL");
            bytes_at(key, length)
        }
    }

    /// The value of the current entry.
    pub fn value(&self) -> &[u8] {
        assert!(self.valid(), "value of an iterator that stands nowhere");
        let mut length = 0;
        // SAFETY: as in `key`.
        unsafe {
            let value = (self.db.functions().iter_value)(self.raw, &mut length);
            assert!(!value.is_null(), "an empty value is not NULL");
            bytes_at(value, length)
        }
    }

    /// The error that ended the iteration, if one did.
    pub fn status(&self) -> Result<()> {
        let mut error = ptr::null_mut();
        // SAFETY: a live iterator and a valid place for the error.
        unsafe { (self.db.functions().iter_get_error)(self.raw, &mut error) };
        self.db.0.library.check(error)
    }
}

impl Drop for Iterator {
    fn drop(&mut self) {
        // SAFETY: we own the iterator.
        unsafe { (self.db.functions().iter_destroy)(self.raw) };
    }
}

/// Writes that are applied atomically.
pub struct WriteBatch {
    library: &'static Library,
    raw: *mut RawWriteBatch,
}

/// An entry of a batch, as [`WriteBatch::entries`] returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Key and value.
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
}

unsafe extern "C" fn collect_put(
    entries: *mut c_void,
    key: *const c_char,
    key_length: usize,
    value: *const c_char,
    value_length: usize,
) {
    // SAFETY: the state is the vector of `entries`; the library lends key and value for the duration of this
    // call.
    unsafe {
        (*entries.cast::<Vec<Entry>>()).push(Entry::Put(
            bytes_at(key.cast(), key_length).to_vec(),
            bytes_at(value.cast(), value_length).to_vec(),
        ));
    }
}

unsafe extern "C" fn collect_deleted(entries: *mut c_void, key: *const c_char, key_length: usize) {
    // SAFETY: as in `collect_put`.
    unsafe {
        (*entries.cast::<Vec<Entry>>()).push(Entry::Delete(bytes_at(key.cast(), key_length).to_vec()));
    }
}

impl WriteBatch {
    /// An empty batch.
    pub fn new(library: &'static Library) -> WriteBatch {
        // SAFETY: no arguments.
        WriteBatch { library, raw: unsafe { (library.functions.writebatch_create)() } }
    }

    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        let put = self.library.functions.writebatch_put;
        // SAFETY: a live batch, and slices that outlive the call.
        unsafe { put(self.raw, key.as_ptr(), key.len(), value.as_ptr(), value.len()) };
    }

    pub fn delete(&mut self, key: &[u8]) {
        // SAFETY: as in `put`.
        unsafe { (self.library.functions.writebatch_delete)(self.raw, key.as_ptr(), key.len()) };
    }

    /// Removes all entries.
    pub fn clear(&mut self) {
        // SAFETY: a live batch.
        unsafe { (self.library.functions.writebatch_clear)(self.raw) };
    }

    /// Appends the entries of another batch.
    pub fn append(&mut self, other: &WriteBatch) {
        // SAFETY: two live batches of one library.
        unsafe { (self.library.functions.writebatch_append)(self.raw, other.raw) };
    }

    /// The entries, in order.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        let state: *mut Vec<Entry> = &mut entries;
        // SAFETY: a live batch; the callbacks cast the state to a vector of entries, which it is.
        unsafe {
            (self.library.functions.writebatch_iterate)(self.raw, state.cast(), collect_put, collect_deleted);
        }
        entries
    }

    /// The C handle.
    pub fn raw(&self) -> *mut RawWriteBatch {
        self.raw
    }
}

impl Drop for WriteBatch {
    fn drop(&mut self) {
        // SAFETY: we own the batch.
        unsafe { (self.library.functions.writebatch_destroy)(self.raw) };
    }
}
