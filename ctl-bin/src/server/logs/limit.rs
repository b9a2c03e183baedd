//! How often one message is logged: what strangers cause must not fill the disk, and what broke is said once, not ten thousand
//! times a second.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::server::clock;

/// How often a message is logged in a [`WINDOW`], whatever its fields say. DEBUG and TRACE, which somebody asked for, are
/// not counted.
const MAX_IN_WINDOW: u32 = 50;
const WINDOW: Duration = Duration::from_secs(10);

/// A message by where in the sources it is, so that there are no more than these.
type Origin = (&'static str, u32);

/// How often each message came.
#[derive(Debug, Default)]
pub(super) struct Limit {
    messages: Mutex<BTreeMap<Origin, Count>>,
}

#[derive(Debug)]
struct Count {
    begin: Instant,
    logged: u32,
    left_out: u64,
    text: String,
}

impl Limit {
    /// Says whether a message is logged; `text` is called for one that is not.
    fn takes(&self, origin: Origin, now: Instant, text: impl FnOnce() -> String) -> bool {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let count = messages.entry(origin).or_insert_with(|| Count {
            begin: now,
            logged: 0,
            left_out: 0,
            text: String::new(),
        });
        if now.saturating_duration_since(count.begin) >= WINDOW {
            (count.begin, count.logged) = (now, 0);
        }
        if count.logged < MAX_IN_WINDOW {
            count.logged += 1;
            return true;
        }
        if count.left_out == 0 {
            count.text = text();
        }
        count.left_out += 1;
        false
    }

    /// Logs what was left out since the last time.
    pub(super) fn report(&self) {
        for (message, left_out) in self.left_out() {
            warn!(message_left_out = message, left_out, "the same came too often to be logged each time");
        }
    }

    fn left_out(&self) -> Vec<(String, u64)> {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = messages.values_mut().filter(|count| count.left_out > 0);
        counts.map(|count| (std::mem::take(&mut count.text), std::mem::take(&mut count.left_out))).collect()
    }
}

/// Leaves out of the log what comes too often.
pub(super) struct Limiting(pub Arc<Limit>);

impl<S: Subscriber> Layer<S> for Limiting {
    fn event_enabled(&self, event: &Event<'_>, _context: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO {
            return true;
        }
        let origin = (metadata.file().unwrap_or(metadata.target()), metadata.line().unwrap_or_default());
        self.0.takes(origin, clock::now().mono, || {
            let mut message = Message(String::new());
            event.record(&mut message);
            message.0
        })
    }
}

/// Finds the sentence among the fields.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_comes_too_often_is_left_out_and_counted() {
        let limit = Limit::default();
        let start = clock::now().mono;
        let mut texts = 0;
        let mut takes = |origin, after: u64| {
            limit.takes(origin, start + Duration::from_millis(after), || {
                texts += 1;
                "sentence".to_owned()
            })
        };
        let (one, other) = (("a.rs", 1), ("a.rs", 2));
        let logged = (0..1000).filter(|_| takes(one, 0)).count();
        assert_eq!(logged, MAX_IN_WINDOW as usize);
        assert!(takes(other, 0), "others are logged");
        assert!(!takes(one, 9_999) && takes(one, 10_000));
        assert_eq!(texts, 1);
        assert_eq!(limit.left_out(), [("sentence".to_owned(), 951)]);
        assert_eq!(limit.left_out(), []);
    }
}
