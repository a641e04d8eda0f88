//! `leveldb_writeoptions_t`: the options of one write. The handle is a header of `option_header`.
#![allow(unsafe_code)]

use super::option_header::{NOTHING, OptionHeader, OptionKind};

/// The options of one write; see leveldb_writeoptions_create().
#[allow(non_camel_case_types)]
pub struct leveldb_writeoptions_t {
    _private: [u8; 0],
}

/// Creates write options with LevelDB's default: not synced. Destroy them with
/// leveldb_writeoptions_destroy().
#[unsafe(no_mangle)]
pub extern "C" fn leveldb_writeoptions_create() -> *mut leveldb_writeoptions_t {
    OptionHeader::create(OptionKind::WriteOptions, NOTHING)
}

/// Destroys write options.
///
/// # Safety
/// `options` is NULL or options that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_writeoptions_destroy(options: *mut leveldb_writeoptions_t) {
    // SAFETY: the caller gives up a handle that came from `create`.
    unsafe { OptionHeader::destroy(options) };
}

/// Return from a write only when it and every write before it survive a power loss. Without this, a write
/// that returned survives the death of the process, but not a crash of the machine. Default: no.
///
/// # Safety
/// `options` is NULL or write options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_writeoptions_set_sync(options: *mut leveldb_writeoptions_t, sync: u8) {
    // SAFETY: as the caller promises.
    if let Some(header) = unsafe { OptionHeader::of_mut(options) } {
        header.set_flag(sync);
    }
}
