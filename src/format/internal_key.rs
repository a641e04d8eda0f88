//! Internal keys: a user key, then `sequence << 8 | type` as 8 little-endian bytes.
//!
//! ```text
//! | user key (n bytes) | type u8 | sequence u56 |
//! ```
//! Order: the user key ascending in the user's comparator, then the sequence number descending, then the type
//! descending. So the newest version of a key comes first. A lookup at sequence number `s` seeks to `(user
//! key, s, SEEK_TYPE)`, and finds the first entry that is not newer than `s`.
//!
//! Thread rule: values without shared state; a [`LookupKey`] is used by one thread.

use crate::comparator::{Comparator, call_comparator};
use crate::error::{Error, Result};
use std::cell::OnceCell;
use std::cmp::Ordering;
use std::sync::Arc;

/// The number of a write in the history of the database; 56 bits.
pub type SequenceNumber = u64;

/// The highest sequence number that an internal key can hold.
pub const MAX_SEQUENCE: SequenceNumber = (1 << 56) - 1;

/// The number of bytes that follow the user key.
pub const TRAILER_SIZE: usize = 8;

/// The kind of an entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[repr(u8)]
pub enum ValueType {
    /// A tombstone: the key is deleted.
    Deletion = 0,
    /// The key has a value.
    Value = 1,
}

impl ValueType {
    /// The type of this number; `None` for numbers that LevelDB's format does not have.
    #[inline]
    pub fn from_u8(number: u8) -> Option<Self> {
        match number {
            0 => Some(ValueType::Deletion),
            1 => Some(ValueType::Value),
            _ => None,
        }
    }
}

/// The feature of RocksDB whose entries have this type number, none of which is supported. `None`: the number
/// means nothing.
#[cold]
pub fn rocksdb_feature(type_number: u8) -> Option<&'static str> {
    Some(match type_number {
        2 => "a merge operand of RocksDB",
        7 => "a single deletion of RocksDB",
        15 => "a range deletion of RocksDB",
        17 => "a value of RocksDB in a blob file",
        20 => "a deletion of RocksDB with a timestamp",
        22 => "a wide-column entity of RocksDB",
        _ => return None,
    })
}

/// The type number in the key of a lookup: the highest one, so that a seek finds every entry of its sequence
/// number.
pub const SEEK_TYPE: u8 = 0xff;

/// The trailer of an internal key: `sequence << 8 | type`.
#[inline]
pub fn pack_trailer(sequence: SequenceNumber, type_number: u8) -> u64 {
    debug_assert!(sequence <= MAX_SEQUENCE);
    sequence << 8 | u64::from(type_number)
}

/// The user key of an internal key. An internal key shorter than 8 bytes has the empty user key; readers of
/// files refuse such keys earlier.
#[inline]
pub fn user_key(internal_key: &[u8]) -> &[u8] {
    &internal_key[..internal_key.len().saturating_sub(TRAILER_SIZE)]
}

/// The trailer (packed sequence number and type) of an internal key; 0 if the key is shorter than 8 bytes.
#[inline]
pub fn trailer(internal_key: &[u8]) -> u64 {
    match internal_key.last_chunk::<TRAILER_SIZE>() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => 0,
    }
}

/// The sequence number of an internal key.
#[inline]
pub fn sequence(internal_key: &[u8]) -> SequenceNumber {
    trailer(internal_key) >> 8
}

/// The parts of an internal key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParsedInternalKey<'a> {
    /// The key that the user gave.
    pub user_key: &'a [u8],
    /// The sequence number of the write.
    pub sequence: SequenceNumber,
    /// Value or tombstone.
    pub value_type: ValueType,
}

impl<'a> ParsedInternalKey<'a> {
    /// The parts of `internal_key`; `None` if it is shorter than 8 bytes or of an unknown type.
    #[inline]
    pub fn parse(internal_key: &'a [u8]) -> Option<Self> {
        let (user_key, trailer) = internal_key.split_last_chunk::<TRAILER_SIZE>()?;
        let trailer = u64::from_le_bytes(*trailer);
        let value_type = ValueType::from_u8(trailer as u8)?;
        Some(ParsedInternalKey { user_key, sequence: trailer >> 8, value_type })
    }
}

/// Appends the internal key of these parts to `dst`.
#[inline]
pub fn append_internal_key(dst: &mut Vec<u8>, user_key: &[u8], sequence: SequenceNumber, type_number: u8) {
    dst.extend_from_slice(user_key);
    dst.extend_from_slice(&pack_trailer(sequence, type_number).to_le_bytes());
}

