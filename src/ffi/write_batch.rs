//! `leveldb_writebatch_t`: puts and deletes that are written atomically.
#![allow(unsafe_code)]

use super::boundary::{self, contain, guard, guard_quietly};
use super::{bytes, handle, last_error};
use crate::batch::decode::BatchEntry;
use crate::batch::write_batch::WriteBatch;
use crate::error::Result;
use std::ffi::{c_char, c_void};
use std::ptr;

/// Puts and deletes that are written atomically; see leveldb_writebatch_create().
#[allow(non_camel_case_types)]
pub struct leveldb_writebatch_t {
    batch: WriteBatch,
}

impl leveldb_writebatch_t {
    pub(super) fn core(&self) -> &WriteBatch {
        &self.batch
    }
}

/// Changes a batch. The functions below have no errptr: the batch keeps the error of a failed change, and
/// writing the batch fails with it.
///
/// # Safety
/// `batch` is NULL or a batch that no other call uses now.
#[inline(always)]
pub(super) unsafe fn change(
    batch: *mut leveldb_writebatch_t,
    body: impl FnOnce(&mut WriteBatch) -> Result<()>,
) {
    // SAFETY: as the caller promises.
    let Some(handle) = (unsafe { handle::lend_mut(batch) }) else { return };
    if let Err(failure) = boundary::catch(|| body(&mut handle.batch)) {
        handle.batch.poison(failure.error.clone());
        last_error::set(failure);
    }
}

/// Creates an empty batch. Destroy it with leveldb_writebatch_destroy().
#[unsafe(no_mangle)]
pub extern "C" fn leveldb_writebatch_create() -> *mut leveldb_writebatch_t {
    contain(ptr::null_mut(), || handle::give(leveldb_writebatch_t { batch: WriteBatch::new() }))
}

/// Creates a batch from its representation. This is the form in which LevelDB writes a batch to its WAL; a
/// program that wants few calls can build it by itself: eight bytes (0), the number of entries (32 bits,
/// little-endian), then for each entry a byte (1: put, 0: delete), the key, and for a put the value, each
/// preceded by its length as a varint (7 bits per byte, lowest first). The bytes are copied.
///
/// Returns NULL with a `Corruption` error if the bytes are not a representation, and with `Invalid argument`
/// if an entry or the whole is longer than leveldb_writebatch_put() takes. Destroy the batch with
/// leveldb_writebatch_destroy().
///
/// # Safety
/// `rep` has its length; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_writebatch_create_from(
    rep: *const c_char,
    rep_len: usize,
    errptr: *mut *mut c_char,
) -> *mut leveldb_writebatch_t {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, ptr::null_mut(), || {
            let batch = WriteBatch::copy_of_rep(bytes::input(rep, rep_len, "rep")?)?;
            Ok(handle::give(leveldb_writebatch_t { batch }))
        })
    }
}

/// Destroys a batch.
///
/// # Safety
/// `batch` is NULL or a batch that is not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_writebatch_destroy(batch: *mut leveldb_writebatch_t) {
    // SAFETY: the caller gives up a handle that came from leveldb_writebatch_create.
    contain((), || drop(unsafe { handle::take_back(batch) }));
}

/// Removes all entries, and the error of a refused entry. The batch can then be filled again.
///
/// # Safety
/// `batch` is NULL or a batch that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_writebatch_clear(batch: *mut leveldb_writebatch_t) {
    // SAFETY: as the caller promises.
    unsafe {
        change(batch, |batch| {
            batch.clear();
            Ok(())
        });
    }
}

/// Adds a put of a value at a key. An entry is refused if its key and value have more than 4 GiB less 64 KiB
/// together, if the whole batch would have more than that, or if one of them is NULL with a length other
/// than 0. The batch keeps the error of a refused entry, and leveldb_write() reports it.
///
/// # Safety
/// `batch` is NULL or a batch that no other call uses now; `key` and `val` have their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_writebatch_put(
    batch: *mut leveldb_writebatch_t,
    key: *const c_char,
    klen: usize,
    val: *const c_char,
    vlen: usize,
) {
    // SAFETY: as the caller promises.
    unsafe {
        change(batch, |batch| {
            batch.put(bytes::input(key, klen, "key")?, bytes::input(val, vlen, "value")?);
            Ok(())
        });
    }
}

/// Adds the deletion of a key. An entry is refused as by leveldb_writebatch_put(), and leveldb_write()
/// reports the error.
///
/// # Safety
/// `batch` is NULL or a batch that no other call uses now; `key` has its length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_writebatch_delete(
    batch: *mut leveldb_writebatch_t,
    key: *const c_char,
    klen: usize,
) {
    // SAFETY: as the caller promises.
    unsafe {
        change(batch, |batch| {
            batch.delete(bytes::input(key, klen, "key")?);
            Ok(())
        });
    }
}

/// Calls `put` or `deleted` with `state` for each entry of a batch, in order. The keys and values belong to
/// the batch and are valid during the callback, which must not change the batch. A NULL callback is not
/// called.
///
/// # Safety
/// `batch` is NULL or a batch that nobody changes now; the callbacks are NULL or as in (8).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_writebatch_iterate(
    batch: *const leveldb_writebatch_t,
    state: *mut c_void,
    put: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            k: *const c_char,
            klen: usize,
            v: *const c_char,
            vlen: usize,
        ),
    >,
    deleted: Option<unsafe extern "C" fn(state: *mut c_void, k: *const c_char, klen: usize)>,
) {
    guard_quietly((), || {
        // SAFETY: as the caller promises.
        let batch = unsafe { handle::required(batch, "batch") }?;
        for entry in batch.batch.iter() {
            match (entry?, put, deleted) {
                (BatchEntry::Put(key, value), Some(put), _) => {
                    let (k, v) = (bytes::pointer_to(key), bytes::pointer_to(value));
                    // SAFETY: a callback of the caller, with bytes that are valid while the batch is
                    // borrowed.
                    unsafe { put(state, k, key.len(), v, value.len()) };
                }
                (BatchEntry::Delete(key), _, Some(deleted)) => {
                    // SAFETY: as above.
                    unsafe { deleted(state, bytes::pointer_to(key), key.len()) };
                }
                _ => {}
            }
        }
        Ok(())
    });
}

/// Appends the entries of `source` to those of `destination`. Both may be the same batch.
///
/// # Safety
/// `destination` is NULL or a batch that no other call uses now; `source` is NULL or a batch that nobody
/// changes now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_writebatch_append(
    destination: *mut leveldb_writebatch_t,
    source: *const leveldb_writebatch_t,
) {
    // SAFETY: as the caller promises; both are borrowed at the same time only if they are different batches.
    unsafe {
        change(destination, |batch| {
            if ptr::eq(destination.cast_const(), source) {
                batch.append_self();
            } else if let Some(source) = handle::lend(source) {
                batch.append(&source.batch);
            }
            Ok(())
        });
    }
}
