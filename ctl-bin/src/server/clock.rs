//! The only place that reads the clock.

use std::num::NonZeroU32;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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

/// Returns how many whole milliseconds that is.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A moment in four bytes, also if it may be none, where there are very many: milliseconds since any other, without those that
/// do not fit. Two are told apart that are less than three weeks apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tick(NonZeroU32);

impl Tick {
    /// Returns the tick of `now`, counted from `start`, or from a moment before it.
    pub(super) fn new(start: Instant, now: Instant) -> Self {
        // From one on.
        let millis = (now.saturating_duration_since(start).as_millis() + 1) & u128::from(u32::MAX);
        // Once in seven weeks it is a millisecond late.
        Self(u32::try_from(millis).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN))
    }

    /// Returns how long after `earlier` it is; nothing if it is before it.
    pub(super) fn since(self, earlier: Self) -> Duration {
        let millis = self.0.get().wrapping_sub(earlier.0.get()).cast_signed();
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_told_apart_however_long_ago_they_began() {
        let start = now().mono;
        let after = |millis| Tick::new(start, start + Duration::from_millis(millis));
        for base in [0, (1 << 32) - 2_000, 1 << 32, 5 << 40] {
            let (earlier, later) = (after(base), after(base + 5_001));
            assert_eq!(later.since(earlier), Duration::from_millis(5_001));
            assert_eq!(earlier.since(later), Duration::ZERO, "another thread was faster");
        }
        assert_eq!(Tick::new(start + Duration::from_secs(1), start), after(0));
        assert_eq!(size_of::<Option<Tick>>(), 4);
    }
}
