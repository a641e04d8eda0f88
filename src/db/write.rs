//! Writes: put, delete, batch.
//!
//! Order of a commit: room, (with sync) what the opening has read is durable, log, sync if asked for, memtable, publication of
//! the sequence number. A write that failed before
//! its record was whole in the log leaves nothing; one that failed at the sync may or may not be there after a reopen, and the
//! database takes no more writes until then.
//!
//! What becomes of the database after a failure in the log depends on what may be in it:
//! - nothing of the record (it was refused, or could be cut off): the write fails, and nothing else;
//! - nothing, because files may not become so large: a new log and a new memtable, and the write is taken there;
//! - a part: writes are refused until the log is replaced (see `resume`);
//! - the sync has failed: until the database is opened again.

use super::Db;
use super::background_error::Severity;
use super::state::DbInner;
use super::write_group::{MAX_GROUP_BYTES, MAX_MEMBER_BYTES, Members, WriterState};
use crate::batch::decode::{BatchEntry, BatchIter};
use crate::batch::write_batch::{self, HEADER_SIZE, WriteBatch};
use crate::error::{Error, Result};
use crate::format::internal_key::{MAX_SEQUENCE, ValueType};
use crate::format::limits::{MAX_MEMTABLE_BYTES, check_entry};
use crate::options::WriteOptions;
use crate::wal::writer::WalWriter;
use std::sync::atomic::Ordering;

/// From this length on, a value or the entries of a batch are not copied on their way to the log.
const LONG_TAIL: usize = 64 << 10;

/// What is written: one entry, or a batch of them.
#[derive(Clone, Copy)]
pub(super) enum Payload<'a> {
    Put(&'a [u8], &'a [u8]),
    Delete(&'a [u8]),
    Batch(&'a WriteBatch),
}

impl Payload<'_> {
    fn count(&self) -> u32 {
        match self {
            Payload::Put(..) | Payload::Delete(_) => 1,
            Payload::Batch(batch) => batch.count(),
        }
    }

    fn size(&self) -> usize {
        match self {
            Payload::Put(key, value) => key.len() + value.len(),
            Payload::Delete(key) => key.len(),
            Payload::Batch(batch) => batch.approximate_size(),
        }
    }

    /// What is long of it, and last: it is logged from where it is.
    #[inline]
    fn tail(&self) -> &[u8] {
        match self {
            Payload::Put(_, value) if value.len() >= LONG_TAIL => value,
            Payload::Batch(batch) if batch.entries().len() >= LONG_TAIL => batch.entries(),
            _ => &[],
        }
    }

    /// Encodes all but the tail.
    #[inline]
    fn encode_head(&self, record: &mut Vec<u8>) {
        match self {
            Payload::Put(key, value) if value.len() >= LONG_TAIL => {
                write_batch::encode_put_without_value(record, key, value.len());
            }
            Payload::Batch(batch) if batch.entries().len() >= LONG_TAIL => {}
            _ => self.encode(record),
        }
    }

    #[inline]
    fn encode(&self, record: &mut Vec<u8>) {
        match self {
            Payload::Put(key, value) => write_batch::encode_put(record, key, value),
            Payload::Delete(key) => write_batch::encode_delete(record, key),
            Payload::Batch(batch) => record.extend_from_slice(batch.entries()),
        }
    }
}

impl Db {
    /// Sets `key` to `value`. InvalidArgument where they have more than `limits::MAX_ENTRY_SIZE` bytes together.
    #[inline]
    pub fn put(&self, options: &WriteOptions, key: &[u8], value: &[u8]) -> Result<()> {
        check_entry(key.len(), value.len())?;
        self.inner.write(options, Payload::Put(key, value))
    }

    /// Deletes `key`, which need not exist.
    #[inline]
    pub fn delete(&self, options: &WriteOptions, key: &[u8]) -> Result<()> {
        check_entry(key.len(), 0)?;
        self.inner.write(options, Payload::Delete(key))
    }

    /// Writes all of a batch or nothing; an empty batch is written too (and with `sync` makes all before it durable). The
    /// batch is left as it is and can be used again.
    pub fn write(&self, options: &WriteOptions, batch: &WriteBatch) -> Result<()> {
        batch.status()?;
        self.inner.write(options, Payload::Batch(batch))
    }
}

impl DbInner {
    #[inline]
    fn write(&self, options: &WriteOptions, payload: Payload<'_>) -> Result<()> {
        self.check_caller()?;
        if let Some(mut writer) = self.writer.try_alone() {
            return self.write_alone(&mut writer, options.sync, payload);
        }
        self.write_in_crowd(options.sync, payload)
    }

