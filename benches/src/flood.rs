//! What members notice of a flood: a real controller, real sockets, a million datagrams from 100,000 source addresses.
//!
//! `cargo build --release -p ctl-bin && cargo bench -p benches --bench flood` (as root, for a network namespace of its own
//! in which every address of 10/8 is local). `CTL_BIN` names another binary.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use quinn_udp::{UdpSockRef, UdpSocketState};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use zt_crypto::armor::{self, Suite};
use zt_crypto::{IdentitySecret, SessionKey};
use zt_proto::packet::{Datagram, PAYLOAD_OFFSET, PacketHeader, VERB_OFFSET};
use zt_proto::verb::Verb;
use zt_proto::verb::hello::{Hello, NodeVersion, write_moons};
use zt_proto::verb::network_config_request::NetworkConfigRequest;
use zt_proto::verb::ok::{OkHello, OkReply};
use zt_proto::{Address, NetworkId, PublicIdentity, Timestamp, compression};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const INSIDE: &str = "CTL_FLOOD_INSIDE";
const CONTROLLER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 9993);
const API: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9993);
const MEMBERS: u8 = 8;
/// A member may ask once a second for each network; it asks for these in turn.
const NETWORKS: u32 = 20;
const SOURCES: u32 = 100_000;
const DATAGRAMS: u32 = 1_000_000;
/// Datagrams a second; 0 is as fast as one core sends.
const RATES: [u32; 4] = [20_000, 50_000, 100_000, 0];
const CALM: Duration = Duration::from_secs(8);
const PATIENCE: Duration = Duration::from_millis(1_000);
const VERSION: NodeVersion = NodeVersion { protocol: 12, major: 1, minor: 14, revision: 1 };

fn main() -> Result<()> {
    if env::var_os(INSIDE).is_some() {
        return run();
    }
    let again = Command::new("unshare").arg("-n").arg(env::current_exe()?).env(INSIDE, "1").status();
    match again {
        Ok(status) if status.success() => Ok(()),
        other => say(&format!("skipped: it needs root, unshare and iproute2 ({other:?})")),
    }
}

fn run() -> Result<()> {
    for arguments in ["link set lo up", "route add local 10.0.0.0/8 dev lo"] {
        let done = Command::new("ip").args(arguments.split(' ')).status()?;
        if !done.success() {
            return Err(format!("ip {arguments}: {done}").into());
        }
    }
    let controller = Controller::start()?;
    let networks = (1..=NETWORKS).map(|n| controller.create_network(n)).collect::<Result<Vec<_>>>()?;
    let members = (1..=MEMBERS).map(|n| Member::new(n, controller.identity)).collect::<Result<Vec<_>>>()?;
    let flood = Flood::new(&controller, &members)?;
    say(&format!(
        "{:>9}  {:>7} {:>8} {:>8} {:>8} {:>5}  {:>8}  {:>6} {:>6}",
        "sent/s", "answers", "p50 ms", "p99 ms", "max ms", "lost", "RSS KiB", "user s", "sys s"
    ))?;
    let mut members = members;
    measure(&controller, &mut members, &networks, "calm", |_| pause(CALM))?;
    for rate in RATES {
        measure(&controller, &mut members, &networks, &rate.to_string(), |_| flood.run(rate))?;
        measure(&controller, &mut members, &networks, "calm", |_| pause(CALM / 2))?;
    }
    Ok(())
}

/// Lets the members ask while `meanwhile` runs, and says what they saw.
fn measure(
    controller: &Controller,
    members: &mut [Member],
    networks: &[NetworkId],
    label: &str,
    meanwhile: impl FnOnce(()),
) -> Result<()> {
    let stop = AtomicBool::new(false);
    let before = controller.cpu()?;
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
    let after = controller.cpu()?;
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
        controller.rss_kib()?,
        after.0 - before.0,
        after.1 - before.1,
    ))
}

/// The controller, a process of its own.
struct Controller {
    process: Child,
    home: PathBuf,
    token: String,
    identity: PublicIdentity,
}

