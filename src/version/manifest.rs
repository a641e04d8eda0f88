//! stub
use super::version_edit::VersionEdit;
use crate::env::Env;
use crate::error::{Error, Result};
use std::path::Path;
use std::sync::Arc;

/// A MANIFEST, all of whose edits were read.
pub struct RecoveredManifest {
    /// Its number.
    pub number: u64,
    /// The edits, in order.
    pub edits: Vec<VersionEdit>,
    /// Bytes of it; and whether its tail was whole.
    pub file_size: u64,
    /// Does the last record end where the file ends?
    pub clean_end: bool,
}

/// Reads CURRENT (strict: exactly `MANIFEST-<digits>\n`), then every edit of that MANIFEST. A torn tail ends it; damage inside is
/// Corruption. CURRENT missing: NotFound. CURRENT naming a missing file: Corruption.
pub fn recover(env: &Arc<dyn Env>, db: &Path) -> Result<RecoveredManifest> {
    todo!()
}

/// Appends edits to a MANIFEST.
pub struct ManifestWriter {
    number: u64,
}

impl ManifestWriter {
    /// Writes a new MANIFEST `number` that begins with `snapshot` (edits that describe the whole state), and makes CURRENT name it, in
    /// the order of RELIABILITY.md 1.6: write, fdatasync, fsync(dir), tmp (`<number>.dbtmp`), fdatasync, rename, fsync(dir). On an error before the rename the
    /// new files are removed (best effort); from the rename on both MANIFESTs are left.
    pub fn create(
        env: &Arc<dyn Env>,
        db: &Path,
        number: u64,
        snapshot: &[VersionEdit],
    ) -> std::result::Result<Self, ManifestError> {
        todo!()
    }
    /// Goes on with MANIFEST `number`, `size` bytes, which ended cleanly.
    pub fn reopen(env: &Arc<dyn Env>, db: &Path, number: u64, size: u64) -> Result<Self> {
        todo!()
    }
    /// Appends one edit and makes it durable. After an error its outcome is unknown: never use this writer again.
    pub fn append(&mut self, edit: &VersionEdit) -> Result<()> {
        todo!()
    }
    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }
    /// Bytes.
    pub fn file_size(&self) -> u64 {
        todo!()
    }
}

/// Why a MANIFEST could not be created, and whether CURRENT may name it nonetheless.
pub struct ManifestError {
    /// The failure.
    pub error: Error,
    /// The rename was tried: the new MANIFEST must be kept.
    pub may_be_current: bool,
}
