//! Frames records into a file.
//!
//! A fragment goes to the system as soon as it is framed; the fragments of a long record go in groups. After
//! a failed operation it is unknown how much of it is in the file, so the framing of later records could not
//! be trusted: the writer then refuses all further records. Exception: the failure says nothing about what is
//! already in the file, and the partial record could be removed by `take_back`. Then the writer continues.
//!
//! Thread rule: one thread at a time.

use super::{BLOCK_SIZE, FIRST, FULL, HEADER_SIZE, LAST, MIDDLE};
use crate::env::WritableFile;
use crate::error::{Error, Result};
use crate::util::crc32c;
use std::io::IoSlice;
use std::path::Path;

/// The error number for a lack of memory (ENOMEM).
const ENOMEM: i32 = 12;
/// Payloads of at least this size, which span several blocks, are written in groups of fragments, in bytes.
const LONG_RECORD: usize = 2 * BLOCK_SIZE;
/// The number of fragments in a group.
const FRAGMENTS_AT_ONCE: usize = 8;

/// The CRC-32C of each type byte. The checksum of a fragment extends it by the payload.
const TYPE_CHECKSUM: [u32; 5] =
    [checksum_of_byte(0), checksum_of_byte(1), checksum_of_byte(2), checksum_of_byte(3), checksum_of_byte(4)];

/// The CRC-32C of one byte, computed at compile time.
const fn checksum_of_byte(byte: u8) -> u32 {
    const REVERSED_POLYNOMIAL: u32 = 0x82f6_3b78;
    let mut crc = !(byte as u32);
    let mut bit = 0;
    while bit < 8 {
        crc = (crc >> 1) ^ (REVERSED_POLYNOMIAL & 0u32.wrapping_sub(crc & 1));
        bit += 1;
    }
    !crc
}

/// What the writer can do.
enum State {
    Open,
    /// As `Open`, with nothing written; these bytes are written before the first record.
    Unbegun(Vec<u8>),
    Closed,
    Poisoned(Error),
}

/// Frames records into a file.
pub struct RecordWriter {
    file: Box<dyn WritableFile>,
    file_size: u64,
    state: State,
    /// The bytes to be written before the first record, if there are any.
    prologue: Vec<u8>,
}

impl RecordWriter {
    /// A writer to `file`, which has `offset` bytes that end with a whole record.
    pub fn new(file: Box<dyn WritableFile>, offset: u64) -> Self {
        RecordWriter { file, file_size: offset, state: State::Open, prologue: Vec::new() }
    }

    /// A writer to the empty `file`. `prologue` (whole fragments, at least one) is written before the first
    /// record, in the same operation. The file stays empty until there is a record.
    pub fn with_prologue(file: Box<dyn WritableFile>, prologue: Vec<u8>) -> Self {
        debug_assert!((HEADER_SIZE..BLOCK_SIZE / 2).contains(&prologue.len()));
        RecordWriter { file, file_size: 0, state: State::Unbegun(prologue.clone()), prologue }
    }

    /// Appends one record and hands it to the system. After an error, either nothing of the record is in the
    /// file, or the writer is poisoned: every later call fails.
    #[inline]
    pub fn add_record(&mut self, payload: &[u8]) -> Result<()> {
        if !matches!(self.state, State::Open) {
            return self.begin(&[], payload);
        }
        let start = self.file_size;
        let result = if payload.len() < LONG_RECORD {
            self.write_fragments(payload)
        } else {
            self.room_in_block().and_then(|room| self.write_by_groups(&[], room, &[], payload))
        };
        if let Err(error) = &result {
            self.append_failed(start, error);
        }
        result
    }

    /// As `add_record`, for a record whose payload is `head` followed by `tail`. If the record is long and
    /// `head` is short, neither is copied.
    #[inline]
    pub fn add_record_in_two(&mut self, head: &[u8], tail: &[u8]) -> Result<()> {
        if tail.is_empty() { self.add_record(head) } else { self.add_record_and_tail(head, tail) }
    }

    fn add_record_and_tail(&mut self, head: &[u8], tail: &[u8]) -> Result<()> {
        if !matches!(self.state, State::Open) {
            return self.begin(head, tail);
        }
        let start = self.file_size;
        let result = self.room_in_block().and_then(|room| {
            if head.len() < room && tail.len() >= LONG_RECORD {
                return self.write_by_groups(&[], room, head, tail);
            }
            self.write_fragments(&joined(head, tail)?)
        });
        if let Err(error) = &result {
            self.append_failed(start, error);
        }
        result
    }

