//! Whose identity is believed, and whose is not.

use zt_crypto::{InvalidIdentity, VerifiedIdentity};

use super::super::identity::Distrust;
use super::*;

/// An identity that no computing would confirm.
fn made_up(key: u8) -> PublicIdentity {
    PublicIdentity { address: Address::from_low_bits(0x12_3456_789a), key: [key; 64] }
}

fn known(identity: PublicIdentity) -> Member {
    Member { identity: Some(identity), ..Member::new(NETWORK, identity.address, Timestamp(0)) }
}

#[test]
fn identity_that_was_verified_is_believed_after_a_restart_without_computing() {
    let fixture = Fixture::with_network(true);
    fixture.put(&known(made_up(1)));
    assert_eq!(fixture.controller.judge(made_up(1)), Err(Distrust::Invalid(InvalidIdentity::NoWork)));
    lock(&fixture.controller.notes).identity(made_up(1), fixture.now.wall);
    fixture.controller.save_notes(clock::now());
    assert_eq!(fixture.controller.judge(made_up(1)), Ok(VerifiedIdentity::trusted(made_up(1))));
}

/// `known-flaws.md` row 1: what an earlier process verified holds for the next.
#[test]
fn second_identity_of_an_address_is_refused_while_a_member_has_the_first() {
    let fixture = Fixture::with_network(true);
    fixture.put(&known(made_up(1)));
    fixture.controller.store.write(|tx| tx.verified_identities().put(&made_up(1), Timestamp(0))).unwrap();
    assert_eq!(fixture.controller.judge(made_up(2)), Err(Distrust::Taken));
}
