//! Traces, as a collector gets them: the real program with the feature `otel`, and a receiver of OTLP over HTTP.
//!
//! `cargo test --profile otel -p ctl-bin --features otel --test otel`: the profile has a folder of its own below `target/`,
//! so the program of the other tests stays what it is.

#![expect(clippy::unwrap_used, reason = "a panic in a helper fails its test")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);

/// Spans that wait while the collector does not answer, and those that are on their way to it: what the library does unless
/// `OTEL_BSP_MAX_QUEUE_SIZE` and `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` say otherwise.
const MAX_WAITING: usize = 2048;
const BATCH: usize = 512;

/// What a collector answers.
const TAKEN: &str = "200 OK";
const OVERLOADED: &str = "503 Service Unavailable";

/// Takes requests and passes on their paths and bodies.
fn collector() -> (SocketAddr, Receiver<(String, Vec<u8>)>) {
    stubborn(TAKEN, Arc::default())
}

/// The same, with another answer, which nobody gets as long as `gate` is locked.
fn stubborn(status: &'static str, gate: Arc<RwLock<()>>) -> (SocketAddr, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (sender, gate) = (sender.clone(), Arc::clone(&gate));
            // One that was closed has nothing more to tell.
            thread::spawn(move || {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while let Some((line, body)) = message(&mut reader) {
                    if sender.send((line.split(' ').nth(1).unwrap().to_owned(), body)).is_err() {
                        return;
                    }
                    drop(gate.read().unwrap());
                    let kind = "Content-Type: application/x-protobuf";
                    // Whoever gave up waiting is gone.
                    let told = write!(stream, "HTTP/1.1 {status}\r\n{kind}\r\nContent-Length: 0\r\n\r\n");
                    if told.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, receiver)
}

/// Reads a request or an answer: its first line and its body; `None` at the end of the connection.
fn message(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
    let (mut line, mut length) = (String::new(), 0);
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let (name, value) = line.split_once(':').unwrap_or_default();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first, body))
}

struct Controller(Child);

