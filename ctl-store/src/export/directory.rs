//! An export as a `controller.d`.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use ctl_core::Network;
use tempfile::TempDir;
use zt_proto::{Address, NetworkId};

use super::{ExportError, Exported, Sink, give, io_error, parent};
use crate::Tx;

pub(super) fn write(
    tx: &Tx<'_>,
    path: &Path,
    force: bool,
    progress: &mut dyn FnMut(u64),
) -> Result<Exported, ExportError> {
    if !force && !is_free(path) {
        return Err(ExportError::Exists { path: path.to_owned() });
    }
    let directory = beside(path, ".export-")?;
    let mut files = Files { networks: directory.path().join("network"), members: PathBuf::new() };
    make_directory(&files.networks)?;
    let exported = give(tx, &mut files, progress)?;
    sync_all(directory.path())?;
    put_in_place(directory, path)?;
    Ok(exported)
}

/// Says whether there is nothing at `path`, or an empty directory.
fn is_free(path: &Path) -> bool {
    match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => fs::symlink_metadata(path).is_err(),
    }
}

/// Makes a directory for its owner only beside `path`, so that it can be put there at once.
fn beside(path: &Path, prefix: &str) -> Result<TempDir, ExportError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir_in(parent(path)).map_err(io_error(parent(path)))
}

fn put_in_place(directory: TempDir, path: &Path) -> Result<(), ExportError> {
    // What is there is moved away first, and is back if the last step fails.
    let mut old = None;
    if fs::symlink_metadata(path).is_ok() {
        let place = beside(path, ".replaced-")?;
        fs::rename(path, place.path().join("old")).map_err(io_error(path))?;
        old = Some(place);
    }
    if let Err(error) = fs::rename(directory.path(), path) {
        if let Some(old) = old.map(TempDir::keep) {
            fs::rename(old.join("old"), path).map_err(io_error(&old))?;
            fs::remove_dir(&old).map_err(io_error(&old))?;
        }
        return Err(io_error(path)(error));
    }
    // It is no longer where it would be removed.
    let moved = directory.keep();
    debug_assert!(!moved.exists(), "{}", moved.display());
    File::open(parent(path)).and_then(|directory| directory.sync_all()).map_err(io_error(parent(path)))
}

/// Brings everything to the disk: file by file that would take the disk's time for each.
fn sync_all(directory: &Path) -> Result<(), ExportError> {
    let file = File::open(directory).map_err(io_error(directory))?;
    #[cfg(target_os = "linux")]
    nix::unistd::syncfs(&file).map_err(|error| io_error(directory)(error.into()))?;
    file.sync_all().map_err(io_error(directory))
}

struct Files {
    networks: PathBuf,
    /// Where the members of the last network go.
    members: PathBuf,
}

impl Sink for Files {
    fn network(&mut self, network: &Network, record: &[u8]) -> Result<(), ExportError> {
        write_file(&self.networks.join(format!("{}.json", network.id)), record)?;
        self.members = self.networks.join(network.id.to_string()).join("member");
        make_directory(&self.members)
    }

    fn member(&mut self, _: NetworkId, address: Address, record: &[u8]) -> Result<(), ExportError> {
        write_file(&self.members.join(format!("{address}.json")), record)
    }
}

fn make_directory(path: &Path) -> Result<(), ExportError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(io_error(path))
}

fn write_file(path: &Path, content: &[u8]) -> Result<(), ExportError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = |mut file: File| {
        file.write_all(content)?;
        // Elsewhere the disk is asked once, at the end.
        if cfg!(target_os = "linux") { Ok(()) } else { file.sync_all() }
    };
    options.open(path).and_then(write).map_err(io_error(path))
}
