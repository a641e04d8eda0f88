//! stub
use super::file_metadata::FileMetaData;
use crate::error::Result;
use crate::format::internal_key::InternalKeyComparator;
use crate::iterator::InternalIterator;
use crate::table::TableReadOptions;
use crate::table::cache::TableCache;
use std::sync::Arc;

/// A position in a run of files whose keys do not overlap, in order; opens a file only when it gets there.
pub struct LevelIterator {}

impl LevelIterator {
    /// Iterates over `files`.
    pub fn new(
        comparator: InternalKeyComparator,
        files: Vec<Arc<FileMetaData>>,
        cache: Arc<TableCache>,
        read: TableReadOptions,
    ) -> Self {
        todo!()
    }
}

impl InternalIterator for LevelIterator {
    fn valid(&self) -> bool {
        todo!()
    }
    fn seek_to_first(&mut self) {
        todo!()
    }
    fn seek_to_last(&mut self) {
        todo!()
    }
    fn seek(&mut self, target: &[u8]) {
        todo!()
    }
    fn next(&mut self) {
        todo!()
    }
    fn prev(&mut self) {
        todo!()
    }
    fn key(&self) -> &[u8] {
        todo!()
    }
    fn value(&self) -> &[u8] {
        todo!()
    }
    fn status(&self) -> Result<()> {
        todo!()
    }
}
