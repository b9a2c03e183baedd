//! The backups of a running controller, as its API makes and shows them: those that it makes by itself, in the same folder
//! and in the same way.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use ctl_http::backups::{Backup, BackupContent, BackupError, Backups};
use zt_proto::{Address, Timestamp};

use super::sealing::Sealing;
use super::{Destination, FOLDER, causes, folder, make};
use crate::cli::progress::ProgressArgs;
use crate::server::config::ScheduleArgs;
use crate::server::home::{Home, HomeError};

/// Where the backups of a running controller are.
pub(crate) struct Shelf {
    home: Home,
    controller: Address,
    folder: PathBuf,
    args: ScheduleArgs,
}

impl Shelf {
    /// Returns the folder that the controller makes backups into by itself, otherwise the one of the home.
    pub(crate) fn new(home: Home, controller: Address, args: &ScheduleArgs) -> Self {
        let folder = args.backup_dir.clone().unwrap_or_else(|| home.path().join(FOLDER));
        Self { home, controller, folder, args: args.clone() }
    }

    fn paths(&self) -> Result<Vec<(Timestamp, PathBuf)>, BackupError> {
        match folder::list(&self.folder, self.controller) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed.map_err(|error| self.failed("look at", &error)),
        }
    }

    /// Returns the backup of this name, which is none of any other file.
    fn find(&self, name: &str) -> Result<Option<(Timestamp, PathBuf)>, BackupError> {
        Ok(self.paths()?.into_iter().find(|(_, path)| path.file_name().is_some_and(|file| file == name)))
    }

    fn failed(&self, what: &str, error: &io::Error) -> BackupError {
        BackupError::Failed(format!("cannot {what} the backups in {}: {error}", self.folder.display()))
    }
}

/// Describes a backup; `None` if it is gone.
fn describe(created: Timestamp, path: &Path) -> Option<Backup> {
    let name = path.file_name()?.to_str()?.to_owned();
    let size_bytes = fs::metadata(path).ok()?.len();
    let encrypted = name.ends_with(folder::ENCRYPTED);
    Some(Backup { name, created, size_bytes, encrypted })
}

impl Backups for Shelf {
    fn list(&self) -> Result<Vec<Backup>, BackupError> {
        let paths = self.paths()?;
        Ok(paths.iter().rev().filter_map(|(created, path)| describe(*created, path)).collect())
    }

    fn make(&self, now: Timestamp) -> Result<Backup, BackupError> {
        let sealing =
            Sealing::choose(&self.args.backup_encrypt_to, self.args.backup_passphrase_file.as_deref());
        // As many as there are stay; the schedule removes what is too much.
        let destination = Destination::Folder(self.folder.clone(), None);
        let made = sealing
            .map_err(super::BackupError::from)
            .and_then(|sealing| make(&self.home, &destination, &sealing, now, ProgressArgs::NONE))
            .map_err(|error| {
                let runs = matches!(error, super::BackupError::Home(HomeError::BackupRuns { .. }));
                if runs { BackupError::Runs(error.to_string()) } else { BackupError::Failed(causes(&error)) }
            })?;
        let gone = || BackupError::Failed("the backup was made, and removed at once by somebody".to_owned());
        describe(now, &made.path).ok_or_else(gone)
    }

    fn open(&self, name: &str) -> Result<Option<(Backup, BackupContent)>, BackupError> {
        let Some((created, path)) = self.find(name)? else { return Ok(None) };
        let file = File::open(&path).map_err(|error| self.failed("read", &error))?;
        Ok(describe(created, &path).map(|backup| (backup, Box::new(file) as BackupContent)))
    }

    fn remove(&self, name: &str) -> Result<bool, BackupError> {
        let Some((_, path)) = self.find(name)? else { return Ok(false) };
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            removed => removed.map(|()| true).map_err(|error| self.failed("remove", &error)),
        }
    }
}
