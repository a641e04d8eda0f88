//! Upgrades a table: one in LevelDB's language becomes one in RocksDB's, with the same entries at the same
//! level.
//!
//! Its blocks are copied as they are stored if RocksDB knows their compressions by the same numbers, else its
//! entries are written anew. No entry is dropped. The new file keeps the epoch of the old one, and so its
//! place in the order of level 0. As in every job, the table and then the directory are synced before an edit
//! may name the table, and no shared state changes. Runs without the state mutex.

use crate::compaction::Compaction;
use crate::compaction::job::{CompactionOutcome, edit};
use crate::compression::Compression;
use crate::env::WritableFile;
use crate::error::Result;
use crate::job::context::JobContext;
use crate::job::table_output::{PendingTables, UnsyncedTable};
use crate::language::Language;
use crate::table::builder::{BuiltTable, TableBuilder};
use crate::table::reader::Table;
use crate::version::file_metadata::FileMetaData;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Upgrades the only input. The output and the directory are synced; nothing is installed. On an error the
/// output is removed. `None`: the table is in RocksDB's language already.
pub fn run(compaction: &Compaction, context: &JobContext<'_>) -> Result<Option<CompactionOutcome>> {
    let start = context.env.now_micros();
    let file = &compaction.inputs[0][0];
    let upgraded = upgrade(file, context).map_err(|error| {
        let error = error.context(format_args!("upgrade of table #{}", file.number));
        context.info_log.log(format_args!("{error}"));
        error
    })?;
    let Some(output) = upgraded else { return Ok(None) };
    let (level, bytes) = (compaction.level, output.file_size);
    let (old, new) = (file.number, output.number);
    context.info_log.log(format_args!("Upgraded table #{old}@{level} => #{new}, {bytes} bytes"));
    Ok(Some(CompactionOutcome {
        edit: edit(compaction, vec![output]),
        bytes_read: file.file_size,
        bytes_written: bytes,
        micros: context.env.now_micros().saturating_sub(start),
    }))
}

fn upgrade(file: &Arc<FileMetaData>, context: &JobContext<'_>) -> Result<Option<Arc<FileMetaData>>> {
    let table = file.table(context.table_cache)?.clone();
    if table.language() == Language::RocksDb {
        file.note_language(Language::RocksDb);
        return Ok(None);
    }
    let is_copyable = table.is_copyable()?;
    let mut pending = PendingTables::compressed(context, compression_of_output(&table, context));
    let number = context.next_file_number.fetch_add(1, Ordering::Relaxed);
    let check = || context.check_shutdown();
    let (built, new_file) = match is_copyable {
        true => table.copy_to(pending.create_file(number)?, context.family, &check)?,
        false => rewrite(&table, pending.builder(number, table.creation_time())?, &check)?,
    };
    let output = FileMetaData::of_built(number, file.smallest.clone(), file.largest.clone(), built);
    let output = UnsyncedTable::new(output.with_epoch(Some(file.epoch())), new_file).make_durable(context)?;
    context.env.sync_dir(context.db)?;
    pending.keep();
    Ok(Some(output))
}

/// The codec of a table that is written anew. zstd stays; what only Minecraft's fork reads becomes what new
/// tables have.
fn compression_of_output(table: &Table, context: &JobContext<'_>) -> Compression {
    match table.compression() {
        Some(Compression::Zstd) => Compression::Zstd,
        _ => context.compression(),
    }
}

fn rewrite(
    table: &Arc<Table>,
    mut builder: TableBuilder,
    check: &dyn Fn() -> Result<()>,
) -> Result<(BuiltTable, Box<dyn WritableFile>)> {
    table.for_each_entry(check, |key, value| builder.add(key, value))?;
    builder.finish_unsynced()
}
