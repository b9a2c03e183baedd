//! Whatever is sent, there is a well-formed answer and the store stays readable.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::client::Answer;
use crate::server::Server;

const NETWORK: &str = "/controller/network/a940ad429a0000f1";
const MEMBER: &str = "/controller/network/a940ad429a0000f1/member/a1b2c3d4e5";

/// Names that mean something somewhere in a body.
const NAMES: &[&str] = &[
    "name",
    "private",
    "enableBroadcast",
    "multicastLimit",
    "mtu",
    "v4AssignMode",
    "v6AssignMode",
    "zt",
    "rfc4193",
    "6plane",
    "routes",
    "target",
    "via",
    "ipAssignmentPools",
    "ipRangeStart",
    "ipRangeEnd",
    "network",
    "netmaskBits",
    "dns",
    "domain",
    "servers",
    "rules",
    "type",
    "ip",
    "mask",
    "start",
    "end",
    "bits",
    "action",
    "ruleNo",
    "etherType",
    "capabilities",
    "tags",
    "id",
    "default",
    "value",
    "authTokens",
    "remoteTraceTarget",
    "remoteTraceLevel",
    "rulesSource",
    "ipLocalRoutes",
    "authorized",
    "activeBridge",
    "noAutoAssignIps",
    "ipAssignments",
    "authenticationExpiryTime",
];

pub(crate) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        "[0-9a-f:./]{0,20}".prop_map(Value::from),
        Just(json!("10.0.0.1/24")),
        Just(json!("MATCH_IPV4_SOURCE")),
        Just(json!("ACTION_ACCEPT")),
        Just(json!("INTEGER_RANGE")),
        Just(json!("accept")),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((proptest::sample::select(NAMES), inner), 0..8).prop_map(object),
        ]
    })
}

fn object(fields: Vec<(&'static str, Value)>) -> Value {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into()
}

/// A body of known names, so that most cases get past the first check.
fn body() -> impl Strategy<Value = Value> {
    proptest::collection::vec((proptest::sample::select(NAMES), value()), 0..12).prop_map(object)
}

fn is_well_formed(answer: &Answer) -> bool {
    match answer.status {
        200 => answer.json().is_object(),
        400 | 409 => answer.error().is_some(),
        _ => false,
    }
}

fn check_readable(server: &Server) -> Result<(), TestCaseError> {
    for path in [NETWORK, MEMBER, "/unstable/controller/network"] {
        let answer = server.get(path);
        prop_assert!(answer.status == 200 && answer.json().is_object(), "{} {:?}", path, answer);
    }
    Ok(())
}

#[test]
fn arbitrary_json_gets_a_well_formed_answer() {
    let server = Server::start();
    server.post(NETWORK, &json!({}));
    server.post(MEMBER, &json!({}));
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) };
    proptest!(config, |(network in body(), member in body())| {
        for (path, body) in [(NETWORK, network), (MEMBER, member)] {
            let answer = server.post(path, &body);
            prop_assert!(is_well_formed(&answer), "{} {} {:?}", path, body, answer);
            if answer.status == 200 {
                // What is shown is understood, and changes nothing.
                let shown = answer.json();
                prop_assert_eq!(server.post(path, &shown).json(), shown);
            }
        }
        check_readable(&server)?;
    });
}

#[test]
fn arbitrary_bytes_are_200_or_400() {
    let server = Server::start();
    server.post(NETWORK, &json!({}));
    server.post(MEMBER, &json!({}));
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) };
    proptest!(config, |(body in proptest::collection::vec(any::<u8>(), 0..200))| {
        for path in [NETWORK, MEMBER] {
            let headers = [("X-ZT1-Auth", crate::server::TOKEN)];
            let answer = crate::client::send(server.address, "POST", path, &headers, Some(&body));
            prop_assert!(is_well_formed(&answer), "{:?}", answer);
        }
        check_readable(&server)?;
    });
}

