//! Members of a foreign database (`vl2.md` §15.2).

use std::net::IpAddr;

use ctl_core::Member;
use ctl_core::member::Credential;
use ctl_core::record::{History, Reading, cut, parse_recent_history, parse_version};
use serde_json::Value;
use zt_proto::{Address, PublicIdentity, Timestamp};

use super::Database;
use super::network::NetworkFacts;
use super::row::{self, Row};
use crate::import::ImportError;
use crate::import::report::NoteKind;
use crate::import::write::{Found, MemberName, NetworkName, Undated, Writer};

impl Database {
    /// Hands the members of a network to the writer.
    pub(super) fn read_members(
        &self,
        network: &NetworkFacts,
        writer: &mut Writer<'_>,
    ) -> Result<(), ImportError> {
        let sql = "SELECT * FROM Member WHERE networkId = ?1 ORDER BY nodeId";
        self.each(sql, [&network.key], |row| self.read_member(&row, network, writer))?;
        self.report_ownerless_addresses(network, writer)
    }

    fn read_member(
        &self,
        row: &Row,
        network: &NetworkFacts,
        writer: &mut Writer<'_>,
    ) -> Result<(), ImportError> {
        let key = row.text("nodeId").unwrap_or_default();
        let Some(address) = row::address(&key) else {
            let message =
                format_args!("nodeId: expected 10 lower-case hexadecimal digits, got {:?}", cut(&key));
            writer.skip_members(1, NetworkName(network.id), message);
            return Ok(());
        };
        let now = writer.options().now;
        let place = MemberName(network.id, address);
        let node = self.rows("SELECT * FROM Node WHERE id = ?1", [&key])?.into_iter().next();
        let history = self.history(row, node.as_ref(), network, &key)?;
        if history.unreadable > 0 {
            let message = format_args!("{} entries of its history cannot be read", history.unreadable);
            writer.note(NoteKind::Skipped, place, message);
        }
        let in_file = row.flag("authorized");
        let is_doubtful = self.layout.has_doubtful_authorizations() && !writer.options().trust_authorizations;
        let authorized = if is_doubtful { !network.private } else { in_file };
        let created = node.as_ref().and_then(|node| node.unsigned("firstSeen"));
        let active_bridge = row.flag("activeBridge");
        let member = Member {
            identity: read_identity(node.as_ref(), address, place, writer),
            authorized,
            active_bridge,
            ip_assignments: self.ip_assignments(network, &key, place, writer)?,
            created: created.map_or(now, Timestamp),
            revision: row.unsigned("memberRevision").unwrap_or(1).max(1),
            last_authorized: if authorized { now } else { Timestamp(0) },
            credential: authorized.then_some(if network.private {
                Credential::Api
            } else {
                Credential::Public
            }),
            version: history.version,
            ..Member::new(network.id, address, now)
        };
        let mut legacy = history.to_extra();
        if is_doubtful && in_file && !authorized {
            let message = format_args!(
                "member {address} of {} was authorized in the file, not trusted: releases of 2015 stored the opposite \
                 for members that came by themselves (--trust-authorizations believes it)",
                network.id
            );
            writer.note(NoteKind::Suspicious, place, message);
            legacy.insert("wasAuthorized".to_owned(), true.into());
        }
        if active_bridge && self.layout.has_column("Member", "recentHistory") {
            let message =
                "as a bridge it got no address by itself; now it gets one, unless noAutoAssignIps is set";
            writer.note(NoteKind::Suspicious, place, message);
        }
        let mut reading = Reading::new(member);
        if !legacy.is_empty() {
            reading.extra.insert("legacy".to_owned(), legacy.into());
        }
        writer.member(Found {
            reading,
            undated: Undated { created: created.is_none(), last_authorized: authorized },
        })
    }

