//! A controller elsewhere, as its API shows it.

use serde_json::Value;
use zt_proto::Timestamp;

use super::{DoctorArgs, Findings};
use crate::cli::args::ConnectArgs;
use crate::cli::table::printable;
use crate::cli::{CliError, Client, times};
use crate::server::clock;
use crate::server::config::HomeArgs;

/// By how much the clocks of two machines may differ, in milliseconds, beside the time that an answer takes.
const MAX_LEAD: u64 = 5_000;
const OWN_VERSION: &str = concat!("ctl-bin/", env!("CARGO_PKG_VERSION"));

/// Looks from here at the controller at `url`: the way to it, its token, its release, its health and its clock.
pub(super) fn check(url: &str, args: &DoctorArgs, findings: &mut Findings) {
    let connect = ConnectArgs {
        home: HomeArgs { home: args.home.home.clone() },
        url: Some(url.to_owned()),
        token_file: args.token_file.clone(),
        ca: args.ca.clone(),
        insecure: args.insecure,
    };
    let plain = match Client::without_token(&connect) {
        Ok(client) => client,
        Err(error) => return way_is_closed(&error, findings),
    };
    if !check_health(&plain, url, findings) {
        return;
    }
    match Client::new(&connect) {
        Ok(client) => check_status(&client, findings),
        Err(CliError::NoToken { .. }) => findings.warn(
            "token",
            "there is none, so only what everybody may ask was looked at",
            "name its file with --token-file, or put it into the variable CTL_TOKEN",
        ),
        Err(error) => findings.error("token", error.to_string(), "name a file with --token-file that has it"),
    }
}

fn way_is_closed(error: &CliError, findings: &mut Findings) {
    // An error says what to do behind what is wrong.
    let text = error.to_string();
    let usual = "say --url with the address of its API, as in https://controller.example.org:9993";
    let (what, advice) = text.split_once("; ").unwrap_or((&text, usual));
    findings.error("controller", what, advice);
}

/// Asks whether it serves, for which nobody needs a token; says whether a controller answered.
fn check_health(client: &Client, url: &str, findings: &mut Findings) -> bool {
    const CHECK: &str = "health";
    let (status, body) = match client.exchange("/health/ready") {
        Ok(answer) => answer,
        Err(error) => {
            way_is_closed(&error, findings);
            return false;
        }
    };
    let body: Option<Value> = serde_json::from_slice(&body).ok();
    let flag = |name| body.as_ref().and_then(|body| body.get(name)).and_then(Value::as_bool);
    let Some(is_ready) = flag("ready").filter(|_| matches!(status, 200 | 503)) else {
        way_is_closed(&CliError::NoController { url: client.url().to_owned() }, findings);
        return false;
    };
    let is_encrypted = url.starts_with("https:");
    let how = if is_encrypted { "its certificate is trusted" } else { "without encryption" };
    findings.ok("controller", format!("answers at {}, {how}", client.url()));
    if is_ready {
        findings.ok(CHECK, "ready to serve");
    } else {
        let parts: Vec<_> =
            ["database", "node"].into_iter().filter(|part| flag(part) == Some(false)).collect();
        findings.error(
            CHECK,
            format!("not ready to serve: {} cannot be used", parts.join(" and ")),
            "run ctl-bin doctor on its machine, and look into its log",
        );
    }
    if flag("online") == Some(false) {
        findings.warn(
            "roots",
            "it reaches no root server, or is to know none",
            "members find it only if it is a root of their planet; run ctl-bin doctor on its machine",
        );
    } else {
        findings.ok("roots", "it reaches them");
    }
    true
}

/// Looks at what only who has a token may see.
fn check_status(client: &Client, findings: &mut Findings) {
    let before = clock::wall();
    let status = match client.get("/status") {
        Ok(status) => status,
        Err(error @ (CliError::Unauthorized { .. } | CliError::Forbidden { .. })) => {
            return findings.error(
                "token",
                error.to_string(),
                "take the one of authtoken.secret in its home, or have one made there: ctl-bin token create",
            );
        }
        Err(error) => return findings.error("controller", error.to_string(), "try again"),
    };
    let after = clock::wall();
    findings.ok("token", "it is taken");
    let text = |field| status.get(field).and_then(Value::as_str).map(printable);
    let node = text("address").unwrap_or_default();
    match text("controllerSoftware") {
        Some(version) if version == OWN_VERSION => findings.ok("version", format!("{version}, node {node}")),
        Some(version) => findings.warn(
            "version",
            format!("it is {version}, and this is {OWN_VERSION} (node {node})"),
            "use the same release on both sides",
        ),
        None => findings.warn(
            "version",
            format!("another program, of API {} (node {node})", text("version").unwrap_or_default()),
            "what the official controller does not have, as /api/v2, cannot be used with it",
        ),
    }
    if let Some(clock) = status.get("clock").and_then(Value::as_u64) {
        check_clock(Timestamp(clock), before, after, findings);
    }
}

/// Compares its clock with that of this machine, which asked at `before` and had the answer at `after`.
fn check_clock(theirs: Timestamp, before: Timestamp, after: Timestamp, findings: &mut Findings) {
    const CHECK: &str = "clock";
    let lead = theirs.0.saturating_sub(after.0).max(before.0.saturating_sub(theirs.0));
    if lead > MAX_LEAD {
        findings.warn(
            CHECK,
            format!(
                "it says {}, {} s away from the clock of this machine",
                times::date(theirs.0),
                lead / 1000
            ),
            "set the one that is wrong, and keep it right: timedatectl set-ntp true",
        );
    } else {
        findings.ok(CHECK, format!("it says {}, as here", times::date(theirs.0)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn clocks_may_differ_by_what_an_answer_takes_and_little_more() {
        let level = |theirs: u64| {
            let mut findings = Findings::default();
            check_clock(Timestamp(theirs), Timestamp(100_000), Timestamp(103_000), &mut findings);
            findings.0[0].level
        };
        for theirs in [95_000, 100_000, 108_000] {
            assert_eq!(level(theirs), Level::Ok, "{theirs}");
        }
        for theirs in [0, 94_999, 108_001, u64::MAX] {
            assert_eq!(level(theirs), Level::Warning, "{theirs}");
        }
    }
}
