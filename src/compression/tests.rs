//! Blocks that are compressed and read back, and blocks that are none.

use super::*;

mod streamed;

fn decompressed(type_byte: u8, stored: &[u8]) -> std::result::Result<Vec<u8>, DecompressError> {
    let mut block = vec![0; decompressed_length(type_byte, stored)?];
    decompress(type_byte, stored, &mut block)?;
    Ok(block)
}

#[test]
fn what_is_compressed_is_read_back() {
    let mut compressor = Compressor::new(Compression::Snappy);
    for length in [1000, 64, 100_000, 4096] {
        let block: Vec<u8> = (0..length).map(|i| (i / 7 % 50) as u8).collect();
        let (stored, type_byte) = compressor.compress(&block).unwrap();
        assert!(stored.len() < block.len());
        assert_eq!(decompressed(type_byte, stored).unwrap(), block);
    }
    assert_eq!(decompressed(TYPE_RAW, b"abc").unwrap(), b"abc");
}

#[test]
fn new_memory_is_filled_or_refused() {
    let block: Vec<u8> =
        (0..70_000_u64).map(|i| if i % 100 < 50 { (i * i / 7) as u8 } else { b'x' }).collect();
    let mut compressor = Compressor::new(Compression::Snappy);
    for length in [200, 4096, if cfg!(miri) { 5000 } else { 70_000 }] {
        let (stored, type_byte) = compressor.compress(&block[..length]).unwrap();
        let fresh = |length: usize| Box::<[u8]>::new_uninit_slice(length);
        let mut memory = fresh(length);
        let address = memory.as_ptr().cast::<u8>();
        let decompressed = decompress_new(type_byte, stored, &mut memory).unwrap();
        assert!(decompressed == &block[..length] && decompressed.as_ptr() == address);
        let bad = Err(DecompressError::BadStream);
        assert_eq!(decompress_new(type_byte, stored, &mut fresh(length - 1)), bad);
        assert_eq!(decompress_new(type_byte, stored, &mut fresh(length + 1)), bad);
        assert_eq!(decompress_new(type_byte, &stored[..stored.len() - 1], &mut fresh(length)), bad);
        assert_eq!(decompress_new(9, stored, &mut fresh(length)), Err(DecompressError::UnknownType(9)));
    }
}

#[test]
fn the_beginning_of_a_block_is_that_of_the_whole() {
    let block: Vec<u8> = (0..5000).map(|i| if i % 90 < 60 { (i * i / 7) as u8 } else { b'x' }).collect();
    let mut compressor = Compressor::new(Compression::Snappy);
    let (stored, type_byte) = compressor.compress(&block).unwrap();
    for (type_byte, stored) in [(type_byte, stored), (TYPE_RAW, &block[..])] {
        for length in (0..200).chain([4999, 5000]) {
            let mut beginning = vec![0; length];
            decompress_beginning(type_byte, stored, &mut beginning).unwrap();
            assert!(beginning == block[..length], "{length}");
        }
        let too_long = decompress_beginning(type_byte, stored, &mut [0; 5001]);
        assert_eq!(too_long, Err(DecompressError::BadStream));
    }
    for cut in 0..40 {
        let bad = decompress_beginning(TYPE_SNAPPY, &stored[..cut], &mut [0; 64]);
        assert_eq!(bad, Err(DecompressError::BadStream), "{cut}");
    }
    assert_eq!(decompress_beginning(9, stored, &mut [0; 1]), Err(DecompressError::UnknownType(9)));
}

#[test]
fn what_saves_less_than_an_eighth_stays_raw() {
    let mut state = 1u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8
    })
    .take(4000)
    .collect();
    let mut compressor = Compressor::new(Compression::Snappy);
    let with_zeros = |zeros: usize| [&noise[..], &vec![0; zeros]].concat();
    assert!(compressor.compress(&noise).is_none());
    assert!(compressor.compress(&with_zeros(400)).is_none());
    assert!(compressor.compress(&with_zeros(2000)).is_some());
    assert!(compressor.compress(b"").is_none());
    assert!(Compressor::new(Compression::None).compress(&[0; 4096]).is_none());
}

#[test]
fn compressing_allocates_for_longer_blocks_only() {
    let mut compressor = Compressor::new(Compression::Snappy);
    let buffer = |compressor: &mut Compressor, length: usize| {
        compressor.compress(&vec![b'a'; length]).unwrap();
        (compressor.buffer.as_ptr(), compressor.buffer.capacity())
    };
    let first = buffer(&mut compressor, 5000);
    for length in [64, 4096, 5000] {
        assert_eq!(buffer(&mut compressor, length), first);
    }
    assert!(buffer(&mut compressor, 50_000).1 > first.1);
}

#[test]
fn a_length_out_of_reach_is_refused_before_allocating() {
    let claim_4_gib = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, b'a'];
    assert_eq!(decompressed_length(TYPE_SNAPPY, &claim_4_gib), Err(DecompressError::BadStream));
    let claim_1000 = [0xe8, 0x07, 0, b'a'];
    assert_eq!(decompressed_length(TYPE_SNAPPY, &claim_1000), Err(DecompressError::BadStream));
    let mut compressor = Compressor::new(Compression::Snappy);
    let (best_case, _) = compressor.compress(&[0; 1 << 20]).unwrap();
    assert_eq!(decompressed_length(TYPE_SNAPPY, best_case), Ok(1 << 20));
}

#[test]
fn damaged_streams_and_unknown_types_are_errors() {
    let mut compressor = Compressor::new(Compression::Snappy);
    let block = b"hello hello hello hello hello hello hello hello".repeat(4);
    let stored = compressor.compress(&block).unwrap().0.to_vec();
    for cut in 0..stored.len() {
        assert_eq!(decompressed(TYPE_SNAPPY, &stored[..cut]).unwrap_err(), DecompressError::BadStream);
    }
    assert_eq!(
        decompressed(7, &stored).unwrap_err().to_string(),
        "bad block type 7, an unknown compression,"
    );
    assert_eq!(decompress(TYPE_RAW, b"abc", &mut [0; 2]), Err(DecompressError::BadStream));
}
