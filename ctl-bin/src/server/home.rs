//! The home directory: identity, tokens, planet (`vl1.md` §18.1). Nothing that exists is ever overwritten unless it is
//! this program's own and meant to be replaced.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rand_core::CryptoRng;
use zeroize::Zeroizing;
use zt_crypto::{IdentitySecret, WorldKey};
use zt_proto::Address;
use zt_proto::codec::Reader;
use zt_proto::world::{World, WorldKind};

use super::reserve;

pub(crate) const IDENTITY_SECRET: &str = "identity.secret";
pub(super) const IDENTITY_PUBLIC: &str = "identity.public";
pub(super) const AUTHTOKEN: &str = "authtoken.secret";
/// Settings that tools write for the original.
const LOCAL_CONF: &str = "local.conf";
/// Settings of this program.
pub(super) const SETTINGS: &str = "ctl.toml";
/// Opens `/metrics` and nothing else.
pub(super) const METRICSTOKEN: &str = "metricstoken.secret";
pub(super) const PLANET: &str = "planet";
/// Signs every later version of the planet and of the moon that this controller makes.
const PLANET_KEY: &str = "planet.secret";
pub(crate) const DATABASE: &str = "controller.db";
const PORT: &str = "zerotier-one.port";
/// Where the API of the controller that runs, or ran last, is reached from this machine.
const API_URL: &str = "ctl-bin.url";
const LOCK: &str = "ctl-bin.lock";
/// Room on the disk that is kept for a start; see [`super::reserve`].
pub(super) const RESERVE: &str = "ctl-bin.reserve";
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

/// Why the home directory cannot be used, and what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HomeError {
    #[error("cannot {action} {}: {source}; {advice}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error, advice: &'static str },
    #[error("{} can be read by other users (mode {mode:04o}); close it with: chmod {wanted:o} {}", path.display(), path.display())]
    TooOpen { path: PathBuf, mode: u32, wanted: u32 },
    #[error("{} belongs to user {owner}, not to the user that runs this ({user}); run it as that user, as root with: runuser -u \"$(id -nu {owner})\" -- ctl-bin --home {} …", path.display(), path.display())]
    ForeignOwner { path: PathBuf, owner: u32, user: u32 },
    #[error("{} belongs to user {owner}, and root cannot become that user here: {source}; run it as that user", path.display())]
    Owner { path: PathBuf, owner: u32, source: io::Error },
    #[error("{} is no home of a controller: it has no identity.secret; name another with --home", path.display())]
    NoHome { path: PathBuf },
    #[error("another backup of {} is being made; wait until it is done", path.display())]
    BackupRuns { path: PathBuf },
    #[error("{} is used by another running controller; stop that one, or choose another directory with --home", path.display())]
    InUse { path: PathBuf },
    #[error(
        "{} is damaged: {reason}; restore it from a backup, or move it away to start with a new address \
         (the networks of the old address cannot be served then)", path.display())]
    Identity { path: PathBuf, reason: String },
    #[error(
        "{} has {name} but no identity.secret; restore that from a backup, or move {name} away to start with a new \
         address (the networks of the old address cannot be served then)", dir.display())]
    IdentityGone { dir: PathBuf, name: &'static str },
    #[error("{} is damaged: {reason}; restore it from a backup, or move it away", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("{} is gone; put it back, or start again to do without it", path.display())]
    Vanished { path: PathBuf },
    #[error(
        "{} is gone, and this home had one; put the database back into its place, or make a home of a backup (`ctl-bin \
         restore FILE --home DIR`); with --new-database an empty one is made, without networks and members", path.display())]
    DatabaseGone { path: PathBuf },
    #[error("--planet: {reason}")]
    NamedPlanet { reason: String },
    #[error(
        "{} was not made by this controller (its updates need another key than {}); \
         move it away first if it is to be replaced", planet.display(), key.display())]
    ForeignPlanet { planet: PathBuf, key: PathBuf },
}

impl HomeError {
    /// Says that something could not be made in a home.
    pub(super) fn unwritable(path: PathBuf, source: io::Error) -> Self {
        Self::Io { action: "make", path, source, advice: WRITABLE }
    }
}

