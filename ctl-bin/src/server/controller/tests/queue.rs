//! Requests that wait to be answered.

use super::super::super::work::{MAX_ANSWERING, MAX_REQUESTS, MAX_TOGETHER};
use super::*;
use crate::vl1::Event;

/// `known-flaws.md` row 7: more nodes ask at once than can be answered, as after a start, while nobody takes the answers.
#[test]
fn requests_wait_up_to_a_bound_and_those_beyond_are_dropped() {
    let total = 2 * MAX_REQUESTS;
    let mut fixture = Fixture::with_room_for(1, Store::in_memory().unwrap(), clock::now());
    let network = NetworkId::of_controller(fixture.controller.secret.address(), 1);
    let folder = tempfile::tempdir().unwrap();
    let (outbox, inbox) = Outbox::with_room(total);
    let sender = outbox.events;
    let surroundings = surroundings(&folder);
    for node in 1..=total as u64 {
        sender.try_send(Event::ConfigRequested(requested(network, node, node))).unwrap();
    }
    let background = Background::start().unwrap();
    let answered = async {
        while sender.capacity() < total {
            tokio::task::yield_now().await;
        }
        // Each is told that there is no such network.
        while let Ok(Some(_)) = tokio::time::timeout(Duration::from_secs(1), fixture.commands.recv()).await {}
    };
    let controller = Arc::new(fixture.controller);
    let work = work::answer_events(Arc::clone(&controller), surroundings, background, inbox);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        tokio::select! {
            () = answered => {}
            () = work => panic!("it never ends"),
        }
    });
    let answered = usize::try_from(controller.tally.decisions.get()).unwrap();
    // By the threads, which wait for the node.
    let taken_out = MAX_ANSWERING * MAX_TOGETHER;
    assert!((MAX_REQUESTS..=MAX_REQUESTS + taken_out).contains(&answered), "{answered}");
}

#[test]
fn nothing_is_answered_any_more_when_no_identity_can_be_verified() {
    let Fixture { controller, .. } = Fixture::with_network(true);
    let folder = tempfile::tempdir().unwrap();
    let (outbox, inbox) = Outbox::with_room(1);
    let surroundings = surroundings(&folder);
    outbox.events.try_send(Event::IdentityToVerify(identity(5))).unwrap();
    // Returns although events may still come: the program ends with it.
    block_on(work::answer_events(Arc::new(controller), surroundings, Background::ended(), inbox));
    drop(outbox);
}

/// The node of these is gone.
fn surroundings(home: &tempfile::TempDir) -> work::Surroundings {
    work::Surroundings {
        home: Arc::new(Home::open(&home.path().join("home")).unwrap()),
        serves_networks: true,
        node: mpsc::channel(1).0,
        takeover: Arc::default(),
    }
}
