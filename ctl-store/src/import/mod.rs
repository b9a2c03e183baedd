//! Moving in: networks and members of other controllers (`vl2.md` §15, §16; `docs/migration.md`).
//!
//! | module | reads |
//! |---|---|
//! | [`mod@detect`] | what a path is, by its content |
//! | `directory` | a `controller.d` of releases since 1.2 |
//! | `database` | a `controller.db` of releases up to 1.1.14, every layout |
//! | `lines` | an export of this controller |
//! | `peers` | the identities that a node keeps of others |
//!
//! Each goes through its source once, network by network, and hands every record to a `Writer`, which compares it with
//! what is there and saves it in transactions of bounded size. Sources are only read. Nothing is left out in silence:
//! see [`Report`].

mod database;
pub mod detect;
mod directory;
mod lines;
mod peers;
mod report;
mod write;

use std::io;
use std::path::PathBuf;

use zt_proto::{Address, Timestamp};

use crate::{Store, StoreError};

pub use detect::{Kind, Source, detect};
pub use report::{Note, NoteKind, Report, Tally};

use write::Writer;

/// The largest file that is taken for one record, in bytes. The largest network that clients can take has less than a
/// hundredth of it.
const MAX_RECORD_BYTES: u64 = 16 << 20;

/// How to import.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// When things happened of which the source does not say when.
    pub now: Timestamp,
    /// The address of the controller that is to serve the networks; `None` if it is not known yet.
    pub controller: Option<Address>,
    /// Replace records that are there already and differ. Otherwise they stay as they are.
    pub overwrite: bool,
    /// Believe the authorizations in a database of June 2015, which may be inverted (`vl2.md` §13.2).
    pub trust_authorizations: bool,
}

/// How far an import got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    pub networks: u64,
    pub members: u64,
}

/// Why there was no import, or why it ended early. What was saved until then stays; another import goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("cannot read {}: {source} (the user that runs this must be able to read it)", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is not something that can be imported: {what}", path.display())]
    NotAController { path: PathBuf, what: String },
    #[error(
        "{} is a database of this controller (copy it to the other home while no controller runs, or restore a backup)",
        path.display()
    )]
    Ours { path: PathBuf },
    #[error("{} is damaged: {what} (it was not touched; try its backup, controller.db.backup)", path.display())]
    Damaged { path: PathBuf, what: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Imports `source` into `store`, and tells `progress` how far it got from time to time.
///
/// Importing the same again changes nothing.
///
/// # Errors
/// For a source that cannot be read as a whole, and for a store that cannot be written. Single records that cannot be
/// read are in the report.
pub fn import(
    source: &Source,
    store: &Store,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, ImportError> {
    let mut writer = Writer::new(store, *options, progress);
    if let Some(peers) = &source.peers {
        let identities = peers::read(peers, &mut writer)?;
        writer.know(identities);
    }
    match &source.kind {
        Kind::Directory { networks } => directory::read(networks, &mut writer)?,
        Kind::Database { file } => database::read(file, &mut writer)?,
        Kind::Lines { file } => lines::read(file, &mut writer)?,
        Kind::Nothing => {}
    }
    writer.finish()
}

/// Returns an error for `path`.
fn io_error(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> ImportError {
    let path = path.into();
    move |source| ImportError::Io { path, source }
}
