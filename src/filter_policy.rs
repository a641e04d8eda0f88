//! Filters that spare a table read for a key that is not there; a user may plug one in.

/// Makes, and asks, small summaries of sets of user keys. Called from many threads at once.
pub trait FilterPolicy: Send + Sync {
    /// The name stored in each table; a filter is only asked through the policy of the same name.
    fn name(&self) -> Vec<u8>;
    /// Appends to `dst` a filter of `keys` (in comparator order, possibly with repetitions).
    fn create_filter(&self, keys: &[&[u8]], dst: &mut Vec<u8>);
    /// May `key` be among the keys of `filter`? Must be true if it is; a damaged filter answers true.
    fn key_may_match(&self, key: &[u8], filter: &[u8]) -> bool;
}

/// LevelDB's bloom filter, `leveldb.BuiltinBloomFilter2`.
#[derive(Clone, Debug)]
pub struct BloomFilterPolicy {
    bits_per_key: usize,
}

impl BloomFilterPolicy {
    /// About `bits_per_key` bits a key; 10 gives 1% of false positives.
    pub fn new(bits_per_key: usize) -> Self {
        BloomFilterPolicy { bits_per_key }
    }
}
