//! Takes tables apart, and puts them together again in ways that no correct writer does, with correct
//! checksums.

use crate::fuzz::mend;
use terrace::internals::compression::{Compression, Compressor};
use terrace::internals::format::common_prefix::common_prefix_length;
use terrace::internals::language::Language;
use terrace::internals::table::block::Block;
use terrace::internals::table::block_builder::BlockBuilder;
use terrace::internals::table::footer::{BlockHandle, Footer};
use terrace::internals::util::crc32c;

/// Names or separators, with their block handles.
pub type Handles = Vec<(Vec<u8>, BlockHandle)>;

/// The parts of a table.
pub struct Parts {
    /// Contents of the data blocks, decompressed.
    pub data: Vec<Vec<u8>>,
    /// The separators of the data blocks.
    pub separators: Vec<Vec<u8>>,
    /// (index of a data block, stored bytes, type byte): replaces the stored form of that block.
    pub stored: Vec<(usize, Vec<u8>, u8)>,
    /// Names and contents of the meta blocks.
    pub meta: Vec<(Vec<u8>, Vec<u8>)>,
    compression: Compression,
    language: Language,
}

/// A table whose data blocks and meta blocks are written, but not yet its metaindex, index and footer.
pub struct Layout {
    bytes: Vec<u8>,
    pub index: Handles,
    pub metaindex: Handles,
    compressor: Compressor,
    language: Language,
}

/// The keys and values of a block.
fn entries(table: &[u8], handle: BlockHandle) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let contents = mend::block_contents(table, handle)?;
    let mut block = Block::parse(&contents).ok()?.entries();
    let mut entries = Vec::new();
    while let Some((key, value)) = block.next().ok()? {
        entries.push((key.to_vec(), value.to_vec()));
    }
    Some(entries)
}

/// The contents of an index or a metaindex.
pub fn encode_handles(entries: &[(Vec<u8>, BlockHandle)]) -> Vec<u8> {
    let mut builder = BlockBuilder::new(1);
    let mut last: &[u8] = b"";
    for (key, handle) in entries {
        let mut value = Vec::new();
        handle.encode(&mut value);
        builder.add(common_prefix_length(last, key), key, &value).unwrap();
        last = key;
    }
    builder.finish().expect("a short block").to_vec()
}

impl Parts {
    /// The parts of a table; `None` if the bytes are not a table.
    pub fn of(table: &[u8]) -> Option<Parts> {
        let footer = Footer::decode(table).ok()?;
        let handle = |value: &[u8]| BlockHandle::decode(&mut &value[..]);
        let mut parts = Parts {
            data: Vec::new(),
            separators: Vec::new(),
            stored: Vec::new(),
            meta: Vec::new(),
            compression: Compression::None,
            language: footer.language,
        };
        for (separator, value) in entries(table, footer.index)? {
            let handle = handle(&value)?;
            if table.get(handle.offset.checked_add(handle.size)? as usize) == Some(&1) {
                parts.compression = Compression::Snappy;
            }
            parts.data.push(mend::block_contents(table, handle)?);
            parts.separators.push(separator);
        }
        for (name, value) in entries(table, footer.metaindex)? {
            parts.meta.push((name, mend::block_contents(table, handle(&value)?)?));
        }
        Some(parts)
    }

    /// Writes data blocks and meta blocks.
    pub fn lay_out(&self) -> Layout {
        let mut layout = Layout {
            bytes: Vec::new(),
            index: Vec::new(),
            metaindex: Vec::new(),
            compressor: Compressor::new(self.compression),
            language: self.language,
        };
        for (ordinal, (contents, separator)) in self.data.iter().zip(&self.separators).enumerate() {
            let handle = match self.stored.iter().find(|(at, ..)| *at == ordinal) {
                Some((_, bytes, type_byte)) => layout.add_raw_block(bytes, *type_byte),
                None => layout.add_block(contents),
            };
            layout.index.push((separator.clone(), handle));
        }
        for (name, contents) in &self.meta {
            let handle = layout.add_raw_block(contents, 0);
            layout.metaindex.push((name.clone(), handle));
        }
        layout
    }
}

impl Layout {
    /// The number of bytes written so far.
    pub fn length(&self) -> usize {
        self.bytes.len()
    }

    /// Adds stored bytes as a block, with a type byte.
    pub fn add_raw_block(&mut self, stored: &[u8], type_byte: u8) -> BlockHandle {
        let handle = BlockHandle { offset: self.bytes.len() as u64, size: stored.len() as u64 };
        self.bytes.extend_from_slice(stored);
        self.bytes.push(type_byte);
        let sum = crc32c::mask(crc32c::extend(crc32c::value(stored), &[type_byte]));
        self.bytes.extend_from_slice(&sum.to_le_bytes());
        handle
    }

    /// Adds a block, with the compression of the table.
    pub fn add_block(&mut self, contents: &[u8]) -> BlockHandle {
        let compressed = self.compressor.compress(contents).map(|(bytes, kind)| (bytes.to_vec(), kind));
        let (bytes, kind) = compressed.unwrap_or_else(|| (contents.to_vec(), 0));
        self.add_raw_block(&bytes, kind)
    }

    /// The complete table.
    pub fn finish(self) -> Vec<u8> {
        self.finish_changed(|_| (), |_| ())
    }

    /// The complete table, with a changed index block or footer.
    pub fn finish_changed(
        mut self,
        change_index: impl FnOnce(&mut Vec<u8>),
        change_footer: impl FnOnce(&mut Footer),
    ) -> Vec<u8> {
        let metaindex = self.add_raw_block(&encode_handles(&self.metaindex), 0);
        let mut contents = encode_handles(&self.index);
        change_index(&mut contents);
        let index = self.add_block(&contents);
        let mut footer = Footer { language: self.language, metaindex, index };
        change_footer(&mut footer);
        footer.encode(&mut self.bytes);
        self.bytes
    }
}
