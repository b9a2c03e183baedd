//! The only loop that drives the node.

use std::io;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::{debug, trace};
use zt_proto::PublicIdentity;
use zt_proto::world::World;

use super::clock;
use super::secondary::OfflineTime;
use super::sockets::{Batch, Buffers, Sockets};
use crate::vl1::{ConfigRequested, Event, Node, Now, Transmit};

/// Commands that are carried out between two looks at the sockets.
const MAX_COMMANDS_AT_ONCE: usize = 32;

/// How often it is looked whether the node is online.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// A command to the node, from the parts that run beside the loop.
pub(super) type Command = Box<dyn FnOnce(&mut Node, Now) + Send>;

/// Answers a request without waiting, with the payloads of a configuration; `None` if that cannot be done.
pub(super) type AtOnce = Box<dyn Fn(&ConfigRequested, Now) -> Option<Vec<Vec<u8>>> + Send + Sync>;

/// Runs the node until `shutdown` becomes true: waits for inputs, hands them over, sends and reports what follows. What
/// had been decided by then is still sent.
///
/// Requests are answered by `at_once` if it can, which saves two changes of threads. All other events go to `events`; when
/// nobody takes them in time they are dropped, and the clients ask again.
pub(super) async fn run(
    mut node: Node,
    mut sockets: Sockets,
    mut commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<Event>,
    at_once: AtOnce,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut buffers = Buffers::new();
    let (mut transmits, mut unsaved) = (Vec::new(), Vec::new());
    let (mut looks, mut offline) = (interval(LOOK_INTERVAL), OfflineTime::default());
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let due = node.poll_timeout().map(Instant::from_std);
        tokio::select! {
            received = sockets.receive(&mut buffers) => take_batch(&mut node, received, &mut buffers),
            command = commands.recv() => match command {
                Some(command) => carry_out(&mut node, command, &mut commands),
                None => return,
            },
            () = wait_until(due) => node.handle_timeout(clock::now()),
            _ = looks.tick() => {
                let now = clock::now();
                if offline.is_over(node.is_online(now) || !node.has_roots_above(), now.mono) {
                    sockets.redraw_secondary();
                }
            }
            _ = shutdown.changed() => break,
        }
        report(&mut node, &events, &at_once, &mut unsaved);
        send_all(&mut node, &sockets, &mut transmits).await;
    }
    commands.close();
    while let Some(command) = commands.recv().await {
        command(&mut node, clock::now());
    }
    send_all(&mut node, &sockets, &mut transmits).await;
}

fn carry_out(node: &mut Node, first: Command, commands: &mut mpsc::Receiver<Command>) {
    first(node, clock::now());
    for _ in 1..MAX_COMMANDS_AT_ONCE {
        let Ok(command) = commands.try_recv() else { return };
        command(node, clock::now());
    }
}

async fn send_all(node: &mut Node, sockets: &Sockets, transmits: &mut Vec<Transmit>) {
    transmits.extend(std::iter::from_fn(|| node.poll_transmit()));
    sockets.send(transmits).await;
    transmits.clear();
}

fn report(node: &mut Node, events: &mpsc::Sender<Event>, at_once: &AtOnce, unsaved: &mut Vec<World>) {
    let mut others = Vec::new();
    while let Some(event) = node.poll_event() {
        if let Event::ConfigRequested(requested) = &event {
            let now = clock::now();
            if let Some(chunks) = at_once(requested, now) {
                node.reply_config(now, requested.request, &chunks);
                continue;
            }
        }
        others.push(event);
    }
    for identity in hand_over(others.into_iter(), events, unsaved) {
        node.identity_refused(&identity);
    }
}

/// Hands events over; returns the identities that nobody has time to verify. Who wants anything else asks again, but a world
/// comes once: the latest version of each is kept in `unsaved` until it is taken.
fn hand_over(
    new: impl Iterator<Item = Event>,
    events: &mpsc::Sender<Event>,
    unsaved: &mut Vec<World>,
) -> Vec<PublicIdentity> {
    let mut lost = Vec::new();
    let waiting = std::mem::take(unsaved).into_iter().map(|world| Event::WorldUpdated(Box::new(world)));
    for event in waiting.chain(new) {
        let Err(error) = events.try_send(event) else { continue };
        match error.into_inner() {
            Event::WorldUpdated(world) => {
                unsaved.retain(|known| (known.kind, known.id) != (world.kind, world.id));
                unsaved.push(*world);
            }
            Event::IdentityToVerify(identity) => lost.push(identity),
            Event::IdentityWanted(_)
            | Event::ConfigRequested(_)
            | Event::ConfigAcknowledged { .. }
            | Event::Greeted(_) => debug!("event dropped; the client will ask again"),
        }
    }
    lost
}

async fn wait_until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn take_batch(node: &mut Node, received: io::Result<Batch>, buffers: &mut Buffers) {
    let batch = match received {
        Ok(batch) => batch,
        Err(error) => {
            // An ICMP error about something sent earlier; the socket is fine.
            debug!(%error, "receive failed");
            return;
        }
    };
    let now = clock::now();
    for (link, datagram) in batch.datagrams(buffers) {
        let size_bytes = datagram.len();
        if let Err(reason) = node.handle_datagram(now, link, datagram) {
            debug!(remote = %link.remote, size_bytes, %reason, "datagram ignored");
        } else {
            trace!(remote = %link.remote, size_bytes, "datagram handled");
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_core::SeedableRng;
    use zt_crypto::WorldKey;
    use zt_proto::credential::Signature;
    use zt_proto::world::WorldKind;
    use zt_proto::{Address, Timestamp};

    use super::*;

    fn world(id: u64, version: u64) -> Event {
        let update_key = *WorldKey::generate(&mut rand_chacha::ChaCha20Rng::from_seed([1; 32])).public();
        let (kind, timestamp) = (WorldKind::Planet, Timestamp(version));
        let signature = Signature::NONE;
        Event::WorldUpdated(Box::new(World { kind, id, timestamp, update_key, signature, roots: Vec::new() }))
    }

    #[test]
    fn the_latest_version_of_a_world_is_handed_over_however_busy_everybody_is() {
        let (sender, mut events) = mpsc::channel(1);
        let mut unsaved = Vec::new();
        let identity = PublicIdentity { address: Address::from_low_bits(7), key: [0; 64] };
        let busy = Event::IdentityWanted(identity.address);
        let new = [busy.clone(), world(1, 1), Event::IdentityToVerify(identity), world(2, 1), world(1, 2)];
        assert_eq!(hand_over(new.into_iter(), &sender, &mut unsaved), [identity]);
        assert_eq!(hand_over(std::iter::empty(), &sender, &mut unsaved), []);
        assert_eq!(events.try_recv().unwrap(), busy);
        for expected in [world(2, 1), world(1, 2)] {
            hand_over(std::iter::empty(), &sender, &mut unsaved);
            assert_eq!(events.try_recv().unwrap(), expected);
        }
        assert!(unsaved.is_empty() && events.try_recv().is_err());
    }
}
