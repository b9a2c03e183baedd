//! `ctl-bin import`: moves in from another controller (`docs/migration.md`).

use std::fs;
use std::io::{self, Read};
use std::mem;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ctl_store::import::{self, ImportError, Options, Progress as Imported, Report, Source};
use ctl_store::{OpenOptions, Store, StoreError, UnmigratedStore};
use nix::errno::Errno;
use rand_core::Rng;
use serde_json::json;
use tempfile::TempDir;
use zt_crypto::IdentitySecret;
use zt_proto::world::WorldKind;
use zt_proto::{Address, Timestamp};

use super::announce::{say, say_json};
use super::config::ImportArgs;
use super::home::{self, AUTHTOKEN, DATABASE, Home, HomeError, IDENTITY_PUBLIC, IDENTITY_SECRET, PLANET};
use super::lease::{self, Held, Holder, LeaseError};
use super::owner;
use super::world_file;
use super::world_home::{self, MAX_MOONS};
use crate::cli::progress::Progress;
use crate::cli::table::counted;

/// Everything was done, and somebody should read the report.
const EXIT_ATTENTION: u8 = 3;
const MOONS: &str = "moons.d";
/// Files in the folder of the moons that are looked at; a node has a handful.
const MAX_MOON_FILES: usize = 256;
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
    #[error(
        "a controller serves with this database: {hint}; stop it, then import (if it is certain that it does not run, \
         its claim ends by itself within 80 s)"
    )]
    Served { hint: String },
    #[error("{0} (what was imported until then is there)")]
    Lease(LeaseError),
    #[error("cannot wait for the lease of the database: {0}")]
    Runtime(io::Error),
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

impl From<LeaseError> for MoveInError {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::Held { hint } => Self::Served { hint },
            LeaseError::Store(error) => Self::Store(error),
            LeaseError::Lost { .. }
            | LeaseError::Gone
            | LeaseError::Displaced
            | LeaseError::Unreadable(_) => Self::Lease(error),
        }
    }
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
    /// Whether something cannot be taken along that the other controller had.
    needs_attention: bool,
}

/// What was done with the files and with the records.
struct Done {
    plan: Plan,
    records: Report,
}

impl Done {
    fn needs_attention(&self) -> bool {
        self.plan.needs_attention || self.records.needs_attention()
    }
}

/// Imports what `args` names, and prints the report.
pub(crate) fn run(args: &ImportArgs, now: Timestamp, rng: &mut impl Rng) -> Result<ExitCode, MoveInError> {
    // Before anything is copied that only root could read then.
    owner::assume(&args.home.home)?;
    let source = import::detect(&args.path)?;
    let done =
        if args.dry_run { rehearse(args, &source, now, rng)? } else { move_in(args, &source, now, rng)? };
    print(args, &source, &done);
    Ok(if done.needs_attention() { ExitCode::from(EXIT_ATTENTION) } else { ExitCode::SUCCESS })
}