impl Controller {
    /// Has it end by itself, and returns what it logged.
    fn stop(mut self) -> String {
        assert!(Command::new("kill").arg(self.0.id().to_string()).status().unwrap().success());
        let mut log = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        assert!(self.0.wait().unwrap().success(), "{log}");
        log
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts a controller, waits until it is ready, and returns where its API is.
fn start(home: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> (Controller, SocketAddr) {
    let udp = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = udp.local_addr().unwrap().port();
    drop(udp);
    let mut command = Command::new(env!("CARGO_BIN_EXE_ctl-bin"));
    command.arg("--home").arg(home).args(["--planet", "none", "--port", &port.to_string()]).args(arguments);
    command.envs(variables.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("ready:"), "{line}");
    (Controller(child), (Ipv4Addr::LOCALHOST, port).into())
}

fn get(api: SocketAddr, path: &str, token: &str) -> String {
    let mut stream = TcpStream::connect(api).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nX-ZT1-Auth: {token}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Asks `times` for the state of health, in one connection.
fn get_health(api: SocketAddr, times: usize) {
    let mut stream = TcpStream::connect(api).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    for _ in 0..times {
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let (status, _) = message(&mut reader).unwrap();
        assert!(status.starts_with("HTTP/1.1 200"), "{status}");
    }
}

/// Texts stand in protobuf as they are.
fn has(body: &[u8], text: &str) -> bool {
    count(body, text) > 0
}

fn count(body: &[u8], text: &str) -> usize {
    body.windows(text.len()).filter(|part| *part == text.as_bytes()).count()
}

#[test]
fn a_request_is_traced_by_its_route_and_no_token_leaves() {
    let (folder, home) = home();
    let (address, received) = collector();
    let endpoint = format!("http://{address}/");
    let soon = [("OTEL_BSP_SCHEDULE_DELAY", "50")];
    let (_controller, api) = start(&home, &soon, &["--otel-endpoint", &endpoint]);
    let token = fs::read_to_string(home.join("authtoken.secret")).unwrap();
    let answer = get(api, &format!("/controller/network/1122334455667788?auth={token}"), &token);
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    let (path, body) = received.recv_timeout(LIMIT).unwrap();
    assert_eq!(path, "/v1/traces");
    for text in [
        "GET /controller/network/{network}",
        "/controller/network/1122334455667788",
        "http.response.status_code",
        "service.name",
        "ctl-bin",
    ] {
        assert!(has(&body, text), "{text}: {}", String::from_utf8_lossy(&body));
    }
    assert!(!has(&body, &token), "the token left");
    drop(folder);
}

#[test]
fn what_was_not_sent_is_sent_when_the_controller_ends() {
    let (_folder, home) = home();
    let (address, received) = collector();
    let endpoint = format!("http://{address}");
    let late = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "3600000")];
    let (controller, api) = start(&home, &late, &[]);
    assert!(get(api, "/health", "").starts_with("HTTP/1.1 200"));
    controller.stop();
    let (_, body) = received.recv_timeout(LIMIT).unwrap();
    assert!(has(&body, "GET /health"));
}

/// A collector that is away costs a line in the log now and then.
#[test]
fn a_controller_serves_without_its_collector() {
    let (_folder, home) = home();
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let endpoint = format!("http://{gone}");
    let soon = [("OTEL_BSP_SCHEDULE_DELAY", "20")];
    let (controller, api) = start(&home, &soon, &["--otel-endpoint", &endpoint]);
    get_health(api, 20);
    let log = controller.stop();
    assert!(log.contains("traces do not reach the collector"), "{log}");
}

#[test]
fn a_collector_that_takes_nothing_is_a_line_in_the_log() {
    let (_folder, home) = home();
    let (address, received) = stubborn(OVERLOADED, Arc::default());
    let endpoint = format!("http://{address}");
    let soon = [("OTEL_BSP_SCHEDULE_DELAY", "20")];
    let (controller, api) = start(&home, &soon, &["--otel-endpoint", &endpoint]);
    get_health(api, 20);
    received.recv_timeout(LIMIT).unwrap();
    get_health(api, 20);
    let log = controller.stop();
    assert!(log.contains("the collector does not take traces") && log.contains("503"), "{log}");
}

/// It has the last spans for three seconds, not for as long as it likes: the program ends before the exporter gives up on it.
#[test]
fn a_collector_that_never_answers_does_not_hold_up_the_end() {
    let gate = Arc::new(RwLock::new(()));
    let shut = gate.write().unwrap();
    let Silent { _folder, controller, .. } = Silent::start(&gate);
    let log = controller.stop();
    assert!(log.contains("the last traces were not sent"), "{log}");
    assert!(!log.contains("traces do not reach the collector"), "it was waited for: {log}");
    drop(shut);
}

/// `known-flaws.md` row 7.
#[test]
fn what_waits_for_a_slow_collector_is_bounded() {
    let gate = Arc::new(RwLock::new(()));
    let shut = gate.write().unwrap();
    let Silent { _folder, controller, api, received, first } = Silent::start(&gate);
    // Nobody takes these, and each of them is answered.
    get_health(api, 3 * MAX_WAITING);
    drop(shut);
    let log = controller.stop();
    let sent: usize = received.try_iter().map(|(_, body)| count(&body, "GET /health")).sum();
    assert_eq!(count(&first, "GET /health"), 1);
    assert!((MAX_WAITING..=MAX_WAITING + BATCH).contains(&sent), "{sent} {log}");
}

/// A controller whose collector answers nothing as long as a gate is locked, and has got one request.
struct Silent {
    _folder: TempDir,
    controller: Controller,
    api: SocketAddr,
    received: Receiver<(String, Vec<u8>)>,
    /// The body of that request, with one span of `/health`.
    first: Vec<u8>,
}

impl Silent {
    fn start(gate: &Arc<RwLock<()>>) -> Self {
        let (folder, home) = home();
        let (address, received) = stubborn(TAKEN, Arc::clone(gate));
        let endpoint = format!("http://{address}");
        let soon = [("OTEL_BSP_SCHEDULE_DELAY", "20")];
        let (controller, api) = start(&home, &soon, &["--otel-endpoint", &endpoint]);
        get_health(api, 1);
        let (_, first) = received.recv_timeout(LIMIT).unwrap();
        Self { _folder: folder, controller, api, received, first }
    }
}

fn home() -> (TempDir, std::path::PathBuf) {
    let folder = TempDir::new().unwrap();
    let home = folder.path().join("home");
    (folder, home)
}
