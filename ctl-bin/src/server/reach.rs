//! Where this machine may be reached, as far as it knows itself: the addresses of its interfaces and a port map.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nix::ifaddrs::getifaddrs;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use tracing::debug;
use zt_proto::inet::is_usable_path;

use super::udp::Command;

/// How often the interfaces are looked at.
const SCAN_INTERVAL: Duration = Duration::from_secs(30);

/// Tells the node the addresses at which its peers may try it, as long as it runs: all of this machine, or `only` the one
/// that is bound. `mapped` is what a port map leads here.
pub(super) async fn tell(
    only: Option<IpAddr>,
    port: u16,
    mut mapped: watch::Receiver<Option<SocketAddr>>,
    node: mpsc::Sender<Command>,
) {
    let mut ticks = interval(SCAN_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut has_mapper = true;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            changed = mapped.changed(), if has_mapper => has_mapper = changed.is_ok(),
        }
        let external = *mapped.borrow_and_update();
        let own: Vec<_> = external.into_iter().chain(local_addresses(only, port)).collect();
        let tell = move |node: &mut crate::vl1::Node, _| node.set_own_addresses(&own);
        if node.send(Box::new(tell)).await.is_err() {
            return;
        }
    }
}

fn local_addresses(only: Option<IpAddr>, port: u16) -> Vec<SocketAddr> {
    only.filter(|ip| !ip.is_unspecified())
        .map_or_else(|| interface_addresses(port), |ip| vec![SocketAddr::new(ip, port)])
}

/// Returns the addresses of this machine at which sockets are reached that are bound to these.
pub(super) fn addresses_of(bound: &[SocketAddr]) -> Vec<SocketAddr> {
    let own = interface_addresses(0);
    let expand = |bound: &SocketAddr| -> Vec<SocketAddr> {
        let (family, port) = (bound.is_ipv6(), bound.port());
        let all = own.iter().map(SocketAddr::ip).filter(|ip| ip.is_ipv6() == family && is_usable_path(*ip));
        let one = Some(bound.ip()).filter(|ip| !ip.is_unspecified());
        let ips: Vec<_> = one.map_or_else(|| all.collect(), |ip| vec![ip]);
        ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect()
    };
    bound.iter().flat_map(expand).collect()
}

/// Returns the addresses of all interfaces that are up, with `port`. The node leaves out what is of no use.
pub(super) fn interface_addresses(port: u16) -> Vec<SocketAddr> {
    let interfaces = match getifaddrs() {
        Ok(interfaces) => interfaces,
        Err(error) => {
            debug!(%error, "interfaces not listed");
            return Vec::new();
        }
    };
    let addresses = interfaces.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
        let v6 = address.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip()));
        Some(SocketAddr::new(v4.or(v6)?, port))
    });
    addresses.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_node_is_told_when_a_port_map_changes() {
        let (sender, mut commands) = mpsc::channel(1);
        let (map, mapped) = watch::channel(None);
        let teller = tokio::spawn(tell(None, 9993, mapped, sender));
        assert!(commands.recv().await.is_some());
        map.send_replace(Some("9.9.9.9:1234".parse().unwrap()));
        assert!(commands.recv().await.is_some());
        drop(commands);
        map.send_replace(None);
        teller.await.unwrap();
    }

    #[test]
    fn a_socket_is_reached_at_its_address_or_at_those_of_the_machine_and_nobody_reaches_loopback() {
        let (bound, all) = ("127.0.0.2:7".parse().unwrap(), "0.0.0.0:8".parse().unwrap());
        assert_eq!(addresses_of(&[bound]), [bound]);
        let expanded = addresses_of(&[all]);
        let is_sound = |address: &SocketAddr| address.port() == 8 && !address.ip().is_loopback();
        assert!(expanded.iter().all(is_sound), "{expanded:?}");
    }

    #[test]
    fn only_the_address_that_is_bound_is_told() {
        let bound = "192.0.2.7".parse().unwrap();
        assert_eq!(local_addresses(Some(bound), 7), [SocketAddr::new(bound, 7)]);
    }

    #[test]
    fn loopback_is_among_the_interfaces_of_every_machine() {
        let addresses = interface_addresses(7);
        assert!(addresses.contains(&"127.0.0.1:7".parse().unwrap()), "{addresses:?}");
    }
}
