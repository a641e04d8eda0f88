//! Writes. `commit` takes a write from the caller to the published sequence number. `group` is the queue of
//! writers, and the groups that they form. `stall` makes room for a write: write stalls, and the switch of
//! memtable and WAL. `spread` has the writes to other families than the default
//! one; `record` is what it has in common with `commit`.

pub(super) mod commit;
pub(super) mod group;
mod record;
pub(super) mod spread;
pub(super) mod stall;
