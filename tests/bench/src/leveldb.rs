//! Any engine with LevelDB's C API. The workloads call its functions directly, through their pointers.
//! RocksDB's C API has the same functions under other names, so its store is of the same type (`rocksdb`
//! opens it).

use crate::engine::{Batch, Cursor, Engine, Store};
use crate::leveldb_c::{
    Db, Library, OpenOptions, RawDb, RawIterator, RawReadOptions, RawWriteBatch, RawWriteOptions,
};
use crate::plan::Profile;
use std::any::Any;
use std::ffi::{CStr, c_char, c_void};
use std::path::Path;
use std::ptr;

/// A library with LevelDB's C API.
pub struct LevelDb {
    library: &'static Library,
}

impl LevelDb {
    pub fn load(path: &Path) -> Result<LevelDb, String> {
        Ok(LevelDb { library: Library::open(path).map_err(|error| error.0)? })
    }
}

impl Engine for LevelDb {
    type Store = LevelDbStore;

    fn open(&self, path: &Path, profile: &Profile) -> LevelDbStore {
        let options = OpenOptions {
            write_buffer_size: profile.write_buffer_size,
            cache_bytes: profile.cache_bytes,
            bloom_bits: profile.bloom_bits,
            compression: profile.compressed.into(),
            ..OpenOptions::default()
        };
        let db = Db::open(self.library, path, &options).unwrap_or_else(|error| panic!("open: {error}"));
        let (read, write, write_synced) = db.raw_options();
        LevelDbStore {
            functions: Calls::of(self.library),
            raw: db.raw(),
            read,
            write,
            write_synced,
            _open: Box::new(db),
        }
    }
}

type ErrorPointer = *mut *mut c_char;

macro_rules! calls {
    ($($name:ident($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions that the workloads call.
        #[derive(Clone, Copy)]
        pub struct Calls {
            $(
                /// The function of this name, without `leveldb_`.
                pub $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,
            )*
        }

        impl Calls {
            /// The functions of a library with LevelDB's names.
            fn of(library: &Library) -> Calls {
                Calls { $($name: library.functions.$name,)* }
            }

            /// The functions of a library whose names begin with `prefix`.
            ///
            /// # Safety
            ///
            /// The functions have the types of LevelDB's functions.
            pub unsafe fn load(
                library: &libloading::os::unix::Library,
                prefix: &str,
            ) -> Result<Calls, libloading::Error> {
                Ok(Calls { $(
                    // SAFETY: the caller vouches for the types.
                    $name: *unsafe { library.get(format!("{prefix}{}\0", stringify!($name)).as_bytes()) }?,
                )* })
            }
        }
    };
}

calls! {
    put(*mut RawDb, *const RawWriteOptions, *const u8, usize, *const u8, usize, ErrorPointer);
    delete(*mut RawDb, *const RawWriteOptions, *const u8, usize, ErrorPointer);
    write(*mut RawDb, *const RawWriteOptions, *mut RawWriteBatch, ErrorPointer);
    get(*mut RawDb, *const RawReadOptions, *const u8, usize, *mut usize, ErrorPointer) -> *mut u8;
    create_iterator(*mut RawDb, *const RawReadOptions) -> *mut RawIterator;
    compact_range(*mut RawDb, *const u8, usize, *const u8, usize);
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
    free(*mut c_void);
}

/// An open database.
pub struct LevelDbStore {
    /// The functions of the engine's library.
    pub functions: Calls,
    pub raw: *mut RawDb,
    /// Default read options.
    pub read: *const RawReadOptions,
    /// Default write options.
    pub write: *const RawWriteOptions,
    /// Write options with sync.
    pub write_synced: *const RawWriteOptions,
    /// Closes the database when it is dropped.
    pub _open: Box<dyn Any>,
}

// SAFETY: the C API lets all threads use a database at the same time, and the option handles are never
// changed.
unsafe impl Sync for LevelDbStore {}

#[inline]
fn check(error: *mut c_char) {
    if !error.is_null() {
        fail(error);
    }
}

#[cold]
fn fail(error: *mut c_char) -> ! {
    // SAFETY: the library left a NUL-terminated message.
    panic!("{}", unsafe { CStr::from_ptr(error) }.to_string_lossy());
}

impl Store for LevelDbStore {
    type Batch = LevelDbBatch;
    type Cursor<'s> = LevelDbCursor<'s>;

    #[inline]
    fn put(&self, key: &[u8], value: &[u8], sync: bool) {
        let mut error = ptr::null_mut();
        let options = if sync { self.write_synced } else { self.write };
        // SAFETY: live handles, and slices that outlive the call.
        unsafe {
            (self.functions.put)(
                self.raw,
                options,
                key.as_ptr(),
                key.len(),
                value.as_ptr(),
                value.len(),
                &mut error,
            );
        }
        check(error);
    }

    #[inline]
    fn delete(&self, key: &[u8]) {
        let mut error = ptr::null_mut();
        // SAFETY: as in `put`.
        unsafe { (self.functions.delete)(self.raw, self.write, key.as_ptr(), key.len(), &mut error) };
        check(error);
    }

    #[inline]
    fn get(&self, key: &[u8]) -> bool {
        let mut error = ptr::null_mut();
        let mut length = 0;
        // SAFETY: as in `put`; we own the value and free it.
        unsafe {
            let value =
                (self.functions.get)(self.raw, self.read, key.as_ptr(), key.len(), &mut length, &mut error);
            check(error);
            if value.is_null() {
                return false;
            }
            (self.functions.free)(value.cast());
        }
        true
    }

    fn batch(&self) -> LevelDbBatch {
        // SAFETY: no arguments.
        LevelDbBatch { functions: self.functions, raw: unsafe { (self.functions.writebatch_create)() } }
    }

    #[inline]
    fn write(&self, batch: &mut LevelDbBatch) {
        let mut error = ptr::null_mut();
        // SAFETY: live handles.
        unsafe { (self.functions.write)(self.raw, self.write, batch.raw, &mut error) };
        check(error);
    }

    #[inline]
    fn cursor(&self) -> LevelDbCursor<'_> {
        // SAFETY: live handles.
        let raw = unsafe { (self.functions.create_iterator)(self.raw, self.read) };
        LevelDbCursor { store: self, raw }
    }

    fn compact(&self) {
        // SAFETY: a live database; NULL is unbounded.
        unsafe { (self.functions.compact_range)(self.raw, ptr::null(), 0, ptr::null(), 0) };
    }
}

/// A write batch.
pub struct LevelDbBatch {
    functions: Calls,
    raw: *mut RawWriteBatch,
}

impl Batch for LevelDbBatch {
    #[inline]
    fn put(&mut self, key: &[u8], value: &[u8]) {
        // SAFETY: a live batch, and slices that outlive the call.
        unsafe {
            (self.functions.writebatch_put)(self.raw, key.as_ptr(), key.len(), value.as_ptr(), value.len())
        };
    }

    fn clear(&mut self) {
        // SAFETY: a live batch.
        unsafe { (self.functions.writebatch_clear)(self.raw) };
    }
}

impl Drop for LevelDbBatch {
    fn drop(&mut self) {
        // SAFETY: we own the batch.
        unsafe { (self.functions.writebatch_destroy)(self.raw) };
    }
}

/// An iterator.
pub struct LevelDbCursor<'s> {
    store: &'s LevelDbStore,
    raw: *mut RawIterator,
}

