//! Writes to column families other than the default one: a single entry, a batch over several families, a
//! group with such writes. The steps of a commit are those of every write (`commit`); here is what differs.
//!
//! A record is one batch in the WAL, whatever families its entries are for. So it is recovered whole or not
//! at all. Each entry goes to the memtable of its family.
//!
//! Thread rule: as `commit`.

use crate::batch::decode::BatchIter;
use crate::batch::write_batch::{self, BatchFamilies, HEADER_SIZE, WriteBatch};
use crate::column_family::ColumnFamily;
use crate::db::shared::{DbShared, write_gate};
use crate::db::write::group::{FamilyWriter, WriterState};
use crate::db::write::record::{LONG_TAIL, Record, Write, keep_header};
use crate::db::write::stall::no_such_family;
use crate::error::{Error, Result};
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::internal_key::ValueType;
use crate::options::WriteOptions;
use std::sync::atomic::Ordering;

/// One entry of a family that is not the default one.
pub(in crate::db) struct FamilyEntry<'a> {
    pub family: &'a ColumnFamily,
    pub key: &'a [u8],
    /// `None`: the key is deleted.
    pub value: Option<&'a [u8]>,
}

#[allow(clippy::inline_always)]
impl Write for FamilyEntry<'_> {
    const IS_SPREAD: bool = true;

    #[inline(always)]
    fn size(&self) -> usize {
        self.key.len() + self.value.map_or(0, <[u8]>::len)
    }

    #[inline(always)]
    fn append_to(&self, record: &mut Vec<u8>) {
        match self.value {
            Some(value) => write_batch::encode_put_cf(record, self.family.id, self.key, value),
            None => write_batch::encode_delete_cf(record, self.family.id, self.key),
        }
    }
}

#[allow(clippy::inline_always)]
impl Record for FamilyEntry<'_> {
    #[inline(always)]
    fn count(&self) -> u32 {
        1
    }

    #[inline(always)]
    fn tail(&self) -> &[u8] {
        self.value.filter(|value| value.len() >= LONG_TAIL).unwrap_or_default()
    }

    #[inline(always)]
    fn make_room(&self, db: &DbShared, writer: &mut WriterState, sync: bool) -> Result<()> {
        let family = self.family;
        let Some(of_writer) = writer.families.get_mut_near(family.id, &family.place) else {
            return Err(family.dropped_error());
        };
        let is_full =
            of_writer.memtable.memtable().approximate_memory_usage() > family.options.write_buffer_size;
        let heeded = db.write_gate.load(Ordering::Acquire) & write_gate::of(sync);
        if is_full || heeded != 0 || is_wal_long(writer) || family.is_dropped.load(Ordering::Relaxed) {
            db.make_room_of(writer, family.id, heeded)?;
        }
        Ok(())
    }

    #[inline(always)]
    fn has_memory(&self, writer: &mut WriterState, size: usize) -> bool {
        let of_writer = writer.families.get_mut_near(self.family.id, &self.family.place);
        of_writer.is_some_and(|of_writer| of_writer.memtable.has_room(1, size))
    }

    fn find_memory(&self, db: &DbShared, writer: &mut WriterState, size: usize) -> Result<()> {
        db.find_memory(writer, self.family, 1, size)
    }

    #[inline(always)]
    fn encode(&self, buffer: &mut Vec<u8>) -> Result<()> {
        keep_header(buffer)?;
        let tail = self.tail().len();
        write_batch::reserve_entry(buffer, 0, self.size() - tail)?;
        match tail {
            0 => self.append_to(buffer),
            _ => write_batch::encode_put_cf_without_value(buffer, self.family.id, self.key, tail),
        }
        Ok(())
    }

    #[inline(always)]
    fn insert(&self, _: &DbShared, writer: &mut WriterState, first: u64, _: &[u8]) {
        let family = self.family;
        let Some(of_writer) = writer.families.get_mut_near(family.id, &family.place) else { return };
        match self.value {
            Some(value) => {
                of_writer.memtable.insert(first, ValueType::Value, self.key, value);
                if family.dead_spans.is_active() {
                    family.dead_spans.put([self.key].into_iter());
                }
            }
            None => of_writer.memtable.insert(first, ValueType::Deletion, self.key, &[]),
        }
    }
}

/// Has the WAL a length at which all WALs together may be above their limit, or is there none?
#[inline]
fn is_wal_long(writer: &WriterState) -> bool {
    writer.wal.as_ref().is_none_or(|wal| wal.file_size() >= writer.wal_check_at)
}

/// What entries of a record one family gets.
struct Share {
    family: ColumnFamilyId,
    count: u32,
    /// The bytes of the encoded entries.
    bytes: usize,
}

/// A record with entries for several families: a batch, or the writes of a group.
pub(in crate::db) struct SpreadRecord<'a> {
    /// The entries of a batch. `None`: a group, whose entries are encoded already, after space for the
    /// header.
    batch: Option<&'a [u8]>,
    count: u32,
    shares: Vec<Share>,
}

impl<'a> SpreadRecord<'a> {
    /// The record of a batch. InvalidArgument if it has an entry for a family that is not there.
    fn batch(batch: &'a WriteBatch, is_there: impl Fn(ColumnFamilyId) -> bool) -> Result<Self> {
        let entries = batch.entries();
        let shares = shares(entries, |id| is_there(id).then_some(()).ok_or_else(|| no_such_family(id)))?;
        Ok(SpreadRecord { batch: Some(entries), count: batch.count(), shares })
    }

