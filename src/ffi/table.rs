//! Stand-alone tables, without a database: building one, reading one. Keys are stored as the caller gives
//! them (user keys, not internal keys), in the order of the options' comparator.
#![allow(unsafe_code)]

use super::boundary::{self, contain, guard};
use super::callback::{outcome, read_fully};
use super::iterator::movement::{self, terrace_entry_t};
use super::option_header::read_options;
use super::options::{core_options, leveldb_options_t};
use super::read_options::leveldb_readoptions_t;
use super::{bytes, handle, last_error};
use crate::env::{RandomAccessFile, WritableFile};
use crate::error::{Error, Result};
use crate::table::standalone::{UserKeyTable, UserKeyTableBuilder, UserKeyTableIterator};
use std::ffi::{c_char, c_int, c_void};
use std::path::PathBuf;
use std::ptr;
use std::sync::Arc;

/// A table under construction; see terrace_tablebuilder_create().
#[allow(non_camel_case_types)]
pub struct terrace_tablebuilder_t {
    builder: UserKeyTableBuilder,
}

/// An open table; see terrace_table_open().
#[allow(non_camel_case_types)]
pub struct terrace_table_t {
    table: Arc<UserKeyTable>,
}

/// A position in a table; see terrace_table_create_iterator().
#[allow(non_camel_case_types)]
pub struct terrace_table_iterator_t {
    iterator: UserKeyTableIterator,
    /// The error of a refused movement, which the core's iterator does not know.
    refused: Option<Error>,
}

type Append = unsafe extern "C" fn(*mut c_void, *const c_char, usize, *mut *mut c_char) -> c_int;
type Flush = unsafe extern "C" fn(*mut c_void, *mut *mut c_char) -> c_int;
type Read = unsafe extern "C" fn(*mut c_void, u64, *mut c_char, usize, *mut usize, *mut *mut c_char) -> c_int;

/// The caller's file to which a table is written. The caller syncs and closes it.
struct Output {
    state: *mut c_void,
    append: Append,
    flush: Flush,
}

// SAFETY: one thread at a time uses a builder and its file; convention (8) allows any thread.
unsafe impl Send for Output {}

impl WritableFile for Output {
    fn append(&mut self, data: &[u8]) -> Result<()> {
        let mut message = ptr::null_mut();
        // SAFETY: the caller's callback with its state, and bytes that live during the call.
        let code = unsafe { (self.append)(self.state, bytes::pointer_to(data), data.len(), &mut message) };
        outcome(code, message)
    }

    fn flush(&mut self) -> Result<()> {
        let mut message = ptr::null_mut();
        // SAFETY: the caller's callback with its state.
        let code = unsafe { (self.flush)(self.state, &mut message) };
        outcome(code, message)
    }

    fn sync(&mut self) -> Result<()> {
        self.flush()
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The caller's file from which a table is read.
struct Input {
    state: *mut c_void,
    read: Read,
}

// SAFETY: convention (8) obliges the caller to make the callback callable from any thread.
unsafe impl Send for Input {}
// SAFETY: as above, and from several threads at the same time.
unsafe impl Sync for Input {}

impl RandomAccessFile for Input {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        read_fully("the file of a table", offset, buffer, |at, data, room, read| {
            let mut message = ptr::null_mut();
            // SAFETY: the caller's callback with its state, and a buffer that lives during the call.
            let code = unsafe { (self.read)(self.state, at, data, room, read, &mut message) };
            outcome(code, message)
        })
    }
}

/// Starts a table. The library writes it through `append` and `flush`, which get `state`. They return
/// TERRACE_OK on success. On failure they return another value of `terrace_error_t` and put a malloc()ed,
/// NUL-terminated message, which the library frees, into `*message`. The file must be empty at the start. The
/// caller syncs and closes it.
///
/// Only these options are used: comparator, filter policy, block size, restart interval and compression. The
/// table is in LevelDB's format. Destroy the builder with terrace_tablebuilder_destroy(), before the objects
/// that are set in the options. Returns NULL on failure.
///
/// # Safety
/// `options` is NULL or not destroyed, and what was set in it is not destroyed; the callbacks are NULL (which
/// fails) or as above, until the builder is destroyed; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_tablebuilder_create(
    options: *const leveldb_options_t,
    state: *mut c_void,
    append: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            data: *const c_char,
            length: usize,
            message: *mut *mut c_char,
        ) -> c_int,
    >,
    flush: Option<unsafe extern "C" fn(state: *mut c_void, message: *mut *mut c_char) -> c_int>,
    errptr: *mut *mut c_char,
) -> *mut terrace_tablebuilder_t {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, ptr::null_mut(), || {
            let (Some(append), Some(flush)) = (append, flush) else {
                return Err(handle::is_null("a callback"));
            };
            let output = Box::new(Output { state, append, flush });
            let builder = UserKeyTableBuilder::new(&core_options(options)?, output);
            Ok(handle::give(terrace_tablebuilder_t { builder }))
        })
    }
}

