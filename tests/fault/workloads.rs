//! The workloads in which every operation fails once.

use crate::crash::workload::Operation::{self, *};
use crate::crash::workload::{Setup, Workload, random, something};
use std::fmt;

/// A workload with a name.
pub struct Named {
    /// Without spaces.
    pub name: String,
    pub workload: Workload,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#[test]\nfn symptom() {{\n{}", self.workload)?;
        write!(f, "    check([Named {{ name: \"symptom\".to_owned(), workload }}].into_iter());\n}}\n")
    }
}

fn named(name: &str, setup: Setup, before: Vec<Operation>, operations: Vec<Operation>) -> Named {
    Named { name: name.to_owned(), workload: Workload { setup, before, operations } }
}

fn put(key: u8, length: usize) -> Operation {
    Put { key, length, sync: false }
}

fn put_synced(key: u8, length: usize) -> Operation {
    Put { key, length, sync: true }
}

/// Writes, some of them synced, in two WALs.
pub fn synced_and_not() -> Named {
    let setup = Setup { mapped_log: false, ..Setup::default() };
    let operations = vec![
        put_synced(1, 100),
        put(2, 200),
        Delete { key: 1, sync: false },
        put_synced(3, 30),
        Rotate,
        put(1, 300),
        Batch { changes: vec![(2, None), (4, Some(40))], sync: true },
        put_synced(5, 50),
    ];
    named("synced-and-not", setup, Vec::new(), operations)
}

/// The twelve fixed workloads.
pub fn twelve() -> Vec<Named> {
    let default = Setup::default();
    let reuse = Setup { reuse_logs: true, ..default };
    let small = Setup { level0_trigger: 2, memtables: 4, ..default };
    vec![
        named("creation", default, Vec::new(), vec![put_synced(1, 10)]),
        synced_and_not(),
        named("flush", default, Vec::new(), vec![put(1, 900), Flush, put_synced(2, 10), Flush, put(1, 5)]),
        named(
            "memtables",
            Setup { memtables: 4, mapped_log: false, ..default },
            Vec::new(),
            vec![put(1, 70_000), put(2, 70_000), put_synced(3, 70_000), put(1, 70_000), put_synced(4, 1)],
        ),
        named(
            "compaction",
            small,
            Vec::new(),
            vec![put(1, 500), put(2, 500), Flush, put(2, 10), put_synced(3, 10), Flush, Compact, put(1, 7)],
        ),
        named(
            "recovery",
            default,
            Vec::new(),
            vec![put_synced(1, 100), put(2, 3000), Reopen, put(3, 1), Reopen],
        ),
        named(
            "reuse",
            reuse,
            Vec::new(),
            vec![put_synced(1, 100), put(2, 300), Reopen, put_synced(3, 1), Reopen],
        ),
        named("old-database", default, something(), vec![put(6, 100), put_synced(1, 1), Compact, Reopen]),
        named("old-database-reused", reuse, something(), vec![put_synced(6, 100), Rotate, put(1, 1), Reopen]),
        named(
            "deletions",
            Setup { bloom: true, compressed: true, ..small },
            something(),
            vec![
                Delete { key: 1, sync: true },
                Batch { changes: (0..8).map(|key| (key, None)).collect(), sync: false },
                Flush,
                put(7, 2000),
                Compact,
                put_synced(1, 8),
            ],
        ),
        seeded(101),
        seeded(202),
    ]
}

/// The workloads with column families. The families have the keys 0, 3, 6; 1, 4, 7; and 2, 5.
pub fn with_families() -> Vec<Named> {
    let default = Setup { families: true, ..Setup::default() };
    let small = Setup { level0_trigger: 2, memtables: 4, ..default };
    let in_all =
        |length: usize, sync| Batch { changes: (0..3).map(|key| (key, Some(length))).collect(), sync };
    vec![
        named(
            "families",
            Setup { mapped_log: false, ..default },
            Vec::new(),
            vec![put(1, 100), put_synced(2, 20), in_all(300, false), in_all(30, true), put(0, 7)],
        ),
        named(
            "families-flushed",
            default,
            Vec::new(),
            vec![in_all(400, false), FlushFamily { key: 1 }, in_all(20, true), put(2, 9), Flush, put(1, 5)],
        ),
        named(
            "families-compacted",
            Setup { bloom: true, compressed: true, ..small },
            Vec::new(),
            vec![in_all(500, false), Flush, in_all(50, true), FlushFamily { key: 2 }, Compact, put(4, 7)],
        ),
        named(
            "families-memtables",
            Setup { mapped_log: false, ..small },
            Vec::new(),
            vec![put(1, 70_000), in_all(70_000, false), put_synced(0, 9), put(2, 70_000), in_all(9, true)],
        ),
        named(
            "families-dropped",
            default,
            Vec::new(),
            vec![in_all(60, false), Recreate { key: 1 }, put_synced(1, 10), Reopen],
        ),
        named(
            "families-recovered",
            default,
            vec![in_all(60, true), FlushFamily { key: 1 }, put(2, 300), Rotate, put_synced(0, 10)],
            vec![put(2, 9), FlushFamily { key: 0 }, in_all(6, false), Reopen],
        ),
        named(
            "families-reused",
            Setup { reuse_logs: true, ..default },
            something(),
            vec![in_all(60, true), Rotate, put_synced(5, 1), Reopen, Recreate { key: 2 }, put(5, 9), Reopen],
        ),
        named(
            "switch",
            Setup { switches: true, ..default },
            vec![put(0, 400), Flush, put(3, 100), Rotate, put_synced(6, 10)],
            vec![put(0, 10), in_all(60, true), put_synced(6, 1), Reopen],
        ),
    ]
}

/// The random workload of the first seed from this one on that has families.
pub fn seeded_with_families(first: u64) -> Named {
    let seed = (first..).find(|&seed| random(seed, 0).setup.families).expect("half of them have");
    seeded(seed)
}

/// The random workload of a seed.
pub fn seeded(seed: u64) -> Named {
    Named { name: format!("random-{seed}"), workload: random(seed, 16) }
}
