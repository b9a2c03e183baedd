//! Token buckets: what strangers may cost (`vl1.md` §12.4, §13.9).

use std::net::IpAddr;
use std::time::Duration;

use rand_core::Rng;

use super::moment::Moment;

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
    full_at: Moment,
}

impl Bucket {
    pub(super) fn full(now: Moment) -> Self {
        Self { full_at: now }
    }

    pub(super) fn is_full(&self, now: Moment) -> bool {
        self.full_at <= now
    }

    /// Takes one; false if none is left.
    pub(super) fn take(&mut self, limit: Limit, now: Moment) -> bool {
        let debt = self.full_at.saturating_duration_since(now);
        let allowed = limit.interval * (limit.burst - 1);
        if debt > allowed {
            return false;
        }
        self.full_at = now.max(self.full_at) + limit.interval;
        true
    }
}

/// Buckets for physical networks: IPv4 by the first 24 bits, IPv6 by the first 48.
///
/// A network has its bucket by a keyed hash, so the memory is the same whatever comes, and a flood from as many networks as
/// there are buckets still leaves a newcomer a share with its few neighbours in the hash, whom nobody can choose.
#[derive(Debug)]
pub(super) struct PerNetwork {
    limit: Limit,
    key: [u64; 2],
    start: Moment,
    /// When each would be full if nothing more were taken, in microseconds since `start`.
    full_at: Vec<u64>,
}

const BUCKETS_LOG2: u32 = 14;
/// Buckets of a [`PerNetwork`].
pub(super) const MAX_NETWORKS: usize = 1 << BUCKETS_LOG2;

impl PerNetwork {
    pub(super) fn new(limit: Limit, rng: &mut impl Rng, now: Moment) -> Self {
        let key = [rng.next_u64() | 1, rng.next_u64()];
        // Zeros cost no memory until they are written to.
        Self { limit, key, start: now, full_at: vec![0; MAX_NETWORKS] }
    }

    /// Takes one from the bucket of the network that `ip` belongs to; false if none is left.
    pub(super) fn take(&mut self, ip: IpAddr, now: Moment) -> bool {
        let index = self.bucket_of(ip);
        let Some(full_at) = self.full_at.get_mut(index) else { return false };
        let elapsed = micros(now.saturating_duration_since(self.start));
        let debt = full_at.saturating_sub(elapsed);
        if debt > micros(self.limit.interval * (self.limit.burst - 1)) {
            return false;
        }
        *full_at = elapsed.max(*full_at) + micros(self.limit.interval);
        true
    }

    /// Multiply and shift, with an odd secret factor: two networks share a bucket with a probability of at most twice that
    /// of chance.
    fn bucket_of(&self, ip: IpAddr) -> usize {
        let [factor, offset] = self.key;
        let hash = network_of(ip).wrapping_mul(factor).wrapping_add(offset) >> (u64::BITS - BUCKETS_LOG2);
        usize::try_from(hash).unwrap_or(0)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Returns a number that only the addresses of one network have.
fn network_of(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(ip) => u64::from(ip.to_bits() >> 8),
        IpAddr::V6(ip) => {
            let [a, b, c, ..] = ip.segments();
            1 << 48 | u64::from(a) << 32 | u64::from(b) << 16 | u64::from(c)
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::super::tests::moment;
    use super::*;

    const LIMIT: Limit = Limit { burst: 3, interval: Duration::from_secs(1) };

    fn per_network() -> PerNetwork {
        PerNetwork::new(LIMIT, &mut ChaCha20Rng::from_seed([7; 32]), moment(0))
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_one_per_interval() {
        let mut bucket = Bucket::full(moment(0));
        let taken = (0..5).filter(|_| bucket.take(LIMIT, moment(0))).count();
        assert_eq!(taken, 3);
        assert!(bucket.take(LIMIT, moment(1000)));
        assert!(!bucket.take(LIMIT, moment(1000)));
    }

    #[test]
    fn neighbours_share_a_bucket_and_strangers_do_not() {
        let mut buckets = per_network();
        let [a, b, c]: [IpAddr; 3] =
            [[192, 0, 2, 1].into(), [192, 0, 2, 99].into(), [198, 51, 100, 1].into()];
        for _ in 0..3 {
            assert!(buckets.take(a, moment(0)));
        }
        assert!(!buckets.take(b, moment(0)));
        assert!(buckets.take(c, moment(0)));
        assert!(buckets.take(b, moment(1_000)));
    }

    #[test]
    fn a_flood_from_more_networks_than_there_are_buckets_leaves_most_newcomers_in() {
        let mut buckets = per_network();
        let networks =
            |first: u32, count: u32| (first..first + count).map(|n| IpAddr::from((n << 8).to_be_bytes()));
        for ip in networks(0, 20_000) {
            buckets.take(ip, moment(0));
        }
        // With 1.2 of 3 taken on average, a bucket is empty with a probability of an eighth.
        let admitted = networks(1_000_000, 1_000).filter(|ip| buckets.take(*ip, moment(0))).count();
        assert!(admitted > 800, "{admitted} of 1000");
        assert_eq!(buckets.full_at.len(), MAX_NETWORKS);
    }
}
