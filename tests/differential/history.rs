//! A history: a random sequence of operations on a database, generated from a seed. Any subset of its
//! operations is a history too, so a history can be shortened.

use crate::support::leveldb_c::{OpenOptions, Order};
use crate::support::random::Random;
use std::fmt;

/// Largest number of iterators that are open at the same time.
pub const ITERATORS: usize = 3;

/// Largest number of snapshots that are held at the same time.
pub const SNAPSHOTS: usize = 4;

/// The kind of keys and values of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// A few dozen keys, so that each has many versions.
    FewKeys,
    /// Thousands of keys.
    ManyKeys,
    /// Keys with 0 and 0xff bytes, keys that are prefixes of each other, and the empty key.
    OddBytes,
    /// Some values far larger than a block and than the write buffer.
    LargeValues,
    /// A comparator of the host.
    ReverseOrder,
}

/// A value given by length and seed, so that a printed history stays readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// In bytes.
    pub length: usize,
    pub seed: u64,
}

impl Value {
    /// The value itself, which compresses by about half.
    pub fn bytes(self) -> Vec<u8> {
        let mut random = Random::new(self.seed);
        let mut bytes = Vec::with_capacity(self.length + 16);
        while bytes.len() < self.length {
            let word = random.next().to_le_bytes();
            bytes.extend_from_slice(&word);
            bytes.extend_from_slice(&word);
        }
        bytes.truncate(self.length);
        bytes
    }
}

/// A write of a batch.
#[derive(Clone, Debug)]
pub enum Change {
    /// Key and value.
    Put(usize, Value),
    Delete(usize),
}

/// A move of an iterator.
#[derive(Clone, Copy, Debug)]
pub enum Move {
    First,
    Last,
    /// To the key of this number.
    Seek(usize),
    /// Ignored if the iterator stands on no entry.
    Next,
    /// Ignored if the iterator stands on no entry.
    Prev,
}

/// One operation. Keys are numbers, which [`History::key`] converts to bytes. Snapshots are counted from the
/// oldest, modulo their number. A `bool` of a write is its `sync`.
#[derive(Clone, Debug)]
pub enum Operation {
    Put(usize, Value, bool),
    Delete(usize, bool),
    /// Write a batch, built at once or appended from two parts that are split at this index.
    Write(Vec<Change>, Option<usize>, bool),
    /// Read a key.
    Get(usize),
    /// Read a key through a snapshot.
    GetAt(usize, usize),
    /// Take a snapshot.
    TakeSnapshot,
    /// Release a snapshot.
    ReleaseSnapshot(usize),
    /// Replace the iterator of a slot, over the current state or over a snapshot.
    NewIterator(usize, Option<usize>),
    /// Move the iterator of a slot, a number of times.
    MoveIterator(usize, Move, usize),
    /// Close the iterator of a slot.
    CloseIterator(usize),
    /// Compact between two keys; `None` is no bound.
    Compact(Option<usize>, Option<usize>),
    /// Close, exchange the two directories if the flag is set, and open with other options.
    Reopen(Box<OpenOptions>, bool),
}

/// The operations generated from a seed.
#[derive(Clone)]
pub struct History {
    pub family: Family,
    /// The options of the first open.
    pub options: OpenOptions,
    pub operations: Vec<Operation>,
    /// For the test of the harness: look-ups of this key return a wrong result.
    pub lie_about_get: Option<usize>,
    keys: Vec<Vec<u8>>,
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "opened with {:?}", self.options)?;
        for operation in &self.operations {
            writeln!(f, "  {operation:?}")?;
        }
        Ok(())
    }
}

impl History {
    /// The history of a seed.
    pub fn generate(family: Family, seed: u64, operations: usize) -> History {
        let mut random = Random::new(seed.wrapping_mul(31).wrapping_add(family as u64));
        let keys = keys(family, &mut random);
        let options = options(family, &mut random);
        let mut history = History { family, options, operations: Vec::new(), lie_about_get: None, keys };
        let rewrites_only = random.one_in(4);
        for _ in 0..operations {
            let operation = history.operation(&mut random, rewrites_only);
            history.operations.push(operation);
        }
        history
    }

    /// The bytes of a key.
    pub fn key(&self, number: usize) -> &[u8] {
        &self.keys[number]
    }

    /// The key of the first put.
    pub fn first_key_written(&self) -> usize {
        let first = self.operations.iter().find_map(|operation| match operation {
            Operation::Put(key, ..) => Some(*key),
            _ => None,
        });
        first.expect("a history with a put")
    }

