//! What happened lately, for those who watch: one bounded row that every watcher reads at its own pace.
//!
//! The API puts in what was done through it, the program around it what else happened. A watcher has no queue of its own,
//! only its place in the row, so it costs the same whether it is quick or slow; whoever falls behind the end is told so.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ctl_core::Event;
use tokio::sync::watch;
use zt_proto::Timestamp;

/// Events that are kept. A watcher that was away may come back for those.
const MAX_EVENTS: usize = 4096;
/// Watchers at the same time.
const MAX_WATCHERS: usize = 128;
/// Watchers with one token.
const MAX_WATCHERS_PER_TOKEN: usize = 16;
/// Events that a watcher takes at once.
const MAX_TAKEN: usize = 256;
/// After so long without an event a watcher hears that the connection lives, and its token is looked at again.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// So often the token of a watcher is looked at again while there are events.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

/// What happened lately. Clones share it.
#[derive(Debug, Clone)]
pub struct Events {
    shared: Arc<Shared>,
    heartbeat: Duration,
}

#[derive(Debug)]
struct Shared {
    /// Tells the ids of one run of the program from those of another.
    epoch: u64,
    row: Mutex<Row>,
    /// The number of the newest event, for those who wait for another.
    newest: watch::Sender<u64>,
    /// How many watch with each token; no more entries than watchers.
    watchers: Mutex<BTreeMap<String, usize>>,
}

#[derive(Debug, Default)]
struct Row {
    /// How many events came before those that are here.
    gone: u64,
    events: VecDeque<Event>,
    has_ended: bool,
}

/// Where a watcher is: after so many events of this run. As text it is the id of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    epoch: u64,
    number: u64,
}

/// What a watcher gets next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Some events, each with the place after it.
    Events(Vec<(Place, Event)>),
    /// Nothing happened for a while.
    Nothing,
    /// There were so many that some are gone.
    Missed,
    /// There will be no more.
    Ended,
}

/// Too many watch already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} requests for events are open already, expected fewer; close one first")]
pub(crate) struct TooManyWatchers(usize);

/// A watcher; its place is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Watcher {
    events: Events,
    number: u64,
    newest: watch::Receiver<u64>,
    token: String,
}

impl Events {
    /// Returns an empty row of a program that was started at `started`.
    pub fn new(started: Timestamp) -> Self {
        let shared = Shared {
            epoch: started.0,
            row: Mutex::default(),
            newest: watch::channel(0).0,
            watchers: Mutex::default(),
        };
        Self { shared: Arc::new(shared), heartbeat: HEARTBEAT }
    }

    /// Changes after how long without an event a watcher hears something.
    #[must_use]
    pub fn with_heartbeat(self, heartbeat: Duration) -> Self {
        Self { heartbeat, ..self }
    }

    /// Tells everybody who watches; the oldest events give way.
    pub fn publish(&self, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        let mut row = self.row();
        for event in events {
            if row.events.len() >= MAX_EVENTS {
                row.events.pop_front();
                row.gone += 1;
            }
            row.events.push_back(*event);
        }
        self.shared.newest.send_replace(row.end());
    }

    /// Has those look who wait for [`Events::changes`], though nothing happened that an event tells.
    pub(crate) fn wake(&self) {
        let row = self.row();
        self.shared.newest.send_replace(row.end());
    }

    /// Returns what changes with every event, for those who only want to know that there was one.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.newest.subscribe()
    }

    /// Returns the events that are kept, oldest first.
    pub fn recent(&self) -> Vec<Event> {
        self.row().events.iter().copied().collect()
    }

    /// Sends the watchers away.
    pub(crate) fn end(&self) {
        let mut row = self.row();
        row.has_ended = true;
        self.shared.newest.send_replace(row.end());
    }

    /// Begins to watch with a token of this name, after `last` if that is known and what followed is still here, else from
    /// now on. Says which of the two.
    pub(crate) fn watch(&self, token: &str, last: Option<Place>) -> Result<(Watcher, bool), TooManyWatchers> {
        let mut watchers = lock(&self.shared.watchers);
        let of_token = watchers.get(token).copied().unwrap_or(0);
        let all = watchers.values().sum::<usize>();
        if of_token >= MAX_WATCHERS_PER_TOKEN {
            return Err(TooManyWatchers(of_token));
        }
        if all >= MAX_WATCHERS {
            return Err(TooManyWatchers(all));
        }
        watchers.insert(token.to_owned(), of_token + 1);
        drop(watchers);
        // Before the row is looked at, so that nothing is missed in between.
        let newest = self.shared.newest.subscribe();
        let row = self.row();
        let known = last
            .filter(|last| last.epoch == self.shared.epoch)
            .filter(|last| (row.gone..=row.end()).contains(&last.number));
        let number = known.map_or_else(|| row.end(), |last| last.number);
        drop(row);
        Ok((Watcher { events: self.clone(), number, newest, token: token.to_owned() }, known.is_some()))
    }

    fn row(&self) -> MutexGuard<'_, Row> {
        lock(&self.shared.row)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here panics half way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Row {
    /// Returns the number of the newest event.
    fn end(&self) -> u64 {
        self.gone + self.events.len() as u64
    }
}

impl Watcher {
    pub(crate) fn place(&self) -> Place {
        Place { epoch: self.events.shared.epoch, number: self.number }
    }

    /// Returns how old what is known of the token may be when something is told.
    pub(crate) fn looks_every(&self) -> Duration {
        self.events.heartbeat.min(LOOKS_EVERY)
    }

