//! The command line.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use ctl_store::OpenOptions;
use zt_proto::NetworkId;

use super::api_args::ApiArgs;
use super::backup::sealing::Recipient;
use super::doctor::DoctorArgs;
use super::identity_tool::IdentityCommand;
use super::logs::{LogFormat, LogLevel};
use super::manual::{CompletionsArgs, ManArgs};
use super::settings::ConfigCommand;
use super::token::TokenCommand;
use super::traces::Endpoint;
use super::world_args::{MoonCommand, PlanetCommand};
use super::worlds::PlanetSource;
use crate::cli::apply::ApplyArgs;
use crate::cli::args::{ConnectArgs, MemberCommand, NetworkCommand};
use crate::cli::health::HealthArgs;
use crate::cli::log_level::LogLevelArgs;
use crate::cli::progress::ProgressArgs;
use crate::cli::webhook::WebhookCommand;

/// The port of the official program, for UDP and for the API.
pub(crate) const DEFAULT_PORT: u16 = 9993;

/// A ZeroTier network controller: admits members to virtual networks, signs and pushes their configuration.
///
/// Without a command it serves.
#[derive(Debug, Parser)]
#[command(version, subcommand_negates_reqs = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the controller (the default)
    Serve(ServeArgs),
    /// Makes, changes and shows the file by which clients find this controller without any other server
    #[command(subcommand)]
    Planet(PlanetCommand),
    /// The same for roots beside those of the planet, which clients choose to use
    #[command(subcommand)]
    Moon(MoonCommand),
    /// Compiles, tests and explains flow rules
    #[command(subcommand)]
    Rules(RulesCommand),
    #[command(subcommand)]
    Network(NetworkCommand),
    #[command(subcommand)]
    Member(MemberCommand),
    #[command(subcommand)]
    Webhook(WebhookCommand),
    Apply(ApplyArgs),
    LogLevel(LogLevelArgs),
    Doctor(DoctorArgs),
    Health(HealthArgs),
    #[command(subcommand)]
    Identity(IdentityCommand),
    /// Prints what a shell needs to complete commands and options
    Completions(CompletionsArgs),
    /// Writes manual pages
    Man(ManArgs),
    /// Makes, lists, rotates and revokes tokens of the API
    #[command(subcommand)]
    Token(TokenCommand),
    /// Moves in: takes networks and members of another controller over
    Import(ImportArgs),
    /// Moves out: writes all networks and members for another controller
    Export(ExportArgs),
    /// Makes one file of everything that another machine needs to take over, while the controller runs
    Backup(BackupArgs),
    /// Makes a home from a backup; nothing that is there is overwritten
    Restore(RestoreArgs),
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Looks whether a backup, a home or a database is sound. Exit code 0: it is, 1: it is not, 2: it could not be told
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct HomeArgs {
    /// Directory for identity, database and tokens; made if it is not there
    #[arg(long, value_name = "DIR", env = "CTL_HOME", global = true, default_value_os_t = default_home())]
    pub home: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub home: HomeArgs,
    /// File with settings; a variable goes before it, and a flag before both [default: ctl.toml in the home, if it is
    /// there]
    #[arg(long, value_name = "FILE", env = "CTL_CONFIG")]
    pub config: Option<PathBuf>,
    /// UDP port for clients, on all addresses; also the TCP port of the API unless --api says otherwise
    #[arg(long, value_name = "N", env = "CTL_PORT", default_value_t = DEFAULT_PORT,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// Address of this machine that clients are to reach; others are then not used [default: all]
    #[arg(long, value_name = "IP", env = "CTL_BIND")]
    pub bind: Option<IpAddr>,
    /// Second UDP port; 0 is none [default: random, none if this controller is a root of its planet]
    #[arg(long, value_name = "N", env = "CTL_SECONDARY_PORT")]
    pub secondary_port: Option<u16>,
    /// Asks the router to let the UDP port through, by PCP, NAT-PMP or UPnP
    #[arg(long, value_name = "BOOL", env = "CTL_PORT_MAPPING", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", action = ArgAction::Set, hide_possible_values = true)]
    pub port_mapping: bool,
    #[command(flatten)]
    pub api: ApiArgs,
    /// Root servers to be found by: builtin (the public ones), none, or a planet file [default: the file `planet` in
    /// the home, else builtin]
    #[arg(long, value_name = "builtin|none|FILE", env = "CTL_PLANET")]
    pub planet: Option<PlanetSource>,
    /// What this node is [default: controller, and root where the planet or a moon names it]
    #[arg(long, value_name = "ROLE", env = "CTL_ROLE", value_delimiter = ',')]
    pub role: Vec<Role>,
    /// Serves although another controller with this database seems to run; only if it is certain that it does not
    #[arg(long)]
    pub take_over: bool,
    /// Makes an empty database where the one of this home is gone; only if no networks are to be served any more
    #[arg(long)]
    pub new_database: bool,
    /// Pages of the write-ahead log from which on they are moved into the database; 0 leaves that to another program, as
    /// Litestream asks for
    #[arg(long, value_name = "N", env = "CTL_CHECKPOINT_PAGES",
          default_value_t = OpenOptions::default().checkpoint_pages)]
    pub checkpoint_pages: u32,
    #[command(flatten)]
    pub backups: ScheduleArgs,
    #[command(flatten)]
    pub log: LogArgs,
    /// Sends traces of requests and answers to this OpenTelemetry collector, by OTLP over HTTP, for example
    /// http://127.0.0.1:4318 [default: the variable OTEL_EXPORTER_OTLP_ENDPOINT]; for programs built with the feature otel
    #[arg(long, value_name = "URL", env = "CTL_OTEL_ENDPOINT", help_heading = "Log")]
    pub otel_endpoint: Option<Endpoint>,
}

