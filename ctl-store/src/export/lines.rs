//! An export in one file.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use ctl_core::Network;
use serde_json::json;
use tempfile::NamedTempFile;
use zt_proto::{Address, NetworkId};

use super::{ExportError, Exported, LINES_FORMAT, LINES_VERSION, Sink, give, io_error, parent};
use crate::Tx;

pub(super) fn write(
    tx: &Tx<'_>,
    path: &Path,
    force: bool,
    progress: &mut dyn FnMut(u64),
) -> Result<Exported, ExportError> {
    if fs::symlink_metadata(path).is_ok() && !force {
        return Err(ExportError::Exists { path: path.to_owned() });
    }
    // Made with mode 0600.
    let file = NamedTempFile::new_in(parent(path)).map_err(io_error(parent(path)))?;
    let mut lines = Lines { out: BufWriter::new(file), path };
    let header = json!({ "format": LINES_FORMAT, "version": LINES_VERSION });
    lines.line(header.to_string().as_bytes())?;
    let exported = give(tx, &mut lines, progress)?;
    let file = lines.out.into_inner().map_err(|error| io_error(path)(error.into_error()))?;
    file.as_file().sync_all().map_err(io_error(path))?;
    let place = |error: tempfile::PersistError| io_error(path)(error.error);
    if force {
        file.persist(path).map_err(place)?;
    } else {
        // Somebody may have put a file there meanwhile.
        file.persist_noclobber(path).map_err(place)?;
    }
    File::open(parent(path)).and_then(|directory| directory.sync_all()).map_err(io_error(parent(path)))?;
    Ok(exported)
}

struct Lines<'a> {
    out: BufWriter<NamedTempFile>,
    path: &'a Path,
}

impl Lines<'_> {
    fn line(&mut self, record: &[u8]) -> Result<(), ExportError> {
        let written = self.out.write_all(record).and_then(|()| self.out.write_all(b"\n"));
        written.map_err(io_error(self.path))
    }
}

impl Sink for Lines<'_> {
    fn network(&mut self, _: &Network, record: &[u8]) -> Result<(), ExportError> {
        self.line(record)
    }

    fn member(&mut self, _: NetworkId, _: Address, record: &[u8]) -> Result<(), ExportError> {
        self.line(record)
    }
}
