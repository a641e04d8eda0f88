//! The library does not use the host's stdio streams. LevelDB once wrote its WALs through stdio, and
//! `fflush(NULL)` wrote records twice.

use crate::compression::Compression;
use crate::db::Db;
use crate::db::ReadOptions;
use crate::filter_policy::BloomFilterPolicy;
use crate::options::{Options, WriteOptions};
use std::sync::Arc;

fn four_sets_of_options() -> [Options; 4] {
    let base = || Options { create_if_missing: true, write_buffer_size: 64 << 10, ..Options::default() };
    [
        base(),
        Options { reuse_logs: true, ..base() },
        Options { filter_policy: Some(Arc::new(BloomFilterPolicy::new(10))), ..base() },
        Options { compression: Compression::None, ..base() },
    ]
}

#[test]
fn flushing_the_hosts_streams_disturbs_nothing() {
    for options in four_sets_of_options() {
        let directory = tempfile::tempdir().expect("a directory");
        let db = Db::open(&options, directory.path()).unwrap();
        for i in 0..5000u32 {
            // SAFETY: NULL means all open streams.
            unsafe { libc::fflush(std::ptr::null_mut()) };
            let key = i.wrapping_mul(2_654_435_761).to_be_bytes();
            db.put(&WriteOptions::default(), &key, &[b'v'; 100]).unwrap();
        }
        db.close().unwrap();
        let db = Db::open(&options, directory.path()).unwrap();
        for i in 0..5000u32 {
            let key = i.wrapping_mul(2_654_435_761).to_be_bytes();
            assert_eq!(
                db.get(&ReadOptions::default(), &key).unwrap().as_deref(),
                Some([b'v'; 100].as_slice())
            );
        }
    }
}
