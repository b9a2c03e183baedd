//! The home directory (`vl1.md` §18.1): opened, locked, read and written. Nothing that exists is ever overwritten unless it is
//! this program's own and meant to be replaced.

mod files;

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::reserve;
use files::LOCK;
pub(super) use files::{AUTHTOKEN, IDENTITY_PUBLIC, PLANET, RESERVE, SETTINGS};
pub(crate) use files::{DATABASE, IDENTITY_SECRET, is_left_behind, kept_mode, note_database};

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

    pub(super) fn rng() -> ChaCha20Rng {
        ChaCha20Rng::from_seed([1; 32])
    }

    fn mode(path: PathBuf) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    pub(super) fn home() -> (tempfile::TempDir, Home) {
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
        assert_eq!(mode(home.dir.join(files::METRICSTOKEN)), 0o600);
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
    fn a_second_controller_is_kept_out() {
        let (_dir, home) = home();
        let lock = home.lock().unwrap();
        assert!(matches!(home.lock(), Err(HomeError::InUse { .. })));
        drop(lock);
        home.lock().unwrap();
    }
}
