//! Which planet and moons the node lives on: chosen at the start, followed when their files change, saved when a root has
//! a later version (`vl1.md` §15).

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, error, info, warn};
use zt_crypto::signature::may_replace;
use zt_proto::codec::Reader;
use zt_proto::world::{World, WorldKind};
use zt_proto::{Address, Timestamp};

use super::config::Role;
use super::home::{Home, HomeError, PLANET};
use super::udp::Command;
use super::world_file;

/// The planet that the releases come with.
const EARTH: &[u8] = include_bytes!("../../data/planet.earth");
/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// Where the planet comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PlanetSource {
    /// The public one.
    Builtin,
    /// None: found only by those who know the address.
    None,
    File(PathBuf),
}

impl FromStr for PlanetSource {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "builtin" => Self::Builtin,
            "none" => Self::None,
            file => Self::File(file.into()),
        })
    }
}

/// Planet and moons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Worlds {
    pub planet: Option<World>,
    /// Ascending by id.
    pub moons: Vec<World>,
}

impl Worlds {
    /// Says whether one of them names this node as a root.
    pub(super) fn name(&self, address: Address) -> bool {
        let roots = self.planet.iter().chain(&self.moons).flat_map(|world| &world.roots);
        roots.into_iter().any(|root| root.identity.address == address)
    }

    pub(super) fn is_public_planet(&self) -> bool {
        self.planet.as_ref().is_some_and(|planet| planet.id == World::EARTH)
    }
}

/// Why the node cannot have the role it was given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RoleError {
    #[error(
        "--role root: neither the planet nor a moon names this node ({0}), so nobody would use it as a root; make one \
         with `planet create` or `moon create`, or leave the role away"
    )]
    NotNamed(Address),
    #[error(
        "--role: the planet or a moon names this node ({0}) as a root, so clients rely on it for reaching each other; \
         add the role (--role controller,root), or use another planet (--planet)"
    )]
    NamedAnyway(Address),
}

/// Holds the roles that were asked for to the worlds there are. Without any, a node that is named is a root.
pub(super) fn check_roles(roles: &[Role], worlds: &Worlds, own: Address) -> Result<(), RoleError> {
    match (roles.is_empty() || roles.contains(&Role::Root), worlds.name(own)) {
        (true, false) if !roles.is_empty() => Err(RoleError::NotNamed(own)),
        (false, true) => Err(RoleError::NamedAnyway(own)),
        _ => Ok(()),
    }
}

/// The files, and what was last read from them.
pub(super) struct WorldFiles {
    home: Arc<Home>,
    source: Option<PlanetSource>,
    roles: Vec<Role>,
    own: Address,
    current: Worlds,
    /// Whether there was a planet in the home when it was read last.
    has_planet: bool,
    signal: Signal,
}

impl WorldFiles {
    /// Reads the worlds for the first time.
    ///
    /// # Errors
    /// If a file is damaged, or does not fit to the roles.
    pub(super) fn open(
        home: Arc<Home>,
        source: Option<PlanetSource>,
        roles: Vec<Role>,
        own: Address,
    ) -> Result<Self, super::StartError> {
        let (current, has_planet) = read(&home, source.as_ref())?;
        check_roles(&roles, &current, own)?;
        Ok(Self { home, source, roles, own, current, has_planet, signal: signal(SignalKind::hangup())? })
    }

    pub(super) fn current(&self) -> &Worlds {
        &self.current
    }

    /// Reads the files again whenever they change, and on SIGHUP at once; tells the node.
    pub(super) async fn follow(mut self, node: mpsc::Sender<Command>) {
        let mut ticks = interval(LOOK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_failure = String::new();
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = self.signal.recv() => {}
            }
            let (home, source) = (Arc::clone(&self.home), self.source.clone());
            let (had_planet, had_moons) = (self.has_planet, !self.current.moons.is_empty());
            let loaded =
                spawn_blocking(move || read_again(&home, source.as_ref(), had_planet, had_moons)).await;
            let loaded = loaded.map(|loaded| {
                loaded.map(|(worlds, has_planet)| {
                    self.has_planet = has_planet;
                    worlds
                })
            });
            let refused = match loaded {
                Ok(Ok(worlds)) if worlds == self.current => String::new(),
                Ok(Ok(worlds)) => match check_roles(&self.roles, &worlds, self.own) {
                    Ok(()) if self.change(worlds, &node).await => String::new(),
                    Ok(()) => return,
                    Err(error) => error.to_string(),
                },
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            if refused != last_failure && !refused.is_empty() {
                error!(reason = %refused, "planet or moons changed, but not to something usable; the old ones stay");
            }
            last_failure = refused;
        }
    }

