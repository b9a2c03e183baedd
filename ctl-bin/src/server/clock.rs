//! The only place that reads the clock.

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
