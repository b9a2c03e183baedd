//! Metrics of the real program: those that are documented, and no others.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::http::request;
use crate::program::{api, free_port, home, serve};

/// Served once there was a packet or is a peer; `ctl-http/tests/it/metrics.rs` has some.
const OF_OTHERS: [&str; 6] = [
    "zt_packet",
    "zt_packet_error",
    "zt_peer_latency",
    "zt_peer_packet_errors",
    "zt_peer_packets",
    "zt_peer_path_count",
];

fn repository(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)).unwrap()
}

fn names(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let ours = |word: &&str| ["ctl_", "zt_", "controller_"].iter().any(|prefix| word.starts_with(prefix));
    text.split(|c| !is_name(c)).filter(ours).map(str::to_owned).collect()
}

/// Returns the names in the first column of the tables of metrics.
fn documented() -> BTreeSet<String> {
    let manual = repository("docs/metrics.md");
    let of_metrics = manual.split("## Traces").next().unwrap();
    of_metrics
        .lines()
        .filter(|line| line.starts_with("| `"))
        .flat_map(|line| names(line.split('|').nth(1).unwrap()))
        .collect()
}

#[test]
fn what_is_served_is_what_is_documented_and_the_dashboard_shows_nothing_else() {
    let (_folder, home) = home();
    let port = free_port();
    let _controller = serve(&home, port);
    let token = fs::read_to_string(home.join("metricstoken.secret")).unwrap();
    let scrape = || {
        let (status, text) = request(api(port), "GET", "/metrics", &token, None);
        assert_eq!(status, 200);
        text.as_str().unwrap().to_owned()
    };
    scrape(); // the first answer that is counted
    let text = scrape();
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let (own, of_process): (BTreeSet<_>, BTreeSet<_>) =
        families.map(str::to_owned).partition(|name| !name.starts_with("process_"));
    let mut served = own.clone();
    served.extend(OF_OTHERS.map(str::to_owned));
    assert_eq!(documented(), served);
    assert!(!of_process.is_empty());
    let dashboard = repository("dist/grafana-dashboard.json");
    let shown = names(&dashboard);
    assert!(shown.len() > 10, "{shown:?}");
    for name in shown {
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let is_known = served.contains(&name) || family.is_some_and(|family| served.contains(family));
        assert!(is_known, "{name} is not served");
    }
}
