//! The tasks that run beside the UDP loop.

use std::sync::Arc;
use std::time::Duration;

use ctl_core::Change;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval, sleep_until};
use zt_proto::verb::error::ErrorCode;
use zt_proto::{Address, PublicIdentity};

use super::background::Background;
use super::clock;
use super::controller::SharedController;
use super::home::Home;
use super::takeover::Takeover;
use super::udp::Command;
use super::worlds;
use crate::vl1::{Event, Node};

/// Requests that are being answered at the same time; the database has one writer, so more would only wait for it.
const MAX_ANSWERING: usize = 16;
/// Identities that wait to be verified or recalled. One is worked on at a time: strangers get at most one core.
const MAX_QUEUED: usize = 512;
const TIDY_INTERVAL: Duration = Duration::from_secs(30);
/// What is noted and not saved is lost in a crash: these seconds of last seen data.
const SAVE_INTERVAL: Duration = Duration::from_secs(5);
const AUDIT_SWEEP_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// What the answers to the node's events need beside the controller.
pub(super) struct Surroundings {
    pub home: Arc<Home>,
    /// Whether this node is a controller at all.
    pub serves_networks: bool,
    pub node: mpsc::Sender<Command>,
    pub takeover: Arc<Takeover>,
}

/// Works off what the node cannot do by itself.
pub(super) async fn answer_events(
    controller: SharedController,
    surroundings: Surroundings,
    background: Background,
    events: mpsc::Receiver<Event>,
) {
    let (to_verify, verify_queue) = mpsc::channel(MAX_QUEUED);
    let (to_recall, recall_queue) = mpsc::channel(MAX_QUEUED);
    // Neither goes on without the other: a controller that verifies nobody lets nobody in.
    tokio::select! {
        () = verify_identities(Arc::clone(&controller), background, verify_queue, recall_queue) => {}
        () = answer_each(controller, surroundings, events, to_verify, to_recall) => {}
    }
}

async fn answer_each(
    controller: SharedController,
    surroundings: Surroundings,
    mut events: mpsc::Receiver<Event>,
    to_verify: mpsc::Sender<PublicIdentity>,
    to_recall: mpsc::Sender<Address>,
) {
    let answering = Arc::new(Semaphore::new(MAX_ANSWERING));
    while let Some(event) = events.recv().await {
        let controller = Arc::clone(&controller);
        match event {
            Event::ConfigRequested(requested) if !surroundings.serves_networks => {
                let (request, network) = (requested.request, requested.network);
                let decline = move |node: &mut Node, now| {
                    node.reply_error(now, request, ErrorCode::UNSUPPORTED_OPERATION, network, &[]);
                };
                if surroundings.node.send(Box::new(decline)).await.is_err() {
                    return;
                }
            }
            Event::WorldUpdated(world) => {
                // Waited for, so that the last one is the one that stays.
                let home = Arc::clone(&surroundings.home);
                if let Err(error) = spawn_blocking(move || worlds::save(&home, &world)).await {
                    tracing::error!(%error, "the later version of a world is not kept");
                }
            }
            Event::ConfigRequested(requested) => {
                let now = clock::now();
                if !controller.accepts(&requested, now) {
                    continue;
                }
                controller.tally.waiting.set(events.len().try_into().unwrap_or(i64::MAX));
                let Ok(permit) = Arc::clone(&answering).acquire_owned().await else { return };
                controller.tally.answering.inc();
                spawn_blocking(move || {
                    controller.answer(requested, now);
                    controller.tally.answering.dec();
                    drop(permit);
                });
            }
            Event::IdentityToVerify(identity) => {
                if let Err(error) = to_verify.try_send(identity) {
                    spawn_blocking(move || controller.refuse(error.into_inner()));
                }
            }
            Event::ConfigAcknowledged { member, network, update_id } => {
                controller.acknowledged(network, member, update_id, clock::now());
            }
            Event::Greeted(address) => {
                let Ok(permit) = Arc::clone(&answering).acquire_owned().await else { return };
                let takeover = Arc::clone(&surroundings.takeover);
                spawn_blocking(move || {
                    takeover.greeted(address, &controller, clock::now());
                    drop(permit);
                });
            }
            // Whoever is not recalled says HELLO within a minute.
            Event::IdentityWanted(address) => drop(to_recall.try_send(address)),
        }
    }
}

/// Verifies identities one after the other: those of members first, whose number the node bounds and strangers cannot
/// raise.
async fn verify_identities(
    controller: SharedController,
    background: Background,
    mut to_verify: mpsc::Receiver<PublicIdentity>,
    mut to_recall: mpsc::Receiver<Address>,
) {
    loop {
        let controller = Arc::clone(&controller);
        let verified = tokio::select! {
            biased;
            address = to_recall.recv() => match address {
                Some(address) => spawn_blocking(move || controller.recall(address)).await.ok(),
                None => return,
            },
            identity = to_verify.recv() => match identity {
                Some(identity) => background.run(move || controller.verify(identity)).await,
                None => return,
            },
        };
        if verified.is_none() {
            tracing::error!("an identity was not verified");
        }
        if background.has_ended() {
            return;
        }
    }
}

/// Does what each committed change asks for, in the order in which they were made: a network that is made again under the id
/// of one that was removed has revocations of its own. What is urgent is sent first all the same.
pub(super) async fn follow_changes(
    controller: SharedController,
    mut changes: mpsc::UnboundedReceiver<Change>,
) {
    while let Some(change) = changes.recv().await {
        let controller = Arc::clone(&controller);
        let followed = spawn_blocking(move || controller.follow(change, clock::now())).await;
        if let Err(error) = followed {
            tracing::error!(%error, ?change, "change not followed");
        }
    }
}

/// Sends what nobody asked for, when it is due.
pub(super) async fn send(controller: SharedController) {
    loop {
        let sender = Arc::clone(&controller);
        let next = spawn_blocking(move || sender.send_due()).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a configuration was not sent");
            None
        });
        match next {
            // Something more urgent may come in between.
            Some(next) => tokio::select! {
                () = sleep_until(next.into()) => {}
                () = controller.outgoing.notified() => {}
            },
            None => controller.outgoing.notified().await,
        }
    }
}

/// Forgets from time to time what is no longer needed.
pub(super) async fn tidy(controller: SharedController) {
    let mut ticks = interval(TIDY_INTERVAL);
    loop {
        ticks.tick().await;
        let controller = Arc::clone(&controller);
        if let Err(error) = spawn_blocking(move || controller.tidy(clock::now())).await {
            tracing::error!(%error, "not tidied up");
        }
    }
}

/// Saves what is noted about members, and keeps the audit log short.
pub(super) async fn save_notes(controller: SharedController) {
    let (mut saves, mut sweeps) = (interval(SAVE_INTERVAL), interval(AUDIT_SWEEP_INTERVAL));
    saves.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let controller = Arc::clone(&controller);
        let done = tokio::select! {
            _ = saves.tick() => spawn_blocking(move || controller.save_notes(clock::now())).await,
            _ = sweeps.tick() => spawn_blocking(move || controller.sweep_audit_log(clock::now())).await,
        };
        if let Err(error) = done {
            tracing::error!(%error, "notes not saved");
        }
    }
}
