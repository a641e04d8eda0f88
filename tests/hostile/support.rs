//! Databases to be damaged, and the expected results afterwards.

use crate::fuzz::archive::{Files, disk, files, path};
use crate::fuzz::exercise::Setting;
use crate::fuzz::mend::{self, file_type};
use std::cell::RefCell;
use terrace::env::Env;
use terrace::env::mem::MemEnv;
use terrace::internals::format::file_name::FileType;
use terrace::{Db, Error, Options, ReadOptions, Result, WriteOptions};

/// Writes without a sync.
pub const WRITE: WriteOptions = WriteOptions { sync: false };

/// Key and value of entry `number` of a group.
pub fn entry(group: char, number: u32) -> (Vec<u8>, Vec<u8>) {
    (format!("{group}{number:03}").into_bytes(), format!("value {number} of {group} ").repeat(3).into_bytes())
}

/// Puts entries of a group.
pub fn put_group(db: &Db, group: char, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let (key, value) = entry(group, number);
        db.put(&WRITE, &key, &value).expect("a put");
    }
}

/// Asserts that look-ups find the entries of a group.
pub fn assert_group(db: &Db, group: char, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let (key, value) = entry(group, number);
        let found = db.get(&ReadOptions::default(), &key).expect("a get of what is not damaged");
        assert!(found.as_ref() == Some(&value), "{}", key.escape_ascii());
    }
}

/// The keys of a forward scan, and how it ended.
pub fn scan(db: &Db) -> (Vec<Vec<u8>>, Result<()>) {
    let mut iterator = db.iter(&ReadOptions::default());
    let mut keys = Vec::new();
    iterator.seek_to_first();
    while iterator.valid() {
        keys.push(iterator.key().to_vec());
        iterator.next();
    }
    (keys, iterator.status())
}

/// Opens the database on a disk.
pub fn open(env: &MemEnv, paranoid: bool) -> Result<Db> {
    open_with(env, |options| options.paranoid_checks = paranoid)
}

/// Opens the database with changed options.
pub fn open_with(env: &MemEnv, change: impl FnOnce(&mut Options)) -> Result<Db> {
    let mut options = Setting::default().options(env);
    change(&mut options);
    Db::open(&options, &path())
}

/// Fills a new database by `script`. Returns its files as a kill would leave them.
pub fn database(change: impl FnOnce(&mut Options), script: impl FnOnce(&Db)) -> Files {
    let env = disk(&[], false);
    let db = open_with(&env, |options| {
        options.create_if_missing = true;
        change(options);
    });
    let db = db.expect("a new database");
    script(&db);
    files(&env)
}

/// The only file of a kind.
pub fn only(files: &mut Files, is_meant: impl Fn(FileType) -> bool) -> &mut (String, Vec<u8>) {
    let mut meant: Vec<_> =
        files.iter_mut().filter(|(name, _)| file_type(name).is_some_and(&is_meant)).collect();
    assert_eq!(meant.len(), 1);
    meant.pop().expect("one file")
}

/// The WAL.
pub fn log(files: &mut Files) -> &mut (String, Vec<u8>) {
    only(files, |kind| matches!(kind, FileType::Log(_)))
}

/// The MANIFEST.
pub fn manifest(files: &mut Files) -> &mut (String, Vec<u8>) {
    only(files, |kind| matches!(kind, FileType::Manifest(_)))
}

/// The expected result for a database, whichever library opens it.
#[derive(Clone, Debug)]
pub enum Kind {
    /// One table is damaged: everything else can be read, and no entry of the table is missing without an
    /// error.
    Damaged,
    /// Everything can be read.
    Unharmed,
    /// The open fails, and no file changes.
    Refused,
    /// The WAL has these batches, each complete, and no other.
    Log(Vec<u32>),
}

/// A database of a test: its name in the test, its files, and the expected result.
pub type Offer = (String, Files, Kind);

thread_local! {
    static OFFERS: RefCell<Option<Vec<Offer>>> = const { RefCell::new(None) };
}

/// All databases that the test `body` uses as cases; `beside` opens them with LevelDB too.
pub fn offers_of(body: fn()) -> Vec<Offer> {
    OFFERS.with(|offers| *offers.borrow_mut() = Some(Vec::new()));
    body();
    OFFERS.with(|offers| offers.borrow_mut().take()).expect("the offers of this thread")
}

/// Records a case, inside `offers_of`.
pub fn offer(case: &str, files: &Files, kind: Kind) {
    OFFERS.with(|offers| {
        if let Some(offers) = &mut *offers.borrow_mut() {
            offers.push((case.to_owned(), files.clone(), kind));
        }
    });
}

/// Asserts that an open fails with a Corruption that says `what`, and changes no file, with and without
/// paranoid checks.
pub fn assert_refused(case: &str, content: &Files, what: &[&str]) {
    offer(case, content, Kind::Refused);
    for paranoid in [false, true] {
        assert_refused_when(case, content, paranoid, what);
    }
}

/// As `assert_refused`, for one kind of open.
pub fn assert_refused_when(case: &str, content: &Files, paranoid: bool, what: &[&str]) {
    let env = disk(content, false);
    let before = files(&env);
    let error = match open(&env, paranoid) {
        Err(error) => error,
        Ok(_) => panic!("{case}: opened"),
    };
    assert_corruption(case, &error, what);
    assert!(files(&env) == before, "{case}: files have changed");
    // Once more: a failed open must not change the result of the next one.
    let again = open(&env, paranoid).expect_err("the second opening");
    assert_eq!(again.to_string(), error.to_string(), "{case}");
}

