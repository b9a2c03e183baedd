//! Everything that touches the operating system, put together.

mod activation;
mod again;
mod announce;
mod api_args;
mod background;
mod backup;
mod clock;
pub(crate) mod config;
mod controller;
pub(crate) mod doctor;
#[cfg(test)]
mod documents;
mod export;
mod hand_over;
pub(crate) mod home;
mod identity_tool;
mod import;
mod issue_allowance;
mod issue_clock;
mod lease;
mod local_conf;
mod logs;
mod manual;
mod members;
mod moon;
mod newcomers;
mod notes;
mod owner;
mod peers;
mod planet;
mod port_map;
mod push;
mod reach;
mod reserve;
mod restore;
mod revocations;
mod rules;
mod secondary;
mod settings;
mod share;
mod sockets;
mod status;
mod supervisor;
mod takeover;
mod tally;
mod tls;
mod token;
mod traces;
mod turns;
mod udp;
mod used_up;
mod verify;
mod webhooks;
mod work;
mod world_args;
mod world_file;
mod world_home;
mod world_maker;
mod worlds;

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ctl_http::{Access, Api, Events, Metrics, Serving, Token};
use ctl_store::{StoreError, UnmigratedStore};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tracing::{error, info, warn};
use zt_proto::{Address, NetworkId};

use crate::cli::{self, CliError};
use crate::vl1::Node;
use activation::{ActivationError, Handed};
use background::Background;
use config::{Command, ServeArgs};
use controller::Controller;
use hand_over::Outbox;
use home::{Home, HomeError};
use logs::{Log, LogLevel};
use peers::KnownPeers;
use reserve::Reserve;
use secondary::SecondaryPort;
use settings::reload::Live;
use settings::{Line, SettingsError};
use sockets::Sockets;
use takeover::Takeover;
use tally::Tally;
use tls::TlsFiles;
use traces::Traces;
use worlds::WorldFiles;

/// Neither the command line nor the settings can be used.
const EXIT_NOT_UNDERSTOOD: u8 = 2;
/// The database was moved or replaced under the controller. A start by itself would take up whatever file is there now, and
/// read it with the write-ahead log of the other one: `dist/systemd` names this code.
const EXIT_DISPLACED: u8 = 7;
/// How long open API requests may take once the program is told to stop.
const SHUTDOWN: Duration = Duration::from_secs(5);
/// Commands to the node that wait; whoever has more waits himself.
const MAX_COMMANDS: usize = 4096;