/// The first 16 bytes of a user key as big-endian integers; a shorter key is padded with zeros. If two
/// prefixes differ, they decide the bytewise order of the keys; if they are equal, they decide nothing.
///
/// The prefix is two words that are compared one after the other. One 128-bit integer would be loaded at
/// once, and the load would stall if its two halves had just been stored separately.
#[derive(Clone, Copy, Default, Debug)]
pub struct KeyPrefix {
    high: u64,
    low: u64,
}

impl KeyPrefix {
    /// The prefix of an internal key's user key.
    #[inline]
    pub fn of(internal_key: &[u8]) -> Self {
        let length = internal_key.len().saturating_sub(TRAILER_SIZE);
        // A short user key is read together with bytes of its trailer, which are then masked out.
        match internal_key.first_chunk::<16>() {
            Some(bytes) => Self::of_short(bytes, length.min(16) as u32),
            None => match internal_key.first_chunk::<8>() {
                Some(bytes) => {
                    KeyPrefix { high: first_bytes(u64::from_be_bytes(*bytes), length as u32), low: 0 }
                }
                None => KeyPrefix::default(),
            },
        }
    }

    /// The prefix of the first `length` bytes (at most 16) of `bytes`.
    #[inline]
    fn of_short(bytes: &[u8; 16], length: u32) -> Self {
        let whole = u128::from_be_bytes(*bytes);
        KeyPrefix {
            high: first_bytes((whole >> 64) as u64, length),
            low: first_bytes(whole as u64, length.saturating_sub(8)),
        }
    }

    /// The prefix of a user key that begins with `shared` bytes of this prefix's key, followed by `length`
    /// bytes, the first of which are `rest`.
    #[inline]
    pub fn replaced(self, shared: u32, rest: &[u8; 16], length: u32) -> Self {
        let rest = Self::of_short(rest, length.min(16));
        match shared {
            0 => rest,
            1..8 => KeyPrefix {
                high: first_bytes(self.high, shared) | rest.high >> (8 * shared),
                low: rest.high << (64 - 8 * shared) | rest.low >> (8 * shared),
            },
            8..16 => {
                let low = first_bytes(self.low, shared - 8) | rest.high >> (8 * (shared - 8));
                KeyPrefix { high: self.high, low }
            }
            _ => self,
        }
    }

    /// The order of two prefixes.
    #[inline]
    pub fn order(self, other: Self) -> Ordering {
        match self.high.cmp(&other.high) {
            Ordering::Equal => self.low.cmp(&other.low),
            order => order,
        }
    }
}

/// The first `count` bytes of a big-endian word, padded with zeros.
#[inline]
fn first_bytes(word: u64, count: u32) -> u64 {
    if count >= 8 { word } else { word & !(u64::MAX >> (8 * count)) }
}

/// An owned internal key of at least 8 bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct InternalKey(Box<[u8]>);

impl InternalKey {
    /// The key of these parts.
    pub fn new(user_key: &[u8], sequence: SequenceNumber, value_type: ValueType) -> Self {
        let mut bytes = Vec::with_capacity(user_key.len() + TRAILER_SIZE);
        append_internal_key(&mut bytes, user_key, sequence, value_type as u8);
        InternalKey(bytes.into())
    }

    /// The key with these bytes. Corruption if there are fewer than 8.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        if bytes.len() < TRAILER_SIZE {
            return Err(Error::corruption("internal key is shorter than 8 bytes"));
        }
        Ok(InternalKey(bytes.into()))
    }

    /// The stored form of the key.
    #[inline]
    pub fn encoded(&self) -> &[u8] {
        &self.0
    }

    /// The key that the user gave.
    #[inline]
    pub fn user_key(&self) -> &[u8] {
        user_key(&self.0)
    }

    /// The sequence number of the write.
    #[inline]
    pub fn sequence(&self) -> SequenceNumber {
        sequence(&self.0)
    }
}

impl std::fmt::Debug for InternalKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "'{}' @ {} : {}", self.user_key().escape_ascii(), self.sequence(), trailer(&self.0) as u8)
    }
}

/// The order of internal keys over a user's comparator. Cheap to clone. With the bytewise comparator (the
/// usual case) it compares without a virtual call.
#[derive(Clone)]
pub struct InternalKeyComparator {
    user: Arc<dyn Comparator>,
    bytewise: bool,
}

impl InternalKeyComparator {
    /// The order of internal keys over `user`.
    pub fn new(user: Arc<dyn Comparator>) -> Self {
        let bytewise = user.is_bytewise();
        InternalKeyComparator { user, bytewise }
    }

