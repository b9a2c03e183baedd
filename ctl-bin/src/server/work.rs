//! The tasks that run beside the UDP loop.

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use ctl_core::Change;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::{debug, error};
use zt_proto::verb::error::ErrorCode;
use zt_proto::{Address, PublicIdentity};

use super::background::Background;
use super::clock;
use super::controller::SharedController;
use super::hand_over::Inbox;
use super::home::Home;
use super::takeover::{self, Takeover};
use super::udp::Command;
use super::worlds;
use crate::vl1::{ConfigRequested, Event, Node};

/// Threads that answer requests at the same time; the database has one writer, so more would only wait for it.
pub(super) const MAX_ANSWERING: usize = 16;
/// Requests that wait to be answered; past it they are dropped, and the clients ask again. After a restart all members ask.
pub(super) const MAX_REQUESTS: usize = 16_384;
/// Of these, how many are answered together: changing threads takes as long as an answer.
pub(super) const MAX_TOGETHER: usize = 16;
/// Changes that are followed together: as many as one request makes.
const MAX_FOLLOWED: usize = 1_000;
/// Identities that are looked up together.
const MAX_RECALLED: usize = 256;
/// Members that were greeted, and are welcomed together.
const MAX_WELCOMED: usize = 64;
/// Identities that wait to be verified. One is verified at a time: strangers get at most one core.
const MAX_QUEUED: usize = 512;
/// A member that was started again asks as soon as it has said HELLO.
const ASKS_WITHIN: Duration = Duration::from_secs(1);
const TIDY_INTERVAL: Duration = Duration::from_secs(30);
/// A fourth as often as the original looks (`vl2.md` §11.5): a session lasts hours, and each look is a thread that is woken.
const SESSIONS_INTERVAL: Duration = Duration::from_secs(2);
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
    Inbox { events, recalls }: Inbox,
) {
    let (to_verify, verify_queue) = mpsc::channel(MAX_QUEUED);
    let (to_answer, requests) = mpsc::channel(MAX_REQUESTS);
    let (to_welcome, greeted) = mpsc::channel(takeover::MAX_GREETED);
    let queues = Queues { to_verify: to_verify.clone(), to_answer, to_welcome };
    let takeover = Arc::clone(&surroundings.takeover);
    // None goes on without the others: a controller that verifies nobody lets nobody in.
    tokio::select! {
        () = verify_identities(Arc::clone(&controller), background, verify_queue) => {}
        () = recall_identities(Arc::clone(&controller), recalls, to_verify) => {}
        () = answer_requests(Arc::clone(&controller), requests) => {}
        () = welcome_greeted(Arc::clone(&controller), takeover, greeted) => {}
        () = answer_each(controller, surroundings, events, queues) => {}
    }
}

/// What takes its time. One kind does not wait for another.
struct Queues {
    to_verify: mpsc::Sender<PublicIdentity>,
    to_answer: mpsc::Sender<Box<ConfigRequested>>,
    /// With the time at which it was there.
    to_welcome: mpsc::Sender<(Instant, Address)>,
}

async fn answer_each(
    controller: SharedController,
    surroundings: Surroundings,
    mut events: mpsc::Receiver<Event>,
    Queues { to_verify, to_answer, to_welcome }: Queues,
) {
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
                    error!(%error, "the later version of a world is not kept");
                }
            }
            Event::ConfigRequested(requested) => {
                // Whoever finds no room asks again.
                if controller.accepts(&requested, clock::now())
                    && to_answer.try_send(Box::new(requested)).is_err()
                {
                    debug!("request dropped; the client will ask again");
                }
            }
            Event::IdentityToVerify(identity) => {
                verify_later(&controller, &to_verify, identity);
            }
            Event::ConfigAcknowledged { member, network, update_id } => {
                controller.acknowledged(network, member, update_id, clock::now());
            }
            Event::Greeted(address) => {
                let time = Instant::from_std(clock::now().mono);
                if to_welcome.try_send((time, address)).is_err() {
                    debug!(peer = %address, "not told what is; it asks within a minute");
                }
            }
        }
    }
}

/// Answers requests, in the order in which they came, but for those that wait for the disk.
async fn answer_requests(controller: SharedController, mut requests: mpsc::Receiver<Box<ConfigRequested>>) {
    let answering = Arc::new(Semaphore::new(MAX_ANSWERING));
    // More threads than cores would only share them, and each have fewer requests for what it does once for all; one may
    // wait for the disk.
    let cores = available_parallelism().map_or(1, usize::from).clamp(2, MAX_ANSWERING);
    let computing = Arc::new(Semaphore::new(cores));
    let mut batch = Vec::new();
    loop {
        let Ok(permit) = Arc::clone(&answering).acquire_owned().await else { return };
        let Ok(core) = Arc::clone(&computing).acquire_owned().await else { return };
        let waiting = requests.len();
        controller.tally.waiting.set(gauge(waiting));
        let most = waiting.div_ceil(cores).clamp(1, MAX_TOGETHER);
        if requests.recv_many(&mut batch, most).await == 0 {
            return;
        }
        let (batch, controller) = (std::mem::take(&mut batch), Arc::clone(&controller));
        spawn_blocking(move || {
            let count = gauge(batch.len());
            controller.tally.answering.add(count);
            let requests = batch.into_iter().map(|requested| *requested);
            controller.answer_all(requests, clock::now(), || drop(core));
            controller.tally.answering.sub(count);
            drop(permit);
        });
    }
}

