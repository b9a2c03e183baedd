//! Networks of a foreign database (`vl2.md` §15.1, §15.4).

use std::collections::{BTreeMap, BTreeSet};

use ctl_core::Network;
use ctl_core::network::{Pool, Route, V4Assign, V6Assign};
use ctl_core::record::{Reading, cut, pool_of_subnet, read_relay};
use serde_json::{Map, Value, json};
use zt_proto::config::Relay;
use zt_proto::rules::{Rule, RuleBody};
use zt_proto::{NetworkId, Timestamp};

use super::Database;
use super::row::{self, Row};
use crate::import::ImportError;
use crate::import::report::NoteKind;
use crate::import::write::{Found, NetworkName, Undated, Writer};

/// What members have to know of their network.
pub(super) struct NetworkFacts {
    pub(super) id: NetworkId,
    /// As it is in the file.
    pub(super) key: String,
    pub(super) private: bool,
}

/// Bits of `Network.flags`, layout D3 and later.
mod flags {
    pub(super) const V4_ZT: i64 = 1;
    pub(super) const V6_RFC4193: i64 = 2;
    pub(super) const V6_6PLANE: i64 = 4;
    pub(super) const V6_ZT: i64 = 8;
}

impl Database {
    /// Hands a network to the writer; `None` if the row is none.
    pub(super) fn read_network(
        &self,
        row: &Row,
        writer: &mut Writer<'_>,
    ) -> Result<Option<NetworkFacts>, ImportError> {
        let key = row.text("id").unwrap_or_default();
        let Some(id) = row::network_id(&key) else {
            let message = format_args!("id: expected 16 lower-case hexadecimal digits, got {:?}", cut(&key));
            writer.skip_network(self.path.display(), message);
            return Ok(None);
        };
        let mut legacy = Map::new();
        legacy.insert("allowPassiveBridging".to_owned(), row.flag("allowPassiveBridging").into());
        let (relays, relay_rows) = self.relays(id, &key, writer)?;
        legacy.insert("relays".to_owned(), relay_rows.into());
        for (name, table) in [("gateways", "Gateway"), ("multicastRates", "MulticastRate")] {
            let rows = self.rows_of(table, &key, "rowid")?;
            if !rows.is_empty() {
                let rows = rows.iter().map(|row| Value::Object(row.to_json(&["networkId"])));
                legacy.insert(name.to_owned(), rows.collect());
            }
        }
        if let Some(counter) = row.integer("memberRevisionCounter") {
            legacy.insert("memberRevisionCounter".to_owned(), counter.into());
        }
        let usual = Network::new(id, writer.options().now);
        let created = row.unsigned("creationTime");
        let private = row.flag("private");
        let multicast_limit = row.unsigned("multicastLimit").filter(|limit| *limit > 0);
        let (v4_assign, v6_assign) = self.assign_modes(row);
        let network = Network {
            name: row.text("name").unwrap_or_default(),
            private,
            created: created.map_or(usual.created, Timestamp),
            revision: row.unsigned("revision").unwrap_or(1).max(1),
            broadcast: row.flag("enableBroadcast"),
            multicast_limit: multicast_limit.unwrap_or(usual.multicast_limit),
            v4_assign,
            v6_assign,
            routes: self.routes(id, &key, &mut legacy, writer)?,
            pools: self.pools(id, &key, writer)?,
            rules: self.rules(id, &key, &mut legacy, writer)?,
            join_tokens: self.join_tokens(id, &key, writer)?,
            relays,
            ..usual
        };
        let mut reading = Reading::new(network);
        reading.extra.insert("legacy".to_owned(), legacy.into());
        let undated = Undated { created: created.is_none(), last_authorized: false };
        writer.network(Found { reading, undated })?;
        Ok(Some(NetworkFacts { id, key, private }))
    }

    fn assign_modes(&self, row: &Row) -> (V4Assign, V6Assign) {
        if self.layout.has_column("Network", "flags") {
            let bits = row.integer("flags").unwrap_or(0);
            let has = |bit: i64| bits & bit != 0;
            let v6 = V6Assign {
                pool: has(flags::V6_ZT),
                rfc4193: has(flags::V6_RFC4193),
                sixplane: has(flags::V6_6PLANE),
            };
            return (V4Assign { pool: has(flags::V4_ZT) }, v6);
        }
        let v4 = V4Assign { pool: row.text("v4AssignMode").as_deref() == Some("zt") };
        // The mode had no effect before there were ranges.
        let v6 = row.text("v6AssignMode").filter(|_| self.has_ranges());
        let v6_is = |mode| v6.as_deref() == Some(mode);
        (v4, V6Assign { pool: false, rfc4193: v6_is("rfc4193"), sixplane: v6_is("6plane") })
    }

