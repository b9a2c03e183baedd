//! The clock that times of issue are read from: it follows the wall clock forward, and never back.
//!
//! For how long a configuration is sent again, and for how long others believe a member that was revoked while they were away
//! (`vl2.md` §7.1, §10.8), is judged by times of issue. When a wall clock that was ahead is set back, these must not follow it
//! (§19.1, item 14), nor stand still until it has caught up, which may take years. They go on at the pace of the monotonic clock,
//! and are those of the wall clock again once that is later.

use zt_proto::Timestamp;

use super::clock::millis;
use crate::vl1::Now;

/// By how much it may be ahead of the wall clock before that is said, in milliseconds. A clock that is kept right is never set
/// back by as much.
const NOTABLE: u64 = 60_000;

/// Goes on from the latest time that it had of the wall clock.
#[derive(Debug)]
pub(super) struct IssueClock {
    /// What it showed when.
    since: Now,
    /// By how much it was ahead when that was last said, in milliseconds; 0 if it is not.
    told: u64,
}

impl IssueClock {
    /// Goes on from `last` at `now`, when the program starts: what the last one left
    /// ([`IssueAllowance::extended`](super::issue_allowance::IssueAllowance::extended)).
    pub(super) fn new(last: Timestamp, now: Now) -> Self {
        Self { since: Now { wall: last, ..now }, told: 0 }
    }

    /// Returns what it shows, never less than the wall clock.
    pub(super) fn read(&mut self, now: Now) -> Timestamp {
        let passed = now.mono.saturating_duration_since(self.since.mono);
        let steady = self.since.wall.plus_millis(millis(passed));
        if now.wall < steady {
            return steady;
        }
        self.since = now;
        now.wall
    }

    /// Returns by how many milliseconds it is ahead of the wall clock, if that is much, and more than when it was last said.
    pub(super) fn lead_to_tell(&mut self, now: Now) -> Option<u64> {
        let lead = self.read(now).millis_since(now.wall);
        if lead <= NOTABLE {
            self.told = 0;
            return None;
        }
        let is_news = self.told == 0 || lead > self.told.saturating_add(NOTABLE);
        self.told = if is_news { lead } else { self.told.min(lead) };
        is_news.then_some(lead)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::clock;
    use super::*;

    const START: u64 = 1_800_000_000_000;

    /// Returns a moment so long after another by the monotonic clock, with the wall clock as it is then.
    fn at(start: Now, passed_ms: u64, wall: u64) -> Now {
        Now { mono: start.mono + Duration::from_millis(passed_ms), wall: Timestamp(wall) }
    }

    #[test]
    fn it_goes_on_while_the_wall_clock_is_behind_and_joins_it_when_that_is_later() {
        let start = at(clock::now(), 0, START);
        let mut issue = IssueClock::new(Timestamp(0), start);
        // What passed by the monotonic clock, what the wall clock says, and what is to be shown, all after the start.
        for (passed, wall, shown) in [
            (0, 0, 0),
            (5_000, 5_000, 5_000),
            // Set ahead by an hour, and back.
            (6_000, 3_606_000, 3_606_000),
            (7_000, 7_000, 3_607_000),
            (67_000, 67_000, 3_667_000),
            // Set right another time, and not far enough to matter.
            (68_000, 368_000, 3_668_000),
            (69_000, 3_669_500, 3_669_500),
            (70_000, 3_670_500, 3_670_500),
        ] {
            assert_eq!(issue.read(at(start, passed, START + wall)), Timestamp(START + shown), "{passed}");
        }
    }

    /// Each thread has its own present.
    #[test]
    fn a_moment_that_is_already_past_changes_nothing() {
        let start = at(clock::now(), 10_000, START);
        let mut issue = IssueClock::new(Timestamp(0), start);
        assert_eq!(issue.read(at(start, 2_000, START + 2_000)), Timestamp(START + 2_000));
        assert_eq!(issue.read(at(start, 1_000, START + 1_000)), Timestamp(START + 2_000));
        assert_eq!(issue.read(at(start, 3_000, START)), Timestamp(START + 3_000));
    }

    #[test]
    fn that_it_is_ahead_is_said_once_until_it_is_further_ahead_or_was_right_again() {
        let start = at(clock::now(), 0, START);
        let mut issue = IssueClock::new(Timestamp(START), start);
        let mut lead = |passed: u64, wall| issue.lead_to_tell(at(start, passed, START + wall));
        assert_eq!(lead(1_000, 1_000), None);
        assert_eq!(lead(100_000, 40_000), None, "a minute is not much");
        assert_eq!(lead(100_001, 40_000), Some(60_001));
        assert_eq!(lead(130_000, 60_000), None);
        assert_eq!(lead(160_000, 39_999), None, "a minute more is not much");
        assert_eq!(lead(190_000, 60_000), Some(130_000));
        assert_eq!(lead(200_000, 200_000), None);
        assert_eq!(lead(300_000, 200_000), Some(100_000), "it had been right");
    }
}
