//! Corrects the checksums of damaged files, so that the damage is not detected by them.

use super::archive::Files;
use std::path::Path;
use terrace::env::mem::MemEnv;
use terrace::env::{CreateMode, Env};
use terrace::internals::compression;
use terrace::internals::format::file_name::{self, FileType};
use terrace::internals::language::Language;
use terrace::internals::record::reader::{ReadOutcome, RecordReader};
use terrace::internals::record::writer::RecordWriter;
use terrace::internals::record::{BLOCK_SIZE, HEADER_SIZE};
use terrace::internals::table::block::Block;
use terrace::internals::table::footer::{BLOCK_TRAILER_SIZE, BlockHandle, Footer};
use terrace::internals::util::crc32c;
use terrace::internals::version::file_metadata::FileMetaData;
use terrace::internals::version::version_edit::VersionEdit;
use terrace::internals::wal::marker;

/// The type of the file called `name`.
pub fn file_type(name: &str) -> Option<FileType> {
    file_name::parse(name.as_ref())
}

/// Corrects the checksums of all files.
pub fn files(files: &mut Files) {
    for (name, content) in files {
        match file_type(name) {
            Some(FileType::Log(_) | FileType::Manifest(_)) => records(content),
            Some(FileType::Table(_)) => table(content),
            _ => {}
        }
    }
}

/// Corrects the checksum of every fragment whose length fits into its block.
pub fn records(bytes: &mut [u8]) {
    for block in bytes.chunks_mut(BLOCK_SIZE) {
        let mut at = 0;
        while let Some(header) = block[at..].first_chunk::<HEADER_SIZE>() {
            let end = at + HEADER_SIZE + usize::from(u16::from_le_bytes([header[4], header[5]]));
            if block.len() < end || header[4..] == [0; 3] {
                break;
            }
            let sum = crc32c::mask(crc32c::value(&block[at + 6..end]));
            block[at..at + 4].copy_from_slice(&sum.to_le_bytes());
            at = end;
        }
    }
}

/// The complete records of a WAL or a MANIFEST.
pub fn parse_records(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (env, path) = (MemEnv::new(), Path::new("/records"));
    super::archive::write(&env, path, bytes);
    let mut reader = RecordReader::new(env.open_sequential(path).expect("the file"), path.to_path_buf());
    let (mut records, mut record) = (Vec::new(), Vec::new());
    loop {
        match reader.read_record(&mut record).expect("a read from memory") {
            ReadOutcome::Record => records.push(record.clone()),
            ReadOutcome::End => return records,
            ReadOutcome::Damage(_) | ReadOutcome::Hole(_) => {}
        }
    }
}

/// A WAL (with a marker, if the first record is one) or a MANIFEST of these records.
pub fn frame_records(records: &[Vec<u8>]) -> Vec<u8> {
    let (env, path) = (MemEnv::new(), Path::new("/records"));
    let file = env.create_writable(path, CreateMode::New).expect("a file in memory");
    let is_marker = |record: &&Vec<u8>| marker::decode(record, marker::MARKER_SIZE as u64);
    let (mut writer, records) = match records.first().as_ref().and_then(is_marker) {
        Some(sequence) => (RecordWriter::with_prologue(file, marker::encode(sequence)), &records[1..]),
        None => (RecordWriter::new(file, 0), records),
    };
    records.iter().for_each(|record| writer.add_record(record).expect("a write to memory"));
    writer.close().expect("a close in memory");
    env.files().pop().expect("the file").1
}

/// Corrects the checksums of the blocks to which footer, metaindex and index refer, the index last.
pub fn table(bytes: &mut [u8]) {
    let Ok(footer) = Footer::decode(bytes) else { return };
    let mut handles = entry_handles(bytes, footer.index);
    handles.extend(entry_handles(bytes, footer.metaindex));
    handles.extend([footer.metaindex, footer.index]);
    for handle in handles {
        if let Some(block) = stored_mut(bytes, handle) {
            let (summed, sum) = block.split_at_mut(block.len() - 4);
            sum.copy_from_slice(&crc32c::mask(crc32c::value(summed)).to_le_bytes());
        }
    }
}

/// The stored block, with its trailer.
fn stored_mut(bytes: &mut [u8], handle: BlockHandle) -> Option<&mut [u8]> {
    bytes.get_mut(usize::try_from(handle.offset).ok()?..usize::try_from(handle.end()?).ok()?)
}

/// The contents of a block, decompressed.
pub fn block_contents(bytes: &[u8], handle: BlockHandle) -> Option<Vec<u8>> {
    let end = usize::try_from(handle.end()?).ok()?;
    let stored = bytes.get(usize::try_from(handle.offset).ok()?..end)?;
    let (stored, trailer) = stored.split_at(stored.len() - BLOCK_TRAILER_SIZE);
    let mut contents = vec![0; compression::decompressed_length(trailer[0], stored).ok()?];
    compression::decompress(trailer[0], stored, &mut contents).ok()?;
    Some(contents)
}

fn entry_handles(bytes: &[u8], handle: BlockHandle) -> Vec<BlockHandle> {
    let mut handles = Vec::new();
    if let Some(contents) = block_contents(bytes, handle)
        && let Ok(block) = Block::parse(&contents)
    {
        let mut entries = block.entries();
        while let Ok(Some((_, mut value))) = entries.next() {
            handles.extend(BlockHandle::decode(&mut value));
        }
    }
    handles
}

/// Writes the actual sizes of the tables into the MANIFESTs, so that a table whose length was changed is
/// still read.
pub fn table_sizes(files: &mut Files) {
    let sizes: Vec<(u64, u64)> = files
        .iter()
        .filter_map(|(name, content)| match file_type(name) {
            Some(FileType::Table(number)) => Some((number, content.len() as u64)),
            _ => None,
        })
        .collect();
    for (name, content) in files {
        if !matches!(file_type(name), Some(FileType::Manifest(_))) {
            continue;
        }
        let mut records = parse_records(content);
        for record in &mut records {
            let Ok(mut edit) = VersionEdit::decode(record) else { continue };
            for (_, file) in &mut edit.new_files {
                if let Some((_, size)) = sizes.iter().find(|(number, _)| *number == file.number) {
                    let (smallest, largest) = (file.smallest.clone(), file.largest.clone());
                    let mut mended = FileMetaData::new(file.number, *size, smallest, largest);
                    if let Some((lowest, highest)) = file.sequence_range() {
                        mended = mended.with_sequences(lowest, highest).with_epoch(Some(file.epoch()));
                    }
                    *file = mended.into();
                }
            }
            record.clear();
            let language = if edit.beyond.was_read { Language::RocksDb } else { Language::LevelDb };
            edit.encode(language, record);
        }
        *content = frame_records(&records);
    }
}
