//! The only loop that drives the node.

use std::io;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, trace};

use super::clock;
use super::sockets::{Batch, Buffers, Sockets};
use crate::vl1::{Event, Node, Now, Transmit};

/// Commands that are carried out between two looks at the sockets.
const MAX_COMMANDS_AT_ONCE: usize = 32;

/// A command to the node, from the parts that run beside the loop.
pub(super) type Command = Box<dyn FnOnce(&mut Node, Now) + Send>;

/// Runs the node until `shutdown` becomes true: waits for inputs, hands them over, sends and reports what follows. What
/// had been decided by then is still sent.
///
/// Events go to `events`; when nobody takes them in time they are dropped, and the clients ask again.
pub(super) async fn run(
    mut node: Node,
    mut sockets: Sockets,
    mut commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<Event>,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut buffers = Buffers::new();
    let mut transmits = Vec::new();
    loop {
        let due = node.poll_timeout().map(Instant::from_std);
        tokio::select! {
            received = sockets.receive(&mut buffers) => take_batch(&mut node, received, &mut buffers),
            command = commands.recv() => match command {
                Some(command) => carry_out(&mut node, command, &mut commands),
                None => return,
            },
            () = wait_until(due) => node.handle_timeout(clock::now()),
            _ = shutdown.changed() => break,
        }
        send_all(&mut node, &sockets, &mut transmits).await;
        report(&mut node, &events);
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

fn report(node: &mut Node, events: &mpsc::Sender<Event>) {
    while let Some(event) = node.poll_event() {
        let Err(error) = events.try_send(event) else { continue };
        debug!(%error, "event dropped; the client will ask again");
        if let Event::IdentityToVerify(identity) = error.into_inner() {
            node.identity_refused(&identity);
        }
    }
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
