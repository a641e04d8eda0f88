//! A WAL file. Every record reaches the system before `append_record` returns, by `pwrite` or by stores into
//! a mapping.
//!
//! ```text
//! 0 ........ position ........ populated ........ allocated
//!   records           zeros, faulted in   zeros, on disk
//!              [--- window (mapped) -------------------]
//! ```
//!
//! Mapped: space is allocated in steps (a full disk shows in that call, before any byte is stored), mapped,
//! and faulted in a little ahead of the writer. The first step is one page, allocated with the first record;
//! an empty WAL takes no space. A record is then two stores: first its payload, then its seven header bytes
//! together with the first payload byte in one instruction. So `kill -9` never leaves a part of a header, or
//! a header without its payload, and another process that sees a whole header sees its payload. Large
//! payloads are written by `pwrite`, which is faster than faulting pages in, and their headers after them.
//! The stored bytes are in the page cache: like bytes of a `write`, they survive the process, and `fdatasync`
//! makes them durable.
//!
//! Only ext4 (also when it mounts ext3) and tmpfs are mapped. They never move an allocated block, so that a
//! store cannot run out of space. XFS with reflink (its default), btrfs, ZFS and overlays of these may move
//! blocks. ext4 is not mapped if it journals data: there a store after a sync may raise SIGBUS once the file
//! system is shut down.
//!
//! If space, a mapping or its pages cannot be had, all further records are written by `pwrite`, after the
//! zeros are truncated. So an append fails only where a `pwrite` would fail. No space is allocated beyond the
//! process's limit on file sizes, and a record that would exceed that limit is refused, in either mode,
//! before any of it is written: the signal that the system raises beyond the limit would end the process.
//! (While no space is allocated ahead, the limit is read once per 64 KiB.)
//!
//! A failed append is sticky until `take_back` has removed what it may have left. A failed sync is sticky
//! permanently.
//!
//! A killed process leaves zeros after the last record, which readers skip. `close` and drop truncate them.
//!
//! Thread rule: one writer.

use super::mapping::WriteMapping;
use super::place::Place;
use super::write::Poison;
use super::{fork, sys};
use crate::env::{LogFileOptions, WritableFile};
use crate::error::{Error, Result};
use crate::util::fork::ProcessGeneration;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

const HEADER_SIZE: u64 = 7;
/// Pages are faulted in by multiples of this, in bytes.
const POPULATE_UNIT: u64 = 32 << 10;
/// Pages are faulted in at most this far ahead of the writer, in bytes: populated pages are dirty, and the
/// next fdatasync writes them all.
const MAX_POPULATE_AHEAD: u64 = 128 << 10;
/// The largest step by which space is allocated, in bytes.
const MAX_ALLOCATION: u64 = 4 << 20;
/// A step is at most this fraction of the expected length, unless that is less than `MIN_STEP`: allocated
/// space that is not yet written takes space of the disk without using it.
const STEPS: u64 = 8;
const MIN_STEP: u64 = 64 << 10;
/// While less than `MIN_STEP` is allocated, a step is this many times the allocated space; after that it
/// equals the allocated space. The largest step bounds both. So a WAL of one record takes one page, and a
/// long WAL few calls.
const GROWTH: u64 = 3;
/// Payloads of at least this size are written by `pwrite`, in bytes.
const LARGE_PAYLOAD: usize = 4 << 10;
/// A record of at most this size, in bytes, is copied into one buffer for one `pwrite`; for a larger one a
/// `pwritev` is cheaper than the copy.
const SMALL_WRITE: usize = 4 << 10;

/// Creates a WAL file, which must not exist.
pub fn create(place: Place<'_>, options: LogFileOptions) -> Result<Box<dyn WritableFile>> {
    place.named(fork::watch())?;
    // A shared writable mapping also needs a descriptor that allows reading.
    let file = place.open_file(libc::O_RDWR | libc::O_CREAT | libc::O_EXCL)?;
    Ok(Box::new(LogFile {
        file: Some(file),
        path: place.path().to_path_buf(),
        position: 0,
        region: None,
        wanted_region: options.mapped.then_some(options.expected_size),
        within_limit: 0,
        has_tail: false,
        staged: Vec::new(),
        poison: Poison::default(),
        is_lost: false,
        process: ProcessGeneration::current(),
    }))
}

