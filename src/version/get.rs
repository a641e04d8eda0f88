//! stub
use super::file_metadata::FileMetaData;
use super::version::Version;
use crate::error::Result;
use crate::format::internal_key::LookupKey;
use crate::table::TableReadOptions;
use std::sync::Arc;

/// A file that a look-up read in vain, before it went on to another: its level and itself.
pub type SeekCharge = Option<(usize, Arc<FileMetaData>)>;

impl Version {
    /// The newest value of the key, not newer than the look-up, handed to `found` uncopied; `Ok(None)`: no value (deleted or
    /// never there). With `charge_seeks`, the first file whose data block was read in vain while another had to be read too.
    pub fn get<R>(
        &self,
        read: TableReadOptions,
        key: &LookupKey,
        charge_seeks: bool,
        found: impl FnOnce(&[u8]) -> R,
    ) -> Result<(Option<R>, SeekCharge)> {
        todo!()
    }
}