    /// Commits one payload, with the writer lock held.
    #[inline]
    fn write_alone(&self, writer: &mut WriterState, sync: bool, payload: Payload<'_>) -> Result<()> {
        let refusal = RefuseOnUnwind(self);
        let mut result = self.commit_alone(writer, sync, payload);
        if let Err(error) = &result
            && is_of_full_log(writer, error)
        {
            result = self.commit_in_new_log(writer, sync, payload);
        }
        std::mem::forget(refusal);
        result
    }

    /// The same after the log could take no more.
    #[cold]
    #[inline(never)]
    fn commit_in_new_log(&self, writer: &mut WriterState, sync: bool, payload: Payload<'_>) -> Result<()> {
        self.make_room(writer, true)?;
        self.commit_alone(writer, sync, payload)
    }

    // Once in the way of every write, and once where it may take its time.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    fn commit_alone(&self, writer: &mut WriterState, sync: bool, payload: Payload<'_>) -> Result<()> {
        self.make_room_if_needed(writer)?;
        if sync && !self.is_confirmed() {
            self.confirm()?;
        }
        // What can't be had is found out before anything is in the log.
        let size = payload.size();
        if !writer.memtable.has_room(payload.count() as usize, size) {
            self.find_memory(writer, payload.count(), size)?;
        }
        let mut record = std::mem::take(&mut writer.record);
        keep_header(&mut record)?;
        let tail = payload.tail();
        write_batch::reserve_entry(&mut record, 0, size - tail.len())?;
        payload.encode_head(&mut record);
        let result = self.log_record(writer, (&mut record, tail), payload.count(), sync);
        if let Ok(first) = result {
            match payload {
                Payload::Put(key, value) => writer.memtable.insert(first, ValueType::Value, key, value),
                Payload::Delete(key) => writer.memtable.insert(first, ValueType::Deletion, key, &[]),
                Payload::Batch(batch) => insert_entries(writer, first, batch.entries()),
            }
            if self.dead_spans.is_active() {
                match payload {
                    Payload::Put(key, _) => self.dead_spans.put([key].into_iter()),
                    Payload::Delete(_) => {}
                    Payload::Batch(batch) => self.dead_spans.put(keys_put(batch.entries())),
                }
            }
            self.last_sequence.store(writer.last_sequence, Ordering::Release);
        }
        // One huge batch does not keep its memory for ever.
        if record.capacity() <= 2 * MAX_GROUP_BYTES {
            writer.record = record;
        }
        result.map(|_| ())
    }

    /// Memory for a payload. Before a large one another memtable is begun where this one would hold too much.
    #[cold]
    #[inline(never)]
    fn find_memory(&self, writer: &mut WriterState, count: u32, size: usize) -> Result<()> {
        if size <= MAX_GROUP_BYTES {
            return writer.memtable.prepare(count as usize, size);
        }
        let memtable = writer.memtable.memtable();
        let sum = memtable.approximate_memory_usage().saturating_add(size);
        if sum > MAX_MEMTABLE_BYTES && !memtable.is_empty() {
            self.make_room(writer, true)?;
        }
        writer.memtable.reserve(count as usize, size)
    }

    /// Returns when the active memtable takes writes; looks at the state only where something is to be heeded.
    #[inline]
    fn make_room_if_needed(&self, writer: &mut WriterState) -> Result<()> {
        let is_full = writer.memtable.memtable().approximate_memory_usage() > self.options.write_buffer_size;
        if is_full || self.attention.load(Ordering::Acquire) != 0 || writer.wal.is_none() {
            return self.make_room(writer, false);
        }
        Ok(())
    }

    /// Writes with others. Small payloads join the pending group; large ones take the lock by themselves.
    #[cold]
    fn write_in_crowd(&self, sync: bool, payload: Payload<'_>) -> Result<()> {
        let join = |members: &mut Members| {
            write_batch::reserve_entry(&mut members.record, 0, payload.size())?;
            payload.encode(&mut members.record);
            members.count += payload.count();
            members.sync |= sync;
            Ok(())
        };
        let grouped = if payload.size() <= MAX_MEMBER_BYTES {
            self.writer.write_in_group(join, |writer, members| self.write_group(writer, members))
        } else {
            None
        };
        grouped.unwrap_or_else(|| self.write_alone(&mut self.writer.lock(), sync, payload))
    }

    /// Commits a group, at its turn.
    fn write_group(&self, writer: &mut WriterState, members: &mut Members) -> Result<()> {
        match self.commit_group(writer, members) {
            Err(error) if is_of_full_log(writer, &error) => {
                self.make_room(writer, true)?;
                self.commit_group(writer, members)
            }
            result => result,
        }
    }

    fn commit_group(&self, writer: &mut WriterState, members: &mut Members) -> Result<()> {
        self.make_room_if_needed(writer)?;
        if members.sync && !self.is_confirmed() {
            self.confirm()?;
        }
        writer.memtable.prepare(members.count as usize, members.record.len())?;
        let refusal = RefuseOnUnwind(self);
        let result = self.log_record(writer, (&mut members.record, &[]), members.count, members.sync);
        if let Ok(first) = result {
            insert_entries(writer, first, &members.record[HEADER_SIZE..]);
            if self.dead_spans.is_active() {
                self.dead_spans.put(keys_put(&members.record[HEADER_SIZE..]));
            }
            self.last_sequence.store(writer.last_sequence, Ordering::Release);
        }
        std::mem::forget(refusal);
        result.map(|_| ())
    }

    /// Numbers the record, which may come in two pieces, appends it to the log, syncs if asked for. Returns the sequence number of the first entry. After an
    /// error nothing of it is in the log, or the database refuses writes: see above.
    #[inline]
    fn log_record(
        &self,
        writer: &mut WriterState,
        (record, tail): (&mut [u8], &[u8]),
        count: u32,
        sync: bool,
    ) -> Result<u64> {
        let first = writer.last_sequence + 1;
        // The batch behind it has a number too, also an empty one.
        if first + u64::from(count) > MAX_SEQUENCE {
            return Err(no_sequence_numbers(writer.last_sequence));
        }
        write_batch::set_header(record, first, count);
        let Some(wal) = &mut writer.wal else { return Err(self.closed_error()) };
        let start = wal.file_size();
        if let Err(error) = wal.add_record_in_two(record, tail) {
            return Err(if wal.poisoned().is_none() {
                error
            } else {
                self.log_failed(Severity::ReplaceLog, error)
            });
        }
        if sync {
            wal.release_older(self.min_log_number.load(Ordering::Acquire));
            if let Err(error) = wal.sync() {
                let is_undone = wal.poisoned().is_none() && wal.take_back(start).is_ok();
                return Err(if is_undone { error } else { self.log_failed(Severity::UntilReopened, error) });
            }
        }
        writer.last_sequence += u64::from(count);
        Ok(first)
    }

    #[cold]
    fn log_failed(&self, severity: Severity, error: Error) -> Error {
        self.record_background_error(&mut self.state.lock(), severity, &error);
        self.flush_waker.wake();
        error
    }
}

