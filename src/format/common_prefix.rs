//! The prefix that all keys of a sorted array have in common, and how one more key stands to them.
//!
//! Keys `user:0000001234` all look alike in their first 8 bytes. Without what they share, the next 8 bytes of each mostly tell
//! them apart, as an integer: that is what flat arrays of keys are searched by (a level's files, a table's blocks). Such numbers
//! are in bytewise order, except for ties.
//!
//! The key of a look-up was mostly written just before, in pieces. Loads of words that span two stores wait until both have
//! left the core, so that bytes are taken from where the caller put them, and never moved to be read again.

use std::cmp::Ordering;

/// What a set of keys begins with.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct CommonPrefix {
    bytes: Box<[u8]>,
    /// The first 8 of them, zeros behind a shorter prefix, and ones where they are.
    head: u64,
    head_mask: u64,
}

/// Where a key stands as seen from a set of keys that have a prefix in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Below every key of the set.
    Before,
    /// It shares the common prefix, and goes on with these 8 bytes.
    Inside(u64),
    /// Above every key of the set.
    After,
}

impl CommonPrefix {
    /// This prefix.
    pub fn new(bytes: &[u8]) -> Self {
        CommonPrefix {
            bytes: bytes.into(),
            head: first_eight(bytes, 0),
            head_mask: if bytes.len() >= 8 { u64::MAX } else { !(u64::MAX >> (8 * bytes.len())) },
        }
    }

    /// Its bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many they are.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Have the keys nothing in common?
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Where `key` stands.
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

    /// The order of `key`, which is no shorter and begins with the same 8 bytes (or with all, if they are fewer).
    #[inline]
    fn order_behind_head(&self, key: &[u8]) -> Ordering {
        let length = self.bytes.len();
        let mut at = 8;
        while at < length {
            // The last word overlaps with what is known to be equal.
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

/// 8 bytes of `key` from its byte `from` on, big-endian, zeros behind its end.
#[inline]
pub fn first_eight(key: &[u8], from: usize) -> u64 {
    let length = key.len().saturating_sub(from);
    if length >= 8 {
        return key[from..].first_chunk::<8>().map_or(0, |chunk| u64::from_be_bytes(*chunk));
    }
    match key.last_chunk::<8>() {
        // Shifted by 64 bits, nothing is left.
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
        // Bytes around 0 and 255, so that padding and signs would show.
        let byte = |state: &mut u64| {
            *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            [0, 1, 0x7f, 0x80, 0xff][(*state >> 33) as usize % 5]
        };
        let mut state = 1;
        for common_length in 0..30 {
            let common: Vec<u8> = (0..common_length).map(|_| byte(&mut state)).collect();
            let prefix = CommonPrefix::new(&common);
            assert_eq!(
                (prefix.bytes(), prefix.len(), prefix.is_empty()),
                (&*common, common.len(), common.is_empty())
            );
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
}
