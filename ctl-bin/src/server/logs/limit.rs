//! How often one message is logged: what strangers cause must not fill the disk, and what broke is said once, not ten thousand
//! times a second.

use std::borrow::Cow;
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
/// The most that is kept of a message that was left out, in bytes.
const MAX_TEXT: usize = 200;
/// What messages of crates have as their target that log in another way (`log`); where they come from is in their fields.
const FOREIGN: &str = "log";

/// A message by where in the sources it is, so that there are no more than these.
type Origin = (Cow<'static, str>, u64);

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
        if *event.metadata().level() > Level::INFO {
            return true;
        }
        self.0.takes(origin(event), clock::now().mono, || {
            let mut message = Message(String::new());
            event.record(&mut message);
            message.0
        })
    }
}

fn origin(event: &Event<'_>) -> Origin {
    let metadata = event.metadata();
    if metadata.target() == FOREIGN {
        let mut place = Place((Cow::Borrowed(FOREIGN), 0));
        event.record(&mut place);
        return place.0;
    }
    (Cow::Borrowed(metadata.file().unwrap_or(metadata.target())), metadata.line().unwrap_or_default().into())
}

/// Finds the sentence among the fields.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
            self.0.truncate(self.0.floor_char_boundary(MAX_TEXT));
        }
    }
}

/// Finds among the fields where in the sources it is.
struct Place(Origin);

impl Visit for Place {
    fn record_debug(&mut self, _field: &Field, _value: &dyn fmt::Debug) {}

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "log.line" {
            self.0.1 = value;
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "log.file" {
            self.0.0 = Cow::Owned(value.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing::info;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::registry;

    use super::*;

    /// Counts the lines that are written, by their message.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<BTreeMap<String, u64>>>);

    impl<S: Subscriber> Layer<S> for Lines {
        fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
            let mut message = Message(String::new());
            event.record(&mut message);
            *self.0.lock().unwrap().entry(message.0).or_default() += 1;
        }
    }

    #[test]
    fn a_flood_of_one_message_is_cut_silences_no_other_and_takes_no_memory() {
        let (limit, lines) = (Arc::new(Limit::default()), Lines::default());
        let subscriber = registry().with(Limiting(Arc::clone(&limit))).with(lines.clone());
        let long = "x".repeat(1000);
        tracing::subscriber::with_default(subscriber, || {
            for number in 0..10_000 {
                info!(number, peer = %format_args!("{number:010x}"), "flood");
                if number % 500 == 0 {
                    warn!(number, "now and then");
                    // As crates do it that log in another way, all through one place in the sources of the bridge.
                    for line in [7_u64, 8] {
                        info!(target: "log", { log.file = "other.rs", log.line = line }, "of another crate {line}");
                    }
                }
                if number < 100 {
                    info!(target: "log", { log.file = "noisy.rs", log.line = 7_u64 }, "long {number} {long}");
                }
            }
            limit.report();
        });
        let lines = lines.0.lock().unwrap();
        let of = |message: &str| lines.get(message).copied().unwrap_or_default();
        assert_eq!((of("flood"), of("now and then")), (MAX_IN_WINDOW.into(), 20));
        assert_eq!((of("of another crate 7"), of("of another crate 8")), (20, 20));
        assert_eq!(of("the same came too often to be logged each time"), 2, "{lines:?}");
        let messages = limit.messages.lock().unwrap();
        // The four, the long one, and that something was left out.
        assert_eq!(messages.len(), 6, "{messages:?}");
        assert!(messages.values().all(|count| count.text.len() <= MAX_TEXT));
    }

    #[test]
    fn a_message_that_comes_too_often_is_left_out_and_counted() {
        let limit = Limit::default();
        let start = clock::now().mono;
        let mut texts = 0;
        let mut takes = |origin: Origin, after: u64| {
            limit.takes(origin, start + Duration::from_millis(after), || {
                texts += 1;
                "sentence".to_owned()
            })
        };
        let (one, other) = (|| ("a.rs".into(), 1), || ("a.rs".into(), 2));
        let logged = (0..1000).filter(|_| takes(one(), 0)).count();
        assert_eq!(logged, MAX_IN_WINDOW as usize);
        assert!(takes(other(), 0), "others are logged");
        assert!(!takes(one(), 9_999) && takes(one(), 10_000));
        assert_eq!(texts, 1);
        assert_eq!(limit.left_out(), [("sentence".to_owned(), 951)]);
        assert_eq!(limit.left_out(), []);
    }
}
