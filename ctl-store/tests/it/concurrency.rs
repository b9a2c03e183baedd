//! Members that join at the same time (`known-flaws.md` row 15).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::thread;

use ctl_core::Member;
use ctl_store::{Store, StoreError, Tx};

use crate::sample::{NETWORK, address, member, network, put_network};

const THREADS: u64 = 8;
const JOINS: u64 = 25;

#[test]
fn members_that_join_in_their_own_transactions_get_different_addresses() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    in_threads(&store, |store, number| {
        store
            .write(|tx| {
                let ip = first_free(tx, number)?;
                tx.members().put(&Member { ip_assignments: vec![ip], ..member(number) })
            })
            .unwrap();
    });
    assert_each_has_its_own(&store);
}

/// Who chooses before the transaction begins may be too late, and learns it.
#[test]
fn members_that_chose_too_early_are_refused_and_choose_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    in_threads(&store, |store, number| {
        loop {
            let ip = store.read(|tx| first_free(tx, number)).unwrap();
            match store.write(|tx| tx.members().put(&Member { ip_assignments: vec![ip], ..member(number) })) {
                Ok(()) => break,
                Err(StoreError::AddressTaken { ip: taken, holder, .. }) => {
                    assert_eq!(taken, ip);
                    assert_ne!(holder, address(number));
                }
                Err(error) => panic!("{error}"),
            }
        }
    });
    assert_each_has_its_own(&store);
}

fn store(directory: &tempfile::TempDir) -> Store {
    let store = Store::open(&directory.path().join("ctl.db")).unwrap();
    put_network(&store, &network(NETWORK));
    store
}

fn in_threads(store: &Store, join: impl Fn(&Store, u64) + Sync) {
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let join = &join;
            scope.spawn(move || (0..JOINS).for_each(|round| join(store, 1 + thread * JOINS + round)));
        }
    });
}

fn first_free(tx: &Tx<'_>, number: u64) -> Result<IpAddr, StoreError> {
    for host in 1..=u32::MAX {
        let ip = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + host));
        if tx.members().holder(NETWORK, ip)?.is_none_or(|holder| holder == address(number)) {
            return Ok(ip);
        }
    }
    panic!("no address is left")
}

fn assert_each_has_its_own(store: &Store) {
    let members = store.read(|tx| tx.members().list(NETWORK)).unwrap();
    assert_eq!(members.len() as u64, THREADS * JOINS);
    let mut holders = BTreeMap::new();
    for member in members {
        for ip in member.ip_assignments {
            assert_eq!(holders.insert(ip, member.address), None, "{ip} was given twice");
        }
    }
    assert_eq!(holders.len() as u64, THREADS * JOINS);
}
