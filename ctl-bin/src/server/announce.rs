//! What the program says on standard output.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use serde_json::Value;
use zt_proto::Address;

use super::config::default_home;
use super::home::Home;
use super::worlds::Worlds;

/// Prints; nobody may be listening, which is no reason to stop.
pub(super) fn say(text: &str) {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).unwrap_or(());
}

/// Prints for programs.
pub(super) fn say_json(value: &Value) {
    say(&format!("{value:#}"));
}

/// Tells that the node is ready, and what to do next, in lines to paste.
pub(super) fn ready(
    home: &Home,
    node: Address,
    port: u16,
    (api, is_tls): (SocketAddr, bool),
    worlds: &Worlds,
    serves_networks: bool,
) {
    let api = url(api, is_tls);
    let role = if serves_networks { "controller" } else { "root" };
    say(&format!("ready: {role} {node}, UDP port {port}, API {api}, home {}", home.path().display()));
    say(&found_by(home, node, port, worlds));
    if !serves_networks {
        return;
    }
    let (program, token) = (program(), quoted(&home.token_file()));
    let place = if home.path() == default_home() {
        String::new()
    } else {
        format!(" --home {}", quoted(home.path()))
    };
    say(&format!(
        "next: make a network whose members get addresses from a pool, and let in a client that has joined it:\n\
        \x20 {program} network create{place} --name lan --subnet 10.147.17.0/24\n\
        \x20 {program} member authorize{place} lan CLIENT\n\
        \x20     in a browser: {api}/ asks for the content of {token}\n\
        \x20     by the API:\n\
        \x20 curl -s -H \"X-ZT1-Auth: $(cat {token})\" {api}/controller/network/{node}______ -d \
         '{{\"name\":\"my network\",\"v4AssignMode\":{{\"zt\":true}},\
         \"ipAssignmentPools\":[{{\"ipRangeStart\":\"10.147.17.1\",\"ipRangeEnd\":\"10.147.17.254\"}}],\
         \"routes\":[{{\"target\":\"10.147.17.0/24\"}}]}}'"
    ));
}

/// Returns how a shell starts this program: by its name alone if that finds it.
fn program() -> String {
    const NAME: &str = "ctl-bin";
    let Ok(own) = std::env::current_exe() else { return NAME.to_owned() };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(NAME)).find(|file| file.is_file());
    let is_own = found.and_then(|file| file.canonicalize().ok()).is_some_and(|file| file == own);
    if is_own { NAME.to_owned() } else { quoted(&own) }
}

/// Says how clients find this node.
fn found_by(home: &Home, node: Address, port: u16, worlds: &Worlds) -> String {
    match &worlds.planet {
        _ if worlds.name(node) => {
            "found by: clients that have the planet or moon of which it is a root".to_owned()
        }
        Some(_) if worlds.is_public_planet() => {
            "found by: every stock client, through the public root servers (--planet none keeps it off them)"
                .to_owned()
        }
        Some(planet) => format!("found by: clients of planet {:010x}, through its roots", planet.id),
        None => {
            format!(
                "found by: nobody, since it was told to know no planet; for one of its own, start it without --planet\n\
                \x20     after: {} planet create --home {} --endpoint YOUR-IP/{port} --out planet",
                program(),
                quoted(home.path())
            )
        }
    }
}

/// Returns how the API is reached from this machine.
pub(super) fn url(api: SocketAddr, is_tls: bool) -> String {
    let reachable = if api.ip().is_unspecified() { loopback_of(api) } else { api };
    let scheme = if is_tls { "https" } else { "http" };
    format!("{scheme}://{reachable}")
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
