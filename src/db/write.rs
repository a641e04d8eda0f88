//! Writes. `commit` takes a write from the caller to the published sequence number. `group` is the queue of
//! writers, and the groups that they form. `stall` makes room for a write: write stalls, and the switch of
//! memtable and WAL.

pub(super) mod commit;
pub(super) mod group;
pub(super) mod stall;
