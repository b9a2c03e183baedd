//! What members cause, as the audit log tells it.

use super::*;

/// Who, what, before and after; and nothing for strangers, who could fill the log, nor for another release of the client.
#[test]
fn what_members_cause_is_in_the_audit_log_once() {
    let mut fixture = Fixture::with_network(true);
    let now = fixture.now;
    let log = |fixture: &Fixture| {
        let entries = fixture.controller.store.read(|tx| tx.audit().page(None, 100)).unwrap();
        let text = |entry: &ctl_store::AuditRecord| {
            let (before, after) =
                (entry.before.clone().unwrap_or_default(), entry.after.clone().unwrap_or_default());
            format!("{} {} {before} {after}", entry.actor, entry.action)
        };
        entries.iter().map(text).collect::<Vec<_>>()
    };
    assert!(is_refused(&fixture.ask(1, source(1), now), Refusal::AccessDenied));
    assert_eq!(log(&fixture), [""; 0]);

    let mut network = Network { private: false, revision: 2, ..Network::new(NETWORK, Timestamp(1)) };
    fixture.controller.store.write(|tx| tx.networks().put(&network)).unwrap();
    let other_release = ConfigRequest {
        metadata: RequestMetadata::parse(b"v=7\npv=c\nmajv=1\nminv=e\nrevr=1"),
        ..request(2, RequestKind::Request)
    };
    fixture.ask(2, source(1), now);
    fixture.ask(2, source(1), now);
    fixture.controller.prepare_for(&other_release, source(1), now).unwrap();
    // The stranger of before is let in by the network that is public now.
    fixture.ask(1, source(1), now);
    let entries = log(&fixture);
    assert_eq!(entries.len(), 2, "{entries:?}");
    let authorized = r#""authorized":true"#;
    let public = r#""lastAuthorizedCredentialType":"public""#;
    for (entry, begin, identity) in [
        (
            &entries[0],
            r#"0000000001 member.update {"authorized":false,"lastAuthorizedCredentialType":null} {"#,
            false,
        ),
        (&entries[1], "0000000002 member.create  {", true),
    ] {
        assert!(entry.starts_with(begin) && entry.contains(authorized) && entry.contains(public), "{entry}");
        assert_eq!(entry.contains(r#""identity":"0000000002:0:"#), identity, "{entry}");
    }

    // An administrator gives the network a pool: members get addresses with the next push.
    network.revision = 3;
    network.v4_assign.pool = true;
    let ip = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
    network.pools = vec![Pool { first: ip(1), last: ip(9) }];
    network.routes = vec![Route { target: "10.0.0.0/24".parse().unwrap(), via: None }];
    fixture.controller.store.write(|tx| tx.networks().put(&network)).unwrap();
    fixture.note(2, Standing::Admitted);
    fixture.controller.follow(&[Change::Network(NETWORK)], now);
    fixture.send_all();
    let expected = r#"controller member.update {"ipAssignments":[]} {"ipAssignments":["10.0.0."#;
    assert!(log(&fixture)[0].starts_with(expected), "{:?}", log(&fixture));

    network.private = true;
    network.join_tokens.insert("a secret".to_owned(), Timestamp(0));
    fixture.controller.store.write(|tx| tx.networks().put(&network)).unwrap();
    let mut with_token = request(3, RequestKind::Request);
    with_token.metadata.token = Some("a secret".to_owned());
    fixture.controller.prepare_for(&with_token, source(1), now).unwrap();
    let newest = log(&fixture).swap_remove(0);
    let is_told = newest.starts_with("0000000003 member.create") && newest.contains(r#"Type":"token""#);
    assert!(is_told && !newest.contains("secret"), "{newest}");
}
