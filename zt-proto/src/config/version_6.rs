//! The configuration in the form for 1.1.6 to 1.1.14 (`vl2.md` §8.3).

use super::{ConfigRoute, NetworkConfig, Specialist, cut, key, write_list};
use crate::dictionary::DictionaryWriter;
use crate::rules::{Rule, RuleBody};

/// The version of the dictionary, for clients of 1.1.6 to 1.1.14.
const VERSION: u64 = 6;

impl NetworkConfig {
    /// Most routes that clients before 1.8.5 take.
    pub const MAX_ROUTES_BEFORE_1_8_5: usize = 32;
    /// Most addresses that clients before 1.8.5 take.
    pub const MAX_ADDRESSES_BEFORE_1_8_5: usize = 16;
    /// Longest dictionary that clients before 1.2.0 take: it comes in one packet of four datagrams.
    pub const MAX_LEN_BEFORE_1_2_0: usize = 5_600;

    /// Writes the dictionary for clients of 1.1.6 to 1.1.14, with the keys in their order and numbers as short as
    /// controllers of that time wrote them. [`NetworkConfig::parse`] reads it.
    ///
    /// Left out is what these clients do not know. Their matches have other numbers, so a table of rules in which
    /// there is more than Ethernet types, ACCEPT and DROP becomes "accept everything"; newer members still enforce
    /// the whole table on their side.
    #[must_use]
    pub fn write_version_6(&self) -> Vec<u8> {
        let mut writer = DictionaryWriter::new()
            .short_hex(key::VERSION, VERSION)
            .short_hex(key::NETWORK, self.network.0)
            .short_hex(key::TIMESTAMP, self.timestamp.0)
            .short_hex(key::REVISION, self.revision)
            .address(key::MEMBER, self.member)
            .short_hex(key::FLAGS, self.flags)
            .short_hex(key::MULTICAST_LIMIT, self.multicast_limit.into())
            .short_hex(key::PUBLIC, (!self.private).into())
            .bytes(key::NAME, cut(&self.name, Self::MAX_NAME_LEN));
        if let Some(membership) = &self.membership {
            let mut bytes = Vec::new();
            membership.write(&mut bytes);
            writer = writer.bytes(key::MEMBERSHIP, &bytes);
        }
        writer =
            write_list(writer, key::SPECIALISTS, &self.specialists, Self::MAX_SPECIALISTS, Specialist::write);
        let max_routes = Self::MAX_ROUTES_BEFORE_1_8_5;
        writer = write_list(writer, key::ROUTES, &self.routes, max_routes, ConfigRoute::write);
        let max_addresses = Self::MAX_ADDRESSES_BEFORE_1_8_5;
        writer = write_list(writer, key::ADDRESSES, &self.addresses, max_addresses, |prefix, out| {
            prefix.write(out);
        });
        let rules = if is_understood(&self.rules) { &self.rules[..] } else { &[Rule::ACCEPT] };
        write_list(writer, key::RULES, rules, crate::rules::MAX_RULES, Rule::write).finish()
    }
}

/// Says whether rules mean the same to clients of 1.1.6 to 1.1.14.
fn is_understood(rules: &[Rule]) -> bool {
    rules.iter().all(|rule| {
        !rule.not
            && !rule.or
            && matches!(rule.body, RuleBody::Accept | RuleBody::Drop | RuleBody::EtherType(_))
    })
}
