//! The files of a home: which there are, which of them a backup keeps, and what each must hold.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rand_core::CryptoRng;
use zeroize::Zeroizing;
use zt_crypto::{IdentitySecret, WorldKey};
use zt_proto::Address;
use zt_proto::codec::Reader;
use zt_proto::world::{World, WorldKind};

use super::{Home, HomeError, READABLE, write_atomically};

pub(crate) const IDENTITY_SECRET: &str = "identity.secret";
pub(in crate::server) const IDENTITY_PUBLIC: &str = "identity.public";
pub(in crate::server) const AUTHTOKEN: &str = "authtoken.secret";
/// Settings that tools write for the original.
const LOCAL_CONF: &str = "local.conf";
/// Settings of this program.
pub(in crate::server) const SETTINGS: &str = "ctl.toml";
/// Opens `/metrics` and nothing else.
pub(in crate::server) const METRICSTOKEN: &str = "metricstoken.secret";
pub(in crate::server) const PLANET: &str = "planet";
/// Signs every later version of the planet and of the moon that this controller makes.
const PLANET_KEY: &str = "planet.secret";
pub(crate) const DATABASE: &str = "controller.db";
const PORT: &str = "zerotier-one.port";
/// Where the API of the controller that runs, or ran last, is reached from this machine.
const API_URL: &str = "ctl-bin.url";
pub(super) const LOCK: &str = "ctl-bin.lock";
/// Room on the disk that is kept for a start; see [`crate::server::reserve`].
pub(in crate::server) const RESERVE: &str = "ctl-bin.reserve";
/// Says that a restore or an import has put a database here, before any controller has served with it.
const DATABASE_PUT: &str = "ctl-bin.database";

/// The moons that this node orbits, one file each: `ID.moon`, 16 hex digits.
const MOONS: &str = "moons.d";

/// The files of a home, but for the moons, that a backup keeps, with the mode that each is to have. The first, without
/// which a home is refused, is the last that a restore puts into place.
const KEPT: [(&str, u32); 9] = [
    (IDENTITY_SECRET, 0o600),
    (IDENTITY_PUBLIC, 0o644),
    (AUTHTOKEN, 0o600),
    (METRICSTOKEN, 0o600),
    (LOCAL_CONF, 0o644),
    (SETTINGS, 0o644),
    (PLANET, 0o644),
    (PLANET_KEY, 0o600),
    (DATABASE, 0o600),
];

/// Files of a home that another one, on another machine, has no use for.
const LEFT_BEHIND: [&str; 5] = [PORT, API_URL, LOCK, DATABASE_PUT, RESERVE];

const TOKEN_LEN: usize = 24;

/// A file of a home: its name in there, and what is in it.
pub(crate) type KeptFile = (String, Zeroizing<Vec<u8>>);

impl Home {
    pub(crate) fn database(&self) -> PathBuf {
        self.dir.join(DATABASE)
    }

    /// Makes certain that no empty database takes the place of one that was lost: where the API of a controller was reached,
    /// or [`note_database`] was called, there was one.
    ///
    /// # Errors
    /// [`HomeError::DatabaseGone`]
    pub(crate) fn require_database(&self) -> Result<(), HomeError> {
        let path = self.database();
        // What cannot be looked at is not gone, and said by who opens it. A link is there also if it leads nowhere.
        let is_gone = path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        let had_one = [API_URL, DATABASE_PUT].iter().any(|name| self.dir.join(name).exists());
        if is_gone && had_one {
            return Err(HomeError::DatabaseGone { path });
        }
        Ok(())
    }

    pub(crate) fn token_file(&self) -> PathBuf {
        self.dir.join(AUTHTOKEN)
    }

    /// Reads the identity, or makes one if there is none, and sees that `identity.public` matches.
    ///
    /// # Errors
    /// If it is damaged or its address does not belong to its keys; nothing is changed then.
    pub(crate) fn identity(&self, rng: &mut impl CryptoRng) -> Result<IdentitySecret, HomeError> {
        let secret = match self.read_secret(IDENTITY_SECRET)? {
            Some(bytes) => self.sound_identity(&bytes)?,
            None => {
                for name in [IDENTITY_PUBLIC, DATABASE] {
                    if self.dir.join(name).exists() {
                        return Err(HomeError::IdentityGone { dir: self.dir.clone(), name });
                    }
                }
                let secret = IdentitySecret::generate(rng);
                self.create(IDENTITY_SECRET, secret.to_text().as_bytes(), 0o600)?;
                secret
            }
        };
        let public = secret.public().to_string();
        if self.read(IDENTITY_PUBLIC)?.is_none_or(|bytes| bytes.trim_ascii() != public.as_bytes()) {
            self.replace(IDENTITY_PUBLIC, public.as_bytes(), 0o644)?;
        }
        Ok(secret)
    }

