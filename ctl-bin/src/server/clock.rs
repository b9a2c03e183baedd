//! The only place that reads the clock.

use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use zt_proto::Timestamp;

use crate::vl1::Now;

/// Reads both clocks.
pub(super) fn now() -> Now {
    #[expect(clippy::disallowed_methods, reason = "this is the place that reads it")]
    let mono = Instant::now();
    Now { mono, wall: wall() }
}

/// Reads the wall clock; a clock before 1970 counts as 1970.
pub(super) fn wall() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the place that reads it")]
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

/// The times that are written into configurations and credentials.
///
/// They never go back, even when the wall clock does: members refuse a certificate that is older than the newest they
/// have seen (`vl2.md` §19.1, items 14 and 15).
#[derive(Debug, Default)]
pub(super) struct IssueClock {
    next: Mutex<Timestamp>,
}

impl IssueClock {
    /// Returns the time for a configuration issued at `wall`.
    pub(super) fn issue(&self, wall: Timestamp) -> Timestamp {
        let mut next = self.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *next = wall.max(*next);
        *next
    }

    /// Returns the threshold of a revocation made at `wall`: everything issued later has a greater time.
    pub(super) fn revoke(&self, wall: Timestamp) -> Timestamp {
        let mut next = self.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let threshold = wall.max(*next);
        *next = threshold.plus_millis(1);
        threshold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issued_times_never_go_back_and_pass_every_revocation() {
        let clock = IssueClock::default();
        assert_eq!(clock.issue(Timestamp(1_000)), Timestamp(1_000));
        assert_eq!(clock.issue(Timestamp(900)), Timestamp(1_000));
        assert_eq!(clock.revoke(Timestamp(900)), Timestamp(1_000));
        assert_eq!(clock.issue(Timestamp(1_000)), Timestamp(1_001));
    }
}