pub(super) const WRITABLE: &str =
    "the user that runs this must be able to write there; choose another place with --home";
pub(super) const READABLE: &str = "it must be readable by the user that runs this";

/// A file of a home: its name in there, and what is in it.
pub(crate) type KeptFile = (String, Zeroizing<Vec<u8>>);

/// An opened home directory.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    dir: PathBuf,
}

impl Home {
    /// Opens `dir`, making it with mode 0700 if it is not there.
    ///
    /// # Errors
    /// If it cannot be made or written, or if other users can look into it.
    pub(crate) fn open(dir: &Path) -> Result<Self, HomeError> {
        let failed =
            |action| move |source| HomeError::Io { action, path: dir.to_owned(), source, advice: WRITABLE };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed("make the directory"))?;
        let dir = dir.canonicalize().map_err(failed("find the directory"))?;
        let metadata = fs::metadata(&dir).map_err(failed("look at"))?;
        let user = nix::unistd::geteuid().as_raw();
        if metadata.uid() != user {
            return Err(HomeError::ForeignOwner { path: dir, owner: metadata.uid(), user });
        }
        check_mode(&dir, metadata.permissions().mode(), 0o700)?;
        Ok(Self { dir })
    }

    /// Opens `dir`, which is the home of a controller already.
    ///
    /// # Errors
    /// [`HomeError::NoHome`] if it is not, else as [`Self::open`]. Nothing is made.
    pub(crate) fn open_existing(dir: &Path) -> Result<Self, HomeError> {
        if !dir.join(IDENTITY_SECRET).exists() {
            return Err(HomeError::NoHome { path: dir.to_owned() });
        }
        Self::open(dir)
    }

    /// Opens `dir`, which is the home of a controller already, for a look at what can be read there: whoever owns it, and
    /// whatever its mode.
    ///
    /// # Errors
    /// [`HomeError::NoHome`] if it is not, or why that cannot be told.
    pub(crate) fn look(dir: &Path) -> Result<Self, HomeError> {
        let path = dir.join(IDENTITY_SECRET);
        match path.try_exists() {
            Ok(true) => Ok(Self { dir: dir.to_owned() }),
            Ok(false) => Err(HomeError::NoHome { path: dir.to_owned() }),
            Err(source) => Err(HomeError::Io { action: "look at", path, source, advice: READABLE }),
        }
    }

    /// Says whether a controller runs in this home.
    pub(crate) fn is_served(&self) -> bool {
        let Ok(file) = File::open(self.dir.join(LOCK)) else { return false };
        // Let go of again at once, on return.
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.dir
    }

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

    /// Keeps a second controller out of this directory for as long as the returned file is open.
    pub(crate) fn lock(&self) -> Result<File, HomeError> {
        let path = self.dir.join(LOCK);
        let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        self.locked(open.map_err(|source| self.io("open", LOCK, source, WRITABLE))?)
    }

    /// Does the same without making or changing anything; `None` if the directory was never used.
    pub(crate) fn lock_if_used(&self) -> Result<Option<File>, HomeError> {
        match File::open(self.dir.join(LOCK)) {
            Ok(file) => self.locked(file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(self.io("open", LOCK, source, READABLE)),
        }
    }

    fn locked(&self, file: File) -> Result<File, HomeError> {
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(HomeError::InUse { path: self.dir.clone() }),
            Err(TryLockError::Error(source)) => Err(self.io("lock", LOCK, source, WRITABLE)),
        }
    }

    /// Keeps a second backup from being made of this directory for as long as the returned file is open.
    pub(crate) fn lock_backup(&self) -> Result<File, HomeError> {
        // The directory itself, so that nothing more lies in it.
        let file = File::open(&self.dir).map_err(|source| self.io("open", "", source, READABLE))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(HomeError::BackupRuns { path: self.dir.clone() }),
            Err(TryLockError::Error(source)) => Err(self.io("lock", "", source, READABLE)),
        }
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
    pub(super) fn foreign(&self, name: &str) -> HomeError {
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

    pub(super) fn io(
        &self,
        action: &'static str,
        name: &str,
        source: io::Error,
        advice: &'static str,
    ) -> HomeError {
        // Whoever finds no room may write there.
        let advice = if reserve::is_full(source.kind()) { "free some space there" } else { advice };
        HomeError::Io { action, path: self.dir.join(name), source, advice }
    }

    /// Reads a file; `None` if it is not there.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, HomeError> {
        match fs::read(self.dir.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(self.io("read", name, source, READABLE)),
        }
    }

    /// Reads a file that other users must not be able to read.
    pub(super) fn read_secret(&self, name: &str) -> Result<Option<Vec<u8>>, HomeError> {
        let Some(bytes) = self.read(name)? else { return Ok(None) };
        let path = self.dir.join(name);
        let metadata = fs::metadata(&path).map_err(|source| self.io("look at", name, source, READABLE))?;
        check_mode(&path, metadata.permissions().mode(), 0o600)?;
        Ok(Some(bytes))
    }

    /// Writes a file that must not be there yet.
    fn create(&self, name: &str, content: &[u8], mode: u32) -> Result<(), HomeError> {
        write_atomically(&self.dir.join(name), content, mode, false)
            .map_err(|source| self.io("write", name, source, WRITABLE))
    }

    /// Writes a file whether it is there or not; a crash leaves the old or the new one.
    pub(super) fn replace(&self, name: &str, content: &[u8], mode: u32) -> Result<(), HomeError> {
        write_atomically(&self.dir.join(name), content, mode, true)
            .map_err(|source| self.io("write", name, source, WRITABLE))
    }
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

