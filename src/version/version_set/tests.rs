//! A MANIFEST and the versions that it leads to, as the case files of `tests/testdata/manifest` say them.

use super::*;
use crate::comparator::bytewise;
use crate::env::{CreateMode, Env};
use crate::format::internal_key::InternalKeyComparator;
use crate::record::test_support::FakeEnv;
use crate::record::writer::RecordWriter;
use crate::util::test_support::{run_case_files, take, take_damage, unescape};
use crate::version::manifest;
use crate::version::test_support::Directory;
use crate::version::test_support::edits::{parse_edit, show_edit, show_version};
use datadriven::TestCase;
use std::path::Path;

const MANIFEST: &str = "/db/MANIFEST-000004";

/// A directory with a MANIFEST, and what was recovered from it last.
#[derive(Default)]
struct Database {
    env: FakeEnv,
    versions: Option<VersionSet>,
}

#[test]
fn the_case_files_hold() {
    run_case_files("manifest", Database::default, |database, case| match case.directive.as_str() {
        "manifest" => database.write(&case.input),
        "damage" => {
            let mut bytes = database.env.contents(MANIFEST);
            take_damage(case, &mut bytes);
            database.env.write(MANIFEST, &bytes);
            format!("{} bytes\n", bytes.len())
        }
        "recover" => database.recover().unwrap_or_else(|error| format!("refused: {error}\n")),
        "current" => case.input.lines().map(|line| database.recover_with_current(line)).collect(),
        "files" => {
            case.input.lines().for_each(|name| database.env.write(&format!("/db/{name}"), b""));
            "ok\n".to_string()
        }
        "try" => case.input.lines().map(|line| database.try_edit(line)).collect(),
        "install" => database.install(case),
        "snapshot" => {
            let (next_file, last_sequence) = (take(case, "next-file"), take(case, "last-sequence"));
            let counters = counters(next_file.unwrap(), last_sequence.unwrap(), take(case, "min-log"));
            let edits = database.versions.as_ref().unwrap().snapshot(counters);
            edits.iter().map(|edit| show_edit(edit) + "\n").collect()
        }
        other => panic!("no directive: {other}"),
    });
}

impl Database {
    /// Writes the MANIFEST and CURRENT. A line is an edit, or `record` and the bytes of something else.
    fn write(&mut self, text: &str) -> String {
        self.env = FakeEnv::default();
        self.env.write("/db/CURRENT", b"MANIFEST-000004\n");
        let mut writer =
            RecordWriter::new(self.env.create_writable(Path::new(MANIFEST), CreateMode::New).unwrap(), 0);
        let mut offsets = Vec::new();
        for line in text.lines() {
            offsets.push(writer.file_size());
            let mut record = Vec::new();
            match line.strip_prefix("record ") {
                Some(bytes) => record = unescape(bytes),
                None => {
                    let line = line
                        .strip_prefix("rocksdb ")
                        .map_or((Language::LevelDb, line), |line| (Language::RocksDb, line));
                    parse_edit(line.1).encode(line.0, &mut record);
                }
            }
            writer.add_record(&record).unwrap();
        }
        format!("edits at {offsets:?}, {} bytes\n", writer.file_size())
    }

    fn recover(&mut self) -> Result<String> {
        let env = self.env.shared();
        let order = InternalKeyComparator::new(bytewise());
        let directory = Directory::new(&order);
        let base_of = |name: &[u8]| {
            let (comparator_name, version) =
                (order.user_comparator().name(), directory.version(Default::default()));
            (!name.starts_with(b"closed")).then_some(FamilyBase { comparator_name, version })
        };
        let mut edits = VersionRecovery::new(&base_of);
        let found = manifest::recover(&env, Path::new("/db"), &mut |edit| edits.apply(edit))?;
        let end = if found.clean_end { "ends cleanly" } else { "may not be appended to" };
        let mut text = format!("MANIFEST {} of {} bytes, {end}\n", found.number, found.file_size);
        if let Some(damage) = &found.damaged_tail {
            text += &format!("damaged tail: {damage}\n");
        }
        if edits.is_within_group() {
            text += "ends within a group\n";
        }
        let (versions, counters) = match edits.finish() {
            Ok(found) => found,
            Err(error) => return Ok(text + &format!("refused: {error}\n")),
        };
        let RecoveredCounters { log_number, prev_log_number, next_file_number, last_sequence, logged_before } =
            counters;
        text += &format!(
            "log {log_number}; previous-log {prev_log_number}; next-file {next_file_number}; \
             last-sequence {last_sequence}\n"
        );
        if let Some(sequence) = logged_before {
            text += &format!("logged before the oldest WAL: {sequence}\n");
        }
        text += &show_families(&versions);
        self.versions = Some(versions);
        Ok(text)
    }

    /// What a recovery says if CURRENT has these contents.
    fn recover_with_current(&mut self, contents: &str) -> String {
        self.env.write("/db/CURRENT", &unescape(contents));
        match manifest::recover(&self.env.shared(), Path::new("/db"), &mut |_| Ok(())) {
            Ok(found) => {
                format!("{contents}: MANIFEST {}, may be appended to: {}\n", found.number, found.clean_end)
            }
            Err(error) => format!("{contents}: {error}\n"),
        }
    }

    /// What an edit would lead to; it is not installed.
    fn try_edit(&self, line: &str) -> String {
        match self.versions.as_ref().unwrap().prepare(vec![parse_edit(line)], counters(1000, 1000, None)) {
            Ok(_) => format!("{line}: taken\n"),
            Err(error) => format!("{line}: {error}\n"),
        }
    }

    fn install(&mut self, case: &mut TestCase) -> String {
        let (next_file, last_sequence) = (take(case, "next-file"), take(case, "last-sequence"));
        let counters = counters(next_file.unwrap(), last_sequence.unwrap(), take(case, "min-log"));
        let versions = self.versions.as_mut().unwrap();
        let edits = case.input.lines().map(parse_edit).collect();
        let prepared = match versions.prepare(edits, counters) {
            Ok(prepared) => prepared,
            Err(error) => return format!("refused: {error}\n"),
        };
        let mut text: String =
            prepared.edits.iter().map(|edit| format!("written: {}\n", show_edit(edit))).collect();
        let removed: Vec<u64> = prepared.removed_files.iter().map(|file| file.number).collect();
        text += &format!("removed files: {removed:?}\n");
        versions.commit(&prepared);
        text += &format!("WALs below {} are not needed\n", versions.min_log_number());
        text + &show_families(versions)
    }
}

/// The counters of an edit. Without a number of the oldest WAL, no WAL is needed any more.
fn counters(next_file_number: u64, logged_before: u64, min_log_number: Option<u64>) -> EditCounters {
    EditCounters { next_file_number, logged_before, min_log_number: min_log_number.unwrap_or(0) }
}

/// The files of each family. A database of one family has no heading.
fn show_families(versions: &VersionSet) -> String {
    let show = |(id, family): (ColumnFamilyId, &FamilyVersion)| {
        let heading = match versions.language() {
            Language::LevelDb => String::new(),
            Language::RocksDb => {
                format!("family {} {}, log {}\n", id.0, family.name().escape_ascii(), versions.log_number(id))
            }
        };
        heading + &show_version(family.current())
    };
    versions.families().map(show).collect()
}
