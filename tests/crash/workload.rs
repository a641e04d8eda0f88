//! A workload: how a database is opened, and the operations on it. Any part of a workload is a workload too,
//! so that it can be shortened. A workload prints itself as Rust code.

use super::mutant::{Mutant, MutantEnv};
use super::run::PATH;
use crate::support::random::Random;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use terrace::BloomFilterPolicy;
use terrace::Compression;
use terrace::env::{Env, info_log};
use terrace::internals::util::cache::BlockCache;
use terrace::{Db, Error, Options};

/// Number of keys: few, so that each has many versions.
pub const KEYS: u8 = 8;

/// The families beside the default one.
pub const FAMILIES: [&str; 2] = ["one", "two"];

/// Size of the write buffer, in bytes: the smallest permitted.
const WRITE_BUFFER: usize = 64 << 10;

/// How the database is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Append to the last WAL and MANIFEST.
    pub reuse_logs: bool,
    /// Append to the WAL as through a mapping: preallocated space, payload before header.
    pub mapped_log: bool,
    /// Number of memtables before a writer waits.
    pub memtables: usize,
    /// Number of level-0 files at which a compaction starts.
    pub level0_trigger: usize,
    /// With a bloom filter.
    pub bloom: bool,
    /// With compressed blocks.
    pub compressed: bool,
    /// With column families: a third of the keys is in each of three.
    pub families: bool,
    /// The families are new: what was before the recorded operations was written without them.
    pub switches: bool,
    /// The changed step of the engine.
    pub mutant: Mutant,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            reuse_logs: false,
            mapped_log: true,
            memtables: 2,
            level0_trigger: 4,
            bloom: false,
            compressed: false,
            families: false,
            switches: false,
            mutant: Mutant::None,
        }
    }
}

impl Setup {
    /// The setup with this number. The first 64 include every combination.
    pub fn numbered(number: u64) -> Setup {
        let bit = |index: u32| number >> index & 1 == 1;
        Setup {
            reuse_logs: bit(0),
            mapped_log: !bit(1),
            memtables: if bit(2) { 4 } else { 2 },
            level0_trigger: if bit(3) { 4 } else { 2 },
            bloom: bit(4),
            compressed: bit(4) ^ bit(0),
            families: bit(5),
            switches: false,
            mutant: Mutant::None,
        }
    }

    /// The options for an open on `env`.
    pub fn options(&self, env: Arc<dyn Env>) -> Options {
        Options {
            env,
            create_if_missing: true,
            info_log: Some(info_log::null()),
            write_buffer_size: WRITE_BUFFER,
            block_size: 1 << 10,
            block_cache: Some(Arc::new(BlockCache::new(1 << 16))),
            reuse_logs: self.reuse_logs,
            mmap_wal: self.mapped_log,
            max_write_buffer_number: self.memtables,
            level0_file_num_compaction_trigger: self.level0_trigger,
            filter_policy: if self.bloom { Some(Arc::new(BloomFilterPolicy::new(10))) } else { None },
            compression: if self.compressed { Compression::Snappy } else { Compression::None },
            create_missing_column_families: true,
            ..Options::default()
        }
    }

    /// Opens the database, with the families of the setup.
    pub fn open(&self, options: &Options) -> Result<Db, Error> {
        let path = Path::new(PATH);
        if !self.families {
            return Db::open(options, path);
        }
        let families = FAMILIES.map(|name| (name, options));
        Db::open_with_families(options, path, &families).map(|(db, _)| db)
    }

    /// The name of the family that has the key; `None`: the default one.
    pub fn family_of(&self, key: u8) -> Option<&'static str> {
        let place = usize::from(key) % (FAMILIES.len() + 1);
        if self.families && place > 0 { Some(FAMILIES[place - 1]) } else { None }
    }

    /// The environment of the engine: `inner`, wrapped if there is a mutant.
    pub fn env(&self, inner: Arc<dyn Env>) -> Arc<dyn Env> {
        match self.mutant {
            Mutant::None => inner,
            mutant => Arc::new(MutantEnv::new(mutant, inner)),
        }
    }
}

