//! A small safe interface for RocksDB's C API, loaded by `dlopen`: any version from 7 on.
//!
//! A library is loaded with `RTLD_LOCAL`, so that several versions can be in one process, and never unloaded.
//! A [`RocksDb`] belongs to one thread.

use crate::support::leveldb_c::Order;
use libloading::os::unix::{Library as DynamicLibrary, RTLD_LOCAL, RTLD_NOW};
use std::cmp::Ordering;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

type Handle = *mut c_void;
type ErrorPointer = *mut *mut c_char;
type Destructor = unsafe extern "C" fn(*mut c_void);
type Compare = unsafe extern "C" fn(*mut c_void, *const c_char, usize, *const c_char, usize) -> c_int;
type Name = unsafe extern "C" fn(*mut c_void) -> *const c_char;

macro_rules! functions {
    ($($name:ident($($argument:ty),*) $(-> $result:ty)?;)*) => {
        struct Functions {
            $($name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Functions {
            fn load(library: &DynamicLibrary) -> Result<Functions, libloading::Error> {
                Ok(Functions { $(
                    // SAFETY: the type is that of the function of this name in rocksdb/c.h.
                    $name: *unsafe { library.get(concat!("rocksdb_", stringify!($name), "\0").as_bytes()) }?,
                )* })
            }
        }
    };
}

functions! {
    options_create() -> Handle;
    options_set_comparator(Handle, Handle);
    options_set_paranoid_checks(Handle, u8);
    options_set_write_buffer_size(Handle, usize);
    options_set_compression(Handle, c_int);
    options_set_block_based_table_factory(Handle, Handle);
    block_based_options_create() -> Handle;
    block_based_options_set_format_version(Handle, c_int);
    block_based_options_set_checksum(Handle, c_char);
    block_based_options_set_index_type(Handle, c_int);
    block_based_options_set_index_block_restart_interval(Handle, c_int);
    block_based_options_set_data_block_index_type(Handle, c_int);
    singledelete_cf(Handle, Handle, Handle, *const u8, usize, ErrorPointer);
    delete_range_cf(Handle, Handle, Handle, *const u8, usize, *const u8, usize, ErrorPointer);
    comparator_create(*mut c_void, Destructor, Compare, Name) -> Handle;
    readoptions_create() -> Handle;
    readoptions_set_verify_checksums(Handle, u8);
    writeoptions_create() -> Handle;
    flushoptions_create() -> Handle;
    list_column_families(Handle, *const c_char, *mut usize, ErrorPointer) -> *mut *mut c_char;
    list_column_families_destroy(*mut *mut c_char, usize);
    create_default_env() -> Handle;
    cache_create_lru(usize) -> Handle;
    load_latest_options(
        *const c_char, Handle, bool, Handle, *mut Handle, *mut usize, *mut *mut *mut c_char, *mut *mut Handle,
        ErrorPointer
    );
    open_column_families(
        Handle, *const c_char, c_int, *const *const c_char, *const Handle, *mut Handle, ErrorPointer
    ) -> Handle;
    open_for_read_only_column_families(
        Handle, *const c_char, c_int, *const *const c_char, *const Handle, *mut Handle, u8, ErrorPointer
    ) -> Handle;
    create_column_family(Handle, Handle, *const c_char, ErrorPointer) -> Handle;
    drop_column_family(Handle, Handle, ErrorPointer);
    column_family_handle_destroy(Handle);
    close(Handle);
    put_cf(Handle, Handle, Handle, *const u8, usize, *const u8, usize, ErrorPointer);
    delete_cf(Handle, Handle, Handle, *const u8, usize, ErrorPointer);
    flush_cf(Handle, Handle, Handle, ErrorPointer);
    compact_range_cf(Handle, Handle, *const u8, usize, *const u8, usize);
    create_iterator_cf(Handle, Handle, Handle) -> Handle;
    iter_seek_to_first(Handle);
    iter_valid(Handle) -> u8;
    iter_next(Handle);
    iter_key(Handle, *mut usize) -> *const u8;
    iter_value(Handle, *mut usize) -> *const u8;
    iter_get_error(Handle, ErrorPointer);
    iter_destroy(Handle);
    free(*mut c_void);
}

/// A loaded RocksDB.
pub struct Library {
    functions: Functions,
    name: String,
}

// Function pointers, and a library that is never unloaded.
impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl Library {
    /// Loads the library at `path`, for the life of the process.
    pub fn load(path: &Path) -> Result<&'static Library, String> {
        // SAFETY: RocksDB has no constructors that depend on anything of ours.
        let library = unsafe { DynamicLibrary::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
        let library = Box::leak(Box::new(library.map_err(|error| error.to_string())?));
        let functions = Functions::load(library).map_err(|error| error.to_string())?;
        Ok(Box::leak(Box::new(Library { functions, name: path.display().to_string() })))
    }

    fn call<R>(&self, body: impl FnOnce(ErrorPointer) -> R) -> Result<R, String> {
        let mut message: *mut c_char = ptr::null_mut();
        let result = body(&raw mut message);
        if message.is_null() {
            return Ok(result);
        }
        // SAFETY: an error message of the library, NUL-terminated, which is ours to free.
        let text = unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned();
        // SAFETY: as above.
        unsafe { (self.functions.free)(message.cast()) };
        Err(text)
    }

    /// The names of the column families of a database.
    pub fn list_column_families(&self, path: &Path) -> Result<Vec<String>, String> {
        let path = c_path(path);
        let mut length = 0;
        // SAFETY: options and a path; the list that is returned has `length` strings, and is freed.
        unsafe {
            let options = (self.functions.options_create)();
            let names = self.call(|error| {
                (self.functions.list_column_families)(options, path.as_ptr(), &raw mut length, error)
            })?;
            let list =
                (0..length).map(|index| CStr::from_ptr(*names.add(index)).to_string_lossy().into_owned());
            let list = list.collect();
            (self.functions.list_column_families_destroy)(names, length);
            Ok(list)
        }
    }
}

impl Library {
    /// The names of the families in the newest OPTIONS file of a database.
    pub fn families_of_options(&self, path: &Path) -> Result<Vec<String>, String> {
        let path = c_path(path);
        let (mut options, mut count): (Handle, _) = (ptr::null_mut(), 0);
        let (mut names, mut of_families): (*mut *mut c_char, *mut Handle) =
            (ptr::null_mut(), ptr::null_mut());
        // SAFETY: a path; places for what is returned, which is leaked.
        unsafe {
            let (env, cache) =
                ((self.functions.create_default_env)(), (self.functions.cache_create_lru)(1 << 20));
            self.call(|error| {
                (self.functions.load_latest_options)(
                    path.as_ptr(),
                    env,
                    false,
                    cache,
                    &raw mut options,
                    &raw mut count,
                    &raw mut names,
                    &raw mut of_families,
                    error,
                );
            })?;
            Ok((0..count)
                .map(|index| CStr::from_ptr(*names.add(index)).to_string_lossy().into_owned())
                .collect())
        }
    }
}

/// What the tables are like that RocksDB writes. The numbers are those of its C API.
#[derive(Clone, Copy, Debug)]
pub struct TableForm {
    pub format_version: c_int,
    pub checksum: c_char,
    pub compression: c_int,
    /// 0: a single index.
    pub index_type: c_int,
    /// More than 1: the keys and handles of the index are differences.
    pub index_restart_interval: c_int,
    /// 0: data blocks without a hash index.
    pub data_block_index_type: c_int,
}

impl TableForm {
    /// One index, and plain data blocks.
    pub const fn plain(format_version: c_int, checksum: c_char, compression: c_int) -> Self {
        TableForm {
            format_version,
            checksum,
            compression,
            index_type: 0,
            index_restart_interval: 1,
            data_block_index_type: 0,
        }
    }

    /// Sets it in options of a family, with small memtables.
    fn set(self, library: &Library, options: Handle) {
        let functions = &library.functions;
        // SAFETY: options of the library, which are leaked.
        unsafe {
            let tables = (functions.block_based_options_create)();
            (functions.block_based_options_set_format_version)(tables, self.format_version);
            (functions.block_based_options_set_checksum)(tables, self.checksum);
            (functions.block_based_options_set_index_type)(tables, self.index_type);
            (functions.block_based_options_set_index_block_restart_interval)(
                tables,
                self.index_restart_interval,
            );
            (functions.block_based_options_set_data_block_index_type)(tables, self.data_block_index_type);
            (functions.options_set_block_based_table_factory)(options, tables);
            (functions.options_set_compression)(options, self.compression);
            (functions.options_set_write_buffer_size)(options, 64 << 10);
        }
    }
}

/// How a database is opened.
#[derive(Clone, Copy)]
pub enum Mode {
    ReadOnly,
    ReadWrite,
    /// As `ReadWrite`; new tables are like this.
    Writing(TableForm),
}

/// An open database, and its families in the order in which they were named.
pub struct RocksDb {
    library: &'static Library,
    db: Handle,
    families: Vec<(String, Handle)>,
    path: PathBuf,
}

impl RocksDb {
    /// Opens a database with these families, each with its order. The default family is called `default`.
    pub fn open(
        library: &'static Library,
        path: &Path,
        families: &[(String, Order)],
        mode: Mode,
    ) -> Result<Self, String> {
        let names: Vec<CString> = families.iter().map(|(name, _)| c_string(name)).collect();
        let pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        let options: Vec<Handle> = families.iter().map(|&(_, order)| options(library, order)).collect();
        if let Mode::Writing(form) = mode {
            options.iter().for_each(|&options| form.set(library, options));
        }
        let mut handles: Vec<Handle> = vec![ptr::null_mut(); families.len()];
        let c_path = c_path(path);
        let count = c_int::try_from(families.len()).expect("a few families");
        let (functions, database_options) = (&library.functions, options_of_database(library));
        // SAFETY: arrays of `count` elements; a path; options that live.
        let db = library.call(|error| unsafe {
            let (names, options, handles) = (pointers.as_ptr(), options.as_ptr(), handles.as_mut_ptr());
            match mode {
                Mode::ReadWrite | Mode::Writing(_) => (functions.open_column_families)(
                    database_options,
                    c_path.as_ptr(),
                    count,
                    names,
                    options,
                    handles,
                    error,
                ),
                Mode::ReadOnly => (functions.open_for_read_only_column_families)(
                    database_options,
                    c_path.as_ptr(),
                    count,
                    names,
                    options,
                    handles,
                    0,
                    error,
                ),
            }
        })?;
        let names = families.iter().map(|(name, _)| name.clone());
        Ok(RocksDb { library, db, families: names.zip(handles).collect(), path: path.to_path_buf() })
    }

    fn family(&self, name: &str) -> Handle {
        let found = self.families.iter().find(|(family, _)| family == name);
        found.unwrap_or_else(|| panic!("no family {name} in {}", self.path.display())).1
    }

    /// All entries of a family, in its order. Checksums are verified.
    pub fn contents(&self, family: &str) -> Result<Vec<Entry>, String> {
        let functions = &self.library.functions;
        let mut entries = Vec::new();
        // SAFETY: handles of this database; keys and values are copied before the next move.
        unsafe {
            let options = (functions.readoptions_create)();
            (functions.readoptions_set_verify_checksums)(options, 1);
            let iterator = (functions.create_iterator_cf)(self.db, options, self.family(family));
            (functions.iter_seek_to_first)(iterator);
            while (functions.iter_valid)(iterator) != 0 {
                let copy = |read: unsafe extern "C" fn(Handle, *mut usize) -> *const u8| {
                    let mut length = 0;
                    let bytes = read(iterator, &raw mut length);
                    std::slice::from_raw_parts(bytes, length).to_vec()
                };
                entries.push((copy(functions.iter_key), copy(functions.iter_value)));
                (functions.iter_next)(iterator);
            }
            let status = self.library.call(|error| (functions.iter_get_error)(iterator, error));
            (functions.iter_destroy)(iterator);
            status?;
        }
        Ok(entries)
    }

    /// Sets a key of a family.
    pub fn put(&self, family: &str, key: &[u8], value: &[u8]) -> Result<(), String> {
        let functions = &self.library.functions;
        // SAFETY: handles of this database, and bytes with their lengths.
        self.library.call(|error| unsafe {
            let options = (functions.writeoptions_create)();
            (functions.put_cf)(
                self.db,
                options,
                self.family(family),
                key.as_ptr(),
                key.len(),
                value.as_ptr(),
                value.len(),
                error,
            );
        })
    }

    /// Deletes a key of a family.
    pub fn delete(&self, family: &str, key: &[u8]) -> Result<(), String> {
        let functions = &self.library.functions;
        // SAFETY: as in `put`.
        self.library.call(|error| unsafe {
            let options = (functions.writeoptions_create)();
            (functions.delete_cf)(self.db, options, self.family(family), key.as_ptr(), key.len(), error);
        })
    }

    /// Deletes a key of a family that was written once.
    pub fn single_delete(&self, family: &str, key: &[u8]) -> Result<(), String> {
        let functions = &self.library.functions;
        // SAFETY: as in `put`.
        self.library.call(|error| unsafe {
            let options = (functions.writeoptions_create)();
            (functions.singledelete_cf)(
                self.db,
                options,
                self.family(family),
                key.as_ptr(),
                key.len(),
                error,
            );
        })
    }

    /// Deletes a range of keys of a family.
    pub fn delete_range(&self, family: &str, begin: &[u8], end: &[u8]) -> Result<(), String> {
        let functions = &self.library.functions;
        // SAFETY: as in `put`.
        self.library.call(|error| unsafe {
            let options = (functions.writeoptions_create)();
            (functions.delete_range_cf)(
                self.db,
                options,
                self.family(family),
                begin.as_ptr(),
                begin.len(),
                end.as_ptr(),
                end.len(),
                error,
            );
        })
    }

    /// Flushes a family.
    pub fn flush(&self, family: &str) -> Result<(), String> {
        let functions = &self.library.functions;
        // SAFETY: handles of this database.
        self.library.call(|error| unsafe {
            (functions.flush_cf)(self.db, (functions.flushoptions_create)(), self.family(family), error);
        })
    }

    /// Compacts all of a family.
    pub fn compact(&self, family: &str) {
        // SAFETY: handles of this database; no bounds.
        unsafe {
            (self.library.functions.compact_range_cf)(
                self.db,
                self.family(family),
                ptr::null(),
                0,
                ptr::null(),
                0,
            );
        }
    }

    /// Creates a family.
    pub fn create(&mut self, name: &str, order: Order) -> Result<(), String> {
        let (c_name, options) = (c_string(name), options(self.library, order));
        // SAFETY: a handle of this database, options and a name.
        let handle = self.library.call(|error| unsafe {
            (self.library.functions.create_column_family)(self.db, options, c_name.as_ptr(), error)
        })?;
        self.families.push((name.to_owned(), handle));
        Ok(())
    }

    /// Drops a family.
    pub fn drop_family(&mut self, name: &str) -> Result<(), String> {
        // SAFETY: handles of this database.
        self.library.call(|error| unsafe {
            (self.library.functions.drop_column_family)(self.db, self.family(name), error);
        })
    }
}

impl Drop for RocksDb {
    fn drop(&mut self) {
        // SAFETY: the handles are not used afterwards.
        unsafe {
            for &(_, family) in &self.families {
                (self.library.functions.column_family_handle_destroy)(family);
            }
            (self.library.functions.close)(self.db);
        }
    }
}

fn c_string(text: &str) -> CString {
    CString::new(text).expect("no NUL in a name")
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("no NUL in a path")
}

fn options_of_database(library: &Library) -> Handle {
    // SAFETY: options of the library, which are leaked.
    unsafe {
        let options = (library.functions.options_create)();
        (library.functions.options_set_paranoid_checks)(options, 1);
        options
    }
}

/// The options of a family with this order. They are leaked, as is everything that a test makes once.
fn options(library: &Library, order: Order) -> Handle {
    // SAFETY: options of the library; the callbacks below do not depend on a state.
    unsafe {
        let options = options_of_database(library);
        if let Order::Reverse = order {
            let comparator = (library.functions.comparator_create)(
                ptr::null_mut(),
                nothing,
                compare_reverse,
                name_of_reverse,
            );
            (library.functions.options_set_comparator)(options, comparator);
        }
        options
    }
}

unsafe extern "C" fn nothing(_: *mut c_void) {}

unsafe extern "C" fn name_of_reverse(_: *mut c_void) -> *const c_char {
    c"test.ReverseBytewise".as_ptr()
}

unsafe extern "C" fn compare_reverse(
    _: *mut c_void,
    a: *const c_char,
    a_length: usize,
    b: *const c_char,
    b_length: usize,
) -> c_int {
    // SAFETY: keys with their lengths, for the time of the call.
    let (a, b) = unsafe {
        (
            std::slice::from_raw_parts(a.cast::<u8>(), a_length),
            std::slice::from_raw_parts(b.cast::<u8>(), b_length),
        )
    };
    match b.cmp(a) {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }
}
