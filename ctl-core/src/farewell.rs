//! What members of a network that was removed are told (`vl2.md` §11.4).

use zt_proto::config::{ConfigDns, NetworkConfig, Sso};
use zt_proto::{Address, NetworkId, Timestamp};

/// Returns a configuration that ends a member's access: no certificate, no address, no route, and no rules, so that
/// nothing passes in either direction. An error alone would leave the member what it has.
///
/// `now` must be later than what the member was issued before.
pub fn farewell(network: NetworkId, member: Address, now: Timestamp) -> NetworkConfig {
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
        let config = farewell(NetworkId(0x8056_c2e2_1c00_0001), Address::from_low_bits(7), Timestamp(5));
        let read = NetworkConfig::parse(&config.write()).unwrap();
        assert_eq!(read, config);
        assert!(read.rules.is_empty() && read.addresses.is_empty() && read.membership.is_none());
    }
}
