//! `ctl-bin import`: moves in from another controller (`docs/migration.md`).

use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ctl_store::import::{self, ImportError, Options, Progress, Report, Source};
use ctl_store::{Store, StoreError};
use serde_json::json;
use tempfile::TempDir;
use zt_crypto::IdentitySecret;
use zt_proto::{Address, Timestamp};

use super::announce::say;
use super::config::ImportArgs;
use super::home::{AUTHTOKEN, Home, HomeError, IDENTITY_PUBLIC, IDENTITY_SECRET, PLANET};

/// Everything was done, and somebody should read the report.
const EXIT_ATTENTION: u8 = 3;
const MOONS: &str = "moons.d";
/// Moons that are taken along; a node has a handful.
const MAX_MOONS: usize = 256;
/// The largest file of a home that is taken along, in bytes: moons and planets have a tenth of it.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// Why nothing was imported, or not everything.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MoveInError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{} is damaged: {reason} (without it, the networks of the old controller cannot be served)", path.display())]
    Identity { path: PathBuf, reason: String },
    #[error(
        "{} is the identity of {theirs}, and {} serves networks as {ours}; import it into another home (--home), or give \
         the directory of the records alone to take only those", path.display(), home.display())]
    OtherIdentity { path: PathBuf, home: PathBuf, theirs: Address, ours: Address },
    #[error(
        "{} has no identity yet, and network ids begin with the address of their controller; import the whole home of \
         the old controller, or put its identity.secret there first", home.display())]
    NoIdentity { home: PathBuf },
    #[error("cannot copy the database for the rehearsal: {0}")]
    Rehearsal(io::Error),
}

/// What to do with a file of the other home.
struct Step {
    name: String,
    content: Vec<u8>,
    mode: u32,
}

/// What becomes of the files of the other home.
#[derive(Default)]
struct Plan {
    steps: Vec<Step>,
    /// One sentence a file.
    remarks: Vec<String>,
}

/// Imports what `args` names, and prints the report.
pub(crate) fn run(args: &ImportArgs, now: Timestamp) -> Result<ExitCode, MoveInError> {
    let source = import::detect(&args.path)?;
    // A rehearsal makes nothing, not even a home.
    let home =
        if args.dry_run && !args.home.home.exists() { None } else { Some(Home::open(&args.home.home)?) };
    let _lock = home.as_ref().map(Home::lock).transpose()?;
    let (controller, plan) = prepare(&source, home.as_ref())?;
    if let (None, false) = (controller, args.dry_run) {
        return Err(MoveInError::NoIdentity { home: args.home.home.clone() });
    }
    let rehearsal = if args.dry_run { Some(rehearse(home.as_ref())?) } else { None };
    let store = match (&rehearsal, &home) {
        (Some(copy), _) => Store::open(&copy.path().join("controller.db"))?,
        (None, Some(home)) => {
            plan.carry_out(home)?;
            Store::open(&home.database())?
        }
        (None, None) => return Err(MoveInError::NoIdentity { home: args.home.home.clone() }),
    };
    let options = Options {
        now,
        controller,
        overwrite: args.overwrite,
        trust_authorizations: args.trust_authorizations,
    };
    let mut meter = Meter::new();
    let report = import::import(&source, &store, &options, &mut |progress| meter.show(progress));
    meter.clear();
    let report = report?;
    print(args, &source, &plan, &report);
    Ok(if report.needs_attention() { ExitCode::from(EXIT_ATTENTION) } else { ExitCode::SUCCESS })
}

