//! A log file: every record reaches the system before `append_record` returns, by `write` or by stores into a mapping.
//!
//! ```text
//! 0 ........ position ........ populated ........ allocated
//!   records           zeros, faulted in   zeros, on disk
//!              [--- window (mapped) -------------------]
//! ```
//!
//! By a mapping: space is allocated in steps (a full disk is an error of that call, before any byte is stored), mapped, and
//! faulted in a little ahead of the writer. A record is then two stores: its payload, and last its seven header bytes
//! together with the first payload byte in one instruction, so that `kill -9` never leaves a part of a header or a header without
//! its payload, and another process that sees a whole header sees its payload. Large payloads go by `pwrite`, which is faster
//! than faulting pages in, and their headers after them. The page cache has what was stored: it survives the process as a `write` does, and `fdatasync`
//! makes it durable as it does a `write`.
//!
//! Only ext4 (and ext3 and ext2, which share its number) and tmpfs are mapped: they never give an allocated block another
//! place, so that a store cannot run out of space. XFS, btrfs, ZFS and overlays of them may (XFS where reflink is on, its
//! default). Where anything is missing, records are written by `pwrite`.
//!
//! A killed process leaves the zeros behind the last record, which readers skip; `close` and drop cut them off.
//!
//! Thread rule: one writer.

use super::mapping::WriteMapping;
use super::place::Place;
use super::write::Poison;
use super::{fork, sys};
use crate::env::{LogFileOptions, WritableFile};
use crate::error::Result;
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
/// Space allocated at once, at most; and the part of the expected length that it is, at most: what is allocated and not yet
/// written is space that the database takes for nothing.
const MAX_ALLOCATION: u64 = 4 << 20;
const STEPS: u64 = 8;
/// Allocated at first: an idle database takes no more.
const FIRST_ALLOCATION: u64 = 128 << 10;
/// Payloads from this size on go by `pwrite`.
const LARGE_PAYLOAD: usize = 4 << 10;
/// Records up to this size are copied together for one `pwrite`; above it a `pwritev` is cheaper than the copy.
const SMALL_WRITE: usize = 4 << 10;

