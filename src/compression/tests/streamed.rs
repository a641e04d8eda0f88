//! Tests of zlib, raw deflate and zstd with streams of other programs and with malformed streams. In a build
//! without one of them, tests of the errors for its blocks.

use crate::compression::*;
use crate::language::Language;

type Outcome = std::result::Result<Vec<u8>, DecompressError>;

fn decompressed_within(limit: usize, type_byte: u8, stored: &[u8]) -> Outcome {
    let mut block = b"what was there before".to_vec();
    decompress_within(limit, type_byte, stored, &mut block)?;
    assert!(block.capacity() <= limit.saturating_add(1));
    Ok(block)
}

fn decompressed(type_byte: u8, stored: &[u8]) -> Outcome {
    let mut block = Vec::new();
    decompress_streamed(Language::LevelDb, type_byte, stored, &mut block)?;
    Ok(block)
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

const TEXT: &[u8] = b"hello hello hello hello block hello hello block";

/// `TEXT` compressed by Python's zlib module.
const ZLIB: &str = "789ccb48cdc9c957c8c0209372f293b3314500a2d6116f";
const RAW_DEFLATE: &str = "cb48cdc9c957c8c0209372f293b3314500";

/// As `ZLIB`, with a dictionary.
#[cfg(feature = "zlib")]
const ZLIB_WITH_DICTIONARY: &str = "78bb062c0215cb00110a9864524e7e7236a60800a2d6116f";

/// `TEXT` compressed by the program zstd 1.5.4: with a checksum, without one, and from a pipe, which leaves
/// out the length.
const ZSTD: [&str; 3] = [
    "28b52ffd242fcd00008068656c6c6f20626c6f636b626c6f636b02003b0f1daf14014c019ab8",
    "28b52ffd202fa500005868656c6c6f20626c6f636b0200353d1daf1401",
    "28b52ffd0068a500005868656c6c6f20626c6f636b0200353d1daf1401",
];

/// The compressions of this build that are decompressed as streams.
fn built() -> Vec<Compression> {
    let all = [Compression::Zlib, Compression::RawDeflate, Compression::Zstd];
    all.into_iter().filter(|compression| compression.check().is_ok()).collect()
}

#[test]
fn another_number_is_not_understood_rather_than_damage() {
    for type_byte in [3, 5, 6, 7, 8, 0x80, 0xff] {
        let error = decompressed(type_byte, TEXT).unwrap_err();
        assert_eq!(error, DecompressError::UnknownType(type_byte));
        assert!(error.is_not_understood());
    }
    assert!(!DecompressError::BadStream.is_not_understood());
}

#[test]
fn what_a_build_is_without_is_named() {
    for (feature, is_built, type_byte, stored) in [
        ("zlib", cfg!(feature = "zlib"), 2, ZLIB),
        ("zlib", cfg!(feature = "zlib"), 4, RAW_DEFLATE),
        ("zstd", cfg!(feature = "zstd"), 2, ZSTD[0]),
    ] {
        match decompressed(type_byte, &bytes(stored)) {
            Ok(block) => assert!(is_built && block == TEXT),
            Err(error) => {
                assert!(!is_built && error.is_not_understood(), "{error}");
                assert!(error.to_string().contains(&format!("cargo feature '{feature}'")), "{error}");
            }
        }
    }
    let offered = [
        (Compression::Zlib, cfg!(feature = "zlib")),
        (Compression::RawDeflate, cfg!(feature = "zlib")),
        (Compression::Zstd, cfg!(feature = "zstd")),
        (Compression::NotOffered(4), false),
        (Compression::Auto, true),
    ];
    for (compression, is_offered) in offered {
        assert_eq!(compression.check().is_ok(), is_offered, "{compression:?}");
        assert!(compression.check().err().is_none_or(|error| error.is_not_supported()));
    }
}

#[test]
fn tables_beside_those_of_the_game_are_readable_for_it() {
    let snappy = Some(Compression::Snappy);
    assert_eq!(Compression::Auto.beside(None), Compression::Auto);
    assert_eq!(Compression::Auto.beside(snappy), Compression::Auto);
    assert_eq!(Compression::Snappy.beside(Some(Compression::Zlib)), Compression::Snappy);
    for found in [Compression::Zlib, Compression::RawDeflate] {
        let expected = if cfg!(feature = "zlib") { found } else { Compression::None };
        assert_eq!(Compression::Auto.beside(Some(found)), expected);
    }
}

#[test]
fn what_is_compressed_is_read_back_at_every_level() {
    let noisy = |i: usize| if i % 90 < 60 { (i * i / 7) as u8 } else { b'x' };
    for compression in built() {
        for level in [None, Some(i32::MIN), Some(-1), Some(1), Some(5), Some(9), Some(i32::MAX)] {
            let mut compressor = Compressor::with_level(compression, level, Language::LevelDb);
            for length in [100, 4096, 70_000, 3000] {
                let block: Vec<u8> = (0..length).map(noisy).collect();
                let Some((stored, type_byte)) = compressor.compress(&block) else {
                    // Short blocks are hard for zstd, and its levels for speed find all blocks hard.
                    assert!(compression == Compression::Zstd && (length == 100 || level == Some(i32::MIN)));
                    continue;
                };
                assert!(stored.len() < length - length / 8);
                assert_eq!(Compression::of_block(Language::LevelDb, type_byte, stored), Some(compression));
                assert_eq!(decompressed(type_byte, stored).unwrap(), block);
            }
        }
    }
}

#[test]
fn what_saves_less_than_an_eighth_stays_as_it_is() {
    let mut state = 1u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8
    })
    .take(4000)
    .collect();
    for compression in built() {
        let mut compressor = Compressor::new(compression);
        let mut with_zeros = |zeros| compressor.compress(&[&noise[..], &vec![0; zeros]].concat()).is_some();
        // A block that did not fit leaves the compressor as good as new.
        assert_eq!([0, 400, 2000, 0, 3000].map(&mut with_zeros), [false, false, true, false, true]);
        assert!(compressor.compress(b"").is_none());
    }
}

