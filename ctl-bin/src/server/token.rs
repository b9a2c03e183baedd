//! `ctl-bin token`: tokens of the API, written into the database of the home, beside a controller that may be running:
//! that looks there whenever a token is presented.

use clap::{Args, Subcommand};
use ctl_http::tokens::{self, DEFAULT_GRACE, MAX_GRACE, Secret, TokenError, TokenName};
use ctl_http::{Grant, Scope, ScopeError};
use ctl_store::{ApiToken, Store, StoreError};
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use serde_json::{Value, json};
use zt_proto::Timestamp;

use super::announce::{say, say_json};
use super::config::{HomeArgs, Period};
use super::home::HomeError;
use super::owner;

/// What the audit log calls this command.
const ACTOR: &str = "ctl-bin token";

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Makes a token and prints it, this once
    Create(TokenCreateArgs),
    /// Lists the tokens; never what they are
    Ls(TokenListArgs),
    /// Gives a token another secret and prints it; the old one stays valid for a while
    Rotate(TokenRotateArgs),
    /// Ends a token at once
    Revoke(TokenRevokeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TokenCreateArgs {
    /// What the audit log will call it: letters, digits, . - _
    #[arg(value_name = "NAME")]
    pub name: TokenName,
    /// What it may do: read, authorize (let members in and out) or admin; for one network with @ and its id. May be
    /// repeated
    #[arg(long, value_name = "read|authorize|admin[@NETWORK]", required = true, value_delimiter = ',')]
    pub scope: Vec<Grant>,
    /// When it ends, from now, for example 90d [default: never]
    #[arg(long, value_name = "TIME")]
    pub expires_in: Option<Period>,
    /// Prints as JSON what was made, with its secret
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub home: HomeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TokenListArgs {
    /// Prints them as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub home: HomeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TokenRotateArgs {
    #[arg(value_name = "NAME")]
    pub name: String,
    /// How long the old secret stays valid, up to 30d [default: 1d]
    #[arg(long, value_name = "TIME", conflicts_with = "now")]
    pub grace: Option<Period>,
    /// Ends the old secret at once
    #[arg(long)]
    pub now: bool,
    /// Prints as JSON what was made, with its secret
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub home: HomeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TokenRevokeArgs {
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Prints as JSON what it was
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub home: HomeArgs,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenCommandError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error("--scope: {0}")]
    Scope(#[from] ScopeError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(crate) fn run(
    command: &TokenCommand,
    now: Timestamp,
    rng: &mut ChaCha20Rng,
) -> Result<(), TokenCommandError> {
    match command {
        TokenCommand::Create(args) => {
            let scope = Scope::new(args.scope.iter().copied())?;
            let expires = args.expires_in.map_or(Timestamp(0), |period| now.plus_millis(millis(period)));
            let secret = Secret::new(|| rng.next_u32());
            let store = open(&args.home)?;
            warn_of_unknown_networks(&store, &scope)?;
            let order = (&args.name, &scope, expires);
            let token = store.write(|tx| tokens::create(tx, order, &secret, ACTOR, now))?;
            reveal(&token, &secret, args.json);
        }
        TokenCommand::Ls(args) => {
            let store = Store::open_read_only(&owner::open_existing(&args.home.home)?.database())?;
            list(&store.read(|tx| tx.api_tokens().list())?, args.json);
        }
        TokenCommand::Rotate(args) => {
            let grace = args.grace.map_or(if args.now { 0 } else { DEFAULT_GRACE }, millis).min(MAX_GRACE);
            let secret = Secret::new(|| rng.next_u32());
            let store = open(&args.home)?;
            let token = store.write(|tx| tokens::rotate(tx, (&args.name, grace), &secret, ACTOR, now))?;
            reveal(&token, &secret, args.json);
        }
        TokenCommand::Revoke(args) => {
            let store = open(&args.home)?;
            let token = store.write(|tx| tokens::revoke(tx, &args.name, ACTOR, now))?;
            if args.json {
                say_json(&to_json(&token));
            } else {
                say(&format!("revoked: {}", args.name));
            }
        }
    }
    Ok(())
}

/// Opens the database of the home, which is neither made nor brought to another version here: a controller may be
/// running with it.
fn open(args: &HomeArgs) -> Result<Store, TokenCommandError> {
    let database = owner::open_existing(&args.home)?.database();
    drop(Store::open_read_only(&database)?);
    Ok(Store::open(&database)?)
}

/// A typing error would make a token that opens nothing.
fn warn_of_unknown_networks(store: &Store, scope: &Scope) -> Result<(), StoreError> {
    for network in scope.grants().filter_map(|grant| grant.network) {
        if store.read(|tx| tx.networks().get(network))?.is_none() {
            tracing::warn!(%network, "the token is for a network that is not there");
        }
    }
    Ok(())
}

/// Prints a secret, this once.
fn reveal(token: &ApiToken, secret: &Secret, as_json: bool) {
    if !as_json {
        return say(secret.reveal());
    }
    let mut value = to_json(token);
    if let Value::Object(fields) = &mut value {
        fields.insert("secret".to_owned(), secret.reveal().into());
    }
    say_json(&value);
}

/// Returns a token as the API shows it.
fn to_json(token: &ApiToken) -> Value {
    json!({
        "name": token.name,
        "scope": token.scope.split(' ').collect::<Vec<_>>(),
        "created": token.created.0,
        "lastUsed": token.last_used.0,
        "expires": token.expires.0,
        "previousSecretValidUntil": token.previous.map(|(_, until)| until.0),
    })
}

fn list(tokens: &[ApiToken], as_json: bool) {
    if as_json {
        return say_json(&tokens.iter().map(to_json).collect());
    }
    let width = tokens.iter().map(|token| token.name.len()).max().unwrap_or(0);
    for token in tokens {
        let (used, expires) = (time(token.last_used), time(token.expires));
        say(&format!("{:width$}  {}  used: {used}  expires: {expires}", token.name, token.scope));
    }
}

/// Writes a time for people; zero is never.
fn time(time: Timestamp) -> String {
    let millis = i64::try_from(time.0).ok().filter(|millis| *millis > 0);
    let time = millis.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    time.map_or_else(|| "never".to_owned(), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

fn millis(period: Period) -> u64 {
    u64::try_from(period.0.as_millis()).unwrap_or(u64::MAX)
}
