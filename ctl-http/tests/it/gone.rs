//! Clients that go before their answer comes.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::thread;

use ctl_core::Change;
use ctl_store::{Store, StoreError};
use serde_json::json;
use zt_proto::{Address, NetworkId};

use crate::server::{Options, Server, TOKEN};

const NETWORK: NetworkId = NetworkId(0xa940_ad42_9a00_00f1);
const CLIENTS: u64 = 16;

#[test]
fn change_of_a_client_that_has_gone_is_whole_and_harms_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("controller.db")).unwrap();
    let mut server = Server::with(Options { store, ..Options::default() });
    assert_eq!(server.post(&format!("/controller/network/{NETWORK}"), &json!({})).status, 200);

    // Those that are changed are there already.
    (1..=CLIENTS).filter(|number| number % 3 == 1).for_each(|number| {
        assert_eq!(server.post(&path(number), &json!({})).status, 200);
    });
    let before = server.store.read(|tx| tx.audit().page(None, 1)).unwrap()[0].id;
    while server.changes.try_recv().is_ok() {}
    // Somebody else writes while the requests come and their clients go.
    let writing = server.write();
    for number in 1..=CLIENTS {
        let mut client = TcpStream::connect(server.address).unwrap();
        let (path, body) = (path(number), r#"{"authorized":true}"#);
        let (method, path) = match number % 3 {
            0 => ("POST", path),
            1 => ("PATCH", path.replace("/controller", "/api/v2")),
            _ => ("PUT", path.replace("/controller", "/api/v2")),
        };
        write!(
            client,
            "{method} {path} HTTP/1.1\r\nX-ZT1-Auth: {TOKEN}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        client.shutdown(Shutdown::Both).unwrap();
    }
    let stays = thread::scope(|scope| {
        let stays = scope.spawn(|| server.post(&path(CLIENTS + 1), &json!({ "authorized": true })));
        drop(writing);
        stays.join().unwrap()
    });
    assert_eq!((stays.status, &stays.json()["authorized"]), (200, &json!(true)), "{stays:?}");
    server.stop();
    while server.store.settled_writes().is_none() {
        thread::yield_now();
    }

    let (saved, logged) = server
        .store
        .read(|tx| Ok::<_, StoreError>((tx.members().list(NETWORK)?, tx.audit().page(None, 100)?)))
        .unwrap();
    let saved: BTreeSet<_> =
        saved.into_iter().filter(|member| member.authorized).map(|member| member.address).collect();
    let logged: BTreeSet<_> =
        logged.into_iter().filter(|entry| entry.id > before).filter_map(|entry| entry.member).collect();
    let mut sent = BTreeSet::new();
    while let Ok(change) = server.changes.try_recv() {
        if let Change::Member { member, .. } = change {
            sent.insert(member);
        }
    }
    assert!(saved.contains(&Address::from_low_bits(CLIENTS + 1)) && saved.len() > 1, "{saved:?}");
    assert_eq!((&logged, &sent), (&saved, &saved), "each is saved, logged and sent, or none of it");
}

fn path(number: u64) -> String {
    format!("/controller/network/{NETWORK}/member/{}", Address::from_low_bits(number))
}
