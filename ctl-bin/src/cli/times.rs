//! Times as people say them.

use zt_proto::Timestamp;

/// Says how long ago `then` was; `never` for zero.
pub(crate) fn ago(now: Timestamp, then: u64) -> String {
    if then == 0 {
        return "never".to_owned();
    }
    let seconds = now.0.saturating_sub(then) / 1000;
    let (count, unit) = match seconds {
        0..60 => return "now".to_owned(),
        60..3600 => (seconds / 60, "min"),
        3600..86_400 => (seconds / 3600, "h"),
        _ => (seconds / 86_400, "d"),
    };
    format!("{count} {unit} ago")
}

/// Writes a time in milliseconds since 1970 for people and programs; `never` for zero.
pub(crate) fn date(time: u64) -> String {
    if time == 0 {
        return "never".to_owned();
    }
    let time = i64::try_from(time).ok().and_then(|time| jiff::Timestamp::from_millisecond(time).ok());
    time.map_or_else(|| "unknown".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_the_largest_unit_that_fits() {
        let now = Timestamp(1_800_000_000_000);
        for (seconds, said) in
            [(0, "now"), (59, "now"), (60, "1 min ago"), (7199, "1 h ago"), (864_000, "10 d ago")]
        {
            assert_eq!(ago(now, now.0 - seconds * 1000), said);
        }
        assert_eq!(ago(now, 0), "never");
        assert_eq!(ago(now, now.0 + 5000), "now", "the clock of the controller is ahead");
        assert_eq!(date(0), "never");
        assert_eq!(date(1_800_000_000_000), "2027-01-15 08:00:00 UTC");
        assert_eq!(date(u64::MAX), "unknown");
    }
}
