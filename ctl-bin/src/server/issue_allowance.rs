//! Up to when configurations may have been issued, as the disk knows it.
//!
//! Times of issue never go back while the controller runs ([`ctl_core::Memo`]). So that they do not when it is started
//! again, with a clock that was set back in between, the disk always has a time up to which may have been issued; it is
//! moved on in steps, which makes one write a minute of many issues a second. Who starts again issues nothing older than that: no
//! more than a step ahead of the clock of times of issue (`issue_clock.rs`), which goes on from a step before, so that
//! restarts do not add up (`vl2.md` §19.1, items 14 and 15).

use zt_proto::Timestamp;

/// How far ahead of the clock of times of issue issuing is allowed, in milliseconds.
const STEP: u64 = 60_000;

/// What the disk allows; whoever has it does the writing.
#[derive(Debug)]
pub(super) struct IssueAllowance {
    until: Timestamp,
}

impl IssueAllowance {
    pub(super) fn new(until: Timestamp) -> Self {
        Self { until }
    }

    /// Returns when it was extended last, or a time before that, but for what revocations added.
    pub(super) fn extended(&self) -> Timestamp {
        Timestamp(self.until.0.saturating_sub(STEP))
    }

    /// Returns what must be allowed on the disk before `time` may be used; `None` if it is.
    pub(super) fn missing(&self, time: Timestamp, present: Timestamp) -> Option<Timestamp> {
        (time > self.until).then(|| time.max(present.plus_millis(STEP)))
    }

    /// Returns what should soon be allowed, so that nobody has to wait for it.
    pub(super) fn renewal(&self, present: Timestamp) -> Option<Timestamp> {
        (present.plus_millis(STEP / 2) >= self.until).then(|| present.plus_millis(STEP))
    }

    /// Notes that issuing is allowed up to `until`.
    pub(super) fn extend(&mut self, until: Timestamp) {
        self.until = self.until.max(until);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ctl_core::Memo;
    use proptest::prelude::*;
    use zt_proto::{Address, NetworkId};

    use super::super::clock;
    use super::super::issue_clock::IssueClock;
    use super::*;
    use crate::vl1::Now;

    /// What can happen to a controller.
    #[derive(Debug, Clone)]
    enum Step {
        Issue,
        Revoke,
        Renew,
        /// It dies, and only the disk remains.
        Restart,
        /// Time passes.
        Pass(u64),
        /// The wall clock is set, also back.
        Set(i64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => Just(Step::Issue),
            2 => Just(Step::Revoke),
            1 => Just(Step::Renew),
            1 => Just(Step::Restart),
            2 => (0_u64..2_000).prop_map(Step::Pass),
            2 => (0_u64..200_000).prop_map(Step::Pass),
            1 => (-2_000_i64..2_000).prop_map(Step::Set),
            1 => (-90_000_000_i64..90_000_000).prop_map(Step::Set),
        ];
        proptest::collection::vec(step, 1..200)
    }

    /// A controller as far as times are concerned.
    struct Controller {
        memo: Memo,
        clock: IssueClock,
        allowance: IssueAllowance,
        /// The first time of issue, and when that was by the monotonic clock.
        first: Option<(Timestamp, u64)>,
    }

    impl Controller {
        fn start(disk: Timestamp, now: Now) -> Self {
            let allowance = IssueAllowance::new(disk);
            let clock = IssueClock::new(allowance.extended(), now);
            let controller = Self { memo: Memo::new(), clock, allowance, first: None };
            controller.memo.issue_time(disk);
            controller
        }

        fn allow(&mut self, until: Option<Timestamp>, disk: &mut Timestamp) {
            if let Some(until) = until {
                *disk = until.max(*disk);
                self.allowance.extend(until);
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_older_is_ever_issued_and_nothing_as_old_as_a_revocation(steps in steps()) {
            let (start, begin) = (clock::now().mono, 1_800_000_000_000_u64);
            let (mut mono, mut wall) = (0, begin);
            let (mut disk, mut newest, mut threshold) = (Timestamp(0), Timestamp(0), Timestamp(0));
            // What a clock would show that nobody sets back, and that no restart delays.
            let (mut ideal, mut revocations) = (wall, 0);
            let at = |mono, wall| Now { mono: start + Duration::from_millis(mono), wall: Timestamp(wall) };
            let mut controller = Controller::start(disk, at(mono, wall));
            for step in steps {
                let now = at(mono, wall);
                let present = controller.clock.read(now);
                match step {
                    Step::Issue => {
                        let time = controller.memo.issue_time(present);
                        let missing = controller.allowance.missing(time, present);
                        controller.allow(missing, &mut disk);
                        prop_assert!(time >= newest, "older than before");
                        prop_assert!(threshold == Timestamp(0) || time > threshold, "revoked when it was issued");
                        prop_assert!(time >= now.wall, "older than the present");
                        let (first, then) = *controller.first.get_or_insert((time, mono));
                        let held_up = time.plus_millis(STEP + revocations);
                        prop_assert!(held_up >= first.plus_millis(mono - then), "stands still");
                        newest = time;
                    }
                    Step::Revoke => {
                        let time = controller.memo.revoke(NetworkId(1), Address::NONE, present);
                        let missing = controller.allowance.missing(time.plus_millis(1), present);
                        controller.allow(missing, &mut disk);
                        prop_assert!(time >= newest, "spares what was issued");
                        (threshold, revocations) = (time, revocations + 1);
                    }
                    Step::Renew => {
                        let renewal = controller.allowance.renewal(present);
                        controller.allow(renewal, &mut disk);
                    }
                    Step::Restart => controller = Controller::start(disk, now),
                    Step::Pass(millis) => (mono, wall, ideal) = (mono + millis, wall + millis, ideal + millis),
                    Step::Set(by) => wall = wall.saturating_add_signed(by),
                }
                ideal = ideal.max(wall);
                // Restarts, however many, do not add up.
                prop_assert!(disk.0 <= ideal + STEP + revocations, "further ahead than a step");
            }
        }
    }

    #[test]
    fn a_minute_of_issuing_takes_one_write_and_none_when_it_is_renewed_in_time() {
        let mut allowance = IssueAllowance::new(Timestamp(0));
        let at = |millis: u64| Timestamp(1_800_000_000_000 + millis);
        let writes = (0..60_000).filter(|millis| {
            let missing = allowance.missing(at(*millis), at(*millis));
            missing.inspect(|until| allowance.extend(*until)).is_some()
        });
        assert_eq!(writes.count(), 1);
        for half_minute in 2..100 {
            let now = at(half_minute * 30_000);
            allowance.renewal(now).inspect(|until| allowance.extend(*until));
            assert_eq!(allowance.missing(now.plus_millis(29_999), now), None);
        }
    }
}
