//! Ports, roots and NAT.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;
use zt_crypto::signature::verify_world;
use zt_proto::inet::EndpointText;
use zt_proto::world::World;

use super::super::hand_over::Outbox;
use super::super::secondary::SecondaryPort;
use super::super::sockets::Sockets;
use super::super::worlds::{self, PlanetSource, Worlds};
use super::super::{clock, reach, udp};
use super::{Findings, Patient, Running};
use crate::vl1::Node;

/// How long roots have to answer: several repetitions of HELLO.
const PATIENCE: Duration = Duration::from_secs(8);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What is known of the way to the roots.
struct Reach {
    is_online: bool,
    /// How roots see this node.
    surface: Vec<SocketAddr>,
}

pub(super) fn check(patient: &Patient, rng: &mut ChaCha20Rng, findings: &mut Findings) {
    let is_free = match &patient.running {
        Some(running) => {
            check_listening(patient, running, findings);
            false
        }
        None => check_ports(patient, findings),
    };
    let Some(worlds) = check_planet(patient, findings) else { return };
    let Some(secret) = &patient.secret else { return };
    if worlds.name(secret.address()) {
        findings.ok("roots", "this node is a root of its planet or moon itself");
    }
    let others = worlds.planet.iter().chain(&worlds.moons).flat_map(|world| &world.roots);
    if !others.into_iter().any(|root| root.identity.address != secret.address()) {
        return;
    }
    let reach = match &patient.running {
        Some(running) => of_running(running),
        None if is_free => probe(patient, &worlds, rng),
        None => None,
    };
    let Some(reach) = reach else { return };
    check_roots(&reach, patient, findings);
    check_nat(&reach, patient.port, findings);
}

/// Looks where a controller that runs listens.
fn check_listening(patient: &Patient, running: &Running, findings: &mut Findings) {
    let Some(status) = &running.status else { return };
    let listening = addresses(status, "/config/settings/listeningOn");
    if patient.bind.is_some() || listening.iter().any(SocketAddr::is_ipv6) {
        let ports: Vec<_> = listening.iter().map(|address| format!("{address}")).collect();
        findings.ok("ports", format!("listens at {}", ports.join(", ")));
    } else {
        findings.warn(
            "ports",
            "listens on IPv4 alone",
            "members that have only IPv6 cannot reach it directly; enable IPv6 on this machine if there is some",
        );
    }
}

/// Says whether the UDP port is free; the sockets are closed again at once.
fn check_ports(patient: &Patient, findings: &mut Findings) -> bool {
    const CHECK: &str = "ports";
    let Patient { port, api, .. } = *patient;
    let before = findings.0.len();
    let all = [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()];
    for ip in patient.bind.map_or_else(|| all.to_vec(), |ip| vec![ip]) {
        match bind_udp(ip, port) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AddrInUse => findings.error(
                CHECK,
                format!("UDP port {port} is in use by another program"),
                format!(
                    "an installed zerotier-one uses 9993: systemctl disable --now zerotier-one; `ss -lunp sport = {port}` \
                     says who (systemd: ctl-bin.socket keeps it for the controller, all is well); or serve at another \
                     with --port"
                ),
            ),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => findings.error(
                CHECK,
                format!("UDP port {port} cannot be had: {error}"),
                "use a port from 1024 on with --port, or give the service CAP_NET_BIND_SERVICE",
            ),
            // There is none, which the controller takes as it is.
            Err(_) if patient.bind.is_none() && ip.is_ipv6() => {}
            Err(error) => findings.error(
                CHECK,
                format!("UDP port {port} cannot be had: {error}"),
                "serve at another port with --port, or another address with --bind",
            ),
        }
        if findings.0.len() > before {
            break;
        }
    }
    let is_free = findings.0.len() == before;
    if let Err(error) = TcpListener::bind(api) {
        let advice = if error.kind() == ErrorKind::AddrInUse {
            format!(
                "`ss -ltnp sport = {}` says who uses it; stop that, or serve at another with --api",
                api.port()
            )
        } else {
            "serve at an address of this machine with --api".to_owned()
        };
        findings.error(CHECK, format!("TCP address {api}, of the API, cannot be had: {error}"), advice);
    }
    if findings.0.len() == before {
        findings.ok(CHECK, format!("UDP port {port} and TCP address {api} are free"));
    }
    is_free
}