impl Controller {
    fn start() -> Result<Self> {
        let binary = env::var_os("CTL_BIN").map_or_else(beside_this, |path| Ok(PathBuf::from(path)))?;
        let home = env::temp_dir().join(format!("ctl-flood-{}", std::process::id()));
        let mut process = Command::new(&binary)
            .args(["--planet", "none", "--home"])
            .arg(&home)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| {
                format!("cannot run {}: {error}; cargo build --release -p ctl-bin", binary.display())
            })?;
        let output = process.stdout.take().ok_or("no output")?;
        let mut lines = BufReader::new(output).lines();
        lines
            .find(|line| line.as_ref().is_ok_and(|line| line.starts_with("ready:")))
            .ok_or("not ready")??;
        thread::spawn(move || lines.for_each(drop));
        let token = fs::read_to_string(home.join("authtoken.secret"))?.trim().to_owned();
        let identity = fs::read_to_string(home.join("identity.public"))?.trim().parse()?;
        Ok(Self { process, home, token, identity })
    }

    fn create_network(&self, n: u32) -> Result<NetworkId> {
        let id = NetworkId(u64::from_str_radix(&self.identity.address.to_string(), 16)? << 24 | u64::from(n));
        let body = "{\"private\":false}";
        let mut stream = TcpStream::connect(API)?;
        write!(
            stream,
            "POST /controller/network/{id} HTTP/1.1\r\nHost: x\r\nX-ZT1-Auth: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.token,
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        if answer.starts_with("HTTP/1.1 200") { Ok(id) } else { Err(answer.into()) }
    }

    /// User and system time so far, in seconds.
    fn cpu(&self) -> Result<(f64, f64)> {
        let stat = fs::read_to_string(self.proc("stat"))?;
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks =
            |n: usize| fields.get(n).and_then(|field| field.parse::<f64>().ok()).unwrap_or(f64::NAN) / 100.0;
        Ok((ticks(11), ticks(12)))
    }

    fn rss_kib(&self) -> Result<u64> {
        let status = fs::read_to_string(self.proc("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no RSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    fn proc(&self, file: &str) -> PathBuf {
        Path::new("/proc").join(self.process.id().to_string()).join(file)
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        drop(fs::remove_dir_all(&self.home));
    }
}

/// The release binary, which lies beside the folder of this one.
fn beside_this() -> Result<PathBuf> {
    let folder = env::current_exe()?.parent().and_then(Path::parent).ok_or("no target folder")?.to_owned();
    Ok(folder.join("ctl-bin"))
}

/// Somebody whose answers are timed.
struct Member {
    secret: IdentitySecret,
    controller: PublicIdentity,
    key: SessionKey,
    socket: UdpSocket,
    rng: ChaCha20Rng,
    asked: usize,
}

impl Member {
    fn new(n: u8, controller: PublicIdentity) -> Result<Self> {
        let mut rng = ChaCha20Rng::from_seed([n; 32]);
        let secret = IdentitySecret::generate(&mut rng);
        let key = secret.agree(&controller).map_err(|_| "weak key")?;
        let socket = UdpSocket::bind((Ipv4Addr::new(10, 1, n, 2), 8_000 + u16::from(n)))?;
        socket.connect(CONTROLLER)?;
        let mut member = Self { secret, controller, key, socket, rng, asked: 0 };
        let deadline = now() + Duration::from_secs(10);
        let hello = member.hello(member.secret.public().to_owned());
        // The path is confirmed when the controller's own HELLO was answered.
        let mut confirmed = false;
        while !confirmed {
            member.socket.send(&hello)?;
            let until = now() + Duration::from_millis(300);
            while let Some((verb, _, _)) = member.receive(until)? {
                confirmed |= verb == Verb::HELLO;
            }
            if now() > deadline {
                return Err("the controller does not say HELLO".into());
            }
        }
        Ok(member)
    }

    /// Asks for one configuration after the other; returns how long the answers took, and how many did not come.
    fn ask_until(&mut self, stop: &AtomicBool, networks: &[NetworkId]) -> Result<(Vec<Duration>, u32)> {
        let (mut times, mut lost) = (Vec::new(), 0);
        while !stop.load(Ordering::Relaxed) {
            let Some(network) = networks.get(self.asked % networks.len()) else { break };
            self.asked += 1;
            let mut payload = Vec::new();
            let have_timestamp = Timestamp(0);
            NetworkConfigRequest { network: *network, metadata: b"v=7", have_revision: 0, have_timestamp }
                .write(&mut payload);
            let mut packet = self.packet(Verb::NETWORK_CONFIG_REQUEST, &payload);
            armor::seal(&mut packet, &self.key, Suite::AesGmacSiv);
            let id = PacketHeader::parse(&packet)?.id;
            let started = now();
            self.socket.send(&packet)?;
            let mut answered = false;
            while let Some((verb, _, payload)) = self.receive(started + PATIENCE)? {
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
    fn receive(&mut self, until: Instant) -> Result<Option<(Verb, u64, Vec<u8>)>> {
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
            let Datagram::Packet(header) = Datagram::classify(received)? else { continue };
            if armor::open(received, &self.key).is_err() {
                continue;
            }
            let (verb, is_compressed) =
                Verb::from_byte(received.get(VERB_OFFSET).copied().unwrap_or_default());
            let mut payload = received.get(PAYLOAD_OFFSET..).unwrap_or_default().to_vec();
            if is_compressed {
                payload = compression::decompress(&payload, 9_996)?;
            }
            self.answer(verb, header.id, &payload)?;
            return Ok(Some((verb, header.id, payload)));
        }
    }

    fn answer(&mut self, verb: Verb, id: u64, payload: &[u8]) -> Result<()> {
        let mut answer = Vec::new();
        if verb == Verb::HELLO {
            let timestamp = Hello::parse(payload)?.timestamp;
            OkHello { timestamp, version: VERSION, endpoint: Some(CONTROLLER), world_data: &[] }
                .write(&mut answer);
        } else if verb != Verb::ECHO {
            return Ok(());
        }
        let mut ok = Vec::new();
        OkReply { in_re_verb: verb, in_re_packet: id, payload: &answer }.write(&mut ok);
        let mut packet = self.packet(Verb::OK, &ok);
        armor::seal(&mut packet, &self.key, Suite::AesGmacSiv);
        self.socket.send(&packet)?;
        Ok(())
    }

    fn packet(&mut self, verb: Verb, payload: &[u8]) -> Vec<u8> {
        let source = self.secret.address();
        let id = self.rng.next_u64();
        let header = PacketHeader { id, destination: self.controller.address, source, flags: 0, mac: [0; 8] };
        let mut packet = Vec::new();
        header.write(&mut packet);
        packet.push(verb.to_byte(false));
        packet.extend_from_slice(payload);
        packet
    }

    /// A HELLO that is authentic under this member's key, whatever identity it shows.
    fn hello(&mut self, identity: PublicIdentity) -> Vec<u8> {
        let mut tail = Vec::new();
        write_moons(&[], &mut tail);
        let hello = Hello {
            version: VERSION,
            timestamp: Timestamp(1),
            identity,
            destination: Some(CONTROLLER),
            planet: None,
            tail: &[],
        };
        let mut payload = Vec::new();
        hello.write(&mut payload);
        let mut packet = self.packet(Verb::HELLO, &payload);
        if let Some(source) = packet.get_mut(13..18) {
            source.copy_from_slice(&identity.address.octets());
        }
        armor::seal(&mut packet, &self.key, Suite::Poly1305);
        packet
    }
}

/// What nobody asked for.
struct Flood {
    socket: UdpSocket,
    state: UdpSocketState,
    datagrams: Vec<Vec<u8>>,
}

impl Flood {
    fn new(controller: &Controller, members: &[Member]) -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let mut rng = ChaCha20Rng::from_seed([42; 32]);
        let mut stranger = Member {
            secret: members.first().ok_or("no member")?.secret.to_text().parse()?,
            controller: controller.identity,
            key: SessionKey::from_bytes([0; 48]),
            socket: socket.try_clone()?,
            rng: ChaCha20Rng::from_seed([43; 32]),
            asked: 0,
        };
        stranger.key = stranger.secret.agree(&controller.identity).map_err(|_| "weak key")?;
        let known = stranger.secret.address();
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
                    noise = stranger.hello(PublicIdentity { address, ..*stranger.secret.public() });
                }
                _ => {
                    let mut identity = *stranger.secret.public();
                    identity.key.reverse();
                    noise = stranger.hello(identity);
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

#[expect(clippy::disallowed_methods, reason = "what is measured here is real time")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "a flood of a given rate is made by waiting")]
fn pause(duration: Duration) {
    thread::sleep(duration);
}