impl ServeArgs {
    /// Returns how the database is to be used.
    pub(crate) fn database(&self) -> OpenOptions {
        OpenOptions { checkpoint_pages: self.checkpoint_pages }
    }
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    pub home: HomeArgs,
    /// New file, or directory in which it gets a name with the time [default: `backups` in the home]
    #[arg(long, value_name = "FILE|DIR")]
    pub to: Option<PathBuf>,
    #[command(flatten)]
    pub sealing: SealingArgs,
    /// Leaves only so many backups of this controller in the directory: the newest
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub keep: Option<u32>,
    /// Prints as JSON what was made
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub progress: ProgressArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SealingArgs {
    /// Encrypts to the holder of this public key, as age-keygen prints it; may be repeated
    #[arg(long, value_name = "RECIPIENT", num_args = 1..)]
    pub encrypt_to: Vec<Recipient>,
    /// Encrypts with the passphrase in the first line of this file
    #[arg(long, value_name = "FILE", conflicts_with = "encrypt_to")]
    pub passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// Backup to restore
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub home: HomeArgs,
    #[command(flatten)]
    pub key: KeyArgs,
    /// Prints as JSON what was restored
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub progress: ProgressArgs,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Backup, or a database by itself [default: the home, beside the controller that may be running in it]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub home: HomeArgs,
    #[command(flatten)]
    pub key: KeyArgs,
    /// Checks the address of each member against its keys as well, at some milliseconds each
    #[arg(long)]
    pub deep: bool,
    /// Prints the report as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub progress: ProgressArgs,
}

/// What opens an encrypted backup.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// Secret keys, as age-keygen writes them
    #[arg(long, value_name = "FILE")]
    pub identity_file: Option<PathBuf>,
    /// Passphrase, in the first line of this file
    #[arg(long, value_name = "FILE", conflicts_with = "identity_file")]
    pub passphrase_file: Option<PathBuf>,
}

/// The backups that a running controller makes by itself.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Backups")]
pub(crate) struct ScheduleArgs {
    /// Makes backups by itself, into this directory
    #[arg(long, value_name = "DIR", env = "CTL_BACKUP_DIR")]
    pub backup_dir: Option<PathBuf>,
    /// Time between two of them, for example 6h or 7d
    #[arg(
        long,
        value_name = "TIME",
        env = "CTL_BACKUP_EVERY",
        default_value = "24h",
        requires = "backup_dir"
    )]
    pub backup_every: Period,
    /// How many stay; the oldest go
    #[arg(long, value_name = "N", env = "CTL_BACKUP_KEEP", default_value_t = 7, requires = "backup_dir",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub backup_keep: u32,
    /// Encrypts them to the holder of this public key, as age-keygen prints it; may be repeated
    #[arg(long, value_name = "RECIPIENT", env = "CTL_BACKUP_ENCRYPT_TO", num_args = 1.., value_delimiter = ',',
          requires = "backup_dir")]
    pub backup_encrypt_to: Vec<Recipient>,
    /// Encrypts them with the passphrase in the first line of this file
    #[arg(
        long,
        value_name = "FILE",
        env = "CTL_BACKUP_PASSPHRASE_FILE",
        requires = "backup_dir",
        conflicts_with = "backup_encrypt_to"
    )]
    pub backup_passphrase_file: Option<PathBuf>,
}

