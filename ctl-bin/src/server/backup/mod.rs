//! `ctl-bin backup`: one file with everything that a controller on another machine needs to take this one's place.

pub(super) mod archive;
pub(super) mod folder;
pub(super) mod schedule;
pub(super) mod sealing;
pub(super) mod shelf;

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Cursor, Read};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ctl_store::StoreError;
use serde_json::json;
use tempfile::TempPath;
use zt_proto::Timestamp;

use super::announce::{say, say_json};
use super::config::BackupArgs;
use super::home::{DATABASE, Home, HomeError};
use super::owner;
use crate::cli::progress::{Progress, ProgressArgs};
use archive::{ArchiveError, Manifest};
use sealing::{Sealing, SealingError};

/// Where backups go that nobody gave a place: in the home.
const FOLDER: &str = "backups";
/// How a copy of the database is called until it is in the archive.
const COPY_PREFIX: &str = ".backup-";
const COPY_SUFFIX: &str = ".db";

/// Why there is no backup. What was there before is as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error("the database is not copied: {}", causes(.0))]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sealing(#[from] SealingError),
    #[error("--to: cannot write {}: {source}; name a directory that the user that runs this can write to", path.display())]
    Destination { path: PathBuf, source: io::Error },
    #[error("--to: {} is there already and is not overwritten; name a directory, or another file", path.display())]
    Exists { path: PathBuf },
    #[error("--keep: {} is a file; backups are removed only from a directory that --to names", path.display())]
    KeepNeedsFolder { path: PathBuf },
    #[error(
        "the backup was written, but what is on the disk is not what was written: {0}; look into the system log"
    )]
    NotAsWritten(ArchiveError),
    #[error("the backup {} was made, but of the older ones not all could be removed: {source}", made.display())]
    Rotation { made: PathBuf, source: io::Error },
}

/// The store says what; what the operating system said is behind it.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Where a backup goes.
enum Destination {
    /// Under a name that tells what it is; and how many stay there.
    Folder(PathBuf, Option<usize>),
    File(PathBuf),
}

/// What was made.
struct Made {
    path: PathBuf,
    size_bytes: u64,
    files: usize,
    database_bytes: u64,
    removed: usize,
}

/// Makes a backup as the command line says.
pub(crate) fn run(args: &BackupArgs, now: Timestamp) -> Result<(), BackupError> {
    let sealing = Sealing::choose(&args.sealing.encrypt_to, args.sealing.passphrase_file.as_deref())?;
    let home = owner::open_existing(&args.home.home)?;
    let keep = args.keep.map(|keep| usize::try_from(keep).unwrap_or(usize::MAX));
    let destination = match &args.to {
        None => Destination::Folder(home.path().join(FOLDER), keep),
        Some(path) if path.is_dir() => Destination::Folder(path.clone(), keep),
        Some(path) if keep.is_some() => return Err(BackupError::KeepNeedsFolder { path: path.clone() }),
        Some(path) => Destination::File(path.clone()),
    };
    let made = make(&home, &destination, &sealing, now, args.progress)?;
    if args.json {
        say_json(&json!({
            "path": made.path, "sizeBytes": made.size_bytes, "files": made.files, "databaseBytes": made.database_bytes,
            "encrypted": !sealing.is_none(), "removed": made.removed,
        }));
        return Ok(());
    }
    say(&format!(
        "backup: {} bytes in {} ({} files, database of {} bytes), read back and compared{}",
        made.size_bytes,
        made.path.display(),
        made.files,
        made.database_bytes,
        if made.removed > 0 { format!("; {} older removed", made.removed) } else { String::new() }
    ));
    if sealing.is_none() {
        say(
            "note: it holds the secret of the controller's identity, readable by its owner only (mode 0600); \
             encrypt it with --encrypt-to if it leaves this machine",
        );
    }
    Ok(())
}

