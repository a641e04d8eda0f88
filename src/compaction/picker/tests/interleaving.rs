//! Compactions and flushes that change a tree while others run.

use crate::compaction::in_progress::CompactionsInProgress;
use crate::compaction::picker::*;
use crate::compaction::test_support::*;
use crate::format::internal_key::{MAX_SEQUENCE, ValueType};
use crate::util::random::Random;
use crate::version::key_range::user_key_range;

/// A tree that flushes and compactions change while others run.
#[derive(Default)]
struct Tree {
    levels: [Vec<Arc<FileMetaData>>; NUM_LEVELS],
    in_progress: CompactionsInProgress,
    jobs: Vec<Compaction>,
    next_number: u64,
}

fn user(file: &FileMetaData) -> (&[u8], &[u8]) {
    (file.smallest.user_key(), file.largest.user_key())
}

fn overlap(a: (&[u8], &[u8]), b: (&[u8], &[u8])) -> bool {
    a.0 <= b.1 && b.0 <= a.1
}

impl Tree {
    /// As in old directories: every file of levels 2 and 3 shares its last user key with the next file's
    /// first.
    fn with_split_user_keys() -> Self {
        let mut tree = Tree::default();
        for (level, step) in [(2, 6), (3, 4)] {
            for first in (0..90).step_by(step) {
                let (first, last) = (format!("{first:02}@3"), format!("{:02}@7", first + step));
                tree.add(level, &first, &last);
            }
        }
        tree
    }

    fn add(&mut self, level: usize, smallest: &str, largest: &str) {
        let deletions = if self.next_number.is_multiple_of(7) { 9_000 } else { 0 };
        let file = file_with_deletions(self.next_number, smallest, largest, deletions, 900);
        self.next_number += 1;
        let files = &mut self.levels[level];
        let index = if level == 0 {
            0
        } else {
            files.partition_point(|other| other.smallest.user_key() < file.smallest.user_key())
        };
        files.insert(index, file);
    }

    fn version(&self) -> Arc<Version> {
        version(&self.levels.clone().into_iter().enumerate().collect::<Vec<_>>())
    }

    fn flush(&mut self, first: u64, last: u64) {
        let (smallest, largest) = (format!("{first:02}"), format!("{last:02}"));
        let range = (smallest.as_bytes(), largest.as_bytes());
        let is_free = |level: usize| !self.levels[level].iter().any(|file| overlap(user(file), range));
        let level = if is_free(0) { (1..=2).take_while(|&level| is_free(level)).count() } else { 0 };
        let order = &self.version().comparator;
        let level = self.in_progress.level_for_flush(order, level, range.0, range.1);
        self.add(level, &smallest, &largest);
    }

    fn begin(&mut self, compaction: Compaction) {
        self.check_inputs(&compaction);
        self.in_progress.add(&compaction);
        self.jobs.push(compaction);
    }

    fn check_inputs(&self, compaction: &Compaction) {
        let order = &compaction.version.comparator;
        assert!(!compaction.inputs[0].is_empty());
        assert!(compaction.inputs.iter().flatten().all(|file| !file.is_being_compacted()));
        let is_input = |file: &Arc<FileMetaData>| {
            compaction.inputs.iter().flatten().any(|input| input.number == file.number)
        };
        let output_range = compaction.output_range();
        let first_side = user_key_range(order, &compaction.inputs[0]).unwrap();
        for file in self.levels[compaction.level].iter().filter(|file| !is_input(file)) {
            assert!(!overlap(user(file), first_side), "{} is left behind", file.number);
        }
        // A compaction that passes level 1 takes all older entries there along.
        for file in self.levels[compaction.level..compaction.output_level].iter().skip(1).flatten() {
            assert!(
                is_input(file) || !overlap(user(file), first_side),
                "{} is older and left above",
                file.number
            );
        }
        for file in self.levels[compaction.output_level].iter().filter(|file| !is_input(file)) {
            assert!(!overlap(user(file), output_range), "{} would be overlapped", file.number);
        }
        for job in self.jobs.iter().filter(|job| job.output_level == compaction.output_level) {
            assert!(!overlap(job.output_range(), output_range), "two write to the same place");
        }
        if compaction.is_trivial_move() {
            assert_eq!(compaction.num_input_files(), compaction.inputs[0].len());
            let is_manual = compaction.reason == CompactionReason::ManualMove;
            assert!(is_manual || compaction.num_input_files() == 1);
        }
    }

