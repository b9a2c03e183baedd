//! What members notice of a flood: a real controller, real sockets, a million datagrams from 100,000 source addresses.
//!
//! `cargo build --release -p ctl-bin && cargo bench -p benches --bench flood` (as root, for a network namespace of its own
//! in which every address of 10/8 is local). `CTL_BIN` names another binary. `FLOOD_PIN=1` gives the controller one core and all
//! that loads it another, both before whatever else the machine does (`taskset`, `chrt`): else the figures are those of the
//! machine's scheduler.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use benches::member::{Member, Packet};
use benches::namespace;
use benches::process::{API, Api, CONTROLLER, Process, Result, Spawned};
use benches::wall::{now, pause};
use quinn_udp::{UdpSockRef, UdpSocketState};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use tempfile::TempDir;
use zt_crypto::IdentitySecret;
use zt_proto::packet::PacketHeader;
use zt_proto::verb::Verb;
use zt_proto::verb::ok::OkReply;
use zt_proto::{Address, NetworkId, PublicIdentity};

const MEMBERS: u8 = 8;
/// A member may ask once a second for each network; it asks for these in turn.
const NETWORKS: u32 = 20;
const SOURCES: u32 = 100_000;
const DATAGRAMS: u32 = 1_000_000;
/// Datagrams a second; 0 is as fast as one core sends.
const RATES: [u32; 4] = [20_000, 50_000, 100_000, 0];
const CALM: Duration = Duration::from_secs(8);
const PATIENCE: Duration = Duration::from_millis(1_000);
const PIN: &str = "FLOOD_PIN";

fn main() -> Result<()> {
    if namespace::is_inside() {
        return run();
    }
    match namespace::run_inside() {
        Ok(status) if status.success() => Ok(()),
        other => say(&format!("skipped: it needs root, unshare and iproute2 ({other:?})")),
    }
}

fn run() -> Result<()> {
    namespace::set_up()?;
    let controller = Controller::start()?;
    let networks = (1..=NETWORKS).map(|n| controller.create_network(n)).collect::<Result<Vec<_>>>()?;
    let members = (1..=MEMBERS).map(|n| Asker::new(n, controller.identity)).collect::<Result<Vec<_>>>()?;
    let flood = Flood::new(&controller, &members)?;
    let is_pinned = env::var_os(PIN).is_some();
    if is_pinned {
        pin(controller.process.id)?;
    }
    say(&format!(
        "{:>9}  {:>7} {:>8} {:>8} {:>8} {:>5}  {:>8}  {:>6} {:>6}",
        "sent/s", "answers", "p50 ms", "p99 ms", "max ms", "lost", "RSS KiB", "user s", "sys s"
    ))?;
    let mut members = members;
    measure(&controller, &mut members, &networks, "calm", |_| pause(CALM))?;
    for rate in RATES {
        let flooding = |_| {
            // The threads of the members are there already, and wait for nobody on their core.
            yield_to_members(is_pinned, true);
            flood.run(rate);
            yield_to_members(is_pinned, false);
        };
        measure(&controller, &mut members, &networks, &rate.to_string(), flooding)?;
        measure(&controller, &mut members, &networks, "calm", |_| pause(CALM / 2))?;
    }
    Ok(())
}

/// Puts the controller on one core and this process on another, at real-time priority: all but the thread that verifies
/// identities, which takes only what is left.
fn pin(controller: u32) -> Result<()> {
    let (own, controller) = (std::process::id().to_string(), controller.to_string());
    tool("taskset", &["-acp", "0", &own])?;
    tool("chrt", &["-a", "-r", "-p", "10", &own])?;
    tool("taskset", &["-acp", "1", &controller])?;
    for thread in fs::read_dir(format!("/proc/{controller}/task"))? {
        let thread = thread?;
        if fs::read_to_string(thread.path().join("comm"))?.trim() != "background" {
            tool("chrt", &["-f", "-p", "20", &thread.file_name().to_string_lossy()])?;
        }
    }
    Ok(())
}

/// Lets the threads of the members go before this one, or go along with it.
fn yield_to_members(is_pinned: bool, yields: bool) {
    let own = std::process::id().to_string();
    if is_pinned && let Err(error) = tool("chrt", &["-r", "-p", if yields { "9" } else { "10" }, &own]) {
        drop(say(&error.to_string()));
    }
}

