//! An address belongs to one member of a network (`known-flaws.md` rows 13 and 15).

use ctl_core::Member;
use ctl_store::StoreError;
use zt_proto::NetworkId;

use crate::sample::{
    NETWORK, address, get_member, ip, member, member_with, network, put_member, put_network, store,
};

#[test]
fn address_of_another_member_is_refused_and_the_holder_named() {
    let store = store();
    put_member(&store, &member_with(1, &["10.0.0.1", "fd00::1"])).unwrap();
    for taken in ["10.0.0.1", "fd00::1"] {
        let error = put_member(&store, &member_with(2, &["10.0.0.2", taken])).unwrap_err();
        let StoreError::AddressTaken { network, ip: found, holder } = error else { panic!("{error:?}") };
        assert_eq!((network, found, holder), (NETWORK, ip(taken), address(1)));
    }
    assert_eq!(get_member(&store, 2), None);
}

#[test]
fn refused_member_left_nothing_even_if_the_caller_goes_on() {
    let store = store();
    let before = Member { name: Some("before".to_owned()), ..member_with(2, &["10.0.0.2"]) };
    put_member(&store, &member_with(1, &["10.0.0.1"])).unwrap();
    put_member(&store, &before).unwrap();
    store
        .write(|tx| {
            let result = tx.members().put(&member_with(2, &["10.0.0.3", "10.0.0.1"]));
            assert!(matches!(result, Err(StoreError::AddressTaken { .. })), "{result:?}");
            Ok::<_, StoreError>(())
        })
        .unwrap();
    assert_eq!(get_member(&store, 2), Some(before));
}

#[test]
fn refusal_is_a_sentence_for_the_administrator() {
    let store = store();
    put_member(&store, &member_with(1, &["10.0.0.1"])).unwrap();
    let error = put_member(&store, &member_with(2, &["10.0.0.1"])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "10.0.0.1 already belongs to member 0000000001 of network 8056c2e21c000001"
    );
}

#[test]
fn same_address_in_another_network_or_family_is_free() {
    let store = store();
    let other = NetworkId(NETWORK.0 + 1);
    put_network(&store, &network(other));
    put_member(&store, &member_with(1, &["10.0.0.1"])).unwrap();
    put_member(&store, &Member { network: other, ..member_with(2, &["10.0.0.1"]) }).unwrap();
    put_member(&store, &member_with(3, &["::ffff:10.0.0.1"])).unwrap();
}

#[test]
fn address_can_be_kept_moved_in_the_list_and_given_back() {
    let store = store();
    for ips in [&["10.0.0.1", "10.0.0.2"][..], &["10.0.0.2", "10.0.0.1"], &["10.0.0.2"], &[]] {
        let member = member_with(1, ips);
        put_member(&store, &member).unwrap();
        assert_eq!(get_member(&store, 1), Some(member));
    }
    put_member(&store, &member_with(2, &["10.0.0.1", "10.0.0.2"])).unwrap();
}

#[test]
fn address_that_a_member_lists_twice_is_an_error_of_the_caller() {
    let store = store();
    let result = put_member(&store, &member_with(1, &["10.0.0.1", "10.0.0.1"]));
    assert!(matches!(result, Err(StoreError::Internal { .. })), "{result:?}");
    assert_eq!(get_member(&store, 1), None);
}

#[test]
fn addresses_change_hands_within_one_transaction() {
    let store = store();
    put_member(&store, &member_with(1, &["10.0.0.1"])).unwrap();
    put_member(&store, &member_with(2, &["10.0.0.2"])).unwrap();
    store
        .write(|tx| {
            tx.members().put(&member(1))?;
            tx.members().put(&member_with(2, &["10.0.0.1"]))?;
            tx.members().put(&member_with(1, &["10.0.0.2"]))
        })
        .unwrap();
    assert_eq!(get_member(&store, 1), Some(member_with(1, &["10.0.0.2"])));
}