    /// Installs a job whose outputs cover its whole range, a part of it, or nothing.
    fn finish(&mut self, index: usize, random: &mut Random) {
        let job = self.jobs.swap_remove(index);
        self.in_progress.remove(&job);
        for (below, inputs) in job.inputs.iter().enumerate().filter(|(_, inputs)| !inputs.is_empty()) {
            self.levels[job.level + below]
                .retain(|file| !inputs.iter().any(|input| input.number == file.number));
        }
        let (smallest, largest) = job.output_range();
        let [smallest, largest] =
            [smallest, largest].map(|key| std::str::from_utf8(key).unwrap().to_string());
        for file in &self.levels[job.output_level] {
            let range = (smallest.as_bytes(), largest.as_bytes());
            assert!(
                job.output_level == 0 || !overlap(user(file), range),
                "an output would overlap {}",
                file.number
            );
        }
        match random.uniform(4) {
            0 => {}
            1 if smallest < largest => {
                self.add(job.output_level, &smallest, &smallest);
                self.add(job.output_level, &largest, &largest);
            }
            _ => self.add(job.output_level, &smallest, &largest),
        }
    }
}

#[test]
fn compactions_and_flushes_at_once_never_overlap_nor_leave_a_user_key_behind() {
    let seed = 4711;
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let mut picked = 0;
    for round in 0..100 {
        let mut tree = if round % 2 == 0 { Tree::default() } else { Tree::with_split_user_keys() };
        let mut pointers = [const { None::<InternalKey> }; NUM_LEVELS];
        for _ in 0..150 {
            let version = tree.version();
            let in_progress = tree.in_progress.clone();
            let options = PickerOptions {
                in_progress: &in_progress,
                max_bytes_for_level_base: 2 * MB,
                max_file_size: random.uniform(3) * MB,
                rewritten_from: if random.one_in(2) { 0 } else { u64::MAX },
                ..OPTIONS
            };
            let level = random.uniform(NUM_LEVELS as u64) as usize;
            let compaction = match random.uniform(6) {
                0 => {
                    let first = random.uniform(90);
                    tree.flush(first, first + random.skewed(3));
                    None
                }
                1 if !tree.jobs.is_empty() => {
                    let index = random.uniform(tree.jobs.len() as u64) as usize;
                    tree.finish(index, &mut random);
                    None
                }
                2 => {
                    let (first, last) = (random.uniform(100), random.uniform(100));
                    let begin =
                        InternalKey::new(format!("{first:02}").as_bytes(), MAX_SEQUENCE, ValueType::Value);
                    match pick_manual(
                        &version,
                        &options,
                        level,
                        Some(&begin),
                        Some(format!("{last:02}").as_bytes()),
                    ) {
                        ManualPick::Run { compaction, .. } if random.one_in(2) => {
                            Some(extend_to_level_2(&options, *compaction))
                        }
                        ManualPick::Run { compaction, .. } => Some(*compaction),
                        ManualPick::Done | ManualPick::Busy => None,
                    }
                }
                3 => {
                    version.levels[level].first().and_then(|file| pick_seek(&version, &options, level, file))
                }
                _ => pick_size(&version, &options, &pointers),
            };
            if let Some(compaction) = compaction {
                if compaction.compact_pointer.is_some() {
                    pointers[compaction.level] = compaction.compact_pointer.clone();
                }
                picked += 1;
                tree.begin(compaction);
            }
        }
    }
    assert!(picked > 1_000, "only {picked}");
}
