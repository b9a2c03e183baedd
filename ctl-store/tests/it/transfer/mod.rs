//! Moving in and out.

mod databases;
mod directories;
mod exports;
mod legacy;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ctl_core::{Member, Network};
use ctl_store::Store;
use ctl_store::import::{self, ImportError, NoteKind, Options, Report};
use serde_json::{Map, Value};
use zt_proto::{Address, NetworkId, Timestamp};

/// The time of `legacy_import.json`.
pub(crate) const IMPORT_TIME: Timestamp = Timestamp(1_700_000_000_000);

pub(crate) fn options() -> Options {
    Options { now: IMPORT_TIME, controller: None, overwrite: false, trust_authorizations: false }
}

pub(crate) fn import(path: &Path, store: &Store, options: Options) -> Result<Report, ImportError> {
    import::import(&import::detect(path)?, store, &options, &mut |_| ())
}

/// Everything in a store.
#[derive(Debug, PartialEq)]
pub(crate) struct Content {
    pub(crate) networks: BTreeMap<NetworkId, (Network, Map<String, Value>)>,
    pub(crate) members: BTreeMap<(NetworkId, Address), (Member, Map<String, Value>)>,
}

pub(crate) fn content(store: &Store) -> Content {
    let read = |tx: &ctl_store::Tx<'_>| {
        let mut content = Content { networks: BTreeMap::new(), members: BTreeMap::new() };
        for id in tx.networks().list()? {
            let network = tx.networks().get(id)?.unwrap();
            content.networks.insert(id, (network, tx.networks().extra(id)?));
            for member in tx.members().list(id)? {
                let extra = tx.members().extra(id, member.address)?;
                content.members.insert((id, member.address), (member, extra));
            }
        }
        Ok::<_, ctl_store::StoreError>(content)
    };
    store.read(read).unwrap()
}

/// Says whether a note of this kind is about `place` and has `words`.
pub(crate) fn has_note(report: &Report, kind: NoteKind, place: &str, words: &str) -> bool {
    let mut notes = report.notes.iter();
    notes.any(|note| note.kind == kind && note.place.contains(place) && note.message.contains(words))
}

/// Every file below `path`, with its content and when it was changed.
pub(crate) fn files(path: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut found = BTreeMap::new();
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        let metadata = fs::metadata(&path).unwrap();
        if metadata.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            found.insert(path, (Vec::new(), metadata.modified().unwrap()));
        } else {
            found.insert(path.clone(), (fs::read(&path).unwrap(), metadata.modified().unwrap()));
        }
    }
    found
}
