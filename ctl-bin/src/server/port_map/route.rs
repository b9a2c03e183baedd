//! The default route of this machine.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

/// Returns the IPv4 gateway of the default route, and the address of this machine on the way to it.
pub(super) fn to_gateway() -> Option<(Ipv4Addr, Ipv4Addr)> {
    let gateway = default_gateway(&fs::read_to_string("/proc/net/route").ok()?)?;
    let probe = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // Sends nothing: the kernel only looks up the route.
    probe.connect((gateway, 9)).ok()?;
    match probe.local_addr().ok()?.ip() {
        IpAddr::V4(own) => Some((gateway, own)),
        IpAddr::V6(_) => None,
    }
}

/// Reads the gateway of the first default route out of the kernel's table.
fn default_gateway(table: &str) -> Option<Ipv4Addr> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (destination, gateway) = (fields.next()?, fields.next()?);
        let gateway = u32::from_str_radix(gateway, 16).ok().filter(|gateway| *gateway != 0)?;
        // As it lies in memory.
        (destination == "00000000").then(|| Ipv4Addr::from(gateway.to_ne_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_is_that_of_the_default_route() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                     eth0\t0000010A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
                     eth0\t00000000\t0100010A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";
        assert_eq!(default_gateway(table), Some(Ipv4Addr::new(10, 1, 0, 1)));
        assert_eq!(default_gateway("Iface\tDestination\tGateway\nlo\t00000000\n"), None);
    }
}
