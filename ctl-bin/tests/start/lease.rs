//! Two controllers that see one database.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::process::Process;
use crate::program::{command, fail, free_port, home, serve};

/// Waiting for the end of a lease takes 20 s.
const LEASE_LIMIT: Duration = Duration::from_secs(60);

/// A second home of the same controller whose database is that of the first: what another machine sees that mounts the
/// same disk. Its lock is another file, as it would be there.
fn second_home(folder: &TempDir, first: &Path) -> PathBuf {
    let second = folder.path().join("second");
    fs::create_dir(&second).unwrap();
    fs::set_permissions(&second, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    for name in ["identity.secret", "identity.public", "authtoken.secret"] {
        fs::copy(first.join(name), second.join(name)).unwrap();
    }
    std::os::unix::fs::symlink(first.join("controller.db"), second.join("controller.db")).unwrap();
    second
}

fn start(home: &Path, arguments: &[&str]) -> Process {
    Process::spawn("second", command(home, free_port()).args(arguments))
}

fn wait_for(process: &Process, words: &str) {
    process.wait_for(0, LEASE_LIMIT, words, |line| line.text.contains(words).then_some(()));
}

#[test]
fn a_second_controller_on_the_same_database_is_refused_and_may_take_over_by_force() {
    let (folder, home) = home();
    let (first, _) = serve(&home, free_port());
    let second = second_home(&folder, &home);
    let error = fail(&second, free_port());
    assert!(error.contains("another controller serves with this database: process "), "{error}");
    assert!(error.contains("--take-over") && error.contains(home.to_str().unwrap()), "{error}");
    assert!(first.lines_since(0).iter().all(|line| !line.text.contains("error")));

    let second = start(&second, &["--take-over"]);
    wait_for(&second, "ready:");
    wait_for(&first, "error: another controller has taken over this database: process ");
}

#[test]
fn a_controller_that_was_killed_is_replaced_at_once_at_home_and_after_its_lease_elsewhere() {
    let (folder, home) = home();
    let (mut first, _) = serve(&home, free_port());
    let second = second_home(&folder, &home);
    first.kill();
    let (mut first, _) = serve(&home, free_port());
    assert!(first.lines_since(0).iter().all(|line| !line.text.contains("another controller may be serving")));
    first.kill();
    let mut second = start(&second, &[]);
    wait_for(&second, "another controller may be serving");
    wait_for(&second, "ready:");
    second.kill();
}

#[test]
fn a_controller_that_was_stopped_leaves_no_lease() {
    let (folder, home) = home();
    let mut first = command(&home, free_port()).stdout(Stdio::piped()).spawn().unwrap();
    first.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap(); // "ready:"
    let second = second_home(&folder, &home);
    assert!(Command::new("kill").args(["-TERM", &first.id().to_string()]).status().unwrap().success());
    assert_eq!(first.wait().unwrap().code(), Some(0));
    let second = start(&second, &[]);
    wait_for(&second, "ready:");
    assert!(
        second.lines_since(0).iter().all(|line| !line.text.contains("another controller may be serving"))
    );
}
