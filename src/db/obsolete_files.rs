//! Removes files that the last durable MANIFEST does not need.
//!
//! At open the directory is listed once; from then on numbers are removed as the last version that has them goes (tables),
//! or as an edit that makes them unneeded is durable (logs, MANIFESTs). Tables and logs are removed by a worker of their own:
//! file systems make a removal wait for their journal, or for the device to discard the blocks: milliseconds a table, in which a
//! flush or a compaction would stand still. The same worker closes the tables that a compaction has replaced, and unmaps them.
//!
//! So the space of what a compaction has read is given back soon after it, also of one that somebody asked for and waited for; close
//! waits until it is. Nothing is removed once close has let the lock go: the directory may be another process's by then.

use super::install::Replaced;
use super::state::{DbInner, DbState};
use crate::background::worker::Next;
use crate::compaction::compaction::Compaction;
use crate::format::file_name::{self, FileType};
use std::collections::HashSet;
use std::path::Path;

/// The state before a compaction, and the compaction itself, which holds its inputs: what is dropped closes tables.
pub struct Retired {
    _replaced: Replaced,
    _compaction: Compaction,
}

impl DbInner {
    /// Leaves what a compaction has replaced to the worker that removes files.
    pub(super) fn retire(&self, replaced: Replaced, compaction: Compaction) {
        self.retired.lock().push(Retired { _replaced: replaced, _compaction: compaction });
        self.removal_waker.wake();
    }

    /// A step of the worker that removes files.
    pub(super) fn removal_step(&self) -> Next {
        self.guarded(|| {
            self.remove_obsolete_files();
            if self.is_closed() { self.stop() } else { Next::Wait }
        })
    }

    /// Removes the logs that no recovery needs and the tables that no version refers to any more; returns when they are gone, if
    /// by another's hand. Not after the lock was let go.
    pub(super) fn remove_obsolete_files(&self) {
        let _turn = self.removing.lock();
        let retired = std::mem::take(&mut *self.retired.lock());
        drop(retired);
        for number in self.obsolete_logs.take() {
            self.remove_quietly(&file_name::log(&self.path, number));
        }
        for number in self.obsolete.take() {
            self.family.table_cache.evict(number);
            let path = file_name::table(&self.path, number);
            match self.env.remove_file(&path) {
                Err(error) if error.is_not_found() => {
                    self.remove_quietly(&file_name::old_table(&self.path, number));
                }
                result => self.note_removal(&path, result),
            }
        }
    }

    /// Has logs removed that a durable edit has made unneeded.
    pub(super) fn hand_over_logs(&self, numbers: &[u64]) {
        numbers.iter().for_each(|&number| self.obsolete_logs.push(number));
        self.removal_waker.wake();
    }

    /// Takes the logs below `min_log_number` off the list.
    pub(super) fn take_unneeded_logs(&self, state: &mut DbState, min_log_number: u64) -> Vec<u64> {
        let (unneeded, needed): (Vec<_>, Vec<_>) =
            state.logs.iter().partition(|log| log.number < min_log_number);
        state.logs = needed;
        unneeded.iter().map(|log| log.number).collect()
    }

    /// Removes every MANIFEST below `number`, the one CURRENT durably names.
    pub(super) fn remove_manifests_before(&self, number: u64) {
        let Ok(children) = self.env.children(&self.path) else { return };
        for name in children {
            if matches!(file_name::parse(&name), Some(FileType::Manifest(other)) if other < number) {
                self.remove_quietly(&self.path.join(name));
            }
        }
    }

    /// Lists the directory and removes what the current state does not need. Only while nothing else runs: at open.
    pub(super) fn remove_leftovers(&self, state: &DbState, manifest_number: u64) {
        let Ok(children) = self.env.children(&self.path) else { return };
        let live: HashSet<u64> =
            state.versions.current().levels.iter().flatten().map(|file| file.number).collect();
        for name in children {
            let keep = match file_name::parse(&name) {
                Some(FileType::Log(number)) => number >= state.versions.log_number,
                Some(FileType::Table(number)) => live.contains(&number),
                Some(FileType::Manifest(number)) => number >= manifest_number,
                Some(FileType::Temp(_)) => false,
                Some(FileType::Current | FileType::Lock | FileType::InfoLog) | None => true,
            };
            if !keep {
                self.info_log.log(format_args!("removing {}", Path::new(&name).display()));
                self.remove_quietly(&self.path.join(name));
            }
        }
    }

    fn remove_quietly(&self, path: &Path) {
        let result = self.env.remove_file(path);
        self.note_removal(path, result);
    }

    /// A file that can't be removed costs space, not data: it is logged, and tried again at the next open.
    fn note_removal(&self, path: &Path, result: crate::error::Result<()>) {
        if let Err(error) = result
            && !error.is_not_found()
        {
            self.info_log.log(format_args!("could not remove {}: {error}", path.display()));
        }
    }
}
