//! Background work: flushes, compactions, removal of files, and their errors.
//!
//! Types without I/O own what decisions are made from: `errors` (what has failed), `manual_queue` (ranges
//! that users have requested), `idle_policy` and `seek_policy` (compactions that no size limit requires),
//! `upgrade_cursor` (which table is upgraded next), `file_gc` (what waits to be removed). The work itself:
//! `flush_worker`, `compaction_worker` and `file_removal` are the steps of the workers; `guard` turns a panic
//! in a step into an error; `workers` wakes, awaits and stops the workers; `error_handler` and `resume` begin
//! and end failures; `manual_compaction` is the call of the user; `table_upgrade` makes tables of LevelDB's
//! language tables of RocksDB's.

pub(super) mod compaction_worker;
pub(super) mod error_handler;
pub(super) mod errors;
pub(super) mod file_gc;
pub(super) mod file_removal;
pub(super) mod flush_worker;
pub(super) mod guard;
pub(super) mod idle_policy;
pub(super) mod manual_compaction;
pub(super) mod manual_queue;
pub(super) mod resume;
pub(super) mod seek_policy;
pub(super) mod table_upgrade;
pub(super) mod upgrade_cursor;
pub(super) mod workers;
