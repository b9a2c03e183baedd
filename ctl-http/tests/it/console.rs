//! The console's files are whole, open, and can do nothing that a page should not.

use std::collections::BTreeSet;

use serde_json::json;

use crate::client::{self, Answer};
use crate::server::Server;

const NETWORK: &str = "/controller/network/a940ad429a0000f1";

fn get(server: &Server, path: &str, accept: &str) -> Answer {
    client::send(server.address, "GET", path, &[("Accept", accept)], None)
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

/// The names of files that a text mentions after one of these.
fn mentioned(text: &str, markers: &[&str]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for marker in markers {
        names.extend(text.split(marker).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
    }
    names
}

#[test]
fn every_file_that_the_page_asks_for_is_served_without_a_token() {
    let server = Server::start();
    let page = get(&server, "/console/", "text/html");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let mut wanted = mentioned(&text(&page), &["href=\"", "src=\""]);
    let mut seen = BTreeSet::new();
    while let Some(name) = wanted.pop_first() {
        let answer = get(&server, &format!("/console/{name}"), "*/*");
        assert_eq!(answer.status, 200, "{name}");
        let script = name.ends_with(".js");
        assert_eq!(answer.header("content-type") == Some("text/javascript; charset=utf-8"), script, "{name}");
        if script {
            wanted.extend(
                mentioned(&text(&answer), &["from \"./"]).into_iter().filter(|name| !seen.contains(name)),
            );
        }
        seen.insert(name);
    }
    // What the page never asks for would be carried along for nothing.
    let files = concat!(env!("CARGO_MANIFEST_DIR"), "/src/console/files");
    let present =
        std::fs::read_dir(files).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    seen.insert("index.html".to_owned());
    assert_eq!(seen, present.collect());
}

#[test]
fn pages_run_nothing_but_their_own_files_and_cannot_be_framed() {
    let server = Server::start();
    let page = get(&server, "/console/", "text/html");
    let policy = page.header("content-security-policy").unwrap();
    for part in ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{part}");
    }
    assert!(!policy.contains("unsafe"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    for handler in ["<style", "style=", "onclick=", "javascript:", "http://", "https://"] {
        assert!(!text(&page).contains(handler), "{handler}");
    }
}

#[test]
fn browser_is_led_from_the_root_to_the_page_and_others_see_an_unknown_path() {
    let server = Server::start();
    for path in ["/", "/console"] {
        let answer = get(&server, path, "text/html,application/xhtml+xml");
        assert_eq!((answer.status, answer.header("location")), (307, Some("/console/")), "{path}");
    }
    assert_eq!(get(&server, "/", "*/*").status, 401);
    assert_eq!(server.get("/").status, 404);
}

#[test]
fn only_the_files_are_there() {
    let server = Server::start();
    for path in
        ["/console/none.js", "/console/../Cargo.toml", "/console/%2e%2e/lib.rs", "/console/index.html/"]
    {
        assert_eq!(get(&server, path, "*/*").status, 404, "{path}");
    }
    assert_eq!(client::send(server.address, "POST", "/console/", &[], None).status, 401);
}

#[test]
fn who_makes_a_network_is_told_how_a_device_joins_it() {
    let server = Server::start();
    assert_eq!(server.post(NETWORK, &json!({})).status, 200);
    let join = server.get("/api/v2/network/a940ad429a0000f1/join").json();
    assert_eq!(join["command"], "zerotier-cli join a940ad429a0000f1");
    assert_eq!(join["link"], "https://joinzt.com/addnetwork?nwid=a940ad429a0000f1&v=1");
    assert_eq!(join["qrCode"], "<svg>55</svg>", "the code is not that of the link");
    assert_eq!(server.get("/api/v2/network/a940ad429a0000f2/join").status, 404);
}

#[test]
fn settings_are_shown_with_where_they_come_from() {
    let settings = Server::start().get("/api/v2/settings").json();
    let expected = json!({ "name": "port", "group": null, "values": ["9993"], "source": "default" });
    assert_eq!(settings, json!({ "data": [expected] }));
}
