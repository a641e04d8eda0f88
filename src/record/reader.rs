//! Reads the records of a file: all that LevelDB reads, and nothing that a crash left.
//!
//! Three things can be wrong with a file:
//! - *Torn tail*: the file ends inside of a fragment, between the fragments of a record, or in zeros, and no
//!   other record begins after that. The writing process or the machine died; the last record was not
//!   acknowledged. A torn tail is a normal end.
//! - *Hole*: there are zeros in place of data, and whole records after them. After a crash the file system
//!   may have kept a later block and lost an earlier one; then nothing after the hole was ever synced. A hole
//!   is reported once. A caller that reads on gets the records from the next block on.
//! - *Damage*: bytes contradict the format or their checksum. The rest of the block is dropped, since its
//!   framing cannot be trusted, or only the fragment, if it is whole but does not belong where it is. Reading
//!   continues after the dropped bytes.
//!
//! Fragments are never joined across any of these.
//!
//! Zeros are distinguished from damage by their place. They are a torn tail or a hole in these cases: a
//! header of type 0 and length 0; in a fragment with a wrong checksum, a sector (512 bytes, the least that a
//! disk writes) of zeros only, or a final zero byte that is followed by zeros to the end of the block; a
//! header that crosses two sectors and is all zeros in one of them.
//!
//! Thread rule: one thread at a time.

use super::{BLOCK_SIZE, FIRST, FULL, HEADER_SIZE, LAST, MIDDLE, ZERO};
use crate::env::SequentialFile;
use crate::error::{Error, Result};
use crate::util::crc32c;
use std::ops::Range;
use std::path::PathBuf;

/// The least that a disk writes as a whole, in bytes.
const SECTOR_SIZE: usize = 512;

/// The limit on the bytes that are checksummed in the search for records after an apparent torn tail. The
/// search tries every offset of a block, and a file may be crafted to make that slow. Beyond the limit the
/// reader assumes that there are records.
const SEARCH_BUDGET: usize = 64 << 20;

/// A damaged part of the file.
#[derive(Clone, Debug)]
pub struct Damage {
    /// The offset in the file at which it begins.
    #[cfg_attr(not(any(test, feature = "test-support")), allow(dead_code))]
    pub offset: u64,
    /// The number of bytes of the file that were dropped.
    pub bytes: u64,
    /// The reason, with the name of the file.
    pub error: Error,
    /// True if a record may begin in the dropped bytes. If none does, and no record follows, the damage may
    /// be what a crash left of a record that was never synced: its space was allocated, and the file system
    /// had not written to it.
    pub hides_records: bool,
}

/// The outcome of reading the next record.
#[derive(Clone, Debug)]
pub enum ReadOutcome {
    /// The buffer holds a whole record.
    Record,
    /// Damage was skipped. Reading may continue after it.
    Damage(Damage),
    /// Zeros begin at this offset, and whole records follow them: these were written later than something
    /// that is lost, and were never synced. Reading may continue at the next block.
    Hole(u64),
    /// The end of the file: clean, or after a torn or zeroed tail, which is not damage.
    End,
}

/// The next piece of the file, before fragments are joined to records.
enum Piece {
    /// A fragment with a correct checksum: its type, and the place of its payload in the block. Not consumed
    /// yet.
    Fragment(u8, Range<usize>),
    /// The rest of the block from this offset on was dropped, for this reason; true if a record may begin in
    /// it.
    Damaged(u64, &'static str, bool),
    /// A fragment that was never written, or was lost: zeros begin at this offset.
    Zeroed(u64),
    /// No whole fragment follows.
    End,
}

/// Reads the records of a file in order.
pub struct RecordReader {
    file: Box<dyn SequentialFile>,
    path: PathBuf,
    block: Box<[u8]>,
    /// The number of bytes in the block: `BLOCK_SIZE`, except for the last block.
    block_length: usize,
    /// The position in the block of the next byte to read.
    position: usize,
    /// The offset in the file of the next block.
    next_block_offset: u64,
    /// True if the file ends with this block.
    is_last_block: bool,
    record_offset: u64,
    end_of_last_record: u64,
    search_budget: usize,
    /// Does reading continue at the first record that is found after a loss, even in the same block?
    resumes_in_block: bool,
    failure: Option<Error>,
}

impl RecordReader {
    /// A reader of `file` from its beginning. `path` is for messages.
    pub fn new(file: Box<dyn SequentialFile>, path: PathBuf) -> Self {
        RecordReader {
            file,
            path,
            block: vec![0; BLOCK_SIZE].into_boxed_slice(),
            block_length: 0,
            position: 0,
            next_block_offset: 0,
            is_last_block: false,
            record_offset: 0,
            end_of_last_record: 0,
            search_budget: SEARCH_BUDGET,
            resumes_in_block: false,
            failure: None,
        }
    }

