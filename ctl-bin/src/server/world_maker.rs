//! Planets and moons made, changed and signed anew (`vl1.md` §15).

use std::fs;
use std::path::Path;

use rand_core::CryptoRng;
use zt_crypto::WorldKey;
use zt_crypto::signature::may_replace;
use zt_crypto::world_description::{DescriptionError, WorldDescription};
use zt_proto::inet::{self, EndpointText};
use zt_proto::world::{Root, World, WorldKind};
use zt_proto::{Address, PublicIdentity, Timestamp};

use super::announce::{say, say_json};
use super::home::{Home, HomeError};
use super::owner;
use super::share::ShareError;
use super::world_args::{RootArg, WorldCreateArgs, WorldRollArgs, WorldVerifyArgs};
use super::world_file::{self, WorldFileError, name_of};

/// Why no planet or moon was made, shown or found good.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorldError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    File(#[from] WorldFileError),
    #[error(transparent)]
    Share(#[from] ShareError),
    #[error(transparent)]
    Description(#[from] DescriptionError),
    #[error("root {root}: at most {max} endpoints fit, not {got}", max = World::MAX_ENDPOINTS)]
    TooManyEndpoints { root: Address, got: usize },
    #[error("at most {max} roots fit, not {0}", max = World::MAX_ROOTS)]
    TooManyRoots(usize),
    #[error("--root: {0} is named twice")]
    RootTwice(Address),
    #[error("--remove: {0} is no root")]
    NoSuchRoot(Address),
    #[error("nothing would be left: a world without roots leads clients nowhere")]
    NoRoots,
    #[error(
        "--endpoint: {0} cannot be used by clients as a path; give an address that they can reach over a network"
    )]
    UnusableEndpoint(EndpointText),
    #[error("--endpoint: {0} needs a port from 1 to 65535")]
    NoPort(EndpointText),
    #[error("--root: {0} is not a valid identity: {1}")]
    Identity(Address, zt_crypto::InvalidIdentity),
    #[error(
        "--id: {EARTH:010x} is the id of the public planet, whose updates would replace this one; leave it away"
    )]
    EarthId,
    #[error("there is no {0} of this node yet; make one with `{0} create`")]
    Nothing(&'static str),
    #[error("cannot write {path}: {source}")]
    Out { path: String, source: std::io::Error },
    #[error("{file} is no good: {problems}")]
    Problems { file: String, problems: String },
    #[error("{new} is not the next version of {old} to those who have that: {reason}")]
    NotNext { new: String, old: String, reason: &'static str },
}

const EARTH: u64 = World::EARTH;

/// Makes a world whose roots are this node, if it has endpoints, and the others that are named; or a later version of the
/// one that is there.
pub(super) fn create(
    kind: WorldKind,
    args: &WorldCreateArgs,
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Result<World, WorldError> {
    checked(&args.endpoints, &args.roots)?;
    let home = owner::open(&args.home.home)?;
    let own = *home.identity(rng)?.public();
    let own_root = (!args.endpoints.is_empty()).then(|| root(own, &args.endpoints));
    let mut roots: Vec<_> = own_root.into_iter().collect();
    roots.extend(args.roots.iter().map(|arg| root(arg.identity, &arg.endpoints)));
    let id = args.id.unwrap_or(own.address);
    if id.to_u64() == World::EARTH {
        return Err(WorldError::EarthId);
    }
    let key = home.planet_key(rng)?;
    let known = match kind {
        WorldKind::Planet => home.own_planet(&key, id.to_u64())?,
        WorldKind::Moon => home.own_moon(&key, id.to_u64())?,
    };
    let world = sign(kind, id, key, roots, known.as_ref(), now)?;
    // Written as any program writes its output: a link is followed, and /dev/stdout is what it is.
    write(&args.out, &world_file::to_bytes(&world))?;
    put(&home, &world)?;
    Ok(world)
}

/// Signs a later version of the world that this node has made.
pub(super) fn roll(
    kind: WorldKind,
    args: &WorldRollArgs,
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Result<World, WorldError> {
    checked(&args.endpoints, &args.roots)?;
    let nothing = || WorldError::Nothing(name_of(kind));
    if !args.home.home.is_dir() {
        return Err(nothing());
    }
    let home = owner::open(&args.home.home)?;
    let (planet, moons) = (home.planet()?, home.moons()?);
    if planet.is_none() && moons.is_empty() {
        return Err(nothing());
    }
    let (own, key) = (*home.identity(rng)?.public(), home.planet_key(rng)?);
    let known = match kind {
        WorldKind::Planet => {
            let planet = planet.ok_or_else(nothing)?;
            home.own_planet(&key, planet.id)?;
            planet
        }
        WorldKind::Moon => {
            let mut moons = moons.into_iter();
            moons.find(|moon| moon.update_key == *key.public()).ok_or_else(nothing)?
        }
    };
    let mut roots = known.roots.clone();
    for removed in &args.removed {
        let place = roots.iter().position(|root| root.identity.address == *removed);
        roots.remove(place.ok_or(WorldError::NoSuchRoot(*removed))?);
    }
    let own = (!args.endpoints.is_empty()).then(|| root(own, &args.endpoints));
    for new in own.into_iter().chain(args.roots.iter().map(|arg| root(arg.identity, &arg.endpoints))) {
        match roots.iter_mut().find(|old| old.identity == new.identity) {
            Some(old) => *old = new,
            None => roots.push(new),
        }
    }
    let WorldDescription { id, key, .. } = WorldDescription::of(&known, key)?;
    let world = sign(kind, id, key, roots, Some(&known), now)?;
    if let Some(out) = &args.out {
        write(out, &world_file::to_bytes(&world))?;
    }
    put(&home, &world)?;
    Ok(world)
}

/// Checks what the command line names, before anything is made or written.
fn checked(endpoints: &[EndpointText], roots: &[RootArg]) -> Result<(), WorldError> {
    for endpoint in endpoints.iter().chain(roots.iter().flat_map(|root| &root.endpoints)) {
        if endpoint.0.port() == 0 {
            return Err(WorldError::NoPort(*endpoint));
        }
        if !inet::is_usable_path(endpoint.0.ip()) {
            return Err(WorldError::UnusableEndpoint(*endpoint));
        }
    }
    for root in roots {
        zt_crypto::VerifiedIdentity::verify(root.identity)
            .map_err(|error| WorldError::Identity(root.identity.address, error))?;
    }
    Ok(())
}

fn root(identity: PublicIdentity, endpoints: &[EndpointText]) -> Root {
    Root { identity, endpoints: endpoints.iter().map(|endpoint| endpoint.0).collect() }
}

fn sign(
    kind: WorldKind,
    id: Address,
    key: WorldKey,
    roots: Vec<Root>,
    known: Option<&World>,
    now: Timestamp,
) -> Result<World, WorldError> {
    if roots.is_empty() {
        return Err(WorldError::NoRoots);
    }
    if roots.len() > World::MAX_ROOTS {
        return Err(WorldError::TooManyRoots(roots.len()));
    }
    for (n, root) in roots.iter().enumerate() {
        let address = root.identity.address;
        if root.endpoints.len() > World::MAX_ENDPOINTS {
            return Err(WorldError::TooManyEndpoints { root: address, got: root.endpoints.len() });
        }
        if roots.iter().skip(n + 1).any(|other| other.identity.address == address) {
            return Err(WorldError::RootTwice(address));
        }
    }
    // Clients take an update only if its timestamp is newer, whatever the clock says.
    let newer = known.map_or(Timestamp(0), |old| old.timestamp.plus_millis(1));
    let update_key = *key.public();
    Ok(WorldDescription { kind, id, key, update_key, roots }.sign(now.max(newer)))
}

fn put(home: &Home, world: &World) -> Result<(), HomeError> {
    match world.kind {
        WorldKind::Planet => home.replace_planet(&world_file::to_bytes(world)),
        WorldKind::Moon => home.write_moon(world),
    }
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), WorldError> {
    fs::write(path, bytes).map_err(|source| WorldError::Out { path: path.display().to_string(), source })
}

/// Checks a world, and says so if it is good.
pub(super) fn verify(kind: WorldKind, args: &WorldVerifyArgs) -> Result<(), WorldError> {
    let (world, words) = judge(kind, args)?;
    if args.json {
        say_json(&world_file::to_json(&world).into());
    } else {
        say(&words);
    }
    Ok(())
}

/// Returns a world that is good, and what to say of it.
fn judge(kind: WorldKind, args: &WorldVerifyArgs) -> Result<(World, String), WorldError> {
    let world = world_file::read(&args.file, Some(kind))?;
    let file = args.file.display().to_string();
    let problems = world_file::problems(&world);
    if !problems.is_empty() && args.after.is_none() {
        return Err(WorldError::Problems { file, problems: problems.join("; ") });
    }
    let Some(old) = &args.after else {
        let (count, plural) = (world.roots.len(), if world.roots.len() == 1 { "" } else { "s" });
        return Ok((world, format!("{file}: a good {} with {count} root{plural}", name_of(kind))));
    };
    let known = world_file::read(old, Some(kind))?;
    if may_replace(&known, &world) {
        return Ok((world, format!("{file}: the next version to those who have {}", old.display())));
    }
    let reason = if known.id != world.id {
        "it has another id"
    } else if known.timestamp >= world.timestamp {
        "it is not newer"
    } else {
        "it is not signed by the key that the old one names"
    };
    Err(WorldError::NotNext { new: file, old: old.display().to_string(), reason })
}