#[cfg(feature = "zlib")]
#[test]
fn streams_of_zlib_end_where_the_block_ends() {
    for (type_byte, stored) in [(2, bytes(ZLIB)), (4, bytes(RAW_DEFLATE))] {
        assert_eq!(decompressed(type_byte, &stored).unwrap(), TEXT);
        for cut in 0..stored.len() {
            assert_eq!(decompressed(type_byte, &stored[..cut]), Err(DecompressError::BadStream), "{cut}");
        }
        let behind = [&stored[..], b"\0"].concat();
        assert_eq!(decompressed(type_byte, &behind), Err(DecompressError::BadStream));
        let twice = [&stored[..], &stored].concat();
        assert_eq!(decompressed(type_byte, &twice), Err(DecompressError::BadStream));
        for garbage in [&[0xff; 40][..], &[0; 1], b"not a stream at all"] {
            assert_eq!(decompressed(type_byte, garbage), Err(DecompressError::BadStream));
        }
    }
    let mut wrong_sum = bytes(ZLIB);
    *wrong_sum.last_mut().unwrap() ^= 1;
    assert_eq!(decompressed(2, &wrong_sum), Err(DecompressError::BadStream));
    assert_eq!(decompressed(2, &bytes(ZLIB_WITH_DICTIONARY)), Err(DecompressError::NeedsDictionary));
    // zlib's format and raw deflate are not mistaken for each other.
    assert_eq!(decompressed(2, &bytes(RAW_DEFLATE)), Err(DecompressError::BadStream));
    assert_eq!(decompressed(4, &bytes(ZLIB)), Err(DecompressError::BadStream));
}

#[cfg(feature = "zstd")]
#[test]
fn a_block_of_zstd_is_one_whole_frame() {
    for stored in ZSTD.map(bytes) {
        assert_eq!(decompressed(2, &stored).unwrap(), TEXT);
        for cut in 4..stored.len() {
            assert_eq!(decompressed(2, &stored[..cut]), Err(DecompressError::BadStream), "{cut}");
        }
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, b'x'];
        for behind in [&b"\0"[..], &stored, &skippable] {
            assert_eq!(decompressed(2, &[&stored, behind].concat()), Err(DecompressError::BadStream));
        }
    }
    // A frame of 25 bytes that claims 2^40 bytes (which it could not hold), 2^32, and one byte more than it
    // has.
    let claims = |length: u64| {
        let mut frame = [&ZSTD_MAGIC[..], &[0xe0], &length.to_le_bytes(), &[0x21, 0, 0]].concat();
        frame.extend_from_slice(b"abcd");
        frame
    };
    assert_eq!(decompressed(2, &claims(4)).unwrap(), b"abcd");
    for length in [5, 3, 1 << 32, 1 << 40, u64::MAX - 2] {
        assert_eq!(decompressed(2, &claims(length)), Err(DecompressError::BadStream), "{length}");
    }
    // A frame that needs a dictionary.
    let frame = [&ZSTD_MAGIC[..], &[0x21, 7, 4, 0x21, 0, 0], b"abcd"].concat();
    assert_eq!(decompressed(2, &frame), Err(DecompressError::NeedsDictionary));
}

#[test]
fn a_little_that_becomes_very_much_is_refused_at_the_limit() {
    const LIMIT: usize = 1 << 18;
    for compression in built() {
        let mut compressor = Compressor::new(compression);
        for (length, expected) in [(LIMIT, true), (LIMIT + 1, false), (12 * LIMIT, false)] {
            let (stored, type_byte) = compressor.compress(&vec![0; length]).unwrap();
            assert!(stored.len() < LIMIT / 64);
            match decompressed_within(LIMIT, type_byte, stored) {
                Ok(block) => assert!(expected && block.len() == length),
                Err(error) => assert!(!expected && error == DecompressError::TooLong),
            }
        }
    }
    // Frames that do not claim a length: full blocks of one repeated byte.
    if cfg!(feature = "zstd") {
        let frame = |blocks: usize| {
            let mut frame = [&ZSTD_MAGIC[..], &[0x00, 0x38]].concat();
            (1..=blocks).for_each(|i| frame.extend([2 + u8::from(i == blocks), 0, 0x10, b'x'])); // 2^17 x
            frame
        };
        assert_eq!(decompressed_within(LIMIT, 2, &frame(2)).unwrap(), vec![b'x'; LIMIT]);
        assert_eq!(decompressed_within(LIMIT, 2, &frame(3)), Err(DecompressError::TooLong));
    }
}
