//! What an opening decides for a directory, as the case files of `tests/testdata/recovery` say it. No
//! database is opened.

use super::*;
use crate::env::info_log::Logger;
use crate::env::mem::MemEnv;
use crate::env::{CreateMode, Env};
use crate::format::internal_key::InternalKey;
use crate::iterator::InternalIterator;
use crate::iterator::test_support::CaselessReverse;
use crate::memtable::Memtable;
use crate::options::Options;
use crate::util::lock::Mutex;
use crate::util::test_support::{run_case_files, take, take_damage};
use crate::version::test_support::edits::show_key;
use datadriven::TestCase;
use directory::{Directory, add_file};
use std::fmt::Arguments;

mod directory;

#[test]
fn the_case_files_hold() {
    run_case_files("recovery", Directory::new, |directory, case| match case.directive.as_str() {
        "directory" => {
            directory.clear();
            case.input.lines().map(|line| add_file(directory, line)).collect()
        }
        "damage" => {
            let name: String = take(case, "file").unwrap();
            let bytes = directory.get_mut(&name).expect("a file of the directory");
            take_damage(case, bytes);
            format!("{name}: {} bytes\n", bytes.len())
        }
        "recover" => recover_from(directory, case, recover),
        "create" => recover_from(directory, case, fresh),
        other => panic!("no directive: {other}"),
    });
}

/// The lines of LOG.
#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl Logger for Lines {
    fn log(&self, line: Arguments<'_>) {
        self.0.lock().push(line.to_string());
    }
}

fn recover_from(
    directory: &Directory,
    case: &mut TestCase,
    recover: fn(&OpenContext, &Path) -> Result<Recovered>,
) -> String {
    let (env, path) = (MemEnv::new(), Path::new("/db"));
    env.create_dir(path).unwrap();
    for (name, contents) in directory {
        let mut file = env.create_writable(&path.join(name), CreateMode::New).unwrap();
        file.append(contents).unwrap();
    }
    let mut options = Options { env: env.shared(), ..Options::default() };
    options.reuse_logs = case.take_flag("reuse-logs").unwrap();
    options.paranoid_checks = case.take_flag("paranoid").unwrap();
    options.write_buffer_size = take(case, "write-buffer").unwrap_or(options.write_buffer_size);
    if case.take_flag("caseless-reverse").unwrap() {
        options.comparator = Arc::new(CaselessReverse);
    }
    let lines = Arc::new(Lines::default());
    let context = OpenContext::new(&options, &[], path, lines.clone());
    let before = env.files();
    let recovered = recover(&context, path);
    let is_made_table = |path: &Path| recovered.is_ok() && path.extension().is_some_and(|end| end == "ldb");
    let mut after = env.files();
    after.retain(|(path, _)| before.iter().any(|(other, _)| other == path) || !is_made_table(path));
    assert!(after == before, "an opening changes no file before there is a plan, nor if it is refused");
    let (mut text, damage) = match recovered {
        Err(error) => (format!("refused: {error}\n"), Vec::new()),
        Ok(recovered) => (describe(&recovered), recovered.damage),
    };
    let lines = lines.0.lock();
    for line in lines.iter().filter(|line| !line.starts_with("Level-0") && !line.starts_with("recovering")) {
        let is_damage = damage.iter().any(|damage| line.ends_with(&damage.to_string()));
        text += &format!("{}: {line}\n", if is_damage { "damage" } else { "LOG" });
    }
    assert_eq!(text.matches("\ndamage: ").count(), damage.len(), "LOG has all damage");
    text
}

fn describe(recovered: &Recovered) -> String {
    let text = match &recovered.plan {
        RecoveryPlan::KeepInMemory(Kept { manifest, wals, empty_wals }) => {
            let mut text = format!("nothing is written, MANIFEST {manifest} stays\n");
            for RecoveredWal { file, memtables } in wals {
                for (_, memtable) in memtables {
                    text += &format!(
                        "  WAL {} after {}, in memory: {}\n",
                        file.number,
                        file.begins_after,
                        entries(memtable)
                    );
                }
            }
            text + &list("  empty WALs:", empty_wals)
        }
        RecoveryPlan::Write(rewrite) => {
            let mut text = match &rewrite.manifest {
                Some(manifest) => format!("an edit is appended to MANIFEST {}\n", manifest.number()),
                None => "a new MANIFEST is written\n".to_string(),
            };
            for (_, file) in &rewrite.new_files {
                let (smallest, largest) = (show_key(&file.smallest), show_key(&file.largest));
                text += &format!("  table of level 0: {}:{smallest}-{largest}\n", file.number);
            }
            if let Some(ReusedWal { file, size, memtables }) = &rewrite.reused_wal {
                let entries = entries(memtables.default_family().memtable());
                text += &format!(
                    "  WAL {} after {} is appended to from {size} on, in memory: {entries}\n",
                    file.number, file.begins_after
                );
            }
            text + &list("  stray WALs:", &rewrite.stray_wals)
                + &list("  WALs to set aside:", &rewrite.unused_wals)
        }
    };
    let Recovered { next_file_number, last_sequence, logged, .. } = recovered;
    text + &format!("next file {next_file_number}; last sequence {last_sequence}; logged {logged}\n")
}

fn list(title: &str, numbers: &[u64]) -> String {
    let numbers: String = numbers.iter().map(|number| format!(" {number}")).collect();
    if numbers.is_empty() { numbers } else { format!("{title}{numbers}\n") }
}

fn entries(memtable: &Arc<Memtable>) -> String {
    let mut iterator = memtable.iter();
    iterator.seek_to_first();
    let mut keys = Vec::new();
    while iterator.valid() {
        keys.push(show_key(&InternalKey::decode(iterator.key()).unwrap()));
        iterator.next();
    }
    if keys.is_empty() { "nothing".to_string() } else { keys.join(" ") }
}
