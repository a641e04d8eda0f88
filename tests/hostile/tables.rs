//! Cases 1 to 13: a table of a database has false contents with correct checksums. The tests of `src/table`
//! show the result of the parsers; the tests here show that the rest of the database is not affected.

use super::forge::Parts;
use super::support::{GROUP, Kind, Victim, assert_corruption, assert_group, entry, offer, open};
use crate::fuzz::archive::{disk, path};
use crate::fuzz::exercise::Setting;
use std::sync::Arc;
use terrace::BloomFilterPolicy;
use terrace::Compression;
use terrace::internals::table::footer::{BlockHandle, FOOTER_SIZE};
use terrace::internals::util::coding::{fixed32_at, put_varint32};
use terrace::{Options, ReadOptions};

fn uncompressed(options: &mut Options) {
    options.compression = Compression::None;
    options.block_restart_interval = 4;
}

fn with_filters(options: &mut Options) {
    uncompressed(options);
    options.filter_policy = Some(Arc::new(BloomFilterPolicy::new(14)));
}

fn parts(table: &[u8]) -> Parts {
    Parts::of(table).expect("the parts of a good table")
}

/// A victim whose table has changed contents in data block `1`.
fn with_block(change: impl FnOnce(&mut Vec<u8>)) -> Victim {
    Victim::new(uncompressed).damage(|table| {
        let mut parts = parts(&table);
        assert!(parts.data.len() > 3);
        change(&mut parts.data[1]);
        parts.lay_out().finish()
    })
}

/// The offsets of a block's restart count and of its first restart point.
fn restarts(contents: &[u8]) -> (usize, usize) {
    let count = contents.len() - 4;
    (count, count - 4 * fixed32_at(contents, count).expect("a count") as usize)
}

#[test]
pub(super) fn handles_that_lead_past_the_end_or_wrap_cost_only_their_table() {
    for handle in [
        BlockHandle { offset: 1 << 40, size: 100 },
        BlockHandle { offset: u64::MAX - 3, size: 100 },
        BlockHandle { offset: 100, size: u64::MAX },
        BlockHandle { offset: 100, size: 1 << 33 },
        BlockHandle { offset: 100, size: u64::from(u32::MAX) },
    ] {
        let in_index = Victim::new(uncompressed).damage(|table| {
            let mut layout = parts(&table).lay_out();
            layout.index[1].1 = handle;
            layout.finish()
        });
        in_index.check(&format!("{handle:?} in the index"), "handle");
        let in_footer = Victim::new(uncompressed)
            .damage(|table| parts(&table).lay_out().finish_changed(|_| (), |footer| footer.index = handle));
        in_footer.check(&format!("{handle:?} in the footer"), "");
    }
}

#[test]
pub(super) fn blocks_that_lead_to_themselves_or_to_each_other_are_read_once() {
    let index_as_data = Victim::new(uncompressed).damage(|table| {
        let mut layout = parts(&table).lay_out();
        // The handle points to the metaindex, which is next; the index follows it.
        layout.index[1].1 = BlockHandle { offset: layout.length() as u64, size: 8 };
        layout.finish()
    });
    index_as_data.check("the metaindex as a data block", "");
    let footer_as_index = Victim::new(uncompressed).damage(|table| {
        let length = table.len() as u64;
        let handle = BlockHandle { offset: length - FOOTER_SIZE as u64, size: FOOTER_SIZE as u64 - 5 };
        parts(&table).lay_out().finish_changed(|_| (), |footer| footer.index = handle)
    });
    footer_as_index.check("the footer as the index", "past the end");
    // The metaindex names itself as every meta block: the table is used without them, and nothing else is
    // lost.
    let metaindex_as_filter = Victim::new(with_filters).damage(|table| {
        let mut layout = parts(&table).lay_out();
        let handle = BlockHandle { offset: layout.length() as u64, size: 100 };
        layout.metaindex.iter_mut().for_each(|(_, other)| *other = handle);
        layout.finish()
    });
    metaindex_as_filter.check_unharmed("the metaindex as a filter", with_filters);
}

#[test]
pub(super) fn lengths_that_wrap_32_bits_are_told() {
    let wrapped = with_block(|block| {
        let mut entry = vec![0];
        put_varint32(&mut entry, u32::MAX - 10); // not shared
        put_varint32(&mut entry, 20); // value
        block.splice(..3, entry);
    });
    wrapped.check("a sum that wraps", "bad block");
    let shared = with_block(|block| block[0] = 5);
    shared.check("a first entry that shares", "bad block");
    let shares_more = with_block(|block| {
        // The second entry, after the lengths, the key and the value of the first one.
        let second = 3 + usize::from(block[1]) + usize::from(block[2]);
        block[second] = 127;
    });
    shares_more.check("an entry that shares more than there is", "bad block");
}

