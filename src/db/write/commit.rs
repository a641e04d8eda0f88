//! Writes: put, delete, batch.
//!
//! The order of a commit: make room; with sync, make recovered state durable; append to the WAL; sync if
//! asked for; insert into the memtable; publish the sequence number. A write that fails before its record is
//! whole in the WAL leaves nothing. A write whose sync fails may or may not be found after a reopen, and the
//! database refuses writes until then.
//!
//! The consequence of a WAL failure depends on what may be in the WAL:
//! - nothing of the record (it was refused, or could be cut off): only this write fails;
//! - nothing of the record, because the file may not become larger: a new WAL and a new memtable are started,
//!   and the write goes there;
//! - a part of the record: writes are refused until the WAL is replaced (see `resume`);
//! - the sync has failed: writes are refused until the database is reopened.

use crate::batch::decode::{BatchEntry, BatchIter};
use crate::batch::write_batch::{self, BatchFamilies, HEADER_SIZE, WriteBatch};
use crate::column_family::ColumnFamily;
use crate::db::Db;
use crate::db::background::errors::Severity;
use crate::db::shared::{DbShared, write_gate};
use crate::db::write::group::{MAX_GROUP_BYTES, MAX_MEMBER_BYTES, Members, WriterState};
use crate::db::write::record::{LONG_TAIL, Record, Write, keep_header};
use crate::db::write::spread::SpreadRecord;
use crate::db::write::stall::Switch;
use crate::error::{Error, Result};
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::internal_key::{MAX_SEQUENCE, ValueType};
use crate::format::limits::{MAX_MEMTABLE_BYTES, check_entry};
use crate::memtable::MemtableWriter;
use crate::options::WriteOptions;
use crate::wal::writer::WalWriter;
use std::sync::atomic::Ordering;

/// The content of a write: one entry, or a batch of entries.
#[derive(Clone, Copy)]
pub(in crate::db) enum Payload<'a> {
    Put(&'a [u8], &'a [u8]),
    Delete(&'a [u8]),
    Batch(&'a WriteBatch),
}

#[allow(clippy::inline_always)]
impl Write for Payload<'_> {
    const IS_SPREAD: bool = false;

    #[inline(always)]
    fn size(&self) -> usize {
        Payload::size(self)
    }

    fn append_to(&self, record: &mut Vec<u8>) {
        self.encode(record);
    }
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

    /// The last part of the payload, if it is long: it is appended to the WAL from where it is.
    #[inline]
    fn tail(&self) -> &[u8] {
        match self {
            Payload::Put(_, value) if value.len() >= LONG_TAIL => value,
            Payload::Batch(batch) if batch.entries().len() >= LONG_TAIL => batch.entries(),
            _ => &[],
        }
    }

    /// Encodes the payload without its tail.
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
    /// Sets `key` to `value`. InvalidArgument if key and value together have more than
    /// `limits::MAX_ENTRY_SIZE` bytes.
    #[inline]
    pub fn put(&self, options: &WriteOptions, key: &[u8], value: &[u8]) -> Result<()> {
        check_entry(key.len(), value.len())?;
        self.inner.write(options, Payload::Put(key, value))
    }

    /// Deletes `key`. It is not an error if the key does not exist.
    #[inline]
    pub fn delete(&self, options: &WriteOptions, key: &[u8]) -> Result<()> {
        check_entry(key.len(), 0)?;
        self.inner.write(options, Payload::Delete(key))
    }

    /// Writes all entries of a batch, or none. An empty batch is written too; with `sync` it makes all
    /// earlier writes durable. The batch is not changed and can be used again. InvalidArgument if an entry is
    /// for a column family that this database does not have.
    pub fn write(&self, options: &WriteOptions, batch: &WriteBatch) -> Result<()> {
        batch.status()?;
        match batch.families() {
            BatchFamilies::Default => self.inner.write(options, Payload::Batch(batch)),
            _ => self.inner.write_spread(options, batch),
        }
    }
}