    /// The comparator of user keys.
    pub fn user_comparator(&self) -> &Arc<dyn Comparator> {
        &self.user
    }

    /// True if the user's order is the bytewise one, in which keys compare equal only if they are the same
    /// bytes.
    #[inline]
    pub fn is_bytewise(&self) -> bool {
        self.bytewise
    }

    /// The order of two user keys.
    #[inline]
    pub fn compare_user_keys(&self, a: &[u8], b: &[u8]) -> Ordering {
        if self.bytewise { a.cmp(b) } else { call_comparator(&*self.user, a, b) }
    }

    /// The order of two internal keys.
    #[inline]
    pub fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        self.compare_user_keys(user_key(a), user_key(b)).then_with(|| trailer(b).cmp(&trailer(a)))
    }

    /// May replace the internal key `start` by a shorter one in `[start, limit)`.
    pub fn find_shortest_separator(&self, start: &mut Vec<u8>, limit: &[u8]) {
        let mut shortened = user_key(start).to_vec();
        self.user.find_shortest_separator(&mut shortened, user_key(limit));
        self.replace_if_shorter(start, shortened);
    }

    /// May replace the internal key by a shorter one that is not less than it.
    pub fn find_short_successor(&self, key: &mut Vec<u8>) {
        let mut shortened = user_key(key).to_vec();
        self.user.find_short_successor(&mut shortened);
        self.replace_if_shorter(key, shortened);
    }

    /// Replaces the user key if the new one is shorter in bytes and greater in order. The new key gets the
    /// first trailer in the order.
    fn replace_if_shorter(&self, key: &mut Vec<u8>, shortened: Vec<u8>) {
        let original = user_key(key);
        if shortened.len() < original.len() && self.compare_user_keys(original, &shortened).is_lt() {
            key.clear();
            append_internal_key(key, &shortened, MAX_SEQUENCE, ValueType::Value as u8);
        }
    }
}

/// The key of a lookup, mostly `(user key, sequence, SEEK_TYPE)`. The internal key is built when it is first
/// asked for: filters and flat indexes need only the user key.
pub struct LookupKey<'a> {
    user_key: &'a [u8],
    trailer: u64,
    internal_key: OnceCell<InternalLookupKey>,
}

/// The bytes of the internal key; short keys are kept on the stack.
enum InternalLookupKey {
    Short([u8; InternalLookupKey::SHORT]),
    Long(Vec<u8>),
}

impl InternalLookupKey {
    const SHORT: usize = 120;

    #[inline]
    fn new(user_key: &[u8], trailer: u64) -> Self {
        let length = user_key.len() + TRAILER_SIZE;
        let trailer = trailer.to_le_bytes();
        if length > Self::SHORT {
            return InternalLookupKey::Long([user_key, &trailer].concat());
        }
        let mut short = [0; Self::SHORT];
        copy_short(&mut short, user_key);
        short[user_key.len()..length].copy_from_slice(&trailer);
        InternalLookupKey::Short(short)
    }
}

impl<'a> LookupKey<'a> {
    /// The position in front of all versions of `user_key` that are not newer than `sequence`.
    #[inline]
    pub fn new(user_key: &'a [u8], sequence: SequenceNumber) -> Self {
        LookupKey { user_key, trailer: pack_trailer(sequence, SEEK_TYPE), internal_key: OnceCell::new() }
    }

    /// The position of an entry with this internal key.
    pub fn of(internal_key: &'a [u8]) -> Self {
        LookupKey {
            user_key: user_key(internal_key),
            trailer: trailer(internal_key),
            internal_key: OnceCell::new(),
        }
    }

    /// The internal key to seek to, built on first use.
    #[inline]
    pub fn internal_key(&self) -> &[u8] {
        match self.internal_key.get_or_init(|| InternalLookupKey::new(self.user_key, self.trailer)) {
            InternalLookupKey::Short(bytes) => &bytes[..self.user_key.len() + TRAILER_SIZE],
            InternalLookupKey::Long(bytes) => bytes,
        }
    }

    /// The key that is looked up.
    #[inline]
    pub fn user_key(&self) -> &'a [u8] {
        self.user_key
    }

    /// The sequence number at which the lookup reads.
    #[inline]
    pub fn sequence(&self) -> SequenceNumber {
        self.trailer >> 8
    }

    /// The trailer that the internal key has.
    #[inline]
    pub fn trailer(&self) -> u64 {
        self.trailer
    }
}