/// # Safety
/// `builder` is NULL or a builder that no other call uses now; `errptr` as in (3).
unsafe fn with_builder(
    builder: *mut terrace_tablebuilder_t,
    errptr: *mut *mut c_char,
    body: impl FnOnce(&mut UserKeyTableBuilder) -> Result<()>,
) {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, (), || {
            body(&mut handle::lend_mut(builder).ok_or_else(|| handle::is_null("builder"))?.builder)
        });
    }
}

/// Adds an entry. Its key must be greater than all keys added before. After a failure, all later calls fail
/// with the same error.
///
/// # Safety
/// `builder` is NULL or a builder that no other call uses now; key and value have their lengths; `errptr` as
/// in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_tablebuilder_add(
    builder: *mut terrace_tablebuilder_t,
    key: *const c_char,
    key_len: usize,
    value: *const c_char,
    value_len: usize,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe {
        with_builder(builder, errptr, |builder| {
            builder.add(bytes::input(key, key_len, "key")?, bytes::input(value, value_len, "value")?)
        });
    }
}

/// Ends the current block: the next entry starts a new block.
///
/// # Safety
/// `builder` is NULL or a builder that no other call uses now; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_tablebuilder_flush(
    builder: *mut terrace_tablebuilder_t,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe { with_builder(builder, errptr, UserKeyTableBuilder::flush) };
}

/// Changes block size, restart interval and compression to those of `options`. Options with another
/// comparator are refused.
///
/// # Safety
/// `builder` is NULL or a builder that no other call uses now; `options` is NULL or not destroyed; `errptr`
/// as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_tablebuilder_change_options(
    builder: *mut terrace_tablebuilder_t,
    options: *const leveldb_options_t,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe { with_builder(builder, errptr, |builder| builder.change_options(&core_options(options)?)) };
}

/// Writes the last block, the filter block, the index and the footer.
///
/// # Safety
/// `builder` is NULL or a builder that no other call uses now; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_tablebuilder_finish(
    builder: *mut terrace_tablebuilder_t,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe { with_builder(builder, errptr, UserKeyTableBuilder::finish) };
}

/// Reports the first failure of the builder, if there is one.
///
/// # Safety
/// `builder` is NULL or a builder that nobody changes now; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_tablebuilder_get_error(
    builder: *const terrace_tablebuilder_t,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe { guard(errptr, (), || handle::required(builder, "builder")?.builder.status()) };
}

/// Returns the number of entries added; 0 for NULL.
///
/// # Safety
/// `builder` is NULL or a builder that nobody changes now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_tablebuilder_num_entries(builder: *const terrace_tablebuilder_t) -> u64 {
    // SAFETY: as the caller promises.
    contain(0, || unsafe { handle::lend(builder) }.map_or(0, |handle| handle.builder.num_entries()))
}

/// Returns the number of bytes written: after a successful terrace_tablebuilder_finish(), the size of the
/// table. 0 for NULL.
///
/// # Safety
/// `builder` is NULL or a builder that nobody changes now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_tablebuilder_file_size(builder: *const terrace_tablebuilder_t) -> u64 {
    // SAFETY: as the caller promises.
    contain(0, || unsafe { handle::lend(builder) }.map_or(0, |handle| handle.builder.file_size()))
}

/// Destroys a builder. A table that was not finished is unusable. NULL is allowed.
///
/// # Safety
/// `builder` is NULL or not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_tablebuilder_destroy(builder: *mut terrace_tablebuilder_t) {
    // SAFETY: the caller gives up a handle that came from terrace_tablebuilder_create.
    contain((), || drop(unsafe { handle::take_back(builder) }));
}