#[cold]
fn no_sequence_numbers(last: u64) -> Error {
    Error::not_supported(format!(
        "the database has used up its sequence numbers (the last one is {last}); it can be read: copy it into a new one"
    ))
}

/// Has a write failed because the log may not become larger, while another log would take it?
#[cold]
fn is_of_full_log(writer: &WriterState, error: &Error) -> bool {
    let is_usable = |wal: &WalWriter| wal.poisoned().is_none() && wal.file_size() > 0;
    error.is_file_too_large() && writer.wal.as_ref().is_some_and(is_usable)
}

/// Leaves the room of a header in the record before, and nothing else.
#[inline]
fn keep_header(record: &mut Vec<u8>) -> Result<()> {
    if record.len() < HEADER_SIZE {
        make_header(record)?;
    }
    record.truncate(HEADER_SIZE);
    Ok(())
}

#[cold]
fn make_header(record: &mut Vec<u8>) -> Result<()> {
    write_batch::reserve_entry(record, HEADER_SIZE, 0)?;
    record.resize(HEADER_SIZE, 0);
    Ok(())
}

/// Inserts what `WriteBatch` made, or a group of such: the encoding is right by construction.
fn insert_entries(writer: &mut WriterState, first: u64, entries: &[u8]) {
    if let Err(error) = writer.memtable.insert_entries(first, entries) {
        unreachable!("a batch of our own making: {error}");
    }
}

/// The keys of the puts among entries of our own making.
fn keys_put(entries: &[u8]) -> impl Iterator<Item = &[u8]> {
    BatchIter::new(entries).filter_map(|entry| match entry {
        Ok(BatchEntry::Put(key, _)) => Some(key),
        _ => None,
    })
}

/// After a write that panicked no other follows, unless this is forgotten: a batch may be in the memtable by half, and the next
/// sequence number published would show it. Dropped while the writer lock is held.
struct RefuseOnUnwind<'a>(&'a DbInner);

impl Drop for RefuseOnUnwind<'_> {
    fn drop(&mut self) {
        let error = Error::io("internal error: a write panicked");
        self.0.record_background_error(&mut self.0.state.lock(), Severity::UntilReopened, &error);
    }
}