/// Makes a backup of a home beside the controller that may be running in it.
///
/// It gets its name only when it has been read back whole, so under that name is never half a one.
fn make(
    home: &Home,
    destination: &Destination,
    sealing: &Sealing,
    now: Timestamp,
    progress: ProgressArgs,
) -> Result<Made, BackupError> {
    let _lock = home.lock_backup()?;
    let small = home.kept_files()?;
    // Without a sound identity it would be no backup.
    let controller = home.known_identity()?;
    let (folder, name) = match destination {
        Destination::Folder(folder, _) => {
            (folder.as_path(), folder.join(folder::name(controller, now, !sealing.is_none())))
        }
        Destination::File(path) => (folder::parent(path), path.clone()),
    };
    let unwritable = |path: &Path| {
        let path = path.to_owned();
        move |source| BackupError::Destination { path, source }
    };
    if matches!(destination, Destination::Folder(..)) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unwritable(folder))?;
    }
    if name.exists() {
        return Err(BackupError::Exists { path: name });
    }
    let partial_prefix = folder::partial_prefix(controller);
    // Nobody else makes one now, so these are of somebody who was killed.
    folder::remove_leftovers(home.path(), COPY_PREFIX, COPY_SUFFIX).map_err(unwritable(home.path()))?;
    folder::remove_leftovers(folder, &partial_prefix, folder::PARTIAL).map_err(unwritable(folder))?;

    // In the home, since it is not encrypted.
    let copy = temporary(home.path(), COPY_PREFIX, COPY_SUFFIX).map_err(unwritable(home.path()))?;
    let shown = Progress::unknown("copying the database", progress);
    let database = ctl_store::copy_database(&home.database(), &copy)?;
    drop(shown);
    let mut files = Vec::new();
    for (name, content) in &small {
        files.push(archive::describe(name, &***content).map_err(unwritable(home.path()))?);
    }
    let describe_copy = || {
        let shown = Progress::bytes("hashing", database.size_bytes, progress);
        archive::describe(DATABASE, shown.reader(File::open(&copy)?))
    };
    files.push(describe_copy().map_err(unwritable(&copy))?);
    let manifest = Manifest::new(controller, now, files);

    let partial = temporary(folder, &partial_prefix, folder::PARTIAL).map_err(unwritable(folder))?;
    let write = || {
        let file = fs::OpenOptions::new().write(true).open(&partial)?;
        let mut out = BufWriter::with_capacity(128 << 10, file);
        let shown = Progress::bytes("writing", database.size_bytes, progress);
        let key = archive::write(&mut out, sealing, &manifest, |entry| -> io::Result<Box<dyn Read>> {
            match small.iter().find(|(name, _)| *name == entry.name) {
                Some((_, content)) => Ok(Box::new(Cursor::new(content.as_slice()))),
                None => Ok(Box::new(BufReader::with_capacity(128 << 10, shown.reader(File::open(&copy)?)))),
            }
        })?;
        out.into_inner()?.sync_all()?;
        Ok(key)
    };
    let key = write().map_err(unwritable(folder))?;
    let size_bytes = check(&partial, &key, &manifest, progress).map_err(BackupError::NotAsWritten)?;
    match partial.persist_noclobber(&name) {
        Ok(()) => {}
        Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(BackupError::Exists { path: name });
        }
        Err(failed) => return Err(unwritable(&name)(failed.error)),
    }
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(unwritable(folder))?;
    let removed = match destination {
        Destination::Folder(folder, Some(keep)) => {
            folder::rotate(folder, controller, (*keep).max(1), (&name, now))
                .map_err(|source| BackupError::Rotation { made: name.clone(), source })?
                .len()
        }
        Destination::Folder(_, None) | Destination::File(_) => 0,
    };
    let files = manifest.files.len();
    Ok(Made { path: name, size_bytes, files, database_bytes: database.size_bytes, removed })
}

/// Reads what was written from the beginning and compares it with what was to be written; returns its length.
fn check(
    path: &Path,
    key: &sealing::Key,
    expected: &Manifest,
    progress: ProgressArgs,
) -> Result<u64, ArchiveError> {
    let unreadable = |error: io::Error| ArchiveError::Unreadable(error.to_string());
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let shown = Progress::bytes("comparing", length, progress);
    let found = archive::read(BufReader::new(shown.reader(file)), length, key, |_| Ok(io::sink()))?;
    if found == *expected {
        Ok(length)
    } else {
        Err(ArchiveError::Foreign("its list of files is another".to_owned()))
    }
}

/// Makes an empty file that nobody else can read, and that is gone with the value.
fn temporary(folder: &Path, prefix: &str, suffix: &str) -> io::Result<TempPath> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix).suffix(suffix).permissions(fs::Permissions::from_mode(0o600));
    Ok(builder.tempfile_in(folder)?.into_temp_path())
}
