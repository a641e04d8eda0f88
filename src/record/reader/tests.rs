//! Tests of the reader with what crashes, disks and other writers leave.

use super::*;
use crate::env::{CreateMode, Env};
use crate::record::test_support::{FakeEnv, sequential_file};
use crate::record::writer::RecordWriter;
use std::path::Path;

/// Everything that was read from a file.
#[derive(Debug, Default)]
struct Contents {
    records: Vec<Vec<u8>>,
    /// The reasons of damage, without file names, offsets and lengths.
    damage: Vec<String>,
    /// The damaged ranges: from, to.
    damaged: Vec<(u64, u64)>,
    /// The offset of the first hole, and the number of records before it.
    hole: Option<(u64, usize)>,
    end_of_last_record: u64,
}

fn read(file: &[u8]) -> Contents {
    let mut reader = RecordReader::new(sequential_file(file), PathBuf::from("/db/log"));
    let mut contents = Contents::default();
    let mut record = b"what was there before".to_vec();
    loop {
        match reader.read_record(&mut record).unwrap() {
            ReadOutcome::Record => {
                assert!(contents.end_of_last_record <= reader.record_offset());
                assert!(reader.record_offset() < reader.end_of_last_record());
                contents.end_of_last_record = reader.end_of_last_record();
                contents.records.push(record.clone());
            }
            ReadOutcome::Damage(damage) => {
                let message = damage.error.message().strip_prefix("/db/log: ").unwrap();
                contents.damage.push(message.split(" at offset").next().unwrap().to_string());
                contents.damaged.push((damage.offset, damage.offset + damage.bytes));
            }
            ReadOutcome::Hole(offset) => {
                contents.hole = contents.hole.or(Some((offset, contents.records.len())));
            }
            ReadOutcome::End => break,
        }
    }
    assert_eq!(contents.end_of_last_record, reader.end_of_last_record());
    assert!(matches!(reader.read_record(&mut record).unwrap(), ReadOutcome::End));
    assert!(contents.damaged.iter().all(|&(begin, end)| begin < end && end <= file.len() as u64));
    contents
}

fn write<T: AsRef<[u8]>>(records: &[T]) -> Vec<u8> {
    let env = FakeEnv::default();
    let file = env.create_writable(Path::new("/db/log"), CreateMode::New).unwrap();
    let mut writer = RecordWriter::new(file, 0);
    for record in records {
        writer.add_record(record.as_ref()).unwrap();
    }
    assert_eq!(writer.file_size(), env.contents("/db/log").len() as u64);
    env.contents("/db/log")
}

/// A fragment with a correct checksum.
fn fragment(kind: u8, payload: &[u8]) -> Vec<u8> {
    let checksum = crc32c::mask(crc32c::value(&[&[kind], payload].concat()));
    let length = (payload.len() as u16).to_le_bytes();
    [&checksum.to_le_bytes()[..], &length, &[kind], payload].concat()
}

/// A payload without zeros that differs for each seed.
fn payload(seed: usize, length: usize) -> Vec<u8> {
    (0..length).map(|index| (1 + (seed * 31 + index * 7 + index / 251) % 255) as u8).collect()
}

/// Records of these lengths that all differ.
fn payloads(lengths: &[usize]) -> Vec<Vec<u8>> {
    lengths.iter().enumerate().map(|(index, &length)| payload(index, length)).collect()
}

fn assert_clean(file: &[u8], records: &[Vec<u8>]) {
    let contents = read(file);
    assert!(contents.records == records, "other records than were written");
    assert_eq!((contents.damage.len(), contents.hole), (0, None), "{contents:?}");
    assert_eq!(contents.end_of_last_record, file.len() as u64);
}

/// True if `some` is a subsequence of `all`.
fn is_subsequence(some: &[Vec<u8>], all: &[Vec<u8>]) -> bool {
    let mut all = all.iter();
    some.iter().all(|record| all.any(|other| other == record))
}

/// xorshift64*: good enough to vary sizes and positions.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }

    /// A number below 2^max_bits. Each number of bits is equally likely.
    fn skewed(&mut self, max_bits: usize) -> usize {
        let bits = 1 + self.below(max_bits);
        self.below(1 << bits)
    }
}