#[test]
pub(super) fn restart_points_that_lie_are_told() {
    for count in [u32::MAX, u32::MAX / 4, 1 << 30, 5000] {
        let victim = with_block(|block| {
            let (at, _) = restarts(block);
            block[at..].copy_from_slice(&count.to_le_bytes());
        });
        victim.check(&format!("{count} restart points"), "restart count too high");
    }
}

/// Scans do not use restart points; look-ups do.
#[test]
pub(super) fn restart_points_that_lead_astray_are_told_by_look_ups() {
    type Change = fn(&mut [u8]);
    let changes: [(&str, Change); 4] = [
        ("past the block", |restarts| restarts[4..8].fill(0xff)),
        ("into the restart points", |restarts| restarts[5] = 2),
        ("into an entry", |restarts| restarts[4] += 3),
        ("descending", |restarts| {
            let (a, b) = restarts.split_at_mut(8);
            a[4..].swap_with_slice(&mut b[..4]);
        }),
    ];
    for (case, change) in changes {
        let victim = with_block(|block| {
            let (count, first) = restarts(block);
            change(&mut block[first..count]);
        });
        offer(case, &victim.files, Kind::Damaged);
        let env = disk(&victim.files, false);
        let db = open(&env, false).expect("open");
        let mut errors = 0;
        for number in GROUP {
            let (key, value) = entry('d', number);
            match db.get(&ReadOptions::default(), &key) {
                Ok(found) => assert!(found.is_none_or(|found| found == value)),
                Err(error) => {
                    assert_corruption(case, &error, &[&victim.table, "bad block"]);
                    errors += 1;
                }
            }
        }
        assert!(errors > 0, "{case}: every look-up succeeded");
        assert_group(&db, 's', GROUP);
        assert_eq!(super::support::scan(&db).0.len(), 3 * GROUP.len(), "{case}");
    }
}

#[test]
pub(super) fn a_block_that_claims_no_restart_point_is_empty_and_nothing_else_is() {
    let victim = with_block(|block| {
        let (at, _) = restarts(block);
        block[at..].fill(0);
    });
    let env = disk(&victim.files, false);
    let db = open(&env, true).expect("open");
    let found = GROUP.filter(|&number| {
        let (key, value) = entry('d', number);
        let found = db.get(&ReadOptions::default(), &key).expect("an empty block is no damage");
        assert!(found.is_none() || found == Some(value));
        found.is_some()
    });
    assert!((1..GROUP.len()).contains(&found.count()));
    assert_group(&db, 's', GROUP);
}

#[test]
pub(super) fn keys_without_a_trailer_or_of_no_known_type_are_told() {
    // The first entry of the block: its key is a letter, three digits and a trailer.
    let short = with_block(|block| {
        block[1] = 4;
        block.drain(3 + 4..3 + 12);
        let (_, first) = restarts(block);
        // The other restart points are moved too.
        let restarts: Vec<u8> = block[first + 4..block.len() - 4]
            .chunks(4)
            .flat_map(|offset| (fixed32_at(offset, 0).expect("four bytes") - 8).to_le_bytes())
            .collect();
        let end = block.len() - 4;
        block[first + 4..end].copy_from_slice(&restarts);
    });
    short.check("a key of four bytes", "bad block");
    let types = [
        (2, "a merge operand of RocksDB"),
        (3, "unknown type"),
        (15, "a range deletion of RocksDB"),
        (0xff, "unknown type"),
    ];
    for (number, what) in types {
        let victim = with_block(|block| block[3 + 4] = number);
        victim.check(&format!("type {number}"), what);
    }
}

#[test]
pub(super) fn compressed_blocks_claim_no_more_than_they_can_hold() {
    let claims: [(&[u8], u8, &str); 6] = [
        (&[0xff, 0xff, 0xff, 0xff, 0x0f, 0, b'a'], 1, "corrupted compressed block"),
        (&[0x80, 0x80, 0x80, 0x80, 0x10], 1, "corrupted compressed block"),
        (&[], 1, "corrupted compressed block"),
        (&[0, 0, 0, 0, 1, 0, 0, 0], 2, "corrupted compressed block"),
        (&[0x07, 0, 0, 0, 1, 0, 0, 0], 4, "corrupted compressed block"),
        // A frame of zstd that claims 2^40 bytes.
        (&[0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0], 2, "corrupted compressed block"),
    ];
    for (stored, type_byte, what) in claims {
        let victim = Victim::new(uncompressed).damage(|table| {
            let mut parts = parts(&table);
            parts.stored.push((1, stored.to_vec(), type_byte));
            parts.lay_out().finish()
        });
        victim.check(&format!("{stored:?} of type {type_byte}"), what);
    }
}

