//! `ctl-bin doctor`: what keeps a controller from working, and what to do about it. Changes nothing.

mod network;
mod remote;
mod storage;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use rand_chacha::ChaCha20Rng;
use serde::Serialize;
use serde_json::{Value, json};
use zt_crypto::IdentitySecret;
use zt_proto::Timestamp;

use super::config::{DEFAULT_PORT, HomeArgs};
use super::home::Home;
use super::settings;
use super::worlds::PlanetSource;
use crate::cli::progress::{Progress, ProgressArgs};
use crate::cli::table::{ATTENTION, BAD, GOOD, PLAIN, counted, paint, printable, show};
use crate::cli::{CliError, Client};

/// Looks for what keeps the controller from working, whether it runs or not, and says what to do
///
/// Changes nothing. While the controller does not run, it says hello to the root servers in its place. With --url it looks at
/// a controller elsewhere, as far as its API shows it.
///
/// Exit codes: 0 nothing is broken, 1 something is, 2 command line not understood.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub home: HomeArgs,
    /// File with settings, as for serving [default: ctl.toml in the home, if it is there]
    #[arg(long, value_name = "FILE", env = "CTL_CONFIG")]
    pub config: Option<PathBuf>,
    /// UDP port, as for serving [default: as set, else that of the controller that ran last, else 9993]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Address of this machine that clients are to reach, as for serving [default: as set, else all]
    #[arg(long, value_name = "IP")]
    pub bind: Option<IpAddr>,
    /// Address of the API, as for serving [default: as set, else 127.0.0.1 and the port]
    #[arg(long, value_name = "ADDR:PORT")]
    pub api: Option<SocketAddr>,
    /// Looks at the controller at this address instead of one on this machine
    #[arg(long, value_name = "URL", conflicts_with_all = ["port", "bind", "api"])]
    pub url: Option<String>,
    /// File with the token of the controller elsewhere [default: the variable CTL_TOKEN]
    #[arg(long, value_name = "FILE", requires = "url")]
    pub token_file: Option<PathBuf>,
    /// Sends the token over http to another machine although everybody on the way can read it
    #[arg(long, requires = "url")]
    pub insecure: bool,
    /// Certificates in PEM to trust if the API speaks TLS, in the place of those of this machine
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Root servers, as for serving
    #[arg(long, value_name = "builtin|none|FILE", env = "CTL_PLANET")]
    pub planet: Option<PlanetSource>,
    /// Prints the findings as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub progress: ProgressArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    /// As it should be, or worth knowing.
    Ok,
    /// Works, but not as well as it could, or not for long.
    Warning,
    /// Does not work.
    Error,
}

/// What a check found.
#[derive(Debug, Serialize)]
struct Finding {
    level: Level,
    check: &'static str,
    what: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

/// What all checks found.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn ok(&mut self, check: &'static str, what: impl Into<String>) {
        self.0.push(Finding { level: Level::Ok, check, what: what.into(), advice: None });
    }

    fn warn(&mut self, check: &'static str, what: impl Into<String>, advice: impl Into<String>) {
        let advice = Some(advice.into());
        self.0.push(Finding { level: Level::Warning, check, what: what.into(), advice });
    }

    fn error(&mut self, check: &'static str, what: impl Into<String>, advice: impl Into<String>) {
        let advice = Some(advice.into());
        self.0.push(Finding { level: Level::Error, check, what: what.into(), advice });
    }

    fn count(&self, level: Level) -> usize {
        self.0.iter().filter(|finding| finding.level == level).count()
    }
}

/// What is examined.
struct Patient {
    home: Home,
    now: Timestamp,
    port: u16,
    /// The only address, if not all of this machine.
    bind: Option<IpAddr>,
    /// Where the API is, or would be.
    api: SocketAddr,
    planet: Option<PlanetSource>,
    /// If it can be read.
    secret: Option<IdentitySecret>,
    running: Option<Running>,
}

/// What a controller that runs says of itself.
struct Running {
    url: String,
    /// `GET /status`, if it answers and takes the token.
    status: Option<Value>,
    /// `GET /peer`, likewise.
    peers: Vec<Value>,
}

