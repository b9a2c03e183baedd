//! A `controller.d`: one JSON file per network and member (`vl2.md` §16).
//!
//! As in the original, what a file says of itself counts, and its name does not; but where the two differ, or a file
//! cannot be read, that is reported.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;

use ctl_core::record::{read_member, read_network};
use serde_json::{Map, Value};
use zt_proto::{Address, NetworkId};

use super::report::NoteKind;
use super::write::{Found, Undated, Writer};
use super::{ImportError, MAX_RECORD_BYTES, io_error};

const SUFFIX: &str = ".json";
const ID_DIGITS: usize = 16;
const ADDRESS_DIGITS: usize = 10;

/// Says whether a file of this name is taken for a network.
pub(super) fn is_network_file(name: &str) -> bool {
    stem(name, ID_DIGITS).is_some()
}

/// Returns the hexadecimal digits of `DIGITS.json`.
fn stem(name: &str, digits: usize) -> Option<&str> {
    let stem = name.strip_suffix(SUFFIX)?;
    (stem.len() == digits && stem.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(stem)
}

pub(super) fn read(networks: &Path, writer: &mut Writer<'_>) -> Result<(), ImportError> {
    writer.name("controller.d");
    let names = names(networks)?;
    let mut found = BTreeSet::new();
    for name in &names {
        let path = networks.join(name);
        let Some(id) = name.to_str().and_then(|name| stem(name, ID_DIGITS)) else { continue };
        match read_object(&path) {
            Ok(record) => {
                if let Some(id) = id_of(&record, "id", id, &path, writer) {
                    take_network(&record, id, &path, &mut found, writer)?;
                }
            }
            // The original writes in place: a crash leaves half a file, and it then forgets the network in silence.
            Err(reason) => writer.skip_network(
                path.display(),
                format_args!("{reason}: without it, its members were not imported either"),
            ),
        }
    }
    // The original looks for members under the id that the network's record has.
    for name in names {
        let path = networks.join(&name);
        let text = name.to_string_lossy();
        match NetworkId::from_str(&text) {
            Ok(id) if path.is_dir() => read_members(&path.join("member"), id, &found, writer)?,
            _ if is_network_file(&text) => {}
            _ => writer.note(NoteKind::Remark, path.display(), "it is no network; ignored"),
        }
    }
    Ok(())
}

fn take_network(
    record: &Map<String, Value>,
    id: NetworkId,
    path: &Path,
    found: &mut BTreeSet<NetworkId>,
    writer: &mut Writer<'_>,
) -> Result<(), ImportError> {
    if !found.insert(id) {
        let message = format_args!("network {id} is in another file too, which was imported");
        writer.skip_network(path.display(), message);
        return Ok(());
    }
    let reading = read_network(record, id, writer.options().now);
    let undated = Undated { created: reading.missing.contains(&"creationTime"), last_authorized: false };
    writer.network(Found { reading, undated })
}

fn read_members(
    directory: &Path,
    network: NetworkId,
    found: &BTreeSet<NetworkId>,
    writer: &mut Writer<'_>,
) -> Result<(), ImportError> {
    if !directory.is_dir() {
        return Ok(());
    }
    let names = names(directory)?;
    if !found.contains(&network) {
        let is_member =
            |name: &OsString| name.to_str().is_some_and(|name| stem(name, ADDRESS_DIGITS).is_some());
        let count = names.iter().filter(|name| is_member(name)).count() as u64;
        let message =
            format_args!("the record of network {network} is missing, so its members were left out: {count}");
        writer.skip_members(count, directory.display(), message);
        return Ok(());
    }
    for name in names {
        let path = directory.join(&name);
        let Some(address) = name.to_str().and_then(|name| stem(name, ADDRESS_DIGITS)) else {
            writer.note(NoteKind::Remark, path.display(), "it is no member; ignored");
            continue;
        };
        match read_object(&path) {
            Ok(record) => {
                if let Some(address) = id_of(&record, "id", address, &path, writer) {
                    take_member(&record, network, address, &path, found, writer)?;
                }
            }
            Err(reason) => writer.skip_members(1, path.display(), reason),
        }
    }
    Ok(())
}

fn take_member(
    record: &Map<String, Value>,
    folder: NetworkId,
    address: Address,
    path: &Path,
    found: &BTreeSet<NetworkId>,
    writer: &mut Writer<'_>,
) -> Result<(), ImportError> {
    let folder_name = folder.to_string();
    let Some(network) = id_of::<NetworkId>(record, "nwid", &folder_name, path, writer) else { return Ok(()) };
    if !found.contains(&network) {
        let message = format_args!("the record of its network, {network}, is missing");
        writer.skip_members(1, path.display(), message);
        return Ok(());
    }
    let (reading, undated) = read_dated_member(record, network, address, writer);
    writer.member(Found { reading, undated })
}

/// Reads a member, and says which of its times are of the import.
pub(super) fn read_dated_member(
    record: &Map<String, Value>,
    network: NetworkId,
    address: Address,
    writer: &Writer<'_>,
) -> (ctl_core::record::Reading<ctl_core::Member>, Undated) {
    let reading = read_member(record, network, address, writer.options().now);
    let undated = Undated { created: reading.missing.contains(&"creationTime"), last_authorized: false };
    (reading, undated)
}

/// Returns the id that a record has, or that of its file if it has none. Where they differ, that is noted.
///
/// `None` if what the record has is no id: it is nothing then, as for the original.
fn id_of<T: FromStr>(
    record: &Map<String, Value>,
    field: &str,
    file: &str,
    path: &Path,
    writer: &mut Writer<'_>,
) -> Option<T> {
    let Some(value) = record.get(field) else {
        let message = format_args!("it has no {field}; {file} was taken from the name");
        writer.note(NoteKind::Changed, path.display(), message);
        return file.parse().ok();
    };
    let id = value.as_str().and_then(|text| text.parse().ok());
    if id.is_none() {
        let message = format!("{field}: expected hexadecimal digits as in {file}, got {}", cut(value));
        if field == "id" && file.len() == ID_DIGITS {
            writer.skip_network(path.display(), message);
        } else {
            writer.skip_members(1, path.display(), message);
        }
    } else if value.as_str() != Some(file) {
        let message = format!("{field}: it says {}, and its name {file}; the first was taken", cut(value));
        writer.note(NoteKind::Suspicious, path.display(), message);
    }
    id
}

fn cut(value: &Value) -> String {
    ctl_core::record::cut(&value.to_string())
}

/// Reads a file that holds one object.
///
/// # Errors
/// A sentence for the report.
fn read_object(path: &Path) -> Result<Map<String, Value>, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_RECORD_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|error| format!("it cannot be read: {error}"))?;
    parse_object(&bytes)
}

/// Reads the text of one object.
///
/// # Errors
/// A sentence for the report.
pub(super) fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    if bytes.trim_ascii().is_empty() {
        return Err("it is empty, as after a crash".to_owned());
    }
    if bytes.len() as u64 > MAX_RECORD_BYTES {
        return Err(format!("it has more than {MAX_RECORD_BYTES} bytes"));
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(format!("expected a JSON object, got {}", cut(&other))),
        Err(error) if error.is_eof() => Err(format!("it ends too early, as after a crash ({error})")),
        Err(error) => Err(format!("it is not JSON: {error}")),
    }
}

/// Returns the names in a directory, sorted, so that every import goes the same way.
fn names(directory: &Path) -> Result<Vec<OsString>, ImportError> {
    let entries = fs::read_dir(directory).map_err(io_error(directory))?;
    let names: io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.file_name())).collect();
    let mut names = names.map_err(io_error(directory))?;
    names.sort();
    Ok(names)
}