fn round_up(value: u64, unit: u64) -> u64 {
    value.div_ceil(unit).saturating_mul(unit)
}

/// The allocated, mapped and populated range of a WAL file. Offsets are file offsets, in bytes.
struct Region {
    window: WriteMapping,
    window_start: u64,
    /// Stores that end before this offset neither fault nor fail. 0 after a failure.
    populated: u64,
    allocated: u64,
    /// How far ahead of the writer to populate, in bytes: doubled while no sync comes, 0 after a sync (a page
    /// at a time then).
    ahead: u64,
    /// The largest step by which to allocate, in bytes.
    step: u64,
}

impl Region {
    /// The region of an empty file, with `[0, end)` and the spare byte of `make_room` allocated. `None` if
    /// the file system or the kernel cannot provide it.
    fn new(file: &File, expected_size: u64, end: u64) -> Option<Region> {
        if !sys::takes_mapped_writes(file) {
            return None;
        }
        let first = round_up(end + 1, sys::page_size()).min(sys::file_size_limit());
        if first <= end {
            return None;
        }
        sys::allocate(file, 0, first).ok()?;
        let window = WriteMapping::new(file, 0, first).ok()?;
        let populated = first.min(POPULATE_UNIT);
        window.populate(0, populated as usize).ok()?;
        let step = round_up((expected_size / STEPS).clamp(MIN_STEP, MAX_ALLOCATION), POPULATE_UNIT);
        Some(Region { window, window_start: 0, populated, allocated: first, ahead: POPULATE_UNIT, step })
    }

    /// Allocates everything before `end`, and maps it from `position` on, with one byte to spare: `publish`
    /// stores eight bytes for a header of seven, and the payload may be empty.
    fn make_room(&mut self, file: &File, position: u64, end: u64) -> io::Result<()> {
        if end < self.allocated { Ok(()) } else { self.allocate(file, position, end + 1) }
    }

    /// Populates `[position, end)`, which is allocated, with the spare byte, and some pages ahead of it.
    fn make_storable(&mut self, position: u64, end: u64) -> io::Result<()> {
        if end < self.populated {
            return Ok(());
        }
        let unit = if self.ahead == 0 { sys::page_size() } else { POPULATE_UNIT };
        self.populate(position, (end + 1).max(self.populated.max(position) + self.ahead), unit)?;
        self.ahead = (self.ahead * 2).clamp(POPULATE_UNIT, MAX_POPULATE_AHEAD);
        Ok(())
    }

    /// Populates the header at `position`, with the spare byte, and nothing ahead of it.
    fn make_header_storable(&mut self, position: u64) -> io::Result<()> {
        let end = position + HEADER_SIZE;
        if end < self.populated { Ok(()) } else { self.populate(position, end + 1, sys::page_size()) }
    }

