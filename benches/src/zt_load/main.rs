//! `zt-load`: puts a ZeroTier network controller under load and says what that costs it.
//!
//! `cargo build --release -p ctl-bin && cargo run --release -p benches --bin zt-load -- saturate` starts the release
//! binary with a home of its own and a database of `--members`, in a network namespace in which every client has an
//! address. With `--target` it speaks to any controller that runs already, in nothing but what clients speak.
//! `docs/performance.md` has a command for each goal.

mod home;
mod identities;
mod load;
mod machine;
mod modes;
mod plot;
mod progress;
mod report;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use benches::member::Member;
use benches::namespace;
use benches::process::{API, CONTROLLER, Process, Result, Spawned};
use clap::{Args, Parser, ValueEnum};
use tempfile::TempDir;
use zt_proto::{NetworkId, PublicIdentity};

use home::Size;
use load::Load;
use report::Report;

/// Puts a ZeroTier network controller under load and says what that costs it
#[derive(Debug, Parser)]
struct Cli {
    /// What the clients do
    mode: Mode,
    /// Members of each network of a controller that is started
    #[arg(long, default_value_t = 10_000)]
    members: usize,
    /// Networks of a controller that is started
    #[arg(long, default_value_t = 1)]
    networks: usize,
    /// Tags of each member of a controller that is started
    #[arg(long, default_value_t = 0)]
    tags: u32,
    /// Capabilities of each member of a controller that is started
    #[arg(long, default_value_t = 0)]
    capabilities: u32,
    /// Clients, spread over the networks
    #[arg(long, default_value_t = 10_000)]
    clients: usize,
    /// For how long the load lasts, in seconds
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Saturate: how many requests are answered, instead of for how long
    #[arg(long)]
    requests: Option<usize>,
    /// Requests that wait for their answer at the same time
    #[arg(long, default_value_t = 64)]
    window: usize,
    /// HELLOs a second with which the clients get known: 900 if they may be strangers, of whom controllers admit only so many,
    /// 4,000 if they are in the database
    #[arg(long)]
    hello_rate: Option<u32>,
    /// Steady: how many times faster than one request a minute each client asks
    #[arg(long, default_value_t = 20.0)]
    compression: f64,
    /// Hostile: datagrams of attackers a second
    #[arg(long, default_value_t = 20_000)]
    hostile_rate: u32,
    #[command(flatten)]
    other: OtherArgs,
    /// Writes the figures to a JSON file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Draws the latencies into an SVG file; for the mode `plot`, those of one file, or the cost over members of several
    #[arg(long)]
    svg: Option<PathBuf>,
    /// Mode `plot`: the JSON files to draw
    files: Vec<PathBuf>,
}

/// A controller that runs already.
#[derive(Debug, Args)]
struct OtherArgs {
    /// Address and UDP port of a controller that runs already; it is asked by clients with proven identities
    #[arg(long, requires = "controller", requires = "network")]
    target: Option<SocketAddr>,
    /// Its public identity, or the file of it
    #[arg(long)]
    controller: Option<String>,
    /// A public network of it, or one in which the clients are authorized
    #[arg(long, value_parser = network_id)]
    network: Option<NetworkId>,
    /// Address of its API
    #[arg(long)]
    api: Option<SocketAddr>,
    /// Token of its API
    #[arg(long)]
    token: Option<String>,
    /// Its process, to measure what it uses
    #[arg(long)]
    pid: Option<u32>,
    /// Has each client send from an address of its own in 10/8, which must be local
    #[arg(long)]
    own_addresses: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Every client asks as often as it may, as fast as answers come
    Saturate,
    /// Every client asks once a minute, faster by the compression
    Steady,
    /// As steady, while somebody sends what attackers send: new identities, garbage, copies
    Hostile,
    /// Clients that are online do nothing but answer
    Idle,
    /// Every client joins another network, a public one
    JoinStorm,
    /// The controller is killed and started, and all clients come back at once
    ReconnectStorm,
    /// The controller is killed and started, until its first answer
    Restart,
    /// A network changes, until all clients have it
    FanOut,
    /// A member is de-authorized, until all others know
    Deauth,
    /// Members are de-authorized and authorized, one after the other
    Authorize,
    /// Calls of the API over 64 connections
    Api,
    /// Lists of members over the API: pages in every order, and whole ones
    Lists,
    /// Draws JSON files
    Plot,
}

