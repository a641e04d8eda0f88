//! zlib's format (RFC 1950) and raw deflate (RFC 1951) (Minecraft's fork of LevelDB), by the crate `flate2`.
//!
//! A stream does not claim a length. It is decompressed into memory that grows with the output, so that a
//! short stream costs no more than its contents. The stream must end where the stored block ends.
//!
//! Thread rule: each thread keeps one decompressor. A compressor belongs to one builder.

use super::{DecompressError, grow};
use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};
use std::cell::Cell;

/// Most blocks are at most this many times longer than their stored bytes.
const USUAL_RATIO: usize = 4;

thread_local! {
    static DECOMPRESSOR: Cell<Option<Box<Decompress>>> = const { Cell::new(None) };
}

/// Decompresses a whole stream, of at most `limit` bytes, into `block`, replacing its contents. `has_header`:
/// zlib's format; else raw deflate.
pub fn decompress(
    has_header: bool,
    stored: &[u8],
    limit: usize,
    block: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    // There is none at first, and when the thread ends.
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
            // Bytes follow the stream.
            Status::StreamEnd => return Err(DecompressError::BadStream),
            // There was room for more output, and none came: the end of the stream is missing.
            Status::Ok | Status::BufError if block.len() < block.capacity() => {
                return Err(DecompressError::BadStream);
            }
            Status::Ok | Status::BufError => {
                // One byte beyond the limit shows that the limit is exceeded.
                let length = block.len();
                grow(block, (length + length / 2 + 64).min(limit + 1))?;
            }
        }
    }
}

/// Compresses blocks one after another.
pub struct Encoder(Compress);

impl Encoder {
    /// `level`: 0 to 9. `has_header`: zlib's format, else raw deflate.
    pub fn new(level: u32, has_header: bool) -> Self {
        Encoder(Compress::new(flate2::Compression::new(level), has_header))
    }

    /// Compresses `block` into `room` and returns the compressed length; `None` if it does not fit.
    pub fn compress(&mut self, block: &[u8], room: &mut [u8]) -> Option<usize> {
        self.0.reset();
        match self.0.compress(block, room, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => Some(self.0.total_out() as usize),
            _ => None,
        }
    }
}