/// Returns the address under which the networks will be served, and which files are to be taken along.
fn prepare(source: &Source, home: Option<&Home>) -> Result<(Option<Address>, Plan), MoveInError> {
    let ours = home.map(own_identity).transpose()?.flatten();
    let mut plan = Plan::default();
    let Some(theirs) = &source.home else { return Ok((ours, plan)) };
    let Some(text) = read_file(&theirs.join(IDENTITY_SECRET))? else {
        plan.remarks.push("identity: the other home has none".to_owned());
        return Ok((ours, plan));
    };
    let path = theirs.join(IDENTITY_SECRET);
    let identity =
        parse_identity(&text).map_err(|reason| MoveInError::Identity { path: path.clone(), reason })?;
    let address = identity.address();
    let is_fresh = match (home, ours) {
        (Some(home), Some(ours)) if ours != address => {
            if !is_unused(home)? {
                let home = home.path().to_owned();
                return Err(MoveInError::OtherIdentity { path, home, theirs: address, ours });
            }
            plan.keep_old(home, IDENTITY_SECRET)?;
            plan.remarks.push(format!("identity: {address} instead of {ours}, which served no network"));
            true
        }
        (_, Some(_)) => false,
        (_, None) => {
            plan.remarks.push(format!("identity: {address} is taken"));
            true
        }
    };
    if is_fresh {
        plan.add(IDENTITY_SECRET, identity.to_text().as_bytes().to_vec(), 0o600);
        plan.add(IDENTITY_PUBLIC, identity.public().to_string().into_bytes(), 0o644);
    } else {
        plan.remarks.push(format!("identity: {address}, as here already"));
    }
    for (name, mode) in [(AUTHTOKEN, 0o600), (PLANET, 0o644)] {
        plan.take_along(theirs, home, name, mode, is_fresh)?;
    }
    for name in moons(theirs)? {
        plan.take_along(theirs, home, &name, 0o644, false)?;
    }
    if let Some(ignored) = &source.ignored {
        plan.remarks.push(format!("{}: not read, as controller.d is newer", ignored.display()));
    }
    Ok((Some(address), plan))
}

impl Plan {
    fn add(&mut self, name: &str, content: Vec<u8>, mode: u32) {
        self.steps.push(Step { name: name.to_owned(), content, mode });
    }

    /// Writes the files.
    fn carry_out(&self, home: &Home) -> Result<(), MoveInError> {
        for Step { name, content, mode } in &self.steps {
            if name.starts_with(MOONS) {
                let path = home.path().join(MOONS);
                let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
                made.map_err(|source| HomeError::unwritable(path, source))?;
            }
            home.replace(name, content, *mode)?;
        }
        Ok(())
    }

    /// Takes a file along if there is none of this name yet, or if `replace` says so.
    fn take_along(
        &mut self,
        theirs: &Path,
        home: Option<&Home>,
        name: &str,
        mode: u32,
        replace: bool,
    ) -> Result<(), MoveInError> {
        let Some(content) = read_file(&theirs.join(name))? else { return Ok(()) };
        let ours = home.map(|home| home.read(name)).transpose()?.flatten();
        match (ours, home) {
            (Some(ours), _) if ours == content => {
                self.remarks.push(format!("{name}: the same is here already"))
            }
            (Some(_), Some(home)) if replace => {
                self.keep_old(home, name)?;
                self.remarks
                    .push(format!("{name}: taken, the one that was here is kept as {name}.before-import"));
                self.add(name, content, mode);
            }
            (Some(_), _) => self.remarks.push(format!("{name}: another is here already and stays")),
            (None, _) => {
                self.remarks.push(format!("{name}: taken"));
                self.add(name, content, mode);
            }
        }
        Ok(())
    }

    /// Keeps a file that is to be replaced, unless that was done before.
    fn keep_old(&mut self, home: &Home, name: &str) -> Result<(), MoveInError> {
        let kept = format!("{name}.before-import");
        if home.read(&kept)?.is_none()
            && let Some(content) = home.read(name)?
        {
            self.add(&kept, content, 0o600);
        }
        Ok(())
    }
}