/// What the controller tells of itself on standard error.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Log")]
pub(crate) struct LogArgs {
    /// What is logged: error, warn, info, debug, trace or off, and the same for modules, for example
    /// info,ctl_bin::vl1=debug [default: the variable RUST_LOG, else info]
    #[arg(long, value_name = "LEVELS", env = LogLevel::VARIABLE)]
    pub log_level: Option<LogLevel>,
    /// How it is written: for people, or a line of JSON each
    #[arg(long, value_name = "FORMAT", env = "CTL_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// A time of at least a second, written like 90s, 30m, 24h or 7d.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Period(pub Duration);

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected a time like 90s, 30m, 24h or 7d, not {text:?}");
        let (count, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(expected)?;
        let seconds: u64 = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return Err(expected()),
        };
        let count: u64 = count.parse().map_err(|_| expected())?;
        let seconds =
            count.checked_mul(seconds).filter(|seconds| (1..=u64::from(u32::MAX)).contains(seconds));
        seconds.map(|seconds| Self(Duration::from_secs(seconds))).ok_or_else(expected)
    }
}

/// The controller of the home must not be running.
///
/// Exit code: 0 if everything was imported, 3 if it was and the report has something to look at (left out, different,
/// suspicious), 1 if the import could not be done or ended early, 2 for a command line that is not understood.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// A ZeroTier home, a controller.d, a controller.db of 2015 or 2016, or a file of `export --format json`; only read
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Changes nothing: tries it on a copy of the database, and prints the report
    #[arg(long)]
    pub dry_run: bool,
    /// Replaces networks and members that are here already and differ, instead of leaving them
    #[arg(long)]
    pub overwrite: bool,
    /// Believes which members a database of June 2015 calls authorized, which may be the opposite
    #[arg(long)]
    pub trust_authorizations: bool,
    /// Prints the report as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub progress: ProgressArgs,
    #[command(flatten)]
    pub home: HomeArgs,
}

/// The controller of the home may be running: what is written is one moment of it.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// What to write: a directory that the official controller reads, or one file with a record a line
    #[arg(long, value_enum)]
    pub format: ExportFormat,
    /// Where to write it; must not be there yet
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Replaces what is there
    #[arg(long)]
    pub force: bool,
    /// Prints as JSON what was written
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub progress: ProgressArgs,
    #[command(flatten)]
    pub home: HomeArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    #[value(name = "controller.d")]
    ControllerD,
    Json,
}

/// What a node can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Serves networks
    Controller,
    /// Tells nodes about each other and relays between them
    Root,
}

