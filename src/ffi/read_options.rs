//! `leveldb_readoptions_t`: the options of one read. The handle is a header of `option_header`.
#![allow(unsafe_code)]

use super::handle;
use super::option_header::{NOTHING, OptionHeader, OptionKind};
use super::snapshot::leveldb_snapshot_t;

/// The options of one read; see leveldb_readoptions_create().
#[allow(non_camel_case_types)]
pub struct leveldb_readoptions_t {
    _private: [u8; 0],
}

/// Creates read options with LevelDB's defaults: no verification, blocks are cached, the latest state is
/// read. Destroy them with leveldb_readoptions_destroy(). Every call copies the read options that it gets, so
/// they may be destroyed at any time.
#[unsafe(no_mangle)]
pub extern "C" fn leveldb_readoptions_create() -> *mut leveldb_readoptions_t {
    OptionHeader::create(OptionKind::ReadOptions, NOTHING)
}

/// Destroys read options.
///
/// # Safety
/// `options` is NULL or options that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_readoptions_destroy(options: *mut leveldb_readoptions_t) {
    // SAFETY: the caller gives up a handle that came from `create`.
    unsafe { OptionHeader::destroy(options) };
}

/// Verify the checksum of every block that is read, even if it was verified before. Default: no.
///
/// # Safety
/// `options` is NULL or read options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_readoptions_set_verify_checksums(
    options: *mut leveldb_readoptions_t,
    verify_checksums: u8,
) {
    // SAFETY: as the caller promises.
    if let Some(header) = unsafe { OptionHeader::of_mut(options) } {
        header.set_flag(verify_checksums);
    }
}

/// Keep the blocks that are read in the block cache. Turn it off for scans over much data. Default: yes.
///
/// # Safety
/// `options` is NULL or read options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_readoptions_set_fill_cache(
    options: *mut leveldb_readoptions_t,
    fill_cache: u8,
) {
    // SAFETY: as the caller promises.
    if let Some(header) = unsafe { OptionHeader::of_mut(options) } {
        header.set_fill_cache(fill_cache);
    }
}

/// Read the state of `snapshot`, which must belong to the database that is read. NULL, the default, reads the
/// latest state. So does a snapshot that was released, before or after this call.
///
/// # Safety
/// `options` is NULL or read options that no other call uses now; `snapshot` is NULL or came from
/// leveldb_create_snapshot().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_readoptions_set_snapshot(
    options: *mut leveldb_readoptions_t,
    snapshot: *const leveldb_snapshot_t,
) {
    // SAFETY: as the caller promises; the handles of snapshots are never freed.
    unsafe {
        if let Some(header) = OptionHeader::of_mut(options) {
            header.set_snapshot(handle::lend(snapshot));
        }
    }
}