#[allow(clippy::inline_always)]
impl Record for Payload<'_> {
    #[inline(always)]
    fn count(&self) -> u32 {
        Payload::count(self)
    }

    #[inline(always)]
    fn tail(&self) -> &[u8] {
        Payload::tail(self)
    }

    #[inline(always)]
    fn make_room(&self, db: &DbShared, writer: &mut WriterState, sync: bool) -> Result<()> {
        db.make_room_if_needed(writer, sync)
    }

    #[inline(always)]
    fn has_memory(&self, writer: &mut WriterState, size: usize) -> bool {
        writer.memtable().has_room(Payload::count(self) as usize, size)
    }

    #[inline(always)]
    fn find_memory(&self, db: &DbShared, writer: &mut WriterState, size: usize) -> Result<()> {
        db.find_memory(writer, &db.default_family, Payload::count(self), size)
    }

    #[inline(always)]
    fn encode(&self, buffer: &mut Vec<u8>) -> Result<()> {
        keep_header(buffer)?;
        write_batch::reserve_entry(buffer, 0, self.size() - Payload::tail(self).len())?;
        self.encode_head(buffer);
        Ok(())
    }

    #[inline(always)]
    fn insert(&self, db: &DbShared, writer: &mut WriterState, first: u64, _: &[u8]) {
        match *self {
            Payload::Put(key, value) => writer.memtable().insert(first, ValueType::Value, key, value),
            Payload::Delete(key) => writer.memtable().insert(first, ValueType::Deletion, key, &[]),
            Payload::Batch(batch) => insert_entries(writer, first, batch.entries()),
        }
        let dead_spans = &db.default_family.dead_spans;
        if dead_spans.is_active() {
            match *self {
                Payload::Put(key, _) => dead_spans.put([key].into_iter()),
                Payload::Delete(_) => {}
                Payload::Batch(batch) => dead_spans.put(keys_put(batch.entries())),
            }
        }
    }
}

/// The writes of a group. They are encoded already, with space for the header before them.
struct GroupRecord {
    count: u32,
}

impl Record for GroupRecord {
    fn count(&self) -> u32 {
        self.count
    }

    fn tail(&self) -> &[u8] {
        &[]
    }

    fn make_room(&self, db: &DbShared, writer: &mut WriterState, sync: bool) -> Result<()> {
        db.make_room_if_needed(writer, sync)
    }

    fn has_memory(&self, writer: &mut WriterState, size: usize) -> bool {
        writer.memtable().has_room(self.count as usize, size)
    }

    fn find_memory(&self, _: &DbShared, writer: &mut WriterState, size: usize) -> Result<()> {
        writer.memtable().prepare(self.count as usize, size)
    }

    fn encode(&self, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }

    fn insert(&self, db: &DbShared, writer: &mut WriterState, first: u64, encoded: &[u8]) {
        let entries = &encoded[HEADER_SIZE..];
        insert_entries(writer, first, entries);
        let dead_spans = &db.default_family.dead_spans;
        if dead_spans.is_active() {
            dead_spans.put(keys_put(entries));
        }
    }
}

impl DbShared {
    #[inline]
    pub(in crate::db) fn write<W: Write>(&self, options: &WriteOptions, write: W) -> Result<()> {
        self.check_caller()?;
        if let Some(mut writer) = self.writer.try_alone() {
            return self.write_alone(&mut writer, options.sync, &write);
        }
        self.write_in_crowd(options.sync, &write)
    }

    /// Commits one write. The caller holds the writer lock.
    #[inline]
    fn write_alone<W: Write>(&self, writer: &mut WriterState, sync: bool, write: &W) -> Result<()> {
        let refusal = RefuseOnUnwind(self);
        let mut result = self.commit_alone(writer, sync, write);
        if let Err(error) = &result
            && is_of_full_wal(writer, error)
        {
            result = self.commit_in_new_wal(writer, sync, write);
        }
        std::mem::forget(refusal);
        result
    }