    /// Reads the identity of a home that has one, and returns its address.
    ///
    /// # Errors
    /// As [`Self::identity`]; nothing is made.
    pub(crate) fn known_identity(&self) -> Result<Address, HomeError> {
        let Some(bytes) = self.read_secret(IDENTITY_SECRET)? else {
            return Err(HomeError::NoHome { path: self.dir.clone() });
        };
        Ok(self.sound_identity(&bytes)?.address())
    }

    /// Reads an identity that is to be ours.
    pub(crate) fn sound_identity(&self, bytes: &[u8]) -> Result<IdentitySecret, HomeError> {
        let damaged = |reason: String| HomeError::Identity { path: self.dir.join(IDENTITY_SECRET), reason };
        let text = std::str::from_utf8(bytes).map_err(|error| damaged(error.to_string()))?;
        let secret: IdentitySecret = text.trim().parse().map_err(|error| damaged(format!("{error}")))?;
        secret.verify().map_err(|error| damaged(error.to_string()))?;
        Ok(secret)
    }

    /// Reads the token of the API, or makes one.
    pub(crate) fn token(&self, rng: &mut impl CryptoRng) -> Result<String, HomeError> {
        self.token_of(AUTHTOKEN, rng)
    }

    /// Reads the token of the metrics, or makes one.
    pub(crate) fn metrics_token(&self, rng: &mut impl CryptoRng) -> Result<String, HomeError> {
        self.token_of(METRICSTOKEN, rng)
    }

    fn token_of(&self, name: &str, rng: &mut impl CryptoRng) -> Result<String, HomeError> {
        if let Some(bytes) = self.read_secret(name)? {
            let text = String::from_utf8_lossy(&bytes).trim().to_owned();
            if text.is_empty() {
                let reason = "it is empty".to_owned();
                return Err(HomeError::Damaged { path: self.dir.join(name), reason });
            }
            return Ok(text);
        }
        let token = random_token(rng);
        self.create(name, token.as_bytes(), 0o600)?;
        Ok(token)
    }

    /// Reads the planet, if there is a file.
    pub(crate) fn planet(&self) -> Result<Option<World>, HomeError> {
        let Some(bytes) = self.read(PLANET)? else { return Ok(None) };
        let mut reader = Reader::new(&bytes);
        let damaged = |reason: String| HomeError::Damaged { path: self.dir.join(PLANET), reason };
        let world = World::parse(&mut reader).map_err(|error| damaged(error.to_string()))?;
        if world.kind != WorldKind::Planet {
            return Err(damaged("it is a moon".to_owned()));
        }
        if !reader.is_empty() {
            return Err(damaged(format!("{} bytes follow the planet", reader.remaining())));
        }
        Ok(Some(world))
    }

    /// Returns the planet that is there, if it can be updated with `key` and keeps its id.
    ///
    /// # Errors
    /// [`HomeError::ForeignPlanet`] if it cannot.
    pub(crate) fn own_planet(&self, key: &WorldKey, id: u64) -> Result<Option<World>, HomeError> {
        let planet = self.planet()?;
        if planet.as_ref().is_some_and(|old| old.update_key != *key.public() || old.id != id) {
            return Err(self.foreign(PLANET));
        }
        Ok(planet)
    }

    /// Says that a planet or moon is somebody else's.
    pub(in crate::server) fn foreign(&self, name: &str) -> HomeError {
        HomeError::ForeignPlanet { planet: self.dir.join(name), key: self.dir.join(PLANET_KEY) }
    }

    /// Puts a planet into place.
    pub(crate) fn replace_planet(&self, planet: &[u8]) -> Result<(), HomeError> {
        self.replace(PLANET, planet, 0o644)
    }

    /// Reads the key that signs planets and moons, or makes one.
    pub(crate) fn planet_key(&self, rng: &mut impl CryptoRng) -> Result<WorldKey, HomeError> {
        if let Some(bytes) = self.read_secret(PLANET_KEY)? {
            let damaged = |reason| HomeError::Damaged { path: self.dir.join(PLANET_KEY), reason };
            let bytes = bytes.first_chunk().filter(|key| key.len() == bytes.len()).ok_or_else(|| {
                damaged(format!("it must have {} bytes, not {}", WorldKey::BYTES, bytes.len()))
            })?;
            return WorldKey::from_bytes(bytes).map_err(|error| damaged(error.to_string()));
        }
        let key = WorldKey::generate(rng);
        self.create(PLANET_KEY, &*key.to_bytes(), 0o600)?;
        Ok(key)
    }

    /// Reads `local.conf`, if there is one.
    ///
    /// # Errors
    /// If it cannot be read or has more than `limit` bytes.
    pub(crate) fn local_conf(&self, limit: u64) -> Result<Option<Vec<u8>>, HomeError> {
        match fs::metadata(self.dir.join(LOCAL_CONF)) {
            Ok(metadata) if metadata.len() > limit => {
                let reason = format!("it has {} bytes, expected at most {limit}", metadata.len());
                Err(HomeError::Damaged { path: self.dir.join(LOCAL_CONF), reason })
            }
            Ok(_) | Err(_) => self.read(LOCAL_CONF),
        }
    }