    /// Removes the partial record that begins at `start`. If that is impossible, or the failure may concern
    /// earlier records, poisons the writer.
    #[cold]
    fn append_failed(&mut self, start: u64, error: &Error) {
        if !error.is_refusal() || self.take_back(start).is_err() {
            self.state = State::Poisoned(error.clone());
        }
    }

    /// Removes the records from the one at `start` on. After an error they may or may not be in the file.
    pub fn take_back(&mut self, start: u64) -> Result<()> {
        self.file.take_back(start)?;
        self.file_size = start;
        if start == 0 && !self.prologue.is_empty() {
            self.state = State::Unbegun(self.prologue.clone());
        }
        Ok(())
    }

    /// Writes the first record and the prologue. A writer that is closed or poisoned returns its error.
    #[cold]
    fn begin(&mut self, head: &[u8], tail: &[u8]) -> Result<()> {
        let prologue = match std::mem::replace(&mut self.state, State::Open) {
            State::Unbegun(prologue) => prologue,
            other => {
                self.state = other;
                return self.check();
            }
        };
        let room = BLOCK_SIZE - prologue.len() - HEADER_SIZE;
        let result = if head.len() < room {
            self.write_by_groups(&prologue, room, head, tail)
        } else if tail.is_empty() {
            self.write_by_groups(&prologue, room, &[], head)
        } else {
            joined(head, tail).and_then(|whole| self.write_by_groups(&prologue, room, &[], &whole))
        };
        if let Err(error) = &result {
            self.append_failed(0, error);
        }
        result
    }

    /// Makes all records durable (fdatasync). An error poisons the writer. A failed sync is never retried:
    /// the system may have dropped the pages that it could not write, and a second sync would succeed without
    /// them.
    pub fn sync(&mut self) -> Result<()> {
        self.check()?;
        let result = self.file.sync();
        self.remember(result)
    }

    /// Closes the file. A second call does nothing. A poisoned writer closes the file too, and returns the
    /// error that poisoned it.
    pub fn close(&mut self) -> Result<()> {
        self.close_by(|file| file.close())
    }

    /// As `close`, for a file that nobody will read.
    pub fn close_unneeded(&mut self) -> Result<()> {
        self.close_by(|file| file.close_unneeded())
    }