    /// Allocates everything before `end`, and maps it from `position` on.
    fn allocate(&mut self, file: &File, position: u64, end: u64) -> io::Result<()> {
        let most = sys::file_size_limit().saturating_sub(self.allocated);
        let needed = round_up(end - self.allocated, sys::page_size()).min(most);
        if self.allocated + needed < end {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
        let growth = if self.allocated < MIN_STEP { GROWTH } else { 1 };
        let more = round_up(end - self.allocated, (growth * self.allocated).min(self.step));
        let more = more.min(most);
        // If there is no space for a whole step, there may be enough for the record.
        let more = match sys::allocate(file, self.allocated, more) {
            Err(_) if more > needed => sys::allocate(file, self.allocated, needed).map(|()| needed),
            outcome => outcome.map(|()| more),
        }?;
        self.allocated += more;
        let start = position & !(sys::page_size() - 1);
        self.window = WriteMapping::new(file, start, self.allocated - start)?;
        self.window_start = start;
        self.populated = start;
        Ok(())
    }

    /// Faults in the missing pages of `[position, end)`, with `end` rounded up to `unit` and limited to the
    /// allocated space.
    fn populate(&mut self, position: u64, end: u64, unit: u64) -> io::Result<()> {
        let from = self.populated.max(position & !(sys::page_size() - 1));
        let to = round_up(end, unit).min(self.allocated);
        self.window.populate((from - self.window_start) as usize, (to - self.window_start) as usize)?;
        self.populated = to;
        Ok(())
    }
}

struct LogFile {
    /// `None` after `close`.
    file: Option<File>,
    path: PathBuf,
    /// The logical length: all bytes before it are records.
    position: u64,
    /// `None` while records are written by `pwrite`.
    region: Option<Region>,
    /// The expected length of the file, if the first record is to create a region.
    wanted_region: Option<u64>,
    /// The file may grow to this length without another look at the limit on file sizes.
    within_limit: u64,
    /// True if there may be zeros after the last record although there is no region.
    has_tail: bool,
    /// Bytes to be written before the next record (the trailer of a block). Also the buffer for small
    /// records.
    staged: Vec<u8>,
    poison: Poison,
    /// True after a failed sync: it is unknown which bytes are on disk.
    is_lost: bool,
    process: ProcessGeneration,
}

impl LogFile {
    /// Runs `call` with the file and the position, unless the file is poisoned. A failure of `call` poisons
    /// the file.
    fn with_file<T>(&mut self, call: impl FnOnce(&File, u64) -> io::Result<T>) -> Result<T> {
        self.poison.check()?;
        let outcome = match &self.file {
            Some(file) => call(file, self.position),
            None => Err(io::Error::from_raw_os_error(libc::EBADF)),
        };
        if outcome.is_err() {
            // Every later append then takes the slow path, which checks `poison`.
            if let Some(region) = &mut self.region {
                region.populated = 0;
            }
        }
        self.poison.note(&self.path, outcome)
    }

    /// True if there is a region with room for `total` bytes after the position, the first `stored` of which
    /// are populated. If such a region cannot be had, the region is given up. Writes nothing.
    fn has_room(&mut self, total: u64, stored: u64) -> Result<bool> {
        self.poison.check()?;
        let Some(file) = &self.file else { return Ok(false) };
        let (position, end) = (self.position, self.position + self.staged.len() as u64 + total);
        let grows = match &self.region {
            Some(region) => end >= region.allocated,
            None => end > self.within_limit,
        };
        if grows {
            let limit = sys::file_size_limit();
            if end > limit {
                // The system call that would report this raises a signal as well.
                return self.with_file(|_, _| Err(io::Error::from_raw_os_error(libc::EFBIG)));
            }
            self.within_limit = limit.min(end + MIN_STEP);
        }
        if let Some(expected_size) = self.wanted_region.take() {
            self.region = Region::new(file, expected_size, end);
            self.has_tail = self.region.is_none();
        }
        let Some(region) = &mut self.region else { return Ok(false) };
        let made = region.make_room(file, position, end).and_then(|()| match stored {
            0 => Ok(()),
            _ => region.make_storable(position, position + stored),
        });
        if made.is_err() {
            self.leave_region();
        }
        Ok(made.is_ok())
    }

    /// Gives up the region: further records are written by `pwrite`.
    fn leave_region(&mut self) {
        self.has_tail |= self.region.take().is_some();
    }

    /// Truncates the space that a former region allocated. A kill may tear a record that is written by
    /// `pwrite`, and only the end of the file tells readers about it: zeros after the torn record would hide
    /// that.
    fn cut_tail(&mut self) -> Result<()> {
        if self.has_tail {
            self.with_file(|file, position| sys::retry(|| file.set_len(position)))?;
            self.has_tail = false;
        }
        Ok(())
    }

    /// Runs `call` with the file and its region, which must exist. A failure of `call` poisons the file.
    fn with_region(&mut self, call: impl FnOnce(&File, &mut Region, u64) -> io::Result<()>) -> Result<()> {
        self.poison.check()?;
        let (Some(file), Some(region)) = (&self.file, &mut self.region) else {
            return self.with_file(|_, _| Err(io::Error::from_raw_os_error(libc::EBADF)));
        };
        let outcome = call(file, region, self.position);
        if outcome.is_err() {
            // Every later append then takes the slow path, which checks `poison`.
            region.populated = 0;
        }
        self.poison.note(&self.path, outcome)
    }

