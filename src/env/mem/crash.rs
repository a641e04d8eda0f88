//! The model of a crash: what is left of a disk.
//!
//! A change is durable once it was synced: writes and sizes by a sync of the file; names (create, rename,
//! remove) by a sync of their directory; a rename between directories by a sync of the target directory. Of
//! all other changes any subset survives, in any order:
//! - The contents of a file survive in blocks of 512 bytes. A block is found as it was at the last sync, or
//!   as after any later write to it, but never as a mixture, since a disk writes whole blocks. So a write
//!   that "was dropped" is missing, except for blocks that later writes changed too.
//! - The size survives independently of the contents. It may be longer than they are (then zeros follow, or
//!   garbage on a file system that does not order data before sizes), or shorter.
//! - A name survives independently of the contents. A rename survives completely or not at all.
//!
//! `Everything` is also the disk after the process is killed while the system continues to run.
//!
//! [`MemEnv::with_journal`] is a disk that records every change (write, change of size, create, rename,
//! unlink, sync of a file, sync of a directory) in the order in which it happened. From the journal, any
//! number of times, a new `MemEnv` can be built that is the disk as a crash after any number of changes
//! leaves it. So a workload runs once for any number of crashes:
//!
//! ```
//! use std::path::Path;
//! use terrace::env::mem::{CrashChoice, MemEnv};
//! use terrace::env::{CreateMode, Env};
//!
//! let env = MemEnv::with_journal();
//! let path = Path::new("/file");
//! let mut file = env.create_writable(path, CreateMode::New)?;
//! file.append(b"kept")?;
//! file.sync()?;
//! env.sync_dir(Path::new("/"))?;
//! let acknowledged = env.operation_count();
//! file.append(b", lost")?;
//! file.flush()?;
//!
//! let mut point = env.crash_point(0);
//! for operations in 0..=env.operation_count() {
//!     point.advance_to(operations);
//!     let mut choices = vec![CrashChoice::OnlySynced, CrashChoice::Everything];
//!     choices.extend((0..8).map(|seed| CrashChoice::Random { seed, garbage: true }));
//!     choices.extend(point.unsynced().into_iter().map(CrashChoice::DropOne));
//!     for choice in choices {
//!         let disk = point.disk(choice); // A MemEnv, with a journal of its own: crashes within recovery.
//!         if operations >= acknowledged {
//!             let mut beginning = [0; 4];
//!             disk.open_sequential(path)?.read(&mut beginning)?;
//!             assert_eq!(&beginning, b"kept", "{choice:?} after {operations}");
//!         }
//!     }
//! }
//! # Ok::<(), terrace::Error>(())
//! ```
//!
//! Thread rule: a [`CrashPoint`] belongs to one thread. The disk it looks at may change meanwhile.

use super::file::write_at;
use super::journal::{Change, Image, Journal, Operation};
use super::tree::{NodeId, ROOT};
use super::{MemEnv, MemOptions};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The unit in which contents survive, in bytes.
const BLOCK: u64 = 512;

/// The choice of unsynced changes that survive. Changes are named by their index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CrashChoice {
    /// No unsynced change survives.
    OnlySynced,
    /// All changes survive: the process was killed, the system was not.
    Everything,
    /// Some changes survive; each block, size and name is chosen independently.
    Random {
        /// The same seed at the same point gives the same disk.
        seed: u64,
        /// A block of data that did not survive, but lies within the surviving size, may hold garbage instead
        /// of zeros.
        garbage: bool,
    },
    /// All changes except this one survive. If it is a write, its size survives.
    DropOne(usize),
    /// All changes before the first one and the second one survive, and no other change.
    DropEarlierKeepLater(usize, usize),
}

/// The state of a journaled disk after some number of changes.
pub struct CrashPoint {
    env: MemEnv,
    base: Arc<Image>,
    operations: usize,
    next: NodeId,
    names: Vec<NameChange>,
    files: HashMap<NodeId, History>,
}

struct NameChange {
    index: usize,
    operation: Arc<Operation>,
    durable: bool,
}

/// The durable contents of a file, and the changes after the last sync.
#[derive(Default)]
struct History {
    durable: Arc<Vec<u8>>,
    pending: Vec<Pending>,
    /// True if space was allocated ahead of writing. Such space reads as zeros until it is written.
    allocated: bool,
}

struct Pending {
    index: usize,
    operation: Arc<Operation>,
    /// True after a failed sync: the next sync does not write this change.
    lost: bool,
    /// The blocks of a lost change that are still pending, after a later sync wrote its size and its other
    /// blocks.
    only: Option<BTreeSet<u64>>,
}