    fn history(
        &self,
        row: &Row,
        node: Option<&Row>,
        network: &NetworkFacts,
        key: &str,
    ) -> Result<History, ImportError> {
        if let Some(blob) = row.blob("recentHistory") {
            let mut history = parse_recent_history(blob);
            history.last_seen =
                row.unsigned("lastRequestTime").filter(|time| *time > 0).or(history.last_seen);
            return Ok(history);
        }
        let log = ["Log", "NodeHistory"].into_iter().find(|table| {
            ["networkId", "nodeId", "ts", "version", "fromAddr"]
                .iter()
                .all(|column| self.layout.has_column(table, column))
        });
        if let Some(table) = log {
            let index = if table == "Log" { "INDEXED BY import_of_log" } else { "" };
            let sql = format!(
                "SELECT * FROM \"{table}\" {index} WHERE networkId = ?1 AND nodeId = ?2 ORDER BY ts DESC, rowid DESC LIMIT 1"
            );
            let newest = self.rows(&sql, [&network.key, key])?.into_iter().next();
            return Ok(newest.map_or_else(History::default, |newest| History {
                last_seen: newest.unsigned("ts"),
                last_address: newest.text("fromAddr").filter(|text| !text.is_empty()),
                version: newest.text("version").and_then(|text| parse_version(&text)),
                ..History::default()
            }));
        }
        Ok(History {
            last_seen: node.and_then(|node| node.unsigned("lastSeen")).filter(|time| *time > 0),
            // Empty if the first request came through a relay.
            last_address: node.and_then(|node| node.text("lastAt")).filter(|text| !text.is_empty()),
            ..History::default()
        })
    }

    fn ip_assignments(
        &self,
        network: &NetworkFacts,
        key: &str,
        place: MemberName,
        writer: &mut Writer<'_>,
    ) -> Result<Vec<IpAddr>, ImportError> {
        // Told which index, as SQLite may prefer one that has the order and go through the whole network.
        let sql = "SELECT * FROM IpAssignment INDEXED BY import_of_addresses WHERE networkId = ?1 AND nodeId = ?2 \
                   ORDER BY ip";
        let mut addresses = Vec::new();
        for row in self.rows(sql, [&network.key, key])? {
            match row.ip("ip").filter(|_| row.integer("type").unwrap_or(0) == 0) {
                Some(ip) if addresses.contains(&ip) => {
                    writer.note(NoteKind::Changed, place, format_args!("{ip} is there twice; kept once"));
                }
                Some(ip) => addresses.push(ip),
                None => {
                    let row = Value::Object(row.to_json(&["networkId", "nodeId"])).to_string();
                    let message = format_args!("an address cannot be read: {}", cut(&row));
                    writer.note(NoteKind::Skipped, place, message);
                }
            }
        }
        Ok(addresses)
    }

    fn report_ownerless_addresses(
        &self,
        network: &NetworkFacts,
        writer: &mut Writer<'_>,
    ) -> Result<(), ImportError> {
        let sql = "SELECT nodeId, count(*) AS count FROM IpAssignment WHERE networkId = ?1 AND nodeId IS NOT NULL \
                   AND nodeId NOT IN (SELECT nodeId FROM Member WHERE networkId = ?1) GROUP BY nodeId";
        self.each(sql, [&network.key], |row| {
            let (node, count) = (row.text("nodeId").unwrap_or_default(), row.integer("count").unwrap_or(0));
            let message = format!("{count} addresses of {:?}, which is no member, were left out", cut(&node));
            writer.note(NoteKind::Skipped, NetworkName(network.id), message);
            Ok(())
        })
    }
}

fn read_identity(
    node: Option<&Row>,
    address: Address,
    place: MemberName,
    writer: &mut Writer<'_>,
) -> Option<PublicIdentity> {
    let text = node.and_then(|node| node.text("identity")).unwrap_or_default();
    let identity = text.parse().ok().filter(|identity: &PublicIdentity| identity.address == address);
    if identity.is_none() {
        let message = format!(
            "expected its identity, got {:?}; without one, whoever asks first with this address is taken",
            cut(&text)
        );
        writer.note(NoteKind::Suspicious, place, message);
    }
    identity
}