    /// Stores a record into populated pages. The caller has made room.
    #[inline]
    fn store_record(region: &mut Region, position: u64, header: &[u8; 7], payload: &[u8]) {
        let at = (position - region.window_start) as usize;
        region.window.store(at + HEADER_SIZE as usize, payload);
        Self::store_header(region, position, header, payload.first().copied());
    }

    /// Stores the header and the following byte at once, as the last store of a record.
    #[inline]
    fn store_header(region: &mut Region, position: u64, header: &[u8; 7], first: Option<u8>) {
        let mut word = [0u8; 8];
        word[..7].copy_from_slice(header);
        word[7] = first.unwrap_or(0);
        region.window.publish((position - region.window_start) as usize, word);
    }

    /// Writes the header of a record whose payload was written: by a store if that does not fault, else by a
    /// `pwrite` within one page, which the system does completely or not at all.
    fn write_header(
        file: &File,
        region: &mut Region,
        position: u64,
        header: &[u8; 7],
        first: Option<u8>,
    ) -> io::Result<()> {
        let last = position + HEADER_SIZE - 1;
        let is_within_a_page = position / sys::page_size() == last / sys::page_size();
        if last + 1 >= region.populated && is_within_a_page {
            return file.write_all_at(header, position);
        }
        match region.make_header_storable(position) {
            Ok(()) => {
                Self::store_header(region, position, header, first);
                Ok(())
            }
            // The header crosses a page boundary: only a kill between the copies of the two pages could tear
            // it.
            Err(_) => file.write_all_at(header, position),
        }
    }

    /// Appends a record that does not fit the populated pages, or that is large.
    #[cold]
    fn append_record_slowly(&mut self, header: &[u8; 7], payload: &[u8]) -> Result<()> {
        let total = HEADER_SIZE + payload.len() as u64;
        let is_stored = payload.len() < LARGE_PAYLOAD;
        if !self.has_room(total, if is_stored { total } else { 0 })? {
            return self.write_record(header, payload);
        }
        self.with_region(|file, region, position| {
            if is_stored {
                Self::store_record(region, position, header, payload);
                return Ok(());
            }
            file.write_all_at(payload, position + HEADER_SIZE)?;
            Self::write_header(file, region, position, header, payload.first().copied())
        })?;
        self.position += total;
        Ok(())
    }

    /// Writes the staged bytes and the record with one system call.
    fn write_record(&mut self, header: &[u8; 7], payload: &[u8]) -> Result<()> {
        self.cut_tail()?;
        self.staged.extend_from_slice(header);
        if self.staged.len() + payload.len() <= SMALL_WRITE {
            self.staged.extend_from_slice(payload);
            return self.flush();
        }
        let staged = std::mem::take(&mut self.staged);
        let total = (staged.len() + payload.len()) as u64;
        let outcome = self.with_file(|file, position| {
            let pieces = [IoSlice::new(&staged), IoSlice::new(payload)];
            let written = sys::retry(|| sys::write_vectored_at(file, &pieces, position))?;
            let position = position + written as u64;
            match written.checked_sub(staged.len()) {
                Some(written) => file.write_all_at(&payload[written..], position),
                None => {
                    file.write_all_at(&staged[written..], position)?;
                    file.write_all_at(payload, position + (staged.len() - written) as u64)
                }
            }
        });
        self.staged = staged;
        self.staged.clear();
        outcome.map(|()| self.position += total)
    }