fn network_id(text: &str) -> std::result::Result<NetworkId, String> {
    u64::from_str_radix(text, 16).map(NetworkId).map_err(|_| format!("expected 16 hex digits, not {text:?}"))
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            report::say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode> {
    if cli.mode == Mode::Plot {
        let svg = cli.svg.as_ref().ok_or("plot needs --svg FILE")?;
        let reports = cli.files.iter().map(|file| Report::read(file)).collect::<Result<Vec<_>>>()?;
        fs::write(svg, plot::of(&reports))?;
        return Ok(ExitCode::SUCCESS);
    }
    if cli.other.target.is_none() && !namespace::is_inside() {
        let status = namespace::run_inside()?;
        return Ok(status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .map_or(ExitCode::FAILURE, ExitCode::from));
    }
    let mut stage = Stage::set(cli)?;
    machine::measure(&mut stage.report)?;
    modes::run(cli, &mut stage)?;
    report::say(&stage.report.markdown());
    if let Some(path) = &cli.json {
        fs::write(path, stage.report.json())?;
    }
    if let Some(path) = &cli.svg {
        fs::write(path, plot::latencies(&stage.report))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Who acts: a controller and its clients.
pub(crate) struct Stage {
    pub load: Load,
    pub report: Report,
    pub process: Option<Process>,
    pub api: Option<(SocketAddr, String)>,
    /// A controller of our own, which ends before its home.
    spawned: Option<(Spawned, TempDir)>,
}

impl Stage {
    fn set(cli: &Cli) -> Result<Self> {
        if let Some(target) = cli.other.target { Self::other(cli, target) } else { Self::own(cli) }
    }

    fn own(cli: &Cli) -> Result<Self> {
        namespace::set_up()?;
        let size = Size {
            networks: cli.networks,
            members: cli.members,
            clients: cli.clients.min(cli.networks * cli.members),
            tags: cli.tags,
            capabilities: cli.capabilities,
        };
        let secrets = identities::unproven(0, size.clients)?;
        let controller = identities::controller()?;
        let public = *controller.public();
        let home = home::make(size, &secrets, &controller)?;
        let spawned = Spawned::start(home.path())?;
        let members = meet(secrets, &public)?;
        let network_of = |n| size.network_of(n, public.address);
        let load = Load::new(members, network_of, CONTROLLER, public, true)?;
        let report = Report::new(cli, size);
        let token = fs::read_to_string(home.path().join("authtoken.secret"))?.trim().to_owned();
        let (process, api) = (Some(spawned.process()), Some((API, token)));
        Ok(Self { load, report, process, api, spawned: Some((spawned, home)) })
    }

    fn other(cli: &Cli, target: SocketAddr) -> Result<Self> {
        let OtherArgs { controller, network, api, token, pid, own_addresses, .. } = &cli.other;
        let text = controller.as_deref().ok_or("--controller is missing")?;
        let text = if text.contains(':') { text.to_owned() } else { fs::read_to_string(text)? };
        let public: PublicIdentity = text.trim().parse()?;
        let network = network.ok_or("--network is missing")?;
        let members = meet(identities::real(cli.clients)?, &public)?;
        let load = Load::new(members, |_| network, target, public, *own_addresses)?;
        let report = Report::new(cli, Size::of_clients(cli.clients));
        let process = pid.map(|id| Process { id });
        let api = api.zip(token.clone());
        Ok(Self { load, report, process, api, spawned: None })
    }

    /// Kills a controller of our own and starts it with the same home.
    fn start_again(&mut self) -> Result<()> {
        let (spawned, home) =
            self.spawned.take().ok_or("only a controller that was started here can be killed")?;
        spawned.kill()?;
        let spawned = Spawned::start(home.path())?;
        self.process = Some(spawned.process());
        self.spawned = Some((spawned, home));
        Ok(())
    }
}

/// Agrees a key with the controller for each identity.
pub(crate) fn meet(
    secrets: Vec<zt_crypto::IdentitySecret>,
    controller: &PublicIdentity,
) -> Result<Vec<Member>> {
    let secrets: Vec<_> = secrets.into_iter().map(|secret| std::sync::Mutex::new(Some(secret))).collect();
    identities::in_parallel(secrets.len(), |n| {
        let secret = secrets.get(n).and_then(|secret| secret.lock().ok()?.take()).ok_or("no secret")?;
        Ok(Member::new(secret, controller)?)
    })
}

impl Cli {
    fn hello_pace(&self) -> Duration {
        let rate = self.hello_rate.unwrap_or(if self.other.target.is_some() { 900 } else { 4_000 });
        Duration::from_secs(1) / rate.max(1)
    }

    fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}