fn bind_udp(ip: IpAddr, port: u16) -> io::Result<()> {
    let address = SocketAddr::from((ip, port));
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if ip.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())
}

/// Reads planet and moons as the controller does, and compares them with what it has.
fn check_planet(patient: &Patient, findings: &mut Findings) -> Option<Worlds> {
    const CHECK: &str = "planet";
    let worlds = match worlds::load(&patient.home, patient.planet.as_ref()) {
        Ok(worlds) => worlds,
        Err(error) => {
            let advice = "with ctl-bin planet verify FILE look at a new one before putting it there";
            findings.error(CHECK, error.to_string(), advice);
            return None;
        }
    };
    for world in worlds.planet.iter().chain(&worlds.moons) {
        check_world(world, patient, findings);
    }
    let Some(planet) = &worlds.planet else {
        findings.warn(
            CHECK,
            "it is told to know none, so only clients of which it is a root find it",
            "serve without --planet none (and CTL_PLANET), or make a planet: docs/roots.md",
        );
        return Some(worlds);
    };
    let status = patient.running.as_ref().and_then(|running| running.status.as_ref());
    let of_running = status.map(|status| {
        let field = |name: &str| status.get(name).and_then(Value::as_u64).unwrap_or_default();
        (field("planetWorldId"), field("planetWorldTimestamp"))
    });
    let name =
        if worlds.is_public_planet() { "the public one".to_owned() } else { format!("{:010x}", planet.id) };
    match of_running {
        Some((0, _)) => findings.warn(
            CHECK,
            format!("the controller runs with none (--planet none), and here it is {name}"),
            "give this command the --planet of the controller, or take it away there",
        ),
        Some((id, _)) if id != planet.id => findings.error(
            CHECK,
            format!("the controller runs with planet {id:010x}, and here it is {name}"),
            "give this command the --planet of the controller, or see its log for why it did not take the new one",
        ),
        Some((_, timestamp)) if timestamp < planet.timestamp.0 => findings.warn(
            CHECK,
            "the controller runs with an earlier version than the file",
            "it takes a later one within seconds; if it does not, its log says why",
        ),
        _ => {
            let source = match &patient.planet {
                Some(PlanetSource::File(file)) => format!(" of {}", file.display()),
                _ => String::new(),
            };
            findings.ok(CHECK, format!("{name}{source}, {} roots", planet.roots.len()));
        }
    }
    Some(worlds)
}

/// Checks what somebody who makes a planet can get wrong.
fn check_world(world: &World, patient: &Patient, findings: &mut Findings) {
    const CHECK: &str = "planet";
    if verify_world(&world.update_key, world).is_err() {
        findings.error(
            CHECK,
            format!("the signature of {:010x} is wrong, so no client takes it", world.id),
            "make it again: ctl-bin planet create, or roll",
        );
    }
    let Some(secret) = &patient.secret else { return };
    let Some(own) = world.roots.iter().find(|root| root.identity.address == secret.address()) else { return };
    if own.identity != *secret.public() {
        findings.error(
            CHECK,
            format!("{:010x} names this node with the key of another identity", world.id),
            "make it again: ctl-bin planet create",
        );
    }
    if !own.endpoints.iter().any(|endpoint| endpoint.port() == patient.port) {
        let ports: Vec<_> =
            own.endpoints.iter().map(|endpoint| EndpointText(*endpoint).to_string()).collect();
        findings.warn(
            CHECK,
            format!(
                "clients look for this root at {}, and it serves at port {}",
                ports.join(", "),
                patient.port
            ),
            "serve at that port, have the router lead there, or roll the planet with the right --endpoint",
        );
    }
}

fn of_running(running: &Running) -> Option<Reach> {
    let status = running.status.as_ref()?;
    let is_online = status.get("online").and_then(Value::as_bool)?;
    Some(Reach { is_online, surface: addresses(status, "/config/settings/surfaceAddresses") })
}

