//! The operations of an environment, one function each. They serve bindings whose users read and write files
//! through the environment, as LevelDB's C++ interface allows.
//!
//! Callers of these functions cannot sync a directory. So the first sync of a writable file also makes its
//! name durable, and a rename is durable when it returns.
#![allow(unsafe_code)]

use super::leveldb_env_t;
use crate::env::mem::{MemEnv, MemOptions};
use crate::env::posix::PosixEnv;
use crate::env::{
    CreateMode, Env, FileLock, RandomAccessFile, ReadMode, SequentialFile, WritableFile, parent_of,
};
use crate::error::{Error, Result};
use crate::ffi::boundary::{contain, guard};
use crate::ffi::{bytes, handle};
use std::ffi::{c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr;
use std::sync::Arc;

/// A locked file; see terrace_env_lock_file().
#[allow(non_camel_case_types)]
pub struct leveldb_filelock_t(#[allow(dead_code)] Box<dyn FileLock>);

/// A file that is read at any offset; see terrace_env_new_random_access_file().
#[allow(non_camel_case_types)]
pub struct leveldb_randomfile_t(Arc<dyn RandomAccessFile>);

/// A file that is read from its beginning; see terrace_env_new_sequential_file().
#[allow(non_camel_case_types)]
pub struct leveldb_seqfile_t(Box<dyn SequentialFile>);

/// A file that is written; see terrace_env_new_writable_file().
#[allow(non_camel_case_types)]
pub struct leveldb_writablefile_t {
    file: Box<dyn WritableFile>,
    /// The environment and the directory of the file; `None` once the name of the file is durable.
    unsynced_name: Option<(Arc<dyn Env>, PathBuf)>,
}

/// The environment of a handle; the default environment for NULL.
///
/// # Safety
/// `env` is NULL or not destroyed.
pub(in crate::ffi) unsafe fn env_of(env: *const leveldb_env_t) -> Arc<dyn Env> {
    // SAFETY: as the caller promises.
    unsafe { handle::lend(env) }.map_or_else(PosixEnv::shared, leveldb_env_t::share)
}

/// Size of one read, in bytes.
const PIECE: usize = 64 << 10;

/// Reads up to `length` bytes into a buffer of the caller. Only the bytes that were read are written to the
/// buffer: callers that know that the file is shorter pass a `length` beyond the size of their buffer. `read`
/// gets the number of bytes read so far, and fills its buffer except at the end of the file.
///
/// # Safety
/// `buffer` is NULL, or writable for `length` bytes or for as many as the file has.
unsafe fn read_into(
    buffer: *mut c_char,
    length: usize,
    mut read: impl FnMut(u64, &mut [u8]) -> Result<usize>,
) -> Result<usize> {
    if length != 0 && (buffer.is_null() || length > isize::MAX as usize) {
        return Err(Error::invalid_argument(format!("a buffer of {length} bytes is NULL or too long")));
    }
    let (mut small, mut large) = ([0; 4096], Vec::new());
    let piece = if length <= small.len() {
        &mut small[..length]
    } else {
        large.resize(length.min(PIECE), 0);
        &mut large[..]
    };
    let mut done = 0;
    loop {
        let wanted = piece.len().min(length - done);
        let count = read(done as u64, &mut piece[..wanted])?;
        // SAFETY: `count` bytes are left of the buffer, as the file has them; the piece is our own memory.
        unsafe { ptr::copy_nonoverlapping(piece.as_ptr(), buffer.add(done).cast(), count) };
        done += count;
        if count < wanted || done == length {
            return Ok(done);
        }
    }
}

/// Creates an environment whose files are in memory, and are freed with it. Directories need not be created;
/// a directory that was not created is empty. A read that begins past the end of a file fails with an
/// `IO error`. These are the rules of LevelDB's in-memory environment. Destroy the environment with
/// leveldb_env_destroy(); databases that use it keep it until they are closed.
#[unsafe(no_mangle)]
pub extern "C" fn terrace_env_create_mem() -> *mut leveldb_env_t {
    let options = MemOptions { leveldb_rules: true, ..MemOptions::default() };
    contain(ptr::null_mut(), || leveldb_env_t::create(MemEnv::with_options(options).shared()))
}

/// Opens a file to be read from its beginning. Returns NULL on failure. Destroy the file with
/// terrace_seqfile_destroy().
///
/// # Safety
/// `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_env_new_sequential_file(
    env: *const leveldb_env_t,
    path: *const c_char,
    errptr: *mut *mut c_char,
) -> *mut leveldb_seqfile_t {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, ptr::null_mut(), || {
            let file = env_of(env).open_sequential(bytes::path(path, "path")?)?;
            Ok(handle::give(leveldb_seqfile_t(file)))
        })
    }
}

