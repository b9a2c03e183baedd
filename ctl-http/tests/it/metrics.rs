//! `/metrics` (`http-api.md` §12, `docs/metrics.md`).

use std::collections::{BTreeMap, BTreeSet};

use ctl_http::metrics::MAX_PEER_SERIES;
use serde_json::{Value, json};
use zt_proto::IpPrefix;

use crate::api::own_address;
use crate::client;
use crate::server::{CONTROLLER, METRICS_TOKEN, Options, Server, TOKEN};

/// Families of the original that mean nothing here: there is no single sign-on, no network of which this node is a member,
/// and no database behind a connection.
const NOT_SERVED: [&str; 11] = [
    "controller_db_get_member_list",
    "controller_db_get_networK_and_member_summary",
    "controller_db_get_network",
    "controller_db_get_network_and_member",
    "controller_db_get_network_list",
    "controller_db_member_change",
    "controller_db_network_change",
    "controller_sso_expiration_checks",
    "controller_sso_timeouts",
    "zt_network_multicast_groups_subscribed",
    "zt_network_packets",
];
/// Registered by the controller, which is not here.
const OF_CONTROLLER: [&str; 3] = [
    "controller_network_config_request",
    "controller_network_config_request_queue",
    "controller_network_config_request_threads",
];

#[test]
fn families_have_the_names_types_and_labels_of_the_original() {
    let server = Server::start();
    let text = metrics(&server);
    let (types, labels) = (types(&text), labels(&text));
    let recorded: Value = serde_json::from_str(include_str!("../../testdata/http/metrics.json")).unwrap();
    for family in recorded["metrics"].as_array().unwrap() {
        let name = family["name"].as_str().unwrap();
        let is_absent = NOT_SERVED.contains(&name) || OF_CONTROLLER.contains(&name);
        assert_ne!(types.contains_key(name), is_absent, "{name}");
        if is_absent {
            continue;
        }
        assert_eq!(types[name], family["type"], "{name}");
        let expected: BTreeSet<_> =
            family["labels"].as_array().unwrap().iter().map(|label| label.as_str().unwrap()).collect();
        assert_eq!(labels.get(name).cloned().unwrap_or_default(), expected, "{name}");
        for (label, values) in family["label_values"].as_object().into_iter().flatten() {
            let known: BTreeSet<_> = values.as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
            for value in label_values(&text, name, label) {
                assert!(known.contains(value), "{name}: {label}={value}");
            }
        }
    }
}

/// In the original the number of members stays when their network goes (`http-api.md` §12).
#[test]
fn records_and_their_changes_are_counted() {
    let server = Server::start();
    let network = format!("/controller/network/{CONTROLLER}000001");
    server.post(&network, &json!({}));
    let member = format!("{network}/member/1122334455");
    server.post(&member, &json!({}));
    server.post(&member, &json!({ "authorized": true }));
    server.post(&member, &json!({ "authorized": true }));
    server.post(&member, &json!({ "authorized": false }));
    server.post(&format!("{network}/member/1122334466"), &json!({ "authorized": true }));
    let figures = |server: &Server| {
        let text = metrics(server);
        let value = |name: &str| {
            let line = text.lines().find(|line| line.split(' ').next() == Some(name));
            line.and_then(|line| line.split(' ').nth(1)?.parse::<u64>().ok())
        };
        [
            "controller_network_count",
            "controller_member_count",
            "controller_network_change_count",
            "controller_member_change_count",
            "controller_member_auth_count",
            "controller_member_deauth_count",
        ]
        .map(|name| value(name).unwrap_or_else(|| panic!("no {name}")))
    };
    assert_eq!(figures(&server), [1, 2, 1, 4, 2, 1]);
    server.send("DELETE", &network, None);
    assert_eq!(figures(&server), [0, 0, 2, 4, 2, 1]);
    let text = metrics(&server);
    assert!(text.contains("\nctl_http_responses_total{code=\"200\"} "), "{text}");
    assert!(text.contains("\nctl_database_readable 1\n"), "{text}");
}

#[test]
fn peers_are_told_apart_by_their_address() {
    let text = metrics(&Server::start());
    for line in [
        "zt_peer_packets{direction=\"rx\",node_id=\"adc5699ffd\"} 7",
        "zt_peer_packets{direction=\"tx\",node_id=\"adc5699ffd\"} 9",
        "zt_peer_packet_errors{node_id=\"adc5699ffd\"} 1",
        "zt_peer_path_count{node_id=\"adc5699ffd\",status=\"alive\"} 1",
        "zt_peer_latency_bucket{node_id=\"adc5699ffd\",le=\"1\"} 1",
        "zt_packet{direction=\"rx\",packet_type=\"network_config_request\"} 5",
        "zt_packet_error{direction=\"tx\",error_type=\"obj_not_found\"} 1",
        "zt_data{direction=\"tx\",protocol=\"udp\"} 5678",
        "ctl_peers 3",
    ] {
        assert!(text.contains(&format!("\n{line}\n")), "{line}: {text}");
    }
}