    /// Truncates allocated space if `cuts`, and closes the file.
    fn finish(&mut self, cuts: bool) -> Result<()> {
        let Some(file) = self.file.take() else { return self.poison.close_again() };
        self.leave_region();
        if self.has_tail && cuts {
            let cut = sys::retry(|| file.set_len(self.position));
            let _ = self.poison.note(&self.path, cut);
        }
        let closed = sys::close(file);
        let _ = self.poison.note(&self.path, closed);
        self.poison.close(&self.path)
    }
}

impl WritableFile for LogFile {
    fn append(&mut self, data: &[u8]) -> Result<()> {
        let length = data.len() as u64;
        if self.has_room(length, length)? {
            self.with_region(|_, region, position| {
                region.window.store((position - region.window_start) as usize, data);
                Ok(())
            })?;
            self.position += length;
            return Ok(());
        }
        self.cut_tail()?;
        self.staged.extend_from_slice(data);
        if self.staged.len() >= SMALL_WRITE { self.flush() } else { Ok(()) }
    }

    #[inline]
    fn append_record(&mut self, header: &[u8; 7], payload: &[u8]) -> Result<()> {
        if let Some(region) = &mut self.region {
            let end = self.position + HEADER_SIZE + payload.len() as u64;
            // `<`: one byte to spare, as in `make_room`.
            if end < region.populated {
                Self::store_record(region, self.position, header, payload);
                self.position = end;
                return Ok(());
            }
        }
        self.append_record_slowly(header, payload)
    }

