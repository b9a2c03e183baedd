//! Files, database and clock.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use ctl_core::addresses::Usage;
use ctl_store::{Scarcity, Severity};
use nix::unistd::{Uid, User};
use zt_crypto::IdentitySecret;
use zt_proto::Timestamp;

use super::super::home::{AUTHTOKEN, DATABASE, Home, IDENTITY_PUBLIC, IDENTITY_SECRET, kept_mode};
use super::super::{local_conf, worlds};
use super::{Findings, Patient};
use crate::cli::table::counted;
use crate::cli::times;

/// How many findings about the database are told; `verify` tells all.
const MAX_TOLD: usize = 5;
/// Where systemd-timesyncd notes that it has set the clock.
const SYNCHRONIZED: &str = "/run/systemd/timesync/synchronized";

/// Opens the home without wanting anything of it but that it is there.
pub(super) fn open(dir: &Path, findings: &mut Findings) -> Option<Home> {
    match Home::look(dir) {
        Ok(home) => Some(home),
        Err(error) => {
            let advice =
                format!("start the controller once, which makes it: ctl-bin --home {}", dir.display());
            findings.error("home", error.to_string(), advice);
            None
        }
    }
}

/// Checks owner and mode of each file, and that identity and token are sound; returns the identity.
pub(super) fn check_files(home: &Home, findings: &mut Findings) -> Option<IdentitySecret> {
    const CHECK: &str = "files";
    let before = findings.0.len();
    let dir = home.path();
    let user = nix::unistd::geteuid();
    let owner = match fs::metadata(dir) {
        Ok(metadata) => {
            check_mode(dir, metadata.permissions().mode(), 0o700, findings);
            metadata.uid()
        }
        Err(error) => {
            findings.error(
                CHECK,
                format!("cannot look at {}: {error}", dir.display()),
                "run this as its owner",
            );
            return None;
        }
    };
    if !user.is_root() && user.as_raw() != owner {
        findings.error(
            CHECK,
            format!("{} belongs to {}, and this runs as {}", dir.display(), name(owner), name(user.as_raw())),
            format!("run the controller and its commands as {}, or with sudo", name(owner)),
        );
    }
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let (path, file) = (entry.path(), entry.file_name());
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.uid() != owner {
            findings.error(
                CHECK,
                format!(
                    "{} belongs to {}, the home to {}",
                    path.display(),
                    name(metadata.uid()),
                    name(owner)
                ),
                format!("chown -R {owner} {}", dir.display()),
            );
        }
        let is_secret = kept_mode(&file.to_string_lossy()) == Some(0o600);
        if metadata.is_file() && is_secret {
            check_mode(&path, metadata.permissions().mode(), 0o600, findings);
        }
    }
    check_token(home, findings);
    check_local_conf(home, findings);
    let secret = check_identity(home, findings)?;
    if findings.0.len() == before {
        let (dir, owner) = (dir.display(), name(owner));
        findings.ok(CHECK, format!("{dir} of {}, closed to others than {owner}", secret.address()));
    }
    Some(secret)
}

fn check_mode(path: &Path, mode: u32, wanted: u32, findings: &mut Findings) {
    let mode = mode & 0o7777;
    if mode & 0o077 != 0 {
        let what = format!("other users can look into {} (mode {mode:04o})", path.display());
        findings.error("files", what, format!("chmod {wanted:o} {}", path.display()));
    }
}

fn name(user: u32) -> String {
    let found = User::from_uid(Uid::from_raw(user)).ok().flatten();
    found.map_or_else(|| format!("user {user}"), |user| user.name)
}

fn check_local_conf(home: &Home, findings: &mut Findings) {
    const CHECK: &str = "local.conf";
    match local_conf::load(home) {
        Ok(conf) => {
            for network in conf.trusted_paths() {
                findings.warn(
                    CHECK,
                    format!("trusted path {network}: this program has none, and drops what comes so"),
                    "take trustedPathId out here, and at the clients for the network in which this machine is",
                );
            }
        }
        Err(reason) => findings.warn(CHECK, format!("not used: {reason}"), "mend it, or write {} into it"),
    }
}

fn check_token(home: &Home, findings: &mut Findings) {
    let restart = "restart the controller, which makes one; or restore it from a backup";
    match home.read(AUTHTOKEN) {
        Ok(Some(token)) if !token.trim_ascii().is_empty() => {}
        Ok(Some(_)) => {
            findings.error("token", format!("{AUTHTOKEN} is empty"), format!("remove it and {restart}"))
        }
        Ok(None) => findings.error("token", format!("there is no {AUTHTOKEN}"), restart),
        Err(error) => {
            findings.error("token", error.to_string(), "run this as the owner of the home, or with sudo")
        }
    }
}