/// Reads up to `length` bytes and returns the number of bytes read: fewer than `length` only at the end of
/// the file, or on failure. The rest of `buffer` is not written to, so it may be shorter than `length` if the
/// file is shorter too.
///
/// # Safety
/// `file` is NULL or a file that no other call uses now; `buffer` is writable for `length` bytes, or for as
/// many as the file still has; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_seqfile_read(
    file: *mut leveldb_seqfile_t,
    buffer: *mut c_char,
    length: usize,
    errptr: *mut *mut c_char,
) -> usize {
    // SAFETY: as the caller promises; the handle came from `give`.
    unsafe {
        guard(errptr, 0, || {
            let file = handle::lend_mut(file).ok_or_else(|| handle::is_null("file"))?;
            read_into(buffer, length, |_, piece| file.0.read(piece))
        })
    }
}

/// Skips `length` bytes. Skipping past the end of the file is not an error.
///
/// # Safety
/// `file` is NULL or a file that no other call uses now; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_seqfile_skip(
    file: *mut leveldb_seqfile_t,
    length: u64,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises; the handle came from `give`.
    unsafe {
        guard(errptr, (), || {
            let file = handle::lend_mut(file).ok_or_else(|| handle::is_null("file"))?;
            file.0.skip(length)
        });
    }
}

/// Closes a file and destroys its handle. NULL is allowed.
///
/// # Safety
/// `file` is NULL or not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_seqfile_destroy(file: *mut leveldb_seqfile_t) {
    // SAFETY: the caller gives up a handle that came from `give`.
    contain((), || drop(unsafe { handle::take_back(file) }));
}

/// Opens a file to be read at any offset, by any number of threads at the same time. Returns NULL on failure.
/// Destroy the file with terrace_randomfile_destroy().
///
/// # Safety
/// `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_env_new_random_access_file(
    env: *const leveldb_env_t,
    path: *const c_char,
    errptr: *mut *mut c_char,
) -> *mut leveldb_randomfile_t {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, ptr::null_mut(), || {
            let path = bytes::path(path, "path")?;
            let file = env_of(env).open_random_access(path, ReadMode::Positioned)?;
            Ok(handle::give(leveldb_randomfile_t(file)))
        })
    }
}

/// Reads up to `length` bytes at `offset` and returns the number of bytes read: fewer than `length` only at
/// the end of the file, or on failure. The rest of `buffer` is not written to, so it may be shorter than
/// `length` if the file is shorter too.
///
/// # Safety
/// `file` is NULL or not destroyed; `buffer` is writable for `length` bytes, or for as many as the file has
/// from `offset` on; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_randomfile_read(
    file: *const leveldb_randomfile_t,
    offset: u64,
    buffer: *mut c_char,
    length: usize,
    errptr: *mut *mut c_char,
) -> usize {
    // SAFETY: as the caller promises; the handle came from `give`.
    unsafe {
        guard(errptr, 0, || {
            let file = handle::required(file, "file")?;
            read_into(buffer, length, |done, piece| file.0.read_at(offset.saturating_add(done), piece))
        })
    }
}

