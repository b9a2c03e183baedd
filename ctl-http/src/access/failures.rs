//! How often a source may present a wrong token.

use std::collections::BTreeMap;
use std::net::IpAddr;

use zt_proto::Timestamp;

use crate::serve::source_of;

/// Wrong tokens that a source may present at once.
pub(crate) const FREE_FAILURES: u64 = 20;
/// How long it takes until one of them is forgiven, in milliseconds: ten guesses a minute.
pub(crate) const FORGIVEN_AFTER: u64 = 6_000;
/// Sources that are told apart; beyond, new ones share one account.
pub(crate) const MAX_SOURCES: usize = 16_384;

const BLOCKED_FROM: u64 = (FREE_FAILURES - 1) * FORGIVEN_AFTER;

/// Where requests come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Network(IpAddr),
    /// Everybody for whom there is no room.
    Rest,
}

impl Source {
    fn of(ip: IpAddr) -> Self {
        Self::Network(source_of(ip))
    }
}

/// The wrong tokens of each source, as the time at which all of them are forgiven.
#[derive(Debug, Default)]
pub(crate) struct Failures(BTreeMap<Source, Timestamp>);

impl Failures {
    /// Returns after how many milliseconds `ip` may present another token; `None` if it may now.
    pub(crate) fn wait(&self, ip: IpAddr, now: Timestamp) -> Option<u64> {
        let source = Source::of(ip);
        let source = if self.0.contains_key(&source) || !self.is_full() { source } else { Source::Rest };
        let over = self.debt(source, now).checked_sub(BLOCKED_FROM)?;
        (over > 0).then_some(over)
    }

    /// Notes a wrong token.
    pub(crate) fn note(&mut self, ip: IpAddr, now: Timestamp) {
        let mut source = Source::of(ip);
        if self.is_full() && !self.0.contains_key(&source) {
            self.0.retain(|_, forgiven| *forgiven > now);
            if self.is_full() {
                source = Source::Rest;
            }
        }
        let debt = (self.debt(source, now) + FORGIVEN_AFTER).min(FREE_FAILURES * FORGIVEN_AFTER);
        self.0.insert(source, now.plus_millis(debt));
    }

    fn is_full(&self) -> bool {
        // One place is for the rest.
        self.0.len() >= MAX_SOURCES - 1
    }

    /// Returns in how many milliseconds all is forgiven. The clock may have been set back, which makes nothing worse.
    fn debt(&self, source: Source, now: Timestamp) -> u64 {
        let forgiven = self.0.get(&source).map_or(0, |forgiven| forgiven.0);
        forgiven.saturating_sub(now.0).min(FREE_FAILURES * FORGIVEN_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const NOW: Timestamp = Timestamp(1_795_356_785_000);

    fn ip(number: usize) -> IpAddr {
        Ipv4Addr::from_bits(u32::try_from(number).unwrap()).into()
    }

    /// Presents wrong tokens until it has to wait, and says how many that were.
    fn guess(failures: &mut Failures, ip: IpAddr, now: Timestamp) -> u64 {
        let mut guesses = 0;
        while failures.wait(ip, now).is_none() {
            failures.note(ip, now);
            guesses += 1;
        }
        guesses
    }

    #[test]
    fn source_has_some_guesses_at_once_and_then_one_at_a_time() {
        let mut failures = Failures::default();
        assert_eq!(guess(&mut failures, ip(1), NOW), FREE_FAILURES);
        assert_eq!(failures.wait(ip(1), NOW), Some(FORGIVEN_AFTER));
        assert_eq!(failures.wait(ip(1), NOW.plus_millis(FORGIVEN_AFTER - 1)), Some(1));
        let later = NOW.plus_millis(FORGIVEN_AFTER);
        assert_eq!(guess(&mut failures, ip(1), later), 1);
        assert_eq!(guess(&mut failures, ip(1), later.plus_millis(3_600_000)), FREE_FAILURES);
        assert_eq!(failures.wait(ip(2), NOW), None);
    }

    #[test]
    fn customer_with_a_48_has_no_more_guesses_than_one_with_an_address() {
        let mut failures = Failures::default();
        let of = |text: &str| text.parse::<Ipv6Addr>().unwrap().into();
        assert_eq!(guess(&mut failures, of("2001:db8:1:2::1"), NOW), FREE_FAILURES);
        assert!(failures.wait(of("2001:db8:1:2:ffff::9"), NOW).is_some());
        assert!(failures.wait(of("2001:db8:1:ffff::1"), NOW).is_some());
        assert!(failures.wait(of("2001:db8:2:2::1"), NOW).is_none());
        assert_eq!(guess(&mut failures, of("::ffff:192.0.2.1"), NOW), FREE_FAILURES);
        assert!(failures.wait("192.0.2.1".parse().unwrap(), NOW).is_some());
    }

    #[test]
    fn clock_that_is_set_back_locks_nobody_out_for_long() {
        let mut failures = Failures::default();
        guess(&mut failures, ip(1), NOW);
        let back = Timestamp(NOW.0 - 86_400_000);
        assert_eq!(failures.wait(ip(1), back), Some(FORGIVEN_AFTER));
        failures.note(ip(1), back);
        assert_eq!(failures.wait(ip(1), back.plus_millis(FORGIVEN_AFTER)), None);
    }

    #[test]
    fn full_table_forgets_who_is_forgiven_and_gives_the_rest_one_account() {
        let mut failures = Failures::default();
        for number in 0..2 * MAX_SOURCES {
            failures.note(ip(number), NOW);
        }
        assert_eq!(failures.0.len(), MAX_SOURCES);
        assert!(
            failures.wait(ip(2 * MAX_SOURCES), NOW).is_some(),
            "a new source shares the account of the rest"
        );
        assert_eq!(failures.wait(ip(0), NOW), None, "one that is known has its own");
        let later = NOW.plus_millis(FREE_FAILURES * FORGIVEN_AFTER);
        failures.note(ip(2 * MAX_SOURCES), later);
        assert_eq!(failures.0.len(), 1);
    }
}
