//! zstd frames, by the crate `zstd-safe` (the C library): what LevelDB's main branch writes.
//!
//! A block is one frame, and nothing else. A frame mostly says how long its contents are; that is believed only as far as a frame
//! of its length can reach, and no further than memory is there. What then comes out must be as long as it said.
//!
//! A thread keeps one decompressor; a compressor belongs to one builder.

use super::{DecompressError, grow};
use std::cell::Cell;
use zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd_safe::{CCtx, CParameter, DCtx, ResetDirective};

/// What a block within a frame takes at least, and holds at most.
const MIN_INNER_BLOCK: usize = 4;
const MAX_INNER_BLOCK: usize = 128 << 10;

/// Most blocks are no longer than this many times what is stored.
const USUAL_RATIO: usize = 8;

thread_local! {
    static DECOMPRESSOR: Cell<Option<DCtx<'static>>> = const { Cell::new(None) };
}

/// Decompresses a whole frame, of at most `limit` bytes, into `block`, whose contents are replaced.
pub fn decompress(stored: &[u8], limit: usize, block: &mut Vec<u8>) -> Result<(), DecompressError> {
    // Another frame behind it, or one to be skipped, would be read as well.
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
    // None is there at first, and at the end of the thread.
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

/// The frame does not say how long its contents are: more and more room is tried.
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

/// Is it this error? (The library hands the negative numbers over as lengths.)
fn is(code: usize, error: ZSTD_ErrorCode) -> bool {
    code == (error as usize).wrapping_neg()
}

/// The levels that there are.
pub fn levels() -> std::ops::RangeInclusive<i32> {
    zstd_safe::min_c_level()..=zstd_safe::max_c_level()
}

/// Compresses block after block.
pub struct Encoder(CCtx<'static>);

impl Encoder {
    /// `level`: one of `levels`. `None` where there is no memory for it.
    pub fn new(level: i32) -> Option<Self> {
        let mut context = CCtx::try_create()?;
        context.set_parameter(CParameter::CompressionLevel(level)).ok()?;
        Some(Encoder(context))
    }

    /// The length of the compressed form of `block`, which is now in `room`; `None` where it does not fit.
    pub fn compress(&mut self, block: &[u8], room: &mut [u8]) -> Option<usize> {
        let compressed = self.0.compress2(room, block).ok();
        if compressed.is_none() {
            // A frame that did not fit is left open.
            let _ = self.0.reset(ResetDirective::SessionOnly);
        }
        compressed
    }
}
