//! A tree of files that the directives of a case file change.

use super::text::{bytes, describe, parse_level, show_bytes};
use super::*;
use crate::format::NUM_LEVELS;
use crate::util::test_support::{take, take_list};
use datadriven::TestCase;

/// A version, and what else the choice of a compaction depends on.
pub(crate) struct Tree {
    levels: [Vec<Arc<FileMetaData>>; NUM_LEVELS],
    pub(crate) version: Arc<Version>,
    pub(crate) pointers: [Option<InternalKey>; NUM_LEVELS],
    pub(crate) in_progress: CompactionsInProgress,
    jobs: Vec<Compaction>,
    options: PickerOptions<'static>,
}

impl Default for Tree {
    fn default() -> Self {
        Tree {
            levels: Default::default(),
            version: version(&[]),
            pointers: Default::default(),
            in_progress: CompactionsInProgress::new(),
            jobs: Vec::new(),
            options: OPTIONS,
        }
    }
}

impl Tree {
    pub(crate) fn options(&self) -> PickerOptions<'_> {
        PickerOptions { in_progress: &self.in_progress, ..self.options }
    }

    /// The files of a level with these numbers.
    pub(crate) fn files(&self, level: usize, numbers: &[u64]) -> Vec<Arc<FileMetaData>> {
        let file = |number| self.levels[level].iter().find(|file| file.number == number).cloned();
        numbers.iter().map(|&number| file(number).expect("a file of the level")).collect()
    }

    /// Answers the directives that change the tree: `version` (a new one), `add` (of files to it), `options`,
    /// `run` (a compaction) and `finish` (all of them). `None`: it is another directive.
    pub(crate) fn change(&mut self, case: &mut TestCase) -> Option<String> {
        match case.directive.as_str() {
            "version" => {
                *self = Tree::default();
                self.add(&case.input);
                Some(self.describe_levels())
            }
            "add" => {
                self.add(&case.input);
                Some(self.describe_levels())
            }
            "options" => Some(self.set_options(case)),
            "run" => {
                let (level, files) = (take(case, "level")?, take_list(case, "files"));
                let seeds = self.files(level, &files);
                let reason = CompactionReason::Size;
                let compaction =
                    expand::complete(&self.version, &self.options(), reason, level, &seeds).expect("busy");
                self.run(compaction);
                Some(self.describe_jobs())
            }
            "finish" => {
                self.jobs.drain(..).for_each(|job| self.in_progress.remove(&job));
                Some(self.describe_jobs())
            }
            _ => None,
        }
    }

    /// Lists the compaction as a running one.
    pub(crate) fn run(&mut self, compaction: Compaction) {
        self.in_progress.add(&compaction);
        self.jobs.push(compaction);
    }

    fn add(&mut self, text: &str) {
        for line in text.lines() {
            let (level, files) = parse_level(line);
            self.levels[level].extend(files);
        }
        let order = InternalKeyComparator::new(bytewise());
        for files in &mut self.levels[1..] {
            files.sort_by(|a, b| order.compare(a.smallest.encoded(), b.smallest.encoded()));
        }
        self.version = version(&self.levels.clone().into_iter().enumerate().collect::<Vec<_>>());
    }

    fn set_options(&mut self, case: &mut TestCase) -> String {
        let options = &mut self.options;
        options.oldest_snapshot = take(case, "oldest-snapshot").unwrap_or(options.oldest_snapshot);
        options.rewritten_from = take(case, "rewritten-from").unwrap_or(options.rewritten_from);
        let trigger = take(case, "level0-trigger");
        options.level0_file_num_compaction_trigger =
            trigger.unwrap_or(options.level0_file_num_compaction_trigger);
        for (name, option) in [
            ("level1-bytes", &mut options.max_bytes_for_level_base),
            ("file-size", &mut options.max_file_size),
        ] {
            if let Some(value) = take::<String>(case, name) {
                *option = bytes(&value);
            }
        }
        for (level, pointer) in self.pointers.iter_mut().enumerate() {
            if let Some(user_key) = take::<String>(case, &format!("pointer{level}")) {
                *pointer = Some(key(&user_key));
            }
        }
        "ok\n".to_string()
    }

    fn describe_levels(&self) -> String {
        let of_level = |(level, files): (usize, &Vec<Arc<FileMetaData>>)| {
            let bytes = show_bytes(files.iter().fold(0, |sum, file| file.file_size.saturating_add(sum)));
            (!files.is_empty()).then(|| format!("L{level} {bytes}"))
        };
        let levels: Vec<_> = self.levels.iter().enumerate().filter_map(of_level).collect();
        format!("{}\n", if levels.is_empty() { "empty".to_string() } else { levels.join(", ") })
    }

    fn describe_jobs(&self) -> String {
        let lines: String = self.jobs.iter().map(describe).collect();
        if lines.is_empty() { "nothing runs\n".to_string() } else { lines }
    }
}
