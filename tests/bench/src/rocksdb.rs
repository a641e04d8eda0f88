//! RocksDB through its C API, in a shared library. Its functions for reading and writing are those of
//! LevelDB's C API under other names. Opening is different: the cache and the filter belong to the table
//! factory.

use crate::engine::Engine;
use crate::leveldb::{Calls, LevelDbStore};
use crate::leveldb_c::{RawDb, RawOptions, RawReadOptions, RawWriteOptions};
use crate::plan::Profile;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

/// The size of the block cache in the profile `default`, in bytes: LevelDB's default, for every engine.
const DEFAULT_CACHE_BYTES: usize = 8 << 20;

type Create = unsafe extern "C" fn() -> *mut c_void;
type SetPointer = unsafe extern "C" fn(*mut c_void, *mut c_void);
type SetNumber = unsafe extern "C" fn(*mut c_void, usize);
type SetInt = unsafe extern "C" fn(*mut c_void, c_int);
type SetFlag = unsafe extern "C" fn(*mut c_void, u8);
type Open = unsafe extern "C" fn(*const RawOptions, *const c_char, *mut *mut c_char) -> *mut RawDb;
type Close = unsafe extern "C" fn(*mut RawDb);

/// RocksDB's library, never unloaded.
pub struct RocksDb {
    library: &'static Library,
    calls: Calls,
}

impl RocksDb {
    pub fn load(path: &Path) -> Result<RocksDb, String> {
        let failed = |error: libloading::Error| format!("{}: {error}", path.display());
        // SAFETY: the initialisers of the library do not affect this process.
        let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(failed)?;
        // SAFETY: rocksdb/c.h gives these functions the types of leveldb/c.h.
        let calls = unsafe { Calls::load(&library, "rocksdb_") }.map_err(failed)?;
        Ok(RocksDb { library: Box::leak(Box::new(library)), calls })
    }

    /// The function `rocksdb_<name>`.
    ///
    /// # Safety
    ///
    /// `F` is its type in rocksdb/c.h.
    unsafe fn function<F: Copy>(&self, name: &str) -> F {
        // SAFETY: the type is right, as the caller promises.
        let found = unsafe { self.library.get::<F>(format!("rocksdb_{name}\0").as_bytes()) };
        *found.unwrap_or_else(|error| panic!("rocksdb: {error}"))
    }

    /// Options for a profile. They are never freed: a child opens a dozen databases.
    fn options(&self, profile: &Profile) -> *mut c_void {
        // SAFETY: the types are those of rocksdb/c.h (an enum of C is an int), and the handles are live. The
        // table options become the owner of the filter policy.
        unsafe {
            let options = self.function::<Create>("options_create")();
            self.function::<SetFlag>("options_set_create_if_missing")(options, 1);
            self.function::<SetNumber>("options_set_write_buffer_size")(options, profile.write_buffer_size);
            self.function::<SetInt>("options_set_compression")(options, profile.compressed.into());
            let table = self.function::<Create>("block_based_options_create")();
            let create_cache =
                self.function::<unsafe extern "C" fn(usize) -> *mut c_void>("cache_create_lru");
            let cache = create_cache(profile.cache_bytes.unwrap_or(DEFAULT_CACHE_BYTES));
            self.function::<SetPointer>("block_based_options_set_block_cache")(table, cache);
            if let Some(bits) = profile.bloom_bits {
                let create = self
                    .function::<unsafe extern "C" fn(f64) -> *mut c_void>("filterpolicy_create_bloom_full");
                self.function::<SetPointer>("block_based_options_set_filter_policy")(
                    table,
                    create(bits.into()),
                );
            }
            self.function::<SetPointer>("options_set_block_based_table_factory")(options, table);
            options
        }
    }
}

/// Closes a database when it is dropped.
struct Opened {
    raw: *mut RawDb,
    close: Close,
}

impl Drop for Opened {
    fn drop(&mut self) {
        // SAFETY: the database is live, and nobody else has it.
        unsafe { (self.close)(self.raw) };
    }
}

impl Engine for RocksDb {
    type Store = LevelDbStore;

    fn open(&self, path: &Path, profile: &Profile) -> LevelDbStore {
        let options = self.options(profile);
        let name = CString::new(path.as_os_str().as_bytes()).expect("no zero byte in a path");
        let mut error = ptr::null_mut();
        // SAFETY: as in `options`; the name ends in a zero byte.
        unsafe {
            let raw = self.function::<Open>("open")(options.cast(), name.as_ptr(), &mut error);
            if !error.is_null() {
                panic!("open: {}", CStr::from_ptr(error).to_string_lossy());
            }
            let create_write = self.function::<Create>("writeoptions_create");
            let (write, write_synced) = (create_write(), create_write());
            self.function::<SetFlag>("writeoptions_set_sync")(write_synced, 1);
            let read = self.function::<Create>("readoptions_create")();
            LevelDbStore {
                functions: self.calls,
                raw,
                read: read.cast::<RawReadOptions>(),
                write: write.cast::<RawWriteOptions>(),
                write_synced: write_synced.cast::<RawWriteOptions>(),
                _open: Box::new(Opened { raw, close: self.function::<Close>("close") }),
            }
        }
    }
}
