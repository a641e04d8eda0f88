//! A token bucket: how many bytes a second background work may write, by the environment's clock.
//!
//! The bucket is refilled once a period (100 ms unless said) and holds one period's bytes, so that a long silence is not
//! followed by a burst. Who asks for more than there is waits in one of two queues. At a refill the high queue is served
//! first, but at every tenth refill the low one, so that neither starves; within a queue the order is that of arrival, and
//! a request larger than a period's bytes takes several periods.
//!
//! Thread rule: any number of threads may ask and change the rate. Waiting is sleeping until the next refill without a
//! lock; the first to wake refills and serves everyone.

use super::Env;
use crate::util::lock::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// How often the bucket is refilled unless said otherwise.
pub const DEFAULT_REFILL_PERIOD_MICROS: u64 = 100_000;

/// The low queue goes first at one refill of so many.
const FAIRNESS: u64 = 10;

/// Who is served first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Priority {
    /// Compactions.
    Low,
    /// Flushes, which writers wait for.
    High,
}

/// Limits bytes per second.
pub struct RateLimiter {
    env: Arc<dyn Env>,
    period_micros: u64,
    bucket: Mutex<Bucket>,
}

impl RateLimiter {
    /// At most `bytes_per_second` (0: no limit), refilled every [`DEFAULT_REFILL_PERIOD_MICROS`].
    pub fn new(env: Arc<dyn Env>, bytes_per_second: u64) -> Self {
        Self::with_period(env, bytes_per_second, DEFAULT_REFILL_PERIOD_MICROS)
    }

    /// The same with another period, at least 1 ms.
    pub fn with_period(env: Arc<dyn Env>, bytes_per_second: u64, period_micros: u64) -> Self {
        let period_micros = period_micros.max(1000);
        let mut bucket = Bucket { next_refill: env.now_micros(), ..Bucket::default() };
        bucket.set_rate(bytes_per_second, period_micros);
        RateLimiter { env, period_micros, bucket: Mutex::new(bucket) }
    }

    /// Bytes per second; 0 for no limit.
    pub fn bytes_per_second(&self) -> u64 {
        self.bucket.lock().bytes_per_second
    }

    /// Changes the limit, from the next refill on; those that wait stay in their places. 0 (no limit) lets all of them go,
    /// at the latest one period from now: for closing.
    pub fn set_bytes_per_second(&self, bytes_per_second: u64) {
        self.bucket.lock().set_rate(bytes_per_second, self.period_micros);
    }

    /// Waits until `bytes` more may be written.
    pub fn request(&self, bytes: u64, priority: Priority) {
        let mut bucket = self.bucket.lock();
        bucket.refill(self.env.now_micros(), self.period_micros);
        let Some(ticket) = bucket.take_or_queue(bytes, priority) else { return };
        loop {
            let now = self.env.now_micros();
            let wait = bucket.next_refill.saturating_sub(now).clamp(1, self.period_micros);
            drop(bucket);
            self.env.sleep_micros(wait);
            bucket = self.bucket.lock();
            bucket.refill(self.env.now_micros(), self.period_micros);
            if bucket.is_served(ticket, priority) {
                return;
            }
        }
    }
}

struct Waiting {
    ticket: u64,
    bytes: u64,
}

#[derive(Default)]
struct Bucket {
    bytes_per_second: u64,
    /// Bytes put in at a refill; `u64::MAX` without a limit.
    refill_bytes: u64,
    available: u64,
    next_refill: u64,
    refills: u64,
    next_ticket: u64,
    high: VecDeque<Waiting>,
    low: VecDeque<Waiting>,
}

impl Bucket {
    fn set_rate(&mut self, bytes_per_second: u64, period_micros: u64) {
        self.bytes_per_second = bytes_per_second;
        self.refill_bytes = match bytes_per_second {
            0 => u64::MAX,
            _ => {
                let bytes = u128::from(bytes_per_second) * u128::from(period_micros) / 1_000_000;
                u64::try_from(bytes).unwrap_or(u64::MAX - 1).max(1)
            }
        };
        self.available = self.available.min(self.refill_bytes);
        if self.refill_bytes == u64::MAX {
            self.serve();
        }
    }

    fn queue(&mut self, priority: Priority) -> &mut VecDeque<Waiting> {
        match priority {
            Priority::High => &mut self.high,
            Priority::Low => &mut self.low,
        }
    }

