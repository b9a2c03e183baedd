//! Webhooks of the running program: signed, tried again, and not lost with the program.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::backup::printed;
use crate::cli::ctl;
use crate::http::request;
use crate::process::{now, pause};
use crate::program::{api, free_port, home, serve};

/// A test that waits this long has failed.
const LONG: Duration = Duration::from_secs(60);

/// What a receiver got: the path, the body, and the headers in small letters.
type Got = (String, Value, Vec<String>);

/// A receiver that answers everything with the status that is set.
struct Receiver {
    url: String,
    status: Arc<AtomicU16>,
    got: mpsc::Receiver<Got>,
}

impl Receiver {
    fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let status = Arc::new(AtomicU16::new(status));
        let (sender, got) = mpsc::channel();
        let current = Arc::clone(&status);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if sender.send(answer(stream.unwrap(), current.load(Ordering::SeqCst))).is_err() {
                    return;
                }
            }
        });
        Self { url, status, got }
    }

    fn take(&self) -> Got {
        self.got.recv_timeout(LONG).expect("a webhook comes")
    }

    fn answer_with(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }
}

fn answer(stream: TcpStream, status: u16) -> Got {
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let path = lines[0].split(' ').nth(1).unwrap().to_owned();
    let headers: Vec<_> = lines[1..].iter().map(|line| line.to_ascii_lowercase()).collect();
    let length =
        headers.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let close = "Content-Length: 0\r\nConnection: close\r\n\r\n";
    let answer = format!("HTTP/1.1 {status} x\r\nLocation: http://127.0.0.1:1/\r\n{close}");
    // Whoever was killed meanwhile does not hear it.
    drop(reader.get_mut().write_all(answer.as_bytes()));
    (path, serde_json::from_slice(&body).unwrap(), headers)
}

fn header<'a>(headers: &'a [String], name: &str) -> &'a str {
    headers.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap()
}

#[test]
fn a_webhook_is_tried_again_and_survives_a_restart_of_the_controller() {
    let (_folder, home) = home();
    let port = free_port();
    let receiver = Receiver::start(302);
    let (mut process, _) = serve(&home, port);
    let token = fs::read_to_string(home.join("authtoken.secret")).unwrap();
    let send =
        |method: &str, path: &str, body: Value| request(api(port), method, path, &token, Some(&body)).1;
    let order = json!({ "url": receiver.url, "events": ["NETWORK_CREATED", "NETWORK_DELETED"] });
    let hook = send("POST", "/api/v2/webhooks", order);
    let at = format!("/api/v2/webhooks/{}", hook["id"].as_str().unwrap());
    let network = send("POST", "/api/v2/network", json!({ "name": "told" }))["id"].clone();
    let network = network.as_str().unwrap();

    // A redirect is no success, and is not followed.
    let (path, body, headers) = receiver.take();
    receiver.answer_with(503);
    assert_eq!((path.as_str(), &body["hook_type"]), ("/hook", &json!("NETWORK_CREATED")));
    assert_eq!((&body["network_id"], &body["hook_id"]), (&json!(network), &hook["id"]));
    assert!(header(&headers, "x-ztc-signature").starts_with("t="), "{headers:?}");
    let number = header(&headers, "idempotency-key").to_owned();
    let (_, again, headers) = receiver.take();
    assert_eq!((&again, header(&headers, "idempotency-key")), (&body, &*number), "the same is tried again");

    // What happens while the receiver is down waits for it, in the database.
    send("DELETE", &format!("/api/v2/network/{network}"), json!({}));
    let shown = send("GET", &at, json!({}));
    assert_eq!(shown["waiting"], 2);
    process.kill();
    receiver.answer_with(204);
    let (process, _) = serve(&home, port);
    let mut types = BTreeSet::new();
    while types.len() < 2 {
        types.insert(receiver.take().1["hook_type"].as_str().unwrap().to_owned());
    }
    let deadline = now() + LONG;
    let shown = loop {
        let shown = send("GET", &at, json!({}));
        if shown["waiting"] == 0 || now() > deadline {
            break shown;
        }
        pause(Duration::from_millis(20));
    };
    assert_eq!(
        (&shown["waiting"], &shown["lastFailure"], &shown["dead"]),
        (&json!(0), &Value::Null, &json!([]))
    );
    assert!(shown["lastDelivered"].as_u64().unwrap() > 0);
    // Neither the secret nor where it is sent to is in the log.
    let log: String = process.lines_since(0).into_iter().map(|line| line.text + "\n").collect();
    assert!(!log.contains(hook["secret"].as_str().unwrap()) && !log.contains("/hook"), "{log}");
}

#[test]
fn what_was_given_up_arrives_when_it_is_tried_again() {
    let (_folder, home) = home();
    let port = free_port();
    let receiver = Receiver::start(503);
    let (mut process, _) = serve(&home, port);
    let token = fs::read_to_string(home.join("authtoken.secret")).unwrap();
    let send =
        |method: &str, path: &str, body: Value| request(api(port), method, path, &token, Some(&body)).1;
    let hook = send("POST", "/api/v2/webhooks", json!({ "url": receiver.url }));
    let at = format!("/api/v2/webhooks/{}", hook["id"].as_str().unwrap());
    send("POST", "/api/v2/network", json!({ "name": "told" }));
    let (_, told, headers) = receiver.take();
    process.kill();
    // As after four hours.
    let database = rusqlite::Connection::open(home.join("controller.db")).unwrap();
    assert_eq!(database.execute("UPDATE webhook_delivery SET attempts = 15, dead = 1", []).unwrap(), 1);
    drop(database);
    receiver.answer_with(204);
    let (_process, _) = serve(&home, port);
    let shown = send("GET", &at, json!({}));
    assert_eq!((&shown["waiting"], &shown["dead"][0]["body"]), (&json!(0), &told));
    let (id, delivery) = (hook["id"].as_str().unwrap(), shown["dead"][0]["id"].to_string());
    let said = printed(ctl(&home, &["webhook", "retry", id, "--delivery", &delivery]));
    assert_eq!(said, format!("{id}: tried again: 1 delivery\n"));
    // What was on its way at the time of the crash may have come twice.
    let (_, body, again) = receiver.take();
    let key = |headers: &[String]| header(headers, "idempotency-key").to_owned();
    assert_eq!((body, key(&again)), (told, key(&headers)));
}
