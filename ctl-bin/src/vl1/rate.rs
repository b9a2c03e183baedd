//! Token buckets: what strangers may cost (`vl1.md` §12.4, §13.9).

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Something that may happen `burst` times at once, and then once per `interval`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub burst: u32,
    pub interval: Duration,
}

/// How much of a [`Limit`] is left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    /// When the bucket would be full if nothing more were taken.
    full_at: Instant,
}

impl Bucket {
    pub(super) fn full(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// Takes one; false if none is left.
    pub(super) fn take(&mut self, limit: Limit, now: Instant) -> bool {
        let debt = self.full_at.saturating_duration_since(now);
        let allowed = limit.interval * (limit.burst - 1);
        if debt > allowed {
            return false;
        }
        self.full_at = now.max(self.full_at) + limit.interval;
        true
    }

    fn is_full(self, now: Instant) -> bool {
        self.full_at <= now
    }
}

/// A bucket for each physical network: IPv4 by its first 24 bits, IPv6 by its first 48.
#[derive(Debug)]
pub(super) struct PerNetwork {
    limit: Limit,
    buckets: HashMap<(bool, u64), Bucket>,
}

/// Networks that are remembered at the same time. When so many are active at once, the rest shares one bucket.
pub(super) const MAX_NETWORKS: usize = 16_384;
const SHARED: (bool, u64) = (false, u64::MAX);

impl PerNetwork {
    pub(super) fn new(limit: Limit) -> Self {
        Self { limit, buckets: HashMap::new() }
    }

    /// Takes one from the bucket of the network that `ip` belongs to; false if none is left.
    pub(super) fn take(&mut self, ip: IpAddr, now: Instant) -> bool {
        let mut key = network_of(ip);
        if self.buckets.len() >= MAX_NETWORKS && !self.buckets.contains_key(&key) {
            key = SHARED;
        }
        self.buckets.entry(key).or_insert_with(|| Bucket::full(now)).take(self.limit, now)
    }

    /// Forgets the networks whose bucket is full again: they are as good as new.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.buckets.retain(|_, bucket| !bucket.is_full(now));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.buckets.len()
    }
}

fn network_of(ip: IpAddr) -> (bool, u64) {
    match ip {
        IpAddr::V4(ip) => (false, u64::from(ip.to_bits() >> 8)),
        IpAddr::V6(ip) => {
            let [a, b, c, ..] = ip.segments();
            (true, u64::from(a) << 32 | u64::from(b) << 16 | u64::from(c))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::at;
    use super::*;

    const LIMIT: Limit = Limit { burst: 3, interval: Duration::from_secs(1) };

    #[test]
    fn a_bucket_gives_its_burst_and_then_one_per_interval() {
        let mut bucket = Bucket::full(at(0).mono);
        let taken = (0..5).filter(|_| bucket.take(LIMIT, at(0).mono)).count();
        assert_eq!(taken, 3);
        assert!(bucket.take(LIMIT, at(1000).mono));
        assert!(!bucket.take(LIMIT, at(1000).mono));
    }

    #[test]
    fn neighbours_share_a_bucket_and_strangers_do_not() {
        let mut buckets = PerNetwork::new(LIMIT);
        let [a, b, c]: [IpAddr; 3] =
            [[192, 0, 2, 1].into(), [192, 0, 2, 99].into(), [198, 51, 100, 1].into()];
        for _ in 0..3 {
            assert!(buckets.take(a, at(0).mono));
        }
        assert!(!buckets.take(b, at(0).mono));
        assert!(buckets.take(c, at(0).mono));
    }

    #[test]
    fn memory_for_networks_is_bounded_and_given_back() {
        let mut buckets = PerNetwork::new(LIMIT);
        for n in 0..40_000_u32 {
            buckets.take(IpAddr::from((n << 8).to_be_bytes()), at(0).mono);
        }
        assert!(buckets.len() <= MAX_NETWORKS + 1);
        buckets.sweep(at(60_000_000).mono);
        assert_eq!(buckets.len(), 0);
    }
}
