//! The second UDP port, for NATs that give the primary one away (`vl1.md` §17.1).

use std::time::{Duration, Instant};

use rand_core::Rng;

/// Where a random port is drawn from, and how many are tried.
const SECONDARY_PORTS: std::ops::Range<u16> = 20_000..65_535;
pub(super) const SECONDARY_TRIES: usize = 16;
/// A node that hears from no root for so long may have a port that is blocked on the way.
const OFFLINE_FOR: Duration = Duration::from_secs(120);

/// Which second port is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SecondaryPort {
    Off,
    /// Any that is free.
    Random,
    Fixed(u16),
}

pub(super) fn random_port(rng: &mut impl Rng) -> u16 {
    let span = u32::from(SECONDARY_PORTS.end - SECONDARY_PORTS.start);
    SECONDARY_PORTS.start + u16::try_from(rng.next_u32() % span).unwrap_or(0)
}

/// For how long the node has been offline.
#[derive(Debug, Default)]
pub(super) struct OfflineTime {
    since: Option<Instant>,
}

impl OfflineTime {
    /// Says whether it is time to try another port, and begins to wait anew.
    pub(super) fn is_over(&mut self, is_online: bool, now: Instant) -> bool {
        if is_online {
            self.since = None;
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let is_over = now.saturating_duration_since(since) >= OFFLINE_FOR;
        if is_over {
            self.since = Some(now);
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock;
    use super::*;

    #[test]
    fn another_port_is_tried_after_two_minutes_without_a_root_and_every_two_minutes_from_then_on() {
        let (mut offline, start) = (OfflineTime::default(), clock::now().mono);
        let mut over = Vec::new();
        for second in 0..600 {
            let is_online = second == 50;
            if offline.is_over(is_online, start + Duration::from_secs(second)) {
                over.push(second);
            }
        }
        assert_eq!(over, [171, 291, 411, 531]);
    }
}
