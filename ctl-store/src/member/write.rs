//! Saving and removing members.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ctl_core::Member;
use ctl_core::member::{ClientVersion, Credential};
use rusqlite::{named_params, params};
use zt_proto::{Address, NetworkId};

use super::Members;
use super::read::OfMembers;
use super::span::Span;
use crate::column::{AddressColumn, FingerprintColumn, IdentityColumn, IpColumn, NetworkColumn, U64Column};
use crate::error::{self, StoreError};

/// What is kept of a member beside its row.
struct Lists<'a> {
    ip_assignments: &'a [IpAddr],
    tags: &'a BTreeMap<u32, u32>,
    capabilities: &'a [u32],
}

impl Lists<'_> {
    const NONE: Self = Self { ip_assignments: &[], tags: &BTreeMap::new(), capabilities: &[] };
}

impl Members<'_> {
    /// Saves the member, whether it is new or not. If it was pending, it no longer is.
    ///
    /// # Errors
    /// - [`StoreError::AddressTaken`] if another member of the network has one of its addresses; nothing was saved.
    /// - [`StoreError::NoSuchNetwork`] if the network is gone; nothing was saved.
    /// - [`StoreError::Internal`] if the member has an address twice; like after any other error of a change, the
    ///   transaction is then to be given up.
    pub fn put(&self, member: &Member) -> Result<(), StoreError> {
        let span = Span::one(member.network, member.address);
        self.put_lists(
            member,
            &Lists {
                ip_assignments: &values(self.addresses(span)?),
                tags: &BTreeMap::from_iter(values(self.tags(span)?)),
                capabilities: &values(self.capabilities(span)?),
            },
        )?;
        // Whoever saves a member knows something about it.
        self.tx.pending().clear(member.network, member.address)
    }

    /// Does what [`Self::put`] does for a member that this transaction found to be `stored`, which need not be read again.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub fn replace(&self, stored: Option<&Member>, member: &Member) -> Result<(), StoreError> {
        let Some(stored) = stored else {
            // Nothing belongs to a member that is not there.
            return self.put_lists(member, &Lists::NONE);
        };
        let Member { ip_assignments, tags, capabilities, .. } = stored;
        self.put_lists(member, &Lists { ip_assignments, tags, capabilities })?;
        self.tx.pending().clear(member.network, member.address)
    }

    /// Saves the member in place of one that has these lists. Most saves change none: leaving those alone saves the pages
    /// that would be written.
    fn put_lists(&self, member: &Member, stored: &Lists<'_>) -> Result<(), StoreError> {
        let has_other_addresses = stored.ip_assignments != member.ip_assignments;
        if has_other_addresses {
            self.require_free(member)?;
        }
        self.put_row(member)?;
        if has_other_addresses {
            self.put_addresses(member)?;
        }
        if *stored.tags != member.tags {
            self.put_tags(member)?;
        }
        if stored.capabilities != member.capabilities {
            self.put_capabilities(member)?;
        }
        Ok(())
    }

    /// Removes the member and says whether there was one. Its addresses are free at once.
    pub fn remove(&self, network: NetworkId, address: Address) -> Result<bool, StoreError> {
        let sql = "DELETE FROM member WHERE network = ?1 AND address = ?2";
        Ok(self.tx.execute(sql, (NetworkColumn(network), AddressColumn(address)))? > 0)
    }

    fn put_row(&self, member: &Member) -> Result<(), StoreError> {
        let sql = "INSERT INTO member (network, address, revision, authorized, active_bridge, no_auto_assign, \
                   sso_exempt, identity, name, created, last_authorized, last_deauthorized, credential, \
                   credential_token, sso_expires, version_major, version_minor, version_revision, \
                   version_protocol, trace_target, trace_level, fingerprint) \
                   VALUES (:network, :address, :revision, :authorized, :active_bridge, :no_auto_assign, \
                   :sso_exempt, :identity, :name, :created, :last_authorized, :last_deauthorized, :credential, \
                   :credential_token, :sso_expires, :version_major, :version_minor, :version_revision, \
                   :version_protocol, :trace_target, :trace_level, :fingerprint) \
                   ON CONFLICT (network, address) DO UPDATE SET revision = :revision, authorized = :authorized, \
                   active_bridge = :active_bridge, no_auto_assign = :no_auto_assign, sso_exempt = :sso_exempt, \
                   identity = :identity, name = :name, created = :created, last_authorized = :last_authorized, \
                   last_deauthorized = :last_deauthorized, credential = :credential, \
                   credential_token = :credential_token, sso_expires = :sso_expires, \
                   version_major = :version_major, version_minor = :version_minor, \
                   version_revision = :version_revision, version_protocol = :version_protocol, \
                   trace_target = :trace_target, trace_level = :trace_level, fingerprint = :fingerprint";
        let (credential, token) = match &member.credential {
            None => (None, None),
            Some(Credential::Api) => (Some("api"), None),
            Some(Credential::Public) => (Some("public"), None),
            Some(Credential::Token(token)) => (Some("token"), Some(token)),
        };
        let version = |part: fn(&ClientVersion) -> u64| member.version.as_ref().map(|v| U64Column(part(v)));
        let values = named_params! {
            ":network": NetworkColumn(member.network),
            ":address": AddressColumn(member.address),
            ":revision": U64Column(member.revision),
            ":authorized": member.authorized,
            ":active_bridge": member.active_bridge,
            ":no_auto_assign": member.no_auto_assign_ips,
            ":sso_exempt": member.sso_exempt,
            ":identity": member.identity.map(IdentityColumn),
            ":fingerprint": member.fingerprint.map(FingerprintColumn),
            ":name": member.name,
            ":created": U64Column(member.created.0),
            ":last_authorized": U64Column(member.last_authorized.0),
            ":last_deauthorized": U64Column(member.last_deauthorized.0),
            ":credential": credential,
            ":credential_token": token,
            ":sso_expires": U64Column(member.authentication_expiry.0),
            ":version_major": version(|version| version.major),
            ":version_minor": version(|version| version.minor),
            ":version_revision": version(|version| version.revision),
            ":version_protocol": version(|version| version.protocol),
            ":trace_target": member.remote_trace.target,
            ":trace_level": U64Column(member.remote_trace.level),
        };
        let result = self.tx.writer()?.prepare_cached(sql)?.execute(values);
        match result {
            Err(error) if error::is_orphan(&error) => {
                Err(StoreError::NoSuchNetwork { network: member.network })
            }
            result => Ok(result.map(drop)?),
        }
    }

    /// Checks before anything is written that no other member has one of the addresses. The transaction is the
    /// only writer, so it stays so; the table would refuse a second holder in any case.
    fn require_free(&self, member: &Member) -> Result<(), StoreError> {
        let network = member.network;
        for ip in member.ip_assignments.iter().copied() {
            if let Some(holder) = self.holder(network, ip)?.filter(|holder| *holder != member.address) {
                return Err(StoreError::AddressTaken { network, ip, holder });
            }
        }
        Ok(())
    }

    fn put_addresses(&self, member: &Member) -> Result<(), StoreError> {
        let (network, address) = (member.network, member.address);
        let sql = "DELETE FROM member_address WHERE network = ?1 AND member = ?2";
        self.tx.execute(sql, (NetworkColumn(network), AddressColumn(address)))?;
        let sql = "INSERT INTO member_address (network, member, position, ip) VALUES (?1, ?2, ?3, ?4)";
        for (position, ip) in (0_u32..).zip(&member.ip_assignments) {
            let values = params![NetworkColumn(network), AddressColumn(address), position, IpColumn(*ip)];
            self.tx.execute(sql, values)?;
        }
        Ok(())
    }

    fn put_tags(&self, member: &Member) -> Result<(), StoreError> {
        let (network, address) = (member.network, member.address);
        let sql = "DELETE FROM member_tag WHERE network = ?1 AND member = ?2";
        self.tx.execute(sql, (NetworkColumn(network), AddressColumn(address)))?;
        let sql = "INSERT INTO member_tag (network, member, tag, value) VALUES (?1, ?2, ?3, ?4)";
        for (tag, value) in &member.tags {
            self.tx.execute(sql, params![NetworkColumn(network), AddressColumn(address), tag, value])?;
        }
        Ok(())
    }

    fn put_capabilities(&self, member: &Member) -> Result<(), StoreError> {
        let (network, address) = (member.network, member.address);
        let sql = "DELETE FROM member_capability WHERE network = ?1 AND member = ?2";
        self.tx.execute(sql, (NetworkColumn(network), AddressColumn(address)))?;
        let sql =
            "INSERT INTO member_capability (network, member, position, capability) VALUES (?1, ?2, ?3, ?4)";
        for (position, id) in (0_u32..).zip(&member.capabilities) {
            self.tx.execute(sql, params![NetworkColumn(network), AddressColumn(address), position, id])?;
        }
        Ok(())
    }
}

fn values<T>(rows: OfMembers<T>) -> Vec<T> {
    rows.into_iter().map(|(_, value)| value).collect()
}
