//! A log file: every record reaches the system before `append_record` returns, by `write` or by stores into a mapping.
//!
//! ```text
//! 0 ........ position ........ populated ........ allocated
//!   records           zeros, faulted in   zeros, on disk
//!              [--- window (mapped) -------------------]
//! ```
//!
//! By a mapping: space is allocated in steps (a full disk shows in that call, before any byte is stored), mapped, and
//! faulted in a little ahead of the writer. The first step is a page, taken with the first record; an empty log takes nothing. A record is then two stores: its payload, and last its seven header bytes
//! together with the first payload byte in one instruction, so that `kill -9` never leaves a part of a header or a header without
//! its payload, and another process that sees a whole header sees its payload. Large payloads go by `pwrite`, which is faster
//! than faulting pages in, and their headers after them. The page cache has what was stored: it survives the process as a `write` does, and `fdatasync`
//! makes it durable as it does a `write`.
//!
//! Only ext4 (and ext3 under its name) and tmpfs are mapped: they never give an allocated block another
//! place, so that a store cannot run out of space. XFS, btrfs, ZFS and overlays of them may (XFS where reflink is on, its
//! default). ext4 is not mapped where it journals data: there a store after a sync may raise SIGBUS once the file system is
//! shut down.
//!
//! Where space, a mapping or its pages can't be had, records are written by `pwrite` from there on, and the zeros are cut off
//! first. So all of this fails only where a `pwrite` would. No space is taken ahead beyond the limit of the process on file
//! sizes, and a record that would pass it is refused before any of it is written, by whichever way: the signal that the system
//! raises there would end the process. (Where no step is taken ahead the limit is looked at every 64 KiB.)
//!
//! A failed append is sticky until `take_back` has cut off what it may have left; a failed sync is for ever.
//!
//! A killed process leaves the zeros behind the last record, which readers skip; `close` and drop cut them off.
//!
//! Thread rule: one writer.

use super::mapping::WriteMapping;
use super::place::Place;
use super::write::Poison;
use super::{fork, sys};
use crate::env::{LogFileOptions, WritableFile};
use crate::error::{Error, Result};
use crate::util::fork::Generation;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

const HEADER_SIZE: u64 = 7;
/// What is faulted in at once is a multiple of this...
const POPULATE_UNIT: u64 = 32 << 10;
/// ...and at most this far ahead: populated pages are dirty, and the next fdatasync writes them all.
const MAX_POPULATE_AHEAD: u64 = 128 << 10;
/// Space allocated at once: at most this...
const MAX_ALLOCATION: u64 = 4 << 20;
/// ...and at most this part of the expected length, if that is not less than the next: what is allocated and not yet written
/// is space that the database takes and does not use.
const STEPS: u64 = 8;
const MIN_STEP: u64 = 64 << 10;
/// A step is as long as what is there already, up to this; before, so many times as long. A log of one record takes a page, and a
/// long one few calls.
const GROWTH: u64 = 3;
/// Payloads from this size on go by `pwrite`.
const LARGE_PAYLOAD: usize = 4 << 10;
/// Records up to this size are copied together for one `pwrite`; above it a `pwritev` is cheaper than the copy.
const SMALL_WRITE: usize = 4 << 10;

/// Creates a log file, which must not exist.
pub fn create(place: Place<'_>, options: LogFileOptions) -> Result<Box<dyn WritableFile>> {
    place.named(fork::watch())?;
    // A shared writable mapping needs a descriptor that may read, too.
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
        process: Generation::current(),
    }))
}

fn round_up(value: u64, unit: u64) -> u64 {
    value.div_ceil(unit).saturating_mul(unit)
}

/// The allocated, mapped and populated part of a log. Offsets are the file's.
struct Region {
    window: WriteMapping,
    window_start: u64,
    /// Stores below this neither fault nor fail. 0 after a failure.
    populated: u64,
    allocated: u64,
    /// How far ahead of the writer to populate: doubled while no sync comes, 0 after one (a page at a time then).
    ahead: u64,
    /// Bytes to allocate at once, once there are as many.
    step: u64,
}

