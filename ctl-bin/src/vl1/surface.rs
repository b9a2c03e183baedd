//! The addresses of this node as others see them (`vl1.md` §13.7).

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use zt_proto::Address;
use zt_proto::inet::Scope;

use super::Link;
use super::moment::Moment;

/// How long a report counts.
const REPORT_FOR: Duration = Duration::from_secs(600);
/// Reports of roots, and of all other peers, that are kept; past it new ones wait for old ones to end.
pub(super) const MAX_REPORTS: usize = 256;
/// A change that roots report is followed no more often: it means a packet on every path.
const CHANGE_INTERVAL: Duration = Duration::from_secs(10);
/// Addresses that are told to others.
const MAX_TOLD: usize = 16;

/// Who reports, and over which local port and remote address: the address of the machine may be what changed.
type Key = (Address, Link);

#[derive(Debug, Clone, Copy)]
struct Report {
    seen_as: SocketAddr,
    when: Moment,
}

/// What peers said about where they see this node.
#[derive(Debug, Default)]
pub(super) struct Surface {
    by_roots: HashMap<Key, Report>,
    by_others: HashMap<Key, Report>,
    last_change: Option<Moment>,
}

impl Surface {
    /// Notes where `reporter` sees this node over `link`; says whether that is a change on which to act: a root sees
    /// another IP address than before.
    pub(super) fn note(
        &mut self,
        reporter: Address,
        link: Link,
        seen_as: SocketAddr,
        is_root: bool,
        now: Moment,
    ) -> bool {
        let scope = Scope::of(seen_as.ip());
        let counts = matches!(scope, Scope::Pseudoprivate | Scope::Global | Scope::Shared | Scope::Private);
        let same_reach = scope == Scope::of(link.remote.ip()) && seen_as.is_ipv4() == link.remote.is_ipv4();
        // Port 0: a peer that does not know its own.
        if !counts || !same_reach || seen_as.port() == 0 {
            return false;
        }
        let reports = if is_root { &mut self.by_roots } else { &mut self.by_others };
        let report = Report { seen_as, when: now };
        let key = (reporter, link.toward(link.remote));
        let Some(known) = reports.get_mut(&key) else {
            if reports.len() < MAX_REPORTS {
                reports.insert(key, report);
            }
            return false;
        };
        let is_change = known.seen_as.ip() != seen_as.ip()
            && now.saturating_duration_since(known.when) <= REPORT_FOR
            && is_root
            && self.last_change.is_none_or(|last| now.saturating_duration_since(last) >= CHANGE_INTERVAL);
        *known = report;
        if is_change {
            self.last_change = Some(now);
        }
        is_change
    }

    /// Returns the addresses that roots report. Others are not believed: what this node tells its peers makes them send
    /// datagrams there.
    pub(super) fn believed(&self, now: Moment) -> Vec<SocketAddr> {
        distinct(&self.by_roots, now)
    }

    /// Returns the addresses that anybody reports, for those who want to see them.
    pub(super) fn all(&self, now: Moment) -> Vec<SocketAddr> {
        let mut all = self.believed(now);
        let others = distinct(&self.by_others, now);
        let new: Vec<_> = others.into_iter().filter(|address| !all.contains(address)).collect();
        all.extend(new);
        all.truncate(MAX_TOLD);
        all
    }

    pub(super) fn sweep(&mut self, now: Moment) {
        for reports in [&mut self.by_roots, &mut self.by_others] {
            reports.retain(|_, report| now.saturating_duration_since(report.when) <= REPORT_FOR);
        }
    }

    pub(super) fn len(&self) -> (usize, usize) {
        (self.by_roots.len(), self.by_others.len())
    }
}

/// Returns what is current, each address once and in order.
fn distinct(reports: &HashMap<Key, Report>, now: Moment) -> Vec<SocketAddr> {
    let current = reports.values().filter(|report| now.saturating_duration_since(report.when) <= REPORT_FOR);
    let distinct: BTreeSet<_> = current.map(|report| report.seen_as).collect();
    distinct.into_iter().take(MAX_TOLD).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{link, moment};
    use super::*;

    fn peer(n: u64) -> Address {
        Address::from_low_bits(n)
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_a_root_that_sees_another_ip_address_reports_a_change_and_not_all_the_time() {
        let mut surface = Surface::default();
        let link = link("8.8.8.8:9993");
        let mut note = |who, seen_as: &str, is_root, ms| {
            surface.note(peer(who), link, address(seen_as), is_root, moment(ms))
        };
        assert!(!note(1, "9.9.9.9:1000", true, 0), "the first report is no change");
        assert!(!note(1, "9.9.9.9:1001", true, 0), "only the port differs");
        assert!(!note(2, "9.9.9.9:1000", false, 0));
        assert!(!note(2, "1.1.1.1:1000", false, 0), "not a root");
        assert!(note(1, "1.1.1.1:1000", true, 1_000));
        assert!(!note(1, "2.2.2.2:1000", true, 2_000), "too soon");
        assert!(note(1, "3.3.3.3:1000", true, 12_000));
        assert!(!note(1, "4.4.4.4:1000", true, 700_000), "the last report is too old to compare");
    }

    #[test]
    fn a_report_of_another_reach_than_its_reporter_does_not_count() {
        let mut surface = Surface::default();
        for (remote, seen_as) in [
            ("8.8.8.8:9993", "10.0.0.1:9993"),
            ("10.0.0.2:9993", "9.9.9.9:9993"),
            ("127.0.0.1:9993", "127.0.0.1:9993"),
            ("8.8.8.8:9993", "[2003::1]:9993"),
            ("8.8.8.8:9993", "9.9.9.9:0"),
        ] {
            surface.note(peer(1), link(remote), address(seen_as), true, moment(0));
        }
        assert_eq!(surface.len(), (0, 0));
    }

    #[test]
    fn others_are_shown_but_only_roots_are_believed() {
        let mut surface = Surface::default();
        surface.note(peer(1), link("8.8.8.8:9993"), address("9.9.9.9:1"), true, moment(0));
        surface.note(peer(2), link("8.8.4.4:9993"), address("9.9.9.9:2"), false, moment(0));
        assert_eq!(surface.believed(moment(1)), [address("9.9.9.9:1")]);
        assert_eq!(surface.all(moment(1)), [address("9.9.9.9:1"), address("9.9.9.9:2")]);
        assert!(surface.all(moment(600_001)).is_empty());
    }

    #[test]
    fn reports_are_bounded_and_those_of_roots_are_not_displaced() {
        let mut surface = Surface::default();
        surface.note(peer(1), link("8.8.8.8:9993"), address("9.9.9.9:1"), true, moment(0));
        for n in 0..10_000 {
            surface.note(peer(n), link("8.8.4.4:9993"), address("9.9.9.9:2"), false, moment(0));
        }
        assert_eq!(surface.len(), (1, MAX_REPORTS));
        surface.sweep(moment(600_001));
        assert_eq!(surface.len(), (0, 0));
    }
}
