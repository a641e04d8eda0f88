//! zstd frames (LevelDB's main branch), by the crate `zstd-safe`, which contains the C library.
//!
//! A block is exactly one frame. Most frames claim the length of their contents. That claim is believed only
//! as far as a frame of this length can decompress, and only as far as there is memory. The contents must
//! then have exactly the claimed length.
//!
//! Thread rule: each thread keeps one decompressor. A compressor belongs to one builder.

use super::{DecompressError, grow};
use std::cell::Cell;
use zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd_safe::{CCtx, CParameter, DCtx, ResetDirective};

/// The least bytes that a block within a frame takes, and the most that it holds.
const MIN_INNER_BLOCK: usize = 4;
const MAX_INNER_BLOCK: usize = 128 << 10;

/// Most blocks are at most this many times longer than their stored bytes.
const USUAL_RATIO: usize = 8;

thread_local! {
    static DECOMPRESSOR: Cell<Option<DCtx<'static>>> = const { Cell::new(None) };
}

/// Decompresses a whole frame, of at most `limit` bytes, into `block`, replacing its contents.
pub fn decompress(stored: &[u8], limit: usize, block: &mut Vec<u8>) -> Result<(), DecompressError> {
    // Further frames and skippable frames would be decompressed too.
    if zstd_safe::find_frame_compressed_size(stored) != Ok(stored.len()) {
        return Err(DecompressError::BadStream);
    }
    if zstd_safe::get_dict_id_from_frame(stored).is_some() {
        return Err(DecompressError::NeedsDictionary);
    }
    let reach = (stored.len() / MIN_INNER_BLOCK + 1).saturating_mul(MAX_INNER_BLOCK) as u64;
    let length = match zstd_safe::get_frame_content_size(stored) {
        Ok(Some(length)) if length > reach => return Err(DecompressError::BadStream),
        Ok(Some(length)) if length > limit as u64 => return Err(DecompressError::TooLong),
        Ok(Some(length)) => Some(length as usize),
        Ok(None) => None,
        Err(_) => return Err(DecompressError::BadStream),
    };
    // There is none at first, and when the thread ends.
    let kept = DECOMPRESSOR.try_with(Cell::take).unwrap_or_default();
    let Some(mut decompressor) = kept.or_else(DCtx::try_create) else {
        return Err(DecompressError::NoMemory);
    };
    let result = match length {
        Some(length) => decompress_known(&mut decompressor, stored, length, block),
        None => decompress_unknown(&mut decompressor, stored, limit, block),
    };
    let _ = DECOMPRESSOR.try_with(|place| place.set(Some(decompressor)));
    result
}

fn decompress_known(
    decompressor: &mut DCtx<'_>,
    stored: &[u8],
    length: usize,
    block: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    block.clear();
    grow(block, length)?;
    match decompressor.decompress(block, stored) {
        Ok(decompressed) if decompressed == length => Ok(()),
        Err(code) if is(code, ZSTD_ErrorCode::ZSTD_error_memory_allocation) => Err(DecompressError::NoMemory),
        _ => Err(DecompressError::BadStream),
    }
}

/// Decompresses a frame that does not claim a length: tries with more and more room.
fn decompress_unknown(
    decompressor: &mut DCtx<'_>,
    stored: &[u8],
    limit: usize,
    block: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    let mut room = stored.len().saturating_mul(USUAL_RATIO).max(1 << 10);
    loop {
        room = room.min(limit);
        block.clear();
        grow(block, room)?;
        match decompressor.decompress(block, stored) {
            Ok(_) if block.len() > limit => return Err(DecompressError::TooLong),
            Ok(_) => return Ok(()),
            Err(code) if is(code, ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall) => {
                if room == limit {
                    return Err(DecompressError::TooLong);
                }
                room = block.capacity().max(room).saturating_mul(2);
            }
            Err(code) if is(code, ZSTD_ErrorCode::ZSTD_error_memory_allocation) => {
                return Err(DecompressError::NoMemory);
            }
            Err(_) => return Err(DecompressError::BadStream),
        }
    }
}

/// True if `code` is this error. The library returns negative error numbers as lengths.
fn is(code: usize, error: ZSTD_ErrorCode) -> bool {
    code == (error as usize).wrapping_neg()
}

/// The levels of the library.
pub fn levels() -> std::ops::RangeInclusive<i32> {
    zstd_safe::min_c_level()..=zstd_safe::max_c_level()
}

/// Compresses blocks one after another.
pub struct Encoder(CCtx<'static>);

impl Encoder {
    /// `level` is one of `levels`. `None` if there is no memory.
    pub fn new(level: i32) -> Option<Self> {
        let mut context = CCtx::try_create()?;
        context.set_parameter(CParameter::CompressionLevel(level)).ok()?;
        Some(Encoder(context))
    }

    /// Compresses `block` into `room` and returns the compressed length; `None` if it does not fit.
    pub fn compress(&mut self, block: &[u8], room: &mut [u8]) -> Option<usize> {
        let compressed = self.0.compress2(room, block).ok();
        if compressed.is_none() {
            // The frame that did not fit is still open in the context.
            let _ = self.0.reset(ResetDirective::SessionOnly);
        }
        compressed
    }
}
