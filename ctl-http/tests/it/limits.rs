//! What a client may take of the server: bytes, time, connections. Over real sockets, with short limits.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ctl_http::{Limits, Serving};
use ctl_store::{Store, StoreError};
use serde_json::json;

use crate::client;
use crate::server::{Options, Server, TOKEN};

const NETWORK: &str = "/controller/network/a940ad429a0000f1";
const SHORT: Duration = Duration::from_millis(300);
/// A test that waits this long has failed.
const LONG: Duration = Duration::from_secs(30);

fn with(limits: Limits) -> Server {
    Server::with(Options { serving: Serving { limits, ..Serving::default() }, ..Options::default() })
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

/// Reads until the server closes the connection. A reset counts as closed.
fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => bytes.extend_from_slice(&chunk[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("the connection was not closed: {error}"),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn long_path_and_long_headers_are_refused() {
    let server = Server::start();
    let path = |length: usize| format!("/status?{}", "x".repeat(length - "/status?".len()));
    assert_eq!(server.get(&path(8192)).status, 200);
    let answer = server.get(&path(8193));
    assert_eq!(answer.status, 414);
    assert!(answer.error().unwrap().contains("expected at most 8192"), "{answer:?}");
    assert_eq!(server.get(&path(60_000)).status, 414);

    let padded = |length: usize| {
        let pad = "x".repeat(length);
        client::exchange(
            server.address,
            format!("GET /health HTTP/1.1\r\nX-Pad: {pad}\r\n\r\n").as_bytes(),
            false,
        )
        .status
    };
    assert_eq!((padded(60_000), padded(70_000)), (200, 431));
    let many = |count: usize| {
        let headers: String = (0..count).map(|number| format!("X-{number}: x\r\n")).collect();
        client::exchange(server.address, format!("GET /health HTTP/1.1\r\n{headers}\r\n").as_bytes(), false)
            .status
    };
    assert_eq!((many(100), many(101)), (200, 431));
}

#[test]
fn request_that_never_ends_and_connection_without_one_are_closed() {
    let server = with(Limits { header_read: SHORT, ..Limits::default() });
    for begin in ["", "GET /health HTTP/1.1\r\nX-Slow:"] {
        let mut stream = connect(&server);
        stream.write_all(begin.as_bytes()).unwrap();
        let answer = rest(stream);
        assert!(!answer.contains("200"), "{answer}");
    }
    // The same between two requests.
    let mut stream = connect(&server);
    stream.write_all(b"GET /health HTTP/1.1\r\n\r\n").unwrap();
    let answer = rest(stream);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn body_that_never_ends_is_408() {
    let server = with(Limits { body_read: SHORT, ..Limits::default() });
    let mut stream = connect(&server);
    let head =
        format!("POST {NETWORK} HTTP/1.1\r\nX-ZT1-Auth: {TOKEN}\r\nContent-Length: 100\r\n\r\n{{\"name\":");
    stream.write_all(head.as_bytes()).unwrap();
    let answer = rest(stream);
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("did not arrive in time"), "{answer}");
    assert_eq!(server.get(NETWORK).status, 404);
}

/// Bodies are for those who may send them: nobody else can make the server hold one.
#[test]
fn body_of_a_request_without_token_is_not_waited_for() {
    let server = Server::start();
    let mut stream = connect(&server);
    stream
        .write_all(format!("POST {NETWORK} HTTP/1.1\r\nContent-Length: 4000000\r\n\r\n").as_bytes())
        .unwrap();
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).unwrap();
    assert_eq!(&begin, b"HTTP/1.1 401");
}

#[test]
fn client_that_does_not_take_its_answer_is_left() {
    let server = with(Limits { write_stall: SHORT, shutdown: LONG, ..Limits::default() });
    server.post(NETWORK, &json!({ "rulesSource": "x".repeat(3 << 20) }));
    let mut stream = connect(&server);
    // More than the buffers of both sides hold.
    for _ in 0..20 {
        stream
            .write_all(format!("GET {NETWORK} HTTP/1.1\r\nX-ZT1-Auth: {TOKEN}\r\n\r\n").as_bytes())
            .unwrap();
    }
    // The server ends at once because nobody is waited for, although its own deadline is far.
    let (done, waiting) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut server = server;
            server.stop();
            done.send(()).unwrap();
        });
        waiting.recv_timeout(LONG / 2).expect("the server waits for a client that does not read");
    });
    drop(stream);
}

