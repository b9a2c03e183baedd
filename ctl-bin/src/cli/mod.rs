//! Commands that work through the API: networks and members of a controller that runs here or elsewhere.
//!
//! A thin client: what a command prints with `--json` is what the API answered.

pub(crate) mod apply;
pub(crate) mod args;
pub(crate) mod client;
pub(crate) mod health;
pub(crate) mod log_level;
pub(crate) mod member;
mod network;
pub(crate) mod progress;
pub(crate) mod table;
pub(crate) mod times;
pub(crate) mod webhook;

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

use crate::server::home::HomeError;

pub(crate) use client::Client;
pub(crate) use member::run as run_member;
pub(crate) use network::run as run_network;

/// No controller answers.
const EXIT_UNREACHABLE: u8 = 4;
/// The token is refused.
const EXIT_UNAUTHORIZED: u8 = 5;
/// There is no such network or member.
const EXIT_NOT_FOUND: u8 = 6;

/// Why a command was not done, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(
        "no controller has run in {} yet; start it with: ctl-bin --home {}; or name another one with --url", home.display(), home.display())]
    NeverStarted { home: PathBuf },
    #[error("--url: expected an address like https://controller.example.org:9993, got {url:?}")]
    Url { url: String },
    #[error(
        "{url} is not encrypted, so everybody on the way could read the token; use https://, an SSH tunnel to a loopback \
         address, or --insecure if the way is safe"
    )]
    Unencrypted { url: String },
    #[error(
        "no token for {url}; put it into a file and name that with --token-file, or into the variable CTL_TOKEN"
    )]
    NoToken { url: String },
    #[error("cannot read the token in {}: {source}; it must be readable by the user that runs this", path.display())]
    TokenFile { path: PathBuf, source: io::Error },
    #[error("{} has no token: expected one line of text", path.display())]
    TokenText { path: PathBuf },
    #[error("--ca: {}: {reason}", path.display())]
    Authorities { path: PathBuf, reason: String },
    #[error(
        "no controller answers at {url}: {reason}; see whether it runs (systemctl status ctl-bin), start it with \
         ctl-bin, or name another address with --url"
    )]
    Unreachable { url: String, reason: String },
    #[error(
        "the certificate of {url} is not trusted: {reason}; name the authority that signed it with --ca, or with --url the \
         controller as its certificate does"
    )]
    Tls { url: String, reason: String },
    #[error("what answers at {url} is no controller; see whether the address is right")]
    NoController { url: String },
    #[error(
        "the controller at {url} refuses the token of {origin}; the right one is in authtoken.secret in its home"
    )]
    Unauthorized { url: String, origin: String },
    #[error("the token of {origin} may not do that: {says}")]
    Forbidden { origin: String, says: String },
    #[error("the controller knows no {what}")]
    NotFound { what: String },
    #[error("there is no network {name}; `ctl-bin network ls` lists them")]
    NoNetwork { name: String },
    #[error("network {network} has no member {name}; `ctl-bin member ls {network}` lists them")]
    NoMember { network: String, name: String },
    #[error("there is no webhook {name}; `ctl-bin webhook ls` lists them")]
    NoWebhook { name: String },
    #[error("{count} {kind} have the name {name:?}; name one by its {key}: {candidates}")]
    Ambiguous { kind: &'static str, key: &'static str, count: usize, name: String, candidates: String },
    #[error("the controller refuses this ({status}): {says}")]
    Refused { status: u16, says: String },
    #[error("the controller could not do this ({status}): {says}; its log has more")]
    Failed { status: u16, says: String },
    #[error("the controller is not ready to serve: {says}; its log has more")]
    NotReady { says: String },
    #[error("nothing to change was named; see `ctl-bin {command} --help`")]
    NothingToSet { command: &'static str },
    #[error("nothing was deleted; say --yes to do it without being asked")]
    NotConfirmed,
    #[error("nothing was changed; say --yes to do it without being asked")]
    NotApplied,
    #[error("{what} was changed by somebody else meanwhile, and stays as it is now; try again")]
    Changed { what: String },
    #[error("cannot read {}: {source}; name a file that the user that runs this can read", path.display())]
    Document { path: PathBuf, source: io::Error },
    #[error("{}:{reason}", path.display())]
    InDocument { path: PathBuf, reason: String },
    #[error("the file names network {network} twice: by its id and by its name")]
    Twice { network: String },
    #[error("{failed} of {count} members were left as they are; the reasons are above")]
    SomeFailed { failed: usize, count: usize, first: Box<CliError> },
}

