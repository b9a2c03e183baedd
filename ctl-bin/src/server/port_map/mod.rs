//! A port map on the router: PCP or NAT-PMP first, then UPnP. Off unless the operator wants it.

mod pmp;
mod route;
#[cfg(test)]
mod tests;
mod upnp;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::num::NonZeroU16;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{debug, info};

use self::pmp::PmpMap;
use self::upnp::UpnpMap;

/// How long a map lasts at the router, if that agrees.
const LIFETIME: Duration = Duration::from_secs(1_200);
const PACE: Pace = Pace { renewal: Duration::from_secs(600), retry: Duration::from_secs(300) };
/// How long the router may take to remove the map when the program ends.
const REMOVAL: Duration = Duration::from_secs(2);

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

/// How long things are waited with.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Until a map is renewed; half of what the router gives if that is less.
    renewal: Duration,
    /// Until the next attempt when no router makes one.
    retry: Duration,
}

/// The way to the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Router {
    gateway: Ipv4Addr,
    /// The address of this machine on that way.
    own: Ipv4Addr,
    /// Where UPnP devices are asked for.
    devices: SocketAddr,
}

impl Router {
    fn find() -> Option<Self> {
        let (gateway, own) = route::to_gateway()?;
        let devices = SocketAddrV4::new(Ipv4Addr::new(239, 255, 255, 250), 1900).into();
        Some(Self { gateway, own, devices })
    }
}

/// A map as it was last made or renewed.
#[derive(Debug)]
struct Map {
    router: Router,
    /// What leads here.
    external: SocketAddr,
    /// How long the router keeps it.
    lifetime: Duration,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Pmp(Box<PmpMap>),
    Upnp(Box<UpnpMap>),
}

impl Map {
    async fn make(router: Router, port: u16) -> Result<Self, MapError> {
        let mapped = NonZeroU16::new(port).ok_or(MapError::NoPort)?;
        match PmpMap::make(router.gateway, router.own, mapped).await {
            Ok(map) => Self::of_pmp(router, map).await,
            Err(error) => {
                debug!(%error, "no port map");
                Self::of_upnp(router, UpnpMap::find(router, port).await?).await
            }
        }
    }

    async fn of_pmp(router: Router, map: PmpMap) -> Result<Self, MapError> {
        let (external, lifetime) = (map.external().await?, map.lifetime());
        Ok(Self { router, external, lifetime, kind: Kind::Pmp(Box::new(map)) })
    }

    async fn of_upnp(router: Router, map: UpnpMap) -> Result<Self, MapError> {
        let external = map.make().await?;
        Ok(Self { router, external, lifetime: LIFETIME, kind: Kind::Upnp(Box::new(map)) })
    }

    async fn renew(self) -> Result<Self, MapError> {
        match self.kind {
            Kind::Pmp(mut map) => {
                map.renew().await?;
                Self::of_pmp(self.router, *map).await
            }
            Kind::Upnp(map) => Self::of_upnp(self.router, *map).await,
        }
    }

    async fn remove(self) -> Result<(), MapError> {
        match self.kind {
            Kind::Pmp(map) => map.remove().await,
            Kind::Upnp(map) => map.remove().await,
        }
    }
}

/// Keeps a map of UDP `port` at the router until the program is `stopped`, and publishes where it leads here. Then the map is
/// removed.
pub(super) async fn keep(
    port: u16,
    mapped: watch::Sender<Option<SocketAddr>>,
    stopped: watch::Receiver<bool>,
) {
    keep_at(Router::find, PACE, port, mapped, stopped).await;
}

async fn keep_at(
    find: impl Fn() -> Option<Router>,
    pace: Pace,
    port: u16,
    mapped: watch::Sender<Option<SocketAddr>>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut held: Option<Map> = None;
    loop {
        let is_renewal = held.is_some();
        let mut asking = pin!(make_or_renew(find(), port, held.take()));
        let asked = tokio::select! {
            asked = &mut asking => asked,
            // What is being renewed is there and to be removed; a map that is just being made lapses.
            () = stop(&mut stopped) => {
                if is_renewal {
                    held = timeout(REMOVAL, asking).await.ok().and_then(Result::ok);
                }
                break;
            }
        };
        let pause = match &asked {
            Ok(map) => pace.renewal.min(map.lifetime / 2),
            Err(error) => {
                debug!(%error, "no port map");
                pace.retry
            }
        };
        held = asked.ok();
        publish(port, held.as_ref().map(|map| map.external), &mapped);
        tokio::select! {
            () = sleep(pause) => {}
            () = stop(&mut stopped) => break,
        }
    }
    if let Some(map) = held {
        match timeout(REMOVAL, map.remove()).await {
            Ok(Ok(())) => info!(port, "the map of the port is removed from the router"),
            Ok(Err(error)) => debug!(%error, "the map of the port lapses"),
            Err(_) => debug!("the map of the port lapses: the router does not answer"),
        }
    }
}

/// Waits until the program is stopped.
async fn stop(stopped: &mut watch::Receiver<bool>) {
    // Whoever could say so being gone is the same.
    drop(stopped.wait_for(|stopped| *stopped).await);
}

/// Renews a map that is held, if the way to the router is still the same; else makes one.
async fn make_or_renew(router: Option<Router>, port: u16, held: Option<Map>) -> Result<Map, MapError> {
    let router = router.ok_or(MapError::NoGateway)?;
    if let Some(map) = held.filter(|map| map.router == router) {
        match map.renew().await {
            Ok(map) => return Ok(map),
            Err(error) => debug!(%error, "the port map is not renewed"),
        }
    }
    Map::make(router, port).await
}

fn publish(port: u16, external: Option<SocketAddr>, mapped: &watch::Sender<Option<SocketAddr>>) {
    let is_new = mapped.send_if_modified(|known| {
        let is_new = *known != external;
        *known = external;
        is_new
    });
    match external.filter(|_| is_new) {
        Some(external) => info!(port, %external, "the router maps the port"),
        None if is_new => info!(port, "the router no longer maps the port"),
        None => {}
    }
}