impl Cursor for LevelDbCursor<'_> {
    #[inline]
    fn seek_to_first(&mut self) {
        // SAFETY: a live iterator, here and below.
        unsafe { (self.store.functions.iter_seek_to_first)(self.raw) };
    }

    #[inline]
    fn seek_to_last(&mut self) {
        // SAFETY: as above.
        unsafe { (self.store.functions.iter_seek_to_last)(self.raw) };
    }

    #[inline]
    fn seek(&mut self, key: &[u8]) {
        // SAFETY: as above; the key outlives the call.
        unsafe { (self.store.functions.iter_seek)(self.raw, key.as_ptr(), key.len()) };
    }

    #[inline]
    fn next(&mut self) {
        // SAFETY: as above; the workloads move only valid iterators.
        unsafe { (self.store.functions.iter_next)(self.raw) };
    }

    #[inline]
    fn prev(&mut self) {
        // SAFETY: as in `next`.
        unsafe { (self.store.functions.iter_prev)(self.raw) };
    }

    #[inline]
    fn valid(&self) -> bool {
        // SAFETY: as above.
        unsafe { (self.store.functions.iter_valid)(self.raw) != 0 }
    }

    #[inline]
    fn entry(&self) -> usize {
        let (mut key_length, mut value_length) = (0, 0);
        // SAFETY: as in `next`.
        unsafe {
            let key = (self.store.functions.iter_key)(self.raw, &mut key_length);
            let value = (self.store.functions.iter_value)(self.raw, &mut value_length);
            std::hint::black_box((key, value));
        }
        key_length + value_length
    }
}

impl Drop for LevelDbCursor<'_> {
    #[inline]
    fn drop(&mut self) {
        let mut error = ptr::null_mut();
        // SAFETY: we own the iterator. After an error it ended early, and its row would be too fast: so the
        // child ends.
        unsafe {
            (self.store.functions.iter_get_error)(self.raw, &mut error);
            (self.store.functions.iter_destroy)(self.raw);
        }
        check(error);
    }
}