impl ServeArgs {
    /// Says whether networks are served.
    pub(crate) fn is_controller(&self) -> bool {
        self.role.is_empty() || self.role.contains(&Role::Controller)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// Checks a source and says what it compiles to
    Compile(RulesCompileArgs),
    /// Writes a source for rules in JSON, of this or another controller
    Decompile(RulesDecompileArgs),
    /// Lays out a source in the one usual way
    Format(RulesFormatArgs),
    /// Runs the tests of a source, or those of a network with its members: of the home, or with --url of a controller
    /// elsewhere
    Test(RulesTestArgs),
    /// Says why a packet passes or not, rule by rule, in a network of the home, or with --url of a controller elsewhere
    Explain(RulesExplainArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RulesCompileArgs {
    /// Source; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Prints rules, capabilities, tags and names as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RulesDecompileArgs {
    /// Output of `rules compile --json`, a network of the API, or an array of rules; - is standard input
    #[arg(value_name = "FILE.json")]
    pub file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RulesFormatArgs {
    /// Source; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Changes nothing; exit code 1 if the layout is another
    #[arg(long, conflicts_with = "write")]
    pub check: bool,
    /// Changes the file, instead of printing
    #[arg(long)]
    pub write: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RulesTestArgs {
    /// Source to test; - is standard input. With --network it is tried in the place of the network's rules
    #[arg(value_name = "FILE", required_unless_present = "network")]
    pub file: Option<PathBuf>,
    /// Tests apart from the source, in the place of those kept with the network
    #[arg(long, value_name = "FILE")]
    pub tests: Option<PathBuf>,
    /// Network whose members, and without FILE whose rules, are used
    #[arg(long, value_name = "ID")]
    pub network: Option<NetworkId>,
    /// Prints what came of them as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RulesExplainArgs {
    /// Network whose rules and members are used
    #[arg(value_name = "NETWORK")]
    pub network: NetworkId,
    /// Sender: a name, an address, tag:NAME=VALUE, cap:NAME or any
    #[arg(long, value_name = "MEMBER")]
    pub from: String,
    /// Receiver, likewise
    #[arg(long, value_name = "MEMBER")]
    pub to: String,
    /// The packet in words, for example: tcp 443
    #[arg(value_name = "PACKET", required = true)]
    pub packet: Vec<String>,
    /// Prints the explanation as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// Returns the usual place for a program's data: of the system for root, of the user otherwise.
pub(crate) fn default_home() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from("/var/lib/ctl-bin");
    }
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let data = data.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share")));
    data.unwrap_or_else(|| PathBuf::from(".")).join("ctl-bin")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serving_is_the_default_and_takes_the_same_flags_with_and_without_its_name() {
        let bare = Cli::try_parse_from(["ctl-bin", "--home", "h", "--port", "1234"]).unwrap();
        assert!(bare.command.is_none());
        assert_eq!((bare.serve.home.home, bare.serve.port), (PathBuf::from("h"), 1234));
        let named = Cli::try_parse_from(["ctl-bin", "serve", "--home", "h", "--api", "[::1]:80"]).unwrap();
        let Some(Command::Serve(serve)) = named.command else { panic!("not serve") };
        assert_eq!(serve.port, DEFAULT_PORT);
        assert_eq!(serve.api.address, Some("[::1]:80".parse().unwrap()));
    }

    #[test]
    fn roles_and_planets_are_named_as_the_manual_has_it() {
        let parse =
            |arguments: &[&str]| Cli::try_parse_from([&["ctl-bin"], arguments].concat()).map(|cli| cli.serve);
        let bare = parse(&["--planet", "none"]).unwrap();
        assert!(bare.role.is_empty() && bare.is_controller());
        assert_eq!(bare.planet, Some(PlanetSource::None));
        assert_eq!(parse(&["--planet", "builtin"]).unwrap().planet, Some(PlanetSource::Builtin));
        assert_eq!(parse(&["--planet", "p"]).unwrap().planet, Some(PlanetSource::File("p".into())));
        let both = parse(&["--role", "controller,root"]).unwrap();
        assert_eq!((both.role.as_slice(), both.is_controller()), (&[Role::Controller, Role::Root][..], true));
        assert!(!parse(&["--role", "root"]).unwrap().is_controller());
        assert!(parse(&["--role", "king"]).unwrap_err().to_string().contains("controller, root"));
    }

    #[test]
    fn periods_are_a_number_and_a_unit() {
        for (text, seconds) in [("1s", 1), ("30m", 1800), ("24h", 86_400), ("7d", 604_800)] {
            assert_eq!(text.parse(), Ok(Period(Duration::from_secs(seconds))));
        }
        for text in
            ["", "h", "24", "0s", "-1h", "1.5h", "1w", "1h30m", "99999999999999999999d", "9999999999d", "1ü"]
        {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_bad_endpoint_is_refused_with_an_example() {
        let error =
            Cli::try_parse_from(["ctl-bin", "planet", "create", "--endpoint", "1.2.3.4:9993", "--out", "f"])
                .unwrap_err()
                .to_string();
        assert!(error.contains("--endpoint") && error.contains("203.0.113.1/9993"), "{error}");
    }
}