/// Imports into the home, with whose database nobody else serves meanwhile.
fn move_in(
    args: &ImportArgs,
    source: &Source,
    now: Timestamp,
    rng: &mut impl Rng,
) -> Result<Done, MoveInError> {
    let home = Home::open(&args.home.home)?;
    let lock = home.lock()?;
    let holder = Holder::new(&lock, home.path(), rng);
    let (controller, plan) = prepare(source, Some(&home), || is_unused(&home, &holder, now))?;
    if controller.is_none() {
        return Err(MoveInError::NoIdentity { home: args.home.home.clone() });
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(MoveInError::Runtime)?;
    let open = || {
        let database = home.database();
        let unchecked = |_: &UnmigratedStore| Ok::<_, LeaseError>(());
        runtime.block_on(Held::open(&database, OpenOptions::default(), holder.clone(), false, unchecked))
    };
    // A database that is there may be served; one that is not is made last, as it belongs to an identity.
    let held = if home.database().exists() { Some(open()?) } else { None };
    plan.carry_out(&home)?;
    let mut held = held.map_or_else(open, Ok)?;
    home::note_database(home.path())
        .map_err(|source| HomeError::unwritable(home.path().to_owned(), source))?;
    let store = held.store().clone();
    let mut renewed = Ok(());
    let records = import_records(args, source, &store, controller, now, &mut || {
        renewed = mem::replace(&mut renewed, Ok(())).and_then(|()| held.renew_if_due());
    })?;
    renewed?;
    Ok(Done { plan, records })
}

/// Imports into a copy of the database, and changes nothing: not even a home is made.
fn rehearse(
    args: &ImportArgs,
    source: &Source,
    now: Timestamp,
    rng: &mut impl Rng,
) -> Result<Done, MoveInError> {
    let home = if args.home.home.exists() { Some(Home::open(&args.home.home)?) } else { None };
    let lock = home.as_ref().map(Home::lock_if_used).transpose()?.flatten();
    let holder = lock.as_ref().zip(home.as_ref()).map(|(lock, home)| Holder::new(lock, home.path(), rng));
    let copy = tempfile::tempdir().map_err(MoveInError::Rehearsal)?;
    let store = copied(home.as_ref(), &copy, holder.as_ref(), now)?;
    let (controller, plan) = prepare(source, home.as_ref(), || is_empty(&store))?;
    let records = import_records(args, source, &store, controller, now, &mut || ())?;
    Ok(Done { plan, records })
}

/// Imports the records, and calls `on_the_way` from time to time.
fn import_records(
    args: &ImportArgs,
    source: &Source,
    store: &Store,
    controller: Option<Address>,
    now: Timestamp,
    on_the_way: &mut dyn FnMut(),
) -> Result<Report, MoveInError> {
    let options = Options {
        now,
        controller,
        overwrite: args.overwrite,
        trust_authorizations: args.trust_authorizations,
    };
    let shown = Progress::unknown("importing", args.progress);
    let report = import::import(source, store, &options, &mut |Imported { networks, members }| {
        shown.say(|| format!("{}, {}", counted(networks, "network"), counted(members, "member")));
        on_the_way();
    });
    Ok(report?)
}

/// Returns the address under which the networks will be served, and which files are to be taken along.
/// `is_unused` tells whether the home has served nothing yet.
fn prepare(
    source: &Source,
    home: Option<&Home>,
    is_unused: impl FnOnce() -> Result<bool, MoveInError>,
) -> Result<(Option<Address>, Plan), MoveInError> {
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
            if !is_unused()? {
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
    if let Some(token) = read_file(&theirs.join(AUTHTOKEN))? {
        plan.take_along(token, home, AUTHTOKEN, 0o600, is_fresh)?;
    }
    match read_world(&theirs.join(PLANET), WorldKind::Planet) {
        Ok(Some((_, planet))) => plan.take_along(planet, home, PLANET, 0o644, is_fresh)?,
        Ok(None) => {}
        Err(reason) => plan.leave_out(PLANET, &reason),
    }
    plan.take_moons(theirs, home)?;
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

    /// Takes those moons along that the controller would start with.
    fn take_moons(&mut self, theirs: &Path, home: Option<&Home>) -> Result<(), MoveInError> {
        let ours = home.map(Home::moons).transpose()?.unwrap_or_default();
        let mut room = MAX_MOONS.saturating_sub(ours.len());
        for file in moon_files(theirs)? {
            let name = format!("{MOONS}/{file}");
            let Some(id) = world_home::id_of(&file) else {
                self.leave_out(&name, "no moon is named so; expected 16 hexadecimal digits and .moon");
                continue;
            };
            match read_world(&theirs.join(&name), WorldKind::Moon) {
                Ok(Some((found, _))) if found != id => {
                    self.leave_out(&name, &format!("it is moon {found:016x}"));
                }
                Ok(Some((_, moon))) => {
                    if ours.iter().all(|moon| moon.id != id) {
                        let Some(left) = room.checked_sub(1) else {
                            self.leave_out(&name, &format!("at most {MAX_MOONS} moons are orbited"));
                            continue;
                        };
                        room = left;
                    }
                    self.take_along(moon, home, &name, 0o644, false)?;
                }
                Ok(None) => {}
                Err(reason) => self.leave_out(&name, &reason),
            }
        }
        Ok(())
    }

    fn leave_out(&mut self, name: &str, reason: &str) {
        self.remarks.push(format!("{name}: left out, {reason}"));
        self.needs_attention = true;
    }

    /// Takes a file along if there is none of this name yet, or if `replace` says so.
    fn take_along(
        &mut self,
        content: Vec<u8>,
        home: Option<&Home>,
        name: &str,
        mode: u32,
        replace: bool,
    ) -> Result<(), MoveInError> {
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

/// Says whether a home has served nothing yet. Its database stays as it is.
fn is_unused(home: &Home, holder: &Holder, now: Timestamp) -> Result<bool, MoveInError> {
    let copy = tempfile::tempdir().map_err(MoveInError::Rehearsal)?;
    is_empty(&copied(Some(home), &copy, Some(holder), now)?)
}

fn is_empty(store: &Store) -> Result<bool, MoveInError> {
    Ok(store.read(|tx| tx.networks().list())?.is_empty())
}

/// Returns the files of a home that are named like moons, in the order of their names.
fn moon_files(home: &Path) -> Result<Vec<String>, MoveInError> {
    let directory = home.join(MOONS);
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let failed = |source| ImportError::Io { path: directory.clone(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory).map_err(failed)?.take(MAX_MOON_FILES) {
        let name = entry.map_err(failed)?.file_name();
        names.extend(name.into_string().ok().filter(|name| name.ends_with(".moon")));
    }
    names.sort();
    Ok(names)
}

/// Reads a planet or moon of the other home: its id and the file; `None` if it is not there. What a link leads to need not
/// belong to that home.
///
/// # Errors
/// Why the controller could not start with it.
fn read_world(path: &Path, kind: WorldKind) -> Result<Option<(u64, Vec<u8>)>, String> {
    let file = match world_file::open_unlinked(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(Errno::ELOOP as i32) => {
            return Err("it is a link".to_owned());
        }
        Err(error) => return Err(error.to_string()),
    };
    let mut content = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut content).map_err(|error| error.to_string())?;
    let world = world_file::parse(&content, "it", Some(kind)).map_err(|error| error.to_string())?;
    Ok(Some((world.id, content)))
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

/// Copies the database of a home, if there is one, to try something on. Nobody writes to it, as this process has the lock
/// of the home, and so the copy is whole; reading it as a database would leave files beside it.
fn copied(
    home: Option<&Home>,
    to: &TempDir,
    holder: Option<&Holder>,
    now: Timestamp,
) -> Result<Store, MoveInError> {
    let copy = to.path().join(DATABASE);
    let with = |path: &Path, suffix| {
        let mut path = path.to_owned().into_os_string();
        path.push(suffix);
        PathBuf::from(path)
    };
    if let Some(database) = home.map(Home::database).filter(|database| database.exists()) {
        // It may be a link, and then its log is beside what it leads to.
        let database = database.canonicalize().map_err(MoveInError::Rehearsal)?;
        for suffix in ["", "-wal"] {
            let from = with(&database, suffix);
            if from.exists() {
                let to = with(&copy, suffix);
                // The copy is written to, whoever may write to the original.
                let made = fs::copy(from, &to)
                    .and_then(|_| fs::set_permissions(&to, PermissionsExt::from_mode(0o600)));
                made.map_err(MoveInError::Rehearsal)?;
            }
        }
    }
    let store = Store::open(&copy)?;
    lease::require_unserved(&store, holder, now)?;
    Ok(store)
}

fn print(args: &ImportArgs, source: &Source, done: &Done) {
    let Done { plan, records: report } = done;
    if args.json {
        let value = json!({
            "dryRun": args.dry_run, "path": args.path, "files": plan.remarks, "home": source.home, "report": report,
            "needsAttention": done.needs_attention(),
        });
        say_json(&value);
        return;
    }
    if args.dry_run {
        say("rehearsal: nothing was changed");
    }
    plan.remarks.iter().for_each(|remark| say(remark));
    say(report.to_string().trim_end());
    if !args.dry_run {
        let next = if done.needs_attention() {
            "next: read what is listed above, then start the controller"
        } else {
            "next: start the controller"
        };
        say(&format!("{next}; the old one must not run any more, as both would have one address"));
    }
}