impl CliError {
    /// Says `what` instead of what the path of a request was, if nothing was found.
    fn or_missing(self, what: impl FnOnce() -> Self) -> Self {
        if matches!(self, Self::NotFound { .. }) { what() } else { self }
    }

    /// Returns the exit code that programs tell the cases apart by.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::NeverStarted { .. }
            | Self::Unreachable { .. }
            | Self::Tls { .. }
            | Self::NoController { .. } => ExitCode::from(EXIT_UNREACHABLE),
            Self::NoToken { .. }
            | Self::TokenFile { .. }
            | Self::TokenText { .. }
            | Self::Unauthorized { .. }
            | Self::Forbidden { .. } => ExitCode::from(EXIT_UNAUTHORIZED),
            Self::NotFound { .. }
            | Self::NoNetwork { .. }
            | Self::NoMember { .. }
            | Self::NoWebhook { .. } => ExitCode::from(EXIT_NOT_FOUND),
            Self::SomeFailed { first, .. } => first.exit_code(),
            Self::Home(_)
            | Self::Url { .. }
            | Self::Unencrypted { .. }
            | Self::Authorities { .. }
            | Self::Ambiguous { .. }
            | Self::Refused { .. }
            | Self::Failed { .. }
            | Self::NotReady { .. }
            | Self::NothingToSet { .. }
            | Self::NotConfirmed
            | Self::NotApplied
            | Self::Changed { .. }
            | Self::Document { .. }
            | Self::InDocument { .. }
            | Self::Twice { .. } => ExitCode::FAILURE,
        }
    }
}

/// Asks on the terminal whether to go on; `yes` has said so already. Without a terminal nobody can answer.
pub(crate) fn confirm(question: &str, yes: bool) -> Result<(), CliError> {
    if yes {
        return Ok(());
    }
    let mut answer = String::new();
    if io::stdin().is_terminal() && io::stderr().is_terminal() {
        write!(io::stderr(), "{question} [y/N] ").unwrap_or(());
        io::stdin().lock().read_line(&mut answer).unwrap_or(0);
    }
    let is_yes = matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    if is_yes { Ok(()) } else { Err(CliError::NotConfirmed) }
}

/// Finds the one record that has a name, which is in `field`. Nothing is not a name.
fn named<'v>(
    records: impl Iterator<Item = &'v Value>,
    (field, name): (&str, &str),
    kind: &'static str,
    key: &'static str,
) -> Result<Option<&'v Value>, CliError> {
    let mut found: Vec<_> =
        records.filter(|record| !name.is_empty() && text(record, field) == name).collect();
    match found.len() {
        0 | 1 => Ok(found.pop()),
        count => {
            let ids: Vec<_> = found.into_iter().map(|record| text(record, "id")).collect();
            let name = name.to_owned();
            Err(CliError::Ambiguous { kind, key, count, name, candidates: ids.join(", ") })
        }
    }
}

/// Says whether `text` contains `part`, in whatever case.
fn contains(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

fn text<'v>(record: &'v Value, field: &str) -> &'v str {
    record.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn flag(record: &Value, field: &str) -> bool {
    record.get(field).and_then(Value::as_bool).unwrap_or_default()
}

fn number(record: &Value, field: &str) -> u64 {
    record.get(field).and_then(Value::as_u64).unwrap_or_default()
}

fn entries<'v>(record: &'v Value, field: &str) -> &'v [Value] {
    record.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn yes_or_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

/// Prints a record or a list as the API has it.
fn show_json(value: &Value) {
    table::show(&format!("{value:#}"));
}
