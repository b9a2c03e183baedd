//! The controller as a service: what systemd hears, and what watches containers.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use crate::backup::text;
use crate::http::request;
use crate::program::{START_LIMIT, api, command, free_port, home, serve};

#[test]
fn systemd_hears_that_it_is_ready_that_it_lives_and_that_it_ends() {
    let (folder, home) = home();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(START_LIMIT)).unwrap();
    let mut child = command(&home, free_port())
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000")
        .env_remove("WATCHDOG_PID")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let hear = || {
        let mut buffer = [0; 1024];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    let mut beats = 0;
    let mut is_ready = false;
    while beats < 3 || !is_ready {
        let heard = hear();
        is_ready |= heard.contains("READY=1\n") && heard.contains("STATUS=");
        beats += usize::from(heard.contains("WATCHDOG=1\n"));
    }
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    while !hear().contains("STOPPING=1\n") {}
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn whoever_watches_learns_without_a_token_whether_it_lives_and_is_ready() {
    let (_folder, home) = home();
    let port = free_port();
    let (process, _) = serve(&home, port);
    let (status, body) = request(api(port), "GET", "/health/live", "", None);
    assert_eq!((status, &body["live"]), (200, &true.into()));
    let (status, body) = request(api(port), "GET", "/health/ready", "", None);
    assert_eq!((status, &body["ready"], &body["database"]), (200, &true.into(), &true.into()));
    let health = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ctl-bin"));
        command.args(["health", "--home", text(&home)]).env_remove("CTL_URL").output().unwrap()
    };
    let output = health();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"ready\n"[..]));
    // What was read before is remembered, and does not make a database that is gone ready.
    let (database, away) = (home.join("controller.db"), home.join("away"));
    std::fs::rename(&database, &away).unwrap();
    let (status, body) = request(api(port), "GET", "/health/ready", "", None);
    assert_eq!((status, &body["ready"], &body["database"]), (503, &false.into(), &false.into()));
    assert_eq!(health().status.code(), Some(1));
    std::fs::rename(&away, &database).unwrap();
    assert_eq!(health().status.code(), Some(0));
    drop(process);
    assert_eq!(health().status.code(), Some(4));
}

/// Every write that was acknowledged before the end was asked for is there, and the end does not take long.
#[test]
fn the_end_waits_for_what_was_begun_and_not_for_clients_that_stay() {
    let (_folder, home) = home();
    let port = free_port();
    let mut child = command(&home, port).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
    // A connection that says nothing, as keep-alive leaves them.
    let idle = std::net::TcpStream::connect(api(port)).unwrap();
    idle.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let token = std::fs::read_to_string(home.join("authtoken.secret")).unwrap();
    let (status, network) =
        request(api(port), "POST", "/controller/network", &token, Some(&serde_json::json!({})));
    assert_eq!(status, 200);
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let (_process, _) = serve(&home, port);
    let path = format!("/controller/network/{}", network["id"].as_str().unwrap());
    assert_eq!(request(api(port), "GET", &path, &token, None).0, 200);
}

/// Four clients write as fast as they can while the end is asked for.
#[test]
fn the_end_amid_many_writes_loses_none_that_was_acknowledged() {
    let (_folder, home) = home();
    let port = free_port();
    let mut child = command(&home, port).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
    let token = std::fs::read_to_string(home.join("authtoken.secret")).unwrap();
    let body = serde_json::json!({ "authorized": true });
    let network = request(api(port), "POST", "/controller/network", &token, Some(&serde_json::json!({}))).1;
    let path = format!("/controller/network/{}/member", network["id"].as_str().unwrap());
    let (path, token, body) = (path.as_str(), token.as_str(), &body);
    let write = |client: u64| {
        let mut acknowledged = Vec::new();
        loop {
            let member = format!("{:010x}", (client + 1) << 32 | acknowledged.len() as u64);
            if !is_taken(port, &format!("{path}/{member}"), token, body) {
                return acknowledged;
            }
            acknowledged.push(member);
        }
    };
    let acknowledged = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4).map(|client| scope.spawn(move || write(client))).collect();
        // Some have been taken when the end begins.
        let listed =
            || request(api(port), "GET", path, token, None).1.as_object().map_or(0, serde_json::Map::len);
        while listed() < 40 {}
        assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(acknowledged.len() >= 40);
    let (_process, _) = serve(&home, port);
    let kept = request(api(port), "GET", path, token, None).1;
    let lost: Vec<_> = acknowledged.iter().filter(|member| kept.get(member.as_str()).is_none()).collect();
    assert!(lost.is_empty(), "{lost:?} of {}", acknowledged.len());
}

/// Sends one change; says whether it was acknowledged.
fn is_taken(port: u16, path: &str, token: &str, body: &serde_json::Value) -> bool {
    use std::io::{Read, Write};
    let exchange = || {
        let mut stream = std::net::TcpStream::connect(api(port))?;
        let body = body.to_string();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nX-ZT1-Auth: {token}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    exchange().is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 200"))
}
