//! What clients are told without asking.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Client;
use crate::controller::Controller;
use crate::namespace::{in_private_network, measured};
use crate::process::now;

/// A client begins to ask at its next 5 s tick.
const NEXT_TICK: Duration = Duration::from_secs(15);
/// A configured client asks once a minute: what comes within this time was pushed.
const PUSHED: Duration = Duration::from_secs(5);
/// Nodes that know the way to each other connect within milliseconds.
const TRIED_LONG_ENOUGH: Duration = Duration::from_secs(4);

#[test]
fn waiting_member_is_configured_when_it_is_authorized_and_told_when_it_no_longer_is() {
    in_private_network(
        "changes::waiting_member_is_configured_when_it_is_authorized_and_told_when_it_no_longer_is",
        || {
            let controller = Controller::start();
            let network = controller.create_network(true);
            let [mut anna] = Client::start(&controller, ["anna"]);
            let before = anna.mark();
            anna.join(&network);
            anna.wait_denied(before, NEXT_TICK);

            let (before, log) = (anna.mark(), controller.mark());
            controller.authorize(&network, anna.address(), true);
            let answered = now();
            let (configured, _) = anna.wait_configured(before, NEXT_TICK);
            let acknowledged = controller.wait_logged(log, PUSHED, &["push acknowledged", anna.address()]);
            measured("API answer to push acknowledged", acknowledged.saturating_duration_since(answered));
            measured("API answer to configured", configured.saturating_duration_since(answered));
            let asked = controller.logged_since(log, &["answer: admitted", anna.address()]);
            assert!(
                asked.iter().all(|line| line.at > acknowledged),
                "it was not pushed but asked for: {asked:?}"
            );

            let (before, log) = (anna.mark(), controller.mark());
            controller.change_network(&network, &json!({ "name": "second" }));
            anna.wait(before, PUSHED, "the new name is pushed", |state| state["name"] == "second");
            controller.wait_logged(log, PUSHED, &["push acknowledged", anna.address()]);

            let (before, log) = (anna.mark(), controller.mark());
            controller.authorize(&network, anna.address(), false);
            let answered = now();
            let denied = anna.wait_denied(before, PUSHED);
            measured("API answer to denied", denied.at.saturating_duration_since(answered));
            let asked = controller.logged_since(log, &["answer: refused", anna.address()]);
            assert!(asked.iter().all(|line| line.at > denied.at), "it asked: {asked:?}");

            // It comes back at once, with a certificate that is newer than its revocation.
            let before = anna.mark();
            controller.authorize(&network, anna.address(), true);
            anna.wait_configured(before, PUSHED);
        },
    );
}

/// Prints how long it takes, from the answer of the API on. The client looks at its networks every 20 ms; when the push
/// was acknowledged is known more exactly.
#[test]
fn a_hundred_authorizations_and_as_many_withdrawals_are_told_without_being_asked() {
    const ROUNDS: usize = 100;
    in_private_network(
        "changes::a_hundred_authorizations_and_as_many_withdrawals_are_told_without_being_asked",
        || {
            let controller = Controller::start();
            let network = controller.create_network(true);
            let [mut anna] = Client::start(&controller, ["anna"]);
            let before = anna.mark();
            anna.join(&network);
            anna.wait_denied(before, NEXT_TICK);
            let (mut acknowledged, mut configured, mut denied) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                let (before, log) = (anna.mark(), controller.mark());
                controller.authorize(&network, anna.address(), true);
                let answered = now();
                let at = controller.wait_logged(log, PUSHED, &["push acknowledged", anna.address()]);
                acknowledged.push(at.saturating_duration_since(answered));
                let (at, _) = anna.wait_configured(before, PUSHED);
                configured.push(at.saturating_duration_since(answered));

                let before = anna.mark();
                controller.authorize(&network, anna.address(), false);
                let answered = now();
                let at = anna.wait_denied(before, PUSHED).at;
                denied.push(at.saturating_duration_since(answered));
            }
            for (what, mut times) in [
                ("API answer to push acknowledged", acknowledged),
                ("API answer to configured", configured),
                ("API answer to denied", denied),
            ] {
                times.sort_unstable();
                let [median, last] = [ROUNDS / 2, ROUNDS * 99 / 100].map(|place| times[place]);
                measured(&format!("{what}, p50 and p99 of {ROUNDS}"), (median, last));
            }
        },
    );
}

