//! What systemd hears of the controller: that it is ready, that it lives, that it ends. Without systemd nobody listens.

use std::future::pending;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tracing::debug;

use super::udp::Command;
use crate::vl1::Node;

/// Says that clients are served; `status` is what `systemctl status` shows.
pub(super) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Says that the end was asked for, and takes its time.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        debug!(%error, "the supervisor does not listen");
    }
}

/// Says that the controller lives, for as long as the loop of the node does what it is told. A loop that hangs is not
/// spoken for, and systemd starts the program again (`WatchdogSec=`).
pub(super) async fn keep_alive(node: mpsc::Sender<Command>) {
    match sd_notify::watchdog_enabled() {
        // Twice in the time that systemd waits.
        Some(limit) => beat(node, limit / 2, || tell(&[NotifyState::Watchdog])).await,
        None => pending().await,
    }
}

/// Calls `alive` every `period`, each time after the loop of the node has answered; returns when that has ended.
async fn beat(node: mpsc::Sender<Command>, period: Duration, alive: impl Fn()) {
    loop {
        let (answer, answered) = oneshot::channel();
        let command = move |_: &mut Node, _| {
            // Whoever asked may have ended meanwhile.
            answer.send(()).unwrap_or(());
        };
        if node.send(Box::new(command)).await.is_err() || answered.await.is_err() {
            return;
        }
        alive();
        sleep(period).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_loop_that_hangs_is_not_spoken_for() {
        let (sender, mut commands) = mpsc::channel(1);
        let beats = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&beats);
        let beating = tokio::spawn(beat(sender, Duration::from_millis(1), move || {
            counted.fetch_add(1, Ordering::SeqCst);
        }));
        let mut node = Node::with_peers(0);
        for expected in 0..3 {
            let command = commands.recv().await.unwrap();
            // Taken, and not carried out: whatever time passes, nothing is said.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            assert_eq!(beats.load(Ordering::SeqCst), expected);
            command(&mut node, super::super::clock::now());
        }
        drop(commands);
        beating.await.unwrap();
        assert_eq!(beats.load(Ordering::SeqCst), 3);
    }
}
