//! The folder that backups are kept in: how they are called, which is the newest, and which have to go.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use zt_proto::{Address, Timestamp};

const PREFIX: &str = "ctl-bin-";
/// Sorts by time, is a file name everywhere, and says that it is UTC.
const TIME: &str = "%Y%m%dT%H%M%S";
pub(super) const PLAIN: &str = ".tar.zst";
pub(super) const ENCRYPTED: &str = ".tar.zst.age";
/// A backup whose time is further ahead of the clock was made while that was wrong, and says nothing about how old it is.
const AHEAD_MILLIS: u64 = 120_000;
/// Ends the name of a backup that is not complete.
pub(super) const PARTIAL: &str = ".partial";

/// Returns a time, in milliseconds since 1970, as people write it: in UTC.
pub(crate) fn utc(millis: u64) -> String {
    let time = jiff::Timestamp::from_millisecond(i64::try_from(millis).unwrap_or(i64::MAX));
    let time = TimeZone::UTC.to_datetime(time.unwrap_or(jiff::Timestamp::MAX));
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Returns the directory that a path is in.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Returns what the backup of `controller` made at `created` is called: `ctl-bin-ADDRESS-20261122T192417.123Z.tar.zst`.
pub(super) fn name(controller: Address, created: Timestamp, is_encrypted: bool) -> String {
    let millis = i64::try_from(created.0).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    let text = TimeZone::UTC.to_datetime(time).strftime(TIME).to_string();
    let end = if is_encrypted { ENCRYPTED } else { PLAIN };
    format!("{PREFIX}{controller}-{text}.{:03}Z{end}", created.0 % 1000)
}

/// Returns how the name of an incomplete backup of `controller` begins.
pub(super) fn partial_prefix(controller: Address) -> String {
    format!(".{PREFIX}{controller}-")
}

/// Returns when the backup of this name was made; `None` if it is not one of `controller`.
fn created(name: &str, controller: Address) -> Option<Timestamp> {
    let rest = name.strip_prefix(PREFIX)?.strip_prefix(&controller.to_string())?.strip_prefix('-')?;
    let time = rest.strip_suffix(ENCRYPTED).or_else(|| rest.strip_suffix(PLAIN))?.strip_suffix('Z')?;
    let (time, millis) = time.split_once('.')?;
    let millis: u64 = Some(millis).filter(|millis| millis.len() == 3)?.parse().ok()?;
    let time = DateTime::strptime(TIME, time).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(Timestamp(u64::try_from(time.as_millisecond()).ok()?.checked_add(millis)?))
}

/// Returns the complete backups of `controller` in `folder`, oldest first.
pub(super) fn list(folder: &Path, controller: Address) -> io::Result<Vec<(Timestamp, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let time = entry.file_name().to_str().and_then(|name| created(name, controller));
        if let Some(time) = time.filter(|_| entry.file_type().is_ok_and(|kind| kind.is_file())) {
            found.push((time, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// Returns when the newest backup of `controller` was made, and one that seems to be of the future, if there is any: that
/// was made while the clock was ahead, and is not the newest.
pub(super) fn newest(
    folder: &Path,
    controller: Address,
    now: Timestamp,
) -> io::Result<(Option<Timestamp>, Option<PathBuf>)> {
    let mut found = list(folder, controller)?;
    let future = found.split_off(found.partition_point(|(time, _)| !is_ahead(*time, now)));
    Ok((found.last().map(|(time, _)| *time), future.into_iter().next().map(|(_, path)| path)))
}

fn is_ahead(time: Timestamp, now: Timestamp) -> bool {
    time > now.plus_millis(AHEAD_MILLIS)
}

/// Removes the oldest backups of `controller` until `keep` are left, of which `made`, of the time `now`, is one; returns
/// those that went. What seems to be of the future stays and does not count: nobody knows how old it is.
pub(super) fn rotate(
    folder: &Path,
    controller: Address,
    keep: usize,
    (made, now): (&Path, Timestamp),
) -> io::Result<Vec<PathBuf>> {
    let mut found = list(folder, controller)?;
    found.retain(|(time, path)| path != made && !is_ahead(*time, now));
    let others = keep.saturating_sub(1);
    found.truncate(found.len().saturating_sub(others));
    for (_, path) in &found {
        fs::remove_file(path)?;
    }
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Removes what a backup left that was cut off in the middle: files whose name begins and ends so.
pub(super) fn remove_leftovers(folder: &Path, prefix: &str, suffix: &str) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(prefix) && name.ends_with(suffix)) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn controller() -> Address {
        "89e92ceee5".parse().unwrap()
    }

    #[test]
    fn name_has_the_time_in_utc_and_is_read_back() {
        let time = Timestamp(1_795_375_457_042);
        let plain = name(controller(), time, false);
        assert_eq!(plain, "ctl-bin-89e92ceee5-20261122T192417.042Z.tar.zst");
        assert_eq!(created(&plain, controller()), Some(time));
        assert_eq!(created(&name(controller(), time, true), controller()), Some(time));
        assert_eq!(created(&plain, "1122334455".parse().unwrap()), None);
        for other in [
            "",
            "ctl-bin-89e92ceee5-.tar.zst",
            "ctl-bin-89e92ceee5-20261322T192417.042Z.tar.zst",
            "x.tar.zst",
        ] {
            assert_eq!(created(other, controller()), None, "{other}");
        }
    }

    #[test]
    fn only_the_oldest_backups_of_this_controller_go() {
        let folder = tempfile::tempdir().unwrap();
        let time = |n: u64| Timestamp(1_795_375_457_000 + n);
        let mut expected: Vec<_> = (1..=5).map(|n| name(controller(), time(n), n % 2 == 0)).collect();
        let others = [
            name("1122334455".parse().unwrap(), time(0), false),
            "ctl-bin-89e92ceee5-notes.txt".to_owned(),
            "controller.db".to_owned(),
        ];
        for name in expected.iter().chain(&others) {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let made = folder.path().join(&expected[4]);
        let gone = rotate(folder.path(), controller(), 2, (&made, time(5))).unwrap();
        assert_eq!(gone, [0, 1, 2].map(|n: usize| folder.path().join(&expected[n])));
        expected.drain(..3);
        expected.extend(others);
        expected.sort();
        let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut left: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, expected);
    }

    /// The clock was years ahead when it was made, and is right again.
    #[test]
    fn backup_of_the_future_is_not_the_newest_and_has_none_removed() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp(1_795_375_457_042);
        let path = |time| folder.path().join(name(controller(), time, false));
        let put = |time| fs::write(path(time), "").unwrap();
        let ago = |hours: u64| Timestamp(now.0 - hours * 3_600_000);
        let future = [now.plus_millis(AHEAD_MILLIS + 1), now.plus_millis(200_000_000_000)];
        future.into_iter().for_each(put);
        assert_eq!(newest(folder.path(), controller(), now).unwrap(), (None, Some(path(future[0]))));
        // A little ahead is what clocks are.
        let others = [ago(2), ago(1), now.plus_millis(AHEAD_MILLIS)];
        others.into_iter().for_each(put);
        let found = newest(folder.path(), controller(), now).unwrap();
        assert_eq!(found, (Some(others[2]), Some(path(future[0]))));
        put(now);
        let gone = rotate(folder.path(), controller(), 2, (&path(now), now)).unwrap();
        assert_eq!(gone, [path(others[0]), path(others[1])]);
        assert_eq!(rotate(folder.path(), controller(), 1, (&path(now), now)).unwrap(), [path(others[2])]);
        let left: Vec<_> =
            list(folder.path(), controller()).unwrap().into_iter().map(|(time, _)| time).collect();
        assert_eq!(left, [now, future[0], future[1]]);
    }
}