    /// Says whether there is still a node to tell.
    async fn change(&mut self, worlds: Worlds, node: &mpsc::Sender<Command>) -> bool {
        let planet = worlds.planet.as_ref().map(World::version);
        info!(?planet, moons = worlds.moons.len(), "planet or moons changed");
        if self.current.name(self.own) && !worlds.name(self.own) {
            warn!("this node is no root any more; clients that know it as one may lose their way");
        }
        self.current = worlds.clone();
        let tell = move |node: &mut crate::vl1::Node, now| {
            if node
                .planet()
                .is_none_or(|known| worlds.planet.as_ref().map(World::version) != Some(known.version()))
            {
                node.set_planet(now, worlds.planet);
            }
            if node.moons() != worlds.moons {
                node.set_moons(now, worlds.moons);
            }
        };
        node.send(Box::new(tell)).await.is_ok()
    }
}

/// Returns when the planet was made that this program comes with: it was built later.
pub(super) fn builtin_timestamp() -> Timestamp {
    World::parse(&mut Reader::new(EARTH)).map(|planet| planet.timestamp).unwrap_or_default()
}

/// Reads planet and moons.
///
/// The file in the home counts unless another source is named, and also then if it is a later version of that: roots send
/// such versions. The built-in planet counts if there is nothing else, or if what there is, is an earlier version.
pub(super) fn load(home: &Home, source: Option<&PlanetSource>) -> Result<Worlds, HomeError> {
    read(home, source).map(|(worlds, _)| worlds)
}

/// Does that, and says whether there is a planet in the home.
fn read(home: &Home, source: Option<&PlanetSource>) -> Result<(Worlds, bool), HomeError> {
    let builtin = || World::parse(&mut Reader::new(EARTH)).ok();
    let own = if source == Some(&PlanetSource::None) { None } else { home.planet()? };
    let has_planet = own.is_some();
    let planet = match source {
        Some(PlanetSource::None) => None,
        Some(PlanetSource::Builtin) => later(builtin(), own),
        Some(PlanetSource::File(file)) => {
            let named = world_file::read(file, Some(WorldKind::Planet))
                .map_err(|error| HomeError::NamedPlanet { reason: error.to_string() })?;
            later(Some(named), own)
        }
        None => match own {
            Some(planet) => later(Some(planet), builtin()),
            None => builtin(),
        },
    };
    Ok((Worlds { planet, moons: home.moons()? }, has_planet))
}

/// Reads planet and moons while the node lives on what was read before: a planet that is gone, or the whole folder of the
/// moons, is no other choice but a loss, and nobody is to be led to the public roots by it.
fn read_again(
    home: &Home,
    source: Option<&PlanetSource>,
    had_planet: bool,
    had_moons: bool,
) -> Result<(Worlds, bool), HomeError> {
    let (worlds, has_planet) = read(home, source)?;
    if had_planet && !has_planet {
        return Err(HomeError::Vanished { path: home.path().join(PLANET) });
    }
    if had_moons && !home.has_moons_folder() {
        return Err(HomeError::Vanished { path: home.moons_folder() });
    }
    Ok((worlds, has_planet))
}

/// Returns the second if it is a later version of the first.
fn later(first: Option<World>, second: Option<World>) -> Option<World> {
    match (first, second) {
        (Some(first), Some(second)) if may_replace(&first, &second) => Some(second),
        (first, _) => first,
    }
}