/// For tests: a disk with a journal, and what it says.
impl MemEnv {
    /// An empty disk with a journal and a manual clock.
    pub fn with_journal() -> Self {
        Self::with_options(MemOptions { journal: true, manual_clock: Some(1), ..MemOptions::default() })
    }

    /// The number of changes so far; 0 without a journal. A crash "after n" keeps a choice of the first n
    /// changes and nothing later.
    pub fn operation_count(&self) -> usize {
        self.shared.journal.as_ref().map_or(0, Journal::count)
    }

    /// Describes the change with this index, for messages: `17: write /db/000003.log [0, 128)`.
    pub fn describe_operation(&self, index: usize) -> String {
        self.shared.journal.as_ref().and_then(|journal| journal.get(index)).map_or_else(
            || format!("{index}: no such operation"),
            |operation| format!("{index}: {operation}"),
        )
    }

    /// The disk after the first `operations` changes (or all, if there are fewer), for simulating crashes.
    /// Without a journal, everything on the disk counts as durable.
    pub fn crash_point(&self, operations: usize) -> CrashPoint {
        CrashPoint::new(self, operations)
    }

    /// The disk after a crash that follows the first `operations` changes.
    pub fn disk_at(&self, operations: usize, choice: CrashChoice) -> MemEnv {
        self.crash_point(operations).disk(choice)
    }

    /// The disk after a crash now.
    pub fn crash_clone(&self, choice: CrashChoice) -> MemEnv {
        self.disk_at(self.operation_count(), choice)
    }

    /// Does to a file what a failed fsync does: unsynced writes are still read back, but no later sync makes
    /// them durable. For the hook of a fault rule.
    pub fn forget_unsynced(&self, path: &Path) {
        let tree = self.shared.tree.lock();
        if let (Some(journal), Ok((node, _))) = (&self.shared.journal, tree.file(path)) {
            journal.push(path, Change::Forget { node });
        }
    }

    /// All files with their contents, sorted by path: to check that nothing changed.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let tree = self.shared.tree.lock();
        tree.files().into_iter().map(|(path, file)| (path, file.snapshot().to_vec())).collect()
    }
}

impl CrashPoint {
    fn new(env: &MemEnv, operations: usize) -> Self {
        let base = match &env.shared.journal {
            Some(journal) => journal.base().clone(),
            None => Arc::new(env.shared.tree.lock().image()),
        };
        let next = base.next;
        let mut point = CrashPoint {
            env: env.clone(),
            base,
            operations: 0,
            next,
            names: Vec::new(),
            files: HashMap::new(),
        };
        point.advance_to(operations);
        point
    }

    /// The number of changes before this point.
    pub fn operations(&self) -> usize {
        self.operations
    }

    /// Advances to the point after the first `operations` changes. Costs only what lies between. A smaller
    /// number does nothing.
    pub fn advance_to(&mut self, operations: usize) {
        let Some(journal) = &self.env.shared.journal else { return };
        for operation in journal.range(self.operations, operations) {
            self.apply(self.operations, operation);
            self.operations += 1;
        }
    }

    /// The changes that a crash now might lose, in order.
    pub fn unsynced(&self) -> Vec<usize> {
        let names = self.names.iter().filter(|change| !change.durable).map(|change| change.index);
        let contents = self.files.values().flat_map(|file| file.pending.iter().map(|pending| pending.index));
        let indexes: BTreeSet<usize> = names.chain(contents).collect();
        indexes.into_iter().collect()
    }

    /// The disk after a crash now. All of it is durable; it has a journal of its own and the clock of the
    /// crashed disk.
    pub fn disk(&self, choice: CrashChoice) -> MemEnv {
        let mut image = self.surviving_names(choice);
        let mut reached = BTreeSet::from([ROOT]);
        let mut directories = vec![ROOT];
        while let Some(directory) = directories.pop() {
            for &node in image.directories.get(&directory).into_iter().flat_map(|entries| entries.values()) {
                if reached.insert(node) && image.directories.contains_key(&node) {
                    directories.push(node);
                }
            }
        }
        image.directories.retain(|node, _| reached.contains(node));
        image.files.retain(|node, _| reached.contains(node));
        for (node, contents) in &mut image.files {
            if let Some(history) = self.files.get(node) {
                *contents = history.surviving(choice, *node);
            }
        }
        let now = self.env.shared.options.manual_clock.map(|_| crate::env::Env::now_micros(&self.env));
        MemEnv::from_image(
            MemOptions { journal: true, manual_clock: now, ..self.env.shared.options },
            Arc::new(image),
        )
    }