/// Copies `from` to the beginning of `to`, which is longer. The usual lengths take two stores, the first
/// words last: a load of the first words follows soon and can then be forwarded from the store.
#[inline]
fn copy_short(to: &mut [u8; InternalLookupKey::SHORT], from: &[u8]) {
    let length = from.len();
    if let (8..=16, Some(head), Some(tail)) = (length, from.first_chunk::<8>(), from.last_chunk::<8>()) {
        to[length - 8..length].copy_from_slice(tail);
        to[..8].copy_from_slice(head);
    } else if let (16..=32, Some(head), Some(tail)) =
        (length, from.first_chunk::<16>(), from.last_chunk::<16>())
    {
        to[length - 16..length].copy_from_slice(tail);
        to[..16].copy_from_slice(head);
    } else {
        to[..length].copy_from_slice(from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_order_as_the_keys_do_and_are_carried_from_key_to_key() {
        let bytes: Vec<u8> = (1..=40).collect();
        let prefix = |user: &[u8]| KeyPrefix::of(&[user, &[7; 8]].concat());
        let same = |a: KeyPrefix, b: KeyPrefix| a.order(b).is_eq();
        for old in 0..bytes.len() {
            for shared in 0..=old {
                for length in 0..20 {
                    let rest: Vec<u8> = (0..length).map(|i| 200 - i).collect();
                    let user = [&bytes[..shared], &rest].concat();
                    let start = *[&rest[..], &[9; 16]].concat().first_chunk().unwrap();
                    let carried = prefix(&bytes[..old]).replaced(shared as u32, &start, rest.len() as u32);
                    assert!(same(carried, prefix(&user)), "{old} {shared} {length}");
                    let order = prefix(&bytes[..old]).order(carried);
                    let (a, b) = (&bytes[..old.min(16)], &user[..user.len().min(16)]);
                    assert_eq!(order, a.cmp(b), "{old} {shared} {length}");
                }
            }
        }
        assert!(same(KeyPrefix::of(b"short"), KeyPrefix::default()));
        assert!(same(prefix(b"a"), prefix(b"a\0")), "the same prefix decides nothing");
    }
    use crate::comparator::bytewise;

    #[test]
    fn order_is_user_key_then_newest_first() {
        let order = InternalKeyComparator::new(bytewise());
        let key = |user: &str, sequence, value_type| InternalKey::new(user.as_bytes(), sequence, value_type);
        let sorted = [
            key("", 5, ValueType::Value),
            key("a", 9, ValueType::Value),
            key("a", 9, ValueType::Deletion),
            key("a", 3, ValueType::Value),
            key("ab", 1, ValueType::Value),
            key("b", 7, ValueType::Value),
        ];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(order.compare(a.encoded(), b.encoded()), i.cmp(&j));
            }
        }
        let seek = LookupKey::new(b"a", 9);
        assert!(order.compare(seek.internal_key(), sorted[1].encoded()).is_lt());
        assert!(order.compare(seek.internal_key(), sorted[0].encoded()).is_gt());
    }

    #[test]
    fn keys_shorter_than_a_trailer_are_refused() {
        assert!(InternalKey::decode(b"1234567").is_err());
        assert_eq!(ParsedInternalKey::parse(b"1234567"), None);
        assert_eq!(ParsedInternalKey::parse(b"k\x02\0\0\0\0\0\0\0"), None);
    }

    #[test]
    fn long_look_up_keys_are_the_same_as_short_ones() {
        for length in (0..40).chain([111, 112, 113, 120, 5000]) {
            let user: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let key = LookupKey::new(&user, 77);
            assert_eq!(key.user_key(), user);
            assert_eq!(key.sequence(), 77);
            assert_eq!(key.internal_key(), [&user[..], &[0xff, 77, 0, 0, 0, 0, 0, 0]].concat());
        }
    }

    #[test]
    fn separators_lie_between_and_get_the_earliest_trailer() {
        let order = InternalKeyComparator::new(bytewise());
        let mut start = InternalKey::new(b"foo", 100, ValueType::Value).encoded().to_vec();
        order
            .find_shortest_separator(&mut start, InternalKey::new(b"hello", 200, ValueType::Value).encoded());
        assert_eq!(start, InternalKey::new(b"g", MAX_SEQUENCE, ValueType::Value).encoded());
        let same = InternalKey::new(b"foo", 100, ValueType::Value).encoded().to_vec();
        let mut start = same.clone();
        order.find_shortest_separator(&mut start, InternalKey::new(b"foo", 99, ValueType::Value).encoded());
        assert_eq!(start, same);
    }
}