impl fmt::Display for Setup {
    /// As Rust code: the fields that differ from the default.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = Setup::default();
        let mut fields = Vec::new();
        let mut field = |name: &str, value: String, is_default: bool| {
            if !is_default {
                fields.push(format!("{name}: {value}, "));
            }
        };
        field("reuse_logs", self.reuse_logs.to_string(), self.reuse_logs == default.reuse_logs);
        field("mapped_log", self.mapped_log.to_string(), self.mapped_log == default.mapped_log);
        field("memtables", self.memtables.to_string(), self.memtables == default.memtables);
        let trigger = self.level0_trigger;
        field("level0_trigger", trigger.to_string(), trigger == default.level0_trigger);
        field("bloom", self.bloom.to_string(), self.bloom == default.bloom);
        field("compressed", self.compressed.to_string(), self.compressed == default.compressed);
        field("families", self.families.to_string(), self.families == default.families);
        field("switches", self.switches.to_string(), self.switches == default.switches);
        field("mutant", format!("Mutant::{:?}", self.mutant), self.mutant == default.mutant);
        if fields.is_empty() {
            return f.write_str("Setup::default()");
        }
        write!(f, "Setup {{ {}..Setup::default() }}", fields.concat())
    }
}

/// One operation. A key is a number. A value is given by its length in bytes; its contents are unique.
#[derive(Clone, PartialEq, Eq)]
pub enum Operation {
    Put {
        key: u8,
        length: usize,
        sync: bool,
    },
    Delete {
        key: u8,
        sync: bool,
    },
    /// Puts (with a length) and deletes (`None`), atomically.
    Batch {
        changes: Vec<(u8, Option<usize>)>,
        sync: bool,
    },
    /// Switches the memtable and the WAL.
    Rotate,
    /// Writes all memtables to tables, and waits.
    Flush,
    /// Compacts everything, and waits.
    Compact,
    /// Closes and opens again.
    Reopen,
    /// Flushes the family of this key, and waits.
    FlushFamily {
        key: u8,
    },
    /// Drops the family of this key, and creates another one with its name.
    Recreate {
        key: u8,
    },
    /// Upgrades all tables, and waits.
    Upgrade,
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operation::Put { key, length, sync } => {
                write!(f, "Put {{ key: {key}, length: {length}, sync: {sync} }}")
            }
            Operation::Delete { key, sync } => write!(f, "Delete {{ key: {key}, sync: {sync} }}"),
            Operation::Batch { changes, sync } => {
                write!(f, "Batch {{ changes: vec!{changes:?}, sync: {sync} }}")
            }
            Operation::Rotate => f.write_str("Rotate"),
            Operation::Flush => f.write_str("Flush"),
            Operation::Compact => f.write_str("Compact"),
            Operation::Reopen => f.write_str("Reopen"),
            Operation::FlushFamily { key } => write!(f, "FlushFamily {{ key: {key} }}"),
            Operation::Recreate { key } => write!(f, "Recreate {{ key: {key} }}"),
            Operation::Upgrade => f.write_str("Upgrade"),
        }
    }
}

/// A setup, the operations before the recorded part, and the recorded operations.
#[derive(Clone, Debug)]
pub struct Workload {
    pub setup: Setup,
    /// Operations that were made durable before; empty: the directory does not exist yet.
    pub before: Vec<Operation>,
    /// The operations during which crashes are tested.
    pub operations: Vec<Operation>,
}

impl fmt::Display for Workload {
    /// The body of a test, without the call that checks the workload.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "    let workload = Workload {{")?;
        writeln!(f, "        setup: {},", self.setup)?;
        for (name, operations) in [("before", &self.before), ("operations", &self.operations)] {
            writeln!(f, "        {name}: vec![")?;
            for operation in operations {
                writeln!(f, "            {operation:?},")?;
            }
            writeln!(f, "        ],")?;
        }
        writeln!(f, "    }};")
    }
}

