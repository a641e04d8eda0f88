//! Tables by themselves, without a database: building one, reading one. Keys are what the caller says they are, in the order of
//! the options' comparator.
#![allow(unsafe_code)]

use super::boundary::{contain, guard};
use super::direct::{terrace_entry_t, terrace_iter_move_t};
use super::env_callbacks::outcome;
use super::option_head::read_options;
use super::options::{core_options, leveldb_options_t};
use super::read_options::leveldb_readoptions_t;
use super::{bytes, handle};
use crate::env::{RandomAccessFile, WritableFile};
use crate::error::{Error, Result};
use crate::table::plain::{PlainTable, PlainTableBuilder, PlainTableIterator};
use std::ffi::{c_char, c_int, c_void};
use std::path::PathBuf;
use std::ptr;
use std::sync::Arc;

/// A table under construction; see terrace_tablebuilder_create().
#[allow(non_camel_case_types)]
pub struct terrace_tablebuilder_t {
    builder: PlainTableBuilder,
}

/// An open table; see terrace_table_open().
#[allow(non_camel_case_types)]
pub struct terrace_table_t {
    table: Arc<PlainTable>,
}

/// A position in a table; see terrace_table_create_iterator().
#[allow(non_camel_case_types)]
pub struct terrace_table_iterator_t {
    iterator: PlainTableIterator,
    /// A movement that was refused: until the next seek.
    refused: Option<Error>,
}

type Append = unsafe extern "C" fn(*mut c_void, *const c_char, usize, *mut *mut c_char) -> c_int;
type Flush = unsafe extern "C" fn(*mut c_void, *mut *mut c_char) -> c_int;
type Read = unsafe extern "C" fn(*mut c_void, u64, *mut c_char, usize, *mut usize, *mut *mut c_char) -> c_int;

/// The file of the caller's that a table is written to. It is the caller's to sync and to close.
struct Output {
    state: *mut c_void,
    append: Append,
    flush: Flush,
}

// SAFETY: a builder is used by one thread at a time, and so is its file; convention (8) lets that be any.
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

/// The file of the caller's that a table is read from.
struct Input {
    state: *mut c_void,
    read: Read,
}

// SAFETY: convention (8) has the caller make the callback callable from any thread.
unsafe impl Send for Input {}
// SAFETY: as above, and at once.
unsafe impl Sync for Input {}

impl RandomAccessFile for Input {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let (mut read, mut message) = (0, ptr::null_mut());
            let rest = &mut buffer[filled..];
            let (data, room) = (rest.as_mut_ptr().cast(), rest.len());
            let at = offset.saturating_add(filled as u64);
            // SAFETY: the caller's callback with its state, and a buffer that lives during the call.
            let code = unsafe { (self.read)(self.state, at, data, room, &mut read, &mut message) };
            outcome(code, message)?;
            if read > room {
                return Err(Error::io("the file of a table returned more than was asked for"));
            }
            if read == 0 {
                break;
            }
            filled += read;
        }
        Ok(filled)
    }
}

/// Starts a table, written by `append` and `flush`, which get `state`. They return TERRACE_OK, or another value of `terrace_error_t`
/// and, in `*message`, a malloc()ed and NUL-terminated message, which the library frees. The file begins empty, and is the
/// caller's to sync and to close.
///
/// Of the options those of tables count: comparator, filter policy, block size, restart interval and compression. The table is
/// as LevelDB writes it. Destroy the builder with terrace_tablebuilder_destroy(), before what is set in the options. NULL on
/// failure.
///
/// # Safety
/// `options` is NULL or not destroyed, and what was set in it is not destroyed; the callbacks are NULL (which fails) or as above, as
/// long as the builder lives; `errptr` as in (3).
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
            let builder = PlainTableBuilder::new(&core_options(options)?, output);
            Ok(handle::give(terrace_tablebuilder_t { builder }))
        })
    }
}

/// # Safety
/// `builder` is NULL or a builder that no other call uses now; `errptr` as in (3).
unsafe fn with_builder(
    builder: *mut terrace_tablebuilder_t,
    errptr: *mut *mut c_char,
    body: impl FnOnce(&mut PlainTableBuilder) -> Result<()>,
) {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, (), || {
            body(&mut handle::lend_mut(builder).ok_or_else(|| handle::is_null("builder"))?.builder)
        });
    }
}

/// Adds an entry, whose key must be behind all before. A failure stays: all later calls fail with it.
///
/// # Safety
/// `builder` is NULL or a builder that no other call uses now; key and value have their lengths; `errptr` as in (3).
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

/// Ends the block: the next entry begins another one.
///
/// # Safety
/// `builder` is NULL or a builder that no other call uses now; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_tablebuilder_flush(
    builder: *mut terrace_tablebuilder_t,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe { with_builder(builder, errptr, PlainTableBuilder::flush) };
}

/// Takes block size, restart interval and compression from other options. Another comparator is refused.
///
/// # Safety
/// `builder` is NULL or a builder that no other call uses now; `options` is NULL or not destroyed; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_tablebuilder_change_options(
    builder: *mut terrace_tablebuilder_t,
    options: *const leveldb_options_t,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe { with_builder(builder, errptr, |builder| builder.change_options(&core_options(options)?)) };
}