    /// After a hole or damage, the next record read is the first one that is found by its checksum, and not
    /// the first one of the next block.
    pub fn resuming_in_block(mut self) -> Self {
        self.resumes_in_block = true;
        self
    }

    /// Reads the next record into `record`, replacing its contents (which are meaningless unless the outcome
    /// is `Record`). Returns an error only if the file cannot be read; later calls then fail too.
    pub fn read_record(&mut self, record: &mut Vec<u8>) -> Result<ReadOutcome> {
        record.clear();
        let mut begin = None; // the offset of the record whose fragments are being joined
        loop {
            let (kind, payload) = match self.next_piece()? {
                Piece::Fragment(kind, payload) => (kind, payload),
                Piece::Damaged(offset, what, hides_records) => {
                    let offset = begin.unwrap_or(offset);
                    return Ok(self.damage(offset, self.offset(), what, hides_records));
                }
                Piece::Zeroed(offset) => return self.skip_zeros(offset),
                Piece::End => return Ok(ReadOutcome::End),
            };
            let offset = self.offset();
            if let (FULL | FIRST, Some(begin)) = (kind, begin) {
                // Old writers left an empty FIRST at the end of a block and began the record again in the
                // next block.
                if !record.is_empty() {
                    return Ok(self.damage(begin, offset, "partial record without end", true));
                }
            }
            self.position = payload.end;
            if record.try_reserve(payload.len()).is_err() {
                return Err(Error::no_memory("a record"));
            }
            match (kind, begin) {
                (FULL, _) | (LAST, Some(_)) => {
                    record.extend_from_slice(&self.block[payload]);
                    self.record_offset = if kind == FULL { offset } else { begin.unwrap_or(offset) };
                    self.end_of_last_record = self.offset();
                    return Ok(ReadOutcome::Record);
                }
                (FIRST, _) => {
                    record.extend_from_slice(&self.block[payload]);
                    begin = Some(offset);
                }
                (MIDDLE, Some(_)) => record.extend_from_slice(&self.block[payload]),
                (MIDDLE | LAST, None) => {
                    let what = "missing start of fragmented record";
                    return Ok(self.damage(offset, self.offset(), what, true));
                }
                _ => {
                    let what = format!("unknown record type {kind}");
                    return Ok(self.damage(begin.unwrap_or(offset), self.offset(), &what, true));
                }
            }
        }
    }

    /// The offset in the file of the record that was read last.
    pub fn record_offset(&self) -> u64 {
        self.record_offset
    }

    /// The offset after the last whole record. If it equals the length of the file, and no damage or hole was
    /// reported, the file ended cleanly and may be appended to.
    pub fn end_of_last_record(&self) -> u64 {
        self.end_of_last_record
    }

    /// The offset in the file of the next byte to read.
    #[inline]
    fn offset(&self) -> u64 {
        self.next_block_offset - (self.block_length - self.position) as u64
    }

    #[cold]
    fn damage(&self, begin: u64, end: u64, what: &str, hides_records: bool) -> ReadOutcome {
        let bytes = end - begin;
        let what = format_args!("{what} at offset {begin}, {bytes} bytes skipped");
        let error = Error::corruption_in(&self.path, what);
        ReadOutcome::Damage(Damage { offset: begin, bytes, error, hides_records })
    }

    /// Finds the next fragment and leaves the position at its header. If there is no good fragment, moves to
    /// the end of the block.
    fn next_piece(&mut self) -> Result<Piece> {
        while self.block_length - self.position < HEADER_SIZE {
            self.position = self.block_length;
            if self.is_last_block {
                return Ok(Piece::End);
            }
            self.read_block()?;
        }
        let rest = &self.block[self.position..self.block_length];
        let (kind, length) = (rest[6], usize::from(rest[4]) | usize::from(rest[5]) << 8);
        if kind == ZERO && length == 0 {
            return Ok(Piece::Zeroed(self.offset()));
        }
        let Some(checked) = rest.get(6..HEADER_SIZE + length) else {
            let offset = self.offset();
            if self.is_half_a_header(self.position) {
                return Ok(Piece::Zeroed(offset));
            }
            let hides_records = self.drop_block();
            let is_torn = self.is_last_block && !hides_records;
            let damaged = Piece::Damaged(offset, "bad record length", hides_records);
            return Ok(if is_torn { Piece::End } else { damaged });
        };
        let payload = self.position + HEADER_SIZE..self.position + HEADER_SIZE + length;
        if crc32c::mask(crc32c::value(checked)).to_le_bytes() == rest[..4] {
            return Ok(Piece::Fragment(kind, payload));
        }
        if self.is_half_a_header(self.position) {
            return Ok(Piece::Zeroed(self.offset()));
        }
        if let Some(zeros) = self.zeros_in_fragment(self.position..payload.end) {
            return Ok(Piece::Zeroed(self.offset() + (zeros - self.position) as u64));
        }
        let offset = self.offset();
        let hides_records = self.drop_block();
        Ok(Piece::Damaged(offset, "checksum mismatch", hides_records))
    }

