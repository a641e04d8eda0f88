//! Minecraft worlds: tables with zlib or raw deflate, written and read by Python's zlib, which is independent
//! of our crates. The game must be able to read everything that Terrace writes into such a directory.

use crate::support::leveldb_c::{Db, OpenOptions};
use crate::support::{Tool, contents, google, repository, scratch, terrace};
use std::path::Path;

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

fn game() -> Tool {
    Tool::new("python3", "python3").args([repository().join("tests/worlds/game.py")])
}

/// The entries that the game reads from the tables.
fn read_by_the_game(world: &Path) -> Entries {
    let bytes = |hex: &str| -> Vec<u8> {
        let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("digits"));
        digits.map(|pair| u8::from_str_radix(pair, 16).expect("digits")).collect()
    };
    let printed = game().args(["read"]).args([world]).run();
    let entries = printed.lines().filter_map(|line| line.split_once(' '));
    entries.map(|(key, value)| (bytes(key), bytes(value))).collect()
}

fn options() -> OpenOptions {
    OpenOptions { write_buffer_size: 64 << 10, ..OpenOptions::default() }
}

fn open(world: &Path) -> Db {
    Db::open(terrace(), world, &options()).unwrap_or_else(|error| panic!("{error}"))
}

fn chunk(i: usize, version: usize) -> (Vec<u8>, Vec<u8>) {
    let value = format!("chunk {i} of version {version}, air air air stone ").repeat(1 + i % 9);
    (format!("chunk{i:06}").into_bytes(), value.into_bytes())
}

/// Creates a world as the game leaves it.
fn make(world: &Path, kind: &str) -> Entries {
    // Uncompressed, because the game's reader, which converts the tables, cannot read snappy.
    let options = OpenOptions { compression: 0, ..options() };
    let db = Db::open(terrace(), world, &options).expect("a new database");
    for i in 0..3000 {
        let (key, value) = chunk(i, 1);
        db.put(&key, &value, false).expect("put");
    }
    db.compact_range(None, None);
    let entries = contents(&db);
    db.close();
    game().args(["convert"]).args([world]).args([kind]).run();
    entries
}

#[test]
fn a_world_is_read_and_stays_readable_for_the_game() {
    for kind in ["zlib", "raw"] {
        let scratch = scratch();
        let world = scratch.path().join("world");
        let entries = make(&world, kind);
        assert!(read_by_the_game(&world) == entries, "{kind}: the conversion");
        let db = open(&world);
        assert!(contents(&db) == entries, "{kind}");
        for i in (0..3000).step_by(3) {
            let (key, value) = chunk(i, 2);
            db.put(&key, &value, false).expect("put");
        }
        db.delete(&chunk(1, 1).0, true).expect("delete");
        db.compact_range(None, None);
        let entries = contents(&db);
        db.close();
        assert_eq!(entries.len(), 2999);
        assert!(read_by_the_game(&world) == entries, "{kind}: after compactions");
        // The next open writes to tables what this one leaves in its WAL.
        for version in 3..6 {
            let db = open(&world);
            (0..500).for_each(|i| db.put(&chunk(i, version).0, &chunk(i, version).1, false).expect("put"));
            db.close();
            read_by_the_game(&world);
        }
        let db = open(&world);
        let entries = contents(&db);
        db.close();
        terrace().repair_db(&world, &options()).expect("a repair");
        assert!(read_by_the_game(&world) == entries, "{kind}: after a repair");
        assert!(contents(&open(&world)) == entries, "{kind}: after a repair");
    }
}

/// For comparison: Google's library can read neither kind.
#[test]
fn google_s_library_reads_no_world() {
    let scratch = scratch();
    let world = scratch.path().join("world");
    make(&world, "raw");
    let db =
        Db::open(google(), &world, &OpenOptions { create_if_missing: false, ..options() }).expect("open");
    let error = db.get(&chunk(7, 1).0).expect_err("a block of another type");
    assert!(error.0.starts_with("Corruption: "), "{error}");
}
