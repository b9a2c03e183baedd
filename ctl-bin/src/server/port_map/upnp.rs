//! Port maps by UPnP.

use std::fmt::Display;
use std::net::{SocketAddr, SocketAddrV4};
use std::time::Duration;

use igd_next::aio::Gateway;
use igd_next::aio::tokio::{Tokio, search_gateway};
use igd_next::{AddPortError, PortMappingProtocol, SearchOptions};

use super::{LIFETIME, MapError, Router};

/// How long devices may take to answer.
const SEARCH: Duration = Duration::from_secs(3);
/// What a router shows as the purpose.
const DESCRIPTION: &str = "ctl-bin";

/// A map on a device that was found.
#[derive(Debug)]
pub(super) struct UpnpMap {
    device: Gateway<Tokio>,
    local: SocketAddrV4,
}

impl UpnpMap {
    /// Finds the device on which a map of `port` can be made.
    pub(super) async fn find(router: Router, port: u16) -> Result<Self, MapError> {
        let mut options = SearchOptions::default();
        options.timeout = Some(SEARCH);
        options.broadcast_address = router.devices;
        options.allowed_gateway_ips.push(router.gateway.into());
        let device = search_gateway(options).await.map_err(failed)?;
        Ok(Self { device, local: SocketAddrV4::new(router.own, port) })
    }

    /// Makes the map, or makes it last from now on again; returns what leads here.
    pub(super) async fn make(&self) -> Result<SocketAddr, MapError> {
        let (port, local) = (self.local.port(), self.local.into());
        let add = |seconds| self.device.add_port(PortMappingProtocol::UDP, port, local, seconds, DESCRIPTION);
        let lifetime = u32::try_from(LIFETIME.as_secs()).unwrap_or(0);
        match add(lifetime).await {
            // It is removed when the program ends.
            Err(AddPortError::OnlyPermanentLeasesSupported) => add(0).await.map_err(failed)?,
            other => other.map_err(failed)?,
        }
        let ip = self.device.get_external_ip().await.map_err(failed)?;
        Ok(SocketAddr::new(ip, port))
    }

    pub(super) async fn remove(self) -> Result<(), MapError> {
        self.device.remove_port(PortMappingProtocol::UDP, self.local.port()).await.map_err(failed)
    }
}

fn failed(error: impl Display) -> MapError {
    MapError::Upnp(error.to_string())
}