fn tool(name: &str, arguments: &[&str]) -> Result<()> {
    let done = Command::new(name).args(arguments).stdout(Stdio::null()).status()?;
    if done.success() { Ok(()) } else { Err(format!("{name} {arguments:?}: {done}").into()) }
}

/// Lets the members ask while `meanwhile` runs, and says what they saw.
fn measure(
    controller: &Controller,
    members: &mut [Asker],
    networks: &[NetworkId],
    label: &str,
    meanwhile: impl FnOnce(()),
) -> Result<()> {
    let stop = AtomicBool::new(false);
    let before = controller.process.cpu()?;
    let started = now();
    let mut outcomes = Vec::new();
    thread::scope(|scope| {
        let asking: Vec<_> =
            members.iter_mut().map(|member| scope.spawn(|| member.ask_until(&stop, networks))).collect();
        meanwhile(());
        stop.store(true, Ordering::Relaxed);
        outcomes =
            asking.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err("panic".into()))).collect();
    });
    let seconds = started.elapsed().as_secs_f64();
    let after = controller.process.cpu()?;
    let (mut times, mut lost) = (Vec::new(), 0);
    for outcome in outcomes {
        let (answered, unanswered) = outcome?;
        times.extend(answered);
        lost += unanswered;
    }
    times.sort_unstable();
    let at = |share: usize| times.get((times.len() * share / 100).min(times.len().saturating_sub(1)));
    let ms = |time: Option<&Duration>| time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
    let sent =
        if label == "calm" { label.to_owned() } else { format!("{:.0}", f64::from(DATAGRAMS) / seconds) };
    say(&format!(
        "{sent:>9}  {:>7} {:>8.3} {:>8.3} {:>8.3} {lost:>5}  {:>8}  {:>6.2} {:>6.2}",
        times.len(),
        ms(at(50)),
        ms(at(99)),
        ms(times.last()),
        controller.process.rss_kib()?,
        after.user - before.user,
        after.system - before.system,
    ))
}

/// The controller, and what is needed to speak to it. The process ends before its home.
struct Controller {
    process: Process,
    _spawned: Spawned,
    _home: TempDir,
    token: String,
    identity: PublicIdentity,
}

impl Controller {
    fn start() -> Result<Self> {
        let home = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o700)).tempdir()?;
        let spawned = Spawned::start(home.path())?;
        let read = |name| fs::read_to_string(home.path().join(name)).map(|text| text.trim().to_owned());
        let (token, identity) = (read("authtoken.secret")?, read("identity.public")?.parse()?);
        Ok(Self { process: spawned.process(), _spawned: spawned, _home: home, token, identity })
    }

    fn create_network(&self, n: u32) -> Result<NetworkId> {
        let id = NetworkId::of_controller(self.identity.address, n);
        let mut api = Api::connect(API, &self.token)?;
        api.call("POST", &format!("/controller/network/{id}"), "{\"private\":false}")?;
        Ok(id)
    }
}

/// Somebody whose answers are timed.
struct Asker {
    member: Member,
    socket: UdpSocket,
    rng: ChaCha20Rng,
    asked: usize,
}

impl Asker {
    fn new(n: u8, controller: PublicIdentity) -> Result<Self> {
        let mut rng = ChaCha20Rng::from_seed([n; 32]);
        let member = Member::new(IdentitySecret::generate(&mut rng), &controller)?;
        let socket = UdpSocket::bind((Ipv4Addr::new(10, 1, n, 2), 8_000 + u16::from(n)))?;
        socket.connect(CONTROLLER)?;
        let mut asker = Self { member, socket, rng, asked: 0 };
        let deadline = now() + Duration::from_secs(10);
        let hello = asker.member.hello(asker.rng.next_u64(), CONTROLLER);
        // The path is confirmed when the controller's own HELLO was answered.
        let mut confirmed = false;
        while !confirmed {
            asker.socket.send(&hello)?;
            let until = now() + Duration::from_millis(300);
            while let Some(packet) = asker.receive(until)? {
                confirmed |= packet.verb == Verb::HELLO;
            }
            if now() > deadline {
                return Err("the controller does not say HELLO".into());
            }
        }
        Ok(asker)
    }

