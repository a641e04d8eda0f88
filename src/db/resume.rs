//! Going on after the log could not be extended: a new log, and a MANIFEST that names it.
//!
//! A failed append, if it could not be undone, leaves the end of the log unknown: a part of the record, or all of it, may be there. So the log is never
//! appended to again, and what was acknowledged of it goes to a table first: new log, memtable rotated, flush, MANIFEST with
//! the new log's number. Until then writes are refused, so nothing reaches the new log that the MANIFEST does not know of.
//! A failed sync is another matter: the system may have dropped the pages, and only a reopening reads back what is there.

use super::Db;
use super::background_error::Severity;
use super::state::{DbInner, LogFile};
use crate::env::LogFileOptions;
use crate::error::Result;
use crate::wal::writer::WalWriter;

impl Db {
    /// Tries at once, instead of at the next retry, what background work has failed at, and waits for the outcome: a full disk
    /// has space again, say. `Ok` where nothing is wrong (any more); the error that remains otherwise. An error that only a
    /// reopening can cure is returned as it is.
    pub fn resume(&self) -> Result<()> {
        let inner = &self.inner;
        inner.check_caller()?;
        let mut state = inner.state.lock();
        let before = state.failures.count;
        state.failures.retry_now();
        loop {
            inner.refusal_if_closed()?;
            match state.failures.worst() {
                None => return Ok(()),
                Some(worst) if state.failures.count != before || !worst.is_retried() => {
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

impl DbInner {
    fn refusal_if_closed(&self) -> Result<()> {
        if self.is_closed() { Err(self.closed_error()) } else { Ok(()) }
    }

    /// Gives the writer a new log and a new memtable if its log is poisoned by a failed append. The flush that follows makes the
    /// MANIFEST name the new log, and ends the error.
    pub(super) fn replace_poisoned_log(&self) -> Result<()> {
        let mut writer = self.writer.lock();
        if writer.wal.as_ref().is_none_or(|wal| wal.poisoned().is_none()) {
            return Ok(());
        }
        let number = self.new_file_number();
        let options = LogFileOptions {
            mapped: self.options.mmap_wal,
            expected_size: self.options.write_buffer_size as u64,
        };
        let created = self.new_memtable().and_then(|memtable| {
            let wal = WalWriter::create(&self.env, &self.path, number, options, writer.last_sequence)?;
            Ok((wal, memtable))
        });
        let mut state = self.state.lock();
        match created {
            Ok((mut wal, (memtable, memtable_writer))) => {
                // The poisoned one is not appended to any more, and those before it hold what is to be flushed: none is synced again.
                drop(writer.wal.take());
                let _ = self.older_logs.release(number);
                wal.share_older(self.older_logs.clone());
                writer.wal = Some(wal);
                writer.memtable = memtable_writer;
                state.logs.push(LogFile { number, begins_after: writer.last_sequence });
                state.memtables.rotate(memtable, number);
                let old = self.publish(&mut state);
                drop(state);
                drop(old);
                Ok(())
            }
            Err(error) => {
                self.record_background_error(&mut state, Severity::ReplaceLog, &error);
                Err(error)
            }
        }
    }
}