/// Asserts that the error is a Corruption that names a file of the database and contains all texts of `what`.
pub fn assert_corruption(case: &str, error: &Error, what: &[&str]) {
    let text = error.to_string();
    assert!(error.is_corruption() && text.contains("/db/"), "{case}: {text}");
    what.iter().for_each(|part| assert!(text.contains(part), "{case}: `{part}` is not in: {text}"));
}

/// A database with two tables and a WAL: group `d` is in the table to be damaged, `s` in the other table, `w`
/// in the WAL.
pub struct Victim {
    pub files: Files,
    /// The name of the table to damage.
    pub table: String,
}

/// The numbers of the entries of each group.
pub const GROUP: std::ops::Range<u32> = 0..100;

/// Compacts the damaged table with a table that overlaps it.
pub fn compact_damaged(db: &Db) -> Result<()> {
    for key in [b"d000+", b"d099+"] {
        db.put(&WRITE, key, b"")?;
    }
    db.compact_range(None, None)
}

impl Victim {
    /// A victim that is written with changed options.
    pub fn new(change: impl FnOnce(&mut Options)) -> Victim {
        let mut table = None;
        let files = database(change, |db| {
            put_group(db, 'd', GROUP);
            db.flush().expect("a flush");
            table = db.property(b"leveldb.sstables");
            put_group(db, 's', GROUP);
            db.flush().expect("a flush");
            put_group(db, 'w', GROUP);
        });
        // ` 5:1234['d000' @ ...`
        let table = table.expect("a property");
        let line = table.lines().find_map(|line| line.trim_start().split_once(':')).expect("a table");
        Victim { files, table: format!("{:06}.ldb", line.0.parse::<u64>().expect("a number")) }
    }

    /// The bytes of the table to damage.
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        let file = self.files.iter_mut().find(|(name, _)| *name == self.table);
        &mut file.expect("the table").1
    }

    /// Damages the table, and writes its new size into the MANIFEST.
    pub fn damage(mut self, damage: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Victim {
        let bytes = std::mem::take(self.bytes());
        *self.bytes() = damage(bytes);
        mend::table_sizes(&mut self.files);
        self
    }

    /// Checks a table that cannot be read, at least in part: a look-up in it fails with a Corruption that
    /// names the table and says `what`; everything else can be read; a compaction does not change the table,
    /// and a repair saves the readable entries.
    pub fn check(&self, case: &str, what: &str) {
        offer(case, &self.files, Kind::Damaged);
        for (paranoid, mappings) in [(false, false), (false, true), (true, false), (true, true)] {
            let case = &format!("{case}, paranoid {paranoid}, mappings {mappings}");
            let env = disk(&self.files, mappings);
            let change = |options: &mut Options| {
                (options.paranoid_checks, options.mmap_reads) = (paranoid, mappings);
            };
            let db = open_with(&env, change).unwrap_or_else(|error| panic!("{case}: {error}"));
            self.check_open(case, &db, paranoid, what);
            let compaction = compact_damaged(&db).expect_err("a compaction of the damaged table");
            assert_corruption(case, &compaction, &[&self.table]);
            assert_group(&db, 's', GROUP);
            assert_group(&db, 'w', GROUP);
            db.close().expect("a close");
            let bytes = &self.files.iter().find(|(name, _)| *name == self.table).expect("the table").1;
            assert!(
                files(&env).contains(&(self.table.clone(), bytes.clone())),
                "{case}: the table is changed"
            );
            let db = open_with(&env, change).expect("a second opening");
            self.check_open(case, &db, paranoid, what);
            db.close().expect("a close");
            self.check_repair(case, &env);
        }
    }

    fn check_open(&self, case: &str, db: &Db, paranoid: bool, what: &str) {
        let errors: Vec<Error> =
            GROUP.filter_map(|number| db.get(&ReadOptions::default(), &entry('d', number).0).err()).collect();
        let error = errors.first().unwrap_or_else(|| panic!("{case}: every look-up succeeded"));
        assert_corruption(case, error, &[&self.table, what]);
        assert_group(db, 's', GROUP);
        assert_group(db, 'w', GROUP);
        let (keys, status) = scan(db);
        assert_corruption(case, &status.expect_err("a scan over the damaged table"), &[&self.table]);
        let whole = keys.iter().filter(|key| key[0] != b'd').count();
        assert!(paranoid || whole == 2 * GROUP.len(), "{case}: a scan shows {whole} of the others");
    }

    fn check_repair(&self, case: &str, env: &MemEnv) {
        terrace::repair(&Setting::default().options(env), &path()).expect("a repair");
        assert!(env.exists(&path().join("lost").join(&self.table)), "{case}: the table is not in lost/");
        let db = open(env, true).expect("an opening of what was repaired");
        assert_group(&db, 's', GROUP);
        assert_group(&db, 'w', GROUP);
        scan(&db).1.expect("a whole scan of what was repaired");
        db.compact_range(None, None).expect("a compaction of what was repaired");
    }

    /// Checks that the change does no harm: everything can be read.
    pub fn check_unharmed(&self, case: &str, change: impl Fn(&mut Options)) {
        offer(case, &self.files, Kind::Unharmed);
        for mappings in [false, true] {
            let env = disk(&self.files, mappings);
            let db = open_with(&env, |options| {
                options.mmap_reads = mappings;
                change(options);
            });
            let db = db.unwrap_or_else(|error| panic!("{case}: {error}"));
            for group in ['d', 's', 'w'] {
                assert_group(&db, group, GROUP);
            }
            let (keys, status) = scan(&db);
            assert!(status.is_ok() && keys.len() == 3 * GROUP.len(), "{case}: {status:?}");
            compact_damaged(&db).unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_group(&db, 'd', GROUP);
        }
    }
}
