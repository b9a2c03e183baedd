//! What the program says on standard output.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use zt_proto::Address;

use super::home::Home;

/// Prints; nobody may be listening, which is no reason to stop.
pub(super) fn say(text: &str) {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).unwrap_or(());
}

/// Tells that the controller is ready, and what to do next, in lines to paste.
pub(super) fn ready(home: &Home, controller: Address, port: u16, api: SocketAddr, has_planet: bool) {
    let token = quoted(&home.token_file());
    let reachable = if api.ip().is_unspecified() { loopback_of(api) } else { api };
    say(&format!(
        "ready: controller {controller}, UDP port {port}, API http://{reachable}, home {}",
        home.path().display()
    ));
    say(&format!(
        "next: make a network whose members get addresses from a pool:\n\
        \x20 curl -s -H \"X-ZT1-Auth: $(cat {token})\" http://{reachable}/controller/network/{controller}______ -d \
         '{{\"name\":\"my network\",\"v4AssignMode\":{{\"zt\":true}},\
         \"ipAssignmentPools\":[{{\"ipRangeStart\":\"10.147.17.1\",\"ipRangeEnd\":\"10.147.17.254\"}}],\
         \"routes\":[{{\"target\":\"10.147.17.0/24\"}}]}}'\n\
         \x20     a client that joins it waits until it is authorized:\n\
        \x20 curl -s -H \"X-ZT1-Auth: $(cat {token})\" http://{reachable}/controller/network/NETWORK/member/CLIENT \
         -d '{{\"authorized\":true}}'"
    ));
    if !has_planet {
        let program = std::env::current_exe().unwrap_or_else(|_| "ctl-bin".into());
        say(&format!(
            "      clients find this controller by a planet file; make one, then start the controller again:\n\
            \x20 {} planet create --home {} --endpoint YOUR-IP/{port} --out planet",
            quoted(&program),
            quoted(home.path())
        ));
    }
}

fn loopback_of(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(_) => (Ipv4Addr::LOCALHOST, address.port()).into(),
        IpAddr::V6(_) => (std::net::Ipv6Addr::LOCALHOST, address.port()).into(),
    }
}

/// Returns a path as a shell reads it back.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_blanks_and_quotes_survives_the_shell() {
        assert_eq!(quoted(Path::new("/a/b-c.d")), "/a/b-c.d");
        assert_eq!(quoted(Path::new("/my home/it's")), r"'/my home/it'\''s'");
    }
}
