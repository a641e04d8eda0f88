//! zlib's format (RFC 1950) and raw deflate (RFC 1951), by the crate `flate2`: what Minecraft's fork of LevelDB writes.
//!
//! A stream does not say how long its contents are. They are decompressed into memory that grows with what comes out, so that a
//! short stream of much costs no more than it really holds. Where a stream ends, the stored block must end.
//!
//! A thread keeps one decompressor; a compressor belongs to one builder.

use super::{DecompressError, grow};
use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};
use std::cell::Cell;

/// Most blocks are no longer than this many times what is stored.
const USUAL_RATIO: usize = 4;

thread_local! {
    static DECOMPRESSOR: Cell<Option<Box<Decompress>>> = const { Cell::new(None) };
}

/// Decompresses a whole stream, of at most `limit` bytes, into `block`, whose contents are replaced. `has_header`: zlib's format, else raw deflate.
pub fn decompress(
    has_header: bool,
    stored: &[u8],
    limit: usize,
    block: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    // None is there at first, and at the end of the thread.
    let kept = DECOMPRESSOR.try_with(Cell::take).unwrap_or_default();
    let mut decompressor = kept.unwrap_or_else(|| Box::new(Decompress::new(has_header)));
    decompressor.reset(has_header);
    let result = decompress_with(&mut decompressor, stored, limit, block);
    let _ = DECOMPRESSOR.try_with(|place| place.set(Some(decompressor)));
    result
}

fn decompress_with(
    decompressor: &mut Decompress,
    stored: &[u8],
    limit: usize,
    block: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    block.clear();
    let usual = stored.len().saturating_mul(USUAL_RATIO).min(limit);
    grow(block, usual)?;
    loop {
        let consumed = decompressor.total_in() as usize;
        let rest = stored.get(consumed..).unwrap_or_default();
        let status = match decompressor.decompress_vec(rest, block, FlushDecompress::Finish) {
            Ok(status) => status,
            Err(error) if error.needs_dictionary().is_some() => return Err(DecompressError::NeedsDictionary),
            Err(_) => return Err(DecompressError::BadStream),
        };
        if block.len() > limit {
            return Err(DecompressError::TooLong);
        }
        match status {
            Status::StreamEnd if decompressor.total_in() == stored.len() as u64 => return Ok(()),
            // There is something behind it.
            Status::StreamEnd => return Err(DecompressError::BadStream),
            // There was room for more, and nothing more came: the stream has lost its end.
            Status::Ok | Status::BufError if block.len() < block.capacity() => {
                return Err(DecompressError::BadStream);
            }
            Status::Ok | Status::BufError => {
                // One byte beyond the limit shows that it is passed.
                let length = block.len();
                grow(block, (length + length / 2 + 64).min(limit + 1))?;
            }
        }
    }
}

/// Compresses block after block.
pub struct Encoder(Compress);

impl Encoder {
    /// `level`: 0 to 9. `has_header`: zlib's format, else raw deflate.
    pub fn new(level: u32, has_header: bool) -> Self {
        Encoder(Compress::new(flate2::Compression::new(level), has_header))
    }

    /// The length of the compressed form of `block`, which is now in `room`; `None` where it does not fit.
    pub fn compress(&mut self, block: &[u8], room: &mut [u8]) -> Option<usize> {
        self.0.reset();
        match self.0.compress(block, room, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => Some(self.0.total_out() as usize),
            _ => None,
        }
    }
}
