//! A port map on the router: PCP or NAT-PMP first, then UPnP. Off unless the operator wants it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::num::NonZeroU16;
use std::time::Duration;

use crab_nat::{GatewayAddress, InternetProtocol, PortMapping, PortMappingOptions, TimeoutConfig, natpmp};
use igd_next::{PortMappingProtocol, SearchOptions, aio::tokio::search_gateway};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{debug, info};

/// How long a map lasts at the router; it is renewed after half of that.
const LIFETIME: Duration = Duration::from_secs(1_200);
/// How long until the next attempt when no router makes one.
const RETRY: Duration = Duration::from_secs(300);
/// What a router shows as the purpose.
const DESCRIPTION: &str = "ctl-bin";

/// Why there is no port map.
#[derive(Debug, thiserror::Error)]
enum MapError {
    #[error("this machine has no IPv4 gateway")]
    NoGateway,
    #[error("port 0 cannot be mapped")]
    NoPort,
    #[error("NAT-PMP and PCP: {0}")]
    Pmp(String),
    #[error("UPnP: {0}")]
    Upnp(String),
}

/// Keeps a map of UDP `port` at the router, as long as the program runs, and publishes where it leads here.
pub(super) async fn keep(port: u16, mapped: watch::Sender<Option<SocketAddr>>) {
    loop {
        let external = map(port).await;
        let pause = match &external {
            Ok(_) => LIFETIME / 2,
            Err(error) => {
                debug!(%error, "no port map");
                RETRY
            }
        };
        let external = external.ok();
        let is_new = mapped.send_if_modified(|known| {
            let is_new = *known != external;
            *known = external;
            is_new
        });
        if is_new {
            match external {
                Some(external) => info!(port, external_port = external.port(), "the router maps the port"),
                None => info!(port, "the router no longer maps the port"),
            }
        }
        sleep(pause).await;
    }
}

async fn map(port: u16) -> Result<SocketAddr, MapError> {
    let (gateway, own) = route_to_gateway().ok_or(MapError::NoGateway)?;
    match map_by_pmp(gateway, own, port).await {
        Ok(external) => Ok(external),
        Err(error) => {
            debug!(%error, "no port map");
            map_by_upnp(own, port).await
        }
    }
}

async fn map_by_pmp(gateway: Ipv4Addr, own: Ipv4Addr, port: u16) -> Result<SocketAddr, MapError> {
    let text = |error: &dyn std::fmt::Display| MapError::Pmp(error.to_string());
    let port = NonZeroU16::new(port).ok_or(MapError::NoPort)?;
    let gateway = GatewayAddress::IpV4(gateway);
    let timeout_config = Some(TimeoutConfig {
        initial_timeout: Duration::from_millis(250),
        max_retries: 3,
        max_retry_timeout: None,
    });
    let options = PortMappingOptions {
        external_port: Some(port),
        lifetime_seconds: u32::try_from(LIFETIME.as_secs()).ok(),
        timeout_config,
    };
    let mapping = PortMapping::new(gateway, own.into(), InternetProtocol::Udp, port, options).await;
    let mapping = mapping.map_err(|error| text(&error))?;
    let ip = match mapping.mapping_type() {
        crab_nat::PortMappingType::Pcp { external_ip, .. } => external_ip,
        crab_nat::PortMappingType::NatPmp => {
            let ip = natpmp::external_address(gateway, timeout_config).await;
            IpAddr::V4(ip.map_err(|error| text(&error))?)
        }
    };
    Ok(SocketAddr::new(ip, mapping.external_port().get()))
}

async fn map_by_upnp(own: Ipv4Addr, port: u16) -> Result<SocketAddr, MapError> {
    let text = |error: &dyn std::fmt::Display| MapError::Upnp(error.to_string());
    let mut options = SearchOptions::default();
    options.timeout = Some(Duration::from_secs(3));
    let gateway = search_gateway(options).await.map_err(|error| text(&error))?;
    let local = SocketAddr::V4(SocketAddrV4::new(own, port));
    let lifetime = u32::try_from(LIFETIME.as_secs()).unwrap_or(0);
    let add = gateway.add_port(PortMappingProtocol::UDP, port, local, lifetime, DESCRIPTION);
    add.await.map_err(|error| text(&error))?;
    let ip = gateway.get_external_ip().await.map_err(|error| text(&error))?;
    Ok(SocketAddr::new(ip, port))
}

/// Returns the IPv4 gateway of the default route, and the address of this machine on the way to it.
fn route_to_gateway() -> Option<(Ipv4Addr, Ipv4Addr)> {
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

    /// A router that knows NAT-PMP alone, as RFC 6886 has it.
    #[tokio::test]
    async fn a_router_with_nat_pmp_maps_the_port_and_tells_its_address() {
        let address = Ipv4Addr::new(127, 53, 51, 1);
        let router = tokio::net::UdpSocket::bind((address, 5351)).await.unwrap();
        let serve = async {
            let mut request = [0; 1100];
            loop {
                let (length, from) = router.recv_from(&mut request).await.unwrap();
                let epoch = [0, 0, 0, 9];
                let answer = match &request[..length] {
                    [0, 0] => [&[0, 128, 0, 0], &epoch[..], &[198, 51, 100, 7]].concat(),
                    [0, 1, _, _, inside @ .., _, _, l0, l1, l2, l3] if length == 12 => {
                        let mapped = 40_001_u16.to_be_bytes();
                        [&[0, 129, 0, 0], &epoch[..], inside, &mapped, &[*l0, *l1, *l2, *l3]].concat()
                    }
                    // PCP: this version is not known.
                    _ => [&[0, 128, 0, 1], &epoch[..]].concat(),
                };
                router.send_to(&answer, from).await.unwrap();
            }
        };
        let mapping = map_by_pmp(address, Ipv4Addr::LOCALHOST, 9993);
        let mapped = tokio::select! {
            never = serve => never,
            mapped = mapping => mapped.unwrap(),
        };
        assert_eq!(mapped, "198.51.100.7:40001".parse().unwrap());
    }

    #[tokio::test]
    async fn a_router_that_does_not_answer_is_given_up() {
        assert!(map_by_pmp(Ipv4Addr::new(127, 53, 51, 2), Ipv4Addr::LOCALHOST, 9993).await.is_err());
    }
}