    fn close_by(&mut self, close: impl FnOnce(&mut dyn WritableFile) -> Result<()>) -> Result<()> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Open | State::Unbegun(_) => {
                let result = close(&mut *self.file);
                self.remember(result)
            }
            State::Closed => Ok(()),
            State::Poisoned(error) => {
                let _ = close(&mut *self.file);
                self.state = State::Poisoned(error.clone());
                Err(error)
            }
        }
    }

    /// The length of the file so far, in bytes. Meaningless if the writer is poisoned.
    #[inline]
    pub fn file_size(&self) -> u64 {
        self.file_size
    }

    /// The error that poisoned the writer, if there was one.
    pub fn poisoned(&self) -> Option<&Error> {
        match &self.state {
            State::Poisoned(error) => Some(error),
            State::Open | State::Unbegun(_) | State::Closed => None,
        }
    }

    #[inline]
    fn check(&self) -> Result<()> {
        match &self.state {
            State::Open | State::Unbegun(_) => Ok(()),
            State::Closed => Err(Error::io("write to a log or MANIFEST that was closed")),
            State::Poisoned(error) => Err(error.clone()),
        }
    }

    #[inline]
    fn remember(&mut self, result: Result<()>) -> Result<()> {
        if let Err(error) = &result {
            self.state = State::Poisoned(error.clone());
        }
        result
    }

    #[inline]
    fn write_fragments(&mut self, payload: &[u8]) -> Result<()> {
        let mut rest = payload;
        let mut is_first = true;
        loop {
            let room = self.room_in_block()?;
            let (fragment, tail) = rest.split_at(rest.len().min(room));
            let is_last = tail.is_empty();
            let kind = match (is_first, is_last) {
                (true, true) => FULL,
                (true, false) => FIRST,
                (false, false) => MIDDLE,
                (false, true) => LAST,
            };
            self.write_fragment(kind, fragment)?;
            if is_last {
                return Ok(());
            }
            rest = tail;
            is_first = false;
        }
    }

    /// Writes a record of several blocks, or the first record. The file is called once per group of
    /// fragments. A group stays in the processor's cache from the computation of its checksums until it is
    /// written. `prologue` is written before the first group.
    ///
    /// The block has `room` bytes for payload, more than `head` needs.
    #[cold]
    fn write_by_groups(&mut self, prologue: &[u8], mut room: usize, head: &[u8], tail: &[u8]) -> Result<()> {
        let (mut prologue, mut head, mut rest) = (prologue, head, tail);
        let mut kinds = [FULL, FIRST];
        let mut is_last = false;
        while !is_last {
            let mut group = Vec::with_capacity(FRAGMENTS_AT_ONCE);
            while !is_last && group.len() < FRAGMENTS_AT_ONCE {
                let (fragment, behind) = rest.split_at(rest.len().min(room - head.len()));
                is_last = behind.is_empty();
                let header = header_of(if is_last { kinds[0] } else { kinds[1] }, head, fragment);
                group.push((header, head, fragment));
                (head, rest, kinds, room) = (&[], behind, [LAST, MIDDLE], BLOCK_SIZE - HEADER_SIZE);
            }
            self.write_group(std::mem::take(&mut prologue), &group)?;
        }
        Ok(())
    }

    fn write_group(&mut self, prologue: &[u8], group: &[([u8; HEADER_SIZE], &[u8], &[u8])]) -> Result<()> {
        let mut pieces = Vec::with_capacity(2 * group.len() + 1);
        // The first header is written last, so that a killed process leaves either the whole group or
        // nothing.
        let first_header = match (prologue.split_first_chunk(), group.first()) {
            (Some((header, behind)), _) => {
                pieces.push(IoSlice::new(behind));
                header
            }
            (None, Some((header, ..))) => header,
            (None, None) => return Ok(()),
        };
        for (index, (header, head, fragment)) in group.iter().enumerate() {
            let is_first_header = index == 0 && prologue.is_empty();
            pieces.extend((!is_first_header).then(|| IoSlice::new(header)));
            pieces.extend((!head.is_empty()).then(|| IoSlice::new(head)));
            pieces.push(IoSlice::new(fragment));
        }
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        self.file.append_record_in_pieces(first_header, &mut pieces)?;
        self.file_size += (HEADER_SIZE + length) as u64;
        Ok(())
    }

    /// The payload bytes that the current block has room for. If not even a header fits, fills the block with
    /// zeros first.
    #[inline]
    fn room_in_block(&mut self) -> Result<usize> {
        let left = BLOCK_SIZE - self.file_size as usize % BLOCK_SIZE;
        if left >= HEADER_SIZE {
            return Ok(left - HEADER_SIZE);
        }
        self.file.append(&[0; HEADER_SIZE][..left])?;
        self.file_size += left as u64;
        Ok(BLOCK_SIZE - HEADER_SIZE)
    }

    #[inline]
    fn write_fragment(&mut self, kind: u8, payload: &[u8]) -> Result<()> {
        self.file.append_record(&header_of(kind, &[], payload), payload)?;
        self.file_size += (HEADER_SIZE + payload.len()) as u64;
        Ok(())
    }
}

/// Head and tail in one vector. ENOMEM if there is no memory for it.
fn joined(head: &[u8], tail: &[u8]) -> Result<Vec<u8>> {
    let mut whole = Vec::new();
    if whole.try_reserve_exact(head.len() + tail.len()).is_err() {
        return Err(Error::from_errno(Path::new("a record of a log"), ENOMEM));
    }
    whole.extend_from_slice(head);
    whole.extend_from_slice(tail);
    Ok(whole)
}

/// A fragment as it is stored in the file.
pub fn fragment(kind: u8, payload: &[u8]) -> Vec<u8> {
    [&header_of(kind, &[], payload), payload].concat()
}