impl Region {
    /// The region of an empty file, with room for `[0, end)` as `make_room` makes it; `None` where the file system or the kernel
    /// cannot.
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

    /// Makes `[position, end)`, and what lies before it, allocated, with one byte to spare: `publish` stores eight bytes for
    /// a header of seven, and a payload may be empty.
    fn make_room(&mut self, file: &File, position: u64, end: u64) -> io::Result<()> {
        if end < self.allocated { Ok(()) } else { self.allocate(file, position, end + 1) }
    }

    /// Makes `[position, end)`, which has room, free to be stored to, with that byte to spare, and something ahead.
    fn make_storable(&mut self, position: u64, end: u64) -> io::Result<()> {
        if end < self.populated {
            return Ok(());
        }
        let unit = if self.ahead == 0 { sys::page_size() } else { POPULATE_UNIT };
        self.populate(position, (end + 1).max(self.populated.max(position) + self.ahead), unit)?;
        self.ahead = (self.ahead * 2).clamp(POPULATE_UNIT, MAX_POPULATE_AHEAD);
        Ok(())
    }

    /// The same, with nothing ahead.
    fn make_header_storable(&mut self, position: u64) -> io::Result<()> {
        let end = position + HEADER_SIZE;
        if end < self.populated { Ok(()) } else { self.populate(position, end + 1, sys::page_size()) }
    }

    /// Makes what lies before `end` allocated, and mapped from `position` on.
    fn allocate(&mut self, file: &File, position: u64, end: u64) -> io::Result<()> {
        let most = sys::file_size_limit().saturating_sub(self.allocated);
        let needed = round_up(end - self.allocated, sys::page_size()).min(most);
        if self.allocated + needed < end {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
        let growth = if self.allocated < MIN_STEP { GROWTH } else { 1 };
        let more = round_up(end - self.allocated, (growth * self.allocated).min(self.step));
        let more = more.min(most);
        // Where there is no space for a step, there may be for the record.
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

    /// Faults in what `[position, end)`, rounded up to `unit` and cut to what is allocated, lacks.
    fn populate(&mut self, position: u64, end: u64, unit: u64) -> io::Result<()> {
        let from = self.populated.max(position & !(sys::page_size() - 1));
        let to = round_up(end, unit).min(self.allocated);
        self.window.populate((from - self.window_start) as usize, (to - self.window_start) as usize)?;
        self.populated = to;
        Ok(())
    }
}

struct LogFile {
    /// `None` once closed.
    file: Option<File>,
    path: PathBuf,
    /// The logical length: bytes before it are records.
    position: u64,
    /// `None` when records go by `pwrite`.
    region: Option<Region>,
    /// The first record is to make a region: of a log that is expected to become so long.
    wanted_region: Option<u64>,
    /// So long it may become, by the limit on file sizes when that was looked at last.
    within_limit: u64,
    /// There may be zeros behind the last record although there is no region.
    has_tail: bool,
    /// Bytes that come before the next record (a block's trailer), and room to put a small record together.
    staged: Vec<u8>,
    poison: Poison,
    /// A sync has failed: nobody knows what is on disk.
    is_lost: bool,
    process: Generation,
}

impl LogFile {
    /// Runs `call` on the file and the position, unless the file is poisoned; its failure poisons.
    fn with_file<T>(&mut self, call: impl FnOnce(&File, u64) -> io::Result<T>) -> Result<T> {
        self.poison.check()?;
        let outcome = match &self.file {
            Some(file) => call(file, self.position),
            None => Err(io::Error::from_raw_os_error(libc::EBADF)),
        };
        if outcome.is_err() {
            // Sends every later append round by the slow path, which asks `poison`.
            if let Some(region) = &mut self.region {
                region.populated = 0;
            }
        }
        self.poison.note(&self.path, outcome)
    }

    /// Is there a region with room for `total` bytes behind the position, and are the first `stored` of them storable? Where that
    /// can't be had, there is no region any more. Nothing is written.
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
                // (The call that says so would raise a signal, too.)
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

    /// From now on records go by `pwrite`.
    fn leave_region(&mut self) {
        self.has_tail |= self.region.take().is_some();
    }

    /// Cuts off what was allocated for a region that is gone: a record that is written, not stored, is torn by a kill in a way that
    /// only the end of the file shows.
    fn cut_tail(&mut self) -> Result<()> {
        if self.has_tail {
            self.with_file(|file, position| sys::retry(|| file.set_len(position)))?;
            self.has_tail = false;
        }
        Ok(())
    }

    /// Runs `call` on the file and its region, which there is; its failure poisons.
    fn with_region(&mut self, call: impl FnOnce(&File, &mut Region, u64) -> io::Result<()>) -> Result<()> {
        self.poison.check()?;
        let (Some(file), Some(region)) = (&self.file, &mut self.region) else {
            return self.with_file(|_, _| Err(io::Error::from_raw_os_error(libc::EBADF)));
        };
        let outcome = call(file, region, self.position);
        if outcome.is_err() {
            // Sends every later append round by the slow path, which asks `poison`.
            region.populated = 0;
        }
        self.poison.note(&self.path, outcome)
    }

    /// The record by stores into populated pages; the caller has made room.
    #[inline]
    fn store_record(region: &mut Region, position: u64, header: &[u8; 7], payload: &[u8]) {
        let at = (position - region.window_start) as usize;
        region.window.store(at + HEADER_SIZE as usize, payload);
        Self::store_header(region, position, header, payload.first().copied());
    }

    /// The header and the byte behind it, at once, as the last of a record.
    #[inline]
    fn store_header(region: &mut Region, position: u64, header: &[u8; 7], first: Option<u8>) {
        let mut word = [0u8; 8];
        word[..7].copy_from_slice(header);
        word[7] = first.unwrap_or(0);
        region.window.publish((position - region.window_start) as usize, word);
    }

    /// The header of a record whose payload was written: by a store where that does not fault, else by a `pwrite` within one
    /// page, which is done as a whole or not at all.
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
            // In two pieces perhaps, but that takes a kill between the two pages.
            Err(_) => file.write_all_at(header, position),
        }
    }

