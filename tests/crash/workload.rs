//! What a database is put through: how it is opened, and what is done to it. Any part of a workload is a workload too, so
//! that it can shrink; it prints itself as Rust.

use super::mutant::{Mutant, MutantEnv};
use crate::support::random::Random;
use std::fmt;
use std::sync::Arc;
use terrace::Options;
use terrace::compression::Compression;
use terrace::env::{Env, info_log};
use terrace::filter_policy::BloomFilterPolicy;
use terrace::util::cache::BlockCache;

/// Keys there are; few, so that each has many versions.
pub const KEYS: u8 = 8;

/// Bytes of the write buffer: the least there may be.
const WRITE_BUFFER: usize = 64 << 10;

/// How the database is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Go on with the last log and MANIFEST.
    pub reuse_logs: bool,
    /// Append to the log as if through a mapping: space ahead of records, payload before header.
    pub mapped_log: bool,
    /// Memtables before a writer waits.
    pub memtables: usize,
    /// Level-0 files at which a compaction starts.
    pub level0_trigger: usize,
    /// With a bloom filter.
    pub bloom: bool,
    /// With compressed blocks.
    pub compressed: bool,
    /// What is wrong with the engine.
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
            mutant: Mutant::None,
        }
    }
}

impl Setup {
    /// The setup of this number: every combination comes up among the first 32.
    pub fn numbered(number: u64) -> Setup {
        let bit = |index: u32| number >> index & 1 == 1;
        Setup {
            reuse_logs: bit(0),
            mapped_log: !bit(1),
            memtables: if bit(2) { 4 } else { 2 },
            level0_trigger: if bit(3) { 4 } else { 2 },
            bloom: bit(4),
            compressed: bit(4) ^ bit(0),
            mutant: Mutant::None,
        }
    }

    /// The options of an opening on `env`.
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
            ..Options::default()
        }
    }

    /// The system as the engine of this setup sees it.
    pub fn env(&self, inner: Arc<dyn Env>) -> Arc<dyn Env> {
        match self.mutant {
            Mutant::None => inner,
            mutant => Arc::new(MutantEnv::new(mutant, inner)),
        }
    }
}

impl fmt::Display for Setup {
    /// As Rust: what is not by default.
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
        field("mutant", format!("Mutant::{:?}", self.mutant), self.mutant == default.mutant);
        if fields.is_empty() {
            return f.write_str("Setup::default()");
        }
        write!(f, "Setup {{ {}..Setup::default() }}", fields.concat())
    }
}

/// One thing done. A key is a number; so is a value: its length in bytes, and what it holds is all its own.
#[derive(Clone, PartialEq, Eq)]
pub enum Operation {
    /// Stores a value.
    Put { key: u8, length: usize, sync: bool },
    /// Removes a key.
    Delete { key: u8, sync: bool },
    /// Stores values, or removes keys, all at once.
    Batch { changes: Vec<(u8, Option<usize>)>, sync: bool },
    /// Starts a new memtable and log.
    Rotate,
    /// Writes all memtables to tables, and waits.
    Flush,
    /// Compacts everything, and waits.
    Compact,
    /// Closes and opens again.
    Reopen,
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
        }
    }
}

/// A setup, what was there before, and what is done.
#[derive(Clone, Debug)]
pub struct Workload {
    /// How the database is opened.
    pub setup: Setup,
    /// What was done and made durable long before; nothing for a directory that does not exist yet.
    pub before: Vec<Operation>,
    /// What is done.
    pub operations: Vec<Operation>,
}

impl fmt::Display for Workload {
    /// The body of a test, but for the call that checks it.
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

/// The ten operations whose sequences are all tried.
pub fn ten_operations() -> [Operation; 10] {
    use Operation::*;
    let changes = vec![(1, Some(300)), (2, None), (3, Some(700))];
    [
        Put { key: 1, length: 100, sync: false },
        Put { key: 2, length: 20, sync: true },
        Delete { key: 1, sync: true },
        Batch { changes: changes.clone(), sync: false },
        Batch { changes, sync: true },
        Put { key: 3, length: 70_000, sync: false }, // fills the write buffer, and three blocks of the log
        Rotate,
        Flush,
        Compact,
        Reopen,
    ]
}

/// All sequences of up to two of the ten.
pub fn sequences() -> Vec<Vec<Operation>> {
    let ten = ten_operations();
    let one = ten.iter().map(|first| vec![first.clone()]);
    let two = ten.iter().flat_map(|first| ten.iter().map(|second| vec![first.clone(), second.clone()]));
    std::iter::once(Vec::new()).chain(one).chain(two).collect()
}

/// A database with two tables in level 0 (or one further down), and something in its log.
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

/// The workload of this seed.
pub fn random(seed: u64, length: usize) -> Workload {
    let mut random = Random::new(seed);
    let before = if random.one_in(3) { something() } else { Vec::new() };
    // Some workloads sync at every chance, some hardly ever; and so with the rest.
    let one_synced_in = random.pick(&[1, 2, 4, 16]);
    let one_rotated_in = random.pick(&[4, 8, 16]);
    let operations = (0..length)
        .map(|_| match random.below(one_rotated_in) {
            0 => match random.below(16) {
                0..=6 => Operation::Rotate,
                7..=9 => Operation::Flush,
                10..=11 => Operation::Compact,
                _ => Operation::Reopen,
            },
            _ => write(&mut random, one_synced_in),
        })
        .collect();
    Workload { setup: Setup::numbered(random.next()), before, operations }
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
