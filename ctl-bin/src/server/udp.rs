//! The only loop that drives the node.

use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::{debug, trace};
use zt_proto::compression::Payload;

use super::clock;
use super::hand_over::{Outbox, Untold};
use super::secondary::OfflineTime;
use super::sockets::{Batch, Buffers, Sockets};
use crate::vl1::{ConfigRequested, Event, Node, Now, Transmit};

/// How long commands are carried out, or datagrams are taken, while some of the other kind may wait: 10,000 datagrams that
/// come in a tenth of a second, as after a restart, would fill what the kernel holds for the socket.
const TURN: Duration = Duration::from_millis(1);

/// How often it is looked whether the node is online.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// A command to the node, from the parts that run beside the loop.
pub(super) type Command = Box<dyn FnOnce(&mut Node, Now) + Send>;

/// Answers a request without waiting, with what [`Node::reply_prepared`] takes; `None` if that cannot be done.
pub(super) type AtOnce = Box<dyn Fn(&ConfigRequested, Now) -> Option<Vec<Payload>> + Send + Sync>;

/// Runs the node until `shutdown` becomes true: waits for inputs, hands them over, sends and reports what follows. What
/// had been decided by then is still sent, but nothing if the sender of `shutdown` is gone.
///
/// Requests are answered by `at_once` if it can, which saves two changes of threads. All else goes to `outbox`; what nobody
/// takes in time is dropped, and the clients ask again, or is kept if it comes once ([`Untold`]).
pub(super) async fn run(
    mut node: Node,
    mut sockets: Sockets,
    mut commands: mpsc::Receiver<Command>,
    outbox: Outbox,
    at_once: AtOnce,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut buffers = Buffers::new();
    let (mut transmits, mut untold) = (Vec::new(), Untold::default());
    let (mut looks, mut offline) = (interval(LOOK_INTERVAL), OfflineTime::default());
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Made once: what is armed and disarmed for each datagram costs as much as a table.
    let mut alarm = pin!(sleep_until(Instant::from_std(clock::now().mono)));
    let mut stopping = pin!(shutdown.changed());
    loop {
        let due = node.poll_timeout().map(Instant::from_std);
        if let Some(due) = due.filter(|due| *due != alarm.deadline()) {
            alarm.as_mut().reset(due);
        }
        tokio::select! {
            received = sockets.receive(&mut buffers) => {
                let begun = clock::now().mono;
                take_batch(&mut node, received, &mut buffers);
                while clock::now().mono.saturating_duration_since(begun) < TURN
                    && let Some(received) = sockets.try_receive(&mut buffers)
                {
                    // Each batch is answered before the next is looked at.
                    report(&mut node, &outbox, &at_once, &mut untold);
                    send_all(&mut node, &sockets, &mut transmits).await;
                    take_batch(&mut node, received, &mut buffers);
                }
            }
            command = commands.recv() => match command {
                Some(command) => carry_out(&mut node, command, &mut commands),
                None => return,
            },
            () = &mut alarm, if due.is_some() => node.handle_timeout(clock::now()),
            _ = looks.tick() => {
                let now = clock::now();
                if offline.is_over(node.is_online(now) || !node.has_roots_above(), now.mono) {
                    sockets.redraw_secondary();
                }
            }
            // Who just goes away, as when another one serves, wants nothing more to be sent.
            ordered = &mut stopping => if ordered.is_ok() { break } else { return },
        }
        report(&mut node, &outbox, &at_once, &mut untold);
        send_all(&mut node, &sockets, &mut transmits).await;
    }
    commands.close();
    while let Some(command) = commands.recv().await {
        command(&mut node, clock::now());
    }
    send_all(&mut node, &sockets, &mut transmits).await;
}

fn carry_out(node: &mut Node, first: Command, commands: &mut mpsc::Receiver<Command>) {
    let begun = clock::now();
    first(node, begun);
    let mut now = clock::now();
    while now.mono.saturating_duration_since(begun.mono) < TURN
        && let Ok(command) = commands.try_recv()
    {
        command(node, now);
        now = clock::now();
    }
}

async fn send_all(node: &mut Node, sockets: &Sockets, transmits: &mut Vec<Transmit>) {
    transmits.extend(std::iter::from_fn(|| node.poll_transmit()));
    sockets.send(transmits).await;
    transmits.drain(..).for_each(|transmit| node.sent(transmit));
}

fn report(node: &mut Node, outbox: &Outbox, at_once: &AtOnce, untold: &mut Untold) {
    let (mut others, now) = (Vec::new(), clock::now());
    while let Some(event) = node.poll_event() {
        if let Event::ConfigRequested(requested) = &event
            && let Some(payloads) = at_once(requested, now)
        {
            node.reply_prepared(now, requested.request, requested.network, &payloads);
            continue;
        }
        others.push(event);
    }
    for identity in untold.hand_over(others.into_iter(), &outbox.events) {
        node.identity_refused(&identity);
    }
    while let Some(address) = node.poll_recall() {
        if outbox.recalls.try_send(address).is_err() {
            debug!(peer = %address, "identity not looked up; it is when the node speaks again");
        }
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
    use std::net::Ipv4Addr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::super::secondary::SecondaryPort;
    use super::*;

    /// Commands that wait when the end comes: more than the loop takes by chance before it looks at that.
    const COMMANDS: usize = 64;

    /// Who goes away because another one serves would answer in its place.
    #[tokio::test]
    async fn commands_that_wait_are_carried_out_when_the_end_is_ordered_and_not_when_nobody_orders_it() {
        let (stop, stopped) = watch::channel(false);
        stop.send(true).unwrap();
        assert_eq!(carried_out(stopped).await, COMMANDS);
        let (stop, stopped) = watch::channel(false);
        drop(stop);
        let count = carried_out(stopped).await;
        assert!(count < COMMANDS, "all {count}");
    }

    /// Runs a node for which commands wait already, and returns how many it carried out before it ended.
    async fn carried_out(stopped: watch::Receiver<bool>) -> usize {
        let loopback = Some(Ipv4Addr::LOCALHOST.into());
        let sockets =
            Sockets::bind(loopback, 0, SecondaryPort::Off, ChaCha20Rng::from_seed([7; 32])).unwrap();
        let (sender, commands) = mpsc::channel::<Command>(COMMANDS);
        let (outbox, _inbox) = Outbox::with_room(1);
        let count = Arc::new(AtomicUsize::new(0));
        for _ in 0..COMMANDS {
            let count = Arc::clone(&count);
            let command = move |_: &mut Node, now: Now| {
                // Each takes a turn of its own.
                while clock::now().mono.saturating_duration_since(now.mono) < TURN {}
                count.fetch_add(1, Ordering::Relaxed);
            };
            sender.try_send(Box::new(command)).unwrap_or_else(|error| panic!("{error}"));
        }
        run(Node::with_peers(0), sockets, commands, outbox, Box::new(|_, _| None), stopped).await;
        count.load(Ordering::Relaxed)
    }
}