/// Refuses a file or directory into which other users can look.
pub(crate) fn check_mode(path: &Path, mode: u32, wanted: u32) -> Result<(), HomeError> {
    let mode = mode & 0o7777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(HomeError::TooOpen { path: path.to_owned(), mode, wanted }) }
}

/// Writes `path` so that it is there whole or not at all, and survives a crash once this returns.
fn write_atomically(path: &Path, content: &[u8], mode: u32, replace: bool) -> io::Result<()> {
    if !replace && path.exists() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = parent.join(name);
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::from_seed([1; 32])
    }

    fn mode(path: PathBuf) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(&dir.path().join("home")).unwrap();
        (dir, home)
    }

    #[test]
    fn a_new_home_is_closed_to_others_and_stays_the_same() {
        let (_dir, home) = home();
        let identity = home.identity(&mut rng()).unwrap();
        let token = home.token(&mut rng()).unwrap();
        assert_eq!(mode(home.dir.clone()), 0o700);
        assert_eq!(mode(home.dir.join(IDENTITY_SECRET)), 0o600);
        assert_eq!(mode(home.token_file()), 0o600);
        let metrics_token = home.metrics_token(&mut rng()).unwrap();
        assert_eq!(mode(home.dir.join(METRICSTOKEN)), 0o600);
        assert_eq!(home.metrics_token(&mut rng()).unwrap(), metrics_token);
        let again = Home::open(home.path()).unwrap();
        assert_eq!(again.identity(&mut rng()).unwrap().public(), identity.public());
        assert_eq!(again.token(&mut rng()).unwrap(), token);
        assert!(token.len() == 24 && token.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
    }

    /// `known-flaws.md` row 3.
    #[test]
    fn a_home_or_secret_that_others_can_read_is_refused_with_the_fix() {
        let (_dir, home) = home();
        home.identity(&mut rng()).unwrap();
        fs::set_permissions(home.dir.join(IDENTITY_SECRET), fs::Permissions::from_mode(0o644)).unwrap();
        let error = home.identity(&mut rng()).unwrap_err().to_string();
        assert!(error.contains("mode 0644") && error.contains("chmod 600"), "{error}");
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let error = Home::open(home.path()).unwrap_err().to_string();
        assert!(error.contains("chmod 700"), "{error}");
    }

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

    #[test]
    fn a_second_controller_is_kept_out() {
        let (_dir, home) = home();
        let lock = home.lock().unwrap();
        assert!(matches!(home.lock(), Err(HomeError::InUse { .. })));
        drop(lock);
        home.lock().unwrap();
    }
}
