//! What those who watch learn of members that ask.

use ctl_core::EventKind;
use ctl_core::EventKind::{MemberAuthorized, MemberChanged, MemberJoined, MemberSeen};

use ctl_store::{Webhook, WebhookId, WebhookSecret};

use super::*;

impl Fixture {
    /// A node asks and is answered; returns what was told of it.
    fn asks(&self, node: u64, standing: Standing, now: Now) -> Vec<EventKind> {
        let before = self.controller.events.recent().len();
        self.ask(node, source(1), now);
        self.controller.note(&request(node, RequestKind::Request), None, None, standing, now);
        let told = self.controller.events.recent().split_off(before);
        for event in &told {
            assert_eq!((event.network, event.member), (NETWORK, Some(identity(node).address)));
            let revision = self.member(node).map(|member| member.revision);
            assert_eq!(event.revision, revision.filter(|_| event.kind != MemberSeen));
            assert_eq!(event.time, now.wall);
        }
        told.into_iter().map(|event| event.kind).collect()
    }
}

#[test]
fn member_of_a_public_network_joins_is_authorized_and_is_seen_when_it_comes_back() {
    let fixture = Fixture::with_network(false);
    let is_in = Standing::Admitted;
    assert_eq!(fixture.asks(1, is_in, fixture.now), [MemberJoined, MemberAuthorized, MemberSeen]);
    assert_eq!(fixture.asks(1, is_in, fixture.at(60_000)), []);
    assert_eq!(
        fixture.asks(1, is_in, fixture.at(179_000)),
        [],
        "online for two minutes after the last request"
    );
    assert_eq!(fixture.asks(1, is_in, fixture.at(299_000)), [MemberSeen]);
}

#[test]
fn stranger_joins_once_and_only_if_there_is_room_for_it() {
    let fixture = Fixture::with_network(true);
    for node in 1..=MAX_OF_SOURCE {
        assert_eq!(fixture.asks(node, Standing::Refused, fixture.now), [MemberJoined]);
        assert_eq!(fixture.asks(node, Standing::Refused, fixture.at(180_000)), []);
    }
    assert_eq!(fixture.asks(99, Standing::Refused, fixture.now), [], "there is no record of it");
    // Who was entered before it asked joins when it does.
    fixture.put(&authorized(100));
    assert_eq!(fixture.asks(100, Standing::Admitted, fixture.now), [MemberJoined, MemberSeen]);
}

#[test]
fn another_release_of_a_client_is_a_change() {
    let fixture = Fixture::with_network(false);
    fixture.asks(1, Standing::Admitted, fixture.now);
    let before = fixture.controller.events.recent().len();
    let metadata = RequestMetadata::parse(b"v=7\npv=c\nmajv=1\nminv=e\nrevr=1");
    let newer = ConfigRequest { metadata, ..request(1, RequestKind::Request) };
    fixture.controller.prepare_for(&newer, source(1), fixture.at(60_000)).unwrap();
    let told = fixture.controller.events.recent().split_off(before);
    assert_eq!(told.iter().map(|event| event.kind).collect::<Vec<_>>(), [MemberChanged]);
}

#[test]
fn who_joins_is_put_down_for_webhooks_in_the_transaction_that_saves_it() {
    let fixture = Fixture::with_network(true);
    let hook = Webhook {
        id: WebhookId::new([1; 16]),
        url: "http://127.0.0.1/".to_owned(),
        description: String::new(),
        secret: WebhookSecret([1; 32]),
        kinds: String::new(),
        network: None,
        enabled: true,
        created: Timestamp(1),
        delivered: Timestamp(0),
        failure: None,
        dropped: 0,
    };
    fixture.controller.store.write(|tx| tx.webhooks().put(&hook)).unwrap();
    for _ in 0..2 {
        fixture.asks(1, Standing::Refused, fixture.now);
    }
    let due = fixture.controller.store.read(|tx| tx.webhooks().due(hook.id, fixture.now.wall, 99)).unwrap();
    let [delivery] = &due[..] else { panic!("{due:?}") };
    assert!(delivery.body.contains(r#""hook_type":"NETWORK_JOIN""#), "{delivery:?}");
}