#[test]
fn records_of_all_sizes_come_back() {
    assert_clean(b"", &[]);
    assert_clean(&write(&[b""]), &[vec![]]);
    let records =
        payloads(&[3, 3, 0, 4, 50_000, 100_000, 1, 0, BLOCK_SIZE - 7, BLOCK_SIZE - 8, 2 * BLOCK_SIZE]);
    assert_clean(&write(&records), &records);
    let seed = 301;
    let mut random = Random(seed);
    let lengths: Vec<_> = (0..500).map(|_| random.skewed(17)).collect();
    let records = payloads(&lengths);
    assert_clean(&write(&records), &records);
}

#[test]
fn records_that_end_near_the_end_of_a_block_come_back() {
    for left in 0..20 {
        for second in [0, 1, 7, BLOCK_SIZE] {
            let records = payloads(&[BLOCK_SIZE - HEADER_SIZE - left, second, 5]);
            assert_clean(&write(&records), &records);
        }
    }
}

#[test]
fn an_empty_first_fragment_before_a_whole_record_is_no_damage() {
    let file = [fragment(FIRST, b""), fragment(FULL, b"foo"), fragment(FIRST, b""), fragment(FIRST, b"b")];
    let file = [file.concat(), fragment(LAST, b"ar")].concat();
    assert_clean(&file, &[b"foo".to_vec(), b"bar".to_vec()]);
}

#[test]
fn a_file_torn_anywhere_gives_the_records_before() {
    for lengths in [&[3, 0, 600, 40][..], &[32_000, 700, 20, 0, 100], &[10, 66_000, 9]] {
        let records = payloads(lengths);
        let file = write(&records);
        let ends: Vec<_> = (0..=records.len()).map(|count| write(&records[..count]).len()).collect();
        for cut in (0..=file.len()).rev() {
            let near_block_end = (cut + 20) % BLOCK_SIZE < 40;
            if !near_block_end && file.len() > 40_000 && cut % 37 != 0 {
                continue;
            }
            let whole = ends.iter().filter(|&&end| end <= cut).count() - 1;
            let contents = read(&file[..cut]);
            assert!(contents.records == records[..whole], "cut at {cut}");
            assert_eq!(contents.end_of_last_record, ends[whole] as u64);
            assert_eq!((contents.hole, contents.damage), (None, vec![]), "cut at {cut}");
        }
    }
}

#[test]
fn a_tail_of_zeros_is_torn_wherever_it_begins() {
    for lengths in [&[3, 0, 600, 40][..], &[32_000, 700, 20, 0, 100]] {
        let records = payloads(lengths);
        let file = write(&records);
        let ends: Vec<_> = (0..=records.len()).map(|count| write(&records[..count]).len()).collect();
        let begin = file.len().saturating_sub(1700);
        for cut in begin..=file.len() {
            for more in [700, BLOCK_SIZE, 3 * BLOCK_SIZE] {
                let mut torn = file[..cut].to_vec();
                torn.resize(file.len() + more, 0);
                let whole = ends.iter().filter(|&&end| end <= cut).count() - 1;
                let contents = read(&torn);
                assert!(contents.records == records[..whole], "zeros from {cut}");
                assert_eq!(contents.end_of_last_record, ends[whole] as u64);
                assert_eq!(contents.hole, None, "zeros from {cut}");
                // If the last bytes of a block are the first zeros, they look like damage of the block's last
                // fragment.
                if cut <= BLOCK_SIZE - SECTOR_SIZE || cut >= BLOCK_SIZE {
                    assert_eq!(contents.damage, Vec::<String>::new(), "zeros from {cut}");
                }
            }
        }
    }
}

#[test]
fn zeros_after_a_first_fragment_are_a_torn_tail() {
    let mut file = write(&payloads(&[100, 50_000]));
    for cut in [BLOCK_SIZE, BLOCK_SIZE - 3 * SECTOR_SIZE] {
        file.truncate(cut);
        file.resize(3 * BLOCK_SIZE, 0);
        assert_eq!(read(&file).records, [payload(0, 100)]);
        assert_eq!(read(&file).hole, None);
        assert_eq!(read(&file).damage.len(), 0);
    }
}

