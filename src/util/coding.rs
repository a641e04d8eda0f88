//! Little-endian fixed and varint (base 128) integers, and byte strings preceded by a varint32 length.
//!
//! A reader takes a slice by mutable reference and advances it past the bytes it reads. It returns `None` if
//! the slice ends too early or holds an over-long integer; then the slice is not advanced. No input makes a
//! function of this file panic.
//!
//! Thread rule: pure functions.

/// Appends `value` as 4 little-endian bytes.
#[inline]
pub fn put_fixed32(dst: &mut Vec<u8>, value: u32) {
    dst.extend_from_slice(&value.to_le_bytes());
}

/// Appends `value` as 8 little-endian bytes.
#[inline]
pub fn put_fixed64(dst: &mut Vec<u8>, value: u64) {
    dst.extend_from_slice(&value.to_le_bytes());
}

/// Appends `value` as a varint: 1 to 5 bytes, 7 bits in each, low bits first.
#[inline]
pub fn put_varint32(dst: &mut Vec<u8>, value: u32) {
    put_varint64(dst, u64::from(value));
}

/// Appends `value` as a varint: 1 to 10 bytes, 7 bits in each, low bits first.
#[inline]
pub fn put_varint64(dst: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        dst.push(value as u8 | 0x80);
        value >>= 7;
    }
    dst.push(value as u8);
}

/// Appends the length of `bytes` as a varint32, then `bytes`. The caller ensures that the length fits 32
/// bits.
#[inline]
pub fn put_bytes(dst: &mut Vec<u8>, bytes: &[u8]) {
    debug_assert!(bytes.len() <= u32::MAX as usize);
    put_varint32(dst, bytes.len() as u32);
    dst.extend_from_slice(bytes);
}

/// The u32 at `offset`, or `None` if it would end past the end of `src`.
#[inline]
pub fn fixed32_at(src: &[u8], offset: usize) -> Option<u32> {
    let bytes = src.get(offset..offset.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// The u64 at `offset`, or `None` if it would end past the end of `src`.
#[inline]
pub fn fixed64_at(src: &[u8], offset: usize) -> Option<u64> {
    let bytes = src.get(offset..offset.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// Reads a varint32. A value of more than 32 bits is refused.
#[inline]
pub fn get_varint32(src: &mut &[u8]) -> Option<u32> {
    if let Some((&first, rest)) = src.split_first()
        && first < 0x80
    {
        *src = rest;
        return Some(u32::from(first));
    }
    let mut probe = *src;
    let value = u32::try_from(get_varint64(&mut probe)?).ok()?;
    *src = probe;
    Some(value)
}

/// Reads a varint64. An encoding of more than 10 bytes, or of more than 64 bits, is refused.
#[inline]
pub fn get_varint64(src: &mut &[u8]) -> Option<u64> {
    // Fast path for 1 to 3 bytes: most offsets and lengths within a table are that short.
    let (value, length) = match **src {
        [a, ..] if a < 0x80 => (u64::from(a), 1),
        [a, b, ..] if b < 0x80 => (u64::from(a & 0x7f) | u64::from(b) << 7, 2),
        [a, b, c, ..] if c < 0x80 => (u64::from(a & 0x7f) | u64::from(b & 0x7f) << 7 | u64::from(c) << 14, 3),
        _ => return get_long_varint64(src),
    };
    *src = &src[length..];
    Some(value)
}

fn get_long_varint64(src: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for (index, &byte) in src.iter().take(10).enumerate() {
        let bits = u64::from(byte & 0x7f);
        if index == 9 && bits > 1 {
            return None;
        }
        value |= bits << (7 * index);
        if byte < 0x80 {
            *src = &src[index + 1..];
            return Some(value);
        }
    }
    None
}

/// Reads a varint32 length and that many bytes after it.
#[inline]
pub fn get_bytes<'a>(src: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut probe = *src;
    let length = get_varint32(&mut probe)? as usize;
    if length > probe.len() {
        return None;
    }
    let (bytes, rest) = probe.split_at(length);
    *src = rest;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_round_trip_at_every_width() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1u64 << shift) - 1, (1u64 << shift) | 1] {
                let mut bytes = Vec::new();
                put_varint64(&mut bytes, value);
                assert_eq!(bytes.len(), (value.max(1).ilog2() / 7 + 1) as usize);
                let mut rest = bytes.as_slice();
                assert_eq!(get_varint64(&mut rest), Some(value));
                assert!(rest.is_empty());
                let mut rest = bytes.as_slice();
                assert_eq!(get_varint32(&mut rest), u32::try_from(value).ok());
                for cut in 0..bytes.len() {
                    assert_eq!(get_varint64(&mut &bytes[..cut]), None);
                }
            }
        }
    }

    #[test]
    fn overlong_varints_are_refused_and_leave_the_input() {
        let bytes = [0xff; 11];
        let mut rest = &bytes[..];
        assert_eq!(get_varint64(&mut rest), None);
        assert_eq!(get_varint32(&mut rest), None);
        assert_eq!(rest.len(), 11);
        assert_eq!(get_varint32(&mut &[0xff, 0xff, 0xff, 0xff, 0x1f][..]), None);
    }

    #[test]
    fn byte_strings_never_reach_past_the_end() {
        let mut bytes = Vec::new();
        put_bytes(&mut bytes, b"hello");
        assert_eq!(get_bytes(&mut bytes.as_slice()), Some(&b"hello"[..]));
        assert_eq!(get_bytes(&mut &bytes[..4]), None);
        assert_eq!(get_bytes(&mut &[0xff, 0xff, 0xff, 0xff, 0x0f, 1][..]), None);
    }
}
