//! Pages of members and bulk operations over `/api/v2`.

use ctl_core::Member;
use ctl_store::Client;
use serde_json::{Value, json};
use zt_proto::{Address, Timestamp};

use crate::client::Answer;
use crate::rules::{ok, problem};
use crate::server::{MEMBER, Server};
use crate::v2::{NETWORK, NETWORK_ID, send, start};

const MEMBERS: &str = "/api/v2/network/a940ad429a0000f1/member";
const BULK: &str = "/api/v2/network/a940ad429a0000f1/member/bulk";

/// Members 1 to `count`, of which every third is authorized; names, tags and times differ.
fn with_members(count: u64) -> Server {
    let server = start();
    let put = |tx: &ctl_store::Tx<'_>| {
        for number in 1..=count {
            let mut member =
                Member::new(NETWORK_ID, Address::from_low_bits(number), Timestamp(1_000 - number));
            member.revision = 1;
            member.authorized = number % 3 == 0;
            member.name = (number % 2 == 0).then(|| format!("Host-{:04}", count - number));
            member.tags.extend((number % 5 == 0).then_some((7, u32::try_from(number).unwrap())));
            member.capabilities.extend((number % 7 == 0).then_some(4));
            member
                .ip_assignments
                .push(std::net::Ipv4Addr::from_bits(0x0a00_0000 + u32::try_from(number).unwrap()).into());
            tx.members().put(&member)?;
            if number % 4 == 0 {
                tx.sightings().note(
                    NETWORK_ID,
                    member.address,
                    &Client::default(),
                    Timestamp(5_000 + number),
                )?;
            }
        }
        Ok::<_, ctl_store::StoreError>(())
    };
    server.store.write(put).unwrap();
    server
}

fn addresses(page: &Value) -> Vec<u64> {
    let data = page["data"].as_array().unwrap();
    data.iter().map(|member| u64::from_str_radix(member["address"].as_str().unwrap(), 16).unwrap()).collect()
}

/// Reads all pages and checks that none but the last is short.
fn all(server: &Server, query: &str, limit: usize) -> Vec<u64> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = ok(&server.get(&format!("{MEMBERS}?limit={limit}&{query}{cursor}")));
        let addresses = addresses(&page);
        let Some(next) = page["next"].as_str() else {
            assert!(addresses.len() <= limit);
            found.extend(addresses);
            return found;
        };
        assert_eq!(addresses.len(), limit);
        found.extend(addresses);
        cursor = format!("&cursor={next}");
    }
}

#[test]
fn pages_of_every_order_hold_each_member_once() {
    let server = with_members(50);
    let plain: Vec<u64> = (1..=50).collect();
    assert_eq!(all(&server, "", 7), plain);
    let mut reverse = plain.clone();
    reverse.reverse();
    assert_eq!(all(&server, "sort=-address", 7), reverse);
    assert_eq!(all(&server, "sort=created", 10), reverse);
    assert_eq!(all(&server, "sort=-created", 9), plain);
    // Without a name first; the names fall as the addresses rise.
    let mut by_name: Vec<u64> = plain.iter().copied().filter(|number| number % 2 == 1).collect();
    by_name.extend(reverse.iter().filter(|number| *number % 2 == 0));
    assert_eq!(all(&server, "sort=name", 7), by_name);
    by_name.reverse();
    assert_eq!(all(&server, "sort=-name", 50), by_name);
    let mut by_time: Vec<u64> = plain.iter().copied().filter(|number| number % 4 != 0).collect();
    by_time.extend(plain.iter().filter(|number| *number % 4 == 0));
    assert_eq!(all(&server, "sort=lastSeen", 7), by_time);
    by_time.reverse();
    assert_eq!(all(&server, "sort=-lastSeen", 8), by_time);
}

#[test]
fn filters_take_only_what_fits() {
    let server = with_members(50);
    let fitting = |fits: fn(&u64) -> bool| (1..=50).filter(fits).collect::<Vec<u64>>();
    for (query, expected) in [
        ("authorized=true", fitting(|number| number % 3 == 0)),
        ("authorized=false&tag=7", fitting(|number| number % 3 != 0 && number % 5 == 0)),
        ("tag=7:10", vec![10]),
        ("tag=8", vec![]),
        ("capability=4", fitting(|number| number % 7 == 0)),
        ("seenSince=5040", vec![40, 44, 48]),
        ("seenBefore=5008", fitting(|number| number % 4 != 0 || *number < 8)),
        ("search=hOsT-000", vec![42, 44, 46, 48, 50]),
        ("search=10.0.0.48%2F31", vec![48, 49]),
        ("search=10.0.0.7", vec![7]),
        ("search=000000001", vec![16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31]),
        ("search=%25", vec![]),
        ("version=1", vec![]),
        ("online=true", vec![]),
        ("online=false&authorized=true&tag=7&capability=4", vec![]),
    ] {
        assert_eq!(all(&server, query, 5), expected, "{query}");
    }
    server.join("a940ad429a0000f1");
    let online = ok(&server.get(&format!("{MEMBERS}?online=true")));
    assert_eq!(online["data"][0]["address"], MEMBER);
    assert_eq!(
        (&online["data"][0]["online"], &online["data"][0]["physicalAddress"]),
        (&json!(true), &json!("10.55.0.2/9993"))
    );
}

