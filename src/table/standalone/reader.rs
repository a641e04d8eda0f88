//! An open table of user keys: its index is in memory, its blocks are read when an iterator reaches them.
//!
//! A table is used by any number of threads.

use crate::comparator::Comparator;
use crate::env::RandomAccessFile;
use crate::error::{Error, Result};
use crate::language::Language;
use crate::options::{Options, ReadAt};
use crate::table::block::{Block, BlockBytes};
use crate::table::block_file::BlockFile;
use crate::table::footer::{BlockHandle, FOOTER_SIZE};
use crate::table::reader::read_footer;
use crate::util::cache::{BlockCache, CacheKey, CachedBlock};
use std::cmp::Ordering;
use std::path::PathBuf;
use std::sync::Arc;

/// An open table of user keys.
pub struct UserKeyTable {
    pub(super) comparator: Arc<dyn Comparator>,
    pub(super) file: BlockFile,
    /// For each data block, a key at or after its last key and before the next block's first; and where the
    /// block is.
    pub(super) index: Vec<(Vec<u8>, BlockHandle)>,
    metaindex: BlockHandle,
    cache: Option<(Arc<BlockCache>, u64)>,
    paranoid_checks: bool,
}

impl UserKeyTable {
    /// Opens the table in the first `file_size` bytes of `file`. `path` is for error messages.
    pub fn open(
        options: &Options,
        file: Arc<dyn RandomAccessFile>,
        path: PathBuf,
        file_size: u64,
    ) -> Result<Arc<Self>> {
        if file_size < FOOTER_SIZE as u64 {
            return Err(Error::corruption("file is too short to be an sstable"));
        }
        let (found, limit) = read_footer(&*file, &path, file_size)?;
        if found.footer.language != Language::LevelDb {
            return Err(Error::not_supported_in(&path, "a table of RocksDB's, which only a database reads"));
        }
        let (file, footer) = (BlockFile::new(file, path, limit, &found), found.footer);
        let mut index = Vec::new();
        {
            let bytes = file.load(footer.index, options.paranoid_checks)?;
            let bad = |bad| file.bad_block(footer.index, bad);
            let mut entries = Block::parse(&bytes).map_err(bad)?.entries();
            while let Some((key, mut value)) = entries.next().map_err(bad)? {
                let handle = BlockHandle::decode(&mut value);
                let handle = handle.ok_or_else(|| file.corruption("bad block handle in the index"))?;
                index.push((key.to_vec(), handle));
            }
        }
        let cache = options.block_cache.clone().map(|cache| {
            let id = cache.new_id();
            (cache, id)
        });
        let (comparator, paranoid_checks) = (options.comparator.clone(), options.paranoid_checks);
        Ok(Arc::new(UserKeyTable {
            comparator,
            file,
            index,
            metaindex: footer.metaindex,
            cache,
            paranoid_checks,
        }))
    }

    /// The block that has the first entry at or after `key`; the number of blocks if there is none.
    pub(super) fn find_block(&self, key: &[u8]) -> usize {
        self.index.partition_point(|(separator, _)| self.comparator.compare(separator, key) == Ordering::Less)
    }

    /// The approximate offset in the file of the first entry at or after `key`.
    pub fn approximate_offset_of(&self, key: &[u8]) -> u64 {
        self.index.get(self.find_block(key)).map_or(self.metaindex.offset, |(_, handle)| handle.offset)
    }

    pub(super) fn load(&self, handle: BlockHandle, read: &ReadAt) -> Result<CachedBlock> {
        let key = |id| CacheKey { id, offset: handle.offset };
        if let Some((cache, id)) = &self.cache
            && let Some(bytes) = cache.get(key(*id))
        {
            return Ok(bytes);
        }
        let bytes = match self.file.load(handle, read.verify_checksums || self.paranoid_checks)? {
            BlockBytes::Loaded(bytes) => bytes,
            other => (&*other).into(),
        };
        if let Some((cache, id)) = &self.cache
            && read.fill_cache
        {
            cache.insert(key(*id), bytes.clone(), bytes.memory_usage());
        }
        Ok(bytes)
    }
}