/// Writes the rest of the table.
///
/// # Safety
/// `builder` is NULL or a builder that no other call uses now; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_tablebuilder_finish(
    builder: *mut terrace_tablebuilder_t,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe { with_builder(builder, errptr, PlainTableBuilder::finish) };
}

/// Reports what has gone wrong, if something has.
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

/// How many entries were added; 0 for NULL.
///
/// # Safety
/// `builder` is NULL or a builder that nobody changes now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_tablebuilder_num_entries(builder: *const terrace_tablebuilder_t) -> u64 {
    // SAFETY: as the caller promises.
    contain(0, || unsafe { handle::lend(builder) }.map_or(0, |handle| handle.builder.num_entries()))
}

/// How many bytes were written; after a success of terrace_tablebuilder_finish(), the size of the table. 0 for NULL.
///
/// # Safety
/// `builder` is NULL or a builder that nobody changes now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_tablebuilder_file_size(builder: *const terrace_tablebuilder_t) -> u64 {
    // SAFETY: as the caller promises.
    contain(0, || unsafe { handle::lend(builder) }.map_or(0, |handle| handle.builder.file_size()))
}

/// Destroys a builder; a table that was not finished is none. NULL is fine.
///
/// # Safety
/// `builder` is NULL or not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_tablebuilder_destroy(builder: *mut terrace_tablebuilder_t) {
    // SAFETY: the caller gives up a handle that came from terrace_tablebuilder_create.
    contain((), || drop(unsafe { handle::take_back(builder) }));
}

/// Opens the table in the first `file_size` bytes of a file, which is read by `read` with `state`: up to `length` bytes from
/// `offset`, `*read` says how many, 0 at the end of the file. It returns as the callbacks of terrace_tablebuilder_create() do, and is
/// called on any thread, also at once.
///
/// Of the options comparator, block cache and paranoid checks count. Destroy the table with terrace_table_destroy(). NULL on failure.
///
/// # Safety
/// `options` is NULL or not destroyed, and what was set in it is not destroyed; `read` is NULL (which fails) or as above, as long as
/// the table and its iterators live; `errptr` as in (3).
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
            let table = PlainTable::open(&core_options(options)?, input, name, file_size)?;
            Ok(handle::give(terrace_table_t { table }))
        })
    }
}

/// Closes a table; its iterators may outlive it. NULL is fine.
///
/// # Safety
/// `table` is NULL or not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_table_destroy(table: *mut terrace_table_t) {
    // SAFETY: the caller gives up a handle that came from terrace_table_open.
    contain((), || drop(unsafe { handle::take_back(table) }));
}

/// About where in the file the entry at or after `key` lies; 0 for a NULL `table`.
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

/// Creates an iterator over a table, which stands on no entry yet. Of the options, the snapshot does not count. Destroy it with
/// terrace_table_iterator_destroy(). NULL on failure.
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

/// Moves an iterator over a table, as terrace_iter_move() does one over a database.
///
/// # Safety
/// `iter` is NULL or an iterator that no other call uses now; `key` has its length; `entry` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_table_iterator_move(
    iter: *mut terrace_table_iterator_t,
    movement: c_int,
    key: *const c_char,
    key_len: usize,
    entry: *mut terrace_entry_t,
) -> u8 {
    contain(0, || {
        // SAFETY: as the caller promises.
        let (handle, key) = unsafe { (handle::lend_mut(iter), bytes::input(key, key_len, "key")) };
        let Some(handle) = handle else { return 0 };
        let iterator = &mut handle.iterator;
        handle.refused = None;
        match (movement, key) {
            (m, _) if m == terrace_iter_move_t::TERRACE_MOVE_FIRST as c_int => iterator.seek_to_first(),
            (m, _) if m == terrace_iter_move_t::TERRACE_MOVE_LAST as c_int => iterator.seek_to_last(),
            (m, _) if m == terrace_iter_move_t::TERRACE_MOVE_NEXT as c_int => iterator.next(),
            (m, _) if m == terrace_iter_move_t::TERRACE_MOVE_PREV as c_int && iterator.valid() => {
                iterator.prev();
            }
            (m, Ok(key)) if m == terrace_iter_move_t::TERRACE_MOVE_SEEK as c_int => iterator.seek(key),
            (_, Err(error)) => {
                handle.refused = Some(error);
                return 0;
            }
            _ => {}
        }
        if !iterator.valid() {
            return 0;
        }
        if !entry.is_null() {
            let (key, value) = (iterator.key(), iterator.value());
            let filled = terrace_entry_t {
                key: bytes::pointer_to(key),
                key_len: key.len(),
                value: bytes::pointer_to(value),
                value_len: value.len(),
            };
            // SAFETY: not NULL, so writable as the caller promises.
            unsafe { *entry = filled };
        }
        1
    })
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

/// Destroys an iterator over a table. NULL is fine.
///
/// # Safety
/// `iter` is NULL or not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_table_iterator_destroy(iter: *mut terrace_table_iterator_t) {
    // SAFETY: the caller gives up a handle that came from terrace_table_create_iterator.
    contain((), || drop(unsafe { handle::take_back(iter) }));
}
