//! Shapes of older releases that are still read (`http-api.md` §17).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value};
use zt_proto::IpPrefix;
use zt_proto::rules::{Rule, RuleBody};

use super::{FieldError, lenient};
use crate::network::{Pool, Route};

/// Reads a pool of June 2015, `{"network":"10.1.0.0","netmaskBits":24}`: the addresses that hosts can have.
pub(crate) fn parse_pool(entry: &Map<String, Value>) -> Option<Pool> {
    let ip = lenient::ip(entry.get("network")?.as_str()?)?;
    let bits = u8::try_from(lenient::integer(entry.get("netmaskBits")?, 0)).ok()?;
    let subnet = IpPrefix::new(ip, bits).ok()?;
    Some(match subnet.ip() {
        IpAddr::V4(ip) => {
            let hosts = u32::MAX.checked_shr(bits.into()).unwrap_or(0);
            let (network, broadcast) = (ip.to_bits() & !hosts, ip.to_bits() | hosts);
            // A subnet of one or two addresses has neither a network address nor a broadcast address.
            let edge = u32::from(bits <= 30);
            Pool {
                first: Ipv4Addr::from_bits(network + edge).into(),
                last: Ipv4Addr::from_bits(broadcast - edge).into(),
            }
        }
        IpAddr::V6(ip) => {
            let hosts = u128::MAX.checked_shr(bits.into()).unwrap_or(0);
            Pool {
                first: Ipv6Addr::from_bits(ip.to_bits() & !hosts).into(),
                last: Ipv6Addr::from_bits(ip.to_bits() | hosts).into(),
            }
        }
    })
}

/// Reads `ipLocalRoutes` of 2015: texts, each the network's own range.
pub(crate) fn parse_local_routes(value: &Value) -> Option<Vec<Route>> {
    let routes = lenient::entries(value)?.filter_map(Value::as_str).filter_map(lenient::prefix);
    Some(routes.map(|target| Route { target, via: None }).collect())
}

/// Says whether a rule table is of the time before 1.2: entries with an `action` and without a `type`.
pub(crate) fn is_rule_table(entries: &[Value]) -> bool {
    !entries.is_empty()
        && entries.iter().all(|entry| entry.get("action").is_some() && entry.get("type").is_none())
}

/// Reads a rule table of the time before 1.2, in the order of `ruleNo` or `ruleId`.
///
/// # Errors
/// For an action other than `accept` and `drop`, and for a condition other than `etherType`: nodes of that time
/// never applied the others (`vl2.md` §15.4), so it is open what they should do now.
pub(crate) fn parse_rules(entries: &[Value]) -> Result<Vec<Rule>, FieldError> {
    let mut numbered = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        numbered.push(parse_rule(entry).map_err(|error| error.at(index))?);
    }
    numbered.sort_by_key(|(number, _)| *number);
    Ok(numbered.into_iter().flat_map(|(_, rules)| rules).collect())
}

fn parse_rule(entry: &Value) -> Result<(u64, Vec<Rule>), FieldError> {
    let plain = |body| Rule { not: false, or: false, body };
    let mut number = 0;
    let mut rules = Vec::new();
    let mut action = None;
    for (name, value) in entry.as_object().into_iter().flatten() {
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            ("ruleNo" | "ruleId", value) => number = lenient::integer(value, 0),
            ("etherType", value) => {
                let ether_type = (lenient::integer(value, 0) & 0xffff) as u16;
                rules.push(plain(RuleBody::EtherType(ether_type)));
            }
            ("action", value) => action = Some(parse_action(value)?),
            (name, value) => {
                let expected = "only ruleNo, etherType and action in a rule without a type";
                return Err(FieldError::unexpected(name, expected, Some(value)));
            }
        }
    }
    let action = action.ok_or_else(|| FieldError::unexpected("action", "accept or drop", None))?;
    rules.push(plain(action));
    Ok((number, rules))
}

fn parse_action(value: &Value) -> Result<RuleBody, FieldError> {
    match value.as_str() {
        Some("accept") => Ok(RuleBody::Accept),
        Some("drop") => Ok(RuleBody::Drop),
        _ => Err(FieldError::unexpected("action", "accept or drop", Some(value))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pool(network: &str, bits: u64) -> Option<(String, String)> {
        let pool = parse_pool(json!({ "network": network, "netmaskBits": bits }).as_object().unwrap())?;
        Some((pool.first.to_string(), pool.last.to_string()))
    }

    #[test]
    fn pool_of_2015_is_the_range_of_its_hosts() {
        let range = |first: &str, last: &str| Some((first.to_owned(), last.to_owned()));
        assert_eq!(pool("10.1.0.0", 24), range("10.1.0.1", "10.1.0.254"));
        assert_eq!(pool("10.1.0.7", 24), range("10.1.0.1", "10.1.0.254"));
        assert_eq!(pool("10.1.0.4", 31), range("10.1.0.4", "10.1.0.5"));
        assert_eq!(pool("10.1.0.4", 32), range("10.1.0.4", "10.1.0.4"));
        assert_eq!(pool("0.0.0.0", 0), range("0.0.0.1", "255.255.255.254"));
        assert_eq!(pool("fd00::", 120), range("fd00::", "fd00::ff"));
        assert_eq!(pool("fd00::", 0), range("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
        assert_eq!(pool("10.1.0.0", 33), None);
        assert_eq!(pool("lan", 24), None);
    }

    #[test]
    fn rules_of_2015_are_sorted_by_their_number() {
        let entries = [
            json!({ "ruleNo": 20, "etherType": 2054, "action": "accept" }),
            json!({ "ruleId": 10, "etherType": null, "vlanId": null, "action": "drop" }),
        ];
        let bodies: Vec<_> = parse_rules(&entries).unwrap().into_iter().map(|rule| rule.body).collect();
        assert_eq!(bodies, [RuleBody::Drop, RuleBody::EtherType(2054), RuleBody::Accept]);
    }

    #[test]
    fn condition_that_was_never_applied_is_refused() {
        let error =
            parse_rules(&[json!({ "macSource": "aa:bb:cc:dd:ee:ff", "action": "accept" })]).unwrap_err();
        assert!(error.to_string().starts_with("[0].macSource: expected only"), "{error}");
    }
}
