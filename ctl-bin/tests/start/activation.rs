//! The controller with sockets that somebody else opened, as systemd does it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::http::request;
use crate::program::{START_LIMIT, command, home};

/// Starts the program with the sockets as its descriptors 3 and 4. Standard error is the only stream that is left.
fn activated(home: &Path, udp: &UdpSocket, api: &TcpListener) -> Child {
    let program = command(home, udp.local_addr().unwrap().port());
    let mut shell = Command::new("sh");
    shell
        .args(["-euc", "export LISTEN_PID=$$ LISTEN_FDS=2; exec \"$@\" 3<&0 4<&1 </dev/null >&2", "-"])
        .arg(program.get_program())
        .args(program.get_args())
        .args(["--log-level", "info,ctl_bin=trace"])
        .env("CTL_PLANET", "none")
        .stdin(Stdio::from(OwnedFd::from(udp.try_clone().unwrap())))
        .stdout(Stdio::from(OwnedFd::from(api.try_clone().unwrap())))
        .stderr(Stdio::piped());
    shell.spawn().unwrap()
}

#[test]
fn what_is_sent_while_it_is_restarted_waits_in_the_sockets_of_the_supervisor() {
    let (_folder, home) = home();
    let udp = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let api = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (udp_address, api_address) = (udp.local_addr().unwrap(), api.local_addr().unwrap());
    assert_ne!(udp_address.port(), api_address.port());
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for _ in 0..2 {
        // Nobody runs yet, or nobody any more: the sockets take both.
        let datagram = [0; 40];
        sender.send_to(&datagram, SocketAddr::from((Ipv4Addr::LOCALHOST, udp_address.port()))).unwrap();
        let mut early = TcpStream::connect(api_address).unwrap();
        early.set_read_timeout(Some(START_LIMIT)).unwrap();
        early
            .write_all(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut child = activated(&home, &udp, &api);
        let mut answer = String::new();
        early.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let token = std::fs::read_to_string(home.join("authtoken.secret")).unwrap();
        let status = request(api_address, "GET", "/status", &token, None).1;
        assert_eq!(status["config"]["settings"]["primaryPort"], udp_address.port(), "{status}");
        assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
        let mut log = String::new();
        child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{log}");
        assert!(log.contains(&format!("remote={}", sender.local_addr().unwrap())), "{log}");
    }
}

#[test]
fn sockets_that_it_may_not_use_are_refused_with_what_to_do() {
    let (_folder, home) = home();
    let everywhere = (Ipv4Addr::UNSPECIFIED, 0);
    let (here, udp) =
        (UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(), UdpSocket::bind(everywhere).unwrap());
    let open = TcpListener::bind(everywhere).unwrap();
    let local = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for (udp, api, word) in [(&udp, &open, "--api-insecure"), (&here, &local, "ListenDatagram=")] {
        let output = activated(&home, udp, api).wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(word), "{said}");
    }
}