    /// A record that does not simply fit the populated pages.
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

    /// What is staged and the record, by one write.
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

    /// Cuts allocated space off, if `cuts`, and closes.
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
        // Covers the pages stored to through the mapping, as msync would.
        let synced = self.with_file(|file, _| file.sync_data());
        self.is_lost |= synced.is_err();
        synced
    }

    fn take_back(&mut self, length: u64) -> Result<()> {
        let nothing_to_do = || Error::io(format!("{}: can't be cut to {length} bytes", self.path.display()));
        let Some(file) = self.file.as_ref().filter(|_| !self.is_lost && length <= self.position) else {
            return self.poison.check().and_then(|()| Err(nothing_to_do()));
        };
        // Not while it is mapped: a store behind the end of a file is a signal.
        self.region = None;
        self.wanted_region = None;
        // Durably: after a crash, bytes of what was cut off where those of a later record were lost would look like damage.
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

    /// Cutting costs a journal entry, which may wait for others.
    fn close_unneeded(&mut self) -> Result<()> {
        let _ = self.flush();
        self.finish(false)
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        // The parent of a fork goes on writing behind what its child thinks is the end.
        if self.process.is_current() {
            let _ = self.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// A mapped log whose descriptor, but not its mapping, leads to another file; `None` where logs are not mapped.
    fn mapped_log_with(path: &Path, descriptor: File) -> Option<LogFile> {
        let mut log = log(path);
        log.region = Some(Region::new(log.file.as_ref().unwrap(), 0, 3000)?);
        log.file = Some(descriptor);
        Some(log)
    }

    /// A log without a region.
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
            process: Generation::current(),
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
        // A descriptor that may not write is refused by every call.
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

    /// Whatever is missing for the next step, records go on from the exact place, by `pwrite`, and the zeros behind them are gone.
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