fn addresses(status: &Value, pointer: &str) -> Vec<SocketAddr> {
    let list = status.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    let parse = |text: &str| text.parse::<EndpointText>().ok().map(|EndpointText(address)| address);
    list.filter_map(Value::as_str).filter_map(parse).collect()
}

/// Says hello to the roots in the place of a controller that does not run.
fn probe(patient: &Patient, worlds: &Worlds, rng: &mut ChaCha20Rng) -> Option<Reach> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let text = patient.secret.as_ref()?.to_text();
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    runtime.block_on(async {
        let sockets_rng = rng.clone();
        let sockets = Sockets::bind(patient.bind, patient.port, SecondaryPort::Off, sockets_rng).ok()?;
        let now = clock::now();
        let mut node = Node::new(Arc::new(text.parse().ok()?), worlds.planet.clone(), seed, now);
        node.set_moons(now, worlds.moons.clone());
        let (commands, to_node) = mpsc::channel::<udp::Command>(1);
        let (outbox, _unheard) = Outbox::with_room(1);
        let (_stop, stopped) = watch::channel(false);
        let running = tokio::spawn(udp::run(node, sockets, to_node, outbox, Box::new(|_, _| None), stopped));
        let begun = clock::now().mono;
        let mut reach = Reach { is_online: false, surface: Vec::new() };
        while (!reach.is_online || reach.surface.is_empty())
            && clock::now().mono.saturating_duration_since(begun) < PATIENCE
        {
            sleep(LOOK_EVERY).await;
            let (answer, answered) = oneshot::channel();
            let look = move |node: &mut Node, now| {
                let seen = Reach { is_online: node.is_online(now), surface: node.surface_addresses(now) };
                // Whoever asked is waiting for it.
                drop(answer.send(seen));
            };
            commands.send(Box::new(look)).await.ok()?;
            reach = answered.await.ok()?;
        }
        running.abort();
        Some(reach)
    })
}

fn check_roots(reach: &Reach, patient: &Patient, findings: &mut Findings) {
    const CHECK: &str = "roots";
    if !reach.is_online {
        let what =
            if patient.running.is_some() { "none answers" } else { "none answered within some seconds" };
        return findings.error(
            CHECK,
            what,
            format!(
                "let UDP out from port {} to the roots, and their answers in, at this machine's firewall and the ones before it \
                 (`ctl-bin planet show FILE` lists roots of your own; the public ones are at port 9993)",
                patient.port
            ),
        );
    }
    let roots = patient.running.iter().flat_map(|running| &running.peers);
    let roots = roots.filter(|peer| peer.get("role").and_then(Value::as_str) == Some("PLANET"));
    let latency = |peer: &Value| peer.get("latency").and_then(Value::as_i64).filter(|latency| *latency >= 0);
    match roots.filter_map(latency).min() {
        Some(latency) => findings.ok(CHECK, format!("they answer, the nearest within {latency} ms")),
        None => findings.ok(CHECK, "they answer"),
    }
}

/// Says what stands between this machine and the roots, from how they see it.
fn check_nat(reach: &Reach, port: u16, findings: &mut Findings) {
    const CHECK: &str = "NAT";
    if reach.surface.is_empty() {
        return;
    }
    let own: Vec<IpAddr> = reach::interface_addresses(port).iter().map(SocketAddr::ip).collect();
    let seen: Vec<_> = reach.surface.iter().map(ToString::to_string).collect();
    let seen = seen.join(", ");
    let is_mapped = |address: &&SocketAddr| address.is_ipv4() && !own.contains(&address.ip());
    let mapped: Vec<_> = reach.surface.iter().filter(is_mapped).collect();
    if mapped.is_empty() {
        findings.ok(CHECK, format!("none: roots see {seen}, an address of this machine"));
    } else if mapped.iter().any(|address| address.port() == port) {
        findings.ok(CHECK, format!("roots see {seen}: a NAT that keeps the port, which works"));
    } else {
        findings.warn(
            CHECK,
            format!("roots see {seen}: a NAT that gives another port than {port}"),
            format!("members behind such NATs are reached by relay alone; lead UDP port {port} here in the router, or \
                     serve with --port-mapping"),
        );
    }
}
