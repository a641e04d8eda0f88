//! Recovery from errors on request (`Db::resume`), and the replacement of a WAL that could not be appended
//! to.
//!
//! A failed append that could not be undone leaves the end of the WAL unknown: a part of the record, or all
//! of it, may be there. So that WAL is never appended to again, and its acknowledged entries go to a table
//! first. The order: new WAL, memtable switch, flush, MANIFEST with the number of the new WAL. Until then
//! writes are refused. So the new WAL has no entry before the MANIFEST names it.
//!
//! A failed sync has no such cure: the system may have dropped the pages, and only a new open reads back what
//! is there.

use crate::db::Db;
use crate::db::background::errors::Severity;
use crate::db::shared::DbShared;
use crate::db::write::group::WriterState;
use crate::db::write::stall::NewMemtable;
use crate::error::Result;
use crate::format::column_family_id::ColumnFamilyId;
use crate::wal::writer::WalWriter;

impl Db {
    /// Retries the failed background work at once, instead of at the next scheduled time, and waits for the
    /// outcome; for example when a full disk has space again. `Ok` if no failure is left. Otherwise the error
    /// of the failure that remains. An error that only a new open can cure is returned as it is.
    pub fn resume(&self) -> Result<()> {
        let inner = &self.inner;
        inner.check_caller()?;
        let mut state = inner.state.lock();
        let before = state.errors.count();
        state.errors.retry_now(inner.env.now());
        loop {
            inner.refusal_if_closed()?;
            match state.errors.worst() {
                None => return Ok(()),
                Some(worst) if state.errors.count() != before || !worst.is_retried() => {
                    return Err(worst.to_error());
                }
                Some(_) => {}
            }
            inner.flush_waker.wake();
            inner.compaction_waker.wake();
            inner.wait_for_workers(&mut state);
        }
    }
}

impl DbShared {
    fn refusal_if_closed(&self) -> Result<()> {
        if self.is_closed() { Err(self.closed_error()) } else { Ok(()) }
    }

    /// Gives the writer a new WAL and a new memtable if its WAL is poisoned by a failed append. The flush
    /// that follows makes the MANIFEST name the new WAL, which ends the error.
    pub(in crate::db) fn replace_poisoned_wal(&self) -> Result<()> {
        let mut writer = self.writer.lock();
        if writer.wal.as_ref().is_none_or(|wal| wal.poisoned().is_none()) {
            return Ok(());
        }
        let number = self.new_file_number();
        match self.new_wal_and_memtables(&writer, number) {
            Ok((mut wal, memtables)) => {
                // The poisoned WAL is not appended to any more, and the flush that follows covers it and the
                // older WALs. So none of them is synced again.
                let size = writer.wal.take().map_or(0, |poisoned| poisoned.file_size());
                let _ = self.older_logs.release(number);
                wal.share_older(self.older_logs.clone());
                writer.wal = Some(wal);
                drop(self.switch_memtables(&mut writer, (number, size), memtables));
                Ok(())
            }
            Err(error) => {
                self.record_background_error(&mut self.state.lock(), Severity::ReplaceLog, &error);
                Err(error)
            }
        }
    }

    /// A new WAL, and a new memtable for the default family and for each other one that has entries.
    fn new_wal_and_memtables(
        &self,
        writer: &WriterState,
        number: u64,
    ) -> Result<(WalWriter, Vec<(ColumnFamilyId, NewMemtable)>)> {
        let mut memtables = Vec::new();
        for (id, of_writer) in writer.families.iter() {
            if id == ColumnFamilyId::DEFAULT || !of_writer.memtable.memtable().is_empty() {
                memtables.push((id, self.new_memtable(of_writer.family.or(&self.default_family))?));
            }
        }
        let options = self.wal_options();
        let wal = WalWriter::create(&self.env, &self.path, number, options, writer.last_sequence)?;
        Ok((wal, memtables))
    }
}