/// `known-flaws.md` row 13.
#[test]
fn members_of_a_removed_network_lose_it_at_once() {
    in_private_network("changes::members_of_a_removed_network_lose_it_at_once", || {
        let controller = Controller::start();
        let network = controller.create_network(false);
        let mut clients = Client::start(&controller, ["anna", "berta"]);
        let addresses = clients.each_mut().map(|client| {
            let before = client.mark();
            client.join(&network);
            client.wait_configured(before, NEXT_TICK).1
        });
        let [anna, berta] = &mut clients;
        let [anna_at, berta_at] = &addresses;
        anna.serve_echo();
        berta.serve_echo();
        anna.assert_exchanges_data(berta_at);

        let marks = [anna.mark(), berta.mark()];
        controller.remove_network(&network);
        let removed = now();
        for (client, mark) in [&*anna, &*berta].into_iter().zip(marks) {
            let over = |state: &Value| state["status"] == "NOT_FOUND";
            let told = client.wait(mark, PUSHED, "the client learns that the network is gone", over);
            measured("network removed to not found", told.at.saturating_duration_since(removed));
            assert_eq!(told.state["addresses"], json!([]), "it keeps its address: {}", told.state);
        }
        assert!(anna.exchange_data(berta_at, TRIED_LONG_ENOUGH).is_err(), "still connected");
        assert!(berta.exchange_data(anna_at, TRIED_LONG_ENOUGH).is_err(), "still connected");
    });
}

/// `known-flaws.md` row 13.
#[test]
fn who_was_away_is_sent_what_was_revoked_even_by_a_controller_that_was_started_again() {
    in_private_network(
        "changes::who_was_away_is_sent_what_was_revoked_even_by_a_controller_that_was_started_again",
        || {
            let mut controller = Controller::start();
            let network = controller.create_network(true);
            let home = tempfile::tempdir().unwrap();
            let [mut anna] = Client::start(&controller, ["anna"]);
            let mut berta = Client::start_with("berta", &controller.planet(), home.path());
            for client in [&mut anna, &mut berta] {
                controller.authorize(&network, client.address(), true);
                let before = client.mark();
                client.join(&network);
                client.wait_configured(before, NEXT_TICK);
            }

            berta.kill();
            controller.authorize(&network, anna.address(), false);
            controller.kill_and_restart();
            let log = controller.mark();
            let mut berta = Client::start_with("berta again", &controller.planet(), home.path());
            let before = berta.mark();
            berta.join(&network);
            berta.wait_configured(before, NEXT_TICK);
            let admitted = controller.wait_logged(log, NEXT_TICK, &["answer: admitted", berta.address()]);
            let told = controller.wait_logged(log, PUSHED, &["revocations sent", berta.address()]);
            measured("return to revocations sent", told.saturating_duration_since(admitted));
        },
    );
}

/// `known-flaws.md` row 13.
#[test]
fn who_was_away_when_its_network_was_removed_loses_it_when_it_returns() {
    in_private_network("changes::who_was_away_when_its_network_was_removed_loses_it_when_it_returns", || {
        let mut controller = Controller::start();
        let network = controller.create_network(false);
        let home = tempfile::tempdir().unwrap();
        let mut clara = Client::start_with("clara", &controller.planet(), home.path());
        let before = clara.mark();
        clara.join(&network);
        clara.wait_configured(before, NEXT_TICK);
        clara.kill();
        controller.remove_network(&network);
        controller.kill_and_restart();

        let mut clara = Client::start_with("clara again", &controller.planet(), home.path());
        let before = clara.mark();
        clara.join(&network);
        clara.wait(before, NEXT_TICK, "the network is gone, and its addresses with it", |state| {
            state["status"] == "NOT_FOUND" && state["addresses"] == json!([])
        });
    });
}
