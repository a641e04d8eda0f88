//! Reads: `get` (one key), `iterator`, `snapshot` and the list of live snapshots, and the `options` of a
//! read.

pub(super) mod get;
pub(super) mod iterator;
pub(super) mod options;
pub(super) mod snapshot;
pub(super) mod snapshot_list;
