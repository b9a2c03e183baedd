//! The copy of the database that is kept before its schema is changed: there is no other way back.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::backup;
use crate::error::{StoreError, of_directory};

/// Copies that are kept: those of the last migrations.
const KEPT: usize = 2;

/// Copies the database at `path`, which `source` has open, to `PATH.before-vN` beside it, where N is the version that it is to
/// have. Only its owner can read the copy, and it is on the disk when this returns. The oldest of more than two is removed.
///
/// # Errors
/// If there is no room, or the directory cannot be written; the database is as it was.
pub(crate) fn keep(path: &Path, source: &Connection, version: i64) -> Result<(), StoreError> {
    let failed = |source| of_directory(path, source);
    let directory = path.parent().unwrap_or(Path::new("/")); // the path is a full one
    let mut builder = tempfile::Builder::new();
    builder.prefix(".copy-").suffix(".db");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600));
    let growing = builder.tempfile_in(directory).map_err(failed)?.into_temp_path();
    backup::close(backup::copy_pages(source, &growing)?, &growing)?;
    growing.persist(name(path, version)).map_err(|error| failed(error.error))?;
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
    for old in copies(path).map_err(failed)?.into_iter().skip(KEPT) {
        fs::remove_file(old).map_err(failed)?;
    }
    Ok(())
}

fn prefix(path: &Path) -> OsString {
    let mut prefix = path.file_name().unwrap_or_default().to_owned();
    prefix.push(".before-v");
    prefix
}

fn name(path: &Path, version: i64) -> PathBuf {
    let mut name = prefix(path);
    name.push(version.to_string());
    path.with_file_name(name)
}

/// Returns the copies that are there, newest version first.
fn copies(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let prefix = prefix(path);
    let mut found = Vec::new();
    for entry in fs::read_dir(path.parent().unwrap_or(Path::new("/")))? {
        let entry = entry?;
        let name = entry.file_name();
        let version = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes());
        let version = version.and_then(|version| str::from_utf8(version).ok()?.parse::<i64>().ok());
        found.extend(version.map(|version| (version, entry.path())));
    }
    found.sort_unstable_by(|one, other| other.cmp(one));
    Ok(found.into_iter().map(|(_, path)| path).collect())
}