fn gauge(count: usize) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

/// Verifies identities one after the other.
async fn verify_identities(
    controller: SharedController,
    background: Background,
    mut to_verify: mpsc::Receiver<PublicIdentity>,
) {
    while let Some(identity) = to_verify.recv().await {
        let controller = Arc::clone(&controller);
        if background.run(move || controller.verify(identity)).await.is_none() {
            error!("an identity was not verified");
        }
        if background.has_ended() {
            return;
        }
    }
}

/// Looks up identities of members. Whoever is not among them costs two look-ups.
async fn recall_identities(
    controller: SharedController,
    mut recalls: mpsc::Receiver<Address>,
    to_verify: mpsc::Sender<PublicIdentity>,
) {
    let mut batch = Vec::new();
    while recalls.recv_many(&mut batch, MAX_RECALLED).await > 0 {
        let (batch, looks_up) = (std::mem::take(&mut batch), Arc::clone(&controller));
        match spawn_blocking(move || looks_up.recall(&batch)).await {
            Ok(claimed) => {
                claimed.into_iter().for_each(|identity| verify_later(&controller, &to_verify, identity));
            }
            Err(error) => error!(%error, "identities were not looked up"),
        }
    }
}

/// Has an identity verified in its turn. Whoever finds no room says HELLO again.
fn verify_later(
    controller: &SharedController,
    to_verify: &mpsc::Sender<PublicIdentity>,
    identity: PublicIdentity,
) {
    if let Err(error) = to_verify.try_send(identity) {
        let controller = Arc::clone(controller);
        spawn_blocking(move || controller.refuse(error.into_inner()));
    }
}

/// Sends members that were greeted after a start, and answered, what is, unless they ask by themselves.
async fn welcome_greeted(
    controller: SharedController,
    takeover: Arc<Takeover>,
    mut greeted: mpsc::Receiver<(Instant, Address)>,
) {
    let mut batch = Vec::new();
    while greeted.recv_many(&mut batch, MAX_WELCOMED).await > 0 {
        let batch = std::mem::take(&mut batch);
        if let Some((last, _)) = batch.last() {
            sleep_until(*last + ASKS_WITHIN).await;
        }
        let (controller, takeover) = (Arc::clone(&controller), Arc::clone(&takeover));
        let welcome = move || {
            let now = clock::now();
            batch.into_iter().for_each(|(_, address)| takeover.greeted(address, &controller, now));
        };
        if let Err(error) = spawn_blocking(welcome).await {
            error!(%error, "members were not told what is");
        }
    }
}

/// Does what each committed change asks for, in the order in which they were made: a network that is made again under the id
/// of one that was removed has revocations of its own. What is urgent is sent first all the same.
pub(super) async fn follow_changes(
    controller: SharedController,
    mut changes: mpsc::UnboundedReceiver<Change>,
) {
    let mut batch = Vec::new();
    while changes.recv_many(&mut batch, MAX_FOLLOWED).await > 0 {
        let (batch, controller) = (std::mem::take(&mut batch), Arc::clone(&controller));
        let count = batch.len();
        let followed = spawn_blocking(move || controller.follow(&batch, clock::now())).await;
        if let Err(error) = followed {
            error!(%error, changes = count, "changes not followed");
        }
    }
}

/// Sends what nobody asked for, when it is due.
pub(super) async fn send(controller: SharedController) {
    loop {
        let sender = Arc::clone(&controller);
        let next = spawn_blocking(move || sender.send_due()).await.unwrap_or_else(|error| {
            error!(%error, "a configuration was not sent");
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
            error!(%error, "not tidied up");
        }
    }
}

/// Revokes members when their sessions end, whether they ask or not.
pub(super) async fn end_sessions(controller: SharedController) {
    let mut ticks = interval(SESSIONS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let controller = Arc::clone(&controller);
        if let Err(error) = spawn_blocking(move || controller.end_sessions(clock::now())).await {
            error!(%error, "sessions not ended");
        }
    }
}

/// Saves what is noted about members, and keeps the audit log short.
pub(super) async fn save_notes(controller: SharedController) {
    let (mut saves, mut sweeps) = (interval(SAVE_INTERVAL), interval(AUDIT_SWEEP_INTERVAL));
    saves.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let keeper = Arc::clone(&controller);
        let done = tokio::select! {
            _ = saves.tick() => spawn_blocking(move || keeper.save_notes(clock::now())).await,
            () = controller.many_noted.notified() => {
                spawn_blocking(move || keeper.save_notes(clock::now())).await
            }
            _ = sweeps.tick() => spawn_blocking(move || keeper.sweep_audit_log(clock::now())).await,
        };
        if let Err(error) = done {
            error!(%error, "notes not saved");
        }
    }
}
