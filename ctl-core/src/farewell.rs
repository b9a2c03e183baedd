//! What members of a network that was removed are told (`vl2.md` §11.4).

use zt_proto::config::{ConfigDns, NetworkConfig, Sso};
use zt_proto::{Address, NetworkId, Timestamp};

use crate::client::Client;
use crate::issue::Issued;

/// Returns a configuration that ends a member's access: no certificate, no address, no route, and no rules, so that
/// nothing passes in either direction. An error alone would leave the member what it has.
///
/// `now` must be later than what the member was issued before. `None` for a client before 1.2.0: it would need one in
/// another form.
pub fn farewell(network: NetworkId, member: Address, client: Client, now: Timestamp) -> Option<Issued> {
    client.is_modern().then(|| Issued::without_credentials(&nothing(network, member, now), client))
}

fn nothing(network: NetworkId, member: Address, now: Timestamp) -> NetworkConfig {
    NetworkConfig {
        network,
        timestamp: now,
        credential_window: 0,
        revision: 0,
        member,
        trace_target: Address::NONE,
        trace_level: 0,
        flags: 0,
        multicast_limit: 0,
        private: true,
        name: Vec::new(),
        mtu: NetworkConfig::DEFAULT_MTU,
        membership: None,
        capabilities: Vec::new(),
        tags: Vec::new(),
        ownerships: Vec::new(),
        specialists: Vec::new(),
        routes: Vec::new(),
        addresses: Vec::new(),
        rules: Vec::new(),
        dns: ConfigDns::default(),
        sso: Sso::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `known-flaws.md` row 13.
    #[test]
    fn a_farewell_leaves_a_member_nothing() {
        let modern = Client::Modern { rules_engine: true, before_1_4: false };
        let (network, member) = (NetworkId(0x8056_c2e2_1c00_0001), Address::from_low_bits(7));
        let issued = farewell(network, member, modern, Timestamp(5)).unwrap();
        let read = NetworkConfig::parse(&issued.dictionary()).unwrap();
        assert_eq!(read, nothing(network, member, Timestamp(5)));
        assert_eq!(farewell(network, member, Client::Version6, Timestamp(5)), None);
        assert!(read.rules.is_empty() && read.addresses.is_empty() && read.membership.is_none());
    }
}