    fn apply(&mut self, index: usize, operation: Arc<Operation>) {
        match operation.change {
            Change::Link { node, .. } => {
                self.next = self.next.max(node + 1);
                self.names.push(NameChange { index, operation, durable: false });
            }
            Change::Unlink { .. } | Change::Rename { .. } => {
                self.names.push(NameChange { index, operation, durable: false });
            }
            Change::Write { node, .. } => {
                self.history(node).pending.push(Pending { index, operation, lost: false, only: None });
            }
            Change::SetSize { node, old, new } => {
                let history = self.history(node);
                history.allocated |= new > old;
                history.pending.push(Pending { index, operation, lost: false, only: None });
            }
            Change::Forget { node } => {
                self.history(node).pending.iter_mut().for_each(|pending| pending.lost = true);
            }
            Change::SyncFile { node } => self.history(node).sync(),
            Change::SyncDirectory { node } => {
                for change in &mut self.names {
                    change.durable |= match &change.operation.change {
                        Change::Link { dir, .. } | Change::Unlink { dir, .. } => *dir == node,
                        Change::Rename { to, .. } => to.0 == node,
                        _ => false,
                    };
                }
            }
        }
    }

    fn history(&mut self, node: NodeId) -> &mut History {
        let base = &self.base;
        self.files.entry(node).or_insert_with(|| History {
            durable: base.files.get(&node).cloned().unwrap_or_default(),
            ..History::default()
        })
    }

    /// The base image with the names that survive. New files are empty.
    fn surviving_names(&self, choice: CrashChoice) -> Image {
        let mut image = Image {
            files: self.base.files.clone(),
            directories: self.base.directories.clone(),
            next: self.next,
        };
        let mut random = Random::of(choice, u64::MAX);
        let density = random.density();
        for change in &self.names {
            let survives = match choice {
                CrashChoice::OnlySynced => false,
                CrashChoice::Everything => true,
                CrashChoice::Random { .. } => random.chance(density),
                CrashChoice::DropOne(dropped) => change.index != dropped,
                CrashChoice::DropEarlierKeepLater(earlier, later) => {
                    change.index < earlier || change.index == later
                }
            };
            if change.durable || survives {
                image.apply(&change.operation.change);
            }
        }
        image
    }
}

impl Image {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Link { dir, name, node, directory } => {
                if *directory {
                    self.directories.entry(*node).or_default();
                } else {
                    self.files.entry(*node).or_default();
                }
                self.directories.entry(*dir).or_default().insert(name.clone(), *node);
            }
            Change::Unlink { dir, name } => {
                self.directories.entry(*dir).or_default().remove(name);
            }
            Change::Rename { from, to, node } => {
                self.directories.entry(from.0).or_default().remove(&from.1);
                self.directories.entry(to.0).or_default().insert(to.1.clone(), *node);
                if !self.directories.contains_key(node) {
                    self.files.entry(*node).or_default();
                }
            }
            _ => {}
        }
    }
}

impl Pending {
    /// The bytes that the change alters: those written, or those truncated (to zeros).
    fn range(&self) -> (u64, u64) {
        match self.operation.change {
            Change::Write { offset, ref data, .. } => (offset, offset + data.len() as u64),
            Change::SetSize { old, new, .. } => (new, old.max(new)),
            _ => (0, 0),
        }
    }

    /// The blocks of `range` that are still pending.
    fn blocks(&self) -> impl Iterator<Item = u64> + '_ {
        let (from, to) = self.range();
        let end = if from < to { to.div_ceil(BLOCK) } else { from / BLOCK };
        (from / BLOCK..end).filter(|block| self.only.as_ref().is_none_or(|only| only.contains(block)))
    }

    /// Applies the part of the change that lies in `block`.
    fn apply_to(&self, block: u64, contents: &mut Vec<u8>) {
        let (from, to) = self.range();
        let (start, end) = (from.max(block * BLOCK), to.min((block + 1) * BLOCK));
        match &self.operation.change {
            Change::Write { data, .. } => {
                write_at(contents, start, &data[(start - from) as usize..(end - from) as usize]);
            }
            _ => {
                let length = contents.len();
                contents[length.min(start as usize)..length.min(end as usize)].fill(0);
            }
        }
    }

    /// The size of a file of `size` bytes after the change.
    fn size_after(&self, size: u64) -> u64 {
        match self.operation.change {
            _ if self.only.is_some() => size,
            Change::Write { .. } => size.max(self.range().1),
            Change::SetSize { new, .. } => new,
            _ => size,
        }
    }
}

