//! The extent of a set of files: their bytes, and their range of user keys.

use crate::format::internal_key::InternalKeyComparator;
use crate::version::file_metadata::FileMetaData;
use std::sync::Arc;

/// The sum of the files' sizes, in bytes. It saturates: sizes come from the MANIFEST, and a sum of wrong ones
/// must not overflow.
pub fn total_bytes<'a>(files: impl IntoIterator<Item = &'a Arc<FileMetaData>>) -> u64 {
    files.into_iter().fold(0, |sum: u64, file| sum.saturating_add(file.file_size))
}

/// The smallest and the largest user key of the files; `None` if there are no files.
pub fn user_key_range<'a>(
    comparator: &InternalKeyComparator,
    files: impl IntoIterator<Item = &'a Arc<FileMetaData>>,
) -> Option<(&'a [u8], &'a [u8])> {
    files.into_iter().map(|file| (file.smallest.user_key(), file.largest.user_key())).reduce(
        |(smallest, largest), (first, last)| {
            let first_is_less = comparator.compare_user_keys(first, smallest).is_lt();
            let last_is_greater = comparator.compare_user_keys(last, largest).is_gt();
            (if first_is_less { first } else { smallest }, if last_is_greater { last } else { largest })
        },
    )
}
