//! Export and import through C: NULL arguments, and the family that is made.

use super::super::column_family::access::*;
use super::super::column_family::*;
use super::super::db::*;
use super::super::options::*;
use super::super::transfer::*;
use super::super::version::leveldb_free;
use super::take_message;
use std::ffi::{CStr, CString, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("a path without NUL")
}

/// Calls a function that reports its failure; returns the message.
fn message<R>(call: impl FnOnce(*mut *mut c_char) -> R) -> (R, Option<String>) {
    let mut error = ptr::null_mut();
    let result = call(&mut error);
    (result, take_message(&mut error))
}

/// SAFETY of all blocks: live handles, each destroyed once, NUL-terminated strings and literals with their
/// lengths.
#[test]
fn export_and_import_take_null_and_make_a_family_like_the_default_one() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let path = |name: &str| c_path(&scratch.path().join(name));
    let (path_of_db, exported) = (path("db"), path("exported"));
    // SAFETY: see above.
    let (db, error) = message(|error| unsafe {
        let options = leveldb_options_create();
        leveldb_options_set_create_if_missing(options, 1);
        let db = leveldb_open(options, path_of_db.as_ptr(), error);
        leveldb_options_destroy(options);
        db
    });
    assert_eq!(error, None);
    // SAFETY: see above.
    let export = |db, directory: *const c_char| {
        message(|error| unsafe { terrace_export_leveldb(db, ptr::null_mut(), directory, error) }).1
    };
    // SAFETY: see above.
    let import = |db, name: *const c_char, directory: *const c_char| {
        message(|error| unsafe { terrace_import_leveldb(db, name, directory, error) })
    };
    // SAFETY: see above.
    let put = message(|error| unsafe {
        leveldb_put(db, ptr::null(), c"key".as_ptr(), 3, c"value".as_ptr(), 5, error);
    });
    assert_eq!(put.1, None);

    let is_null = |what: &str| Some(format!("Invalid argument: {what} is NULL"));
    assert_eq!(export(ptr::null_mut(), exported.as_ptr()), is_null("db"));
    assert_eq!(export(db, ptr::null()), is_null("directory"));
    assert_eq!(export(db, exported.as_ptr()), None);
    assert_eq!(import(ptr::null_mut(), c"new".as_ptr(), exported.as_ptr()).1, is_null("db"));
    assert_eq!(import(db, ptr::null(), exported.as_ptr()).1, is_null("name"));
    assert_eq!(import(db, c"new".as_ptr(), ptr::null()).1, is_null("directory"));
    let (family, error) = import(db, c"default".as_ptr(), exported.as_ptr());
    assert!(family.is_null() && error.is_some_and(|error| error.contains("exists already")));
    let (family, error) = import(db, c"new".as_ptr(), exported.as_ptr());
    assert!(!family.is_null() && error.is_none());
    // SAFETY: see above.
    unsafe {
        let mut error = ptr::null_mut();
        let mut length = 0;
        let value = terrace_get_cf(db, ptr::null(), family, c"key".as_ptr(), 3, &mut length, &mut error);
        assert_eq!(std::slice::from_raw_parts(value.cast::<u8>(), length), b"value");
        leveldb_free(value.cast());
        let name = terrace_column_family_handle_get_name(family, ptr::null_mut());
        assert_eq!(CStr::from_ptr(name), c"new");
        leveldb_free(name.cast());
        // An export of that family is as good.
        terrace_export_leveldb(db, family, path("again").as_ptr(), &mut error);
        assert_eq!(take_message(&mut error), None);
        terrace_column_family_handle_destroy(family);
        leveldb_close(db);
    }
    assert!(scratch.path().join("again/CURRENT").exists());
}
