//! The common prefix of two keys; that of all keys of a sorted array, and the position of a further key
//! relative to these.
//!
//! Keys such as `user:0000001234` agree in their first 8 bytes. After the common prefix, the next 8 bytes of
//! a key, as an integer, usually differ from those of the other keys. Flat arrays of keys (the files of a
//! level, the blocks of a table) are searched by these integers. Their order is the bytewise order, except
//! for ties.
//!
//! The key of a lookup has usually been written just before, in pieces. A load of a word that spans two
//! recent stores waits until both have left the core. So bytes are read where the caller put them, and are
//! never copied to be read again.
//!
//! Thread rule: immutable values.

use std::cmp::Ordering;

/// The bytes that all keys of a set begin with.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct CommonPrefix {
    bytes: Box<[u8]>,
    /// The first 8 bytes, padded with zeros; `head_mask` has ones where there are bytes.
    head: u64,
    head_mask: u64,
}

/// The position of a key relative to a set of keys with a common prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// The key is less than every key of the set.
    Before,
    /// The key has the common prefix. The field is the 8 bytes that follow it, big-endian, padded with zeros.
    Inside(u64),
    /// The key is greater than every key of the set.
    After,
}

impl CommonPrefix {
    /// The prefix of these bytes.
    pub fn new(bytes: &[u8]) -> Self {
        CommonPrefix {
            bytes: bytes.into(),
            head: first_eight(bytes, 0),
            head_mask: if bytes.len() >= 8 { u64::MAX } else { !(u64::MAX >> (8 * bytes.len())) },
        }
    }

    /// The prefix.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its length in bytes.
    #[inline]
    pub fn length(&self) -> usize {
        self.bytes.len()
    }

    /// The position of `key`.
    #[inline]
    pub fn place(&self, key: &[u8]) -> Place {
        let order = match key.first_chunk::<8>() {
            Some(chunk) if key.len() >= self.bytes.len() => {
                let head = u64::from_be_bytes(*chunk) & self.head_mask;
                if head == self.head { self.order_behind_head(key) } else { head.cmp(&self.head) }
            }
            _ => key[..key.len().min(self.bytes.len())].cmp(&self.bytes),
        };
        match order {
            Ordering::Less => Place::Before,
            Ordering::Equal => Place::Inside(first_eight(key, self.bytes.len())),
            Ordering::Greater => Place::After,
        }
    }

    /// The order of `key` relative to the prefix. `key` is not shorter than the prefix, and begins with the
    /// same 8 bytes (or with the whole prefix if that is shorter).
    #[inline]
    fn order_behind_head(&self, key: &[u8]) -> Ordering {
        let length = self.bytes.len();
        let mut at = 8;
        while at < length {
            // The last word overlaps bytes that are known to be equal.
            let from = at.min(length - 8);
            let (Some(a), Some(b)) = (key[from..].first_chunk::<8>(), self.bytes[from..].first_chunk::<8>())
            else {
                break;
            };
            if a != b {
                return a.cmp(b);
            }
            at += 8;
        }
        Ordering::Equal
    }
}

/// The length of the longest common prefix of `a` and `b`, in bytes.
#[inline]
pub fn common_prefix_length(a: &[u8], b: &[u8]) -> usize {
    let length = a.len().min(b.len());
    let (a, b) = (&a[..length], &b[..length]);
    let mut at = 0;
    while let (Some(x), Some(y)) = (a[at..].first_chunk::<8>(), b[at..].first_chunk::<8>()) {
        let difference = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if difference != 0 {
            return at + difference.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    if at != 0 {
        // The last 8 bytes overlap bytes that are known to be equal.
        if let (Some(x), Some(y)) = (a.last_chunk::<8>(), b.last_chunk::<8>()) {
            let difference = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
            return length - 8 + if difference == 0 { 8 } else { difference.trailing_zeros() as usize / 8 };
        }
    }
    while at < length && a[at] == b[at] {
        at += 1;
    }
    at
}

/// The 8 bytes of `key` from its byte `from` on, as a big-endian integer, padded with zeros.
#[inline]
pub fn first_eight(key: &[u8], from: usize) -> u64 {
    let length = key.len().saturating_sub(from);
    if length >= 8 {
        return key[from..].first_chunk::<8>().map_or(0, |chunk| u64::from_be_bytes(*chunk));
    }
    match key.last_chunk::<8>() {
        // A shift by 64 bits leaves nothing.
        Some(chunk) => u64::from_be_bytes(*chunk).checked_shl(64 - 8 * length as u32).unwrap_or(0),
        None => key
            .iter()
            .skip(from)
            .fold(0, |word, &byte| word << 8 | u64::from(byte))
            .checked_shl(64 - 8 * length as u32)
            .unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn padded(key: &[u8], from: usize) -> u64 {
        let mut eight = [0; 8];
        for (to, &byte) in eight.iter_mut().zip(key.iter().skip(from)) {
            *to = byte;
        }
        u64::from_be_bytes(eight)
    }

    #[test]
    fn a_key_stands_where_comparing_bytes_puts_it() {
        // Bytes near 0 and 255, so that errors of padding and sign show.
        let byte = |state: &mut u64| {
            *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            [0, 1, 0x7f, 0x80, 0xff][(*state >> 33) as usize % 5]
        };
        let mut state = 1;
        for common_length in 0..30 {
            let common: Vec<u8> = (0..common_length).map(|_| byte(&mut state)).collect();
            let prefix = CommonPrefix::new(&common);
            assert_eq!(prefix.bytes(), &*common);
            for length in 0..40 {
                for changed in 0..=length {
                    let mut key = common[..common.len().min(length)].to_vec();
                    key.resize_with(length, || byte(&mut state));
                    if changed < length {
                        key[changed] = byte(&mut state);
                    }
                    let expected = match key[..key.len().min(common.len())].cmp(&common) {
                        Ordering::Less => Place::Before,
                        Ordering::Equal => Place::Inside(padded(&key, common.len())),
                        Ordering::Greater => Place::After,
                    };
                    assert_eq!(prefix.place(&key), expected, "{key:?} to {common:?}");
                }
            }
        }
    }

    #[test]
    fn eight_bytes_are_padded_with_zeros() {
        let key: Vec<u8> = (1..=20).collect();
        for length in 0..=20 {
            for from in 0..25 {
                assert_eq!(
                    first_eight(&key[..length], from),
                    padded(&key[..length], from),
                    "{length} {from}"
                );
            }
        }
    }

    #[test]
    fn common_prefixes_are_found_at_every_length() {
        for length in 0..40 {
            let a = vec![b'x'; length];
            for common in 0..length {
                let mut b = a.clone();
                b[common] = b'y';
                assert_eq!(common_prefix_length(&a, &b), common);
                assert_eq!(common_prefix_length(&a, &a[..common]), common);
            }
            assert_eq!(common_prefix_length(&a, &a), length);
        }
    }
}
