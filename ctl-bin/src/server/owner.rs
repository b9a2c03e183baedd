//! Root works in a home as the user whom it belongs to.
//!
//! The packages give the home to a user of its own. What root made in there the controller could not use, and where another
//! user may write root had better not: so a command of root becomes that user, for good, before it opens the home.

use std::ffi::CString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{Gid, Uid, User, geteuid, initgroups, setgid, setgroups, setuid};

use super::home::{Home, HomeError};

/// Opens a home for a command, as [`Home::open`] does.
///
/// # Errors
/// As [`Home::open`], or if the user cannot be changed.
pub(crate) fn open(dir: &Path) -> Result<Home, HomeError> {
    assume(dir)?;
    Home::open(dir)
}

/// Opens a home for a command, as [`Home::open_existing`] does.
///
/// # Errors
/// As [`Home::open_existing`], or if the user cannot be changed.
pub(crate) fn open_existing(dir: &Path) -> Result<Home, HomeError> {
    assume(dir)?;
    Home::open_existing(dir)
}

/// Becomes the user whom a directory belongs to, if this is root and there is one.
///
/// # Errors
/// [`HomeError::Owner`] if that fails.
pub(crate) fn assume(dir: &Path) -> Result<(), HomeError> {
    // What is not there belongs to nobody yet; what cannot be looked at is told by who opens it.
    let Ok(metadata) = fs::metadata(dir) else { return Ok(()) };
    let owner = Uid::from_raw(metadata.uid());
    if !geteuid().is_root() || owner.is_root() {
        return Ok(());
    }
    let name = switch(owner, Gid::from_raw(metadata.gid())).map_err(|source| HomeError::Owner {
        path: dir.to_owned(),
        owner: owner.as_raw(),
        source: source.into(),
    })?;
    // Else nobody would understand why root may not read or write a file.
    writeln!(io::stderr(), "{} belongs to {name}: going on as that user", dir.display()).unwrap_or(());
    Ok(())
}

/// Becomes a user with his groups, or with the group `group` alone if he has no entry in the list of users; returns his name.
fn switch(user: Uid, group: Gid) -> nix::Result<String> {
    let name = match User::from_uid(user)? {
        Some(entry) => {
            let name = CString::new(entry.name.as_str()).map_err(|_| nix::errno::Errno::EINVAL)?;
            initgroups(&name, entry.gid)?;
            setgid(entry.gid)?;
            entry.name
        }
        None => {
            setgroups(&[group])?;
            setgid(group)?;
            format!("user {user}")
        }
    };
    // Last, as nobody else may change groups.
    setuid(user)?;
    Ok(name)
}
