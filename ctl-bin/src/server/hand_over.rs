//! From the loop of the node to those who work its events off: it never waits for them.

use std::collections::VecDeque;

use tokio::sync::mpsc;
use tracing::debug;
use zt_proto::world::World;
use zt_proto::{Address, PublicIdentity};

use crate::vl1::{Event, MAX_RECALLS};

/// Greeted nodes that wait to be told about. No more are ever greeted after a start (`takeover.rs`).
const MAX_GREETED: usize = 131_072;
/// Events that wait to be worked off.
const MAX_EVENTS: usize = 4096;

/// What the node cannot do by itself, for those who do it.
pub(super) struct Inbox {
    pub events: mpsc::Receiver<Event>,
    pub recalls: mpsc::Receiver<Address>,
}

/// Where it is left for them.
#[derive(Debug, Clone)]
pub(super) struct Outbox {
    pub events: mpsc::Sender<Event>,
    /// Nodes whose identity somebody may remember: apart, so that no event of a member waits behind what strangers make up.
    pub recalls: mpsc::Sender<Address>,
}

impl Outbox {
    /// One with room for [`MAX_EVENTS`] and [`MAX_RECALLS`].
    pub(super) fn new() -> (Self, Inbox) {
        Self::with_room(MAX_EVENTS)
    }

    /// One with room for so many events.
    pub(super) fn with_room(max_events: usize) -> (Self, Inbox) {
        let (event_sender, events) = mpsc::channel(max_events);
        // What is free takes no memory.
        let (recall_sender, recalls) = mpsc::channel(MAX_RECALLS);
        (Self { events: event_sender, recalls: recall_sender }, Inbox { events, recalls })
    }
}

/// What comes once, and is kept until somebody has time for it.
#[derive(Debug, Default)]
pub(super) struct Untold {
    /// The latest version of each.
    worlds: Vec<World>,
    /// In the order in which they answered; of more than [`MAX_GREETED`] the newest is not told about, and asks by itself.
    greeted: VecDeque<Address>,
}

impl Untold {
    /// Hands events over, what waited before what is new; returns the identities that nobody has time to verify. Whoever
    /// wants anything else asks again when nobody has time, so that is dropped.
    pub(super) fn hand_over(
        &mut self,
        new: impl Iterator<Item = Event>,
        events: &mpsc::Sender<Event>,
    ) -> Vec<PublicIdentity> {
        self.tell(events);
        let mut lost = Vec::new();
        for event in new {
            match event {
                Event::WorldUpdated(world) => self.keep_world(*world),
                Event::Greeted(address) => {
                    if self.greeted.len() < MAX_GREETED {
                        self.greeted.push_back(address);
                    }
                }
                Event::IdentityToVerify(identity) => {
                    lost.extend(events.try_send(event).is_err().then_some(identity));
                }
                Event::ConfigRequested(_) | Event::ConfigAcknowledged { .. } => {
                    if events.try_send(event).is_err() {
                        debug!("event dropped; the client will ask again");
                    }
                }
            }
        }
        self.tell(events);
        lost
    }

    /// Hands over what is kept, as far as there is room.
    fn tell(&mut self, events: &mpsc::Sender<Event>) {
        while !(self.worlds.is_empty() && self.greeted.is_empty()) {
            let Ok(room) = events.try_reserve() else { return };
            if let Some(world) = self.worlds.pop() {
                room.send(Event::WorldUpdated(Box::new(world)));
            } else if let Some(address) = self.greeted.pop_front() {
                room.send(Event::Greeted(address));
            }
        }
    }

    fn keep_world(&mut self, world: World) {
        self.worlds.retain(|known| (known.kind, known.id) != (world.kind, world.id));
        self.worlds.push(world);
    }
}

#[cfg(test)]
mod tests {
    use rand_core::SeedableRng;
    use zt_crypto::WorldKey;
    use zt_proto::Timestamp;
    use zt_proto::credential::Signature;
    use zt_proto::world::WorldKind;