    /// Asks for one configuration after the other; returns how long the answers took, and how many did not come.
    fn ask_until(&mut self, stop: &AtomicBool, networks: &[NetworkId]) -> Result<(Vec<Duration>, u32)> {
        let (mut times, mut lost) = (Vec::new(), 0);
        while !stop.load(Ordering::Relaxed) {
            let Some(network) = networks.get(self.asked % networks.len()) else { break };
            self.asked += 1;
            let packet = self.member.request(self.rng.next_u64(), *network);
            let id = PacketHeader::parse(&packet)?.id;
            let started = now();
            self.socket.send(&packet)?;
            let mut answered = false;
            while let Some(Packet { verb, payload, .. }) = self.receive(started + PATIENCE)? {
                if verb == Verb::OK && OkReply::parse(&payload)?.in_re_packet == id {
                    times.push(started.elapsed());
                    answered = true;
                    break;
                }
            }
            lost += u32::from(!answered);
            pause(Duration::from_millis(55));
        }
        Ok((times, lost))
    }

    /// Returns the next packet of the controller, whose HELLO and ECHO are answered; `None` when the time is up.
    fn receive(&mut self, until: Instant) -> Result<Option<Packet>> {
        let mut buffer = [0; 10_240];
        loop {
            let left = until.saturating_duration_since(now());
            if left.is_zero() {
                return Ok(None);
            }
            self.socket.set_read_timeout(Some(left))?;
            let received = match self.socket.recv(&mut buffer) {
                Ok(len) => buffer.get_mut(..len).unwrap_or_default(),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            };
            let Some(packet) = self.member.open(received) else { continue };
            if let Some(answer) = self.member.answer(&packet, self.rng.next_u64(), CONTROLLER) {
                self.socket.send(&answer)?;
            }
            return Ok(Some(packet));
        }
    }
}

/// What nobody asked for.
struct Flood {
    socket: UdpSocket,
    state: UdpSocketState,
    datagrams: Vec<Vec<u8>>,
}

impl Flood {
    fn new(controller: &Controller, askers: &[Asker]) -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let mut rng = ChaCha20Rng::from_seed([42; 32]);
        let known = askers.first().ok_or("no member")?.member.identity().address;
        // Sends what is authentic under the key of a member.
        let stranger = Member::new(
            IdentitySecret::generate(&mut ChaCha20Rng::from_seed([1; 32])),
            &controller.identity,
        )?;
        let datagrams = (0..8_192_u64).map(|n| {
            let mut noise = vec![0; 40 + usize::from(rng.next_u32().to_le_bytes()[0])];
            rng.fill_bytes(&mut noise);
            set(&mut noise, 8, &controller.identity.address.octets());
            match n % 8 {
                0 | 1 => set(&mut noise, 18, &[0x18]),
                2 => set(&mut noise, 13, &[0xff, 0x31]),
                3 => set(&mut noise, 8, &known.octets()),
                4 => {
                    set(&mut noise, 13, &known.octets());
                    set(&mut noise, 18, &[0x18]);
                }
                5 | 6 => {
                    let address = Address::from_low_bits(0x44_0000_0000 + n);
                    noise =
                        stranger.hello_as(n, CONTROLLER, PublicIdentity { address, ..*stranger.identity() });
                }
                _ => {
                    let mut identity = *stranger.identity();
                    identity.key.reverse();
                    noise = stranger.hello_as(n, CONTROLLER, identity);
                }
            }
            noise
        });
        let datagrams = datagrams.collect();
        Ok(Self { socket, state, datagrams })
    }

    fn run(&self, rate: u32) {
        let started = now();
        let mut failed = BTreeMap::new();
        for (n, datagram) in (0..DATAGRAMS).zip(self.datagrams.iter().cycle()) {
            let source = 0x0a80_0000 + n.wrapping_mul(7_919) % SOURCES * 61;
            let transmit = quinn_udp::Transmit {
                destination: CONTROLLER,
                ecn: None,
                contents: datagram,
                segment_size: None,
                src_ip: Some(IpAddr::from(source.to_be_bytes())),
            };
            if let Err(error) = self.state.try_send(UdpSockRef::from(&self.socket), &transmit) {
                *failed.entry(error.to_string()).or_insert(0) += 1;
            }
            if rate > 0 && n % 64 == 0 {
                let due = started + Duration::from_secs_f64(f64::from(n) / f64::from(rate));
                pause(due.saturating_duration_since(now()));
            }
        }
        if !failed.is_empty() {
            drop(say(&format!("not sent: {failed:?}")));
        }
    }
}

fn set(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
