//! Sends changes, and tells what happened, in the order of their commits, though many requests commit at the same time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ctl_core::{Change, Event};
use tokio::sync::mpsc;
use tracing::debug;

use crate::events::Events;

/// Changes that were made and are not yet known to be committed.
///
/// A transaction enters its change while it is the only one, so the order of the entries is that of the commits. Who
/// learns later how it ended sends whatever is then at the front.
pub(crate) struct Outbox {
    waiting: Mutex<Waiting>,
    changes: mpsc::UnboundedSender<Change>,
    events: Events,
}

#[derive(Default)]
struct Waiting {
    /// Number of the first entry.
    first: u64,
    entries: VecDeque<Entry>,
}

struct Entry {
    change: Option<Change>,
    events: Vec<Event>,
    /// `None` while nobody knows.
    is_committed: Option<bool>,
}

/// The place of one change. Dropped without [`Ticket::committed`], the change is not sent.
pub(crate) struct Ticket {
    outbox: Arc<Outbox>,
    number: u64,
    is_committed: bool,
}

impl Outbox {
    pub(crate) fn new(changes: mpsc::UnboundedSender<Change>, events: Events) -> Self {
        Self { waiting: Mutex::default(), changes, events }
    }

    /// Enters a change and what it means to those who watch; to be called inside of the transaction that makes it.
    pub(crate) fn enter(self: &Arc<Self>, change: Option<Change>, events: Vec<Event>) -> Ticket {
        let mut waiting = self.lock();
        let number = waiting.first.wrapping_add(waiting.entries.len() as u64);
        waiting.entries.push_back(Entry { change, events, is_committed: None });
        Ticket { outbox: Arc::clone(self), number, is_committed: false }
    }

    fn settle(&self, number: u64, is_committed: bool) {
        let mut waiting = self.lock();
        let place = usize::try_from(number.wrapping_sub(waiting.first)).unwrap_or(usize::MAX);
        if let Some(entry) = waiting.entries.get_mut(place) {
            entry.is_committed = Some(is_committed);
        }
        while let Some(is_committed) = waiting.entries.front().and_then(|entry| entry.is_committed) {
            let Some(Entry { change, events, .. }) = waiting.entries.pop_front() else { break };
            waiting.first = waiting.first.wrapping_add(1);
            if !is_committed {
                continue;
            }
            self.events.publish(&events);
            if change.is_some_and(|change| self.changes.send(change).is_err()) {
                debug!(?change, "change went to nobody");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in here panics half way.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// The change is on the disk.
    pub(crate) fn committed(mut self) {
        self.is_committed = true;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.outbox.settle(self.number, self.is_committed);
    }
}

#[cfg(test)]
mod tests {
    use zt_proto::{NetworkId, Timestamp};

    use super::*;

    fn change(number: u64) -> Change {
        Change::Network(NetworkId(number))
    }

    fn sent(receiver: &mut mpsc::UnboundedReceiver<Change>) -> Vec<Change> {
        std::iter::from_fn(|| receiver.try_recv().ok()).collect()
    }

    #[test]
    fn changes_leave_in_the_order_in_which_they_entered() {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let outbox = Arc::new(Outbox::new(sender, Events::new(Timestamp(1))));
        let [one, two, three, four] =
            [1, 2, 3, 4].map(|number| outbox.enter(Some(change(number)), Vec::new()));
        three.committed();
        assert_eq!(sent(&mut receiver), []);
        one.committed();
        assert_eq!(sent(&mut receiver), [change(1)]);
        drop(two); // its transaction failed
        assert_eq!(sent(&mut receiver), [change(3)]);
        let five = outbox.enter(Some(change(5)), Vec::new());
        five.committed();
        assert_eq!(sent(&mut receiver), []);
        four.committed();
        assert_eq!(sent(&mut receiver), [change(4), change(5)]);
        assert!(outbox.lock().entries.is_empty());
    }
}