    /// Takes `bytes`, or a place in the queue, whose ticket it returns.
    fn take_or_queue(&mut self, bytes: u64, priority: Priority) -> Option<u64> {
        if self.refill_bytes == u64::MAX {
            return None;
        }
        // While someone waits, the bucket is empty: nobody overtakes here.
        if self.available >= bytes {
            self.available -= bytes;
            return None;
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.queue(priority).push_back(Waiting { ticket, bytes });
        Some(ticket)
    }

    fn is_served(&mut self, ticket: u64, priority: Priority) -> bool {
        // Tickets of a queue ascend, and are served from the front.
        self.queue(priority).front().is_none_or(|first| first.ticket > ticket)
    }

    /// Fills the bucket and serves the queues, if it is time.
    fn refill(&mut self, now: u64, period_micros: u64) {
        // A clock that was set back must not stop everything until it is where it was.
        if now < self.next_refill && self.next_refill - now <= period_micros {
            return;
        }
        self.next_refill = now.saturating_add(period_micros);
        self.available = self.refill_bytes;
        self.refills += 1;
        self.serve();
    }

    fn serve(&mut self) {
        let low_first = self.refills.is_multiple_of(FAIRNESS);
        for queue in if low_first { [Priority::Low, Priority::High] } else { [Priority::High, Priority::Low] }
        {
            let unlimited = self.refill_bytes == u64::MAX;
            while let Some(mut first) = self.queue(queue).pop_front() {
                let taken = if unlimited { first.bytes } else { first.bytes.min(self.available) };
                if !unlimited {
                    self.available -= taken;
                }
                first.bytes -= taken;
                if first.bytes > 0 {
                    self.queue(queue).push_front(first);
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::mem::{MemEnv, MemOptions};

    fn clock() -> MemEnv {
        MemEnv::with_options(MemOptions { manual_clock: Some(1_000_000), ..MemOptions::default() })
    }

    #[test]
    fn bytes_flow_at_the_rate_and_not_faster() {
        let clock = clock();
        let limiter = RateLimiter::new(clock.shared(), 1_000_000);
        let start = clock.now_micros();
        for _ in 0..200 {
            limiter.request(10_000, Priority::Low);
        }
        let elapsed = clock.now_micros() - start;
        // The first period's bytes are there at once.
        assert_eq!(elapsed, 1_900_000);
    }

    #[test]
    fn silence_saves_up_one_period_and_no_more() {
        let clock = clock();
        let limiter = RateLimiter::new(clock.shared(), 1_000_000);
        clock.advance_micros(60_000_000);
        let start = clock.now_micros();
        limiter.request(100_000, Priority::High);
        assert_eq!(clock.now_micros(), start);
        limiter.request(1, Priority::High);
        assert_eq!(clock.now_micros(), start + 100_000);
    }

    #[test]
    fn a_request_larger_than_a_period_takes_several() {
        let clock = clock();
        let limiter = RateLimiter::with_period(clock.shared(), 1000, 10_000);
        let start = clock.now_micros();
        limiter.request(1000, Priority::Low);
        assert_eq!(clock.now_micros() - start, 1_000_000);
    }

    #[test]
    fn the_rate_changes_at_run_time_and_zero_is_no_limit() {
        let clock = clock();
        let limiter = RateLimiter::new(clock.shared(), 0);
        let start = clock.now_micros();
        limiter.request(u64::MAX, Priority::Low);
        limiter.request(u64::MAX, Priority::Low);
        assert_eq!((clock.now_micros(), limiter.bytes_per_second()), (start, 0));
        limiter.set_bytes_per_second(1_000_000);
        limiter.request(300_000, Priority::Low);
        let slow = clock.now_micros() - start;
        assert!((200_000..=400_000).contains(&slow), "{slow}");
        limiter.set_bytes_per_second(100_000_000);
        limiter.request(10_000_000, Priority::Low);
        assert!(clock.now_micros() - start <= slow + 200_000);
        limiter.set_bytes_per_second(u64::MAX);
        limiter.request(u64::MAX / 100, Priority::High);
    }

    fn bucket(bytes_per_period: u64) -> Bucket {
        let mut bucket = Bucket { next_refill: 1000, ..Bucket::default() };
        bucket.set_rate(bytes_per_period * 1000, 1000);
        bucket
    }

    #[test]
    fn the_high_queue_goes_first_and_the_low_one_at_every_tenth_refill() {
        let mut bucket = bucket(100);
        let low = bucket.take_or_queue(100, Priority::Low).unwrap();
        for _ in 0..40 {
            bucket.take_or_queue(100, Priority::High).unwrap();
        }
        let mut refills = 0;
        while !bucket.is_served(low, Priority::Low) {
            refills += 1;
            bucket.refill(refills * 1000, 1000);
        }
        assert_eq!(refills, 10);
        assert_eq!(bucket.high.len(), 40 - 9);
    }

    #[test]
    fn nobody_overtakes_in_a_queue() {
        let mut bucket = bucket(100);
        let large = bucket.take_or_queue(250, Priority::Low).unwrap();
        let small = bucket.take_or_queue(1, Priority::Low).unwrap();
        for (now, served) in [(1000, false), (2000, false), (3000, true)] {
            assert!(!bucket.is_served(small, Priority::Low));
            bucket.refill(now, 1000);
            assert_eq!(bucket.is_served(large, Priority::Low), served);
        }
        assert!(bucket.is_served(small, Priority::Low));
    }

    #[test]
    fn a_clock_set_back_stops_nobody() {
        let mut bucket = bucket(100);
        bucket.refill(10_000_000, 1000);
        let ticket = bucket.take_or_queue(101, Priority::High).unwrap();
        bucket.refill(5000, 1000);
        bucket.refill(6000, 1000);
        assert!(bucket.is_served(ticket, Priority::High));
    }

    #[test]
    fn threads_share_the_rate() {
        let clock = clock();
        let limiter = RateLimiter::with_period(clock.shared(), 1_000_000, 10_000);
        let start = clock.now_micros();
        std::thread::scope(|scope| {
            for priority in [Priority::High, Priority::Low, Priority::Low] {
                let limiter = &limiter;
                scope.spawn(move || (0..100).for_each(|_| limiter.request(5000, priority)));
            }
        });
        let elapsed = clock.now_micros() - start;
        assert!(elapsed >= 1_490_000, "1.5 MB passed in {elapsed} us");
    }
}
