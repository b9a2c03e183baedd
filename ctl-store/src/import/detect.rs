//! What a path is, by its content.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{ImportError, io_error};
use crate::migrate;

/// How an SQLite file begins.
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Where its application id is, four bytes, big-endian.
const APPLICATION_ID_OFFSET: usize = 68;
const HEADER_LEN: usize = 100;

/// Something that can be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub kind: Kind,
    /// The home of a node, if the path is one: its identity, planet, moons and token are there.
    pub home: Option<PathBuf>,
    /// The directory with the identities that a node keeps of others.
    pub peers: Option<PathBuf>,
    /// Another file with networks that is not read, as the home has a newer one.
    pub ignored: Option<PathBuf>,
}

/// Where the networks are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The directory with `ID.json` and `ID/member/ADDRESS.json`.
    Directory { networks: PathBuf },
    /// A database of a release up to 1.1.14.
    Database { file: PathBuf },
    /// An export of this controller, a record a line.
    Lines { file: PathBuf },
    /// The node never was a controller.
    Nothing,
}

impl Source {
    fn of(kind: Kind) -> Self {
        Self { kind, home: None, peers: None, ignored: None }
    }
}

/// Says what `path` is: a whole ZeroTier home, a `controller.d`, a `controller.db` or an export.
///
/// # Errors
/// If it is none of them, or belongs to this controller already.
pub fn detect(path: &Path) -> Result<Source, ImportError> {
    let metadata = fs::metadata(path).map_err(io_error(path))?;
    if metadata.is_file() {
        return detect_file(path).map(Source::of);
    }
    let not = |what: &str| ImportError::NotAController { path: path.to_owned(), what: what.to_owned() };
    if !metadata.is_dir() {
        return Err(not("it is neither a directory nor a file"));
    }
    let (records, database) = (path.join("controller.d"), path.join("controller.db"));
    if records.is_dir() || database.is_file() || path.join("identity.secret").is_file() {
        return detect_home(path, &records, &database);
    }
    if path.join("network").is_dir() {
        return Ok(Source::of(Kind::Directory { networks: path.join("network") }));
    }
    if has_network_file(path)? {
        return Ok(Source::of(Kind::Directory { networks: path.to_owned() }));
    }
    Err(not(
        "a directory with controller.d, controller.db or identity.secret was expected, or a controller.d with its \
         directory network",
    ))
}

fn detect_home(path: &Path, records: &Path, database: &Path) -> Result<Source, ImportError> {
    let networks = records.join("network");
    let has_records = networks.is_dir() && has_network_file(&networks)?;
    let old = if database.is_file() { Some(detect_file(database)?) } else { None };
    let (kind, ignored) = match old {
        // The releases that write controller.d took over what the database had.
        Some(_) if has_records => (Kind::Directory { networks }, Some(database.to_owned())),
        Some(old) => (old, None),
        None if networks.is_dir() => (Kind::Directory { networks }, None),
        None => (Kind::Nothing, None),
    };
    let peers = Some(path.join("peers.d")).filter(|peers| peers.is_dir());
    Ok(Source { kind, home: Some(path.to_owned()), peers, ignored })
}

fn detect_file(path: &Path) -> Result<Kind, ImportError> {
    let mut header = Vec::with_capacity(HEADER_LEN);
    let file = File::open(path).map_err(io_error(path))?;
    file.take(HEADER_LEN as u64).read_to_end(&mut header).map_err(io_error(path))?;
    if header.starts_with(SQLITE_MAGIC) {
        let id = header.get(APPLICATION_ID_OFFSET..).and_then(<[u8]>::first_chunk);
        if id.copied().map(u32::from_be_bytes) == Some(migrate::APPLICATION_ID) {
            return Err(ImportError::Ours { path: path.to_owned() });
        }
        return Ok(Kind::Database { file: path.to_owned() });
    }
    if header.trim_ascii_start().starts_with(b"{") {
        return Ok(Kind::Lines { file: path.to_owned() });
    }
    let what =
        if header.is_empty() { "it is empty" } else { "it is neither an SQLite database nor an export" };
    Err(ImportError::NotAController { path: path.to_owned(), what: what.to_owned() })
}

fn has_network_file(directory: &Path) -> Result<bool, ImportError> {
    for entry in fs::read_dir(directory).map_err(io_error(directory))? {
        let name = entry.map_err(io_error(directory))?.file_name();
        if name.to_str().is_some_and(super::directory::is_network_file) {
            return Ok(true);
        }
    }
    Ok(false)
}
