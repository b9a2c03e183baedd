//! What is written because members ask, and what is served while nothing can be written.

use super::*;

/// `known-flaws.md` row 7.
#[test]
fn a_stranger_that_is_known_or_has_no_place_writes_nothing() {
    let disk = OnDisk::with_network(true);
    let fixture = disk.fixture();
    for node in 1..=MAX_OF_SOURCE {
        fixture.ask(node, source(1), fixture.now);
    }
    let before = disk.written();
    for round in 1..=50 {
        for node in 1..=2 * MAX_OF_SOURCE {
            fixture.ask(node, source(1), fixture.at(round * 5));
        }
    }
    assert_eq!(disk.written(), before);
    fixture.ask(1, source(1), fixture.at(NOTED_EVERY));
    assert!(disk.written() > before, "the measure does not measure");
}

/// One record that is damaged keeps nothing from being saved but what belongs to it.
#[test]
fn a_damaged_record_does_not_keep_the_last_seen_data_of_others_from_being_saved() {
    let disk = OnDisk::with_network(true);
    let mut fixture = disk.fixture();
    for node in 1..=40 {
        fixture.put(&authorized(node));
    }
    let see = |fixture: &Fixture, now| {
        for node in 1..=40 {
            fixture.controller.note(
                &request(node, RequestKind::Request),
                None,
                None,
                Standing::Admitted,
                now,
            );
        }
        fixture.controller.save_notes(now);
        let last = fixture.controller.store.read(|tx| {
            let last = |node| tx.sightings().last(NETWORK, identity(node).address);
            Ok::<_, StoreError>(
                (1..=40).map(|node| last(node).ok().flatten().map(|seen| seen.last)).collect::<Vec<_>>(),
            )
        });
        last.unwrap().iter().filter(|last| **last == Some(now.wall)).count()
    };
    assert_eq!(see(&fixture, fixture.at(0)), 40);
    let raw = disk.raw();
    let sql = "PRAGMA ignore_check_constraints = ON; UPDATE member_sighting SET ip = x'01', port = 1 \
               WHERE member IN (x'0000000007', x'0000000009')";
    raw.execute_batch(sql).unwrap();
    assert_eq!(see(&fixture, fixture.at(5_000)), 38);
    assert!(lock(&fixture.controller.notes).is_empty(), "tried for ever");
    let before = disk.written();
    assert_eq!(see(&fixture, fixture.at(10_000)), 38);
    // The damaged ones are not searched for again: one transaction.
    assert!((disk.written() - before) / 4096 <= 8, "{}", disk.written() - before);
    raw.execute_batch("UPDATE member_sighting SET ip = x'01020304' WHERE ip = x'01'").unwrap();
    assert_eq!(see(&fixture, fixture.at(5_000 + 3_600_000)), 40);
    fixture.send_all();
}

/// A disk that is full keeps strangers out, but nobody who was in.
#[test]
fn members_are_served_while_nothing_can_be_written() {
    let disk = OnDisk::with_network(false);
    let store = disk.open();
    let ask = |fixture: &Fixture, node: u64, metadata: &[u8]| {
        let request = ConfigRequest {
            metadata: RequestMetadata::parse(metadata),
            ..request(node, RequestKind::Request)
        };
        fixture.controller.prepare_for(&request, Source::Relayed, fixture.now)
    };
    let fixture = Fixture::new(store.clone(), clock::now());
    assert!(matches!(ask(&fixture, 1, b"v=7\npv=c\nrevr=1\nmajv=1"), Ok(Answer::Config(..))));
    // To whoever only answers, it is no other than one whose disk is full or gone.
    let broken = Fixture::new(Store::open_read_only(&disk.path()).unwrap(), clock::now());
    for metadata in ["v=7\npv=c\nrevr=1\nmajv=1", "v=7\npv=c\nrevr=1\nmajv=2"] {
        assert!(matches!(ask(&broken, 1, metadata.as_bytes()), Ok(Answer::Config(..))), "{metadata}");
    }
    let stranger = ask(&broken, 2, b"v=7\npv=c\nrevr=1\nmajv=1");
    assert!(matches!(&stranger, Err(AnswerError::Store(error)) if error.is_outage()));
    assert_eq!(store.read(|tx| tx.members().counts(NETWORK)).unwrap().total, 1);
}