/// The header of a fragment with the payload `head` followed by `payload`.
#[inline]
fn header_of(kind: u8, head: &[u8], payload: &[u8]) -> [u8; HEADER_SIZE] {
    debug_assert!(HEADER_SIZE + head.len() + payload.len() <= BLOCK_SIZE);
    let mut checksum = TYPE_CHECKSUM[kind as usize];
    if !head.is_empty() {
        checksum = crc32c::extend(checksum, head);
    }
    let checksum = crc32c::mask(crc32c::extend(checksum, payload)).to_le_bytes();
    let length = ((head.len() + payload.len()) as u16).to_le_bytes();
    [checksum[0], checksum[1], checksum[2], checksum[3], length[0], length[1], kind]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{CreateMode, Env};
    use crate::record::test_support::FakeEnv;
    use std::path::Path;

    fn writer(env: &FakeEnv) -> RecordWriter {
        RecordWriter::new(env.create_writable(Path::new("/db/log"), CreateMode::New).unwrap(), 0)
    }

    #[test]
    fn checksums_of_types_are_those_of_the_byte() {
        for (kind, &checksum) in TYPE_CHECKSUM.iter().enumerate() {
            assert_eq!(checksum, crc32c::value(&[kind as u8]));
        }
    }

    #[test]
    fn bytes_are_leveldbs() {
        let env = FakeEnv::default();
        let payload = b"\x01\x1aleveldb.BytewiseComparator"; // the first record of a MANIFEST of LevelDB 1.23
        writer(&env).add_record(payload).unwrap();
        let contents = env.contents("/db/log");
        assert_eq!(contents[..HEADER_SIZE], [0x56, 0xf9, 0xb8, 0xf8, 28, 0, 1]);
        assert_eq!(contents[HEADER_SIZE..], *payload);
    }

    /// At any place in a block, with heads of any length.
    #[test]
    fn a_record_in_two_is_the_bytes_of_the_record() {
        let payload: Vec<u8> = (0..LONG_RECORD + 3 * BLOCK_SIZE).map(|i| (i / 7) as u8).collect();
        for begin in
            [0, 100, BLOCK_SIZE - 60, BLOCK_SIZE - 19, BLOCK_SIZE - 14, BLOCK_SIZE - 7, BLOCK_SIZE - 3]
        {
            for head in [0, 1, 12, 40, 5000, payload.len() - 1, payload.len()] {
                let (whole, in_two) = (FakeEnv::default(), FakeEnv::default());
                let mut writers = [writer(&whole), writer(&in_two)];
                for writer in &mut writers {
                    writer.add_record(&vec![1; begin.saturating_sub(HEADER_SIZE)]).unwrap();
                }
                writers[0].add_record(&payload).unwrap();
                writers[1].add_record_in_two(&payload[..head], &payload[head..]).unwrap();
                for writer in &mut writers {
                    writer.add_record(b"behind").unwrap();
                }
                assert_eq!(writers[0].file_size(), writers[1].file_size());
                let same = whole.contents("/db/log") == in_two.contents("/db/log");
                assert!(same, "at {begin}, with a head of {head}");
            }
        }
    }

    #[test]
    fn blocks_are_filled_to_the_last_byte_that_a_header_fits() {
        for left in 0..=HEADER_SIZE + 2 {
            let env = FakeEnv::default();
            let mut writer = writer(&env);
            writer.add_record(&vec![b'x'; BLOCK_SIZE - HEADER_SIZE - left]).unwrap();
            assert_eq!(writer.file_size(), (BLOCK_SIZE - left) as u64);
            writer.add_record(b"yy").unwrap();
            let contents = env.contents("/db/log");
            assert_eq!(writer.file_size(), contents.len() as u64);
            let expected = match left {
                0..HEADER_SIZE => BLOCK_SIZE + HEADER_SIZE + 2, // zeros fill the block
                7 | 8 => BLOCK_SIZE + HEADER_SIZE + (9 - left), // FIRST of 0 or 1 bytes, LAST of the rest
                _ => BLOCK_SIZE,
            };
            assert_eq!(contents.len(), expected, "{left} bytes left");
            if left < HEADER_SIZE {
                assert!(contents[BLOCK_SIZE - left..BLOCK_SIZE].iter().all(|&byte| byte == 0));
            }
        }
    }

    #[test]
    fn nothing_is_appended_after_a_failure() {
        for operation in ["append", "sync"] {
            let env = FakeEnv::default();
            let mut writer = writer(&env);
            writer.add_record(b"one").unwrap();
            env.fail_once(operation, 28);
            let failure = if operation == "sync" { writer.sync() } else { writer.add_record(b"two") };
            let failure = failure.unwrap_err();
            assert!(failure.is_no_space());
            let before = env.contents("/db/log");
            env.take_operations();
            for result in [writer.add_record(b"three"), writer.sync()] {
                assert_eq!(result.unwrap_err().to_string(), failure.to_string());
            }
            assert_eq!(writer.poisoned().unwrap().errno(), Some(28));
            assert!(env.take_operations().is_empty());
            assert_eq!(env.contents("/db/log"), before);
            assert!(writer.close().is_err());
            assert_eq!(env.take_operations(), ["close log"]);
        }
    }

    #[test]
    fn a_closed_writer_refuses_and_closes_once() {
        let env = FakeEnv::default();
        let mut writer = writer(&env);
        writer.close().unwrap();
        writer.close().unwrap();
        assert_eq!(env.take_operations(), ["create log", "close log"]);
        assert!(writer.add_record(b"x").is_err());
        assert!(writer.poisoned().is_none());
    }

    #[test]
    fn a_failed_close_is_remembered() {
        let env = FakeEnv::default();
        let mut writer = writer(&env);
        env.fail_once("close", 5);
        assert_eq!(writer.close().unwrap_err().errno(), Some(5));
        assert_eq!(writer.poisoned().unwrap().errno(), Some(5));
    }
}