/// Returns the address of a home's identity, if it has one. None is made.
fn own_identity(home: &Home) -> Result<Option<Address>, MoveInError> {
    let Some(text) = home.read_secret(IDENTITY_SECRET)? else { return Ok(None) };
    let path = home.path().join(IDENTITY_SECRET);
    let identity = parse_identity(&text).map_err(|reason| MoveInError::Identity { path, reason })?;
    Ok(Some(identity.address()))
}

fn parse_identity(text: &[u8]) -> Result<IdentitySecret, String> {
    let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
    let identity: IdentitySecret = text.trim().parse().map_err(|error| format!("{error}"))?;
    identity.verify().map_err(|error| error.to_string())?;
    Ok(identity)
}

/// Says whether a home has served nothing yet.
fn is_unused(home: &Home) -> Result<bool, MoveInError> {
    if !home.database().exists() {
        return Ok(true);
    }
    let store = Store::open(&home.database())?;
    Ok(store.read(|tx| tx.networks().list())?.is_empty())
}

/// Returns the moons of a home, as names below it.
fn moons(home: &Path) -> Result<Vec<String>, MoveInError> {
    let directory = home.join(MOONS);
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let failed = |source| ImportError::Io { path: directory.clone(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory).map_err(failed)?.take(MAX_MOONS) {
        let name = entry.map_err(failed)?.file_name();
        if let Some(name) = name.to_str().filter(|name| name.ends_with(".moon")) {
            names.push(format!("{MOONS}/{name}"));
        }
    }
    names.sort();
    Ok(names)
}

/// Reads a small file of the other home; `None` if it is not there.
fn read_file(path: &Path) -> Result<Option<Vec<u8>>, MoveInError> {
    let mut content = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut content));
    match read {
        Ok(_) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ImportError::Io { path: path.to_owned(), source }.into()),
    }
}

/// Makes a copy of the database to try the import on.
fn rehearse(home: Option<&Home>) -> Result<TempDir, MoveInError> {
    let copy = tempfile::tempdir().map_err(MoveInError::Rehearsal)?;
    if let Some(home) = home {
        let database = home.database();
        for suffix in ["", "-wal"] {
            let mut from = database.clone().into_os_string();
            from.push(suffix);
            if Path::new(&from).exists() {
                let to = copy.path().join(format!("controller.db{suffix}"));
                fs::copy(&from, to).map_err(MoveInError::Rehearsal)?;
            }
        }
    }
    Ok(copy)
}

fn print(args: &ImportArgs, source: &Source, plan: &Plan, report: &Report) {
    if args.json {
        let value = json!({
            "dryRun": args.dry_run, "path": args.path, "files": plan.remarks, "home": source.home, "report": report,
            "needsAttention": report.needs_attention(),
        });
        say(&format!("{value:#}"));
        return;
    }
    if args.dry_run {
        say("rehearsal: nothing was changed");
    }
    plan.remarks.iter().for_each(|remark| say(remark));
    say(report.to_string().trim_end());
    if !args.dry_run {
        let next = if report.needs_attention() {
            "next: read what is listed above, then start the controller"
        } else {
            "next: start the controller"
        };
        say(&format!("{next}; the old one must not run any more, as both would have one address"));
    }
}

/// Shows on a terminal how far it got.
pub(super) struct Meter {
    is_terminal: bool,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self { is_terminal: io::stderr().is_terminal() }
    }

    fn show(&mut self, progress: Progress) {
        let Progress { networks, members } = progress;
        self.write(&format!("\r{networks} networks, {members} members"));
    }

    pub(super) fn show_records(&mut self, records: u64) {
        self.write(&format!("\r{records} records"));
    }

    pub(super) fn clear(&mut self) {
        self.write("\r\x1b[K");
    }

    fn write(&self, text: &str) {
        if self.is_terminal {
            let mut out = io::stderr().lock();
            // Nobody is told that nobody looks.
            write!(out, "{text}").and_then(|()| out.flush()).unwrap_or(());
        }
    }
}
