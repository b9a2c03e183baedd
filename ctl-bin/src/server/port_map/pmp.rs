//! Port maps by PCP (RFC 6887) and NAT-PMP (RFC 6886).

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use crab_nat::{
    GatewayAddress, InternetProtocol, PortMapping, PortMappingOptions, PortMappingType, TimeoutConfig, natpmp,
};

use super::{LIFETIME, MapError};

/// Asks again after 250, 500, 1000 ms, and gives up 2 s later.
const PATIENCE: TimeoutConfig =
    TimeoutConfig { initial_timeout: Duration::from_millis(250), max_retries: 3, max_retry_timeout: None };

#[derive(Debug)]
pub(super) struct PmpMap(PortMapping);

impl PmpMap {
    pub(super) async fn make(gateway: Ipv4Addr, own: Ipv4Addr, port: NonZeroU16) -> Result<Self, MapError> {
        let options = PortMappingOptions {
            external_port: Some(port),
            lifetime_seconds: u32::try_from(LIFETIME.as_secs()).ok(),
            timeout_config: Some(PATIENCE),
        };
        let gateway = GatewayAddress::IpV4(gateway);
        let made = PortMapping::new(gateway, own.into(), InternetProtocol::Udp, port, options).await;
        made.map(Self).map_err(failed)
    }

    /// Asks for what is there already, which PCP knows by its nonce.
    pub(super) async fn renew(&mut self) -> Result<(), MapError> {
        self.0.renew().await.map_err(failed)
    }

    pub(super) async fn external(&self) -> Result<SocketAddr, MapError> {
        let ip = match self.0.mapping_type() {
            PortMappingType::Pcp { external_ip, .. } => external_ip,
            PortMappingType::NatPmp => {
                let ip = natpmp::external_address(self.0.gateway(), Some(PATIENCE)).await;
                IpAddr::V4(ip.map_err(failed)?)
            }
        };
        Ok(SocketAddr::new(ip, self.0.external_port().get()))
    }

    pub(super) fn lifetime(&self) -> Duration {
        Duration::from_secs(self.0.lifetime().into())
    }

    pub(super) async fn remove(self) -> Result<(), MapError> {
        self.0.try_drop().await.map_err(|(error, _)| failed(error))
    }
}

fn failed(error: impl Display) -> MapError {
    MapError::Pmp(error.to_string())
}
