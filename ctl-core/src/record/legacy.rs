//! Shapes of older releases that are still read (`http-api.md` §17).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value};
use zt_proto::IpPrefix;

use super::lenient;
use crate::network::{Pool, Route};

/// Reads a pool of June 2015, `{"network":"10.1.0.0","netmaskBits":24}`: the addresses that hosts can have.
pub(super) fn parse_pool(entry: &Map<String, Value>) -> Option<Pool> {
    let ip = lenient::ip(entry.get("network")?.as_str()?)?;
    let bits = u8::try_from(lenient::integer(entry.get("netmaskBits")?, 0)).ok()?;
    Some(pool_of_subnet(IpPrefix::new(ip, bits).ok()?))
}

/// Returns the addresses that hosts of a subnet can have.
pub fn pool_of_subnet(subnet: IpPrefix) -> Pool {
    let bits = subnet.bits();
    match subnet.ip() {
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
    }
}

/// Reads `ipLocalRoutes` of 2015: texts, each the network's own range.
pub(super) fn parse_local_routes(value: &Value) -> Option<Vec<Route>> {
    let routes = lenient::entries(value)?.filter_map(Value::as_str).filter_map(lenient::prefix);
    Some(routes.map(|target| Route { target, via: None }).collect())
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
}
