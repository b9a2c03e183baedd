//! An export of this controller: a record a line, networks before their members.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use ctl_core::record::read_network;
use serde_json::{Map, Value};
use zt_proto::{Address, NetworkId};

use super::directory::{parse_object, read_dated_member};
use super::write::{Found, Undated, Writer};
use super::{ImportError, MAX_RECORD_BYTES, io_error};
use crate::export::{LINES_FORMAT, LINES_VERSION};

pub(super) fn read(path: &Path, writer: &mut Writer<'_>) -> Result<(), ImportError> {
    writer.name("export of this controller");
    let mut file = BufReader::new(File::open(path).map_err(io_error(path))?);
    let mut networks = BTreeSet::new();
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let limited = (&mut file).take(MAX_RECORD_BYTES + 2).read_until(b'\n', &mut line);
        if limited.map_err(io_error(path))? == 0 {
            break;
        }
        let place = format!("line {number}");
        let record = parse_object(&line);
        if number == 1 {
            check_header(path, record.as_ref().ok())?;
            continue;
        }
        match record {
            Ok(record) => take(&record, &place, &mut networks, writer)?,
            Err(reason) => writer.skip_members(1, &place, reason),
        }
    }
    Ok(())
}

fn check_header(path: &Path, header: Option<&Map<String, Value>>) -> Result<(), ImportError> {
    let format = header.and_then(|header| header.get("format")).and_then(Value::as_str);
    let version = header.and_then(|header| header.get("version")).and_then(Value::as_u64);
    let what = match (format, version) {
        (Some(LINES_FORMAT), Some(LINES_VERSION)) => return Ok(()),
        (Some(LINES_FORMAT), version) => {
            let version = version.map_or_else(|| "none".to_owned(), |version| version.to_string());
            format!("it has format version {version}, and this release reads {LINES_VERSION}")
        }
        _ => format!("its first line does not say that it is a {LINES_FORMAT}"),
    };
    Err(ImportError::NotAController { path: path.to_owned(), what })
}

fn take(
    record: &Map<String, Value>,
    place: &str,
    networks: &mut BTreeSet<NetworkId>,
    writer: &mut Writer<'_>,
) -> Result<(), ImportError> {
    let id = |name: &str| record.get(name).and_then(Value::as_str);
    match record.get("objtype").and_then(Value::as_str) {
        Some("network") => {
            let Some(network) = id("id").and_then(|id| id.parse().ok()) else {
                writer.skip_network(place, "id: expected 16 hexadecimal digits");
                return Ok(());
            };
            if !networks.insert(network) {
                writer.skip_network(place, format_args!("network {network} is there before"));
                return Ok(());
            }
            let reading = read_network(record, network, writer.options().now);
            let undated =
                Undated { created: reading.missing.contains(&"creationTime"), last_authorized: false };
            writer.network(Found { reading, undated })
        }
        Some("member") => {
            let network = id("nwid").and_then(|id| id.parse().ok());
            let address = id("id").and_then(|id| id.parse::<Address>().ok());
            let (Some(network), Some(address)) = (network, address) else {
                writer.skip_members(1, place, "nwid and id: expected 16 and 10 hexadecimal digits");
                return Ok(());
            };
            if !networks.contains(&network) {
                writer.skip_members(
                    1,
                    place,
                    format_args!("its network, {network}, does not come before it"),
                );
                return Ok(());
            }
            let (reading, undated) = read_dated_member(record, network, address, writer);
            writer.member(Found { reading, undated })
        }
        _ => {
            writer.skip_members(1, place, "objtype: expected network or member");
            Ok(())
        }
    }
}