/// `http-api.md` §3.1, §3.2: the token of the metrics opens nothing else, and from anywhere.
#[test]
fn source_address_does_not_matter() {
    let Some(own) = own_address() else { return };
    let server =
        Server::with(Options { listen: own, allowed_sources: Vec::<IpPrefix>::new(), ..Options::default() });
    let get = |path: &str, token: &str| {
        client::send(server.address, "GET", path, &[("X-ZT1-Auth", token)], None).status
    };
    assert_eq!(get("/metrics", METRICS_TOKEN), 200);
    assert_eq!(get("/metrics", TOKEN), 200);
    assert_eq!(get("/metrics", "wrong"), 401);
    assert_eq!(get("/status", METRICS_TOKEN), 401);
    assert_eq!(get("/status", TOKEN), 401);
}

/// The dashboard and the manual name nothing that is not served, but for what other parts of the program register.
#[test]
fn dashboard_and_manual_fit_what_is_served() {
    let server = Server::start();
    metrics(&server); // which is the first answer that is counted
    let text = metrics(&server);
    let types = types(&text);
    let manual = include_str!("../../../docs/metrics.md");
    let dashboard = include_str!("../../../dist/grafana-dashboard.json");
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names = dashboard.split(|c| !is_name(c)).filter(|name| {
        ["ctl_", "zt_", "controller_", "process_"].iter().any(|prefix| name.starts_with(prefix))
    });
    for name in names {
        let family = name.strip_suffix("_bucket").unwrap_or(name);
        let is_of_program = OF_CONTROLLER.contains(&family)
            || [
                "ctl_pushes_",
                "ctl_revocation_packets_",
                "ctl_requests_dropped_",
                "ctl_configs_without_address_",
            ]
            .iter()
            .any(|prefix| family.starts_with(prefix));
        assert!(is_of_program || types.contains_key(family), "{family} is not served");
    }
    for family in types.keys().filter(|family| !family.starts_with("process_")) {
        assert!(manual.contains(&format!("`{family}")), "{family} is not in docs/metrics.md");
    }
}

/// `known-flaws.md` row 18: strangers become peers, so their series are bounded.
#[test]
fn only_so_many_peers_have_series() {
    let server = Server::with_peers(MAX_PEER_SERIES + 100);
    let text = metrics(&server);
    let series = text.lines().filter(|line| line.starts_with("zt_peer_packet_errors{")).count();
    assert_eq!(series, MAX_PEER_SERIES);
    assert!(text.contains(&format!("\nctl_peers {}\n", MAX_PEER_SERIES + 100)));
}

fn metrics(server: &Server) -> String {
    let answer = client::send(server.address, "GET", "/metrics", &[("X-ZT1-Auth", METRICS_TOKEN)], None);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    String::from_utf8(answer.body).unwrap()
}

/// Returns the type of each family; there is no family without help.
fn types(text: &str) -> BTreeMap<&str, &str> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let types: BTreeMap<_, _> = types.collect();
    for name in types.keys() {
        assert!(text.contains(&format!("# HELP {name} ")), "{name}");
    }
    types
}

/// Returns the labels of each family; those of a histogram's buckets count for it.
fn labels(text: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, pairs) in samples(text) {
        let family = name.strip_suffix("_bucket").unwrap_or(name);
        found.entry(family).or_default().extend(pairs.iter().map(|(label, _)| *label));
    }
    found
}

fn label_values<'a>(text: &'a str, family: &str, label: &str) -> BTreeSet<&'a str> {
    let of_family =
        samples(text).into_iter().filter(|(name, _)| name.strip_suffix("_bucket").unwrap_or(name) == family);
    of_family
        .flat_map(|(_, pairs)| pairs)
        .filter(|(name, _)| *name == label)
        .map(|(_, value)| value)
        .collect()
}

/// Returns name and labels of each sample that has labels.
fn samples(text: &str) -> Vec<(&str, Vec<(&str, &str)>)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let labelled = lines.filter_map(|line| {
        let (name, rest) = line.split_once('{')?;
        let pairs = rest.split_once('}')?.0.split(',').filter_map(|pair| pair.split_once('='));
        Some((name, pairs.map(|(label, value)| (label, value.trim_matches('"'))).collect()))
    });
    labelled.collect()
}
