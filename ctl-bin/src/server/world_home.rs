//! The moons in the home directory (`vl1.md` §15.8). Planets are with the rest of the home.

use std::fs;
use std::io;
use std::path::PathBuf;

use zt_crypto::WorldKey;
use zt_proto::world::{World, WorldKind};

use super::home::{Home, HomeError, READABLE, WRITABLE};
use super::world_file;

const MOONS: &str = "moons.d";
/// Moons that are loaded; a node says HELLO to all their roots.
pub(super) const MAX_MOONS: usize = 16;

impl Home {
    /// Reads the moons, ascending by id.
    ///
    /// # Errors
    /// If a file named like a moon is none, or another one.
    pub(super) fn moons(&self) -> Result<Vec<World>, HomeError> {
        let folder = self.moons_folder();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(self.io("read", MOONS, source, READABLE)),
        };
        let mut moons = Vec::new();
        for entry in entries {
            let name = entry.map_err(|source| self.io("read", MOONS, source, READABLE))?.file_name();
            let Some(id) = name.to_str().and_then(id_of) else { continue };
            let path = folder.join(&name);
            let damaged = |reason| HomeError::Damaged { path: path.clone(), reason };
            let moon =
                world_file::read(&path, Some(WorldKind::Moon)).map_err(|error| damaged(error.to_string()))?;
            if moon.id != id {
                return Err(damaged(format!("it is moon {:016x}", moon.id)));
            }
            moons.push(moon);
        }
        if moons.len() > MAX_MOONS {
            let reason = format!("at most {MAX_MOONS} moons are orbited, not {}", moons.len());
            return Err(HomeError::Damaged { path: folder, reason });
        }
        moons.sort_unstable_by_key(|moon| moon.id);
        Ok(moons)
    }

    pub(super) fn moons_folder(&self) -> PathBuf {
        self.path().join(MOONS)
    }

    pub(super) fn has_moons_folder(&self) -> bool {
        self.moons_folder().is_dir()
    }

    /// Returns the moon of that id, if there is one and it can be updated with `key`.
    ///
    /// # Errors
    /// [`HomeError::ForeignPlanet`] if it cannot.
    pub(super) fn own_moon(&self, key: &WorldKey, id: u64) -> Result<Option<World>, HomeError> {
        let moon = self.moons()?.into_iter().find(|moon| moon.id == id);
        if moon.as_ref().is_some_and(|old| old.update_key != *key.public()) {
            return Err(self.foreign(&name_of(id)));
        }
        Ok(moon)
    }

    /// Puts a moon into place.
    pub(super) fn write_moon(&self, moon: &World) -> Result<(), HomeError> {
        let folder = self.moons_folder();
        fs::create_dir_all(&folder)
            .map_err(|source| self.io("make the directory", MOONS, source, WRITABLE))?;
        self.replace(&name_of(moon.id), &world_file::to_bytes(moon), 0o644)
    }
}

fn name_of(id: u64) -> String {
    format!("{MOONS}/{id:016x}.moon")
}

/// Reads the id in the name of a moon's file; other files are nobody's business.
pub(super) fn id_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".moon").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use zt_proto::Timestamp;
    use zt_proto::credential::Signature;

    use super::*;

    fn moon(id: u64) -> World {
        let (timestamp, update_key) = (Timestamp(id), [7; 64]);
        World {
            kind: WorldKind::Moon,
            id,
            timestamp,
            update_key,
            signature: Signature::NONE,
            roots: Vec::new(),
        }
    }

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(&folder.path().join("home")).unwrap();
        (folder, home)
    }

    #[test]
    fn moons_are_kept_under_their_id_and_other_files_are_left_alone() {
        let (_folder, home) = home();
        assert_eq!(home.moons().unwrap(), []);
        for id in [9, 0x12_3456_789a, 5] {
            home.write_moon(&moon(id)).unwrap();
        }
        for other in ["README", "5.moon", "000000000000000g.moon"] {
            fs::write(home.path().join(MOONS).join(other), "no moon").unwrap();
        }
        assert_eq!(home.moons().unwrap(), [moon(5), moon(9), moon(0x12_3456_789a)]);
    }

    #[test]
    fn more_moons_than_are_orbited_are_refused() {
        let (_folder, home) = home();
        for id in 1..=MAX_MOONS as u64 {
            home.write_moon(&moon(id)).unwrap();
        }
        assert_eq!(home.moons().unwrap().len(), MAX_MOONS);
        home.write_moon(&moon(1_000)).unwrap();
        let error = home.moons().unwrap_err().to_string();
        assert!(error.contains("at most 16 moons are orbited, not 17"), "{error}");
    }

    #[test]
    fn a_moon_of_somebody_else_is_not_replaced() {
        use rand_core::SeedableRng as _;
        let (_folder, home) = home();
        home.write_moon(&moon(5)).unwrap();
        let key = WorldKey::generate(&mut rand_chacha::ChaCha20Rng::seed_from_u64(1));
        assert!(matches!(home.own_moon(&key, 5), Err(HomeError::ForeignPlanet { .. })));
        assert_eq!(home.own_moon(&key, 6).unwrap(), None);
    }
}