/// Examines what `args` names, and prints what was found.
pub(crate) fn run(args: &DoctorArgs, now: Timestamp, mut rng: ChaCha20Rng) -> ExitCode {
    let mut findings = Findings::default();
    let shown = Progress::unknown("examining", args.progress);
    if let Some(url) = &args.url {
        remote::check(url, args, &mut findings);
    } else if let Some(home) = storage::open(&args.home.home, &mut findings) {
        let secret = storage::check_files(&home, &mut findings);
        let settings = look_at_settings(args, &mut findings);
        let is_known = settings.is_some();
        let set = settings.unwrap_or_default();
        let port = args.port.or(set.port).or_else(|| home.port()).unwrap_or(DEFAULT_PORT);
        let api = args.api.or(set.api).unwrap_or((Ipv4Addr::LOCALHOST, port).into());
        let ca = args.ca.as_deref();
        let running = look_at_running(&home, api, ca, secret.as_ref(), &mut findings);
        let planet = args.planet.clone().or(set.planet);
        let patient = Patient { home, now, port, bind: args.bind.or(set.bind), api, planet, secret, running };
        storage::check_database(&patient, &mut findings);
        storage::check_clock(&patient, &mut findings);
        // Whoever is told to know no root must not be introduced to one.
        if is_known {
            network::check(&patient, &mut rng, &mut findings);
        }
    }
    drop(shown);
    let what = args.url.as_ref().map_or(("home", json!(args.home.home)), |url| ("url", json!(url)));
    tell(&findings, what, args.json);
    if findings.count(Level::Error) == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What file and variables set, of what matters here.
#[derive(Default)]
struct Set {
    port: Option<u16>,
    bind: Option<IpAddr>,
    api: Option<SocketAddr>,
    planet: Option<PlanetSource>,
}

/// Reads the settings as the controller will at its next start; `None` if they cannot be used.
fn look_at_settings(args: &DoctorArgs, findings: &mut Findings) -> Option<Set> {
    const CHECK: &str = "settings";
    let line = match settings::of_home(&args.home.home, args.config.as_deref()) {
        Ok(line) => line,
        Err(error) => {
            for line in error.to_string().lines() {
                findings.error(
                    CHECK,
                    line,
                    "mend it: the controller does not start with it (ports, planet and roots are looked at then; ctl-bin config \
                     print-default has every setting)",
                );
            }
            return None;
        }
    };
    let serving = line.serving()?;
    if let Err(error) = serving.api.listen(serving.port) {
        findings.error(CHECK, error.to_string(), "the controller does not start again until it is mended");
    } else if let Some(file) = &line.file {
        let names: Vec<_> = line.set.keys().map(String::as_str).collect();
        let set = if names.is_empty() { "nothing" } else { &names.join(", ") };
        findings.ok(CHECK, format!("{} can be used; set: {set}", file.display()));
    }
    Some(Set {
        port: line.set.contains_key("port").then_some(serving.port),
        bind: serving.bind,
        api: serving.api.address,
        planet: serving.planet.clone(),
    })
}

/// Asks the controller that runs in the home, if there is one.
fn look_at_running(
    home: &Home,
    api: SocketAddr,
    ca: Option<&Path>,
    secret: Option<&IdentitySecret>,
    findings: &mut Findings,
) -> Option<Running> {
    const CHECK: &str = "controller";
    if !home.is_served() {
        findings.ok(CHECK, "does not run; what follows is what it will find");
        return None;
    }
    let url = home.api_url().ok().flatten().unwrap_or_else(|| super::announce::url(api, false));
    let mut running = Running { url, status: None, peers: Vec::new() };
    let asked = Client::of_home(home, &running.url, ca)
        .and_then(|client| Ok((client.get("/status")?, client.get("/peer")?)));
    match asked {
        Ok((status, peers)) => {
            let address = status.get("address").and_then(Value::as_str).unwrap_or_default().to_owned();
            if secret.is_some_and(|secret| secret.address().to_string() != address) {
                findings.error(
                    CHECK,
                    format!("another node ({}) answers at {}", printable(&address), running.url),
                    "stop it, or give one of the two another address with --api",
                );
            } else {
                let version =
                    status.get("controllerSoftware").and_then(Value::as_str).unwrap_or("controller");
                findings.ok(CHECK, format!("{} runs and answers at {}", printable(version), running.url));
                running.status = Some(status);
                running.peers = peers.as_array().cloned().unwrap_or_default();
            }
        }
        Err(error @ CliError::Unauthorized { .. }) => findings.error(
            CHECK,
            format!("it runs, but {error}"),
            "was the file changed since the start, restart the controller; else see what else listens there",
        ),
        Err(error @ CliError::Tls { .. }) => findings.error(
            CHECK,
            format!("it runs, and this machine does not trust its API: {error}"),
            "say --ca FILE with the authority that signed it; the certificate has to name what stands in its URL",
        ),
        Err(error) => findings.error(
            CHECK,
            format!("it runs, but its API cannot be used: {error}"),
            "see its log (journalctl -u ctl-bin); was it started a moment ago, try again",
        ),
    }
    Some(running)
}

/// Prints the findings; `what` is what was examined, with its name for programs.
fn tell(findings: &Findings, (name, what): (&str, Value), is_json: bool) {
    let (errors, warnings) = (findings.count(Level::Error), findings.count(Level::Warning));
    if is_json {
        let value = json!({ name: what, "errors": errors, "warnings": warnings, "findings": findings.0 });
        return show(&format!("{value:#}"));
    }
    for Finding { level, check, what, advice } in &findings.0 {
        let (word, style) = match level {
            Level::Ok => ("ok", GOOD),
            Level::Warning => ("warning", ATTENTION),
            Level::Error => ("error", BAD),
        };
        show(&format!(
            "{}{} {check:<11} {}",
            paint(word, style),
            " ".repeat(7 - word.len()),
            printable(what)
        ));
        if let Some(advice) = advice {
            show(&format!("{:20}{}", "", paint(&format!("-> {}", printable(advice)), PLAIN)));
        }
    }
    show(&format!("result: {}, {}", counted(errors as u64, "error"), counted(warnings as u64, "warning")));
}
