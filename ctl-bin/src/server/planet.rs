//! `ctl-bin planet`: the file by which clients find this controller (`vl1.md` §15, §16.7).

use std::fs;

use rand_core::CryptoRng;
use zt_proto::Timestamp;
use zt_proto::credential::Signature;
use zt_proto::inet::{self, EndpointText};
use zt_proto::world::{Root, World, WorldKind};

use super::announce::say;
use super::config::PlanetCreateArgs;
use super::home::{Home, HomeError};

/// Why no planet was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanetError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error("--endpoint: at most {max} endpoints fit into a planet, not {0}", max = World::MAX_ENDPOINTS)]
    TooManyEndpoints(usize),
    #[error(
        "--endpoint: {0} cannot be used by clients as a path; give an address that they can reach over a network"
    )]
    UnusableEndpoint(EndpointText),
    #[error("--endpoint: {0} needs a port from 1 to 65535")]
    NoPort(EndpointText),
    #[error("--out: cannot write {path}: {source}")]
    Out { path: String, source: std::io::Error },
}

/// Makes a planet whose only root is the controller of `args.home`, puts it there and into `args.out`.
pub(crate) fn create(
    args: &PlanetCreateArgs,
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Result<(), PlanetError> {
    if args.endpoints.len() > World::MAX_ENDPOINTS {
        return Err(PlanetError::TooManyEndpoints(args.endpoints.len()));
    }
    for endpoint in &args.endpoints {
        if endpoint.0.port() == 0 {
            return Err(PlanetError::NoPort(*endpoint));
        }
        if !inet::is_usable_path(endpoint.0.ip()) {
            return Err(PlanetError::UnusableEndpoint(*endpoint));
        }
    }
    let home = Home::open(&args.home.home)?;
    let identity = home.identity(rng)?;
    let key = home.planet_key(rng)?;
    // Any id but that of the public planet will do; this one tells whose it is.
    let id = identity.address().to_u64();
    // Clients take an update only if its timestamp is newer, whatever the clock says.
    let newer = home.own_planet(&key, id)?.map_or(Timestamp(0), |old| old.timestamp.plus_millis(1));
    let mut planet = World {
        kind: WorldKind::Planet,
        id,
        timestamp: now.max(newer),
        update_key: *key.public(),
        signature: Signature::NONE,
        roots: vec![Root {
            identity: *identity.public(),
            endpoints: args.endpoints.iter().map(|endpoint| endpoint.0).collect(),
        }],
    };
    planet.signature = key.sign(&planet.signed_bytes());
    let mut bytes = Vec::new();
    planet.write(&mut bytes);
    // Written as any program writes its output: a link is followed, and /dev/stdout is what it is.
    fs::write(&args.out, &bytes)
        .map_err(|source| PlanetError::Out { path: args.out.display().to_string(), source })?;
    home.replace_planet(&bytes)?;
    say(&format!(
        "planet: {} bytes in {}, root {}\n\
         next: restart the controller if it runs, and put this file as `planet` into the home directory of each\n\
        \x20     client (on Linux /var/lib/zerotier-one), then restart the client",
        bytes.len(),
        args.out.display(),
        identity.address()
    ));
    Ok(())
}