    /// Says whether pools are ranges rather than subnets.
    fn has_ranges(&self) -> bool {
        self.layout.has_column("IpAssignmentPool", "ipRangeStart")
    }

    /// Returns the rows of a network, if there is such a table.
    pub(super) fn rows_of(&self, table: &str, key: &str, order: &str) -> Result<Vec<Row>, ImportError> {
        if !self.layout.has_table(table) {
            return Ok(Vec::new());
        }
        self.rows(&format!("SELECT * FROM \"{table}\" WHERE networkId = ?1 ORDER BY {order}"), [key])
    }

    fn routes(
        &self,
        id: NetworkId,
        key: &str,
        legacy: &mut Map<String, Value>,
        writer: &mut Writer<'_>,
    ) -> Result<Vec<Route>, ImportError> {
        let mut routes = Vec::new();
        if self.layout.has_table("Route") {
            let mut numbers = Vec::new();
            for row in self.rows_of("Route", key, "ipVersion, target, via")? {
                let Some(target) = row.prefix("target", "targetNetmaskBits") else {
                    skip_row(writer, id, "a route", &row);
                    continue;
                };
                let via = row.ip("via").filter(|via| via.is_ipv4() == target.ip().is_ipv4());
                if via.is_none() && row.blob("via").is_some() {
                    skip_row(writer, id, "the gateway of a route", &row);
                }
                routes.push(Route { target, via });
                let number = |name| row.integer(name).unwrap_or(0);
                if (number("flags"), number("metric")) != (0, 0) {
                    numbers.push(json!({
                        "target": target.to_string(), "flags": number("flags"), "metric": number("metric"),
                    }));
                }
            }
            if !numbers.is_empty() {
                legacy.insert("routes".to_owned(), numbers.into());
            }
        } else if self.layout.has_column("IpAssignment", "type") {
            let sql = "SELECT * FROM IpAssignment WHERE networkId = ?1 AND type = 1 AND nodeId IS NULL \
                       ORDER BY ipVersion, ip";
            for row in self.rows(sql, [key])? {
                match row.prefix("ip", "ipNetmaskBits") {
                    Some(target) => routes.push(Route { target, via: None }),
                    None => skip_row(writer, id, "a route", &row),
                }
            }
        } else {
            // Addresses needed no route then, and are not sent without one today.
            let mut subnets = BTreeSet::new();
            for row in self.rows_of("IpAssignmentPool", key, "rowid")? {
                subnets.extend(row.prefix("ipNetwork", "ipNetmaskBits").map(|subnet| subnet.network()));
            }
            for row in self.rows_of("IpAssignment", key, "rowid")? {
                subnets.extend(row.prefix("ip", "ipNetmaskBits").map(|subnet| subnet.network()));
            }
            routes.extend(subnets.into_iter().map(|target| Route { target, via: None }));
        }
        Ok(routes)
    }

    fn pools(&self, id: NetworkId, key: &str, writer: &mut Writer<'_>) -> Result<Vec<Pool>, ImportError> {
        let mut pools = Vec::new();
        let order = if self.has_ranges() { "ipVersion, ipRangeStart" } else { "ipVersion, ipNetwork" };
        for row in self.rows_of("IpAssignmentPool", key, order)? {
            let pool = if self.has_ranges() {
                row.ip("ipRangeStart").zip(row.ip("ipRangeEnd")).map(|(first, last)| Pool { first, last })
            } else {
                row.prefix("ipNetwork", "ipNetmaskBits").map(pool_of_subnet)
            };
            match pool {
                Some(pool) => pools.push(pool),
                None => skip_row(writer, id, "a pool", &row),
            }
        }
        Ok(pools)
    }

