//! A panic in the core: the call reports it, its handle does no harm afterwards, and no thread hangs.

use super::super::boundary::guard;
use super::super::db::get::leveldb_get;
use super::super::db::*;
use super::super::failure::terrace_error_t;
use super::super::handle;
use super::super::iterator::*;
use super::super::last_error::*;
use super::super::options::*;
use super::super::write_batch::*;
use super::take_message;
use std::ffi::{CString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

const INTERNAL: c_int = terrace_error_t::TERRACE_INTERNAL_ERROR as c_int;

/// Opens a new database and puts one key.
fn open(directory: &tempfile::TempDir) -> *mut leveldb_t {
    let path = CString::new(directory.path().join("db").as_os_str().as_bytes()).expect("a path without NUL");
    let mut error = ptr::null_mut();
    // SAFETY: live handles, each destroyed once, and literals with their lengths.
    let db = unsafe {
        let options = leveldb_options_create();
        leveldb_options_set_create_if_missing(options, 1);
        let db = leveldb_open(options, path.as_ptr(), &mut error);
        leveldb_options_destroy(options);
        db
    };
    assert_eq!(take_message(&mut error), None);
    assert_eq!(put(db, c"key".as_ptr()), None);
    db
}

/// Puts a key of three bytes; returns the message.
fn put(db: *mut leveldb_t, key: *const c_char) -> Option<String> {
    let mut error = ptr::null_mut();
    // SAFETY: the tests pass an open database and a key of three bytes.
    unsafe { leveldb_put(db, ptr::null(), key, 3, c"value".as_ptr(), 5, &mut error) };
    take_message(&mut error)
}

#[test]
fn a_database_takes_no_writes_after_a_panic_and_reads_go_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let db = open(&directory);
    let mut error = ptr::null_mut();
    // SAFETY: an open database, closed once; literals with their lengths.
    unsafe {
        guard(&mut error, (), || handle::required(db, "db")?.run(|_| panic!("seeded")));
        let message = take_message(&mut error).expect("a message");
        assert!(message.starts_with("IO error: internal error") && message.ends_with("seeded"), "{message}");
        assert_eq!(terrace_last_error_code(), INTERNAL);

        let refused = |message: Option<String>| {
            let message = message.expect("a refused write");
            assert!(message.starts_with("IO error: the database takes no writes after an internal error"));
        };
        refused(put(db, c"new".as_ptr()));
        leveldb_delete(db, ptr::null(), c"key".as_ptr(), 3, &mut error);
        refused(take_message(&mut error));
        leveldb_write(db, ptr::null(), ptr::null_mut(), &mut error);
        refused(take_message(&mut error));
        terrace_flush(db, &mut error);
        refused(take_message(&mut error));
        terrace_compact_range(db, ptr::null(), 0, ptr::null(), 0, &mut error);
        refused(take_message(&mut error));

        let mut length = 0;
        let value = leveldb_get(db, ptr::null(), c"key".as_ptr(), 3, &mut length, &mut error);
        assert!(!value.is_null() && length == 5);
        libc::free(value.cast());
        assert!(leveldb_get(db, ptr::null(), c"new".as_ptr(), 3, &mut length, &mut error).is_null());
        terrace_close(db, &mut error);
        assert_eq!(take_message(&mut error), None);
    }
}

#[test]
fn an_iterator_whose_move_panicked_stays_failed() {
    let directory = tempfile::tempdir().expect("a directory");
    let db = open(&directory);
    let mut error = ptr::null_mut();
    // SAFETY: live handles, each destroyed once.
    unsafe {
        let iter = leveldb_create_iterator(db, ptr::null());
        leveldb_iter_seek_to_first(iter);
        assert_eq!(leveldb_iter_valid(iter), 1);
        advance(iter, |_| panic!("seeded"));
        assert_eq!(terrace_last_error_code(), INTERNAL);
        for _ in 0..2 {
            assert_eq!(leveldb_iter_valid(iter), 0);
            assert!(leveldb_iter_key(iter, ptr::null_mut()).is_null());
            leveldb_iter_get_error(iter, &mut error);
            assert!(take_message(&mut error).is_some_and(|message| message.ends_with("seeded")));
            leveldb_iter_seek_to_first(iter);
            leveldb_iter_next(iter);
        }
        leveldb_iter_destroy(iter);
        assert_eq!(put(db, c"new".as_ptr()), None, "the database itself is unharmed");
        leveldb_close(db);
    }
}

#[test]
fn a_batch_that_panicked_is_not_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let db = open(&directory);
    let mut error = ptr::null_mut();
    // SAFETY: live handles, each destroyed once; literals with their lengths.
    unsafe {
        let batch = leveldb_writebatch_create();
        leveldb_writebatch_put(batch, c"new".as_ptr(), 3, c"value".as_ptr(), 5);
        change(batch, |_| panic!("seeded"));
        leveldb_write(db, ptr::null(), batch, &mut error);
        assert!(take_message(&mut error).is_some_and(|message| message.ends_with("seeded")));
        let mut length = 0;
        assert!(leveldb_get(db, ptr::null(), c"new".as_ptr(), 3, &mut length, &mut error).is_null());
        leveldb_writebatch_clear(batch);
        leveldb_write(db, ptr::null(), batch, &mut error);
        assert_eq!(take_message(&mut error), None);
        leveldb_writebatch_destroy(batch);
        leveldb_close(db);
    }
}