/// Closes a file and destroys its handle. NULL is allowed.
///
/// # Safety
/// `file` is NULL or not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_randomfile_destroy(file: *mut leveldb_randomfile_t) {
    // SAFETY: the caller gives up a handle that came from `give`.
    contain((), || drop(unsafe { handle::take_back(file) }));
}

/// Opens a file to be written, and creates it if it is missing. If `append` is not 0, writing continues at
/// the end of the file; else the file is truncated. Returns NULL on failure. Destroy the file with
/// terrace_writablefile_destroy().
///
/// # Safety
/// `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_env_new_writable_file(
    env: *const leveldb_env_t,
    path: *const c_char,
    append: u8,
    errptr: *mut *mut c_char,
) -> *mut leveldb_writablefile_t {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, ptr::null_mut(), || {
            let (env, path) = (env_of(env), bytes::path(path, "path")?);
            let mode = if append != 0 { CreateMode::Append } else { CreateMode::Truncate };
            let file = env.create_writable(path, mode)?;
            let unsynced_name = Some((env, parent_of(path).to_path_buf()));
            Ok(handle::give(leveldb_writablefile_t { file, unsynced_name }))
        })
    }
}

/// Calls `body` with a writable file, and reports its failure.
///
/// # Safety
/// `file` is NULL or a file that no other call uses now; `errptr` as in (3).
unsafe fn with_writable(
    file: *mut leveldb_writablefile_t,
    errptr: *mut *mut c_char,
    body: impl FnOnce(&mut leveldb_writablefile_t) -> Result<()>,
) {
    // SAFETY: as the caller promises; the handle came from `give`.
    unsafe {
        guard(errptr, (), || body(handle::lend_mut(file).ok_or_else(|| handle::is_null("file"))?));
    }
}

/// Appends bytes. They may stay in a buffer of the library.
///
/// # Safety
/// `file` is NULL or a file that no other call uses now; `data` has its length; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_writablefile_append(
    file: *mut leveldb_writablefile_t,
    data: *const c_char,
    length: usize,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe { with_writable(file, errptr, |file| file.file.append(bytes::input(data, length, "data")?)) };
}

/// Passes all appended bytes to the operating system, so that they survive the death of the process.
///
/// # Safety
/// `file` is NULL or a file that no other call uses now; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_writablefile_flush(
    file: *mut leveldb_writablefile_t,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe { with_writable(file, errptr, |file| file.file.flush()) };
}

/// Makes all appended bytes and the name of the file durable: both survive a power loss.
///
/// # Safety
/// `file` is NULL or a file that no other call uses now; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_writablefile_sync(
    file: *mut leveldb_writablefile_t,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe {
        with_writable(file, errptr, |file| {
            file.file.sync()?;
            if let Some((env, directory)) = &file.unsynced_name {
                env.sync_dir(directory)?;
            }
            file.unsynced_name = None;
            Ok(())
        });
    }
}

/// Passes all appended bytes to the operating system and closes the file, which can then only be destroyed.
///
/// # Safety
/// `file` is NULL or a file that no other call uses now; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_writablefile_close(
    file: *mut leveldb_writablefile_t,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe { with_writable(file, errptr, |file| file.file.close()) };
}

/// Destroys a file, and closes it if it is still open. NULL is allowed.
///
/// # Safety
/// `file` is NULL or not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_writablefile_destroy(file: *mut leveldb_writablefile_t) {
    // SAFETY: the caller gives up a handle that came from `give`.
    contain((), || drop(unsafe { handle::take_back(file) }));
}

/// Returns 1 if there is a file or directory of that name, else 0.
///
/// # Safety
/// `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_env_file_exists(env: *const leveldb_env_t, path: *const c_char) -> u8 {
    // SAFETY: as the caller promises.
    contain(0, || unsafe { bytes::path(path, "path").map_or(0, |path| u8::from(env_of(env).exists(path))) })
}