#[test]
pub(super) fn keys_out_of_order_end_a_compaction_and_are_told_by_a_scan() {
    let swapped = Victim::new(uncompressed).damage(|table| {
        let mut parts = parts(&table);
        parts.data.swap(1, 2);
        parts.lay_out().finish()
    });
    offer("swapped blocks", &swapped.files, Kind::Damaged);
    let env = disk(&swapped.files, false);
    let db = open(&env, false).expect("open");
    let (keys, status) = super::support::scan(&db);
    assert_corruption("swapped blocks", &status.expect_err("a scan"), &[&swapped.table, "out of order"]);
    assert!(keys.is_sorted() && keys.len() > 2 * GROUP.len());
    let mut backwards = db.iter(&ReadOptions::default());
    let mut seen = vec![];
    backwards.seek_to_last();
    while backwards.valid() {
        seen.push(backwards.key().to_vec());
        backwards.prev();
    }
    let error = backwards.status().expect_err("a scan backwards");
    assert_corruption("swapped blocks", &error, &[&swapped.table, "out of order"]);
    assert!(seen.iter().rev().is_sorted() && seen.len() > 2 * GROUP.len(), "{} keys backwards", seen.len());
    let error = super::support::compact_damaged(&db).expect_err("a compaction");
    assert_corruption("swapped blocks", &error, &[&swapped.table]);
    assert_group(&db, 's', GROUP);
    // A repair finds all entries.
    drop(db);
    terrace::repair(&Setting::default().options(&env), &path()).expect("a repair");
    let db = open(&env, true).expect("open");
    assert!(super::support::scan(&db).0.len() > keys.len());
}

#[test]
pub(super) fn filters_that_make_no_sense_match_every_key() {
    type Change = fn(&mut Vec<u8>);
    let changes: [(&str, Change); 6] = [
        ("an empty filter block", Vec::clear),
        ("a filter block of four bytes", |filter| filter.truncate(4)),
        ("31 probes", |filter| {
            // The last byte of the first filter, before the second one begins.
            let array = fixed32_at(filter, filter.len() - 5).expect("an offset") as usize;
            let end = fixed32_at(filter, array + 4).expect("an offset") as usize;
            filter[end - 1] = 31;
        }),
        ("offsets beyond the block", |filter| {
            let array = fixed32_at(filter, filter.len() - 5).expect("an offset") as usize;
            filter[array..array + 8].fill(0xff);
        }),
        ("an array beyond the block", |filter| {
            let at = filter.len() - 5;
            filter[at..at + 4].fill(0xff);
        }),
        ("a base of 2 to the 255", |filter| *filter.last_mut().expect("a base") = 255),
    ];
    for (case, change) in changes {
        let victim = Victim::new(with_filters).damage(|table| {
            let mut parts = parts(&table);
            let filter = parts.meta.iter_mut().find(|(name, _)| name.starts_with(b"filter."));
            change(&mut filter.expect("a filter block").1);
            // Without the whole-table filter, which would be used instead.
            parts.meta.retain(|(name, _)| name.starts_with(b"filter."));
            parts.lay_out().finish()
        });
        victim.check_unharmed(case, with_filters);
    }
}

#[test]
pub(super) fn files_that_are_no_tables_are_told() {
    for (case, what) in [("0", "too few"), ("47", "too few"), ("48", "magic"), ("magic", "magic")] {
        let victim = Victim::new(uncompressed).damage(|mut table| match case.parse() {
            Ok(length) => vec![0; length],
            Err(_) => {
                *table.last_mut().expect("a footer") ^= 1;
                table
            }
        });
        victim.check(case, what);
    }
}

#[test]
pub(super) fn a_table_of_another_length_than_the_manifest_says_is_told() {
    for change in [|table: &mut Vec<u8>| table.push(0), |table: &mut Vec<u8>| table.truncate(table.len() - 1)]
    {
        let mut victim = Victim::new(uncompressed);
        change(victim.bytes());
        victim.check("another length", "not the");
    }
}

/// A repair kept such tables in place. The repaired database then could not be opened with paranoid checks,
/// or had keys that only a scan found.
#[test]
pub(super) fn a_table_that_only_some_reads_find_damaged_is_rewritten_by_a_repair() {
    let wrong_restart = with_block(|block| {
        let (_, first) = restarts(block);
        block[first + 8..first + 12].fill(0xff);
    });
    let wrong_filter = Victim::new(uncompressed).damage(|table| {
        let mut layout = parts(&table).lay_out();
        layout.metaindex[0].1 = BlockHandle { offset: 1 << 40, size: 8 };
        layout.finish()
    });
    let wrong_separator = Victim::new(uncompressed).damage(|table| {
        let mut parts = parts(&table);
        parts.separators[1] = parts.separators[0].clone();
        parts.lay_out().finish()
    });
    for victim in [wrong_restart, wrong_filter, wrong_separator] {
        let env = disk(&victim.files, false);
        terrace::repair(&Setting::default().options(&env), &path()).expect("a repair");
        let db = open(&env, true).expect("open");
        for group in ['d', 's', 'w'] {
            assert_group(&db, group, GROUP);
        }
    }
}