#[test]
fn pages_neither_skip_nor_repeat_when_members_come_and_go() {
    let server = with_members(30);
    let first = ok(&server.get(&format!("{MEMBERS}?limit=10")));
    let cursor = first["next"].as_str().unwrap();
    for gone in ["0000000003", "000000000a"] {
        assert_eq!(send(&server, "DELETE", &format!("{MEMBERS}/{gone}"), &[], &Value::Null).status, 204);
    }
    let next = ok(&server.get(&format!("{MEMBERS}?limit=10&cursor={cursor}")));
    assert_eq!(addresses(&next), (11..=20).collect::<Vec<_>>());
}

#[test]
fn query_that_is_not_understood_is_refused() {
    let server = with_members(3);
    let cursor =
        ok(&server.get(&format!("{MEMBERS}?limit=1&sort=name")))["next"].as_str().unwrap().to_owned();
    for query in [
        "limit=0",
        "limit=1001",
        "sort=ip",
        "cursor=x",
        &format!("cursor={cursor}"),
        &format!("sort=-name&cursor={cursor}"),
        "authorized=1",
        "tag=x",
        "tag=1:2:3",
        "capability=4294967296",
        "seenSince=-1",
        "version=1.2.3.4",
        "search=",
        "offset=1",
    ] {
        let refused = problem(&server.get(&format!("{MEMBERS}?{query}")), 422);
        assert!(refused["errors"][0]["parameter"].is_string(), "{query} {refused}");
    }
    problem(&server.get("/api/v2/network/a940ad429a0000f2/member"), 404);
}

fn bulk(server: &Server, entries: &[Value]) -> Answer {
    send(server, "POST", BULK, &[], &json!({ "entries": entries }))
}

#[test]
fn thousand_members_are_authorized_in_one_transaction() {
    let mut server = with_members(999);
    while server.changes.try_recv().is_ok() {}
    let entries: Vec<_> = (1..=1000)
        .map(|number| json!({ "address": format!("{number:010x}"), "action": "authorize" }))
        .collect();
    let answer = ok(&bulk(&server, &entries));
    let outcomes =
        |kind: &str| answer["data"].as_array().unwrap().iter().filter(|done| done["outcome"] == kind).count();
    assert_eq!((outcomes("changed"), outcomes("unchanged"), outcomes("created")), (666, 333, 1));
    assert_eq!(ok(&server.get(NETWORK))["authorizedMemberCount"], 1000);
    assert_eq!(std::iter::from_fn(|| server.changes.try_recv().ok()).count(), 667);
    let audit = ok(&server.get("/api/v2/audit?limit=1"));
    assert_eq!(audit["entries"][0]["member"], "00000003e8");
    let too_many: Vec<_> =
        (1..=1001).map(|number| json!({ "address": format!("{number:010x}"), "action": "remove" })).collect();
    assert_eq!(problem(&bulk(&server, &too_many), 422)["errors"][0]["pointer"], "/entries");
}

#[test]
fn bulk_with_one_wrong_entry_does_nothing() {
    let mut server = with_members(4);
    while server.changes.try_recv().is_ok() {}
    let entry = |number: u64, action: &str| json!({ "address": format!("{number:010x}"), "action": action });
    let change = |number: u64, change: Value| json!({ "address": format!("{number:010x}"), "action": "change", "change": change });
    for (entries, pointers) in [
        (vec![entry(1, "authorize"), entry(9, "remove")], vec!["/entries/1/address"]),
        (vec![entry(9, "deauthorize"), entry(8, "remove")], vec!["/entries/0/address", "/entries/1/address"]),
        (vec![entry(1, "authorize"), entry(1, "remove")], vec!["/entries/1/address"]),
        (
            vec![entry(1, "authorize"), change(2, json!({ "ipAssignments": ["10.0.0.4"] }))],
            vec!["/entries/1/change/ipAssignments"],
        ),
        (vec![change(2, json!({ "nam": 1 }))], vec!["/entries/0/change/nam"]),
        (vec![change(2, json!({ "identity": "x" }))], vec!["/entries/0/change/identity"]),
        (vec![entry(2, "change")], vec!["/entries/0/change"]),
        (vec![entry(0, "authorize")], vec!["/entries/0/address"]),
        (vec![entry(1, "ban")], vec!["/entries/0/action"]),
    ] {
        let refused = problem(&bulk(&server, &entries), 422);
        let got: Vec<_> = refused["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["pointer"].as_str().unwrap())
            .collect();
        assert_eq!(got, pointers, "{entries:?} {refused}");
    }
    assert_eq!(ok(&server.get(NETWORK))["authorizedMemberCount"], 1);
    assert_eq!(ok(&server.get("/api/v2/audit"))["entries"].as_array().unwrap().len(), 1);
    assert!(server.changes.try_recv().is_err());
    let done =
        ok(&bulk(&server, &[entry(1, "remove"), entry(3, "deauthorize"), change(2, json!({ "name": "x" }))]));
    let expected = json!([
        { "address": "0000000001", "outcome": "removed", "revision": null },
        { "address": "0000000003", "outcome": "changed", "revision": 2 },
        { "address": "0000000002", "outcome": "changed", "revision": 2 },
    ]);
    assert_eq!(done["data"], expected);
}