    /// Returns the rules: a list of Ethernet types was all that was ever applied.
    fn rules(
        &self,
        id: NetworkId,
        key: &str,
        legacy: &mut Map<String, Value>,
        writer: &mut Writer<'_>,
    ) -> Result<Vec<Rule>, ImportError> {
        let order = if self.layout.has_column("Rule", "ruleNo") { "ruleNo" } else { "rowid" };
        let mut types = BTreeSet::new();
        let mut ignored = Vec::new();
        for row in self.rows_of("Rule", key, order)? {
            let is_accept = row.text("action").as_deref() == Some("accept");
            if is_accept {
                let ether_type = row.integer("etherType").unwrap_or(0);
                types.insert(u16::try_from(ether_type & 0xffff).unwrap_or(0));
            }
            let fields = row.to_json(&["networkId"]);
            let has_effect = |name: &str| matches!(name, "ruleNo" | "ruleId" | "etherType" | "action");
            if !is_accept || fields.keys().any(|name| !has_effect(name)) {
                ignored.push(Value::Object(fields));
            }
        }
        if !ignored.is_empty() {
            let message = format!(
                "{} rules have conditions or actions that were never applied; they are kept for an export only: {}",
                ignored.len(),
                cut(&Value::from(ignored.clone()).to_string())
            );
            writer.note(NoteKind::Suspicious, NetworkName(id), message);
            legacy.insert("rules".to_owned(), ignored.into());
        }
        if types.is_empty() {
            let message = "it has no rule that accepts anything, so nothing passes, as before";
            writer.note(NoteKind::Suspicious, NetworkName(id), message);
        }
        Ok(rules_for(&types))
    }

    fn join_tokens(
        &self,
        id: NetworkId,
        key: &str,
        writer: &mut Writer<'_>,
    ) -> Result<BTreeMap<String, Timestamp>, ImportError> {
        let mut tokens = BTreeMap::new();
        for row in self.rows_of("AuthToken", key, "rowid")? {
            let number = |name| row.unsigned(name).unwrap_or(0);
            let (uses, max) = (number("useCount"), number("maxUses"));
            // The token itself is a secret, which has no place in a report.
            let Some(token) = row.text("token").filter(|token| !token.is_empty()) else {
                writer.note(NoteKind::Skipped, NetworkName(id), "a join token without text was left out");
                continue;
            };
            if max > 0 && uses >= max {
                writer.note(NoteKind::Skipped, NetworkName(id), "a join token that is used up was left out");
                continue;
            }
            if max > 0 {
                let message =
                    format_args!("a join token was for {max} uses; now it can be used any number of times");
                writer.note(NoteKind::Suspicious, NetworkName(id), message);
            }
            tokens.insert(token, Timestamp(number("expiresAt")));
        }
        Ok(tokens)
    }

    /// Returns relays that can be used, and the rows of all that are none of the garbage which an early release stored.
    fn relays(
        &self,
        id: NetworkId,
        key: &str,
        writer: &mut Writer<'_>,
    ) -> Result<(Vec<Relay>, Vec<Value>), ImportError> {
        let column = if self.layout.has_column("Relay", "address") { "address" } else { "nodeId" };
        let (mut relays, mut rows) = (Vec::<Relay>::new(), Vec::new());
        for row in self.rows_of("Relay", key, "rowid")? {
            let text = row.text(column).unwrap_or_default();
            if row::address(&text).is_none() {
                let message = format!("invalid relay address {}, left out", cut(&text));
                writer.note(NoteKind::Skipped, NetworkName(id), message);
                continue;
            }
            let entry = json!({ "address": text, "phyAddress": row.text("phyAddress") });
            let problem = match read_relay(&entry) {
                Ok(relay) if relays.iter().any(|known| known.address == relay.address) => {
                    Some("it is there twice".to_owned())
                }
                Ok(_) if relays.len() >= Network::MAX_SPECIAL_NODES => {
                    Some(format!("a network has {} at most", Network::MAX_SPECIAL_NODES))
                }
                Ok(relay) => {
                    relays.push(relay);
                    None
                }
                Err(error) => Some(error.to_string()),
            };
            if let Some(problem) = problem {
                let message = format!("the relay {text} is kept for an export only: {problem}");
                writer.note(NoteKind::Suspicious, NetworkName(id), message);
            }
            rows.push(entry);
        }
        if !relays.is_empty() {
            let message = format!("{} relays were taken; clients before 1.4.0 use them", relays.len());
            writer.note(NoteKind::Remark, NetworkName(id), message);
        }
        Ok((relays, rows))
    }
}

/// Returns the rules that let frames of these Ethernet types pass; 0 is all of them.
fn rules_for(types: &BTreeSet<u16>) -> Vec<Rule> {
    let plain = |body| Rule { not: false, or: false, body };
    if types.contains(&0) {
        return vec![Rule::ACCEPT];
    }
    let accepts = types.iter().flat_map(|kind| [plain(RuleBody::EtherType(*kind)), Rule::ACCEPT]);
    accepts.chain([plain(RuleBody::Drop)]).collect()
}

fn skip_row(writer: &mut Writer<'_>, id: NetworkId, what: &str, row: &Row) {
    let row = Value::Object(row.to_json(&["networkId"])).to_string();
    writer.note(NoteKind::Skipped, NetworkName(id), format_args!("{what} cannot be read: {}", cut(&row)));
}