    use super::*;

    fn world(id: u64, version: u64) -> Event {
        let update_key = *WorldKey::generate(&mut rand_chacha::ChaCha20Rng::from_seed([1; 32])).public();
        let (kind, timestamp) = (WorldKind::Planet, Timestamp(version));
        let signature = Signature::NONE;
        Event::WorldUpdated(Box::new(World { kind, id, timestamp, update_key, signature, roots: Vec::new() }))
    }

    fn node(n: u64) -> Address {
        Address::from_low_bits(n)
    }

    fn busy() -> Event {
        Event::ConfigAcknowledged { member: node(0), network: zt_proto::NetworkId(0), update_id: 0 }
    }

    #[test]
    fn the_latest_version_of_a_world_is_handed_over_however_busy_everybody_is() {
        let (sender, mut events) = mpsc::channel(1);
        let mut untold = Untold::default();
        let identity = PublicIdentity { address: node(7), key: [0; 64] };
        let busy = busy();
        let new = [busy.clone(), world(1, 1), Event::IdentityToVerify(identity), world(2, 1), world(1, 2)];
        assert_eq!(untold.hand_over(new.into_iter(), &sender), [identity]);
        assert_eq!(untold.hand_over(std::iter::empty(), &sender), []);
        assert_eq!(events.try_recv().unwrap(), busy);
        for expected in [world(1, 2), world(2, 1)] {
            untold.hand_over(std::iter::empty(), &sender);
            assert_eq!(events.try_recv().unwrap(), expected);
        }
        assert!(untold.worlds.is_empty() && events.try_recv().is_err());
    }

    #[test]
    fn who_answered_a_greeting_is_told_about_when_there_is_time_in_order_and_once() {
        let (sender, mut events) = mpsc::channel(2);
        let mut untold = Untold::default();
        let answered = (1..=5).map(|n| Event::Greeted(node(n)));
        assert_eq!(untold.hand_over(answered, &sender), []);
        let mut told = Vec::new();
        while let Ok(event) = events.try_recv() {
            told.push(event);
            // Somebody new comes while the others wait: after them.
            let new = (told.len() == 1).then(|| Event::Greeted(node(6)));
            untold.hand_over(new.into_iter(), &sender);
        }
        assert_eq!(told, (1..=6).map(|n| Event::Greeted(node(n))).collect::<Vec<_>>());
        assert!(untold.greeted.is_empty());
    }

    #[test]
    fn nodes_that_strangers_make_up_take_no_room_of_events() {
        let (outbox, mut inbox) = Outbox::new();
        let recalls = (0..100_000).filter(|n| outbox.recalls.try_send(node(*n)).is_ok());
        assert_eq!(recalls.count(), MAX_RECALLS);
        let events = (0..100_000).filter(|_| outbox.events.try_send(busy()).is_ok());
        assert_eq!(events.count(), MAX_EVENTS);
        assert_eq!(inbox.recalls.try_recv(), Ok(node(0)), "the newest give way");
    }

    #[test]
    fn greeted_nodes_that_wait_are_bounded() {
        let (sender, mut events) = mpsc::channel(1);
        let mut untold = Untold::default();
        let busy = busy();
        sender.try_send(busy.clone()).unwrap();
        let more = MAX_GREETED as u64 + 10;
        untold.hand_over((0..more).map(|n| Event::Greeted(node(n))), &sender);
        assert_eq!(untold.greeted.len(), MAX_GREETED);
        assert_eq!(untold.greeted.back(), Some(&node(MAX_GREETED as u64 - 1)), "the newest give way");
        assert_eq!(events.try_recv().unwrap(), busy);
        untold.hand_over(std::iter::empty(), &sender);
        assert_eq!(events.try_recv().unwrap(), Event::Greeted(node(0)));
    }
}
