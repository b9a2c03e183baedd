//! Which networks were said lately to have no address left: a device without one asks again and again, and others with it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use zt_proto::NetworkId;

/// How long nothing more is said of a network.
const SILENT_FOR: Duration = Duration::from_secs(60 * 60);
/// Networks that are remembered; past it they take turns, and are said more often.
const MAX_NETWORKS: usize = 1_024;

/// The networks, with when that was said.
#[derive(Debug, Default)]
pub(super) struct UsedUp {
    said: BTreeMap<NetworkId, Instant>,
}

impl UsedUp {
    /// Says whether it is time to say it of this network; if so, that counts as said.
    pub(super) fn is_to_be_said(&mut self, network: NetworkId, now: Instant) -> bool {
        let is_fresh = |said: &Instant| now.saturating_duration_since(*said) < SILENT_FOR;
        if self.said.get(&network).is_some_and(is_fresh) {
            return false;
        }
        if self.said.len() >= MAX_NETWORKS {
            self.said.retain(|_, said| is_fresh(said));
        }
        if self.said.len() >= MAX_NETWORKS {
            self.said.pop_first();
        }
        self.said.insert(network, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock;
    use super::*;

    #[test]
    fn it_is_said_once_an_hour_of_each_network() {
        let (start, mut used_up) = (clock::now().mono, UsedUp::default());
        assert!(used_up.is_to_be_said(NetworkId(1), start));
        assert!(!used_up.is_to_be_said(NetworkId(1), start + SILENT_FOR - Duration::from_millis(1)));
        assert!(used_up.is_to_be_said(NetworkId(2), start), "another network");
        assert!(used_up.is_to_be_said(NetworkId(1), start + SILENT_FOR));
    }

    #[test]
    fn networks_that_are_remembered_are_bounded() {
        let (start, mut used_up) = (clock::now().mono, UsedUp::default());
        let many = 2 * MAX_NETWORKS as u64;
        assert!((0..many).all(|network| used_up.is_to_be_said(NetworkId(network), start)));
        assert_eq!(used_up.said.len(), MAX_NETWORKS);
        assert!(used_up.is_to_be_said(NetworkId(many), start + SILENT_FOR));
        assert_eq!(used_up.said.len(), 1, "what is old goes first");
    }
}