/// Keeps what a root sent, if it is a later version of what is there: whatever else an administrator put there stays.
pub(super) fn save(home: &Home, world: &World) {
    let mut bytes = Vec::new();
    world.write(&mut bytes);
    let known = match world.kind {
        WorldKind::Moon => home.moons().map(|moons| moons.into_iter().find(|moon| moon.id == world.id)),
        WorldKind::Planet => home.planet(),
    };
    let saved = known.and_then(|known| match (known, world.kind) {
        (Some(known), _) if !may_replace(&known, world) => Ok(false),
        (_, WorldKind::Moon) => home.write_moon(world).map(|()| true),
        (_, WorldKind::Planet) => home.replace_planet(&bytes).map(|()| true),
    });
    match saved {
        Ok(false) => {
            debug!(kind = ?world.kind, "a world that a root sent is no later version of the one in the home")
        }
        Ok(true) => {
            info!(kind = ?world.kind, id = %format_args!("{:010x}", world.id), "a root has a later version of a world")
        }
        Err(error) => error!(%error, "the later version of a world is not kept"),
    }
}

#[cfg(test)]
mod tests {
    use zt_crypto::VerifiedIdentity;
    use zt_crypto::signature::verify_world;
    use zt_proto::inet::is_usable_path;

    use super::*;

    fn earth() -> World {
        let mut reader = Reader::new(EARTH);
        let world = World::parse(&mut reader).unwrap();
        assert!(reader.is_empty());
        world
    }

    /// As `vl1.md` §15.6 has it.
    #[test]
    fn the_built_in_planet_is_the_public_one_and_whole() {
        let world = earth();
        assert_eq!((EARTH.len(), world.kind, world.id), (570, WorldKind::Planet, World::EARTH));
        assert_eq!(world.timestamp.0, 1_644_592_324_813);
        assert_eq!(verify_world(&world.update_key, &world), Ok(()));
        let addresses: Vec<_> = world.roots.iter().map(|root| root.identity.address.to_string()).collect();
        assert_eq!(addresses, ["cafe9efeb9", "778cde7190", "62f865ae71", "cafe04eba9"]);
        for root in &world.roots {
            VerifiedIdentity::verify(root.identity).unwrap();
            assert_eq!(root.endpoints.len(), 2);
            assert!(
                root.endpoints
                    .iter()
                    .all(|endpoint| is_usable_path(endpoint.ip()) && endpoint.port() == 9993)
            );
        }
    }

    #[test]
    fn the_file_in_the_home_counts_unless_another_source_is_named_or_it_is_an_earlier_version_of_the_public_planet()
     {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(&folder.path().join("home")).unwrap();
        let id = |source: Option<PlanetSource>| {
            load(&home, source.as_ref()).unwrap().planet.map(|planet| (planet.id, planet.timestamp.0))
        };
        let public = Some((World::EARTH, 1_644_592_324_813));
        assert_eq!(id(None), public);
        assert_eq!(id(Some(PlanetSource::None)), None);
        let mut own = earth();
        own.id = 42;
        let mut bytes = Vec::new();
        own.write(&mut bytes);
        home.replace_planet(&bytes).unwrap();
        let named = folder.path().join("named");
        std::fs::write(&named, EARTH).unwrap();
        assert_eq!(id(None), Some((42, 1_644_592_324_813)));
        assert_eq!(id(Some(PlanetSource::None)), None);
        assert_eq!(id(Some(PlanetSource::Builtin)), public);
        assert_eq!(id(Some(PlanetSource::File(named))), public);
        let mut earlier = earth();
        earlier.timestamp.0 -= 1;
        bytes.clear();
        earlier.write(&mut bytes);
        home.replace_planet(&bytes).unwrap();
        assert_eq!(id(None), public);
        save(&home, &own);
        assert_eq!(home.planet().unwrap().unwrap().id, World::EARTH, "another world is not overwritten");
        for (sent, kept) in [(&earth(), earth().timestamp), (&earlier, earth().timestamp)] {
            save(&home, sent);
            assert_eq!(home.planet().unwrap().unwrap().timestamp, kept, "the later version stays");
        }
    }
}
