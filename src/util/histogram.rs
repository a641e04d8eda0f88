//! How values (latencies, sizes) are distributed, in constant memory.
//!
//! Values up to 15 have a bucket each; above, every power of two is cut into 16 buckets, so that a percentile is off by
//! at most a sixteenth of its value. Count, sum, minimum and maximum are exact. One thread at a time; threads keep
//! their own histograms and merge them.

use std::fmt;

/// Buckets within each power of two, as a power of two.
const PRECISION_BITS: u32 = 4;
const PRECISION: usize = 1 << PRECISION_BITS;
const BUCKETS: usize = PRECISION * (64 - PRECISION_BITS as usize + 1);

/// A distribution of 64-bit values; takes 8 KB.
#[derive(Clone)]
pub struct Histogram {
    count: u64,
    sum: u128,
    min: u64,
    max: u64,
    buckets: Box<[u64; BUCKETS]>,
}

/// The bucket of a value: its exponent, then its `PRECISION_BITS` bits after the leading one.
#[inline]
fn bucket_of(value: u64) -> usize {
    if value < PRECISION as u64 {
        return value as usize;
    }
    let shift = value.ilog2() - PRECISION_BITS;
    ((shift as usize) << PRECISION_BITS) + (value >> shift) as usize
}

/// The smallest value of a bucket and how many values it spans.
fn bucket_range(bucket: usize) -> (u64, u64) {
    if bucket < PRECISION {
        return (bucket as u64, 1);
    }
    let shift = (bucket >> PRECISION_BITS) - 1;
    let mantissa = PRECISION | bucket & (PRECISION - 1);
    ((mantissa as u64) << shift, 1 << shift)
}

impl Histogram {
    /// A histogram without values.
    pub fn new() -> Self {
        Histogram { count: 0, sum: 0, min: u64::MAX, max: 0, buckets: Box::new([0; BUCKETS]) }
    }

    /// Counts `value`.
    #[inline]
    pub fn add(&mut self, value: u64) {
        self.buckets[bucket_of(value)] += 1;
        self.count += 1;
        self.sum += u128::from(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Counts all that `other` has counted.
    pub fn merge(&mut self, other: &Histogram) {
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets.iter()) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Histogram::new();
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The sum of the values.
    pub fn sum(&self) -> u128 {
        self.sum
    }

    /// The smallest value; 0 where there is none.
    pub fn min(&self) -> u64 {
        if self.count == 0 { 0 } else { self.min }
    }

    /// The largest value; 0 where there is none.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The mean; 0 where there is no value.
    pub fn average(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }

    /// The value that `percent` (0 to 100) of the values do not exceed, interpolated within its bucket; 0 where there
    /// is none.
    pub fn percentile(&self, percent: f64) -> f64 {
        let threshold = self.count as f64 * (percent / 100.0).clamp(0.0, 1.0);
        let mut below = 0u64;
        for (bucket, &count) in self.buckets.iter().enumerate() {
            if count > 0 && (below + count) as f64 >= threshold {
                let (start, width) = bucket_range(bucket);
                let fraction = (threshold - below as f64) / count as f64;
                // A bucket of one value has nothing to interpolate.
                let estimate = start as f64 + (width - 1) as f64 * fraction;
                return estimate.clamp(self.min as f64, self.max as f64);
            }
            below += count;
        }
        self.max() as f64
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram::new()
    }
}

impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "count {} average {:.1} min {}", self.count, self.average(), self.min())?;
        for percent in [50.0, 75.0, 99.0, 99.9, 99.99] {
            write!(f, " P{percent} {:.1}", self.percentile(percent))?;
        }
        write!(f, " max {}", self.max())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::random::Random;

    #[test]
    fn every_value_lies_in_its_bucket_and_buckets_adjoin() {
        let mut end = 0u128;
        for bucket in 0..BUCKETS {
            let (start, width) = bucket_range(bucket);
            assert_eq!(u128::from(start), end, "bucket {bucket}");
            assert_eq!(bucket_of(start), bucket);
            assert_eq!(bucket_of(start + (width - 1)), bucket);
            end = u128::from(start) + u128::from(width);
        }
        assert_eq!(end, 1 << 64);
    }

    #[test]
    fn percentiles_are_within_a_sixteenth_of_the_truth() {
        let mut random = Random::new(77);
        let mut histogram = Histogram::new();
        let mut values: Vec<u64> = (0..10_000).map(|_| random.skewed(40)).collect();
        values.iter().for_each(|&value| histogram.add(value));
        values.sort_unstable();
        for percent in [1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 100.0] {
            let truth =
                values[((values.len() as f64 * percent / 100.0) as usize).clamp(1, values.len()) - 1] as f64;
            let estimate = histogram.percentile(percent);
            assert!((estimate - truth).abs() <= truth / 16.0 + 1.0, "P{percent}: {estimate} for {truth}");
        }
        assert_eq!((histogram.min(), histogram.max()), (values[0], values[9_999]));
        assert_eq!(histogram.sum(), values.iter().map(|&value| u128::from(value)).sum());
    }

    #[test]
    fn merging_is_counting_together() {
        let (mut a, mut b, mut both) = (Histogram::new(), Histogram::new(), Histogram::new());
        for value in 0..1000u64 {
            if value % 3 == 0 {
                a.add(value * 7)
            } else {
                b.add(value * 7)
            }
            both.add(value * 7);
        }
        a.merge(&b);
        assert_eq!(a.to_string(), both.to_string());
        a.clear();
        assert_eq!((a.count(), a.min(), a.max()), (0, 0, 0));
        a.merge(&both);
        assert_eq!(a.to_string(), both.to_string());
    }

    #[test]
    fn an_empty_histogram_and_the_extremes_are_fine() {
        let mut histogram = Histogram::new();
        assert_eq!((histogram.percentile(50.0), histogram.average(), histogram.max()), (0.0, 0.0, 0));
        histogram.add(u64::MAX);
        histogram.add(u64::MAX);
        assert_eq!(histogram.average(), u64::MAX as f64);
        assert_eq!(histogram.percentile(50.0), u64::MAX as f64);
        assert_eq!(histogram.to_string().split(' ').next(), Some("count"));
    }
}