    /// The record of a group. Its members have checked that their families exist. An entry of a family that
    /// was dropped meanwhile is in the WAL, and nowhere else.
    pub(super) fn group(db: &DbShared, writer: &WriterState, entries: &[u8], count: u32) -> Result<Self> {
        let mut shares = shares(entries, |_| Ok(()))?;
        shares.retain(|share| !db.is_gone(writer, share.family));
        Ok(SpreadRecord { batch: None, count, shares })
    }
}

/// What each family gets of these entries, in the order of the numbers. `check` is called once for each
/// family.
fn shares(entries: &[u8], check: impl Fn(ColumnFamilyId) -> Result<()>) -> Result<Vec<Share>> {
    let mut shares: Vec<Share> = Vec::new();
    for entry in BatchIter::new(entries).flatten() {
        let (family, _, key, value) = entry.parts();
        let bytes = key.len() + value.len();
        match shares.binary_search_by_key(&family, |share| share.family) {
            Ok(found) => {
                shares[found].count += 1;
                shares[found].bytes += bytes;
            }
            Err(place) => {
                check(family)?;
                shares.insert(place, Share { family, count: 1, bytes });
            }
        }
    }
    Ok(shares)
}

impl Record for SpreadRecord<'_> {
    fn count(&self) -> u32 {
        self.count
    }

    fn tail(&self) -> &[u8] {
        self.batch.unwrap_or_default()
    }

    fn make_room(&self, db: &DbShared, writer: &mut WriterState, sync: bool) -> Result<()> {
        let heeded = db.write_gate.load(Ordering::Acquire) & write_gate::of(sync);
        if self.shares.is_empty() {
            return db.make_room_of(writer, ColumnFamilyId::DEFAULT, heeded); // checks that writes are taken
        }
        let is_group = self.batch.is_none();
        self.shares.iter().try_for_each(|share| match db.make_room_of(writer, share.family, heeded) {
            // The family was dropped while this write waited. The other writes of the group go on.
            Err(_) if is_group && db.is_gone(writer, share.family) => Ok(()),
            result => result,
        })
    }

    fn has_memory(&self, _: &mut WriterState, _: usize) -> bool {
        false // it is looked for in each memtable
    }

    fn find_memory(&self, db: &DbShared, writer: &mut WriterState, _: usize) -> Result<()> {
        for share in &self.shares {
            let family = db.family_of_writer(writer, share.family)?.family.clone();
            db.find_memory(writer, family.or(&db.default_family), share.count, share.bytes)?;
        }
        Ok(())
    }

    fn encode(&self, buffer: &mut Vec<u8>) -> Result<()> {
        match self.batch {
            Some(_) => keep_header(buffer),
            None => Ok(()),
        }
    }

    fn insert(&self, db: &DbShared, writer: &mut WriterState, first: u64, encoded: &[u8]) {
        let entries = self.batch.unwrap_or_else(|| &encoded[HEADER_SIZE..]);
        for (sequence, entry) in (first..).zip(BatchIter::new(entries).flatten()) {
            let (id, value_type, key, value) = entry.parts();
            let Some(of_writer) = writer.families.get_mut(id) else { continue };
            of_writer.memtable.insert(sequence, value_type, key, value);
            let dead_spans = &of_writer.family.or(&db.default_family).dead_spans;
            if value_type == ValueType::Value && dead_spans.is_active() {
                dead_spans.put([key].into_iter());
            }
        }
    }
}

impl DbShared {
    /// Writes a batch whose entries are for any families.
    pub(in crate::db) fn write_spread(&self, options: &WriteOptions, batch: &WriteBatch) -> Result<()> {
        self.check_caller()?;
        if matches!(batch.families(), BatchFamilies::Of(other) if other != self.identity) {
            return Err(Error::invalid_argument(
                "the write batch has entries for column families of another database",
            ));
        }
        let record = SpreadRecord::batch(batch, |id| self.state.lock().families.get(id).is_some())?;
        self.write(options, record)
    }

    /// Was the family dropped? (The writer may still have its memtable.)
    pub(in crate::db) fn is_gone(&self, writer: &WriterState, id: ColumnFamilyId) -> bool {
        let is_dropped = |of_writer: &FamilyWriter| {
            of_writer.family.or(&self.default_family).is_dropped.load(Ordering::Acquire)
        };
        writer.families.get(id).is_none_or(is_dropped)
    }

    /// Returns when the active memtable of a family can take a write.
    #[cold]
    #[inline(never)]
    fn make_room_of(&self, writer: &mut WriterState, family: ColumnFamilyId, heeded: u32) -> Result<()> {
        if writer.wal.is_some() && is_wal_long(writer) {
            self.keep_wals_within_limit(writer)?;
        }
        self.pass_gate(writer, family, heeded)
    }
}

impl Write for SpreadRecord<'_> {
    const IS_SPREAD: bool = true;

    fn size(&self) -> usize {
        self.batch.map_or(0, <[u8]>::len)
    }

    fn append_to(&self, record: &mut Vec<u8>) {
        record.extend_from_slice(self.batch.unwrap_or_default());
    }
}
