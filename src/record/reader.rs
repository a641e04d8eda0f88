//! Reads the records of a file: all that LevelDB reads, and nothing that a crash left behind.
//!
//! What can be wrong with a file, and what becomes of it:
//! - *Torn tail*: the file ends inside a fragment or between the fragments of a record, or in zeros, and no
//!   other record begins behind. The writer died, or the machine; nothing was promised of the last record.
//!   That is a normal end.
//! - *Hole*: zeros where there was data, and whole records behind. After a crash the file system may have
//!   kept a later block and lost an earlier one; then nothing behind the hole was ever synced. Reported once;
//!   whoever reads on gets what follows from the next block on.
//! - *Damage*: bytes that the format or their checksum contradict. The rest of the block goes (its framing
//!   can't be trusted), or just the fragment, where it was whole but had no place; reading goes on behind.
//!
//! Fragments are never joined across any of these.
//!
//! Zeros are told from damage by where they lie: a header of type and length 0; or, in a fragment whose
//! checksum is wrong, a sector (512 bytes, the least that a disk writes) without any other byte, or an end in
//! zeros that go on to the end of the block; or a header that lies in two sectors and is all zeros in one.

use super::{BLOCK_SIZE, FIRST, FULL, HEADER_SIZE, LAST, MIDDLE, ZERO};
use crate::env::SequentialFile;
use crate::error::{Error, Result};
use crate::util::crc32c;
use std::ops::Range;
use std::path::PathBuf;

/// The least a disk writes whole.
const SECTOR_SIZE: usize = 512;

/// How many bytes are checksummed in the search for records behind what looks like a torn tail before the
/// reader takes it that there are some: the search tries every offset of a block, and a file may be made to
/// make it slow.
const SEARCH_BUDGET: usize = 64 << 20;

/// What was wrong with a part of the file.
#[derive(Clone, Debug)]
pub struct Damage {
    /// Where it begins.
    pub offset: u64,
    /// Bytes of the file given up.
    pub bytes: u64,
    /// Why; names the file.
    pub error: Error,
    /// A record may begin in the bytes given up. Where none does, and none follows, the damage may be what a crash made of a
    /// record that was never synced: the space was there, and the file system had not written to it.
    pub hides_records: bool,
}

/// What the next piece of the file is.
#[derive(Clone, Debug)]
pub enum ReadOutcome {
    /// A whole record is in the buffer.
    Record,
    /// Something was damaged and skipped; reading may go on behind it.
    Damage(Damage),
    /// Zeros from this offset on, and whole records behind them: what those say was written later than
    /// something that is lost, and was never synced. Reading may go on at the next block.
    Hole(u64),
    /// The end: clean, or a torn or zero-filled tail (which is not damage).
    End,
}

/// The next piece of the file, before fragments are put together.
enum Piece {
    /// A fragment with the right checksum; its payload's place in the block. Not yet consumed.
    Fragment(u8, Range<usize>),
    /// The rest of the block, given up, from this offset on; may a record begin in it?
    Damaged(u64, &'static str, bool),
    /// A fragment that was never written, or was lost: zeros begin at this offset.
    Zeroed(u64),
    /// No whole fragment follows.
    End,
}

/// Reads the records of a file.
pub struct RecordReader {
    file: Box<dyn SequentialFile>,
    path: PathBuf,
    block: Box<[u8]>,
    /// Bytes of the block that are there: `BLOCK_SIZE`, but for the last one.
    block_length: usize,
    /// The place in the block of what is read next.
    position: usize,
    /// The place in the file of the block behind this one.
    next_block_offset: u64,
    /// The file ends with this block.
    is_last_block: bool,
    record_offset: u64,
    end_of_last_record: u64,
    search_budget: usize,
    failure: Option<Error>,
}

impl RecordReader {
    /// Reads `file` from its beginning; `path` is for messages.
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
            failure: None,
        }
    }

    /// Reads the next record into `record`, whose contents are replaced (and mean nothing unless the outcome
    /// is `Record`). Fails only where the file can't be read, and then for good.
    pub fn read_record(&mut self, record: &mut Vec<u8>) -> Result<ReadOutcome> {
        record.clear();
        let mut begin = None; // of the record whose fragments are being put together
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
                // Old writers left an empty FIRST at the end of a block and began again in the next one.
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

    /// Where the record read last begins.
    pub fn record_offset(&self) -> u64 {
        self.record_offset
    }

    /// The offset behind the last whole record. Where it equals the file's length, and no damage or hole was
    /// reported, the file ended cleanly and may be appended to.
    pub fn end_of_last_record(&self) -> u64 {
        self.end_of_last_record
    }

    /// The place in the file of what is read next.
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

    /// Finds the next fragment, leaving the position at its header; moves to the end of the block where it is
    /// not a good one.
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

    /// Does the header at `position` (a place in the block) lie in two sectors, of which one was never written, or was lost?
    fn is_half_a_header(&self, position: usize) -> bool {
        let (end, sector) = (position + HEADER_SIZE, position.next_multiple_of(SECTOR_SIZE));
        (position + 1..end).contains(&sector)
            && (is_zero(&self.block[position..sector]) || is_zero(&self.block[sector..end]))
    }

    /// Where in the fragment at `range` (a place in the block), whose checksum is wrong, zeros begin that
    /// don't belong to it.
    fn zeros_in_fragment(&self, range: Range<usize>) -> Option<usize> {
        let behind = &self.block[range.end..self.block_length];
        if behind.len() >= HEADER_SIZE && self.block[range.end - 1] == 0 && is_zero(behind) {
            return Some(range.end - 1);
        }
        // The last sector of the file may be a short one.
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

    /// Zeros begin at `offset`, in the fragment at the position: a hole if a record begins behind it, else
    /// the torn tail. A torn record may have kept some of its later fragments: those don't count.
    fn skip_zeros(&mut self, offset: u64) -> Result<ReadOutcome> {
        let mut found = self.drop_block();
        while !found {
            match self.next_piece()? {
                Piece::End => return Ok(ReadOutcome::End),
                Piece::Fragment(FULL | FIRST, _) => found = true, // read when reading goes on
                Piece::Fragment(_, payload) => self.position = payload.end,
                Piece::Damaged(..) => {}
                Piece::Zeroed(_) => found = self.drop_block(),
            }
        }
        Ok(ReadOutcome::Hole(offset))
    }

    /// Moves to the end of the block. Does a record begin in what is dropped? Its framing is lost, so every
    /// offset is tried.
    fn drop_block(&mut self) -> bool {
        let rest = &self.block[self.position..self.block_length];
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
                return true;
            }
        }
        false
    }
}

/// Are all bytes zero? (Sixty-four at a time, without a branch for each.)
fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(64).all(|chunk| chunk.iter().fold(0, |sum, byte| sum | byte) == 0)
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
