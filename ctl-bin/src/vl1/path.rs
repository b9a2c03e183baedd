//! A way to a peer that has proven to work (`vl1.md` §13).

use std::time::Duration;

use zt_proto::inet::Scope;

use super::Link;
use super::moment::Moment;
use super::packed_link::PackedLink;
use super::rate::{Bucket, Limit};

/// A path on which something authentic arrived within this time works for certain.
pub(super) const ALIVE_FOR: Duration = Duration::from_secs(19);
/// A path that was silent for longer is forgotten.
pub(super) const EXPIRES_AFTER: Duration = Duration::from_secs(243);
/// A path on which nothing was sent or heard for so long is probed, and again sooner while there is no answer.
pub(super) const PROBE_AFTER: Duration = Duration::from_secs(14);
const PROBE_AGAIN: Duration = Duration::from_secs(3);
/// A path that answers no probe for so long is used no more while there is another way: three were lost.
const FAILS_AFTER: Duration = Duration::from_secs(8);
/// ECHOs that are answered on one path.
const ECHO_LIMIT: Limit = Limit { burst: 1, interval: Duration::from_millis(166) };

/// A confirmed path: an OK came back over it.
#[derive(Debug)]
pub(super) struct Path {
    link: PackedLink,
    /// When something authentic last came directly.
    pub last_receive: Moment,
    pub last_send: Option<Moment>,
    /// Round trip of the last HELLO, in milliseconds. No answer counts that takes half as long as this could say.
    latency_ms: Option<u16>,
    /// The network between the two ends changed: not used until something that is sent over it is answered.
    is_doubtful: bool,
    /// When something was sent over it that should have been answered by now.
    unanswered_since: Option<Moment>,
    last_probe: Option<Moment>,
    echo: Bucket,
}

impl Path {
    pub(super) fn new(link: Link, now: Moment) -> Self {
        Self {
            link: link.into(),
            last_receive: now,
            last_send: None,
            latency_ms: None,
            is_doubtful: false,
            unanswered_since: None,
            last_probe: None,
            echo: Bucket::full(now),
        }
    }

    pub(super) fn link(&self) -> Link {
        self.link.unpack()
    }

    /// Returns the round trip of the last HELLO, in milliseconds.
    pub(super) fn latency_ms(&self) -> Option<u32> {
        self.latency_ms.map(u32::from)
    }

    /// Notes how long the answer to a HELLO took.
    pub(super) fn measured(&mut self, round_trip: Duration) {
        self.latency_ms = Some(u16::try_from(round_trip.as_millis()).unwrap_or(u16::MAX));
    }

    /// Notes that something authentic came directly. It may have been recorded, and be sent again by anybody who forges the
    /// address, so it does not prove that the path works.
    pub(super) fn heard(&mut self, now: Moment) {
        self.last_receive = now;
    }

    /// Notes the answer to something that was sent over it at the time `asked`: the proof, if it is no older than what was not
    /// answered so far.
    pub(super) fn answered(&mut self, asked: Moment) {
        if self.unanswered_since.is_some_and(|since| asked >= since) {
            self.is_doubtful = false;
            self.unanswered_since = None;
        }
    }

    /// Notes that something is sent; `must_answer` says that every peer answers it.
    pub(super) fn sent(&mut self, must_answer: bool, now: Moment) {
        self.last_send = Some(now);
        if must_answer {
            self.last_probe = Some(now);
            self.unanswered_since.get_or_insert(now);
        }
    }

    /// Says whether the path can be used: whatever else there is, is better than one that fails.
    pub(super) fn works(&self, now: Moment) -> bool {
        !self.is_doubtful && !self.is_failing(now) && !self.is_expired(now)
    }

    fn is_failing(&self, now: Moment) -> bool {
        self.unanswered_since.is_some_and(|since| now.saturating_duration_since(since) > FAILS_AFTER)
    }

    /// Returns when the path should be probed: when nothing was sent for so long that a NAT may forget it, when nothing was
    /// heard for as long whatever was sent, and soon again while there is no answer.
    pub(super) fn probe_at(&self, now: Moment) -> Moment {
        let Some(last_send) = self.last_send else { return now };
        match self.last_probe {
            Some(last) if self.unanswered_since.is_some() && !self.is_failing(now) => last + PROBE_AGAIN,
            last => last_send.min(self.last_receive.max(last.unwrap_or(self.last_receive))) + PROBE_AFTER,
        }
    }

    /// Says whether the path could be asked for a proof that it works: it was not just asked.
    pub(super) fn may_be_asked(&self, now: Moment) -> bool {
        self.last_probe.is_none_or(|last| now.saturating_duration_since(last) >= PROBE_AGAIN)
    }

    /// Says whether the path, over which something came, has to prove that it works again.
    pub(super) fn needs_proof(&self, now: Moment) -> bool {
        (self.is_doubtful || self.is_failing(now)) && self.may_be_asked(now)
    }

    /// Has the path proven anew before it is used again; returns where it leads.
    pub(super) fn doubt(&mut self) -> Link {
        self.is_doubtful = true;
        // What was asked before proves nothing any more.
        self.unanswered_since = None;
        self.last_send = None;
        self.link()
    }

    pub(super) fn silence(&self, now: Moment) -> Duration {
        now.saturating_duration_since(self.last_receive)
    }

    pub(super) fn is_expired(&self, now: Moment) -> bool {
        self.silence(now) > EXPIRES_AFTER
    }

    pub(super) fn is_alive(&self, now: Moment) -> bool {
        self.silence(now) <= ALIVE_FOR
    }

    /// Says whether another ECHO that came over this path may be answered.
    pub(super) fn take_echo(&mut self, now: Moment) -> bool {
        self.echo.take(ECHO_LIMIT, now)
    }

    /// Returns how bad the path is; of several the lowest is used (`vl1.md` §13.6).
    pub(super) fn badness(&self, now: Moment) -> u64 {
        const UNKNOWN_MS: u64 = 65_535;
        const MAX_AGE_MS: u128 = 140_000;
        let latency = self.latency_ms.map_or(UNKNOWN_MS, u64::from);
        let penalty = if self.is_alive(now) {
            0
        } else {
            let age = self.silence(now).as_millis().min(MAX_AGE_MS);
            UNKNOWN_MS + u64::try_from(age).unwrap_or(UNKNOWN_MS)
        };
        (latency + penalty) * (8 - Scope::of(self.link().remote.ip()) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::moment;
    use super::*;

    fn path(remote: &str) -> Path {
        Path::new(Link { local: None, remote: remote.parse().unwrap() }, moment(0))
    }

    #[test]
    fn a_private_path_is_better_than_a_global_one_and_a_silent_one_is_worst() {
        let (private, global) = (path("10.0.0.1:9993"), path("8.8.8.8:9993"));
        let now = moment(1_000);
        assert!(private.badness(now) < global.badness(now));
        let mut fresh = path("8.8.8.8:9993");
        fresh.last_receive = moment(60_000);
        let now = moment(60_000);
        assert!(fresh.badness(now) < global.badness(now));
    }

    #[test]
    fn echoes_are_answered_at_most_six_times_a_second() {
        let mut path = path("10.0.0.1:9993");
        let answered = (0..1_000).filter(|ms| path.take_echo(moment(*ms))).count();
        assert_eq!(answered, 7);
    }
}