/// A path of known and unknown parts, with a query.
fn target() -> impl Strategy<Value = String> {
    let known = [
        "controller",
        "network",
        "member",
        "active",
        "unstable",
        "peer",
        "moon",
        "status",
        "health",
        "metrics",
        "config",
        "settings",
        "bond",
        "api",
        "v1",
        "v2",
        "user",
        "rules",
        "a940ad429a0000f1",
        "A940AD429A0000F1",
        "a940ad429a______",
        "ffffffffffffffff",
        "a1b2c3d4e5",
        "0000000000",
        "%61940ad429a0000f1",
        "..",
        "",
    ];
    let segment = prop_oneof![
        6 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned),
        1 => "[!-~&&[^/?#]]{0,20}",
        1 => "(%[0-9a-f]{2}){1,4}",
    ];
    let query =
        prop_oneof![Just(String::new()), "[?][ -~&&[^# ]]{0,40}", "[?](auth|limit|before)=[0-9a-f%]{0,30}"];
    (proptest::collection::vec(segment, 0..7), query)
        .prop_map(|(segments, query)| format!("/{}{query}", segments.join("/")))
}

fn header() -> impl Strategy<Value = (String, Vec<u8>)> {
    let name = prop_oneof![
        "[A-Za-z][A-Za-z0-9-]{0,15}",
        proptest::sample::select(vec![
            "Content-Type",
            "Accept",
            "Authorization",
            "Expect",
            "If-Match",
            "Origin",
            "Range",
            "Accept-Encoding",
            "X-Forwarded-For",
        ])
        .prop_map(str::to_owned),
    ];
    // Framing is not what this is about, and a second one would only be refused.
    let name = name.prop_filter("framing", |name| {
        let name = name.to_ascii_lowercase();
        !["content-length", "transfer-encoding", "connection", "upgrade", "te"].contains(&name.as_str())
    });
    let value = prop_oneof![
        proptest::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff], 0..40),
        Just(b"Bearer x".to_vec()),
        Just(b"100-continue".to_vec()),
    ];
    (name, value)
}

/// Any method, path, query, headers and body with values of any type: an answer, and never one that says that the program
/// is at fault.
#[test]
fn arbitrary_request_is_answered_and_never_with_500() {
    let server = Server::start();
    server.post(NETWORK, &json!({}));
    server.post(MEMBER, &json!({}));
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) };
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "get"];
    let body = prop_oneof![
        3 => body().prop_map(|body| body.to_string().into_bytes()),
        1 => value().prop_map(|body| body.to_string().into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 0..100),
    ];
    let token = proptest::bool::weighted(0.9);
    let request = (
        proptest::sample::select(methods.to_vec()),
        target(),
        proptest::collection::vec(header(), 0..4),
        body,
        token,
    );
    proptest!(config, |((method, target, headers, body, has_token) in request)| {
        let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n").into_bytes();
        if has_token {
            bytes.extend(format!("X-ZT1-Auth: {}\r\n", crate::server::TOKEN).bytes());
        }
        for (name, value) in &headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
        bytes.extend(&body);
        let answer = crate::client::exchange(server.address, &bytes, method == "HEAD");
        let is_fine = matches!(answer.status, 200..500);
        prop_assert!(is_fine, "{} {} {:?} {:?}: {:?}", method, target, headers, body, answer);
        // Whoever has no token learns nothing about what there is.
        if !has_token && !target.starts_with("/health") {
            let is_closed = matches!(answer.status, 400 | 401 | 417 | 431);
            prop_assert!(is_closed, "{} {} {:?}", method, target, answer);
        }
    });
    // What there was may have been changed or removed; all there is can be read.
    for path in ["/unstable/controller/network", "/controller/network", "/metrics", "/status"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
}

#[test]
fn arbitrary_path_is_answered() {
    let server = Server::start();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) };
    let segment = prop_oneof![
        "[!-~&&[^/?#]]{0,20}".boxed(),
        "%[0-9a-f]{2}".boxed(),
        proptest::sample::select(vec![
            "controller",
            "network",
            "member",
            "unstable",
            "peer",
            "a940ad429a0000f1"
        ])
        .prop_map(str::to_owned)
        .boxed(),
    ];
    proptest!(config, |(path in proptest::collection::vec(segment, 0..6))| {
        let answer = server.get(&format!("/{}", path.join("/")));
        prop_assert!(matches!(answer.status, 200 | 400 | 404), "{:?}", answer);
    });
}
