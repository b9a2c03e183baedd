//! Times as the node keeps them.

use std::fmt;
use std::num::NonZeroU16;
use std::ops::Add;
use std::time::{Duration, Instant};

use zt_proto::Timestamp;

use super::Now;

/// Enough for 890 years.
const MAX_TICKS: u64 = ((u16::MAX as u64) << 32) - 1;
const TICKS_PER_SECOND: u64 = 10_000;
const NANOS_PER_TICK: u32 = 100_000;

/// A time in tenths of a millisecond since the node was made, in less than half the room of an [`Instant`], as each peer has
/// a dozen; that there is none takes no more. What was before counts as zero, what comes after 890 years as then.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// The upper bits, one higher.
    upper: NonZeroU16,
    lower: [u8; 4],
}

impl Moment {
    /// When the node was made.
    pub(super) const START: Self = Self { upper: NonZeroU16::MIN, lower: [0; 4] };

    fn from_ticks(ticks: u64) -> Self {
        let [_, _, upper @ .., a, b, c, d] = ticks.min(MAX_TICKS).to_be_bytes();
        let upper = NonZeroU16::MIN.saturating_add(u16::from_be_bytes(upper));
        Self { upper, lower: u32::from_be_bytes([a, b, c, d]).to_ne_bytes() }
    }

    fn ticks(self) -> u64 {
        u64::from(self.upper.get() - 1) << 32 | u64::from(u32::from_ne_bytes(self.lower))
    }

    /// Returns the first moment from this one on that is a multiple of `step` after [`Self::START`].
    pub(super) fn round_up(self, step: Duration) -> Self {
        Self::from_ticks(self.ticks().next_multiple_of(ticks(step).max(1)))
    }

    /// Returns the time from `earlier` to this one, zero if that is later.
    pub(super) fn saturating_duration_since(self, earlier: Self) -> Duration {
        duration(self.ticks().saturating_sub(earlier.ticks()))
    }
}

/// Rounds down.
fn ticks(duration: Duration) -> u64 {
    let within = u64::from(duration.subsec_nanos() / NANOS_PER_TICK);
    duration.as_secs().saturating_mul(TICKS_PER_SECOND).saturating_add(within)
}

fn duration(ticks: u64) -> Duration {
    // Less than ten thousand.
    let within = u32::try_from(ticks % TICKS_PER_SECOND).unwrap_or(0);
    Duration::new(ticks / TICKS_PER_SECOND, within * NANOS_PER_TICK)
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self::from_ticks(self.ticks().saturating_add(ticks(later)))
    }
}

impl Ord for Moment {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.ticks().cmp(&other.ticks())
    }
}

impl PartialOrd for Moment {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        duration(self.ticks()).fmt(f)
    }
}

/// [`Now`] as the node keeps times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Present {
    pub mono: Moment,
    pub wall: Timestamp,
}

/// When the node was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start(Instant);

impl Start {
    pub(super) fn new(now: Now) -> Self {
        Self(now.mono)
    }

    pub(super) fn present(self, now: Now) -> Present {
        let since = now.mono.saturating_duration_since(self.0);
        Present { mono: Moment::START + since, wall: now.wall }
    }

    /// Returns the beginning of a moment.
    pub(super) fn instant(self, moment: Moment) -> Instant {
        self.0 + duration(moment.ticks())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::at;
    use super::*;

    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

    #[test]
    fn a_moment_is_what_it_was_made_of_for_centuries() {
        let start = Start::new(at(0));
        for millis in [0, 1, 999, 1_000, 86_400_123, u64::from(u32::MAX), u64::from(u32::MAX) + 1] {
            let now = at(millis);
            let moment = start.present(now).mono;
            assert_eq!(start.instant(moment), now.mono);
            assert_eq!(moment.saturating_duration_since(Moment::START), Duration::from_millis(millis));
            assert_eq!(Moment::START.saturating_duration_since(moment), Duration::ZERO);
            assert_eq!((moment + CENTURY).saturating_duration_since(moment), CENTURY);
            assert!(
                moment < moment + Duration::from_micros(100) && moment == moment + Duration::from_micros(99)
            );
        }
        assert_eq!((size_of::<Moment>(), size_of::<Option<Moment>>()), (6, 6));
    }

    /// After 890 years nothing is due any more, and nothing ever ends; neither wraps around.
    #[test]
    fn what_is_out_of_range_is_at_its_end() {
        let end = Moment::START + CENTURY * 9;
        assert_eq!(end, end + CENTURY);
        assert!(end > Moment::START + CENTURY * 8);
        assert_eq!(Start::new(at(5)).present(at(3)).mono, Moment::START);
    }

    #[test]
    fn what_is_put_off_is_never_earlier_and_comes_together() {
        let (step, after) =
            (Duration::from_millis(250), |millis| Moment::START + Duration::from_millis(millis));
        for (millis, rounded) in [(0, 0), (1, 250), (250, 250), (251, 500), (86_400_001, 86_400_250)] {
            assert_eq!(after(millis).round_up(step), after(rounded));
            assert_eq!(after(millis).round_up(Duration::ZERO), after(millis));
        }
        let end = Moment::START + CENTURY * 9;
        assert_eq!(end.round_up(step), end);
    }

    /// A timer is never due before the time for which the loop is woken: it would be woken in vain, again and again.
    #[test]
    fn a_moment_that_has_come_has_begun() {
        let start = Start::new(at(0));
        for micros in 0..1_000 {
            let now = Now { mono: at(7).mono + Duration::from_micros(micros), ..at(7) };
            let moment = start.present(now).mono;
            assert!(start.instant(moment) <= now.mono);
            assert!(start.instant(moment + Duration::from_micros(100)) > now.mono);
        }
    }
}
