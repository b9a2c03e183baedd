//! Moving out: the networks and members as files (`vl2.md` §9, §16; `docs/migration.md`).
//!
//! Everything is read in one transaction, so that the files hold one moment, whatever a running controller does meanwhile.

mod directory;
mod lines;

use std::io;
use std::path::{Path, PathBuf};

use ctl_core::record::{FieldError, unknown_to_the_original};
use ctl_core::{Member, Network};
use serde::Serialize;
use zt_proto::{Address, NetworkId};

use crate::{Store, StoreError, Tx};

/// What the first line of an export in lines says.
pub(crate) const LINES_FORMAT: &str = "ctl-bin-export";
pub(crate) const LINES_VERSION: u64 = 1;

/// Members that are held at a time.
const PAGE: usize = 1_000;

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A directory that the official controller of release 1.14 reads.
    ControllerD,
    /// One file: a line that says what it is, then a record a line, networks before their members.
    Json,
}

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Exported {
    pub networks: u64,
    pub members: u64,
    /// What the official controller does not understand, each with its network.
    pub warnings: Vec<String>,
}

/// Why there was no export. Nothing is left of it then.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("{} is there already (choose another place, or replace it with --force)", path.display())]
    Exists { path: PathBuf },
    #[error("cannot write {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes all networks and members to `path`, readable by its owner only. It appears as a whole, when everything is on
/// the disk; `progress` is told how many records there are so far.
///
/// # Errors
/// [`ExportError::Exists`] if there is something at `path` already other than an empty directory, and `force` is not
/// set.
pub fn export(
    store: &Store,
    format: Format,
    path: &Path,
    force: bool,
    progress: &mut dyn FnMut(u64),
) -> Result<Exported, ExportError> {
    store.read(|tx| match format {
        Format::ControllerD => directory::write(tx, path, force, progress),
        Format::Json => lines::write(tx, path, force, progress),
    })
}

/// Takes a record after the other.
trait Sink {
    fn network(&mut self, network: &Network, record: &[u8]) -> Result<(), ExportError>;
    fn member(&mut self, network: NetworkId, address: Address, record: &[u8]) -> Result<(), ExportError>;
}

/// Gives every record to `sink`, a network and then its members.
fn give(tx: &Tx<'_>, sink: &mut impl Sink, progress: &mut dyn FnMut(u64)) -> Result<Exported, ExportError> {
    let mut exported = Exported::default();
    for id in tx.networks().list()? {
        let Some(network) = tx.networks().get(id)? else { continue };
        let record = to_text(&ctl_core::record::write_network(&network, &tx.networks().extra(id)?))?;
        sink.network(&network, &record)?;
        exported.networks += 1;
        let warnings = unknown_to_the_original(&network);
        exported
            .warnings
            .extend(warnings.iter().map(|warning: &FieldError| format!("network {id}, {warning}")));
        let mut after = None;
        loop {
            let page = tx.members().page(id, after, PAGE)?;
            let Some(last) = page.last() else { break };
            after = Some(last.address);
            for member in &page {
                let record = member_text(tx, member)?;
                sink.member(id, member.address, &record)?;
                exported.members += 1;
            }
            progress(exported.networks + exported.members);
        }
        progress(exported.networks + exported.members);
    }
    Ok(exported)
}

fn member_text(tx: &Tx<'_>, member: &Member) -> Result<Vec<u8>, ExportError> {
    let extra = tx.members().extra(member.network, member.address)?;
    to_text(&ctl_core::record::write_member(member, &extra))
}

fn to_text(record: &serde_json::Map<String, serde_json::Value>) -> Result<Vec<u8>, ExportError> {
    let text = serde_json::to_vec(record);
    text.map_err(|error| StoreError::Internal { what: error.to_string() }.into())
}

/// Returns an error for `path`.
fn io_error(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> ExportError {
    let path = path.into();
    move |source| ExportError::Io { path, source }
}

/// Returns the directory that `path` is in.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