/// Creates a log file, which must not exist.
pub fn create(place: Place<'_>, options: LogFileOptions) -> Result<Box<dyn WritableFile>> {
    place.named(fork::watch())?;
    // A shared writable mapping needs a descriptor that may read, too.
    let file = place.open_file(libc::O_RDWR | libc::O_CREAT | libc::O_EXCL)?;
    let mut log = LogFile {
        file: Some(file),
        path: place.path().to_path_buf(),
        position: 0,
        region: None,
        staged: Vec::new(),
        poison: Poison::default(),
        process: Generation::current(),
    };
    if options.mapped {
        log.region = log.file.as_ref().and_then(|file| Region::new(file, options.expected_size));
        if log.region.is_none() {
            // Whatever was allocated on the way.
            log.with_file(|file, _| file.set_len(0))?;
        }
    }
    Ok(Box::new(log))
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
    /// The region of an empty file; `None` where the file system or the kernel cannot, or the first step does not fit.
    fn new(file: &File, expected_size: u64) -> Option<Region> {
        const EXT4: u64 = 0xef53;
        const TMPFS: u64 = 0x0102_1994;
        if !matches!(sys::file_system_type(file), Ok(EXT4 | TMPFS)) {
            return None;
        }
        let step = round_up((expected_size / STEPS).clamp(FIRST_ALLOCATION, MAX_ALLOCATION), POPULATE_UNIT);
        let first = FIRST_ALLOCATION;
        sys::allocate(file, 0, first).ok()?;
        let window = WriteMapping::new(file, 0, first).ok()?;
        window.populate(0, POPULATE_UNIT as usize).ok()?;
        Some(Region {
            window,
            window_start: 0,
            populated: POPULATE_UNIT,
            allocated: first,
            ahead: POPULATE_UNIT,
            step,
        })
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
        // As much again as there is, up to a step: few calls for a long log, little space for a short one.
        let more = round_up(end.saturating_sub(self.allocated), self.allocated.min(self.step));
        sys::allocate(file, self.allocated, more)?;
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
    /// Bytes that come before the next record (a block's trailer), and room to put a small record together.
    staged: Vec<u8>,
    poison: Poison,
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

    /// Runs `call` on the file and its region, unless the file is poisoned; its failure poisons. `None` without a region.
    fn with_region<T>(
        &mut self,
        call: impl FnOnce(&File, &mut Region, u64) -> io::Result<T>,
    ) -> Result<Option<T>> {
        self.poison.check()?;
        let (Some(file), Some(region)) = (&self.file, &mut self.region) else { return Ok(None) };
        let outcome = call(file, region, self.position);
        if outcome.is_err() {
            // Sends every later append round by the slow path, which asks `poison`.
            region.populated = 0;
        }
        self.poison.note(&self.path, outcome).map(Some)
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
        region.make_header_storable(position)?;
        Self::store_header(region, position, header, first);
        Ok(())
    }

    /// A record that does not simply fit the populated pages.
    #[cold]
    fn append_record_slowly(&mut self, header: &[u8; 7], payload: &[u8]) -> Result<()> {
        let total = HEADER_SIZE + payload.len() as u64;
        let stored = self.with_region(|file, region, position| {
            region.make_room(file, position, position + total)?;
            if payload.len() < LARGE_PAYLOAD {
                region.make_storable(position, position + total)?;
                Self::store_record(region, position, header, payload);
            } else {
                file.write_all_at(payload, position + HEADER_SIZE)?;
                Self::write_header(file, region, position, header, payload.first().copied())?;
            }
            Ok(())
        })?;
        match stored {
            Some(()) => self.position += total,
            None => self.write_record(header, payload)?,
        }
        Ok(())
    }

    /// What is staged and the record, by one write.
    fn write_record(&mut self, header: &[u8; 7], payload: &[u8]) -> Result<()> {
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
        if self.region.take().is_some() && cuts {
            let cut = file.set_len(self.position);
            let _ = self.poison.note(&self.path, cut);
        }
        let closed = sys::close(file);
        let _ = self.poison.note(&self.path, closed);
        self.poison.close(&self.path)
    }
}

impl WritableFile for LogFile {
    fn append(&mut self, data: &[u8]) -> Result<()> {
        let end = self.position + data.len() as u64;
        let stored = self.with_region(|file, region, position| {
            region.make_room(file, position, end)?;
            region.make_storable(position, end)?;
            region.window.store((position - region.window_start) as usize, data);
            Ok(())
        })?;
        if stored.is_some() {
            self.position = end;
            return Ok(());
        }
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
        let stored = self.with_region(|file, region, position| {
            region.make_room(file, position, position + total)?;
            sys::write_all_vectored_at(file, pieces, position + HEADER_SIZE)?;
            Self::write_header(file, region, position, header, first)
        })?;
        if stored.is_none() {
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
        self.with_file(|file, _| file.sync_data())
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
    use crate::error::Error;
    use std::path::Path;

    /// A mapped log whose descriptor, but not its mapping, leads to another file; `None` where logs are not mapped.
    fn mapped_log_with(path: &Path, descriptor: File) -> Option<LogFile> {
        let file = Place::of(path).open_file(libc::O_RDWR | libc::O_CREAT | libc::O_EXCL).unwrap();
        Some(LogFile {
            region: Some(Region::new(&file, 0)?),
            file: Some(descriptor),
            path: path.to_path_buf(),
            position: 0,
            staged: Vec::new(),
            poison: Poison::default(),
            process: Generation::current(),
        })
    }

    fn all_fail_alike(log: &mut LogFile, error: &Error) {
        assert_eq!(log.append_record(&[1; 7], &[4]).unwrap_err().to_string(), error.to_string());
        assert_eq!(log.append(&[4]).unwrap_err().to_string(), error.to_string());
        assert_eq!(log.flush().unwrap_err().to_string(), error.to_string());
        assert_eq!(log.sync().unwrap_err().to_string(), error.to_string());
    }

    #[test]
    fn no_space_for_the_next_step_is_an_error_before_anything_is_stored_and_stays_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1.log");
        File::create(dir.path().join("other")).unwrap();
        // A descriptor that may not write is refused by fallocate, as a full disk is.
        let read_only = File::open(dir.path().join("other")).unwrap();
        let Some(mut log) = mapped_log_with(&path, read_only) else { return };
        let step = log.region.as_ref().unwrap().step as usize;
        log.append_record(&[1; 7], &[2; 2000]).unwrap();
        let before = std::fs::read(&path).unwrap();
        let error = log.append_record(&[1; 7], &vec![3; step]).unwrap_err();
        assert!(error.to_string().contains("1.log"));
        all_fail_alike(&mut log, &error);
        assert_eq!(log.position, 2007);
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert_eq!(log.close().unwrap_err().to_string(), error.to_string());
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
