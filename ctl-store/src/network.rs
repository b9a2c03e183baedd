//! Networks, and the lists that belong to one.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use ctl_core::Network;
use ctl_core::network::{
    CapabilityDefinition, Dns, Pool, RemoteTrace, Route, TagDefinition, V4Assign, V6Assign,
};
use rusqlite::{named_params, params};
use zt_proto::config::Relay;
use zt_proto::{Address, IpPrefix, NetworkId, Timestamp};

use crate::Tx;
use crate::column::{AddressColumn, Columns, IpColumn, NetworkColumn, RulesColumn, U64Column, rule_table};
use crate::error::StoreError;

// Roles of special nodes, as the table names them.
const RELAY: &str = "relay";
const ANCHOR: &str = "anchor";
const REPLICATOR: &str = "replicator";

fn addresses(nodes: Vec<Relay>) -> Vec<Address> {
    nodes.into_iter().map(|node| node.address).collect()
}

/// The networks, inside a transaction.
pub struct Networks<'a> {
    pub(crate) tx: &'a Tx<'a>,
}

impl Networks<'_> {
    /// Returns the network, or `None` if there is none of that id.
    pub fn get(&self, id: NetworkId) -> Result<Option<Network>, StoreError> {
        // In the order in which they are read.
        let sql = "SELECT dns_domain, name, private, created, revision, broadcast, passive_bridging, multicast_limit, \
                   mtu, v4_pool, v6_pool, v6_rfc4193, v6_sixplane, rules, rules_source, rule_tests, \
                   rule_tests_required, trace_target, trace_level, sso_enabled, credential_window \
                   FROM network WHERE id = ?1";
        let record = format_args!("network {id}");
        let found = self.tx.query(sql, [NetworkColumn(id)], record, |row| self.decode(id, row))?;
        Ok(found.into_iter().next())
    }

    /// Says whether there is a network of that id.
    pub fn contains(&self, id: NetworkId) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM network WHERE id = ?1";
        Ok(!self.tx.query(sql, [NetworkColumn(id)], "a network", |_| Ok(()))?.is_empty())
    }

    /// Returns the ids of all networks, ascending.
    pub fn list(&self) -> Result<Vec<NetworkId>, StoreError> {
        let sql = "SELECT id FROM network ORDER BY id";
        self.tx.query(sql, [], "a network", |row| Ok(row.get::<NetworkColumn>("id")?.0))
    }

    /// Returns how many networks there are.
    pub fn count(&self) -> Result<u64, StoreError> {
        let found = self.tx.query("SELECT count(*) AS total FROM network", [], "networks", |row| {
            Ok(row.get::<U64Column>("total")?.0)
        })?;
        Ok(found.first().copied().unwrap_or_default())
    }

    /// Saves the network, whether it is new or not; its members stay.
    ///
    /// # Errors
    /// [`StoreError::Internal`] if a capability or a tag is defined twice; like after any error of a change, the
    /// transaction is then to be given up.
    pub fn put(&self, network: &Network) -> Result<(), StoreError> {
        self.put_row(network)?;
        let id = network.id;
        self.tx.execute("DELETE FROM removed_network WHERE id = ?1", [NetworkColumn(id)])?;
        self.put_routes(id, &network.routes)?;
        self.put_pools(id, &network.pools)?;
        self.put_special_nodes(network)?;
        self.put_dns_servers(id, network.dns.as_ref().map_or(&[], |dns| &dns.servers))?;
        self.put_capabilities(id, &network.capabilities)?;
        self.put_tags(id, &network.tags)?;
        self.put_join_tokens(id, &network.join_tokens)
    }

    /// Removes the network with all its members and says whether there was one. That it was here is remembered, and for
    /// two hours who was authorized: in a network that is made under its id they are nobody.
    pub fn remove(&self, id: NetworkId, now: Timestamp) -> Result<bool, StoreError> {
        self.tx.revoked().note_network(id, now)?;
        let was_there = self.tx.execute("DELETE FROM network WHERE id = ?1", [NetworkColumn(id)])? > 0;
        if was_there {
            self.tx.execute("INSERT INTO removed_network (id) VALUES (?1)", [NetworkColumn(id)])?;
        }
        Ok(was_there)
    }

    /// Says whether the network was here once and was removed.
    pub fn was_removed(&self, id: NetworkId) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM removed_network WHERE id = ?1";
        Ok(!self.tx.query(sql, [NetworkColumn(id)], "a removed network", |_| Ok(()))?.is_empty())
    }

    /// Returns the networks that are noted as removed and are there; there should be none.
    pub(crate) fn removed_and_there(&self) -> Result<Vec<NetworkId>, StoreError> {
        let sql = "SELECT id FROM removed_network WHERE id IN (SELECT id FROM network) ORDER BY id";
        self.tx.query(sql, [], "a removed network", |row| Ok(row.get::<NetworkColumn>("id")?.0))
    }

    fn decode(&self, id: NetworkId, row: &Columns<'_>) -> Result<Network, StoreError> {
        let dns_domain: Option<String> = row.get("dns_domain")?;
        let dns =
            dns_domain.map(|domain| Ok::<_, StoreError>(Dns { domain, servers: self.dns_servers(id)? }));
        Ok(Network {
            id,
            name: row.get("name")?,
            private: row.get("private")?,
            created: row.get::<U64Column>("created")?.time(),
            revision: row.get::<U64Column>("revision")?.0,
            broadcast: row.get("broadcast")?,
            passive_bridging: row.get("passive_bridging")?,
            relays: self.special_nodes(id, RELAY)?,
            anchors: addresses(self.special_nodes(id, ANCHOR)?),
            multicast_replicators: addresses(self.special_nodes(id, REPLICATOR)?),
            multicast_limit: row.get::<U64Column>("multicast_limit")?.0,
            mtu: row.get("mtu")?,
            v4_assign: V4Assign { pool: row.get("v4_pool")? },
            v6_assign: V6Assign {
                pool: row.get("v6_pool")?,
                rfc4193: row.get("v6_rfc4193")?,
                sixplane: row.get("v6_sixplane")?,
            },
            routes: self.routes(id)?,
            pools: self.pools(id)?,
            dns: dns.transpose()?,
            rules: row.get::<RulesColumn>("rules")?.0,
            rules_source: row.get("rules_source")?,
            rule_tests: row.get("rule_tests")?,
            rule_tests_required: row.get("rule_tests_required")?,
            capabilities: self.capabilities(id)?,
            tags: self.tags(id)?,
            join_tokens: self.join_tokens(id)?,
            remote_trace: RemoteTrace {
                target: row.get("trace_target")?,
                level: row.get::<U64Column>("trace_level")?.0,
            },
            sso_enabled: row.get("sso_enabled")?,
            credential_window: row.get::<Option<U64Column>>("credential_window")?.map(|window| window.0),
        })
    }

    fn put_row(&self, network: &Network) -> Result<(), StoreError> {
        let sql = "INSERT INTO network (id, name, private, created, revision, broadcast, multicast_limit, mtu, \
                   v4_pool, v6_pool, v6_rfc4193, v6_sixplane, dns_domain, rules, rules_source, trace_target, \
                   trace_level, sso_enabled, credential_window, rule_tests, rule_tests_required, passive_bridging) \
                   VALUES (:id, :name, :private, :created, :revision, :broadcast, :multicast_limit, :mtu, \
                   :v4_pool, :v6_pool, :v6_rfc4193, :v6_sixplane, :dns_domain, :rules, :rules_source, \
                   :trace_target, :trace_level, :sso_enabled, :credential_window, :rule_tests, :rule_tests_required, \
                   :passive_bridging) \
                   ON CONFLICT (id) DO UPDATE SET name = :name, private = :private, created = :created, \
                   revision = :revision, broadcast = :broadcast, multicast_limit = :multicast_limit, mtu = :mtu, \
                   v4_pool = :v4_pool, v6_pool = :v6_pool, v6_rfc4193 = :v6_rfc4193, \
                   v6_sixplane = :v6_sixplane, dns_domain = :dns_domain, rules = :rules, \
                   rules_source = :rules_source, trace_target = :trace_target, trace_level = :trace_level, \
                   sso_enabled = :sso_enabled, credential_window = :credential_window, \
                   rule_tests = :rule_tests, rule_tests_required = :rule_tests_required, \
                   passive_bridging = :passive_bridging";
        let values = named_params! {
            ":id": NetworkColumn(network.id),
            ":name": network.name,
            ":private": network.private,
            ":created": U64Column(network.created.0),
            ":revision": U64Column(network.revision),
            ":broadcast": network.broadcast,
            ":multicast_limit": U64Column(network.multicast_limit),
            ":mtu": network.mtu,
            ":v4_pool": network.v4_assign.pool,
            ":v6_pool": network.v6_assign.pool,
            ":v6_rfc4193": network.v6_assign.rfc4193,
            ":v6_sixplane": network.v6_assign.sixplane,
            ":dns_domain": network.dns.as_ref().map(|dns| &dns.domain),
            ":rules": rule_table(&network.rules),
            ":rules_source": network.rules_source,
            ":trace_target": network.remote_trace.target,
            ":trace_level": U64Column(network.remote_trace.level),
            ":sso_enabled": network.sso_enabled,
            ":credential_window": network.credential_window.map(U64Column),
            ":rule_tests": network.rule_tests,
            ":rule_tests_required": network.rule_tests_required,
            ":passive_bridging": network.passive_bridging,
        };
        self.tx.execute(sql, values).map(drop)
    }

    fn routes(&self, id: NetworkId) -> Result<Vec<Route>, StoreError> {
        let sql = "SELECT target, bits, via FROM route WHERE network = ?1 ORDER BY position";
        self.tx.query(sql, [NetworkColumn(id)], format_args!("route of network {id}"), |row| {
            let target = IpPrefix::new(row.get::<IpColumn>("target")?.0, row.get("bits")?)
                .map_err(|cause| row.damaged("bits", cause))?;
            Ok(Route { target, via: row.get::<Option<IpColumn>>("via")?.map(|via| via.0) })
        })
    }

    fn put_routes(&self, id: NetworkId, routes: &[Route]) -> Result<(), StoreError> {
        self.tx.execute("DELETE FROM route WHERE network = ?1", [NetworkColumn(id)])?;
        let sql = "INSERT INTO route (network, position, target, bits, via) VALUES (?1, ?2, ?3, ?4, ?5)";
        for (position, route) in (0_u32..).zip(routes) {
            let (target, via) = (IpColumn(route.target.ip()), route.via.map(IpColumn));
            self.tx.execute(sql, params![NetworkColumn(id), position, target, route.target.bits(), via])?;
        }
        Ok(())
    }

    fn pools(&self, id: NetworkId) -> Result<Vec<Pool>, StoreError> {
        let sql = "SELECT first, last FROM pool WHERE network = ?1 ORDER BY position";
        self.tx.query(sql, [NetworkColumn(id)], format_args!("pool of network {id}"), |row| {
            Ok(Pool { first: row.get::<IpColumn>("first")?.0, last: row.get::<IpColumn>("last")?.0 })
        })
    }

    fn put_pools(&self, id: NetworkId, pools: &[Pool]) -> Result<(), StoreError> {
        self.tx.execute("DELETE FROM pool WHERE network = ?1", [NetworkColumn(id)])?;
        let sql = "INSERT INTO pool (network, position, first, last) VALUES (?1, ?2, ?3, ?4)";
        for (position, pool) in (0_u32..).zip(pools) {
            let (first, last) = (IpColumn(pool.first), IpColumn(pool.last));
            self.tx.execute(sql, params![NetworkColumn(id), position, first, last])?;
        }
        Ok(())
    }

    fn special_nodes(&self, id: NetworkId, role: &str) -> Result<Vec<Relay>, StoreError> {
        let sql =
            "SELECT address, ip, port FROM special_node WHERE network = ?1 AND role = ?2 ORDER BY position";
        self.tx.query(sql, params![NetworkColumn(id), role], format_args!("{role} of network {id}"), |row| {
            let (ip, port): (Option<IpColumn>, Option<u16>) = (row.get("ip")?, row.get("port")?);
            let endpoint = ip.zip(port).map(|(ip, port)| SocketAddr::new(ip.0, port));
            Ok(Relay { address: row.get::<AddressColumn>("address")?.0, endpoint })
        })
    }

    fn put_special_nodes(&self, network: &Network) -> Result<(), StoreError> {
        self.tx.execute("DELETE FROM special_node WHERE network = ?1", [NetworkColumn(network.id)])?;
        let sql = "INSERT INTO special_node (network, role, position, address, ip, port) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let put = |role: &str, position: u32, address: Address, endpoint: Option<SocketAddr>| {
            let (ip, port) = (endpoint.map(|at| IpColumn(at.ip())), endpoint.map(|at| at.port()));
            let values = params![NetworkColumn(network.id), role, position, AddressColumn(address), ip, port];
            self.tx.execute(sql, values).map(drop)
        };
        for (position, relay) in (0..).zip(&network.relays) {
            put(RELAY, position, relay.address, relay.endpoint)?;
        }
        for (position, anchor) in (0..).zip(&network.anchors) {
            put(ANCHOR, position, *anchor, None)?;
        }
        for (position, replicator) in (0..).zip(&network.multicast_replicators) {
            put(REPLICATOR, position, *replicator, None)?;
        }
        Ok(())
    }

    fn dns_servers(&self, id: NetworkId) -> Result<Vec<IpAddr>, StoreError> {
        let sql = "SELECT ip FROM dns_server WHERE network = ?1 ORDER BY position";
        let record = format_args!("DNS server of network {id}");
        self.tx.query(sql, [NetworkColumn(id)], record, |row| Ok(row.get::<IpColumn>("ip")?.0))
    }

    fn put_dns_servers(&self, id: NetworkId, servers: &[IpAddr]) -> Result<(), StoreError> {
        self.tx.execute("DELETE FROM dns_server WHERE network = ?1", [NetworkColumn(id)])?;
        let sql = "INSERT INTO dns_server (network, position, ip) VALUES (?1, ?2, ?3)";
        for (position, server) in (0_u32..).zip(servers) {
            self.tx.execute(sql, params![NetworkColumn(id), position, IpColumn(*server)])?;
        }
        Ok(())
    }

    fn capabilities(&self, id: NetworkId) -> Result<Vec<CapabilityDefinition>, StoreError> {
        let sql = "SELECT id, is_default, rules FROM capability WHERE network = ?1 ORDER BY id";
        self.tx.query(sql, [NetworkColumn(id)], format_args!("capability of network {id}"), |row| {
            let rules = row.get::<RulesColumn>("rules")?.0;
            Ok(CapabilityDefinition { id: row.get("id")?, default: row.get("is_default")?, rules })
        })
    }

    fn put_capabilities(
        &self,
        id: NetworkId,
        capabilities: &[CapabilityDefinition],
    ) -> Result<(), StoreError> {
        self.tx.execute("DELETE FROM capability WHERE network = ?1", [NetworkColumn(id)])?;
        let sql = "INSERT INTO capability (network, id, is_default, rules) VALUES (?1, ?2, ?3, ?4)";
        for capability in capabilities {
            let rules = rule_table(&capability.rules);
            self.tx.execute(sql, params![NetworkColumn(id), capability.id, capability.default, rules])?;
        }
        Ok(())
    }

    fn tags(&self, id: NetworkId) -> Result<Vec<TagDefinition>, StoreError> {
        let sql = "SELECT id, default_value FROM tag WHERE network = ?1 ORDER BY id";
        self.tx.query(sql, [NetworkColumn(id)], format_args!("tag of network {id}"), |row| {
            Ok(TagDefinition { id: row.get("id")?, default: row.get("default_value")? })
        })
    }

    fn put_tags(&self, id: NetworkId, tags: &[TagDefinition]) -> Result<(), StoreError> {
        self.tx.execute("DELETE FROM tag WHERE network = ?1", [NetworkColumn(id)])?;
        let sql = "INSERT INTO tag (network, id, default_value) VALUES (?1, ?2, ?3)";
        for tag in tags {
            self.tx.execute(sql, params![NetworkColumn(id), tag.id, tag.default])?;
        }
        Ok(())
    }

    fn join_tokens(&self, id: NetworkId) -> Result<BTreeMap<String, Timestamp>, StoreError> {
        let sql = "SELECT token, expires FROM join_token WHERE network = ?1 ORDER BY token";
        let tokens =
            self.tx.query(sql, [NetworkColumn(id)], format_args!("token of network {id}"), |row| {
                Ok((row.get("token")?, row.get::<U64Column>("expires")?.time()))
            })?;
        Ok(tokens.into_iter().collect())
    }

    fn put_join_tokens(&self, id: NetworkId, tokens: &BTreeMap<String, Timestamp>) -> Result<(), StoreError> {
        self.tx.execute("DELETE FROM join_token WHERE network = ?1", [NetworkColumn(id)])?;
        let sql = "INSERT INTO join_token (network, token, expires) VALUES (?1, ?2, ?3)";
        for (token, expires) in tokens {
            self.tx.execute(sql, params![NetworkColumn(id), token, U64Column(expires.0)])?;
        }
        Ok(())
    }
}