#[test]
fn what_lies_behind_zeroed_sectors_never_comes_as_if_nothing_were_missing() {
    let seed = 77;
    let mut random = Random(seed);
    let mut lengths: Vec<_> = (0..150).map(|_| random.below(1000)).collect();
    lengths.extend([90_000, 5, 40_000, 200, 200]);
    let records = payloads(&lengths);
    let file = write(&records);
    let sectors = file.len().div_ceil(SECTOR_SIZE);
    for round in 0..3 * sectors {
        let mut holed = file.clone();
        let zeroed = if round < sectors { 1 } else { 1 + random.below(20) };
        for _ in 0..zeroed {
            let sector = if round < sectors { round } else { random.below(sectors) };
            let end = file.len().min((sector + 1) * SECTOR_SIZE);
            holed[sector * SECTOR_SIZE..end].fill(0);
        }
        let contents = read(&holed);
        assert!(is_subsequence(&contents.records, &records));
        let before_hole = contents.hole.map_or(contents.records.len(), |(_, count)| count);
        assert!(contents.records[..before_hole] == records[..before_hole], "seed {seed}, round {round}");
        assert!(before_hole < records.len());
        if contents.hole.is_none() {
            assert_eq!(contents.damage, Vec::<String>::new(), "seed {seed}, round {round}");
        }
    }
}

/// Symptom: the record after the zeros was returned as if nothing were missing. Cause: less than a sector was
/// zeroed.
#[test]
fn a_header_of_which_one_sector_was_lost_is_a_hole() {
    for in_first in 1..HEADER_SIZE {
        // The header of the second record begins this many bytes before the end of the first sector.
        let lengths = [SECTOR_SIZE - in_first - HEADER_SIZE, 700, 50];
        let records = payloads(&lengths);
        let file = write(&records);
        let header = SECTOR_SIZE - in_first;
        for lost in [header..SECTOR_SIZE, SECTOR_SIZE..2 * SECTOR_SIZE] {
            let mut damaged = file.clone();
            damaged[lost.clone()].fill(0);
            let contents = read(&damaged);
            assert_eq!(contents.damage, Vec::<String>::new(), "{lost:?} lost");
            assert!(contents.records == records[..1], "{lost:?} lost");
            assert_eq!(contents.hole, Some((header as u64, 1)), "{lost:?} lost");
            // Without a following record, the zeros are a torn tail.
            damaged.truncate(header + HEADER_SIZE + 700);
            let contents = read(&damaged);
            assert!(contents.damage.is_empty() && contents.hole.is_none(), "{lost:?} lost: {contents:?}");
        }
    }
}

#[test]
fn a_hole_is_told_from_a_torn_record_by_the_records_behind() {
    // One record of five sectors, the second of which was lost: torn, at the end of the file or of
    // preallocated space.
    let mut file = write(&payloads(&[100, 2500]));
    file[SECTOR_SIZE..2 * SECTOR_SIZE].fill(0);
    for more in [0, 10, 2 * BLOCK_SIZE] {
        let torn = [&file[..], &vec![0; more]].concat();
        let contents = read(&torn);
        assert_eq!((contents.records.len(), contents.hole, contents.damage.len()), (1, None, 0));
    }
    // The same with another record after it, in the same block.
    let mut file = write(&payloads(&[100, 2500, 10]));
    file[SECTOR_SIZE..2 * SECTOR_SIZE].fill(0);
    let contents = read(&file);
    assert_eq!((contents.records.len(), contents.hole, contents.damage.len()), (1, Some((512, 1)), 0));
    // The header and the end of the record are lost, and a record follows in another block.
    let mut file = write(&payloads(&[505, 2500, BLOCK_SIZE, 10]));
    file[SECTOR_SIZE..BLOCK_SIZE].fill(0);
    let contents = read(&file);
    assert_eq!((contents.records.len(), contents.hole), (2, Some((512, 1))));
    // One block of a record of many blocks is lost, and its last fragment is there: torn. With a following
    // record: a hole.
    for (more, hole) in [(&[][..], None), (&[10][..], Some((BLOCK_SIZE as u64, 1)))] {
        let mut file = write(&payloads(&[&[100, 90_000][..], more].concat()));
        file[BLOCK_SIZE..2 * BLOCK_SIZE].fill(0);
        let contents = read(&file);
        assert_eq!((contents.hole, contents.damage.len()), (hole, 0));
        assert_eq!(contents.records.len(), 1 + more.len());
    }
}

#[test]
fn every_record_behind_a_hole_is_found() {
    // One of many fragments, at the beginning of a block.
    let mut file = write(&payloads(&[100, 2 * BLOCK_SIZE - 107 - 2 * HEADER_SIZE, 2 * BLOCK_SIZE]));
    file.truncate(3 * BLOCK_SIZE + 5000); // torn as well
    file[BLOCK_SIZE - SECTOR_SIZE..2 * BLOCK_SIZE].fill(0);
    let contents = read(&file);
    assert_eq!((contents.records.len(), contents.damage.len()), (1, 0));
    assert_eq!(contents.hole, Some(((BLOCK_SIZE - SECTOR_SIZE) as u64, 1)));
    // A fragment in the middle of a block whose beginning is in the hole.
    let mut file = write(&payloads(&[100, BLOCK_SIZE, 300]));
    file[BLOCK_SIZE - SECTOR_SIZE..BLOCK_SIZE + 120].fill(0);
    let contents = read(&file);
    assert_eq!((contents.records.len(), contents.damage.len()), (1, 0));
    assert_eq!(contents.hole, Some(((BLOCK_SIZE - SECTOR_SIZE) as u64, 1)));
}