    /// Retries a commit in a new WAL, after the file of the current one may not become larger.
    #[cold]
    #[inline(never)]
    fn commit_in_new_wal<W: Write>(&self, writer: &mut WriterState, sync: bool, write: &W) -> Result<()> {
        self.make_room(writer, ColumnFamilyId::DEFAULT, Switch::Now)?;
        self.commit_alone(writer, sync, write)
    }

    // Inlined at two places: on the path of every write, and on a cold one.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    fn commit_alone<W: Write>(&self, writer: &mut WriterState, sync: bool, write: &W) -> Result<()> {
        let mut buffer = std::mem::take(&mut writer.record);
        let result = self.commit(writer, write, write.size(), sync, &mut buffer);
        // The memory of one huge batch is not kept.
        if buffer.capacity() <= 2 * MAX_GROUP_BYTES {
            writer.record = buffer;
        }
        result
    }

    /// The steps of every commit, in their order: room, memory, encoding, WAL (with sync if asked for),
    /// memtable, publication. `size`: not less than the bytes of all keys and values.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    fn commit(
        &self,
        writer: &mut WriterState,
        record: &impl Record,
        size: usize,
        sync: bool,
        buffer: &mut Vec<u8>,
    ) -> Result<()> {
        record.make_room(self, writer, sync)?;
        // Missing memory shows before anything is in the WAL.
        if !record.has_memory(writer, size) {
            record.find_memory(self, writer, size)?;
        }
        record.encode(buffer)?;
        let first = self.log_record(writer, (buffer, record.tail()), record.count(), sync)?;
        record.insert(self, writer, first, buffer);
        self.last_sequence.store(writer.last_sequence, Ordering::Release);
        Ok(())
    }

    /// Finds memory for entries of a family. Before many bytes the memtable is switched if it would become
    /// too large with them.
    #[cold]
    #[inline(never)]
    pub(super) fn find_memory(
        &self,
        writer: &mut WriterState,
        family: &ColumnFamily,
        count: u32,
        size: usize,
    ) -> Result<()> {
        if size <= MAX_GROUP_BYTES {
            return self.memtable_of(writer, family)?.prepare(count as usize, size);
        }
        let memtable = self.memtable_of(writer, family)?.memtable();
        let sum = memtable.approximate_memory_usage().saturating_add(size);
        if sum > MAX_MEMTABLE_BYTES && !memtable.is_empty() {
            self.make_room(writer, family.id, Switch::Now)?;
        }
        self.memtable_of(writer, family)?.reserve(count as usize, size)
    }

    fn memtable_of<'a>(
        &self,
        writer: &'a mut WriterState,
        family: &ColumnFamily,
    ) -> Result<&'a mut MemtableWriter> {
        let found = writer.families.get_mut(family.id);
        found.map(|found| &mut *found.memtable).ok_or_else(|| family.dropped_error())
    }

    /// Returns when the active memtable can take this write. Locks the state only if the write gate or a full
    /// memtable requires it.
    #[inline]
    fn make_room_if_needed(&self, writer: &mut WriterState, sync: bool) -> Result<()> {
        let max_bytes = self.default_family.options.write_buffer_size;
        let is_full = writer.memtable().memtable().approximate_memory_usage() > max_bytes;
        let heeded = self.write_gate.load(Ordering::Acquire) & write_gate::of(sync);
        if is_full || heeded != 0 || writer.wal.is_none() {
            return self.pass_gate(writer, ColumnFamilyId::DEFAULT, heeded);
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    pub(super) fn pass_gate(
        &self,
        writer: &mut WriterState,
        family: ColumnFamilyId,
        heeded: u32,
    ) -> Result<()> {
        self.make_room(writer, family, Switch::IfFull)?;
        if heeded & write_gate::RECOVERY_DEBT != 0 {
            self.settle_recovery()?;
        }
        Ok(())
    }

    /// Writes while other threads write too. Small writes join the pending group; a large one waits for the
    /// writer lock by itself.
    #[cold]
    fn write_in_crowd<W: Write>(&self, sync: bool, write: &W) -> Result<()> {
        let join = |members: &mut Members| {
            write_batch::reserve_entry(&mut members.record, 0, write.size())?;
            write.append_to(&mut members.record);
            members.count += write.count();
            members.sync |= sync;
            members.is_spread |= W::IS_SPREAD;
            Ok(())
        };
        let grouped = if write.size() <= MAX_MEMBER_BYTES {
            self.writer.write_in_group(join, |writer, members| self.write_group(writer, members))
        } else {
            None
        };
        grouped.unwrap_or_else(|| self.write_alone(&mut self.writer.lock(), sync, write))
    }

    /// Commits a group. Called when it is the group's turn.
    pub(in crate::db) fn write_group(&self, writer: &mut WriterState, members: &mut Members) -> Result<()> {
        let refusal = RefuseOnUnwind(self);
        let mut result = self.commit_group(writer, members);
        if result.as_ref().is_err_and(|error| is_of_full_wal(writer, error)) {
            result = self
                .make_room(writer, ColumnFamilyId::DEFAULT, Switch::Now)
                .and_then(|()| self.commit_group(writer, members));
        }
        std::mem::forget(refusal);
        result
    }

    fn commit_group(&self, writer: &mut WriterState, members: &mut Members) -> Result<()> {
        let Members { record, count, sync, is_spread } = members;
        let size = record.len();
        if *is_spread {
            let group = SpreadRecord::group(self, writer, &record[HEADER_SIZE..], *count)?;
            return self.commit(writer, &group, size, *sync, record);
        }
        self.commit(writer, &GroupRecord { count: *count }, size, *sync, record)
    }

    /// Numbers the record, which may come in two pieces, appends it to the WAL, and syncs if asked for.
    /// Returns the sequence number of the first entry. After an error nothing of the record is in the WAL, or
    /// the database refuses writes: see above.
    #[inline]
    fn log_record(
        &self,
        writer: &mut WriterState,
        (record, tail): (&mut [u8], &[u8]),
        count: u32,
        sync: bool,
    ) -> Result<u64> {
        let first = writer.last_sequence + 1;
        // The next batch needs a number too, even an empty one.
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

/// Did a write fail because the WAL's file may not become larger, so that another WAL would take it?
#[cold]
fn is_of_full_wal(writer: &WriterState, error: &Error) -> bool {
    let is_usable = |wal: &WalWriter| wal.poisoned().is_none() && wal.file_size() > 0;
    error.is_file_too_large() && writer.wal.as_ref().is_some_and(is_usable)
}

/// Inserts entries that `WriteBatch` encoded, for one batch or a group. The encoding is right by
/// construction.
fn insert_entries(writer: &mut WriterState, first: u64, entries: &[u8]) {
    if let Err(error) = writer.memtable().insert_entries(first, entries) {
        unreachable!("a batch of our own making: {error}");
    }
}

/// The keys of the puts among entries that `WriteBatch` encoded.
fn keys_put(entries: &[u8]) -> impl Iterator<Item = &[u8]> {
    BatchIter::new(entries).filter_map(|entry| match entry {
        Ok(BatchEntry::Put(key, _)) => Some(key),
        _ => None,
    })
}

/// Dropped when a write panics, while the writer lock is held: refuses all later writes. A part of the batch
/// may be in the memtable, and the next published sequence number would expose it.
struct RefuseOnUnwind<'a>(&'a DbShared);

impl Drop for RefuseOnUnwind<'_> {
    fn drop(&mut self) {
        let error = Error::io("internal error: a write panicked");
        self.0.record_background_error(&mut self.0.state.lock(), Severity::UntilReopened, &error);
    }
}
