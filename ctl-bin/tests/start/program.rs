//! The program, its home, and a port that is free.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use tempfile::TempDir;

use crate::process::Process;

/// Making an identity takes half a second, more on a machine that is busy.
pub(crate) const START_LIMIT: Duration = Duration::from_secs(60);

/// A home directory that does not exist yet.
pub(crate) fn home() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let home = folder.path().join("home");
    (folder, home)
}

/// Returns a port that nobody uses, neither for UDP nor for TCP.
pub(crate) fn free_port() -> u16 {
    (0..100)
        .find_map(|_| {
            let udp = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            let port = udp.local_addr().unwrap().port();
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok().map(|_| port)
        })
        .expect("some port is free")
}

pub(crate) fn api(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

pub(crate) fn command(home: &Path, port: u16) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ctl-bin"));
    command.arg("--home").arg(home).args(["--port", &port.to_string()]);
    // No test says hello to the public root servers.
    command.env("CTL_PLANET", "none");
    command
}

/// Has the program make the moon of another node, and returns the name of its file and what is in it.
pub(crate) fn moon() -> (String, Vec<u8>) {
    let (folder, home) = home();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ctl-bin"));
    command
        .args(["moon", "create", "--endpoint", "203.0.113.1/9993", "--out"])
        .arg(folder.path().join("moon"));
    let output = command.arg("--home").arg(&home).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let kept = fs::read_dir(home.join("moons.d")).unwrap().next().expect("the home keeps its moon").unwrap();
    (kept.file_name().into_string().unwrap(), fs::read(kept.path()).unwrap())
}

/// Starts the program and returns the line that says that it is ready.
pub(crate) fn serve(home: &Path, port: u16) -> (Process, String) {
    let process = Process::spawn("controller", &mut command(home, port));
    let ready = process.wait_for(0, START_LIMIT, "the controller says that it is ready", |line| {
        line.text.starts_with("ready:").then(|| line.text.clone())
    });
    (process, ready)
}

/// Imports from a place into a home.
pub(crate) fn moved_in(from: &Path, home: &Path, more: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_ctl-bin"));
    program.arg("import").arg(from).arg("--home").arg(home).args(more).output().unwrap()
}

/// Runs the program, which is expected to end by itself.
pub(crate) fn fail(home: &Path, port: u16) -> String {
    refused(command(home, port).output().unwrap())
}

/// Returns the one line that a program printed which could not do what it was told.
pub(crate) fn refused(output: Output) -> String {
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(output.stdout.is_empty(), "{:?}", output.stdout);
    let lines: Vec<_> = stderr.lines().filter(|line| line.starts_with("error:")).collect();
    assert_eq!(lines.len(), 1, "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    lines[0].to_owned()
}