#[test]
fn damage_before_a_preallocated_tail_is_damage() {
    let mut file = write(&payloads(&[100, 20]));
    file[120] ^= 1;
    file.resize(BLOCK_SIZE, 0);
    let contents = read(&file);
    assert_eq!((contents.records.len(), contents.hole), (1, None));
    assert_eq!(contents.damage, ["checksum mismatch"]);
}

#[test]
fn preallocated_space_that_was_appended_behind_is_skipped_to_the_next_block() {
    let mut file = write(&payloads(&[100]));
    file.resize(2 * BLOCK_SIZE, 0);
    file.extend_from_slice(&write(&[b"behind"]));
    let contents = read(&file);
    assert_eq!(contents.records, [payload(0, 100), b"behind".to_vec()]);
    assert_eq!(contents.hole, Some((107, 1)));
    assert_eq!(contents.end_of_last_record, file.len() as u64);
}

#[test]
fn the_search_for_records_behind_zeros_is_bounded() {
    // Zeros, then at every second offset the header of a record of 16 KiB with a wrong checksum.
    let mut block = vec![0; 7];
    block.resize(BLOCK_SIZE, 1);
    block[7..].iter_mut().step_by(2).for_each(|byte| *byte = 0x40);
    let contents = read(&block.repeat(100));
    assert_eq!(contents.records.len(), 0);
    assert!(contents.hole.is_some()); // the search was ended: records are assumed
}

#[test]
fn a_changed_byte_never_makes_a_record() {
    let records = payloads(&[3, 0, 600, 40, 31_900, 500, 0, 77]);
    let file = write(&records);
    for position in 0..file.len() {
        if (2000..32_000).contains(&position) && position % 401 != 0 {
            continue;
        }
        for change in [1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80, 0xff] {
            let mut changed = file.clone();
            changed[position] ^= change;
            let contents = read(&changed);
            assert!(is_subsequence(&contents.records, &records), "byte {position} ^ {change}");
            assert!(contents.records.len() < records.len() || position + 7 > BLOCK_SIZE);
        }
    }
}

#[test]
fn a_wrong_checksum_costs_the_rest_of_the_block() {
    let records = payloads(&[100, 200, BLOCK_SIZE, 10]);
    let mut file = write(&records);
    file[110] ^= 1; // in the checksum of the second record
    let contents = read(&file);
    // The third record has lost its first fragment.
    assert_eq!(contents.records, [records[0].clone(), records[3].clone()]);
    assert_eq!(contents.damage, ["checksum mismatch", "missing start of fragmented record"]);
    assert_eq!(contents.damaged[0], (107, BLOCK_SIZE as u64));
    assert_eq!(contents.damaged[1].0, BLOCK_SIZE as u64);
}

#[test]
fn a_wrong_checksum_at_the_end_is_damage() {
    let mut file = write(&[b"foo"]);
    file[0] = file[0].wrapping_add(14);
    let contents = read(&file);
    assert_eq!((contents.damage, contents.damaged), (vec!["checksum mismatch".to_string()], vec![(0, 10)]));
}

#[test]
fn a_length_past_the_end_of_its_block_is_damage_but_at_the_end_of_the_file() {
    let records = payloads(&[BLOCK_SIZE - HEADER_SIZE, 3]);
    let mut file = write(&records);
    file[4] += 1;
    let contents = read(&file);
    assert_eq!(contents.records, records[1..]);
    assert_eq!(contents.damage, ["bad record length"]);
    assert_eq!(contents.damaged, [(0, BLOCK_SIZE as u64)]);
    let mut file = write(&[b"foo"]);
    file[5] = 0xff;
    assert_eq!(read(&file).damage.len(), 0);
    // With a following record it is not the end.
    let mut file = write(&[b"foo", b"bar"]);
    file[5] = 0xff;
    assert_eq!(read(&file).damage, ["bad record length"]);
    assert_eq!(read(&file).records.len(), 0);
}

