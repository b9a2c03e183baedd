//! Traces, as a collector gets them: the real program with the feature `otel`, and a receiver of OTLP over HTTP.

#![expect(clippy::unwrap_used, reason = "a panic in a helper fails its test")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);

/// Takes requests and passes on their paths and bodies.
fn collector() -> (SocketAddr, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let sender = sender.clone();
            // One that was closed has nothing more to tell.
            thread::spawn(move || {
                while let Some(request) = take(stream.as_ref().unwrap()) {
                    if sender.send(request).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, receiver)
}

/// Reads one request and answers it; `None` at the end of the connection.
fn take(mut stream: &TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1).unwrap().to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let (name, value) = line.split_once(':').unwrap_or_default();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n")
        .unwrap();
    Some((path, body))
}

struct Controller(Child);

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
    command.envs(variables.iter().copied()).stdout(Stdio::piped());
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

/// Texts stand in protobuf as they are.
fn has(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|part| part == text.as_bytes())
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
    let (mut controller, api) = start(&home, &late, &[]);
    assert!(get(api, "/health", "").starts_with("HTTP/1.1 200"));
    let stopped = Command::new("kill").arg(controller.0.id().to_string()).status().unwrap();
    assert!(stopped.success());
    let (_, body) = received.recv_timeout(LIMIT).unwrap();
    assert!(has(&body, "GET /health"));
    assert!(controller.0.wait().unwrap().success());
}

/// A collector that is away costs a line in the log now and then.
#[test]
fn a_controller_serves_without_its_collector() {
    let (_folder, home) = home();
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let endpoint = format!("http://{gone}");
    let soon = [("OTEL_BSP_SCHEDULE_DELAY", "20")];
    let (mut controller, api) = start(&home, &soon, &["--otel-endpoint", &endpoint]);
    for _ in 0..20 {
        assert!(get(api, "/health", "").starts_with("HTTP/1.1 200"));
    }
    assert!(Command::new("kill").arg(controller.0.id().to_string()).status().unwrap().success());
    assert!(controller.0.wait().unwrap().success());
}

fn home() -> (TempDir, std::path::PathBuf) {
    let folder = TempDir::new().unwrap();
    let home = folder.path().join("home");
    (folder, home)
}