/// The ten operations of which all sequences are tried.
pub fn ten_operations() -> [Operation; 10] {
    use Operation::*;
    let changes = vec![(1, Some(300)), (2, None), (3, Some(700))];
    [
        Put { key: 1, length: 100, sync: false },
        Put { key: 2, length: 20, sync: true },
        Delete { key: 1, sync: true },
        Batch { changes: changes.clone(), sync: false },
        Batch { changes, sync: true },
        Put { key: 3, length: 70_000, sync: false }, // fills the memtable, and three blocks of the WAL
        Rotate,
        Flush,
        Compact,
        Reopen,
    ]
}

/// All sequences of up to two of the ten operations.
pub fn sequences() -> Vec<Vec<Operation>> {
    let ten = ten_operations();
    let one = ten.iter().map(|first| vec![first.clone()]);
    let two = ten.iter().flat_map(|first| ten.iter().map(|second| vec![first.clone(), second.clone()]));
    std::iter::once(Vec::new()).chain(one).chain(two).collect()
}

/// The operations of a database with two tables in level 0 (or one at a deeper level), and entries in its
/// WAL.
pub fn something() -> Vec<Operation> {
    use Operation::*;
    vec![
        Put { key: 1, length: 400, sync: false },
        Put { key: 2, length: 400, sync: false },
        Flush,
        Batch { changes: vec![(1, Some(50)), (4, Some(2000))], sync: false },
        Delete { key: 2, sync: false },
        Flush,
        Put { key: 5, length: 600, sync: false },
        Put { key: 1, length: 10, sync: true },
    ]
}

/// A workload on a database with families whose directory LevelDB's language has filled: the first open
/// switches it, and the tables are upgraded meanwhile. Only keys of the default family are there before.
pub fn switched(seed: u64, length: usize) -> Workload {
    use Operation::*;
    let Workload { mut setup, mut operations, .. } = random(seed, length);
    (setup.families, setup.switches) = (true, true);
    let before = vec![
        Put { key: 0, length: 700, sync: false },
        Put { key: 3, length: 3000, sync: false },
        Flush,
        Batch { changes: vec![(0, Some(50)), (6, Some(2000))], sync: false },
        Flush,
        Delete { key: 3, sync: false },
        Put { key: 0, length: 0, sync: false },
        Flush,
        Put { key: 6, length: 10, sync: true },
    ];
    let mut random = Random::new(seed);
    for _ in 0..2 {
        let place = random.below(operations.len() as u64 + 1) as usize;
        operations.insert(place, Upgrade);
    }
    Workload { setup, before, operations }
}

/// The workload of a seed.
pub fn random(seed: u64, length: usize) -> Workload {
    let mut random = Random::new(seed);
    let setup = Setup::numbered(random.next());
    let before = if random.one_in(3) { something() } else { Vec::new() };
    // Some workloads sync every write, some hardly any; the other parameters vary in the same way.
    let one_synced_in = random.pick(&[1, 2, 4, 16]);
    let one_rotated_in = random.pick(&[4, 8, 16]);
    let operations = (0..length)
        .map(|_| match random.below(one_rotated_in) {
            0 => match random.below(16) {
                0..=6 => Operation::Rotate,
                7..=9 => Operation::Flush,
                10..=11 => Operation::Compact,
                12..=13 if setup.families => Operation::FlushFamily { key: random.below(3) as u8 },
                14 if setup.families => Operation::Recreate { key: 1 + random.below(2) as u8 },
                _ => Operation::Reopen,
            },
            _ => write(&mut random, one_synced_in),
        })
        .collect();
    Workload { setup, before, operations }
}

fn write(random: &mut Random, one_synced_in: u64) -> Operation {
    let key = |random: &mut Random| random.below(u64::from(KEYS)) as u8;
    let sync = random.one_in(one_synced_in);
    match random.below(10) {
        0..=5 => Operation::Put { key: key(random), length: length(random), sync },
        6..=7 => Operation::Delete { key: key(random), sync },
        _ => {
            let count = random.below(5);
            let changes =
                (0..count).map(|_| (key(random), (!random.one_in(3)).then(|| length(random)))).collect();
            Operation::Batch { changes, sync }
        }
    }
}

fn length(random: &mut Random) -> usize {
    let most = match random.below(32) {
        0..=15 => 60,
        16..=27 => 1_000,
        28..=30 => 5_000,
        _ => 40_000,
    };
    random.below(most) as usize
}