/// Why the program cannot do what it was told, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    Exposed(#[from] api_args::Exposed),
    #[error(transparent)]
    Activation(#[from] ActivationError),
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    #[error(transparent)]
    TokenCommand(#[from] token::TokenCommandError),
    #[error(transparent)]
    World(#[from] world_maker::WorldError),
    #[error(transparent)]
    Role(#[from] worlds::RoleError),
    #[error(transparent)]
    Rules(#[from] rules::RulesError),
    #[error(transparent)]
    Import(#[from] import::MoveInError),
    #[error(transparent)]
    Export(#[from] export::MoveOutError),
    #[error(transparent)]
    Backup(#[from] backup::BackupError),
    #[error(transparent)]
    Restore(#[from] restore::RestoreError),
    #[error(transparent)]
    Verify(#[from] verify::VerifyError),
    #[error(transparent)]
    Cli(#[from] CliError),
    #[error(transparent)]
    Identity(#[from] identity_tool::IdentityError),
    #[error(transparent)]
    Man(#[from] manual::ManError),
    #[error(transparent)]
    Lease(#[from] lease::LeaseError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "the networks of this database ({count}) are of another controller, {other}, whose identity is not the one of this home \
         ({own}): nobody would find them here; put the identity.secret of {other} into the home, which is in its backups, or \
         serve in another home"
    )]
    ForeignNetworks { count: usize, other: Address, own: Address },
    #[error(
        "the disk of {} is full, and a controller has to write there that it is the one that serves: free 1 MiB, after an update \
         to another schema as much as the database takes, and start it again", path.display())]
    DiskFull { path: PathBuf },
    #[error(
        "UDP port {port} is in use by another program (an installed zerotier-one uses 9993); \
         stop it, or choose another port with --port"
    )]
    UdpInUse { port: u16 },
    #[error("cannot bind UDP port {port}: {source}; choose another port with --port")]
    Udp { port: u16, source: io::Error },
    #[error("TCP address {address} is in use by another program; stop it, or choose another with --api")]
    ApiInUse { address: SocketAddr },
    #[error("cannot bind {address} for the API: {source}; choose another address with --api")]
    Api { address: SocketAddr, source: io::Error },
    #[error("no token for the API: {0}")]
    Token(#[from] ctl_http::EmptyToken),
    #[error("the metrics of this program are inconsistent, which is a fault of it: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("the operating system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
    #[error("cannot start: {0}")]
    Runtime(#[from] io::Error),
    #[error("a part of the controller has ended, which is a fault of this program; please report it{}", reason(.0.as_ref()))]
    Died(Option<JoinError>),
}

impl StartError {
    fn exit_code(&self) -> ExitCode {
        if let Self::Cli(error) | Self::Rules(rules::RulesError::Cli(error)) = self {
            return error.exit_code();
        }
        if matches!(self, Self::Lease(lease::LeaseError::Displaced)) {
            return ExitCode::from(EXIT_DISPLACED);
        }
        // What could not be looked at is another thing than what is known to be broken.
        let is_unknown = matches!(self, Self::Verify(error) if !error.is_verdict());
        if is_unknown { ExitCode::from(2) } else { ExitCode::FAILURE }
    }
}

/// The command line as it was given, what it means, and the log.
struct Order {
    words: Vec<OsString>,
    line: Line,
    log: Log,
}

/// Runs the program with the arguments of the process.
pub(crate) fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    let line = match settings::read(&words) {
        Ok(line) => line,
        // Also what was asked for: the help.
        Err(SettingsError::Line(error)) => error.exit(),
        Err(error) => {
            tell(&error.to_string());
            return ExitCode::from(EXIT_NOT_UNDERSTOOD);
        }
    };
    let serving = line.serving();
    let traces = match serving.map(|args| Traces::start(args.otel_endpoint.as_ref())).transpose() {
        Ok(traces) => traces.flatten(),
        Err(error) => {
            tell(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    let args = &serving.unwrap_or(&line.cli.serve).log;
    let level = args.log_level.clone().unwrap_or_else(LogLevel::usual);
    let log = logs::start(&level, args.log_format, serving.is_some(), traces.as_ref());
    match run(Order { words, line, log }) {
        Ok(code) => code,
        Err(error) => {
            // One line, whatever the cause has to say; settings have one for each that is wrong.
            let text = error.to_string();
            let is_list = matches!(error, StartError::Settings(_));
            tell(&if is_list { text } else { text.replace('\n', "; ") });
            error.exit_code()
        }
    }
}

/// Says why something was not done, a line for each reason.
fn tell(error: &str) {
    for line in error.lines() {
        writeln!(io::stderr(), "error: {line}").unwrap_or(());
    }
}

/// Does what the command line says.
fn run(order: Order) -> Result<ExitCode, StartError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let mut rng = ChaCha20Rng::from_seed(seed);
    if order.line.serving().is_some() {
        serve(&order, rng)?;
        return Ok(ExitCode::SUCCESS);
    }
    match order.line.cli.command {
        None | Some(Command::Serve(_)) => {}
        Some(Command::Config(command)) => settings::run(&command)?,
        Some(Command::Planet(command)) => planet::run(&command, clock::wall(), &mut rng)?,
        Some(Command::Moon(command)) => moon::run(&command, clock::wall(), &mut rng)?,
        Some(Command::Rules(command)) => rules::run(&command)?,
        Some(Command::Health(args)) => cli::health::run(&args)?,
        Some(Command::Identity(command)) => identity_tool::run(&command, &mut rng)?,
        Some(Command::Completions(args)) => manual::completions(&args),
        Some(Command::Man(args)) => manual::man(&args)?,
        Some(Command::Doctor(args)) => return Ok(doctor::run(&args, clock::wall(), rng)),
        Some(Command::Network(command)) => cli::run_network(&command, clock::wall())?,
        Some(Command::Member(command)) => cli::run_member(&command, clock::wall())?,
        Some(Command::Webhook(command)) => cli::webhook::run(&command, clock::wall())?,
        Some(Command::Apply(args)) => return Ok(cli::apply::run(&args)?),
        Some(Command::LogLevel(args)) => cli::log_level::run(&args)?,
        Some(Command::Token(command)) => token::run(&command, clock::wall(), &mut rng)?,
        Some(Command::Import(args)) => return Ok(import::run(&args, clock::wall(), &mut rng)?),
        Some(Command::Export(args)) => export::run(&args)?,
        Some(Command::Backup(args)) => backup::run(&args, clock::wall())?,
        Some(Command::Restore(args)) => restore::run(&args)?,
        Some(Command::Verify(args)) => verify::run(&args, clock::wall())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn serve(order: &Order, rng: ChaCha20Rng) -> Result<(), StartError> {
    let Some(args) = order.line.serving() else { return Ok(()) };
    let handed = Handed::take(args.bind, args.port)?;
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    // The loop of the node has a thread to itself, so that a datagram does not wake one that wakes another. Who hands on what
    // it cannot do runs there too: whatever takes its time is left to other threads.
    let node_runtime = Arc::new(Builder::new_current_thread().enable_all().build()?);
    let result = runtime.block_on(run_controller(order, args, handed, &node_runtime, rng));
    // What is still being computed is for nobody, and a write that is not committed was not acknowledged.
    runtime.shutdown_timeout(SHUTDOWN);
    if let Some(runtime) = Arc::into_inner(node_runtime) {
        runtime.shutdown_timeout(SHUTDOWN);
    }
    result
}

/// Runs the controller until it is told to stop.
async fn run_controller(
    order: &Order,
    args: &ServeArgs,
    handed: Handed,
    node_runtime: &Arc<Runtime>,
    mut rng: ChaCha20Rng,
) -> Result<(), StartError> {
    let address = match &handed.api {
        Some(listener) => args.api.permitted(listener.local_addr()?)?,
        None => args.api.listen(args.port)?,
    };
    let tls =
        TlsFiles::of(&args.api.tls).map(|files| files.load().map(|loaded| (files, loaded))).transpose()?;
    let home = Arc::new(Home::open(&args.home.home)?);
    let lock = home.lock()?;
    let reserve = Reserve::of(&home);
    reserve.make_room();
    // Before anything is made that a home without it should not have.
    if !args.new_database {
        home.require_database()?;
    }
    let secret = Arc::new(home.identity(&mut rng)?);
    let worlds =
        WorldFiles::open(Arc::clone(&home), args.planet.clone(), args.role.clone(), secret.address())?;
    let token = Token::new(&home.token(&mut rng)?)?;
    let metrics_token = Token::new(&home.metrics_token(&mut rng)?)?;
    let metrics = Metrics::new()?;
    let secondary = secondary_port(args.secondary_port, worlds.current().name(secret.address()));
    let sockets_rng = ChaCha20Rng::from_seed(draw_seed(&mut rng));
    let sockets = {
        let _watched_there = node_runtime.enter();
        match handed.udp {
            udp if udp.is_empty() => Sockets::bind(args.bind, args.port, secondary, sockets_rng),
            udp => Sockets::handed(udp, args.bind, secondary, sockets_rng),
        }
    };
    let sockets = sockets.map_err(|source| udp_error(args.port, source))?;
    let listener = match handed.api {
        Some(listener) => TcpListener::from_std(listener)?,
        None => TcpListener::bind(address).await.map_err(|source| api_error(address, source))?,
    };
    let address = listener.local_addr()?;
    // Whoever cannot serve takes nothing away from another that can.
    let holder = lease::Holder::new(&lock, home.path(), &mut rng);
    let own = args.is_controller().then(|| secret.address());
    let check =
        |found: &UnmigratedStore| own.map_or(Ok(()), |own| require_own_networks(&found.networks()?, own));
    let lease = lease::Held::open(&home.database(), args.database(), holder, args.take_over, check).await;
    let lease = lease.map_err(|error| full_disk(error, &home))?;
    let store = lease.store().clone();
    home.write_port(address.port())?;
    home.write_api_url(&announce::url(address, args.api.is_tls()))?;

    // Before anything is answered: whoever was served may end it in order from then on.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let now = clock::now();
    let identity = *secret.public();
    let start = worlds.current().clone();
    let bound = sockets.addresses();
    let mut node = Node::new(Arc::clone(&secret), start.planet.clone(), draw_seed(&mut rng), now);
    node.set_moons(now, start.moons.clone());
    let status = status::initial(&node, now, identity, &home, args, &bound.borrow());
    let (status_sender, status_receiver) = watch::channel(Arc::new(status));
    let (stop, stopped) = watch::channel(false);
    let (command_sender, commands) = mpsc::channel(MAX_COMMANDS);
    let (outbox, inbox) = Outbox::new();
    let (conf_sender, conf) = watch::channel(Arc::new(local_conf::read(&home)));
    let (change_sender, changes) = mpsc::unbounded_channel();

    let happened = Events::new(now.wall);
    let api_rng = Mutex::new(ChaCha20Rng::from_seed(draw_seed(&mut rng)));
    let (access_sender, access) = watch::channel(Arc::new(Access {
        metrics_token: Some(metrics_token),
        allow_query_token: args.api.api_query_token,
        allowed_sources: args.api.allowed_sources(address),
        allowed_origins: args.api.origins.clone(),
        ..Access::new(token)
    }));
    let (settings_sender, settings) = watch::channel(order.line.settings.clone().into());
    let peers = Arc::new(KnownPeers::new(command_sender.clone()));
    let api = Api {
        store: store.for_guests(), // whatever the API does, members are answered
        controller: identity.address,
        access,
        serves_networks: args.is_controller(),
        metrics: metrics.clone(),
        local_conf: conf,
        node: status_receiver,
        peers: Arc::<KnownPeers>::clone(&peers),
        changes: change_sender,
        events: happened.clone(),
        backups: Arc::new(backup::shelf::Shelf::new(Home::clone(&home), identity.address, &args.backups)),
        log_levels: Arc::new(order.log.clone()),
        settings,
        qr_code: |text| share::drawing(text).ok(),
        now: Arc::new(clock::wall),
        random: Arc::new(move || api_rng.lock().unwrap_or_else(PoisonError::into_inner).next_u32()),
    };
    if !address.ip().to_canonical().is_loopback() && tls.is_none() {
        warn!(%address, "the API is reachable from other machines without encryption, as --api-insecure says");
    }
    let mut kept = tokio::spawn(lease.keep());
    let controller = Arc::new(Controller::new(
        secret,
        store.clone(),
        ChaCha20Rng::from_seed(draw_seed(&mut rng)),
        (command_sender.clone(), controller::identities_of(command_sender.clone())),
        (Tally::new(&metrics)?, happened.clone()),
        now,
    )?);
    let mut stopping = stopped.clone();
    let mut tasks = JoinSet::new();
    let mut helpers = JoinSet::new();
    let (reload, reloaded) = watch::channel(());
    helpers.spawn(hang_up(signal(SignalKind::hangup())?, reload));
    let (schedule_sender, schedule) = watch::channel(args.backups.clone());
    let live = Live {
        access: access_sender,
        address,
        backups: schedule_sender,
        log: order.log.clone(),
        settings: settings_sender,
    };
    let (words, set) = (order.words.clone(), order.line.set.clone());
    helpers.spawn(settings::reload::follow(words, set, live, reloaded.clone()));
    helpers.spawn(order.log.clone().report());
    helpers.spawn(reserve::keep(reserve));
    if let Some(file) = &order.line.file {
        info!(file = %file.display(), "settings read");
    }
    let mut serving = Serving::default();
    if let Some((files, loaded)) = tls {
        files.warn_of(&loaded, clock::wall());
        let (sender, configs) = watch::channel(Arc::clone(&loaded.config));
        serving.tls = Some(configs);
        helpers.spawn(tls::keep(files, loaded, sender, reloaded));
    }
    let at_once: udp::AtOnce = if args.is_controller() {
        let controller = Arc::clone(&controller);
        Box::new(move |requested, now| controller.answer_at_once(requested, now))
    } else {
        Box::new(|_, _| None)
    };
    let run_node = udp::run(node, sockets, commands, outbox, at_once, stopped.clone());
    let run_on = Arc::clone(node_runtime);
    tasks.spawn_blocking(move || run_on.block_on(run_node));
    tasks.spawn(ctl_http::serve(api, listener, serving, async move {
        // An error would mean that the sender is gone, which ends the program as well.
        stopping.changed().await.unwrap_or(());
    }));
    let takeover = Arc::new(Takeover::default());
    let surroundings = work::Surroundings {
        home: Arc::clone(&home),
        serves_networks: args.is_controller(),
        node: command_sender.clone(),
        takeover: Arc::clone(&takeover),
    };
    let answer_events =
        work::answer_events(Arc::clone(&controller), surroundings, Background::start()?, inbox);
    helpers.spawn_on(answer_events, node_runtime.handle());
    helpers.spawn(local_conf::follow(Arc::clone(&home), conf_sender));
    helpers.spawn(worlds.follow(command_sender.clone()));
    if args.is_controller() {
        helpers.spawn(takeover::run(takeover, store.clone(), command_sender.clone()));
        helpers.spawn(work::end_sessions(Arc::clone(&controller)));
    }
    helpers.spawn(work::follow_changes(Arc::clone(&controller), changes));
    helpers.spawn(work::send(Arc::clone(&controller)));
    helpers.spawn(work::tidy(Arc::clone(&controller)));
    helpers.spawn(work::save_notes(Arc::clone(&controller)));
    let hook_rng = ChaCha20Rng::from_seed(draw_seed(&mut rng));
    helpers.spawn(webhooks::run(store.clone(), happened, hook_rng));
    let (map, mapped) = watch::channel(None);
    if args.port_mapping {
        tasks.spawn(port_map::keep(args.port, map, stopped));
    }
    helpers.spawn(reach::tell(args.bind, args.port, mapped, command_sender.clone()));
    helpers.spawn(backup::schedule::run(Home::clone(&home), identity.address, schedule));
    helpers.spawn(supervisor::keep_alive(command_sender.clone()));
    helpers.spawn(peers.tend());
    helpers.spawn(status::publish(command_sender, bound, status_sender));

    supervisor::ready(&format!("serving as {}, UDP port {}, API {address}", identity.address, args.port));
    announce::ready(
        &home,
        identity.address,
        args.port,
        (address, args.api.is_tls()),
        &start,
        args.is_controller(),
    );
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        // At once: whoever has it is serving.
        lost = &mut kept => return Err(lost.map_or_else(|error| StartError::Died(Some(error)), StartError::Lease)),
        // Half a controller is worse than none: whoever supervises this program starts it again.
        ended = tasks.join_next() => return Err(StartError::Died(ended.and_then(Result::err))),
        ended = helpers.join_next() => return Err(StartError::Died(ended.and_then(Result::err))),
    }
    supervisor::stopping();
    stop.send_replace(true);
    // Open API requests are finished; a client that does not read its answer is not waited for.
    if timeout(SHUTDOWN, ended(&mut tasks)).await.is_err() {
        warn!("some API requests were still open");
    }
    let saved = tokio::task::spawn_blocking(move || controller.save_notes(clock::now()));
    if timeout(SHUTDOWN, saved).await.is_err() {
        warn!("the newest last seen data was not saved in time");
    }
    kept.abort();
    let released = tokio::task::spawn_blocking(move || drop(lease));
    if timeout(SHUTDOWN, released).await.is_err() {
        warn!("the lease was not ended in time");
    }
    drop(lock);
    Ok(())
}

/// Waits for all tasks. What is left to be done is done even if one of them panics now.
async fn ended(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            error!(%error, "a part of the controller failed while it ended");
        }
    }
}

/// Passes on that the program was told to read its files again.
async fn hang_up(mut hangup: Signal, reload: watch::Sender<()>) {
    while hangup.recv().await.is_some() {
        reload.send_replace(());
    }
}

/// Refuses a database beside which lies the identity of another controller.
fn require_own_networks(networks: &[NetworkId], own: Address) -> Result<(), StartError> {
    let foreign = networks.iter().filter(|network| network.controller() != own).count();
    match networks.first() {
        Some(first) if foreign == networks.len() => {
            Err(StartError::ForeignNetworks { count: foreign, other: first.controller(), own })
        }
        Some(_) | None => {
            if foreign > 0 {
                warn!(
                    networks = foreign,
                    "networks of another controller are in the database; nobody finds them here"
                );
            }
            Ok(())
        }
    }
}

/// Says which disk is full.
fn full_disk(error: StartError, home: &Home) -> StartError {
    if let StartError::Lease(lease::LeaseError::Store(StoreError::DiskFull)) = error {
        return StartError::DiskFull { path: home.database() };
    }
    error
}

fn reason(error: Option<&JoinError>) -> String {
    error.map_or_else(String::new, |error| format!(": {error}"))
}

fn udp_error(port: u16, source: io::Error) -> StartError {
    if source.kind() == io::ErrorKind::AddrInUse {
        StartError::UdpInUse { port }
    } else {
        StartError::Udp { port, source }
    }
}

fn api_error(address: SocketAddr, source: io::Error) -> StartError {
    if source.kind() == io::ErrorKind::AddrInUse {
        StartError::ApiInUse { address }
    } else {
        StartError::Api { address, source }
    }
}

/// Returns which secondary port to bind: what the operator says; else a random one, as clients have, for the NATs that give
/// the primary port away. A root needs none, since clients write to the address that the planet names.
fn secondary_port(asked: Option<u16>, is_root: bool) -> SecondaryPort {
    match asked {
        Some(0) => SecondaryPort::Off,
        Some(port) => SecondaryPort::Fixed(port),
        None if is_root => SecondaryPort::Off,
        None => SecondaryPort::Random,
    }
}

fn draw_seed(rng: &mut ChaCha20Rng) -> [u8; 32] {
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    seed
}
