//! `ctl-bin restore`: a home from a backup, for this controller after a loss or for a standby that takes its place.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;
use zt_crypto::IdentitySecret;

use super::announce::{say, say_json};
use super::backup::archive::{self, ArchiveError, Manifest};
use super::backup::sealing::{Key, SealingError};
use super::backup::{causes, folder};
use super::config::RestoreArgs;
use super::home::{self, DATABASE, Home, HomeError, IDENTITY_SECRET};
use crate::cli::progress::{Progress, ProgressArgs};

/// How the directory begins in which a backup is unpacked.
const STAGING: &str = ".ctl-bin-restore-";

/// Why nothing was restored. Where the home is to be, everything is then as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(
        "{} is not empty: it has {found}; name a directory that is empty or not there (to replace a home, stop its \
         controller and move it away first)", path.display())]
    NotEmpty { path: PathBuf, found: String },
    #[error(transparent)]
    Key(#[from] SealingError),
    #[error("cannot open {}: {source}; it must be readable by the user that runs this", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("{} cannot be restored: {reason}", path.display())]
    Archive { path: PathBuf, reason: ArchiveError },
    #[error("{} cannot be restored: {reason}", path.display())]
    Content { path: PathBuf, reason: String },
    #[error("cannot write {}: {source}; the user that runs this must be able to write there", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// Restores a backup as the command line says.
pub(crate) fn run(args: &RestoreArgs) -> Result<(), RestoreError> {
    let key = Key::choose(args.key.identity_file.as_deref(), args.key.passphrase_file.as_deref())?;
    let target = &args.home.home;
    require_empty(target)?;
    // Before a directory is made for it.
    drop(File::open(&args.file).map_err(|source| RestoreError::Open { path: args.file.clone(), source })?);
    let failed = |source| RestoreError::Write { path: target.clone(), source };
    // An empty directory may be where a disk is mounted, and cannot be replaced then; and whoever made it gave it its
    // owner. One that is not there comes into being complete.
    let is_there = target.exists();
    let staging = if is_there {
        let home = Home::open(target)?;
        staging_in(home.path()).map_err(failed)?
    } else {
        let parent = folder::parent(target);
        fs::create_dir_all(parent).map_err(failed)?;
        staging_in(parent).map_err(failed)?
    };
    let manifest = unpack(&args.file, &key, staging.path(), args.progress)?;
    if is_there {
        let home = Home::open(target)?;
        let _lock = home.lock()?;
        // First, so that a home that is cut off halfway is no empty one.
        home::note_database(home.path()).map_err(failed)?;
        place_in(home.path(), staging.path(), &manifest).map_err(failed)?;
    } else {
        home::note_database(staging.path()).map_err(failed)?;
        // The whole home in one step; had somebody else made it meanwhile with anything in it, this would fail.
        fs::rename(staging.path(), target).map_err(failed)?;
        sync(folder::parent(target)).map_err(failed)?;
    }
    if args.json {
        say_json(&json!({
            "controller": manifest.controller, "created": manifest.created, "files": manifest.files.len(), "home": target,
        }));
        return Ok(());
    }
    let created = folder::utc(manifest.created);
    say(&format!(
        "restored: controller {} as it was at {created}, {} files in {}",
        manifest.controller,
        manifest.files.len(),
        target.display()
    ));
    say(
        "next: start the controller on it, but only if the one that the backup is of does not run any more: two with \
         one identity take each other's members away",
    );
    Ok(())
}

/// Refuses a directory that has anything in it but what a controller that never got an identity leaves.
fn require_empty(target: &Path) -> Result<(), RestoreError> {
    let failed = |source| RestoreError::Write { path: target.to_owned(), source };
    let entries = match fs::read_dir(target) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(failed(source)),
    };
    for entry in entries {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if name.starts_with(STAGING) {
            // Of a restore that was cut off before anything was in its place.
            fs::remove_dir_all(target.join(name)).map_err(failed)?;
        } else if !home::is_left_behind(&name) && name != "lost+found" {
            return Err(RestoreError::NotEmpty { path: target.to_owned(), found: name });
        }
    }
    Ok(())
}

/// Makes a directory that nobody else can look into and that is gone with the value.
fn staging_in(folder: &Path) -> io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(STAGING).permissions(fs::Permissions::from_mode(0o700));
    builder.tempdir_in(folder)
}

/// Unpacks a backup into an empty directory and checks all of it: every byte by its hash, the identity, the database.
/// Everything is on the disk when this returns.
pub(super) fn unpack(
    path: &Path,
    key: &Key,
    into: &Path,
    progress: ProgressArgs,
) -> Result<Manifest, RestoreError> {
    let open = |source| RestoreError::Open { path: path.to_owned(), source };
    let file = File::open(path).map_err(open)?;
    let metadata = file.metadata().map_err(open)?;
    if !metadata.is_file() {
        return Err(open(io::Error::other("it is no file")));
    }
    let place = |entry: &archive::FileEntry| {
        let target = into.join(&entry.name);
        if let Some(parent) = target.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        let mode = home::kept_mode(&entry.name).unwrap_or(0o600);
        OpenOptions::new().write(true).create_new(true).mode(mode).open(target)
    };
    let shown = Progress::bytes("unpacking", metadata.len(), progress);
    let manifest = archive::read(BufReader::new(shown.reader(file)), metadata.len(), key, place)
        .map_err(|reason| RestoreError::Archive { path: path.to_owned(), reason })?;
    drop(shown);
    let shown = Progress::unknown("checking the database", progress);
    check(into, &manifest).map_err(|reason| RestoreError::Content { path: path.to_owned(), reason })?;
    drop(shown);
    let synced = manifest.files.iter().try_for_each(|file| sync(&into.join(&file.name)));
    synced
        .and_then(|()| sync(into))
        .map_err(|source| RestoreError::Write { path: into.to_owned(), source })?;
    Ok(manifest)
}

/// Checks that the files of an unpacked backup are those of one controller that could start.
fn check(dir: &Path, manifest: &Manifest) -> Result<(), String> {
    let text = fs::read_to_string(dir.join(IDENTITY_SECRET)).map_err(|error| error.to_string())?;
    let secret: IdentitySecret =
        text.trim().parse().map_err(|error| format!("its identity is damaged: {error}"))?;
    secret.verify().map_err(|error| format!("its identity is damaged: {error}"))?;
    if secret.address().to_string() != manifest.controller {
        return Err(format!(
            "it is named after controller {}, but has the identity of {}",
            manifest.controller,
            secret.address()
        ));
    }
    ctl_store::check_database(&dir.join(DATABASE)).map_err(|error| causes(&error))
}

/// Moves what was unpacked into an empty home. The identity comes last: without it a home with anything in it is refused,
/// so no controller starts on a part of it.
fn place_in(home: &Path, staging: &Path, manifest: &Manifest) -> io::Result<()> {
    let (first, rest): (Vec<_>, Vec<_>) =
        manifest.files.iter().map(|file| file.name.as_str()).partition(|name| *name == IDENTITY_SECRET);
    for name in rest {
        let target = home.join(name);
        if let Some(parent) = target.parent().filter(|parent| *parent != home) {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
            fs::rename(staging.join(name), &target)?;
            sync(parent)?;
        } else {
            fs::rename(staging.join(name), &target)?;
        }
    }
    sync(home)?;
    for name in first {
        fs::rename(staging.join(name), home.join(name))?;
    }
    sync(home)
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