/// Calls `child` with `state` and the name of each entry of a directory. The name has no directory part and
/// is not NUL-terminated.
///
/// # Safety
/// `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated; `child` is NULL or
/// returns normally; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_env_get_children(
    env: *const leveldb_env_t,
    path: *const c_char,
    state: *mut c_void,
    child: Option<unsafe extern "C" fn(state: *mut c_void, name: *const c_char, length: usize)>,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises; the names live during the callbacks.
    unsafe {
        guard(errptr, (), || {
            for name in env_of(env).children(bytes::path(path, "path")?)? {
                if let Some(child) = child {
                    child(state, bytes::pointer_to(name.as_bytes()), name.len());
                }
            }
            Ok(())
        });
    }
}

/// Removes a file.
///
/// # Safety
/// `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_env_remove_file(
    env: *const leveldb_env_t,
    path: *const c_char,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe { guard(errptr, (), || env_of(env).remove_file(bytes::path(path, "path")?)) };
}

/// Creates a directory. Fails if it exists.
///
/// # Safety
/// `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_env_create_dir(
    env: *const leveldb_env_t,
    path: *const c_char,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, (), || {
            let (env, path) = (env_of(env), bytes::path(path, "path")?);
            if env.exists(path) {
                return Err(Error::from_errno(path, libc::EEXIST));
            }
            env.create_dir(path)
        });
    }
}

/// Removes an empty directory.
///
/// # Safety
/// `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_env_remove_dir(
    env: *const leveldb_env_t,
    path: *const c_char,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe { guard(errptr, (), || env_of(env).remove_dir(bytes::path(path, "path")?)) };
}

/// Returns the size of a file, in bytes; 0 on failure.
///
/// # Safety
/// `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_env_get_file_size(
    env: *const leveldb_env_t,
    path: *const c_char,
    errptr: *mut *mut c_char,
) -> u64 {
    // SAFETY: as the caller promises.
    unsafe { guard(errptr, 0, || env_of(env).file_size(bytes::path(path, "path")?)) }
}

/// Renames a file, replacing a file that has the new name, and makes the rename durable.
///
/// # Safety
/// `env` is NULL (the default one) or not destroyed; `from` and `to` are NULL or NUL-terminated; `errptr` as
/// in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_env_rename_file(
    env: *const leveldb_env_t,
    from: *const c_char,
    to: *const c_char,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, (), || {
            let (env, to) = (env_of(env), bytes::path(to, "to")?);
            env.rename(bytes::path(from, "from")?, to)?;
            env.sync_dir(parent_of(to))
        });
    }
}

/// Locks a file against other processes and other calls; creates the file if it is missing. Never waits.
/// Returns NULL on failure, and if the lock is held. Unlock the file with terrace_filelock_destroy().
///
/// # Safety
/// `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_env_lock_file(
    env: *const leveldb_env_t,
    path: *const c_char,
    errptr: *mut *mut c_char,
) -> *mut leveldb_filelock_t {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, ptr::null_mut(), || {
            let lock = env_of(env).lock_file(bytes::path(path, "path")?)?;
            Ok(handle::give(leveldb_filelock_t(lock)))
        })
    }
}

/// Unlocks a file and destroys the handle. NULL is allowed.
///
/// # Safety
/// `lock` is NULL or not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_filelock_destroy(lock: *mut leveldb_filelock_t) {
    // SAFETY: the caller gives up a handle that came from `give`.
    contain((), || drop(unsafe { handle::take_back(lock) }));
}

/// Returns microseconds since the Unix epoch, by the clock of the environment.
///
/// # Safety
/// `env` is NULL (the default one) or not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_env_now_micros(env: *const leveldb_env_t) -> u64 {
    // SAFETY: as the caller promises.
    contain(0, || unsafe { env_of(env) }.now_micros())
}