    fn read_block(&mut self) -> Result<()> {
        if let Some(error) = &self.failure {
            return Err(error.clone());
        }
        match self.file.read(&mut self.block) {
            Ok(length) => {
                self.block_length = length.min(BLOCK_SIZE);
                self.position = 0;
                self.next_block_offset += self.block_length as u64;
                self.is_last_block = self.block_length < BLOCK_SIZE;
                Ok(())
            }
            Err(error) => {
                self.failure = Some(error.clone());
                Err(error)
            }
        }
    }

    /// True if the header at `position` (in the block) crosses two sectors, one of which was never written or
    /// was lost.
    fn is_half_a_header(&self, position: usize) -> bool {
        let (end, sector) = (position + HEADER_SIZE, position.next_multiple_of(SECTOR_SIZE));
        (position + 1..end).contains(&sector)
            && (is_zero(&self.block[position..sector]) || is_zero(&self.block[sector..end]))
    }

    /// The position in the block at which foreign zeros begin in the fragment at `range`, whose checksum is
    /// wrong.
    fn zeros_in_fragment(&self, range: Range<usize>) -> Option<usize> {
        let behind = &self.block[range.end..self.block_length];
        if behind.len() >= HEADER_SIZE && self.block[range.end - 1] == 0 && is_zero(behind) {
            return Some(range.end - 1);
        }
        // The last sector of the file may be short.
        let mut sector = range.start / SECTOR_SIZE * SECTOR_SIZE;
        while sector < range.end {
            let end = self.block_length.min(sector + SECTOR_SIZE);
            if is_zero(&self.block[sector..end]) {
                return Some(sector.max(range.start));
            }
            sector = end;
        }
        None
    }

    /// Zeros begin at `offset`, in the fragment at the position. They are a hole if a record begins after
    /// them, else a torn tail. Later fragments of a torn record may have been written; they do not count as
    /// records.
    fn skip_zeros(&mut self, offset: u64) -> Result<ReadOutcome> {
        let mut found = self.drop_block();
        while !found {
            match self.next_piece()? {
                Piece::End => return Ok(ReadOutcome::End),
                Piece::Fragment(FULL | FIRST, _) => found = true, // it is read by the next call
                Piece::Fragment(_, payload) => self.position = payload.end,
                Piece::Damaged(..) => {}
                Piece::Zeroed(_) => found = self.drop_block(),
            }
        }
        Ok(ReadOutcome::Hole(offset))
    }

    /// Moves to the end of the block, or to the first record in the rest of it (see `resuming_in_block`).
    /// True if a record begins in the rest. Its framing is lost, so every offset is tried.
    fn drop_block(&mut self) -> bool {
        let start = self.position;
        let rest = &self.block[start..self.block_length];
        self.position = self.block_length;
        if is_zero(rest) {
            return false; // the usual case, a preallocated tail
        }
        let is_whole_block = self.block_length == BLOCK_SIZE;
        for (begin, header) in rest.windows(HEADER_SIZE).enumerate().skip(1) {
            let kind = header[6];
            let length = usize::from(header[4]) | usize::from(header[5]) << 8;
            let Some(checked) = rest.get(begin + 6..begin + HEADER_SIZE + length) else { continue };
            let reaches_end = is_whole_block && begin + HEADER_SIZE + length == rest.len();
            if kind != FULL && !(kind == FIRST && reaches_end) {
                continue;
            }
            if self.search_budget < checked.len() {
                return true;
            }
            self.search_budget -= checked.len();
            if crc32c::mask(crc32c::value(checked)).to_le_bytes() == header[..4] {
                if self.resumes_in_block {
                    self.position = start + begin;
                }
                return true;
            }
        }
        false
    }
}

/// True if all bytes are zero. Works on 64 bytes at a time, without a branch per byte.
fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(64).all(|chunk| chunk.iter().fold(0, |sum, byte| sum | byte) == 0)
}

#[cfg(test)]
mod tests;