#[test]
fn connections_beyond_the_most_are_closed_and_places_come_back() {
    let server = with(Limits { local_connections: 3, ..Limits::default() });
    let held: Vec<_> = (0..3)
        .map(|_| {
            let mut stream = connect(&server);
            stream.write_all(b"GET /health HTTP/1.1\r\n\r\n").unwrap();
            stream.read_exact(&mut [0; 15]).unwrap();
            stream
        })
        .collect();
    assert_eq!(rest(connect(&server)), "");
    drop(held);
    // The server notices their end in its own time.
    let found = (0..1000).any(|_| {
        let mut stream = connect(&server);
        let sent = stream.write_all(b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n");
        sent.is_ok() && rest(stream).starts_with("HTTP/1.1 200")
    });
    assert!(found, "no place came back");
}

/// A request that waits for the database while the server is told to stop.
fn stop_while_a_request_is_open(limits: Limits) -> (String, bool) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("ctl.db")).unwrap();
    let serving = Serving { limits, ..Serving::default() };
    let mut server = Server::with(Options { store: store.clone(), serving, ..Options::default() });
    server.post(NETWORK, &json!({}));
    let (enter, entered) = mpsc::channel();
    let (leave, left) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let store = &store;
        scope.spawn(move || {
            store.write(|_| {
                enter.send(()).unwrap();
                left.recv().unwrap();
                Ok::<_, StoreError>(())
            })
        });
        entered.recv().unwrap();
        let before = server.now();
        let mut stream = connect(&server);
        let body = r#"{"name":"kept"}"#;
        let head = format!(
            "POST {NETWORK} HTTP/1.1\r\nX-ZT1-Auth: {TOKEN}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + body).as_bytes()).unwrap();
        // The clock of the server moves when it begins with the request.
        while server.now() == before {
            thread::yield_now();
        }
        let address = server.address;
        let (stopped, has_stopped) = mpsc::channel();
        let stopping = scope.spawn(move || {
            server.stop();
            stopped.send(()).unwrap();
        });
        while TcpStream::connect(address).is_ok() {
            thread::yield_now();
        }
        let ended_early = if limits.shutdown < LONG {
            has_stopped.recv_timeout(LONG).expect("the server does not keep its deadline");
            true
        } else {
            false
        };
        leave.send(()).unwrap();
        let answer = rest(stream);
        stopping.join().unwrap();
        (answer, ended_early)
    })
}

#[test]
fn open_request_is_finished_when_the_server_stops() {
    let (answer, _) = stop_while_a_request_is_open(Limits { shutdown: LONG, ..Limits::default() });
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("kept"), "{answer}");
}

#[test]
fn server_does_not_wait_for_ever_for_an_open_request() {
    let (answer, ended_early) = stop_while_a_request_is_open(Limits { shutdown: SHORT, ..Limits::default() });
    assert!(ended_early && answer.is_empty(), "{answer}");
}

/// `known-flaws.md` row 7.
#[test]
fn request_that_takes_long_waits_for_its_turn_and_others_do_not() {
    let server = Server::start();
    server.post(NETWORK, &json!({}));
    let gate = server.gate.lock().unwrap();
    let members = "/api/v2/network/a940ad429a0000f1/member?online=true";
    let _busy: Vec<_> = (0..2).map(|_| server.ask(members)).collect();
    while server.looking.load(Ordering::SeqCst) < 2 {
        thread::yield_now();
    }
    let rules = json!({ "rules": [{ "type": "ACTION_ACCEPT" }] });
    let active = format!("{NETWORK}/active");
    thread::scope(|scope| {
        let (sender, answered) = mpsc::channel();
        let requests = [("POST", NETWORK, Some(rules.to_string())), ("GET", active.as_str(), None)];
        for (method, path, body) in requests {
            let (sender, server) = (sender.clone(), &server);
            scope.spawn(move || sender.send(server.send(method, path, body.as_deref()).status).unwrap());
        }
        assert_eq!(answered.recv_timeout(SHORT), Err(mpsc::RecvTimeoutError::Timeout));
        assert_eq!(server.post(NETWORK, &json!({ "name": "quick" })).status, 200);
        drop(gate);
        assert_eq!([(); 2].map(|()| answered.recv_timeout(LONG).unwrap()), [200, 200]);
    });
}

/// `known-flaws.md` row 7.
#[test]
fn changes_of_members_that_wait_hold_no_thread() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("controller.db")).unwrap();
    let server = Server::with(Options { store, blocking_threads: 4, ..Options::default() });
    server.post(NETWORK, &json!({}));
    let writing = server.write();
    thread::scope(|scope| {
        for (n, (api, method)) in [
            ("/controller", "POST"),
            ("/controller", "DELETE"),
            ("/api/v1", "POST"),
            ("/api/v1", "DELETE"),
            ("/api/v2", "PUT"),
            ("/api/v2", "PATCH"),
            ("/api/v2", "DELETE"),
        ]
        .iter()
        .cycle()
        .take(28)
        .enumerate()
        {
            let path = format!("{}/member/{:010x}", NETWORK.replace("/controller", api), n + 1);
            let server = &server;
            scope.spawn(move || server.send(method, &path, Some("{}")));
        }
        let (sender, answered) = mpsc::channel();
        let server = &server;
        for _ in 0..20 {
            let sender = sender.clone();
            scope.spawn(move || sender.send(server.get(NETWORK).status).unwrap());
            assert_eq!(answered.recv_timeout(LONG), Ok(200));
        }
        drop(writing);
    });
}
