//! Room on the disk that is kept for a start. A controller that runs serves on when its disk is full; one that starts has to
//! write first: that it is the one that serves, and what SQLite keeps beside a database. On a disk that is full it gives
//! up a part of a file that it laid by for that.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use tokio::task::spawn_blocking;
use tokio::time::interval;
use tracing::{debug, error};

use super::home::{Home, RESERVE};

/// What is laid by, in bytes: a few starts.
const SIZE: u64 = 4 * PART;
/// What a start gives up at a time. It writes less: 32 KiB of shared memory, a few pages of the log, two small files.
const PART: u64 = 256 << 10;
/// Nothing is laid by where less is free: others need that more.
const SPARE: u64 = 16 << 20;
/// How often it is laid by again what a start gave up.
const FILLED_EVERY: Duration = Duration::from_secs(60 * 60);

/// The file.
#[derive(Debug, Clone)]
pub(super) struct Reserve {
    home: PathBuf,
    path: PathBuf,
}

impl Reserve {
    pub(super) fn of(home: &Home) -> Self {
        Self { home: home.path().to_owned(), path: home.path().join(RESERVE) }
    }

    /// Makes room for a start if there is none, as long as there is something to give up. Whoever finds none all the
    /// same says what it could not write.
    pub(super) fn make_room(&self) {
        let home = self.home.display();
        while self.is_disk_full() {
            match self.give_up() {
                Ok(Some(left_bytes)) if left_bytes > 0 && self.is_disk_full() => {}
                Ok(Some(left_bytes)) => error!(
                    %home, left_bytes,
                    "the disk is full: this start uses what was kept for it; members are served, and changes are refused until \
                     there is space"
                ),
                Ok(None) => {
                    return error!(%home, "the disk is full, and nothing is left that was kept for a start");
                }
                Err(error) => {
                    return error!(%home, %error, "the disk is full, and what was kept for a start cannot be used");
                }
            }
        }
    }

    /// Tries it, since there are quotas beside the disk.
    fn is_disk_full(&self) -> bool {
        // Where there is not even an inode for a file, giving up bytes helps nobody.
        let Ok(mut file) = tempfile::tempfile_in(&self.home) else { return false };
        file.write_all(&noise(PART)).is_err_and(|error| is_full(error.kind()))
    }

    /// Gives up a part, and returns how much is left; `None` if nothing was.
    fn give_up(&self) -> io::Result<Option<u64>> {
        let file = match OpenOptions::new().write(true).open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let length = file.metadata()?.len();
        if length == 0 {
            return Ok(None);
        }
        let left = length.saturating_sub(PART);
        file.set_len(left)?;
        file.sync_all()?;
        Ok(Some(left))
    }

    /// Lays by what is missing, if there is plenty of room.
    fn fill(&self) -> io::Result<()> {
        let length = match fs::metadata(&self.path) {
            Ok(found) => found.len(),
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        let room = statvfs(&self.home)?;
        let free = u128::from(room.blocks_available()) * u128::from(room.fragment_size());
        if length >= SIZE || free < SPARE.into() {
            return Ok(());
        }
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
        let written = file.write_all(&noise(SIZE - length)).and_then(|()| file.sync_all());
        if written.is_err() {
            file.set_len(length)?;
        }
        written
    }
}

/// Keeps the file as long as it should be.
pub(super) async fn keep(reserve: Reserve) {
    let mut ticks = interval(FILLED_EVERY);
    loop {
        ticks.tick().await;
        let reserve = reserve.clone();
        match spawn_blocking(move || reserve.fill()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, "nothing was laid by for a start on a full disk"),
            Err(error) => error!(%error, "nothing was laid by for a start on a full disk"),
        }
    }
}

/// Says whether an error of the system means that there is no room.
pub(super) fn is_full(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Returns bytes that no file system makes smaller.
fn noise(length: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(length.min(SIZE)).unwrap_or(0)];
    ChaCha20Rng::from_seed([0; 32]).fill_bytes(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_laid_by_is_given_up_in_parts_and_laid_by_again() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(&folder.path().join("home")).unwrap();
        let reserve = Reserve::of(&home);
        assert_eq!(reserve.give_up().unwrap(), None);
        reserve.fill().unwrap();
        let file = || fs::metadata(&reserve.path).unwrap();
        assert_eq!((file().len(), file().permissions().mode() & 0o777), (SIZE, 0o600));
        reserve.make_room();
        assert_eq!(file().len(), SIZE, "there is room");
        let parts: Vec<_> = std::iter::from_fn(|| reserve.give_up().unwrap()).collect();
        assert_eq!(parts, [3 * PART, 2 * PART, PART, 0]);
        reserve.fill().unwrap();
        assert_eq!(file().len(), SIZE);
    }
}