    /// Waits for what comes next, but no longer than until the heartbeat.
    pub(crate) async fn next(&mut self) -> Next {
        if let Some(next) = self.take() {
            return next;
        }
        // The sender is as old as this.
        let changed = tokio::time::timeout(self.events.heartbeat, self.newest.changed()).await;
        if changed.is_err() { Next::Nothing } else { self.take().unwrap_or(Next::Nothing) }
    }

    fn take(&mut self) -> Option<Next> {
        self.newest.mark_unchanged();
        let row = self.events.row();
        let Some(passed) = self.number.checked_sub(row.gone) else { return Some(Next::Missed) };
        let passed = usize::try_from(passed).unwrap_or(usize::MAX);
        let new: Vec<_> = row.events.iter().skip(passed).take(MAX_TAKEN).copied().collect();
        let has_ended = row.has_ended;
        drop(row);
        if new.is_empty() {
            return has_ended.then_some(Next::Ended);
        }
        let mut events = Vec::with_capacity(new.len());
        for event in new {
            self.number += 1;
            events.push((self.place(), event));
        }
        Some(Next::Events(events))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut watchers = lock(&self.events.shared.watchers);
        if let Some(count) = watchers.get_mut(&self.token) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                watchers.remove(&self.token);
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.number)
    }
}

impl Place {
    /// Reads the id of an event; what is none is of nobody.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (epoch, number) = text.split_once('-')?;
        Some(Self { epoch: epoch.parse().ok()?, number: number.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use ctl_core::EventKind;
    use zt_proto::NetworkId;

    use super::*;

    fn event(number: u64) -> Event {
        let kind = EventKind::NetworkChanged;
        Event { kind, network: NetworkId(number), member: None, revision: None, time: Timestamp(0) }
    }

    fn numbers(next: Option<Next>) -> Vec<u64> {
        let Some(Next::Events(events)) = next else { panic!("expected events, got {next:?}") };
        events.iter().map(|(_, event)| event.network.0).collect()
    }

    #[test]
    fn watcher_gets_what_happens_from_its_place_on() {
        let events = Events::new(Timestamp(7));
        events.publish(&[event(1)]);
        let (mut watcher, is_resumed) = events.watch("a", None).unwrap();
        assert!(!is_resumed && watcher.take().is_none());
        events.publish(&[event(2), event(3)]);
        let place = Place::parse("7-2").unwrap();
        assert_eq!(numbers(watcher.take()), [2, 3]);
        assert_eq!(watcher.place().to_string(), "7-3");
        let (mut back, is_resumed) = events.watch("a", Some(place)).unwrap();
        assert!(is_resumed);
        assert_eq!(numbers(back.take()), [3]);
        events.end();
        assert_eq!((watcher.take(), back.take()), (Some(Next::Ended), Some(Next::Ended)));
    }

    #[test]
    fn place_that_is_not_of_this_row_is_now() {
        let events = Events::new(Timestamp(7));
        events.publish(&[event(1)]);
        for last in ["6-0", "7-2", "8-1"] {
            let (watcher, is_resumed) = events.watch("a", Place::parse(last)).unwrap();
            assert_eq!((watcher.place().to_string().as_str(), is_resumed), ("7-1", false), "{last}");
        }
        for text in ["", "-", "7", "7-", "-1", "7-x", "7-1-1", "7-99999999999999999999"] {
            assert_eq!(Place::parse(text), None, "{text}");
        }
    }

    /// `known-flaws.md` row 7.
    #[test]
    fn slow_watcher_costs_nothing_and_learns_that_it_missed_something() {
        let events = Events::new(Timestamp(7));
        let (mut slow, _) = events.watch("a", None).unwrap();
        for number in 0..MAX_EVENTS as u64 + 1 {
            events.publish(&[event(number)]);
        }
        assert_eq!(events.row().events.len(), MAX_EVENTS);
        assert_eq!(slow.take(), Some(Next::Missed));
        // One who missed nothing gets it in pieces.
        let (mut other, is_resumed) = events.watch("a", Place::parse("7-1")).unwrap();
        assert!(is_resumed);
        let mut count = 0;
        while let Some(Next::Events(some)) = other.take() {
            assert!(some.len() <= MAX_TAKEN);
            count += some.len();
        }
        assert_eq!(count, MAX_EVENTS);
    }

    /// `known-flaws.md` row 7.
    #[test]
    fn watchers_are_bounded_in_all_and_for_each_token() {
        let events = Events::new(Timestamp(7));
        let mut watchers: Vec<_> =
            (0..MAX_WATCHERS_PER_TOKEN).map(|_| events.watch("a", None).unwrap()).collect();
        assert_eq!(events.watch("a", None).unwrap_err(), TooManyWatchers(MAX_WATCHERS_PER_TOKEN));
        for number in MAX_WATCHERS_PER_TOKEN..MAX_WATCHERS {
            watchers.push(events.watch(&format!("b{number}"), None).unwrap());
        }
        assert!(events.watch("c", None).is_err());
        drop(watchers);
        assert!(events.shared.watchers.lock().unwrap().is_empty());
        assert!(events.watch("c", None).is_ok());
    }

    #[tokio::test]
    async fn watcher_hears_at_once_of_an_event_and_otherwise_that_nothing_happened() {
        let events = Events::new(Timestamp(7));
        let impatient = events.clone().with_heartbeat(Duration::from_millis(1));
        assert_eq!(impatient.watch("a", None).unwrap().0.next().await, Next::Nothing);
        let (mut watcher, _) = events.watch("a", None).unwrap();
        let waiting = tokio::spawn(async move { watcher.next().await });
        tokio::task::yield_now().await;
        events.publish(&[event(1)]);
        assert_eq!(numbers(Some(waiting.await.unwrap())), [1]);
    }
}