/// Opens the table in the first `file_size` bytes of a file. The library reads it through `read`, which gets
/// `state`, reads up to `length` bytes at `offset` into `buffer`, and puts the number of bytes read into
/// `*read` (0 at the end of the file). It returns errors as the callbacks of terrace_tablebuilder_create()
/// do, and is called on any thread, by several threads at the same time.
///
/// Only these options are used: comparator, block cache and paranoid checks. Destroy the table with
/// terrace_table_destroy(). Returns NULL on failure.
///
/// # Safety
/// `options` is NULL or not destroyed, and what was set in it is not destroyed; `read` is NULL (which fails)
/// or as above, until the table and its iterators are destroyed; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_table_open(
    options: *const leveldb_options_t,
    state: *mut c_void,
    read: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            offset: u64,
            buffer: *mut c_char,
            length: usize,
            read: *mut usize,
            message: *mut *mut c_char,
        ) -> c_int,
    >,
    file_size: u64,
    errptr: *mut *mut c_char,
) -> *mut terrace_table_t {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, ptr::null_mut(), || {
            let Some(read) = read else { return Err(handle::is_null("read")) };
            let input = Arc::new(Input { state, read });
            let name = PathBuf::from("table of the program");
            let table = UserKeyTable::open(&core_options(options)?, input, name, file_size)?;
            Ok(handle::give(terrace_table_t { table }))
        })
    }
}

/// Closes a table. Its iterators may outlive it. NULL is allowed.
///
/// # Safety
/// `table` is NULL or not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_table_destroy(table: *mut terrace_table_t) {
    // SAFETY: the caller gives up a handle that came from terrace_table_open.
    contain((), || drop(unsafe { handle::take_back(table) }));
}

/// Returns the approximate offset in the file of the first entry at or after `key`, in bytes; 0 for a NULL
/// `table`.
///
/// # Safety
/// `table` is NULL or not destroyed; `key` has its length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_table_approximate_offset_of(
    table: *const terrace_table_t,
    key: *const c_char,
    key_len: usize,
) -> u64 {
    contain(0, || {
        // SAFETY: as the caller promises.
        match unsafe { (handle::lend(table), bytes::input(key, key_len, "key")) } {
            (Some(handle), Ok(key)) => handle.table.approximate_offset_of(key),
            _ => 0,
        }
    })
}

/// Creates an iterator over a table. It is invalid until it is positioned. The snapshot of the options is
/// ignored. Destroy the iterator with terrace_table_iterator_destroy(). Returns NULL on failure.
///
/// # Safety
/// `table` is NULL or not destroyed; `options` is NULL or not destroyed; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_table_create_iterator(
    table: *const terrace_table_t,
    options: *const leveldb_readoptions_t,
    errptr: *mut *mut c_char,
) -> *mut terrace_table_iterator_t {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, ptr::null_mut(), || {
            let iterator = handle::required(table, "table")?.table.iter(read_options(options));
            Ok(handle::give(terrace_table_iterator_t { iterator, refused: None }))
        })
    }
}

/// Moves an iterator over a table, as terrace_iter_move() moves an iterator over a database.
///
/// # Safety
/// `iter` is NULL or an iterator that no other call uses now; `key` has its length; `entry` is NULL or
/// writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_table_iterator_move(
    iter: *mut terrace_table_iterator_t,
    movement: c_int,
    key: *const c_char,
    key_len: usize,
    entry: *mut terrace_entry_t,
) -> u8 {
    // SAFETY: as the caller promises.
    let Some(handle) = (unsafe { handle::lend_mut(iter) }) else { return 0 };
    let iterator = &mut handle.iterator;
    // A failed comparison unwinds like a panic.
    // SAFETY: as the caller promises.
    let moved = boundary::catch(|| unsafe { movement::carry_out(iterator, movement, key, key_len) });
    if let Err(failure) = moved {
        handle.refused = Some(failure.error.clone());
        last_error::set(failure);
        return 0;
    }
    handle.refused = None;
    if !iterator.valid() {
        return 0;
    }
    if !entry.is_null() {
        let filled = terrace_entry_t::of((iterator.key(), iterator.value()));
        // SAFETY: not NULL, so writable as the caller promises.
        unsafe { *entry = filled };
    }
    1
}

/// Reports the first error since the last seek, if there is one.
///
/// # Safety
/// `iter` is NULL or an iterator that no other call moves now; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_table_iterator_get_error(
    iter: *const terrace_table_iterator_t,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, (), || {
            let handle = handle::required(iter, "iterator")?;
            handle.refused.clone().map_or_else(|| handle.iterator.status(), Err)
        });
    }
}

/// Destroys an iterator over a table. NULL is allowed.
///
/// # Safety
/// `iter` is NULL or not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_table_iterator_destroy(iter: *mut terrace_table_iterator_t) {
    // SAFETY: the caller gives up a handle that came from terrace_table_create_iterator.
    contain((), || drop(unsafe { handle::take_back(iter) }));
}