impl History {
    /// Makes pending changes durable, except in blocks all of whose changes were lost. A disk writes whole
    /// blocks, so a lost change becomes durable together with a later change of the same block.
    fn sync(&mut self) {
        let mut pending = std::mem::take(&mut self.pending);
        let written: BTreeSet<u64> =
            pending.iter().filter(|change| !change.lost).flat_map(Pending::blocks).collect();
        let contents = Arc::make_mut(&mut self.durable);
        let mut size = contents.len() as u64;
        for change in &mut pending {
            let (made, left): (Vec<u64>, Vec<u64>) =
                change.blocks().partition(|block| written.contains(block));
            made.into_iter().for_each(|block| change.apply_to(block, contents));
            size = change.size_after(size);
            change.only = Some(left.into_iter().collect());
        }
        contents.resize(size as usize, 0);
        pending.retain(|change| change.only.as_ref().is_some_and(|only| !only.is_empty()));
        self.pending = pending;
    }

    /// The contents that a crash leaves.
    fn surviving(&self, choice: CrashChoice, node: NodeId) -> Arc<Vec<u8>> {
        if self.pending.is_empty() || choice == CrashChoice::OnlySynced {
            return self.durable.clone();
        }
        let mut random = Random::of(choice, node);
        let density = random.density();
        // For each block, the number of changes that it contains.
        let mut versions: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for change in &self.pending {
            change.blocks().for_each(|block| versions.entry(block).or_default().push(change.index));
        }
        let versions: BTreeMap<u64, usize> = versions
            .into_iter()
            .map(|(block, changes)| {
                let count = match choice {
                    CrashChoice::OnlySynced => 0,
                    CrashChoice::Everything => changes.len(),
                    CrashChoice::Random { .. } if random.chance(density) => changes.len(),
                    CrashChoice::Random { .. } => random.below(changes.len() as u64 + 1) as usize,
                    CrashChoice::DropOne(dropped) => {
                        changes.iter().position(|index| *index == dropped).unwrap_or(changes.len())
                    }
                    CrashChoice::DropEarlierKeepLater(earlier, later) => changes
                        .iter()
                        .rposition(|index| *index < earlier || *index == later)
                        .map_or(0, |last| last + 1),
                };
                (block, count)
            })
            .collect();
        let mut contents = self.durable.to_vec();
        let mut seen: HashMap<u64, usize> = HashMap::new();
        for change in &self.pending {
            for block in change.blocks() {
                let seen = seen.entry(block).or_default();
                if *seen < versions[&block] {
                    change.apply_to(block, &mut contents);
                }
                *seen += 1;
            }
        }
        let size = self.surviving_size(choice, &mut random) as usize;
        contents.resize(size, 0);
        if matches!(choice, CrashChoice::Random { garbage: true, .. }) && !self.allocated {
            self.fill_with_garbage(&versions, &mut contents, &mut random);
        }
        Arc::new(contents)
    }

    fn surviving_size(&self, choice: CrashChoice, random: &mut Random) -> u64 {
        let durable = self.durable.len() as u64;
        let survives = |change: &&Pending| match choice {
            // A dropped write loses its contents and keeps its size.
            CrashChoice::DropOne(dropped) => {
                change.index != dropped || matches!(change.operation.change, Change::Write { .. })
            }
            CrashChoice::DropEarlierKeepLater(earlier, later) => {
                change.index < earlier || change.index == later
            }
            _ => true,
        };
        let mut sizes = vec![durable];
        for change in self.pending.iter().filter(survives) {
            sizes.push(change.size_after(sizes[sizes.len() - 1]));
        }
        match choice {
            CrashChoice::Random { .. } if random.chance(128) => {
                sizes[random.below(sizes.len() as u64) as usize]
            }
            _ => sizes[sizes.len() - 1],
        }
    }

    /// Fills some of the blocks that were never synced or written back with garbage.
    fn fill_with_garbage(&self, versions: &BTreeMap<u64, usize>, contents: &mut [u8], random: &mut Random) {
        for (&block, &count) in versions {
            let (start, end) = ((block * BLOCK) as usize, ((block + 1) * BLOCK) as usize);
            if count == 0 && start >= self.durable.len() && start < contents.len() && random.chance(64) {
                let end = end.min(contents.len());
                contents[start..end].fill_with(|| random.next() as u8);
            }
        }
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    /// The random numbers for one purpose of one choice.
    fn of(choice: CrashChoice, purpose: u64) -> Self {
        let seed = if let CrashChoice::Random { seed, .. } = choice { seed } else { 0 };
        let mut random = Random(seed);
        Random(random.next() ^ purpose.wrapping_mul(0xd6e8_feb8_6659_fd93))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// True in `of_256` cases of 256.
    fn chance(&mut self, of_256: u64) -> bool {
        self.below(256) < of_256
    }

    /// The share of one kind of change that survives, in 256ths: nothing, little, half, most, all.
    fn density(&mut self) -> u64 {
        [0, 32, 128, 224, 256][self.below(5) as usize]
    }
}