fn check_identity(home: &Home, findings: &mut Findings) -> Option<IdentitySecret> {
    const CHECK: &str = "identity";
    let text = match home.read(IDENTITY_SECRET) {
        Ok(text) => text.unwrap_or_default(),
        Err(error) => {
            findings.error(CHECK, error.to_string(), "run this as the owner of the home, or with sudo");
            return None;
        }
    };
    let secret = match home.sound_identity(&text) {
        Ok(secret) => secret,
        Err(error) => {
            findings.error(CHECK, error.to_string(), "ctl-bin restore FILE makes a home from a backup");
            return None;
        }
    };
    let public = home.read(IDENTITY_PUBLIC).ok().flatten().unwrap_or_default();
    if public.trim_ascii() != secret.public().to_string().as_bytes() {
        let what = format!("{IDENTITY_PUBLIC} is not that of {IDENTITY_SECRET}");
        findings.warn(CHECK, what, "restart the controller, which writes it anew");
    }
    Some(secret)
}

pub(super) fn check_database(patient: &Patient, findings: &mut Findings) {
    const CHECK: &str = "database";
    let path = patient.home.database();
    if let Err(error) = patient.home.require_database() {
        return findings.error(CHECK, error.to_string(), "docs/backup.md, \"Restoring\"");
    }
    if !path.exists() {
        let what = format!("there is no {DATABASE} yet");
        return findings.warn(
            CHECK,
            what,
            "start the controller, which makes it; were there networks, restore a backup",
        );
    }
    let restore =
        "see it all with: ctl-bin verify; ctl-bin restore FILE makes a home from a backup (docs/backup.md)";
    let controller = patient.secret.as_ref().map(IdentitySecret::address);
    let report = match ctl_store::verify_database(&path, controller, patient.now, &mut |_| None) {
        Ok(report) => report,
        Err(error) => return findings.error(CHECK, format!("{}: {error}", path.display()), restore),
    };
    for finding in report.findings.iter().take(MAX_TOLD) {
        match finding.severity {
            Severity::Error => findings.error(CHECK, &*finding.what, restore),
            Severity::Warning => findings.warn(CHECK, &*finding.what, "ctl-bin verify tells more"),
        }
    }
    let more = report.findings.len().saturating_sub(MAX_TOLD);
    if more > 0 {
        findings.warn(CHECK, format!("{more} more"), "ctl-bin verify tells them");
    }
    if report.is_sound() {
        let (networks, members) = (counted(report.networks, "network"), counted(report.members, "member"));
        findings.ok(CHECK, format!("sound: {networks}, {members}"));
        check_pools(&report.scarce, findings);
    }
}

/// Names networks whose pools have few addresses left: whoever joins then gets none.
fn check_pools(scarce: &[Scarcity], findings: &mut Findings) {
    const CHECK: &str = "addresses";
    if scarce.is_empty() {
        return findings.ok(CHECK, "every pool has some left");
    }
    for Scarcity { network, name, usage } in scarce.iter().take(MAX_TOLD) {
        let Usage { family, held, size } = usage;
        let what = match (*size, usage.free()) {
            (0, _) => format!("no {family} address of its pools lies in a route"),
            (_, 0) => format!("its {family} pools are used up: all {size} are held"),
            (_, free) => {
                format!("its {family} pools are nearly used up: {held} of {size} are held, {free} free")
            }
        };
        findings.warn(
            CHECK,
            format!("network {network} {name:?}: {what}"),
            "who joins gets none then: make pool and route larger, or remove members that are gone (docs/troubleshooting.md, \
             \"A new member gets no address\")",
        );
    }
    let more = scarce.len().saturating_sub(MAX_TOLD);
    if more > 0 {
        findings.warn(CHECK, format!("{more} more"), "ctl-bin doctor tells them when these are mended");
    }
}

/// Credentials are valid for minutes around the time of their issue, so a wrong clock locks members out.
pub(super) fn check_clock(patient: &Patient, findings: &mut Findings) {
    const CHECK: &str = "clock";
    let says = times::date(patient.now.0);
    let set = "set it, and keep it right: timedatectl set-ntp true";
    if patient.now < worlds::builtin_timestamp() {
        return findings.error(CHECK, format!("it says {says}, which is before this program was made"), set);
    }
    if let Some(lead) = patient.running.as_ref().and_then(|running| lead_of_database(running, patient.now)) {
        return findings.warn(
            CHECK,
            format!("the controller's clock is {lead} s away from that of this command"),
            set,
        );
    }
    if Path::new(SYNCHRONIZED).exists() {
        findings.ok(CHECK, format!("{says}, synchronized"));
    } else if Path::new("/run/systemd/timesync").exists() {
        findings.warn(CHECK, format!("{says}, and systemd-timesyncd has not set it yet"), set);
    } else {
        findings.ok(CHECK, format!("{says}; whether something keeps it right is not known"));
    }
}

/// Returns by how many seconds the clock of a controller differs, if that is too much; another machine may mount the home.
fn lead_of_database(running: &super::Running, now: Timestamp) -> Option<u64> {
    let clock = running.status.as_ref()?.get("clock")?.as_u64()?;
    let seconds = clock.abs_diff(now.0) / 1000;
    (seconds > 10).then_some(seconds)
}
