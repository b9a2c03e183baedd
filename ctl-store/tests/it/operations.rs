//! What is noted about running the controller: the audit log, tokens, the lease.

use ctl_store::{
    AUDIT_MAX_PAGE, AUDIT_MAX_VALUE_BYTES, ApiToken, AuditEntry, Lease, StoreError, TOKEN_USE_STEP_MILLIS,
    TokenHash,
};
use zt_proto::Timestamp;

use crate::sample::{NETWORK, NOW, address, store};

#[test]
fn audit_entry_is_there_if_and_only_if_its_change_is() {
    let store = store();
    let change = |fail: bool| {
        store.write(|tx| {
            tx.networks().remove(NETWORK, NOW)?;
            tx.audit().add(&entry("network.remove"))?;
            if fail { Err(StoreError::NoSuchNetwork { network: NETWORK }) } else { Ok(()) }
        })
    };
    change(true).unwrap_err();
    assert_eq!(store.read(|tx| tx.audit().page(None, 10)).unwrap(), []);
    change(false).unwrap();
    let page = store.read(|tx| tx.audit().page(None, 10)).unwrap();
    let [found] = page.as_slice() else { panic!("{page:?}") };
    let expected = entry("network.remove");
    assert_eq!((found.time, &found.actor), (expected.time, &expected.actor));
    assert_eq!(
        (found.action.as_str(), found.network, found.member),
        (expected.action, expected.network, expected.member)
    );
    assert_eq!((&found.before, &found.after), (&expected.before, &expected.after));
}

#[test]
fn audit_pages_are_bounded_and_each_begins_where_the_last_ended() {
    let store = store();
    let total = AUDIT_MAX_PAGE + 100;
    store.write(|tx| (0..total).try_for_each(|_| tx.audit().add(&entry("member.update")).map(drop))).unwrap();
    assert_eq!(store.read(|tx| tx.audit().page(None, usize::MAX)).unwrap().len(), AUDIT_MAX_PAGE);
    let (mut before, mut ids) = (None, Vec::new());
    loop {
        let page = store.read(|tx| tx.audit().page(before, 70)).unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        ids.extend(page.iter().map(|entry| entry.id));
    }
    assert_eq!(ids.len(), total);
    assert!(ids.windows(2).all(|pair| pair[0] > pair[1]));
}

