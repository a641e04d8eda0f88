//! What a table in RocksDB's language says of its own form, and what of RocksDB's features is refused.
//!
//! Ours have format version 2 and none of these features. RocksDB's own tables are read from version 2 to 7,
//! if they consist of one index, searched in halves, and plain data blocks. A feature that changes what is in
//! a table is refused by its name, before anything is read wrongly.
//!
//! Runs on one thread, while a table is opened.

use crate::error::{Error, Result};
use crate::table::block::Block;
use crate::table::block_file::BlockFile;
use crate::table::footer::{BlockHandle, Footer};
use crate::table::properties::PROPERTIES_BLOCK;
use crate::table::rocksdb_index::IndexForm;
use crate::util::coding::get_varint64;

/// Where the index of a table is, and its form.
pub(in crate::table) struct IndexPlace {
    pub handle: BlockHandle,
    pub form: IndexForm,
    /// The data blocks may have a form that the properties do not tell.
    pub has_foreign_blocks: bool,
}

impl IndexPlace {
    /// The place in a table of LevelDB's, or of one of ours that is damaged elsewhere.
    fn of_footer(footer: &Footer) -> Self {
        IndexPlace { handle: footer.index, form: IndexForm::default(), has_foreign_blocks: false }
    }
}

/// Finds the index. NotSupported if the table has a feature that is not read.
pub(in crate::table) fn find_index(file: &BlockFile, footer: &Footer, version: u32) -> Result<IndexPlace> {
    if version < FIRST_ROCKSDB_VERSION {
        return Ok(IndexPlace::of_footer(footer));
    }
    match find_index_by_properties(file, footer, version) {
        // One of ours can do without its properties.
        Err(error) if version == FIRST_ROCKSDB_VERSION && error.is_corruption() => {
            Ok(IndexPlace::of_footer(footer))
        }
        found => found,
    }
}

const FIRST_ROCKSDB_VERSION: u32 = 2;

/// From this version on the metaindex names the index, not the footer.
const FIRST_WITHOUT_INDEX_HANDLE: u32 = 6;

/// Names in the metaindex, and what they mean.
const REFUSED_BLOCKS: [(&[u8], &str); 2] =
    [(b"rocksdb.range_del", "range deletions"), (b"rocksdb.compression_dict", "compression dictionaries")];

/// Numbers among the properties that must be 0, and what another one means.
const REFUSED_COUNTS: [(&[u8], &str); 5] = [
    (b"rocksdb.num.range-deletions", "range deletions"),
    (b"rocksdb.merge.operands", "merge operands"),
    (b"rocksdb.separate.key.value.in.data.block", "data blocks with keys and values apart"),
    (b"rocksdb.num.uniform.blocks", "blocks that are marked as uniform"),
    (b"rocksdb.udi.is.primary.index", "user-defined indexes"),
];

fn find_index_by_properties(file: &BlockFile, footer: &Footer, version: u32) -> Result<IndexPlace> {
    let refused = |what: &str| refuse(file, what);
    let mut place = IndexPlace::of_footer(footer);
    let (mut properties, mut index) = (None, None);
    for_each_entry(file, footer.metaindex, |name, mut value| {
        if let Some((_, what)) = REFUSED_BLOCKS.iter().find(|(refused, _)| *refused == name) {
            return refused(what);
        }
        match name {
            PROPERTIES_BLOCK => properties = BlockHandle::decode(&mut value),
            b"rocksdb.index" => index = BlockHandle::decode(&mut value),
            _ => {}
        }
        Ok(())
    })?;
    if version >= FIRST_WITHOUT_INDEX_HANDLE {
        place.handle = index.ok_or_else(|| file.corruption("the metaindex does not name the index"))?;
    }
    let properties =
        properties.ok_or_else(|| file.corruption("the metaindex does not name the properties"))?;
    let mut is_ours = false;
    for_each_entry(file, properties, |name, value| {
        let number = || get_varint64(&mut { value }).unwrap_or(0);
        match name {
            b"rocksdb.block.based.table.index.type" => match value {
                [0, 0, 0, 0] => {}
                [1, ..] => return refused("a hash index"),
                [2, ..] => return refused("a partitioned index"),
                _ => return refused("an index of an unknown type"),
            },
            b"rocksdb.index.key.is.user.key" => place.form.has_user_keys = number() != 0,
            b"rocksdb.index.value.is.delta.encoded" => place.form.has_deltas = number() != 0,
            b"rocksdb.compression" if !is_read_compression(value) => {
                return refused(&format!("compression {}", value.escape_ascii()));
            }
            b"rocksdb.external_sst_file.version" => return refused("a file that was ingested"),
            b"terrace.largest.sequence" => is_ours = true,
            _ => {
                let count = REFUSED_COUNTS.iter().find(|(refused, _)| *refused == name);
                if let Some((_, what)) = count.filter(|_| number() != 0) {
                    return refused(what);
                }
            }
        }
        Ok(())
    })?;
    place.has_foreign_blocks = !is_ours;
    Ok(place)
}

/// Can blocks with the compression of this name be read? An unknown name may be a combination: then the
/// blocks tell.
fn is_read_compression(name: &[u8]) -> bool {
    const NOT_READ: [&[u8]; 5] = [b"BZip2", b"LZ4", b"LZ4HC", b"Xpress", b"ZSTDNotFinal"];
    !NOT_READ.contains(&name)
}

/// Refuses data blocks that end with more than restart points, by the first one. All blocks of a table are of
/// one kind.
pub(in crate::table) fn check_data_block(file: &BlockFile, handle: BlockHandle) -> Result<()> {
    const HASH_INDEX: u32 = 1 << 31;
    let bytes = file.load(handle, true)?;
    match bytes.last_chunk::<4>() {
        Some(ending) if u32::from_le_bytes(*ending) & HASH_INDEX != 0 => {
            refuse(file, "data blocks with a hash index")
        }
        _ => Ok(()),
    }
}

#[cold]
fn refuse<T>(file: &BlockFile, what: &str) -> Result<T> {
    let what = format_args!("a table with a feature of RocksDB's that is not supported: {what}");
    Err(Error::not_supported_in(file.path(), what))
}

/// Hands each entry of a meta block to `entry`.
fn for_each_entry(
    file: &BlockFile,
    handle: BlockHandle,
    mut entry: impl FnMut(&[u8], &[u8]) -> Result<()>,
) -> Result<()> {
    let bytes = file.load(handle, true)?;
    let bad = |bad| file.bad_block(handle, bad);
    let mut entries = Block::parse(&bytes).map_err(bad)?.entries();
    while let Some((name, value)) = entries.next().map_err(bad)? {
        entry(name, value)?;
    }
    Ok(())
}
