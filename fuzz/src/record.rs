//! Records of other controllers.

use ctl_core::record::{parse_recent_history, read_member, read_network, write_member, write_network};
use ctl_core::rules::json::{parse_table_strictly, read_table, render_exactly};
use serde_json::{Map, Value};
use zt_proto::{Address, NetworkId, Timestamp};

const NETWORK: NetworkId = NetworkId(0x8056_c2e2_1c00_0001);
const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// Reads a record of a network and of a member: whatever it is, what was made of it is read back equal.
pub fn record(data: &[u8]) -> bool {
    let Ok(record) = serde_json::from_slice::<Map<String, Value>>(data) else { return false };
    let network = read_network(&record, NETWORK, NOW);
    let again = read_network(&write_network(&network.record, &network.extra), NETWORK, NOW);
    assert_eq!((again.record, again.extra), (network.record, network.extra));
    let address = Address::from_low_bits(1);
    let member = read_member(&record, NETWORK, address, NOW);
    let again = read_member(&write_member(&member.record, &member.extra), NETWORK, address, NOW);
    assert_eq!((again.record, again.extra), (member.record, member.extra));
    true
}

/// Reads a rule table: what was made of it is shown so that both other readers take it as it is.
pub fn rules_json(data: &[u8]) -> bool {
    let Ok(entries) = serde_json::from_slice::<Vec<Value>>(data) else { return false };
    let mut warnings = Vec::new();
    let rules = read_table(&entries, &mut warnings);
    let shown: Vec<_> = rules.iter().map(render_exactly).collect();
    assert_eq!(parse_table_strictly(&shown, shown.len()).as_ref(), Ok(&rules));
    if let Ok(strict) = parse_table_strictly(&entries, entries.len()) {
        assert_eq!((strict, warnings), (rules, Vec::new()));
    }
    true
}

/// Reads the history of a member; makes sense if an entry does.
pub fn recent_history(data: &[u8]) -> bool {
    let history = parse_recent_history(data);
    assert!(history.to_extra().get("recentLog").is_some() != history.entries.is_empty());
    !history.entries.is_empty()
}