#[test]
fn long_audit_value_is_replaced_by_its_length_and_a_long_name_is_cut() {
    let store = store();
    let long = AuditEntry {
        actor: "é".repeat(1000),
        before: Some("x".repeat(AUDIT_MAX_VALUE_BYTES)),
        after: Some("x".repeat(AUDIT_MAX_VALUE_BYTES + 1)),
        ..entry("network.update")
    };
    store.write(|tx| tx.audit().add(&long)).unwrap();
    let page = store.read(|tx| tx.audit().page(None, 1)).unwrap();
    assert_eq!(page[0].actor, "é".repeat(128));
    assert_eq!(page[0].before, long.before);
    assert_eq!(page[0].after.as_deref(), Some(r#"{"omitted":"65537 bytes"}"#));
}

#[test]
fn token_is_found_by_its_hash_alone() {
    let store = store();
    let token = token("backup", "secret one");
    store.write(|tx| tx.api_tokens().put(&token)).unwrap();
    let get = |secret| store.read(|tx| tx.api_tokens().get(TokenHash::of(secret))).unwrap();
    assert_eq!(get("secret one"), Some(token.clone()));
    assert_eq!(get("secret two"), None);
    assert_eq!(get("backup"), None);
    let renewed = ApiToken { hash: TokenHash::of("secret two"), ..token.clone() };
    store.write(|tx| tx.api_tokens().put(&renewed)).unwrap();
    assert_eq!((get("secret one"), get("secret two")), (None, Some(renewed.clone())));
    assert_eq!(store.read(|tx| tx.api_tokens().list()).unwrap(), [renewed]);
    assert!(store.write(|tx| tx.api_tokens().remove("backup")).unwrap());
    assert!(!store.write(|tx| tx.api_tokens().remove("backup")).unwrap());
    assert_eq!(get("secret two"), None);
}

#[test]
fn renewed_token_is_found_by_the_hash_that_it_had() {
    let store = store();
    let until = NOW.plus_millis(5);
    let renewed = ApiToken { previous: Some((TokenHash::of("old"), until)), ..token("one", "new") };
    store.write(|tx| tx.api_tokens().put(&renewed)).unwrap();
    for secret in ["old", "new"] {
        assert_eq!(
            store.read(|tx| tx.api_tokens().get(TokenHash::of(secret))).unwrap(),
            Some(renewed.clone())
        );
    }
    store.write(|tx| tx.api_tokens().note_use(TokenHash::of("old"), NOW)).unwrap();
    assert_eq!(store.read(|tx| tx.api_tokens().list()).unwrap()[0].last_used, NOW);
    let again = ApiToken { previous: None, ..renewed };
    store.write(|tx| tx.api_tokens().put(&again)).unwrap();
    assert_eq!(store.read(|tx| tx.api_tokens().get(TokenHash::of("old"))).unwrap(), None);
}

#[test]
fn token_of_two_names_or_of_none_is_refused() {
    let store = store();
    store.write(|tx| tx.api_tokens().put(&token("one", "secret"))).unwrap();
    for refused in [token("two", "secret"), token("", "other"), token(&"x".repeat(257), "other")] {
        let result = store.write(|tx| tx.api_tokens().put(&refused));
        assert!(matches!(result, Err(StoreError::Internal { .. })), "{result:?}");
    }
    assert_eq!(store.read(|tx| tx.api_tokens().list()).unwrap(), [token("one", "secret")]);
}

#[test]
fn use_of_a_token_is_noted_once_in_a_while() {
    let store = store();
    store.write(|tx| tx.api_tokens().put(&token("one", "secret"))).unwrap();
    let use_at = |millis| {
        let hash = TokenHash::of("secret");
        store.write(|tx| tx.api_tokens().note_use(hash, NOW.plus_millis(millis))).unwrap();
        store.read(|tx| tx.api_tokens().get(hash)).unwrap().unwrap().last_used
    };
    assert_eq!(use_at(0), NOW);
    assert_eq!(use_at(TOKEN_USE_STEP_MILLIS - 1), NOW);
    assert_eq!(use_at(TOKEN_USE_STEP_MILLIS), NOW.plus_millis(TOKEN_USE_STEP_MILLIS));
}

#[test]
fn hash_of_a_token_shows_neither_it_nor_itself() {
    let hash = TokenHash::of("secret");
    let text = format!("{hash:?}");
    assert!(text.starts_with("TokenHash(") && text.len() < 24, "{text}");
    assert_ne!(hash, TokenHash::of("secre"));
}

#[test]
fn there_is_one_lease_and_its_holder_ends_it() {
    let store = store();
    let lease = |holder: &str, millis| Lease {
        holder: holder.to_owned(),
        hint: "host, process 7".to_owned(),
        until: NOW.plus_millis(millis),
    };
    let get = || store.read(|tx| tx.lease().get()).unwrap();
    assert_eq!(get(), None);
    for (holder, millis) in [("one", 10), ("one", 20), ("two", 30)] {
        store.write(|tx| tx.lease().put(&lease(holder, millis))).unwrap();
        assert_eq!(get(), Some(lease(holder, millis)));
    }
    assert!(!store.write(|tx| tx.lease().remove("one")).unwrap());
    assert_eq!(get(), Some(lease("two", 30)));
    assert!(store.write(|tx| tx.lease().remove("two")).unwrap());
    assert_eq!(get(), None);
}

fn entry(action: &'static str) -> AuditEntry {
    AuditEntry {
        time: NOW,
        actor: "authtoken".to_owned(),
        action,
        network: Some(NETWORK),
        member: Some(address(1)),
        before: Some(r#"{"name":"a"}"#.to_owned()),
        after: None,
    }
}

fn token(name: &str, secret: &str) -> ApiToken {
    ApiToken {
        name: name.to_owned(),
        hash: TokenHash::of(secret),
        scope: "network:read".to_owned(),
        created: NOW,
        last_used: Timestamp(0),
        expires: NOW.plus_millis(1000),
        previous: None,
    }
}