#[test]
fn an_unknown_type_costs_its_fragment_and_the_record_it_is_in() {
    for kind in [0, 5, 99, 255] {
        let file = [fragment(kind, b"foo"), fragment(FULL, b"bar")].concat();
        let contents = read(&file);
        assert_eq!(contents.damage, [format!("unknown record type {kind}")]);
        assert_eq!((contents.records, contents.damaged), (vec![b"bar".to_vec()], vec![(0, 10)]));
    }
    let file = [fragment(FIRST, b"foo"), fragment(9, b"bar"), fragment(LAST, b"x"), fragment(FULL, b"y")];
    let contents = read(&file.concat());
    assert_eq!(contents.damage, ["unknown record type 9", "missing start of fragmented record"]);
    assert_eq!((contents.records, contents.damaged[0]), (vec![b"y".to_vec()], (0, 20)));
}

#[test]
fn fragments_without_a_beginning_are_damage() {
    for kind in [MIDDLE, LAST] {
        let contents = read(&[fragment(kind, b"foo"), fragment(FULL, b"bar")].concat());
        assert_eq!(contents.damage, ["missing start of fragmented record"]);
        assert_eq!((contents.records, contents.damaged), (vec![b"bar".to_vec()], vec![(0, 10)]));
    }
}

#[test]
fn a_record_without_an_end_is_damage_where_another_begins() {
    let file =
        [fragment(FULL, b"a"), fragment(FIRST, b"foo"), fragment(MIDDLE, b"foo"), fragment(FULL, b"bar")];
    let contents = read(&file.concat());
    assert_eq!(contents.damage, ["partial record without end"]);
    assert_eq!(contents.records, [b"a".to_vec(), b"bar".to_vec()]);
    assert_eq!(contents.damaged, [(8, 28)]);
    let file = [fragment(FIRST, b"foo"), fragment(FIRST, b"b"), fragment(LAST, b"ar")].concat();
    let contents = read(&file);
    assert_eq!((contents.damage.len(), contents.records), (1, vec![b"bar".to_vec()]));
}

#[test]
fn a_record_without_an_end_at_the_end_is_torn() {
    let contents = read(&[fragment(FIRST, b"foo"), fragment(MIDDLE, b"bar")].concat());
    assert_eq!((contents.damage.len(), contents.records.len(), contents.end_of_last_record), (0, 0, 0));
}

#[test]
fn fragments_are_not_joined_over_damage() {
    // The fragments are first(1) last(1) first(2) last(2), and the middle two are damaged. No record is made
    // of first(1) and last(2).
    let records = payloads(&[BLOCK_SIZE, BLOCK_SIZE, 7]);
    let mut file = write(&records);
    for position in (BLOCK_SIZE..2 * BLOCK_SIZE).step_by(100) {
        file[position] = b'x';
    }
    let contents = read(&file);
    assert_eq!(contents.records, records[2..]);
    assert_eq!(contents.damage, ["checksum mismatch", "missing start of fragmented record"]);
    assert_eq!(contents.damaged[0], (0, 2 * BLOCK_SIZE as u64));
}

#[test]
fn what_was_appended_to_a_torn_record_is_never_joined_to_it() {
    let mut file = write(&payloads(&[10, 300]));
    file.truncate(200);
    file.extend_from_slice(&fragment(FULL, &payload(9, 190)));
    let contents = read(&file);
    assert_eq!((contents.records, contents.damage.len()), (vec![payload(0, 10)], 1));
    // The torn record ends in its second fragment.
    let mut file = write(&payloads(&[BLOCK_SIZE]));
    file.truncate(BLOCK_SIZE);
    file.extend_from_slice(&fragment(FULL, b"new"));
    let contents = read(&file);
    assert_eq!(contents.records, [b"new".to_vec()]);
    assert_eq!(contents.damage, ["partial record without end"]);
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_for_good() {
    struct Failing(bool);
    impl SequentialFile for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
            if std::mem::replace(&mut self.0, true) {
                return Ok(0); // a second attempt would look like the end
            }
            buffer.fill(1);
            Err(Error::from_errno(std::path::Path::new("/db/log"), 5))
        }
        fn skip(&mut self, _bytes: u64) -> Result<()> {
            Ok(())
        }
    }
    let mut reader = RecordReader::new(Box::new(Failing(false)), PathBuf::from("/db/log"));
    for _ in 0..2 {
        assert_eq!(reader.read_record(&mut Vec::new()).unwrap_err().errno(), Some(5));
    }
}
