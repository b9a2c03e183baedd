//! The identities that a node keeps of others: `peers.d` (`vl1.md` §18.3).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use zt_proto::codec::Reader;
use zt_proto::{Address, PublicIdentity};

use super::report::NoteKind;
use super::write::Writer;
use super::{ImportError, io_error};

/// Most peers that are read; a node forgets them after 30 days.
const MAX_PEERS: usize = 100_000;
/// The version byte of the only format, and how much of a file is needed.
const VERSION: u8 = 2;
const NEEDED: u64 = 1 + PublicIdentity::WIRE_LEN as u64;

/// Reads the identities by address. Whether an address belongs to its keys is not checked here.
pub(super) fn read(
    directory: &Path,
    writer: &mut Writer<'_>,
) -> Result<BTreeMap<Address, PublicIdentity>, ImportError> {
    let mut identities = BTreeMap::new();
    for entry in fs::read_dir(directory).map_err(io_error(directory))? {
        let path = entry.map_err(io_error(directory))?.path();
        if path.extension().is_none_or(|extension| extension != "peer") {
            continue;
        }
        if identities.len() == MAX_PEERS {
            let message = format!("it has more than {MAX_PEERS} files; the others were not read");
            writer.note(NoteKind::Skipped, directory.display(), message);
            break;
        }
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(NEEDED).read_to_end(&mut bytes));
        match read.ok().and_then(|_| parse(&bytes)) {
            Some(identity) => {
                identities.insert(identity.address, identity);
            }
            None => writer.note(NoteKind::Skipped, path.display(), "it holds no identity of a peer"),
        }
    }
    Ok(identities)
}

/// Reads the beginning of a peer file.
pub(super) fn parse(bytes: &[u8]) -> Option<PublicIdentity> {
    let mut reader = Reader::new(bytes);
    (reader.u8("version").ok()? == VERSION).then_some(())?;
    PublicIdentity::parse(&mut reader).ok()
}