    /// Notes the port where tools look for it.
    pub(crate) fn write_port(&self, port: u16) -> Result<(), HomeError> {
        self.replace(PORT, port.to_string().as_bytes(), 0o644)
    }

    /// Returns the UDP port of the controller that runs, or ran last.
    pub(crate) fn port(&self) -> Option<u16> {
        let text = self.read(PORT).ok().flatten()?;
        String::from_utf8_lossy(&text).trim().parse().ok()
    }

    /// Notes where the API is reached from this machine.
    pub(crate) fn write_api_url(&self, url: &str) -> Result<(), HomeError> {
        self.replace(API_URL, url.as_bytes(), 0o644)
    }

    /// Returns where the API of the controller that runs, or ran last, is reached from this machine.
    pub(crate) fn api_url(&self) -> Result<Option<String>, HomeError> {
        Ok(self.read(API_URL)?.map(|url| String::from_utf8_lossy(&url).trim().to_owned()))
    }

    /// Reads what a backup keeps, but for the database: name and content of each file that is there.
    pub(crate) fn kept_files(&self) -> Result<Vec<KeptFile>, HomeError> {
        let mut files = Vec::new();
        for (name, _) in KEPT.iter().filter(|(name, _)| *name != DATABASE) {
            files.extend(self.read(name)?.map(|content| ((*name).to_owned(), Zeroizing::new(content))));
        }
        let moons = match fs::read_dir(self.dir.join(MOONS)) {
            Ok(moons) => moons,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files),
            Err(source) => return Err(self.io("read", MOONS, source, READABLE)),
        };
        let mut names = Vec::new();
        for moon in moons {
            let moon = moon.map_err(|source| self.io("read", MOONS, source, READABLE))?;
            names.push(format!("{MOONS}/{}", moon.file_name().to_string_lossy()));
        }
        names.retain(|name| is_moon(name));
        names.sort();
        for name in names {
            files.extend(self.read(&name)?.map(|content| (name, Zeroizing::new(content))));
        }
        Ok(files)
    }
}

/// Returns the mode that a file of a home is to have; `None` if a backup does not keep a file of this name.
pub(crate) fn kept_mode(name: &str) -> Option<u32> {
    if is_moon(name) {
        return Some(0o644);
    }
    KEPT.iter().find(|(kept, _)| *kept == name).map(|(_, mode)| *mode)
}

/// Says whether `name` is that of a file which a home may have before anything was put into it.
pub(crate) fn is_left_behind(name: &str) -> bool {
    LEFT_BEHIND.contains(&name)
}

/// Notes in a home, or in what becomes one, that a database is put there: a controller that does not find it any more does not
/// start with an empty one. On the disk when this returns.
pub(crate) fn note_database(dir: &Path) -> io::Result<()> {
    const TEXT: &[u8] =
        b"A database was put here: controller.db. Without it no controller starts in this home.\n";
    write_atomically(&dir.join(DATABASE_PUT), TEXT, 0o644, true)
}

fn is_moon(name: &str) -> bool {
    let id = name.strip_prefix(MOONS).and_then(|name| name.strip_prefix('/')?.strip_suffix(".moon"));
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    id.is_some_and(|id| id.len() == 16 && id.bytes().all(is_digit))
}

/// Returns a token as the official program makes them: 24 characters of a-z and 0-9.
fn random_token(rng: &mut impl CryptoRng) -> String {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    // Bytes past the largest multiple of 36 are drawn again, so that every character is equally likely.
    let mut draw = || {
        loop {
            let mut byte = [0];
            rng.fill_bytes(&mut byte);
            let [byte] = byte;
            if byte < 252 {
                return ALPHABET.get(usize::from(byte % 36)).copied().map_or('a', char::from);
            }
        }
    };
    (0..TOKEN_LEN).map(|_| draw()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{home, rng};
    use super::*;

    #[test]
    fn a_damaged_identity_is_refused_and_left_alone() {
        let (_dir, home) = home();
        home.identity(&mut rng()).unwrap();
        let path = home.dir.join(IDENTITY_SECRET);
        let text = fs::read_to_string(&path).unwrap();
        let other_address =
            format!("{}{}", if text.starts_with('a') { 'b' } else { 'a' }, text.get(1..).unwrap());
        for damaged in ["", "garbage", text.get(..200).unwrap(), &other_address] {
            fs::write(&path, damaged).unwrap();
            let error = home.identity(&mut rng()).unwrap_err().to_string();
            assert!(error.contains("damaged") && error.contains("backup"), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
        }
    }
}