    fn any_key(&self, random: &mut Random) -> usize {
        random.below(self.keys.len() as u64) as usize
    }

    fn operation(&self, random: &mut Random, rewrites_only: bool) -> Operation {
        let key = self.any_key(random);
        let sync = random.one_in(50);
        match random.below(1000) {
            0..=279 => Operation::Put(key, value(self.family, random), sync),
            280..=359 if rewrites_only => Operation::Put(key, value(self.family, random), sync),
            280..=359 => Operation::Delete(key, sync),
            360..=419 => self.batch(random, sync),
            420..=599 => Operation::Get(key),
            600..=699 => Operation::GetAt(random.below(8) as usize, key),
            700..=719 => Operation::TakeSnapshot,
            720..=739 => Operation::ReleaseSnapshot(random.below(8) as usize),
            740..=779 => {
                let over = random.one_in(2).then(|| random.below(8) as usize);
                Operation::NewIterator(random.below(ITERATORS as u64) as usize, over)
            }
            780..=983 => {
                let step = match random.below(10) {
                    0 => Move::First,
                    1 => Move::Last,
                    2 | 3 => Move::Seek(key),
                    4..=6 => Move::Next,
                    _ => Move::Prev,
                };
                let times = if random.one_in(3) { 1 + random.below(40) } else { 1 };
                Operation::MoveIterator(random.below(ITERATORS as u64) as usize, step, times as usize)
            }
            984..=989 => Operation::CloseIterator(random.below(ITERATORS as u64) as usize),
            990..=993 => {
                let bound = |random: &mut Random| (!random.one_in(3)).then(|| self.any_key(random));
                let start = bound(random);
                Operation::Compact(start, bound(random))
            }
            _ => Operation::Reopen(Box::new(options(self.family, random)), !random.one_in(4)),
        }
    }

    fn batch(&self, random: &mut Random, sync: bool) -> Operation {
        let length = if random.one_in(10) { random.below(200) } else { random.below(8) } as usize;
        let changes = (0..length)
            .map(|_| match self.any_key(random) {
                key if random.one_in(4) => Change::Delete(key),
                key => Change::Put(key, value(self.family, random)),
            })
            .collect();
        let cut = random.one_in(3).then(|| random.below(length as u64 + 1) as usize);
        Operation::Write(changes, cut, sync)
    }
}

fn value(family: Family, random: &mut Random) -> Value {
    let seed = random.next();
    let length = match random.below(100) {
        0..=4 => 0,
        5..=89 => random.below(200),
        90..=98 => random.below(2_000),
        _ if family == Family::LargeValues => 100_000 + random.below(100_000),
        _ => random.below(20_000),
    };
    Value { length: length as usize, seed }
}

fn keys(family: Family, random: &mut Random) -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = match family {
        Family::FewKeys => (0..16 + random.below(48)).map(|i| format!("key{i:03}").into_bytes()).collect(),
        Family::ManyKeys => (0..4_000).map(|i| format!("{:016}", i * 7).into_bytes()).collect(),
        Family::OddBytes => (0..300)
            .map(|_| {
                let length = if random.one_in(20) { random.below(500) } else { random.below(6) };
                (0..length).map(|_| random.pick(&[0, 1, b'a', b'b', 0x7f, 0x80, 0xfe, 0xff])).collect()
            })
            .collect(),
        Family::LargeValues => (0..100).map(|i| format!("{i}").into_bytes()).collect(),
        Family::ReverseOrder => (0..500).map(|i| format!("{:x}", i * 37).into_bytes()).collect(),
    };
    if family == Family::OddBytes {
        keys.push(Vec::new());
    }
    keys
}

fn options(family: Family, random: &mut Random) -> OpenOptions {
    OpenOptions {
        paranoid_checks: random.one_in(4),
        write_buffer_size: random.pick(&[1 << 16, 1 << 16, 1 << 16, 1 << 18, 4 << 20]),
        max_open_files: random.pick(&[74, 1000, 1000]),
        cache_bytes: random.pick(&[None, Some(0), Some(1 << 16), Some(8 << 20)]),
        block_size: random.pick(&[1 << 10, 4 << 10, 4 << 10, 64 << 10]),
        block_restart_interval: random.pick(&[1, 2, 16, 16, 128]),
        max_file_size: random.pick(&[1 << 20, 2 << 20, 8 << 20]),
        compression: random.pick(&[0, 1]),
        bloom_bits: random.pick(&[None, None, Some(1), Some(10)]),
        order: if family == Family::ReverseOrder { Order::Reverse } else { Order::Bytewise },
        ..OpenOptions::default()
    }
}
