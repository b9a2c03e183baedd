//! `ctl-bin verify`: whether a home, a backup or a database is sound, before somebody needs it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ctl_store::{Report, Severity, Store, StoreError};
use serde_json::json;
use zt_crypto::{Scratch, VerifiedIdentity};
use zt_proto::{Address, PublicIdentity, Timestamp};

use super::announce::say;
use super::backup::sealing::{Key, SealingError};
use super::backup::{causes, folder};
use super::config::VerifyArgs;
use super::home::{DATABASE, HomeError};
use super::owner;
use super::restore::{self, RestoreError};
use crate::cli::progress::{Progress, ProgressArgs};
use crate::cli::table::counted;

/// What an SQLite database begins with.
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Why it cannot be said that all is sound.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    #[error("{} is not sound: {}", path.display(), counted(*errors as u64, "error"))]
    Unsound { path: PathBuf, errors: usize },
    #[error("the restore was rehearsed and failed: {0}")]
    Rehearsal(RestoreError),
    #[error("{} is not sound: {}", path.display(), causes(reason))]
    Damaged { path: PathBuf, reason: StoreError },
    #[error("{} could not be checked: {}", path.display(), causes(reason))]
    Unreadable { path: PathBuf, reason: StoreError },
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    Key(#[from] SealingError),
    #[error("cannot read {}: {source}; name a file that the user that runs this can read", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error(
        "a directory to rehearse the restore in cannot be made: {0}; set TMPDIR to one with enough space"
    )]
    Temporary(io::Error),
}

impl VerifyError {
    /// Says whether this is what was found, rather than why nothing could be.
    pub(crate) fn is_verdict(&self) -> bool {
        match self {
            Self::Unsound { .. } | Self::Damaged { .. } => true,
            Self::Rehearsal(RestoreError::Archive { reason, .. }) => reason.is_verdict(),
            Self::Rehearsal(reason) => matches!(reason, RestoreError::Content { .. }),
            Self::Home(reason) => matches!(reason, HomeError::Identity { .. } | HomeError::Damaged { .. }),
            Self::Unreadable { .. } | Self::Key(_) | Self::Open { .. } | Self::Temporary(_) => false,
        }
    }
}

/// Looks, and says what was found as the command line wants it.
pub(crate) fn run(args: &VerifyArgs, now: Timestamp) -> Result<(), VerifyError> {
    let key = Key::choose(args.key.identity_file.as_deref(), args.key.passphrase_file.as_deref())?;
    let look = Look { now, deep: args.deep, json: args.json, progress: args.progress };
    let Some(path) = &args.file else {
        let home = owner::open_existing(&args.home.home)?;
        let controller = home.known_identity()?;
        let report = look.examine(&home.database(), Some(controller))?;
        return look.tell(home.path(), "home", Some(controller), None, &report);
    };
    if is_database(path).map_err(|source| VerifyError::Open { path: path.clone(), source })? {
        let report = look.examine(path, None)?;
        return look.tell(path, "database", None, None, &report);
    }
    // Everything that a restore does, but for putting it where a controller would find it.
    let staging =
        tempfile::Builder::new().prefix("ctl-bin-verify-").tempdir().map_err(VerifyError::Temporary)?;
    let manifest =
        restore::unpack(path, &key, staging.path(), args.progress).map_err(VerifyError::Rehearsal)?;
    let database = staging.path().join(DATABASE);
    // As the controller does it at its start; a database of an older release is brought to this one.
    drop(Store::open(&database).map_err(|reason| look.unsound(path, reason))?);
    let controller = manifest.controller.parse().ok();
    let report = look.examine(&database, controller)?;
    look.tell(path, "backup", controller, Some(manifest.created), &report)
}

/// Says whether a file is a database by itself.
fn is_database(path: &Path) -> io::Result<bool> {
    let mut begin = Vec::new();
    File::open(path)?.take(16).read_to_end(&mut begin)?;
    Ok(begin == SQLITE_MAGIC || fs::metadata(path)?.len() == 0)
}

/// How to look, and how to tell.
struct Look {
    now: Timestamp,
    deep: bool,
    json: bool,
    progress: ProgressArgs,
}

impl Look {
    fn examine(&self, database: &Path, controller: Option<Address>) -> Result<Report, VerifyError> {
        let mut scratch = Scratch::new();
        let shown = Progress::unknown("checking the database", self.progress);
        let mut checked_count = 0_u64;
        let mut judge = |identity: &PublicIdentity| {
            let checked = self.deep.then(|| VerifiedIdentity::verify_with(*identity, &mut scratch))?;
            checked_count += 1;
            shown.say(|| format!("checking the database, {checked_count} identities"));
            checked.err().map(|error| error.to_string())
        };
        ctl_store::verify_database(database, controller, self.now, &mut judge)
            .map_err(|reason| self.unsound(database, reason))
    }

    fn unsound(&self, path: &Path, reason: StoreError) -> VerifyError {
        let path = path.to_owned();
        if matches!(
            reason,
            StoreError::Damaged { .. } | StoreError::DamagedFile { .. } | StoreError::NotADatabase { .. }
        ) {
            VerifyError::Damaged { path, reason }
        } else {
            VerifyError::Unreadable { path, reason }
        }
    }

    /// Prints the report; an error if anything is broken.
    fn tell(
        &self,
        path: &Path,
        kind: &str,
        controller: Option<Address>,
        created: Option<u64>,
        report: &Report,
    ) -> Result<(), VerifyError> {
        let of = |severity| report.findings.iter().filter(move |finding| finding.severity == severity);
        let (errors, warnings) = (of(Severity::Error).count(), of(Severity::Warning).count());
        if self.json {
            let texts = |severity| of(severity).map(|finding| finding.what.as_str()).collect::<Vec<_>>();
            let value = json!({
                "path": path, "kind": kind, "sound": report.is_sound(),
                "controller": controller.map(|controller| controller.to_string()), "created": created,
                "schemaVersion": report.schema_version, "networks": report.networks, "members": report.members,
                "errors": texts(Severity::Error), "warnings": texts(Severity::Warning),
            });
            say(&format!("{value:#}"));
        } else {
            let mut text = format!("{kind}: {}\n", path.display());
            if let Some(created) = created {
                text += &format!("made: {}\n", folder::utc(created));
            }
            if let Some(controller) = controller {
                text += &format!("controller: {controller}\n");
            }
            text += &format!(
                "content: {}, {}, schema version {}\n",
                counted(report.networks, "network"),
                counted(report.members, "member"),
                report.schema_version
            );
            for finding in &report.findings {
                let severity = if finding.severity == Severity::Error { "error" } else { "warning" };
                text += &format!("{severity}: {}\n", finding.what);
            }
            text += &format!(
                "result: {}, {}",
                counted(errors as u64, "error"),
                counted(warnings as u64, "warning")
            );
            say(&text);
        }
        if report.is_sound() { Ok(()) } else { Err(VerifyError::Unsound { path: path.to_owned(), errors }) }
    }
}