    fn append_record_in_pieces(&mut self, header: &[u8; 7], pieces: &mut [IoSlice<'_>]) -> Result<()> {
        let first = pieces.iter().find_map(|piece| piece.first().copied());
        let total = HEADER_SIZE + pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        if self.has_room(total, 0)? {
            self.with_region(|file, region, position| {
                sys::write_all_vectored_at(file, pieces, position + HEADER_SIZE)?;
                Self::write_header(file, region, position, header, first)
            })?;
        } else {
            self.cut_tail()?;
            self.staged.extend_from_slice(header);
            self.flush()?;
            let behind = self.position;
            self.with_file(|file, _| sys::write_all_vectored_at(file, pieces, behind))?;
            self.position -= HEADER_SIZE;
        }
        self.position += total;
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.poison.check()?;
        if self.staged.is_empty() {
            return Ok(());
        }
        let staged = std::mem::take(&mut self.staged);
        let outcome = self.with_file(|file, position| file.write_all_at(&staged, position));
        self.position += staged.len() as u64;
        self.staged = staged;
        self.staged.clear();
        outcome
    }

    fn sync(&mut self) -> Result<()> {
        self.flush()?;
        if let Some(region) = &mut self.region {
            region.ahead = 0;
        }
        // Also covers the pages stored to through the mapping, as msync would.
        let synced = self.with_file(|file, _| file.sync_data());
        self.is_lost |= synced.is_err();
        synced
    }

    fn take_back(&mut self, length: u64) -> Result<()> {
        let nothing_to_do = || Error::io(format!("{}: can't be cut to {length} bytes", self.path.display()));
        let Some(file) = self.file.as_ref().filter(|_| !self.is_lost && length <= self.position) else {
            return self.poison.check().and_then(|()| Err(nothing_to_do()));
        };
        // Unmap first: a store after the end of a file raises a signal.
        self.region = None;
        self.wanted_region = None;
        // Durably: suppose a crash keeps bytes of the truncated record and loses the bytes of a later record
        // at that place. Recovery would take that for damage.
        let cut = sys::retry(|| file.set_len(length)).and_then(|()| file.sync_all());
        cut.map_err(|error| Error::from_os(&self.path, &error))?;
        self.staged.clear();
        self.has_tail = false;
        self.position = length;
        self.poison.forget();
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let _ = self.flush();
        self.finish(true)
    }

    /// Without truncation, which costs a journal entry of the file system and may wait for others.
    fn close_unneeded(&mut self) -> Result<()> {
        let _ = self.flush();
        self.finish(false)
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        // In a child of `fork`: the parent continues to write after the position that the child knows as the
        // end.
        if self.process.is_current() {
            let _ = self.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// A mapped WAL whose descriptor, but not whose mapping, refers to another file; `None` if WALs are not
    /// mapped here.
    fn mapped_log_with(path: &Path, descriptor: File) -> Option<LogFile> {
        let mut log = log(path);
        log.region = Some(Region::new(log.file.as_ref().unwrap(), 0, 3000)?);
        log.file = Some(descriptor);
        Some(log)
    }

    /// A WAL without a region.
    fn log(path: &Path) -> LogFile {
        LogFile {
            file: Some(Place::of(path).open_file(libc::O_RDWR | libc::O_CREAT | libc::O_EXCL).unwrap()),
            path: path.to_path_buf(),
            position: 0,
            region: None,
            wanted_region: None,
            within_limit: 0,
            has_tail: false,
            staged: Vec::new(),
            poison: Poison::default(),
            is_lost: false,
            process: ProcessGeneration::current(),
        }
    }

    fn all_fail_alike(log: &mut LogFile, error: &Error) {
        assert_eq!(log.append_record(&[1; 7], &[4]).unwrap_err().to_string(), error.to_string());
        assert_eq!(log.append(&[4]).unwrap_err().to_string(), error.to_string());
        assert_eq!(log.flush().unwrap_err().to_string(), error.to_string());
        assert_eq!(log.sync().unwrap_err().to_string(), error.to_string());
    }

    #[test]
    fn where_neither_a_step_nor_a_write_is_possible_the_error_comes_before_anything_is_stored_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1.log");
        File::create(dir.path().join("other")).unwrap();
        // A read-only descriptor: every writing call fails.
        let read_only = File::open(dir.path().join("other")).unwrap();
        let Some(mut log) = mapped_log_with(&path, read_only) else { return };
        log.append_record(&[1; 7], &[2; 2000]).unwrap();
        let before = std::fs::read(&path).unwrap();
        let error = log.append_record(&[1; 7], &[3; 9000]).unwrap_err();
        assert!(error.to_string().contains("1.log"));
        all_fail_alike(&mut log, &error);
        assert!(log.take_back(2007).is_err());
        all_fail_alike(&mut log, &error);
        assert_eq!(log.position, 2007);
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert_eq!(log.close().unwrap_err().to_string(), error.to_string());
    }

    /// Whatever the next step lacks, records continue at the exact position by `pwrite`, and the zeros after
    /// them are gone.
    #[test]
    fn where_no_region_can_be_had_any_more_records_are_written_behind_those_stored() {
        for payload in [900, 9000] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("1.log");
            let mut log = log(&path);
            log.wanted_region = Some(1 << 20);
            let mut expected = Vec::new();
            for record in 0..6u8 {
                log.append_record(&[record + 1; 7], &vec![record; payload]).unwrap();
                expected.extend_from_slice(&[record + 1; 7]);
                expected.resize(expected.len() + payload, record);
                match record {
                    2 => log.leave_region(),
                    4 => log.append(b"trailer").unwrap(),
                    _ => {}
                }
                if record == 4 {
                    expected.extend_from_slice(b"trailer");
                }
            }
            assert_eq!(std::fs::read(&path).unwrap(), expected, "{payload}");
            log.close().unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), expected, "{payload}");
        }
    }

    #[test]
    fn what_is_taken_back_is_gone_and_the_log_goes_on() {
        for mapped in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("1.log");
            let mut log = log(&path);
            log.wanted_region = mapped.then_some(1 << 20);
            log.append_record(&[1; 7], b"kept").unwrap();
            log.append_record(&[2; 7], b"taken back").unwrap();
            log.append(b"and a trailer").unwrap();
            assert!(log.take_back(1000).is_err(), "nothing lies there");
            log.take_back(11).unwrap();
            log.append_record(&[3; 7], b"next").unwrap();
            log.sync().unwrap();
            assert_eq!(
                std::fs::read(&path).unwrap(),
                b"\x01\x01\x01\x01\x01\x01\x01kept\x03\x03\x03\x03\x03\x03\x03next"
            );
        }
    }

    #[test]
    fn after_a_failed_sync_nothing_is_stored_any_more() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1.log");
        let Some(mut log) = mapped_log_with(&path, File::open("/dev/null").unwrap()) else { return };
        log.append_record(&[1; 7], &[2; 2000]).unwrap();
        let before = std::fs::read(&path).unwrap();
        let error = log.sync().unwrap_err();
        all_fail_alike(&mut log, &error);
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}
